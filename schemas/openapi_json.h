/* The OpenAPI 3.1 document that /openapi.json serves, as it goes over the wire. */
#ifndef ASSAY_SCHEMAS_OPENAPI_JSON_H
#define ASSAY_SCHEMAS_OPENAPI_JSON_H

#include <stddef.h>

extern const char assay_openapi_json[]; /* NUL-terminated UTF-8 */
extern const size_t assay_openapi_json_length;

#endif

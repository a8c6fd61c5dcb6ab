/* Request bodies as JSON.  Pure; any thread. */
#ifndef ASSAY_API_BODY_H
#define ASSAY_API_BODY_H

#include "common/error.h"

/* Parsers and printers of JSON recurse; this keeps them within a small stack. */
#define ASSAY_BODY_DEPTH_MAX 64

/* Parses strict UTF-8 JSON without duplicate keys and not nested deeper than
 * ASSAY_BODY_DEPTH_MAX.  ASSAY_E_INVALID_JSON says line and column. */
ASSAY_MUST_CHECK assay_status assay_body_json(const char *text, size_t length, json_t **ret_json,
                                              struct assay_error *err);

#endif

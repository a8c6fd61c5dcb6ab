/* JSON to text: compact, UTF-8 as it is, every double as the shortest text that
 * reads back the same.  Any thread. */
#ifndef ASSAY_API_JSON_PRINT_H
#define ASSAY_API_JSON_PRINT_H

#include <jansson.h>

#include "common/buffer.h"

/* Appends; recursion is as deep as the value, which the bodies' limit bounds. */
void assay_json_print(const json_t *json, struct assay_buffer *buffer);

#endif

/* JSON as compact text with the shortest numbers that read back as the same:
 * 0.1, where jansson writes 0.10000000000000001.  Pure; any thread. */
#ifndef ASSAY_COMMON_JSON_TEXT_H
#define ASSAY_COMMON_JSON_TEXT_H

#include <jansson.h>

#include "common/buffer.h"

/* Appends the text.  Members keep their order; a real stays one (1.0). */
void assay_json_write(struct assay_buffer *buffer, const json_t *json);
/* The text.  Caller frees. */
char *assay_json_text(const json_t *json);

#endif

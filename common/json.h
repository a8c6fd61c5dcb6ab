/* What jansson leaves out: iteration over what is const, and text with the
 * shortest number that reads back the same (0.1, not 0.10000000000000001).
 * Any thread. */
#ifndef ASSAY_COMMON_JSON_H
#define ASSAY_COMMON_JSON_H

#include <jansson.h>

#include "common/buffer.h"
#include "common/clock.h"

/* jansson's iteration takes no const and changes nothing. */
json_t *assay_json_unconst(const json_t *json);
#define assay_json_each(object, key, value) \
    json_object_foreach(assay_json_unconst(object), key, value)

/* Appends the value, UTF-8 as it is.  `indent` 0: compact, on one line; else that
 * many blanks a level.  A real stays a real: "1.0", not "1".  Recursion is as deep
 * as the value, which whoever read it has bounded. */
void assay_json_print(const json_t *json, unsigned indent, struct assay_buffer *buffer);

/* Of an object's member, borrowed; no object, no member and no text are as good as "". */
const char *assay_json_text_at(const json_t *object, const char *key);
/* NULL also for "". */
const char *assay_json_text_given(const json_t *object, const char *key);
/* The object of an array whose member "name" is this, borrowed; NULL = none. */
json_t *assay_json_named(const json_t *array, const char *name);

/* New references: null for no text, for ASSAY_TIME_NONE. */
json_t *assay_json_text(const char *text);
json_t *assay_json_time(int64_t time_us);

#endif

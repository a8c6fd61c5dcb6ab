/* JSON as tests write it.  After cmocka.h. */
#ifndef ASSAY_TESTS_JSON_OF_H
#define ASSAY_TESTS_JSON_OF_H

#include <jansson.h>

#include "common/memory.h"

/* Written with ' for ".  New reference. */
static inline json_t *
json_of(const char *text)
{
    assay_auto_free char *copy = assay_strdup(text);
    json_error_t fault;
    json_t *json;

    for (char *c = copy; *c != '\0'; c++) {
        if (*c == '\'')
            *c = '"';
    }
    json = json_loads(copy, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &fault);
    if (json == NULL)
        fail_msg("%s at %d in %s", fault.text, fault.position, copy);
    return json;
}

#endif

/* What the tests of the schemas share. */
#ifndef TESTS_UNIT_SCHEMAS_HELP_H
#define TESTS_UNIT_SCHEMAS_HELP_H

/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <math.h>

#include "common/memory.h"
#include "schemas/study.h"
#include "tests/unit/json_of.h"

/* A study file in YAML.  New reference. */
static inline json_t *
yaml_of(const char *text, json_t **ret_lines)
{
    struct assay_error err = {0};
    json_t *json = NULL;

    if (assay_yaml_read(text, strlen(text), &json, ret_lines, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    return json;
}

static inline const struct assay_fault *
find_fault(const struct assay_faults *faults, const char *pointer, const char *message)
{
    for (size_t i = 0; i < ASSAY_MIN(faults->count, (size_t)ASSAY_FAULTS_MAX); i++) {
        if (strcmp(faults->items[i].pointer, pointer) == 0 &&
            (message == NULL || strcmp(faults->items[i].message, message) == 0))
            return &faults->items[i];
    }
    return NULL;
}

static inline void
print_faults(const struct assay_faults *faults)
{
    for (size_t i = 0; i < ASSAY_MIN(faults->count, (size_t)ASSAY_FAULTS_MAX); i++)
        print_error("  %s: %s [%s]\n", faults->items[i].pointer, faults->items[i].message,
                    faults->items[i].allowed != NULL ? faults->items[i].allowed : "");
}

static inline struct assay_space *
space_of(const char *text)
{
    json_auto_t *json = json_of(text);
    struct assay_faults faults = {0};
    struct assay_space *space = assay_space_decode(json, "/parameters", &faults);

    if (space == NULL) {
        print_faults(&faults);
        fail_msg("%s", text);
    }
    assay_faults_done(&faults);
    return space;
}

#endif

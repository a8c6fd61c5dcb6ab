/* What the tests of other systems' study files share.  The Experiments are those of
 * tests/katib; a test that reads one skips when it is not run from the top of the tree. */
#ifndef ASSAY_TESTS_IMPORT_SUPPORT_H
#define ASSAY_TESTS_IMPORT_SUPPORT_H

#include "tests/unit/schemas/help.h"

#include "common/file.h"
#include "schemas/import.h"
#include "suggest/registry.h"

#define FOLDER "tests/katib"

static inline json_t *
read_experiment(const char *name)
{
    assay_auto_free char *path = assay_format(FOLDER "/%s.yaml", name);
    assay_auto_free char *text = NULL;
    struct assay_error err = {0};
    json_t *json = NULL;
    size_t length;

    if (assay_file_read(path, 1 << 20, &text, &length, &err) < 0) {
        print_message("%s\n", err.message);
        skip();
    }
    assert_int_equal(assay_yaml_read(text, length, &json, NULL, &err), ASSAY_OK);
    return json;
}

/* The study that a file becomes; fails with its faults. */
static inline struct assay_study_spec *
study_of(const json_t *file, struct assay_import *import)
{
    struct assay_faults faults = {0};
    struct assay_study_spec *spec =
        assay_import_decode(file, "default", assay_registry_checks(), import, &faults);

    if (spec == NULL) {
        print_faults(&faults);
        fail_msg("%zu faults", faults.count);
    }
    assert_int_equal(faults.count, 0);
    return spec;
}

static inline const json_t *
at(const json_t *json, const char *pointer)
{
    assay_auto_free char *rest = assay_strdup(pointer + 1);
    char *state = NULL;

    for (char *key = strtok_r(rest, "/", &state); key != NULL; key = strtok_r(NULL, "/", &state)) {
        for (char *c = key; *c != '\0'; c++) {
            if (*c == '~')
                *c = '/';
        }
        json = json_is_array(json) ? json_array_get(json, strtoul(key, NULL, 10))
                                   : json_object_get(json, key);
    }
    return json;
}

/* Members of the study ("~" in the pointer: "/"), as JSON with single quotes. */
struct expected {
    const char *pointer, *value;
};

static inline void
check_members(const json_t *document, const struct expected *expected)
{
    for (; expected->pointer != NULL; expected++) {
        json_auto_t *wanted = json_of(expected->value);
        const json_t *found = at(document, expected->pointer);

        if (!json_equal(found, wanted)) {
            assay_auto_free char *text =
                found != NULL ? json_dumps(found, JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;

            fail_msg("%s is %s, not %s", expected->pointer, text != NULL ? text : "missing",
                     expected->value);
        }
    }
}

static inline void
check_experiment(const char *name, const struct expected *expected)
{
    json_auto_t *file = read_experiment(name);
    assay_auto_import struct assay_import import = {0};
    struct assay_study_spec *spec = study_of(file, &import);

    check_members(spec->document, expected);
    assay_study_free(spec);
}

#define CHECK(name, ...) \
    check_experiment(name, (const struct expected[]){__VA_ARGS__, {NULL, NULL}})

static inline void
set_at(json_t *json, const char *pointer, const char *value)
{
    assay_auto_free char *parent = assay_strdup(pointer);
    char *key = strrchr(parent, '/');
    json_t *to;

    *key++ = '\0';
    to = *parent != '\0' ? (json_t *)(uintptr_t)at(json, parent) : json;
    if (to == NULL)
        fail_msg("%s: no %s", pointer, parent);
    if (value == NULL)
        json_object_del(to, key);
    else if (json_is_array(to))
        json_array_set_new(to, strtoul(key, NULL, 10), json_of(value));
    else
        json_object_set_new(to, key, json_of(value));
}

#endif

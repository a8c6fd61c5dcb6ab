#include "controller/launch.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"

static void
set_if_missing(json_t *values, const char *name, char *text_taken)
{
    if (json_object_get(values, name) == NULL)
        json_object_set_new(values, name, json_string(text_taken));
    free(text_taken);
}

json_t *
assay_launch_values(const struct assay_launch *launch)
{
    json_t *values = assay_space_texts(launch->spec->space, launch->parameters);
    char budget[ASSAY_DOUBLE_TEXT] = "";

    if (!isnan(launch->budget))
        assay_print_double(launch->budget, budget);
    set_if_missing(values, "study", assay_strdup(launch->study));
    set_if_missing(values, "trial", assay_format("%" PRId64, launch->key.trial_number));
    set_if_missing(values, "attempt", assay_format("%" PRId64, launch->key.attempt));
    set_if_missing(values, "budget", assay_strdup(budget));
    return values;
}

assay_status
assay_launch_substitute(const char *text, const json_t *values, const char *what,
                        json_t **ret_text, struct assay_error *err)
{
    assay_auto_free char *replaced = NULL;
    assay_status rc = assay_substitute(text, values, &replaced, err);

    if (rc < 0)
        return assay_wrap(err, "%s", what);
    *ret_text = json_string(replaced);
    if (*ret_text == NULL)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "%s is not UTF-8", what);
    return ASSAY_OK;
}

static assay_status
substitute_object(const json_t *json, const json_t *values, const char *pointer, json_t *copy,
                  struct assay_error *err)
{
    const char *key;
    json_t *item, *value;

    assay_json_each (json, key, item) {
        assay_auto_free char *at = assay_pointer_key(pointer, key);
        assay_status rc = assay_launch_substitute_tree(item, values, at, &value, err);

        if (rc < 0)
            return rc;
        if (strstr(key, "${") != NULL) {
            json_decref(value);
            return assay_fail(err, ASSAY_E_INVALID_VALUE, "%s: a key can not have a reference", at);
        }
        json_object_set_new(copy, key, value);
    }
    return ASSAY_OK;
}

static assay_status
substitute_array(const json_t *json, const json_t *values, const char *pointer, json_t *copy,
                 struct assay_error *err)
{
    json_t *item, *value;
    size_t i;

    json_array_foreach (json, i, item) {
        assay_auto_free char *at = assay_pointer_index(pointer, i);
        assay_status rc = assay_launch_substitute_tree(item, values, at, &value, err);

        if (rc < 0)
            return rc;
        json_array_append_new(copy, value);
    }
    return ASSAY_OK;
}

/* ${{name}}: what the text would be without quotes in YAML. */
static assay_status
substitute_bare(const char *name, const json_t *values, const char *pointer, json_t **ret_json,
                struct assay_error *err)
{
    const char *text = json_string_value(json_object_get(values, name));
    struct assay_error ignored = {0};

    if (text == NULL)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "%s: ${{%.100s}} is not declared", pointer,
                          name);
    if (assay_yaml_read(text, strlen(text), ret_json, NULL, &ignored) < 0)
        *ret_json = json_string(text);
    return ASSAY_OK;
}

assay_status
assay_launch_substitute_tree(const json_t *json, const json_t *values, const char *pointer,
                             json_t **ret_json, struct assay_error *err)
{
    assay_auto_free char *bare =
        json_is_string(json) ? assay_bare_reference(json_string_value(json)) : NULL;
    json_t *copy;
    assay_status rc;

    if (bare != NULL)
        return substitute_bare(bare, values, pointer, ret_json, err);
    if (json_is_string(json))
        return assay_launch_substitute(json_string_value(json), values, pointer, ret_json, err);
    if (!json_is_object(json) && !json_is_array(json)) {
        *ret_json = json_incref(assay_json_unconst(json));
        return ASSAY_OK;
    }
    copy = json_is_object(json) ? json_object() : json_array();
    rc = json_is_object(json) ? substitute_object(json, values, pointer, copy, err)
                              : substitute_array(json, values, pointer, copy, err);
    if (rc < 0)
        json_decref(copy);
    else
        *ret_json = copy;
    return rc;
}

#include "schemas/import_leaves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define DEPTH_MAX 10

static void
each_leaf(struct assay_translation *t, const json_t *group, const char *prefix,
          const char *pointer, int depth, assay_group_fn is_group, assay_leaf_fn leaf, void *arg)
{
    const char *key;
    json_t *value;

    assay_json_each (group, key, value) {
        assay_auto_free char *name =
            *prefix != '\0' ? assay_format("%s.%s", prefix, key) : assay_strdup(key);
        assay_auto_free char *at = assay_pointer_key(pointer, key);
        const char *members_key = NULL;
        const json_t *members = is_group(value, &members_key);

        if (members == NULL) {
            leaf(t, name, value, at, arg);
        } else if (depth == DEPTH_MAX) {
            assay_fault_add(t->faults, at, NULL, "at most 10 levels",
                            "groups of parameters are nested too deeply");
        } else {
            assay_auto_free char *below =
                members_key != NULL ? assay_pointer_key(at, members_key) : assay_strdup(at);

            each_leaf(t, members, name, below, depth + 1, is_group, leaf, arg);
        }
    }
}

void
assay__each_leaf(struct assay_translation *t, const json_t *group, const char *pointer,
                 assay_group_fn is_group, assay_leaf_fn leaf, void *arg)
{
    each_leaf(t, group, "", pointer, 1, is_group, leaf, arg);
}

void
assay__add_parameter(struct assay_translation *t, json_t *parameter, const char *pointer)
{
    json_t *list = json_object_get(t->study, "parameters");
    assay_auto_free char *at = NULL;

    if (list == NULL) {
        list = json_array();
        json_object_set_new(t->study, "parameters", list);
    }
    at = assay_format("/parameters/%zu", json_array_size(list));
    assay__place(t, at, pointer);
    json_array_append_new(list, parameter);
}

json_t *
assay__range(const char *name, bool whole, double min, double max)
{
    if (whole) {
        min = ceil(min);
        max = floor(max);
    }
    return json_pack("{s:s, s:s, s:o, s:o}", "name", name, "type", whole ? "int" : "double", "min",
                     assay_json_number(min), "max", assay_json_number(max));
}

static int
by_number(const void *a, const void *b)
{
    double x = json_number_value(*(json_t *const *)a), y = json_number_value(*(json_t *const *)b);

    return (x > y) - (x < y);
}

/* The numbers in order, or NULL when there is something else or one twice.  New reference. */
static json_t *
sorted_numbers(const json_t *values)
{
    size_t n = json_array_size(values);
    assay_auto_free json_t **items = assay_alloc(n + 1, sizeof(json_t *));
    json_t *list;

    for (size_t i = 0; i < n; i++) {
        items[i] = json_array_get(values, i);
        if (!json_is_number(items[i]))
            return NULL;
    }
    qsort(items, n, sizeof *items, by_number);
    list = json_array();
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && by_number(&items[i - 1], &items[i]) == 0) {
            json_decref(list);
            return NULL;
        }
        json_array_append(list, items[i]);
    }
    return list;
}

json_t *
assay__choices(struct assay_translation *t, const char *name, const json_t *values,
               const char *pointer)
{
    json_t *numbers = sorted_numbers(values), *list;

    if (numbers != NULL && json_array_size(numbers) > 0)
        return json_pack("{s:s, s:s, s:o}", "name", name, "type", "discrete", "values", numbers);
    json_decref(numbers);
    list = json_array();
    for (size_t i = 0; i < json_array_size(values); i++) {
        json_t *value = json_array_get(values, i);
        assay_auto_free char *at = assay_pointer_index(pointer, i);

        if (json_is_object(value) || json_is_array(value) || json_is_null(value)) {
            assay_fault_add(t->faults, at, value, "a string, number or boolean",
                            "a value of a parameter can not be %s", assay_json_type_name(value));
            json_array_append_new(list, json_string("?"));
        } else {
            json_array_append(list, value);
        }
    }
    return json_pack("{s:s, s:s, s:o}", "name", name, "type", "categorical", "values", list);
}

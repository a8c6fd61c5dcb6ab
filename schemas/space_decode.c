/* Reading `parameters` of a study file; single values are in space_value.c, the conditions in
 * space_when.c. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "common/number.h"
#include "schemas/decode.h"
#include "schemas/space_internal.h"

#define PARAMETER_NAME_BYTES_MAX 128
/* A step must be told apart at 15 significant digits anywhere in the range. */
#define STEP_RESOLUTION 2e-14

/* The members as they stand in the file; NaN, -1, NULL: not given. */
struct parameter_file {
    char *name;
    int type;
    int scale;
    double min, max, step;
    const json_t *values;
    const json_t *default_value;
    const json_t *prior;
    const json_t *when;
};

static void
decode_name(void *target, const json_t *value, const char *pointer, struct assay_faults *faults)
{
    struct parameter_file *file = target;
    const char *name = json_string_value(value);
    size_t length;

    if (name == NULL) {
        assay_fault_type(faults, pointer, value, "a string");
        return;
    }
    length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:");
    if (length == 0 || length != json_string_length(value) || length > PARAMETER_NAME_BYTES_MAX) {
        assay_fault_add(faults, pointer, value,
                        "1 to 128 letters, digits, '_', '-', '.', '/' and ':'",
                        "not a valid parameter name");
        return;
    }
    file->name = assay_strdup(name);
}

static const struct assay_field parameter_fields[] = {
    {.key = "name", .kind = ASSAY_FIELD_CALL, .flags = ASSAY_FIELD_REQUIRED, .call = decode_name},
    {.key = "type", .kind = ASSAY_FIELD_ENUM, .flags = ASSAY_FIELD_REQUIRED,
     .names = assay__parameter_types, .offset = offsetof(struct parameter_file, type)},
    {.key = "min", .kind = ASSAY_FIELD_REAL, .offset = offsetof(struct parameter_file, min)},
    {.key = "max", .kind = ASSAY_FIELD_REAL, .offset = offsetof(struct parameter_file, max)},
    {.key = "step", .kind = ASSAY_FIELD_REAL, .offset = offsetof(struct parameter_file, step)},
    {.key = "scale", .kind = ASSAY_FIELD_ENUM, .names = assay__scales,
     .offset = offsetof(struct parameter_file, scale)},
    {.key = "values", .kind = ASSAY_FIELD_ARRAY,
     .offset = offsetof(struct parameter_file, values)},
    {.key = "default", .kind = ASSAY_FIELD_ANY,
     .offset = offsetof(struct parameter_file, default_value)},
    {.key = "prior", .kind = ASSAY_FIELD_OBJECT, .offset = offsetof(struct parameter_file, prior)},
    {.key = "when", .kind = ASSAY_FIELD_OBJECT, .offset = offsetof(struct parameter_file, when)},
};

/* --- double and int --- */

static void
fault_member(struct assay_faults *faults, const char *pointer, const char *key, double found,
             const char *allowed, const char *message)
{
    assay_auto_free char *at = assay_pointer_key(pointer, key);
    json_auto_t *json = assay_json_number(found);

    assay_fault_add(faults, at, json, allowed, "%s", message);
}

/* Members that the type does not have. */
static void
refuse_members(const json_t *json, const char *const *keys, const char *type, const char *pointer,
               struct assay_faults *faults)
{
    for (; *keys != NULL; keys++) {
        const json_t *value = json_object_get(json, *keys);

        if (value != NULL && !json_is_null(value)) {
            assay_auto_free char *at = assay_pointer_key(pointer, *keys);

            assay_fault_add(faults, at, value, NULL, "a %s parameter has no %s", type, *keys);
        }
    }
}

static void
require_member(const json_t *json, const char *key, const char *allowed, const char *pointer,
               struct assay_faults *faults)
{
    const json_t *value = json_object_get(json, key);

    if (value == NULL || json_is_null(value)) {
        assay_auto_free char *at = assay_pointer_key(pointer, key);

        assay_fault_add(faults, at, NULL, allowed, "%s is missing", key);
    }
}

static void
check_whole(double value, const char *key, const char *pointer, struct assay_faults *faults)
{
    if (!isnan(value) && (value != floor(value) || fabs(value) > ASSAY_INT_EXACT))
        fault_member(faults, pointer, key, value, "a whole number from -2^53 to 2^53",
                     "must be a whole number for an int parameter");
}

static void
check_range_step(const struct parameter_file *file, const char *pointer,
                 struct assay_faults *faults)
{
    double width = file->max - file->min;

    if (isnan(file->step))
        return;
    if (file->step <= 0.0)
        fault_member(faults, pointer, "step", file->step, "a number greater than 0",
                     "step must be greater than 0");
    else if (width > 0.0 && file->step > width * (1.0 + 1e-9))
        fault_member(faults, pointer, "step", file->step, "at most max - min",
                     "step is wider than the range");
    else if (width > 0.0 &&
             file->step < STEP_RESOLUTION * fmax(fabs(file->min), fabs(file->max)))
        fault_member(faults, pointer, "step", file->step, NULL,
                     "step is too small to tell the values apart");
}

static void
decode_range(const struct parameter_file *file, const json_t *json, const char *pointer,
             struct assay_faults *faults, struct assay_parameter *parameter)
{
    static const char *const refused[] = {"values", NULL};

    refuse_members(json, refused, assay_parameter_type_name(parameter->type), pointer, faults);
    require_member(json, "min", "a number", pointer, faults);
    require_member(json, "max", "a number", pointer, faults);
    if (parameter->type == ASSAY_PARAMETER_INT) {
        check_whole(file->min, "min", pointer, faults);
        check_whole(file->max, "max", pointer, faults);
        check_whole(file->step, "step", pointer, faults);
    }
    if (file->min > file->max) {
        char max[ASSAY_DOUBLE_TEXT];
        assay_auto_free char *allowed = NULL;

        assay_print_double(file->max, max);
        allowed = assay_format("a number less than max (%s)", max);
        fault_member(faults, pointer, "min", file->min, allowed, "min must be less than max");
    } else if (isinf(file->max - file->min)) {
        fault_member(faults, pointer, "max", file->max, NULL, "the range is too wide");
    }
    if (file->scale > ASSAY_SCALE_LINEAR && file->min <= 0.0)
        fault_member(faults, pointer, "min", file->min, "a number greater than 0",
                     "a logarithmic scale needs min greater than 0");
    check_range_step(file, pointer, faults);
    parameter->min = file->min + 0.0;
    parameter->max = file->max + 0.0;
    parameter->step = isnan(file->step) ? 0.0 : file->step;
    parameter->scale = file->scale < 0 ? ASSAY_SCALE_LINEAR : (enum assay_scale)file->scale;
}

/* --- discrete, categorical, bool --- */

struct numbered {
    double number;
    json_t *json; /* borrowed */
};

static int
compare_numbered(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

/* Numbers in increasing order, whatever order they were given in. */
static void
sort_numbers(struct assay_parameter *parameter)
{
    struct numbered *list = assay_alloc(parameter->n_choices, sizeof *list);
    json_t *sorted = json_array();

    parameter->numbers = assay_alloc(parameter->n_choices, sizeof(double));
    for (size_t i = 0; i < parameter->n_choices; i++) {
        list[i].json = json_array_get(parameter->choices, i);
        list[i].number = json_number_value(list[i].json);
    }
    qsort(list, parameter->n_choices, sizeof *list, compare_numbered);
    for (size_t i = 0; i < parameter->n_choices; i++) {
        parameter->numbers[i] = list[i].number;
        json_array_append(sorted, list[i].json);
    }
    json_decref(parameter->choices);
    parameter->choices = sorted;
    free(list);
}

/* Adds the choice to `numbers`, the text of each so far and its index. */
static void
check_choice(const json_t *choice, bool numeric, const char *pointer, json_t *numbers,
             struct assay_faults *faults)
{
    assay_auto_free char *key = assay__choice_key(choice);

    if (key == NULL && json_is_string(choice))
        assay_fault_add(faults, pointer, NULL, NULL, "a value contains a NUL character");
    else if (key == NULL || (numeric && !json_is_number(choice)))
        assay_fault_type(faults, pointer, choice,
                         numeric ? "a number" : "a string, number or boolean");
    else if (json_object_get(numbers, key) != NULL)
        assay_fault_add(faults, pointer, choice, NULL, "this value is given twice");
    else
        json_object_set_new(numbers, key, json_integer((json_int_t)json_object_size(numbers)));
}

static void
decode_choices(const struct parameter_file *file, const json_t *json, const char *pointer,
               struct assay_faults *faults, struct assay_parameter *parameter)
{
    static const char *const refused[] = {"min", "max", "step", "scale", NULL};
    bool numeric = parameter->type == ASSAY_PARAMETER_DISCRETE;
    size_t before = faults->count;
    json_auto_t *numbers = json_object();
    assay_auto_free char *at = assay_pointer_key(pointer, "values");

    refuse_members(json, refused, assay_parameter_type_name(parameter->type), pointer, faults);
    require_member(json, "values", "an array of values", pointer, faults);
    if (file->values == NULL)
        return;
    parameter->n_choices = json_array_size(file->values);
    if (parameter->n_choices == 0)
        assay_fault_add(faults, at, file->values, "at least one value", "values is empty");
    if (parameter->n_choices > ASSAY_PARAMETER_CHOICES_MAX) {
        assay_fault_add(faults, at, NULL, "at most 10000 values", "values is too long");
        return;
    }
    for (size_t i = 0; i < parameter->n_choices; i++) {
        assay_auto_free char *item = assay_pointer_index(at, i);

        check_choice(json_array_get(file->values, i), numeric, item, numbers, faults);
    }
    if (faults->count != before)
        return;
    parameter->choices = json_copy(assay_json_unconst(file->values));
    if (numeric)
        sort_numbers(parameter);
    else
        parameter->choice_numbers = json_incref(numbers);
}

static void
decode_bool(const json_t *json, const char *pointer, struct assay_faults *faults,
            struct assay_parameter *parameter)
{
    static const char *const refused[] = {"min", "max", "step", "scale", "values", NULL};

    refuse_members(json, refused, "bool", pointer, faults);
    parameter->choices = json_pack("[b, b]", 0, 1);
    parameter->n_choices = 2;
}

/* --- the array --- */

struct prior_file {
    const json_t *value;
    int confidence;
};

static const struct assay_field prior_fields[] = {
    {.key = "value", .kind = ASSAY_FIELD_ANY, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct prior_file, value)},
    {.key = "confidence", .kind = ASSAY_FIELD_ENUM, .names = assay__confidences,
     .offset = offsetof(struct prior_file, confidence)},
};

static void
decode_prior(const json_t *json, const char *pointer, struct assay_faults *faults,
             struct assay_parameter *parameter)
{
    struct prior_file file = {.confidence = ASSAY_CONFIDENCE_MEDIUM};
    assay_auto_free char *at = assay_pointer_key(pointer, "prior");
    assay_auto_free char *at_value = assay_pointer_key(at, "value");

    if (!assay_decode_object(json, at, prior_fields, ASSAY_COUNT(prior_fields), &file, faults))
        return;
    parameter->prior_confidence = (enum assay_confidence)file.confidence;
    (void)!assay_parameter_decode(parameter, file.value, at_value, faults,
                                  &parameter->prior_value);
}

/* Returns whether the parameter has no faults so far. */
static bool
decode_parameter(const json_t *json, const char *pointer, struct assay_faults *faults,
                 struct assay_parameter *parameter, const json_t **ret_when)
{
    struct parameter_file file = {.type = -1, .scale = -1, .min = NAN, .max = NAN, .step = NAN};
    size_t before = faults->count;

    parameter->default_value = NAN;
    parameter->prior_value = NAN;
    assay_decode_object(json, pointer, parameter_fields, ASSAY_COUNT(parameter_fields), &file,
                        faults);
    parameter->name = file.name;
    *ret_when = file.when;
    if (file.type < 0)
        return false;
    parameter->type = (enum assay_parameter_type)file.type;
    switch (parameter->type) {
    case ASSAY_PARAMETER_DOUBLE:
    case ASSAY_PARAMETER_INT:
        decode_range(&file, json, pointer, faults, parameter);
        break;
    case ASSAY_PARAMETER_BOOL:
        decode_bool(json, pointer, faults, parameter);
        break;
    default:
        decode_choices(&file, json, pointer, faults, parameter);
    }
    if (faults->count == before && file.default_value != NULL) {
        assay_auto_free char *at = assay_pointer_key(pointer, "default");

        if (!assay_parameter_decode(parameter, file.default_value, at, faults,
                                    &parameter->default_value))
            return false;
    }
    if (faults->count == before && file.prior != NULL)
        decode_prior(file.prior, pointer, faults, parameter);
    return faults->count == before;
}

static void
check_duplicate(const struct assay_parameter *parameter, size_t index, const char *pointer,
                json_t *seen, struct assay_faults *faults)
{
    const json_t *first;

    if (parameter->name == NULL)
        return;
    first = json_object_get(seen, parameter->name);
    if (first != NULL) {
        assay_auto_free char *at = assay_pointer_key(pointer, "name");
        json_auto_t *found = json_string(parameter->name);

        assay_fault_add(faults, at, found, NULL,
                        "parameter %" JSON_INTEGER_FORMAT " has this name already",
                        json_integer_value(first));
    } else {
        json_object_set_new(seen, parameter->name, json_integer((json_int_t)index));
    }
}

struct assay_space *
assay_space_decode(const json_t *parameters, const char *pointer, struct assay_faults *faults)
{
    size_t before = faults->count, n = json_array_size(parameters);
    json_auto_t *seen = json_object();
    struct assay_space *space;
    const json_t **whens;
    bool *usable;

    if (!json_is_array(parameters)) {
        assay_fault_type(faults, pointer, parameters, "an array of parameters");
        return NULL;
    }
    if (n == 0 || n > ASSAY_SPACE_PARAMETERS_MAX) {
        assay_fault_add(faults, pointer, NULL, "1 to 1000 parameters",
                        n == 0 ? "there are no parameters" : "there are too many parameters");
        return NULL;
    }
    space = ASSAY_NEW(struct assay_space);
    space->parameters = assay_zalloc(n, sizeof *space->parameters);
    space->n_parameters = n;
    whens = assay_zalloc(n, sizeof *whens);
    usable = assay_zalloc(n, sizeof *usable);
    for (size_t i = 0; i < n; i++) {
        assay_auto_free char *at = assay_pointer_index(pointer, i);

        usable[i] = decode_parameter(json_array_get(parameters, i), at, faults,
                                     &space->parameters[i], &whens[i]);
        check_duplicate(&space->parameters[i], i, at, seen, faults);
    }
    assay__space_decode_conditions(space, whens, usable, pointer, faults);
    free(whens);
    free(usable);
    return faults->count == before ? space : assay_space_free(space);
}

/* spec.parameters of an Experiment: all values are strings there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/katib/katib_internal.h"

static const char *const types[] = {"double", "int", "discrete", "categorical", "unknown", NULL};
enum type { DOUBLE, INT, DISCRETE, CATEGORICAL, UNKNOWN };

static const char *const distributions[] = {"uniform",   "logUniform", "normal",
                                            "logNormal", "unknown",    NULL};
enum distribution { UNIFORM, LOG_UNIFORM, NORMAL, LOG_NORMAL, NO_DISTRIBUTION };

struct parameter_file {
    char *name;
    int type; /* -1: not given */
    const json_t *space;
};

static const struct assay_field parameter_fields[] = {
    {.key = "name", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED, .min = 1.0,
     .max = 128.0, .offset = offsetof(struct parameter_file, name)},
    {.key = "parameterType", .kind = ASSAY_FIELD_ENUM, .flags = ASSAY_FIELD_REQUIRED,
     .names = types, .offset = offsetof(struct parameter_file, type)},
    {.key = "feasibleSpace", .kind = ASSAY_FIELD_OBJECT, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct parameter_file, space)},
};

struct space_file {
    const json_t *min, *max, *step, *list;
    int distribution;
};

static const struct assay_field space_fields[] = {
    {.key = "min", .kind = ASSAY_FIELD_ANY, .offset = offsetof(struct space_file, min)},
    {.key = "max", .kind = ASSAY_FIELD_ANY, .offset = offsetof(struct space_file, max)},
    {.key = "step", .kind = ASSAY_FIELD_ANY, .offset = offsetof(struct space_file, step)},
    {.key = "list", .kind = ASSAY_FIELD_ARRAY, .offset = offsetof(struct space_file, list)},
    {.key = "distribution", .kind = ASSAY_FIELD_ENUM, .names = distributions,
     .offset = offsetof(struct space_file, distribution)},
};

/* Katib's strings; "" counts as left out, as it does in Go. */
static bool
given(const json_t *value)
{
    return value != NULL && !(json_is_string(value) && json_string_length(value) == 0);
}

/* Reads a number at pointer/key into the parameter.  False with a fault. */
static bool
read_number(struct assay_translation *t, const json_t *value, const char *pointer, const char *key,
            bool whole, json_t *parameter, double *ret_number)
{
    assay_auto_free char *text = assay_json_scalar_text(value);

    if (text == NULL || !assay_parse_double(text, ret_number) || !isfinite(*ret_number) ||
        (whole && (*ret_number != floor(*ret_number) || fabs(*ret_number) > ASSAY_INT_EXACT))) {
        assay__fault_at(t, pointer, key, value,
                        whole ? "a whole number as a string" : "a number as a string",
                        "%s is not a %snumber", key, whole ? "whole " : "");
        return false;
    }
    json_object_set_new(parameter, key, assay_json_number(*ret_number));
    return true;
}

/* The middle of the range becomes what the user expects: Katib's normal distributions have
 * their mean there and a sixth of the range as their deviation. */
static void
read_distribution(struct assay_katib *k, const struct space_file *file, double min, double max,
                  bool whole, const char *pointer, json_t *parameter)
{
    bool log = file->distribution == LOG_UNIFORM || file->distribution == LOG_NORMAL;
    assay_auto_free char *at = assay_pointer_key(pointer, "distribution");
    double middle;

    if (log)
        json_object_set_new(parameter, "scale", json_string("log"));
    if (log && !(min > 0.0)) {
        assay__fault_at(k->t, pointer, "min", file->min, "a number greater than 0",
                        "min must be greater than 0 for a logarithmic distribution");
        json_object_del(parameter, "scale");
        return;
    }
    if (file->distribution != NORMAL && file->distribution != LOG_NORMAL)
        return;
    if (!k->priors) {
        assay__note(k->t, at,
                    "%s draws from the whole range evenly%s; a normal distribution would also "
                    "leave it",
                    k->algorithm != NULL ? k->algorithm : "the algorithm",
                    log ? " on a logarithmic scale" : "");
        return;
    }
    middle = log ? sqrt(min) * sqrt(max) : (min + max) / 2.0;
    if (whole)
        middle = floor(middle + 0.5);
    if (!(middle >= min && middle <= max))
        return;
    /* Not on the grid of a step it would be refused. */
    if (given(file->step)) {
        double step = json_number_value(json_object_get(parameter, "step"));

        if (step > 0.0)
            middle = min + floor((middle - min) / step + 1e-9) * step;
    }
    json_object_set_new(parameter, "prior",
                        json_pack("{s:o, s:s}", "value", assay_json_number(middle), "confidence",
                                  "high"));
    assay__note(k->t, at, "the middle of the range is where the best is expected at first");
}

static bool
translate_range(struct assay_katib *k, const struct space_file *file, bool whole,
                const char *pointer, json_t *parameter)
{
    struct assay_translation *t = k->t;
    double min = NAN, max = NAN, step;
    bool fine = true;

    if (json_array_size(file->list) > 0) {
        assay__fault_at(t, pointer, "list", NULL, "min and max",
                        "a range has no list; use discrete or categorical");
        fine = false;
    }
    if (!given(file->min) || !given(file->max)) {
        assay__fault_at(t, pointer, given(file->min) ? "max" : "min", NULL, "a number as a string",
                        "%s is missing: a range needs min and max",
                        given(file->min) ? "max" : "min");
        fine = false;
    }
    if (given(file->min) && !read_number(t, file->min, pointer, "min", whole, parameter, &min))
        fine = false;
    if (given(file->max) && !read_number(t, file->max, pointer, "max", whole, parameter, &max))
        fine = false;
    if (given(file->step) && !read_number(t, file->step, pointer, "step", whole, parameter, &step))
        fine = false;
    if (k->grid && !whole && !given(file->step)) {
        assay__fault_at(t, pointer, "step", NULL, "a number greater than 0",
                        "a grid needs the step of a double parameter");
        fine = false;
    }
    if (fine && min > max) {
        assay__fault_at(t, pointer, "min", file->min, "a number less than max",
                        "min is greater than max");
        fine = false;
    }
    if (fine)
        read_distribution(k, file, min, max, whole, pointer, parameter);
    return fine;
}

static bool
translate_list(struct assay_katib *k, const struct space_file *file, bool numbers,
               const char *pointer, json_t *parameter)
{
    static const char *const others[] = {"min", "max", "step"};
    const json_t *given_others[] = {file->min, file->max, file->step};
    struct assay_translation *t = k->t;
    size_t n = json_array_size(file->list);
    assay_auto_free double *values = assay_alloc(n + 1, sizeof *values);
    assay_auto_free char *at = assay_pointer_key(pointer, "list");
    json_t *list = json_array();
    bool fine = n > 0 && n <= ASSAY_PARAMETER_CHOICES_MAX;

    for (size_t i = 0; i < ASSAY_COUNT(others); i++) {
        if (given(given_others[i])) {
            assay__fault_at(t, pointer, others[i], given_others[i], "list", "a list has no %s",
                            others[i]);
            fine = false;
        }
    }
    if (n == 0)
        assay_fault_add(t->faults, at, NULL, "an array of strings", "list is missing or empty");
    else if (!fine && n > ASSAY_PARAMETER_CHOICES_MAX)
        assay_fault_add(t->faults, at, NULL, "at most 10000 values", "list is too long");
    for (size_t i = 0; i < n && n <= ASSAY_PARAMETER_CHOICES_MAX; i++) {
        const json_t *json = json_array_get(file->list, i);
        assay_auto_free char *text = assay_json_scalar_text(json);
        assay_auto_free char *item = assay_pointer_index(at, i);

        if (text == NULL) {
            assay_fault_type(t->faults, item, json, "a string");
            fine = false;
        } else if (!numbers) {
            json_array_append_new(list, json_string(text));
        } else if (!assay_parse_double(text, &values[i]) || !isfinite(values[i])) {
            assay_fault_add(t->faults, item, json, "a number as a string",
                            "the values of a discrete parameter are numbers; use categorical for "
                            "others");
            fine = false;
        }
    }
    if (numbers && fine) {
        qsort(values, n, sizeof *values, assay_compare_doubles);
        for (size_t i = 0; i < n; i++)
            json_array_append_new(list, assay_json_number(values[i]));
    }
    json_object_set_new(parameter, "values", list);
    return fine;
}

/* Says where the members of a parameter come from. */
static void
place_parameter(struct assay_translation *t, const char *to, const char *from, bool numbers)
{
    assay_auto_free char *space = assay_pointer_key(from, "feasibleSpace");
    assay_auto_free char *values = assay_pointer_key(to, "values");
    assay_auto_free char *list = assay_pointer_key(space, "list");
    assay_auto_free char *items = assay_format("%s/*", list);

    assay__place(t, to, from);
    assay__place_key(t, to, "name", from, "name");
    assay__place_key(t, to, "type", from, "parameterType");
    assay__place_key(t, to, "min", space, "min");
    assay__place_key(t, to, "max", space, "max");
    assay__place_key(t, to, "step", space, "step");
    assay__place_key(t, to, "scale", space, "distribution");
    assay__place_key(t, to, "prior", space, "distribution");
    assay__place(t, values, numbers ? list : items); /* numbers are in another order */
}

static void
translate_parameter(struct assay_katib *k, const json_t *json, const char *pointer,
                    json_t *parameters)
{
    static const char *const our_types[] = {"double", "int", "discrete", "categorical"};
    struct assay_translation *t = k->t;
    struct parameter_file file = {.type = -1};
    struct space_file space = {.distribution = UNIFORM};
    assay_auto_free char *at = assay_pointer_key(pointer, "feasibleSpace");
    assay_auto_free char *to = assay_format("/parameters/%zu", json_array_size(parameters));
    json_auto_t *parameter = json_object();
    bool fine = assay_decode_object(json, pointer, parameter_fields, ASSAY_COUNT(parameter_fields),
                                    &file, t->faults);

    if (file.name != NULL && k->resource != NULL && strcmp(file.name, k->resource) == 0) {
        free(file.name);
        return; /* the budget, whatever its range */
    }
    if (file.type == UNKNOWN) {
        assay__fault_at(t, pointer, "parameterType", json_object_get(json, "parameterType"),
                        "double, int, discrete or categorical",
                        "a parameter of unknown type can not be tuned");
        fine = false;
    }
    if (file.name != NULL)
        json_object_set_new(parameter, "name", json_string(file.name));
    if (file.type >= 0 && file.type != UNKNOWN)
        json_object_set_new(parameter, "type", json_string(our_types[file.type]));
    if (file.space != NULL) {
        fine &= assay_decode_object(file.space, at, space_fields, ASSAY_COUNT(space_fields), &space,
                                    t->faults);
        if (file.type == DOUBLE || file.type == INT)
            fine &= translate_range(k, &space, file.type == INT, at, parameter);
        else if (file.type == DISCRETE || file.type == CATEGORICAL)
            fine &= translate_list(k, &space, file.type == DISCRETE, at, parameter);
    }
    place_parameter(t, to, pointer, file.type == DISCRETE);
    if (fine)
        json_array_append(parameters, parameter);
    else
        assay__placeholder(parameters, file.name);
    free(file.name);
}

void
assay__katib_parameters(struct assay_katib *k)
{
    const json_t *list = k->spec.parameters;
    json_t *parameters = json_array();
    size_t n = json_array_size(list);

    json_object_set_new(k->t->study, "parameters", parameters);
    assay__place(k->t, "/parameters", "/spec/parameters");
    if (n == 0 || n > ASSAY_SPACE_PARAMETERS_MAX) {
        assay_fault_add(k->t->faults, "/spec/parameters", NULL, "1 to 1000 parameters",
                        n == 0 ? "there are no parameters" : "there are too many parameters");
        assay__placeholder(parameters, NULL);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        assay_auto_free char *at = assay_pointer_index("/spec/parameters", i);

        translate_parameter(k, json_array_get(list, i), at, parameters);
    }
    if (json_array_size(parameters) == 0)
        assay_fault_add(k->t->faults, "/spec/parameters", NULL, "another parameter",
                        "the resource of hyperband is the only parameter: there is nothing to "
                        "tune");
}

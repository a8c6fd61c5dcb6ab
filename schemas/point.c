#include "schemas/point.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/decode.h"
#include "schemas/space_internal.h"

bool
assay_point_active(const struct assay_space *space, const double *point, size_t i)
{
    const struct assay_parameter *parameter = &space->parameters[i];

    for (size_t j = 0; j < parameter->n_conditions; j++) {
        const struct assay_condition *condition = &parameter->conditions[j];

        if (!assay__condition_holds(condition, point[condition->parent]))
            return false;
    }
    return true;
}

/* --- from JSON --- */

static void
report_unknown(const struct assay_space *space, const json_t *parameters, const char *pointer,
               struct assay_faults *faults)
{
    const char **known = assay_zalloc(space->n_parameters + 1, sizeof *known);
    json_auto_t *names = json_object();
    const char *key;
    json_t *value;

    for (size_t i = 0; i < space->n_parameters; i++) {
        known[i] = space->parameters[i].name;
        json_object_set_new(names, known[i], json_true());
    }
    assay_json_each (parameters, key, value) {
        if (json_object_get(names, key) == NULL) {
            assay_auto_free char *at = assay_pointer_key(pointer, key);

            assay_fault_unknown(faults, at, value, "parameter", key, known);
        }
    }
    free(known);
}

/* What stands in for a value that is not given. */
enum fill { FILL_NOTHING, FILL_DEFAULT, FILL_MIDDLE };

static double
filled_value(const struct assay_parameter *parameter, enum fill fill)
{
    if (fill == FILL_MIDDLE)
        return assay_parameter_middle(parameter);
    return fill == FILL_DEFAULT ? parameter->default_value : NAN;
}

static void
decode_one(const struct assay_space *space, size_t i, const json_t *value, const char *pointer,
           enum fill fill, struct assay_faults *faults, double *point)
{
    const struct assay_parameter *parameter = &space->parameters[i];

    point[i] = NAN;
    if (!assay_point_active(space, point, i)) {
        if (value != NULL) {
            assay_auto_free char *at = assay_pointer_key(pointer, parameter->name);

            assay_fault_add(faults, at, value, NULL,
                            "\"%s\" is not active here: its condition does not hold",
                            parameter->name);
        }
        return;
    }
    if (value != NULL) {
        assay_auto_free char *at = assay_pointer_key(pointer, parameter->name);

        /* A faulty parent stays active with some value: one fault, not a chain. */
        if (!assay_parameter_decode(parameter, value, at, faults, &point[i]))
            point[i] = assay_parameter_middle(parameter);
        return;
    }
    point[i] = filled_value(parameter, fill);
    if (isnan(point[i])) {
        assay_auto_free char *at = assay_pointer_key(pointer, parameter->name);

        assay_fault_add(faults, at, NULL, NULL, "\"%s\" is missing", parameter->name);
    }
}

static bool
decode_point(const struct assay_space *space, const json_t *parameters, const char *pointer,
             enum fill fill, struct assay_faults *faults, double *ret_point)
{
    size_t before = faults->count, n_found = 0;
    double *point;

    if (!json_is_object(parameters)) {
        assay_fault_type(faults, pointer, parameters, "an object of parameter values");
        return false;
    }
    point = assay_alloc(space->n_parameters, sizeof *point);
    for (size_t k = 0; k < space->n_parameters; k++) {
        size_t i = space->order[k];
        const json_t *value = json_object_get(parameters, space->parameters[i].name);

        n_found += value != NULL;
        if (json_is_null(value))
            value = NULL;
        decode_one(space, i, value, pointer, fill, faults, point);
    }
    if (n_found < json_object_size(parameters))
        report_unknown(space, parameters, pointer, faults);
    if (faults->count == before)
        memcpy(ret_point, point, space->n_parameters * sizeof *point);
    free(point);
    return faults->count == before;
}

bool
assay_point_decode(const struct assay_space *space, const json_t *parameters, const char *pointer,
                   bool defaults_allowed, struct assay_faults *faults, double *ret_point)
{
    return decode_point(space, parameters, pointer, defaults_allowed ? FILL_DEFAULT : FILL_NOTHING,
                        faults, ret_point);
}

bool
assay_point_decode_part(const struct assay_space *space, const json_t *parameters,
                        const char *pointer, struct assay_faults *faults, double *ret_point)
{
    return decode_point(space, parameters, pointer, FILL_MIDDLE, faults, ret_point);
}

/* --- to JSON --- */

json_t *
assay_point_value(const struct assay_space *space, const double *point, size_t i)
{
    ASSAY_ASSERT(i < space->n_parameters);
    if (isnan(point[i]))
        return NULL;
    return assay__parameter_value_json(&space->parameters[i], point[i]);
}

json_t *
assay_point_encode(const struct assay_space *space, const double *point)
{
    json_t *json = json_object();

    for (size_t i = 0; i < space->n_parameters; i++) {
        if (!isnan(point[i]))
            json_object_set_new(json, space->parameters[i].name,
                                assay_point_value(space, point, i));
    }
    return json;
}

/* --- sameness --- */

/* A number that is the same for values that count as the same. */
static uint64_t
value_key(const struct assay_parameter *parameter, double value)
{
    uint64_t bits;

    if (isnan(value))
        return UINT64_MAX; /* a NaN, so no other value has it */
    if (!assay__parameter_is_choice(parameter) && assay__parameter_step(parameter) > 0.0 &&
        parameter->min < parameter->max)
        value = assay__parameter_grid_index(parameter, value);
    value += 0.0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

bool
assay_point_equal(const struct assay_space *space, const double *a, const double *b)
{
    for (size_t i = 0; i < space->n_parameters; i++) {
        if (value_key(&space->parameters[i], a[i]) != value_key(&space->parameters[i], b[i]))
            return false;
    }
    return true;
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t
mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

uint64_t
assay_point_hash(const struct assay_space *space, const double *point)
{
    uint64_t hash = space->n_parameters;

    for (size_t i = 0; i < space->n_parameters; i++)
        hash = mix(hash + UINT64_C(0x9E3779B97F4A7C15) +
                   value_key(&space->parameters[i], point[i]));
    return hash;
}

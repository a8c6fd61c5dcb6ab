#include "schemas/space.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/decode.h"
#include "schemas/space_internal.h"

const char *const assay__parameter_types[] = {"double", "int", "discrete", "categorical", "bool",
                                              NULL};
const char *const assay__scales[] = {"linear", "log", "reverse_log", NULL};
const char *const assay__confidences[] = {"low", "medium", "high", NULL};

const char *
assay_parameter_type_name(enum assay_parameter_type type)
{
    ASSAY_ASSERT((size_t)type < ASSAY_PARAMETER_TYPE_MAX_);
    return assay__parameter_types[type];
}

const char *
assay_scale_name(enum assay_scale scale)
{
    ASSAY_ASSERT((size_t)scale <= ASSAY_SCALE_REVERSE_LOG);
    return assay__scales[scale];
}

void
assay__parameter_done(struct assay_parameter *parameter)
{
    free(parameter->name);
    json_decref(parameter->choices);
    json_decref(parameter->choice_numbers);
    free(parameter->numbers);
    for (size_t i = 0; i < parameter->n_conditions; i++)
        free(parameter->conditions[i].values);
    free(parameter->conditions);
}

struct assay_space *
assay_space_free(struct assay_space *space)
{
    if (space == NULL)
        return NULL;
    for (size_t i = 0; i < space->n_parameters; i++)
        assay__parameter_done(&space->parameters[i]);
    free(space->parameters);
    free(space->order);
    free(space);
    return NULL;
}

ptrdiff_t
assay_space_find(const struct assay_space *space, const char *name)
{
    for (size_t i = 0; i < space->n_parameters; i++) {
        if (strcmp(space->parameters[i].name, name) == 0)
            return (ptrdiff_t)i;
    }
    return -1;
}

bool
assay__parameter_is_choice(const struct assay_parameter *parameter)
{
    return parameter->n_choices > 0;
}

double
assay__parameter_step(const struct assay_parameter *parameter)
{
    if (parameter->type == ASSAY_PARAMETER_INT && parameter->step == 0.0)
        return 1.0;
    return parameter->step;
}

/* --- values on the grid --- */

double
assay_parameter_cardinality(const struct assay_parameter *parameter)
{
    double step = assay__parameter_step(parameter), steps;

    if (assay__parameter_is_choice(parameter))
        return (double)parameter->n_choices;
    if (parameter->min == parameter->max)
        return 1.0;
    if (step == 0.0)
        return INFINITY;
    steps = (parameter->max - parameter->min) / step;
    /* 0.6 / 0.1 is a little less than 6. */
    if (parameter->type == ASSAY_PARAMETER_DOUBLE && fabs(steps - nearbyint(steps)) < 1e-6)
        return nearbyint(steps) + 1.0;
    return floor(steps) + 1.0;
}

double
assay__parameter_grid_value(const struct assay_parameter *parameter, double index)
{
    double value = parameter->min + index * assay__parameter_step(parameter);
    char text[64];

    if (parameter->type == ASSAY_PARAMETER_INT || index == 0.0)
        return value;
    /* 15 digits drop what the multiplication added; the same locale prints and reads. */
    snprintf(text, sizeof text, "%.15g", value);
    value = strtod(text, NULL);
    return fmin(fmax(value, parameter->min), parameter->max);
}

double
assay__parameter_grid_index(const struct assay_parameter *parameter, double value)
{
    double last = assay_parameter_cardinality(parameter) - 1.0;
    double index = nearbyint((value - parameter->min) / assay__parameter_step(parameter));

    return fmin(fmax(index, 0.0), last);
}

double
assay_parameter_snap(const struct assay_parameter *parameter, double value)
{
    if (assay__parameter_is_choice(parameter))
        return fmin(fmax(nearbyint(value), 0.0), (double)(parameter->n_choices - 1));
    if (assay__parameter_step(parameter) > 0.0 && parameter->min < parameter->max)
        return assay__parameter_grid_value(parameter,
                                           assay__parameter_grid_index(parameter, value));
    /* Adding 0 makes -0 the same value as 0. */
    return fmin(fmax(value, parameter->min), parameter->max) + 0.0;
}

double
assay_parameter_middle(const struct assay_parameter *parameter)
{
    double min = parameter->min, max = parameter->max, middle;

    if (!isnan(parameter->default_value))
        return parameter->default_value;
    if (assay__parameter_is_choice(parameter))
        return 0.0;
    switch (parameter->scale) {
    case ASSAY_SCALE_LOG:
        middle = exp((log(min) + log(max)) / 2.0);
        break;
    case ASSAY_SCALE_REVERSE_LOG:
        middle = max + min - exp((log(min) + log(max)) / 2.0);
        break;
    default:
        middle = min + (max - min) / 2.0;
    }
    return assay_parameter_snap(parameter, middle);
}

json_t *
assay__parameter_value_json(const struct assay_parameter *parameter, double value)
{
    if (assay__parameter_is_choice(parameter)) {
        ASSAY_ASSERT(value >= 0.0 && value < (double)parameter->n_choices);
        return json_incref(json_array_get(parameter->choices, (size_t)value));
    }
    if (parameter->type == ASSAY_PARAMETER_INT)
        return json_integer((json_int_t)value);
    return json_real(value);
}

json_t *
assay_space_texts(const struct assay_space *space, const json_t *parameters)
{
    json_t *texts = json_object();

    for (size_t i = 0; i < space->n_parameters; i++) {
        const char *name = space->parameters[i].name;
        assay_auto_free char *text = assay_json_scalar_text(json_object_get(parameters, name));

        json_object_set_new(texts, name, json_string(text != NULL ? text : ""));
    }
    return texts;
}

/* --- the normalised array --- */

static json_t *
encode_conditions(const struct assay_space *space, const struct assay_parameter *parameter)
{
    json_t *when = json_object();

    for (size_t i = 0; i < parameter->n_conditions; i++) {
        const struct assay_condition *condition = &parameter->conditions[i];
        const struct assay_parameter *parent = &space->parameters[condition->parent];
        json_t *allowed;

        if (condition->n_values > 0) {
            allowed = json_array();
            for (size_t j = 0; j < condition->n_values; j++)
                json_array_append_new(allowed,
                                      assay__parameter_value_json(parent, condition->values[j]));
        } else {
            allowed = json_object();
            json_object_set_new(allowed, "min",
                                assay__parameter_value_json(parent, condition->min));
            json_object_set_new(allowed, "max",
                                assay__parameter_value_json(parent, condition->max));
        }
        json_object_set_new(when, parent->name, allowed);
    }
    return when;
}

static json_t *
encode_parameter(const struct assay_space *space, const struct assay_parameter *parameter)
{
    json_t *json = json_object();

    json_object_set_new(json, "name", json_string(parameter->name));
    json_object_set_new(json, "type", json_string(assay_parameter_type_name(parameter->type)));
    if (!assay__parameter_is_choice(parameter)) {
        json_object_set_new(json, "min", assay__parameter_value_json(parameter, parameter->min));
        json_object_set_new(json, "max", assay__parameter_value_json(parameter, parameter->max));
        if (parameter->step > 0.0)
            json_object_set_new(json, "step", assay_json_number(parameter->step));
        if (parameter->scale != ASSAY_SCALE_LINEAR)
            json_object_set_new(json, "scale", json_string(assay_scale_name(parameter->scale)));
    } else if (parameter->type != ASSAY_PARAMETER_BOOL) {
        json_object_set(json, "values", parameter->choices);
    }
    if (!isnan(parameter->default_value))
        json_object_set_new(json, "default",
                            assay__parameter_value_json(parameter, parameter->default_value));
    if (!isnan(parameter->prior_value))
        json_object_set_new(
            json, "prior",
            json_pack("{s:o, s:s}", "value",
                      assay__parameter_value_json(parameter, parameter->prior_value), "confidence",
                      assay__confidences[parameter->prior_confidence]));
    if (parameter->n_conditions > 0)
        json_object_set_new(json, "when", encode_conditions(space, parameter));
    return json;
}

json_t *
assay_space_encode(const struct assay_space *space)
{
    json_t *list = json_array();

    for (size_t i = 0; i < space->n_parameters; i++)
        json_array_append_new(list, encode_parameter(space, &space->parameters[i]));
    return list;
}

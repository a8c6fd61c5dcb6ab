#include "suggest/transform.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

static bool
is_choice(const struct assay_plugin_parameter *parameter)
{
    return parameter->type != ASSAY_PLUGIN_DOUBLE && parameter->type != ASSAY_PLUGIN_INT;
}

static double
clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* The value on the inner scale, on which the share of the unit interval is even. */
static double
inner_of(const struct assay_plugin_parameter *parameter, double value)
{
    switch (parameter->scale) {
    case ASSAY_PLUGIN_LOG:
        return log(value);
    case ASSAY_PLUGIN_REVERSE_LOG:
        return -log(parameter->max - value + parameter->min);
    default:
        return value;
    }
}

static double
outer_of(const struct assay_plugin_parameter *parameter, double inner)
{
    switch (parameter->scale) {
    case ASSAY_PLUGIN_LOG:
        return exp(inner);
    case ASSAY_PLUGIN_REVERSE_LOG:
        return parameter->max - exp(-inner) + parameter->min;
    default:
        return inner;
    }
}

static struct assay_transform_dimension
edges_of(const struct assay_plugin_parameter *parameter, size_t i)
{
    double low = parameter->min, high = parameter->max;

    if (is_choice(parameter)) {
        low = 0.0;
        high = parameter->cardinality;
    } else if (parameter->step > 0.0) {
        double last = parameter->min + (parameter->cardinality - 1.0) * parameter->step;
        double half = parameter->step / 2.0;

        low = parameter->min - half;
        high = last + half;
        /* A logarithm needs the widened edge to stay above 0; half of the first
         * value is then as far on that scale as a step of its own size. */
        if (parameter->scale == ASSAY_PLUGIN_LOG && low <= 0.0)
            low = parameter->min / 2.0;
        if (parameter->scale == ASSAY_PLUGIN_REVERSE_LOG &&
            parameter->max - high + parameter->min <= 0.0)
            high = parameter->max + parameter->min / 2.0;
    }
    if (!is_choice(parameter)) {
        low = inner_of(parameter, low);
        high = inner_of(parameter, high);
    }
    return (struct assay_transform_dimension){.parameter = i, .low = low, .high = high};
}

void
assay_transform_init(struct assay_transform *transform, const struct assay_plugin_space *space)
{
    size_t n = space->n_parameters;

    *transform = (struct assay_transform){
        .space = space,
        .dimensions = assay_zalloc(n + 1, sizeof *transform->dimensions),
        .of_parameter = assay_zalloc(n + 1, sizeof *transform->of_parameter),
    };
    for (size_t i = 0; i < n; i++) {
        transform->of_parameter[i] = -1;
        if (space->parameters[i]->cardinality <= 1.0)
            continue;
        transform->of_parameter[i] = (ptrdiff_t)transform->n_dimensions;
        transform->dimensions[transform->n_dimensions++] = edges_of(space->parameters[i], i);
    }
}

void
assay_transform_done(struct assay_transform *transform)
{
    free(transform->dimensions);
    free(transform->of_parameter);
    *transform = (struct assay_transform){0};
}

double
assay_transform_value(const struct assay_transform *transform, size_t dimension, double unit)
{
    const struct assay_transform_dimension *edges = &transform->dimensions[dimension];
    const struct assay_plugin_parameter *parameter = transform->space->parameters[edges->parameter];
    double inner;

    ASSAY_ASSERT(!isnan(unit));
    unit = clamp(unit, 0.0, 1.0);
    if (is_choice(parameter))
        return clamp(floor(unit * parameter->cardinality), 0.0, parameter->cardinality - 1.0);
    /* Weighted rather than low + unit * (high - low), whose difference may overflow. */
    inner = (1.0 - unit) * edges->low + unit * edges->high;
    return assay_view_snap(transform->space, edges->parameter, outer_of(parameter, inner));
}

double
assay_transform_unit(const struct assay_transform *transform, size_t dimension, double value)
{
    const struct assay_transform_dimension *edges = &transform->dimensions[dimension];
    const struct assay_plugin_parameter *parameter = transform->space->parameters[edges->parameter];
    double inner;

    if (is_choice(parameter))
        return (value + 0.5) / parameter->cardinality;
    inner = inner_of(parameter, clamp(value, parameter->min, parameter->max));
    /* Halved first for the same reason as above. */
    return clamp((inner / 2.0 - edges->low / 2.0) / (edges->high / 2.0 - edges->low / 2.0), 0.0,
                 1.0);
}

void
assay_transform_decode(const struct assay_transform *transform, const double *unit,
                       double *ret_point)
{
    const struct assay_plugin_space *space = transform->space;

    for (size_t k = 0; k < space->n_parameters; k++) {
        size_t i = space->order[k];
        ptrdiff_t dimension = transform->of_parameter[i];

        if (!assay_view_active(space, ret_point, i))
            ret_point[i] = NAN;
        else if (dimension < 0)
            ret_point[i] = assay_view_snap(space, i, space->parameters[i]->min);
        else
            ret_point[i] = assay_transform_value(transform, (size_t)dimension, unit[dimension]);
    }
}

void
assay_transform_encode(const struct assay_transform *transform, const double *point,
                       double *ret_unit)
{
    for (size_t d = 0; d < transform->n_dimensions; d++) {
        double value = point[transform->dimensions[d].parameter];

        ret_unit[d] = isnan(value) ? 0.5 : assay_transform_unit(transform, d, value);
    }
}

void
assay_transform_centre(const struct assay_transform *transform, double *ret_point)
{
    const struct assay_plugin_space *space = transform->space;

    for (size_t k = 0; k < space->n_parameters; k++) {
        size_t i = space->order[k];

        ret_point[i] = assay_view_active(space, ret_point, i) ? space->parameters[i]->middle : NAN;
    }
}

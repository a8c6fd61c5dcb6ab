#include "suggest/algorithms/nsga2/variation.h"

#include <math.h>

void
assay_nsga2_encode(const struct assay_transform *transform, const double *point,
                   double *ret_coordinates)
{
    for (size_t d = 0; d < transform->n_dimensions; d++) {
        double value = point[transform->dimensions[d].parameter];

        ret_coordinates[d] = isnan(value) ? NAN : assay_transform_unit(transform, d, value);
    }
}

static const struct assay_plugin_parameter *
parameter_of(const struct assay_transform *transform, size_t d)
{
    return transform->space->parameters[transform->dimensions[d].parameter];
}

static bool
is_unordered(const struct assay_plugin_parameter *parameter)
{
    return parameter->type == ASSAY_PLUGIN_CATEGORICAL || parameter->type == ASSAY_PLUGIN_BOOL;
}

/* One of the two children of x and y, the one nearer to x. */
static double
cross_numbers(double x, double y, double index, struct assay_random *random)
{
    double low = fmin(x, y), high = fmax(x, y), gap = high - low, u, edge, alpha, spread;

    if (gap < 1e-14)
        return x;
    /* So spread that no child leaves the unit interval. */
    edge = x <= y ? low : 1.0 - high;
    alpha = 2.0 - pow(1.0 + 2.0 * edge / gap, -(index + 1.0));
    u = assay_random_unit(random);
    if (u <= 1.0 / alpha)
        spread = pow(u * alpha, 1.0 / (index + 1.0));
    else
        spread = pow(1.0 / (2.0 - u * alpha), 1.0 / (index + 1.0));
    spread *= gap / 2.0;
    return x <= y ? (low + high) / 2.0 - spread : (low + high) / 2.0 + spread;
}

static double
mutate_number(double x, double index, struct assay_random *random)
{
    double u = assay_random_unit(random), power = 1.0 / (index + 1.0);

    if (u < 0.5)
        return x + pow(2.0 * u + (1.0 - 2.0 * u) * pow(1.0 - x, index + 1.0), power) - 1.0;
    return x + 1.0 - pow(2.0 * (1.0 - u) + (2.0 * u - 1.0) * pow(x, index + 1.0), power);
}

/* A number with few values moves at least one on, to the side on which it was going. */
static double
mutate(const struct assay_nsga2_variation *variation, size_t d, double x,
       struct assay_random *random)
{
    const struct assay_transform *transform = variation->transform;
    const struct assay_plugin_parameter *parameter = parameter_of(transform, d);
    size_t i = transform->dimensions[d].parameter;
    double mutated, before, next;

    if (is_unordered(parameter)) {
        double others = parameter->cardinality - 1.0;
        double index = fmin(floor(x * parameter->cardinality), others);

        next = floor(assay_random_unit(random) * others);
        return (fmin(next, others - 1.0) + (next >= index ? 1.0 : 0.0) + 0.5) /
               parameter->cardinality;
    }
    mutated = fmin(fmax(mutate_number(x, variation->mutation_index, random), 0.0), 1.0);
    if (isinf(parameter->cardinality))
        return mutated;
    before = assay_transform_value(transform, d, x);
    if (assay_transform_value(transform, d, mutated) != before)
        return mutated;
    next = assay_view_snap(transform->space, i,
                           before + (mutated < x ? -parameter->step : parameter->step));
    if (next == before)
        next = assay_view_snap(transform->space, i,
                               before + (mutated < x ? parameter->step : -parameter->step));
    return assay_transform_unit(transform, d, next);
}

void
assay_nsga2_cross(const struct assay_nsga2_variation *variation, const double *mother,
                  const double *father, double strength, struct assay_random *random,
                  double *ret_child)
{
    bool mixes = assay_random_unit(random) < variation->crossover;

    for (size_t d = 0; d < variation->transform->n_dimensions; d++) {
        double x = mother[d], y = father[d];

        if (mixes && !isnan(x) && !isnan(y) && assay_random_unit(random) < 0.5) {
            if (is_unordered(parameter_of(variation->transform, d)))
                x = y;
            else
                x = cross_numbers(x, y, variation->crossover_index, random);
        } else if (isnan(x)) {
            x = isnan(y) ? assay_random_unit(random) : y;
        }
        if (assay_random_unit(random) < variation->mutation * strength)
            x = mutate(variation, d, x, random);
        ret_child[d] = fmin(fmax(x, 0.0), 1.0);
    }
}

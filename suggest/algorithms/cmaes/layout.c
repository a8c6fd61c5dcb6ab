#include "suggest/algorithms/cmaes/parts.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

static bool
is_unordered(const struct assay_transform *transform, size_t d)
{
    uint32_t type = transform->space->parameters[transform->dimensions[d].parameter]->type;

    return type == ASSAY_PLUGIN_CATEGORICAL || type == ASSAY_PLUGIN_BOOL;
}

double
assay__cmaes_value_of_choice(const struct assay_transform *transform, size_t d, size_t v)
{
    size_t i = transform->dimensions[d].parameter;
    const struct assay_plugin_parameter *parameter = transform->space->parameters[i];

    return is_unordered(transform, d)
               ? (double)v
               : assay_view_snap(transform->space, i, v == 0 ? parameter->min : parameter->max);
}

void
assay_cmaes_layout_init(struct assay_cmaes_layout *layout, const struct assay_transform *transform,
                        uint64_t seed, size_t n_population)
{
    size_t n = transform->n_dimensions;

    *layout = (struct assay_cmaes_layout){
        .transform = transform,
        .seed = seed,
        .n_dimensions = n,
        .dimensions = assay_zalloc(n + 1, sizeof *layout->dimensions),
    };
    for (size_t d = 0; d < n; d++) {
        const struct assay_plugin_parameter *parameter =
            transform->space->parameters[transform->dimensions[d].parameter];
        struct assay_cmaes_dimension *dimension = &layout->dimensions[d];

        dimension->dimension = d;
        /* Two values have no order to speak of. */
        dimension->choice = is_unordered(transform, d) || parameter->cardinality <= 2.0;
        if (!isinf(parameter->cardinality) && parameter->cardinality < 1e9)
            dimension->n_values = (size_t)parameter->cardinality;
        if (dimension->choice) {
            dimension->index = layout->n_probabilities;
            layout->n_probabilities += dimension->n_values;
            layout->n_choices++;
        } else {
            dimension->index = layout->n_numbers++;
        }
        layout->n_discrete += dimension->n_values > 0;
    }
    layout->n_population = n_population;
    if (n_population == 0)
        layout->n_population =
            5 + (size_t)log(fmax(1.0, (double)(layout->n_numbers + layout->n_choices)));
}

void
assay_cmaes_layout_done(struct assay_cmaes_layout *layout)
{
    free(layout->dimensions);
    *layout = (struct assay_cmaes_layout){0};
}

size_t
assay_cmaes_strategy_bytes(const struct assay_cmaes_layout *layout)
{
    size_t n = layout->n_numbers;

    return sizeof(struct assay_cmaes_strategy) +
           (3 * n + 2 * n * n + layout->n_probabilities) * sizeof(double);
}

void
assay_cmaes_encode(const struct assay_cmaes_layout *layout, const double *point,
                   double *ret_coordinates)
{
    const struct assay_transform *transform = layout->transform;

    for (size_t d = 0; d < layout->n_dimensions; d++) {
        size_t i = transform->dimensions[d].parameter;

        if (isnan(point[i]))
            ret_coordinates[d] = NAN;
        else if (is_unordered(transform, d))
            ret_coordinates[d] = point[i];
        else if (layout->dimensions[d].choice)
            ret_coordinates[d] =
                point[i] == assay__cmaes_value_of_choice(transform, d, 0) ? 0.0 : 1.0;
        else
            ret_coordinates[d] = assay_transform_unit(transform, d, point[i]);
    }
}

int
assay_cmaes_compare(const struct assay_cmaes_trial *a, const struct assay_cmaes_trial *b)
{
    if (a->standing != b->standing)
        return a->standing < b->standing ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    if (a->second != b->second)
        return a->second < b->second ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

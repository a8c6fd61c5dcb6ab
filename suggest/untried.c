#include "suggest/untried.h"

#include <math.h>

#include "common/memory.h"

/* By then all but one in 2^64 draws would have hit a space half full. */
#define DRAWS_MAX 64

bool
assay_untried(const struct assay_history *history, const struct assay_batch *batch,
              const struct assay_plugin_space *space, const double *point)
{
    for (size_t i = 0; i < batch->n_given; i++) {
        if (assay_view_equal(space, batch->given[i]->point, point))
            return false;
    }
    return !assay_history_tried(history, point);
}

bool
assay_exhausted(const struct assay_history *history, const struct assay_batch *batch,
                const struct assay_plugin_space *space)
{
    return (double)(assay_history_distinct(history) + batch->n_given) >= space->cardinality;
}

static double
first_value(const struct assay_transform *transform, size_t i, struct assay_random *random)
{
    const struct assay_plugin_parameter *parameter = transform->space->parameters[i];
    ptrdiff_t dimension = transform->of_parameter[i];

    if (dimension >= 0 && isinf(parameter->cardinality))
        return assay_transform_value(transform, (size_t)dimension, assay_random_unit(random));
    return assay_view_snap(transform->space, i, parameter->min);
}

/* Sets positions k and up of the order to their first values. */
static void
reset_from(const struct assay_transform *transform, size_t k, double *point,
           struct assay_random *random)
{
    const struct assay_plugin_space *space = transform->space;

    for (; k < space->n_parameters; k++) {
        size_t i = space->order[k];

        point[i] = assay_view_active(space, point, i) ? first_value(transform, i, random) : NAN;
    }
}

/* Goes on to the next point; after the last comes the first. */
static void
advance(const struct assay_transform *transform, double *point, struct assay_random *random)
{
    const struct assay_plugin_space *space = transform->space;

    for (size_t k = space->n_parameters; k-- > 0;) {
        size_t i = space->order[k];
        const struct assay_plugin_parameter *parameter = space->parameters[i];
        double next;

        if (isnan(point[i]) || isinf(parameter->cardinality) || parameter->cardinality <= 1.0)
            continue;
        next = assay_view_snap(space, i, point[i] + parameter->step);
        if (next > point[i]) {
            point[i] = next;
            reset_from(transform, k + 1, point, random);
            return;
        }
    }
    reset_from(transform, 0, point, random);
}

bool
assay_untried_draw(const struct assay_transform *transform, const struct assay_history *history,
                   const struct assay_batch *batch, struct assay_random *random, double *ret_point)
{
    const struct assay_plugin_space *space = transform->space;
    size_t n = space->n_parameters, tried = assay_history_distinct(history) + batch->n_given;
    assay_auto_free double *unit = assay_alloc(transform->n_dimensions + 1, sizeof *unit);
    assay_auto_free double *point = assay_alloc(n + 1, sizeof *point);
    bool found = false;

    if (assay_exhausted(history, batch, space))
        return false;
    for (size_t draw = 0; draw < DRAWS_MAX && !found; draw++) {
        for (size_t d = 0; d < transform->n_dimensions; d++)
            unit[d] = assay_random_unit(random);
        assay_transform_decode(transform, unit, point);
        found = assay_untried(history, batch, space, point);
    }
    /* The walk meets a different point at each step until it is round, so an
     * untried one, if there is any, within one more step than there are tried. */
    for (size_t step = 0; step <= tried && !found; step++) {
        advance(transform, point, random);
        found = assay_untried(history, batch, space, point);
    }
    if (found)
        memcpy(ret_point, point, n * sizeof *point);
    return found;
}

#include "suggest/algorithms/bayesian/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define CHANGES_MAX 6
/* Starts that are gone on from: as long as that is cheap, and then. */
#define CHANGED_STARTS 8
#define CHANGED_STARTS_LATER 4
#define CHEAP_ROWS 150
/* Starts closer together than this, in lengthscales squared, are taken for one. */
#define SAME_SQUARE 1e-6
#define GAIN_MIN 1e-6
/* Choices of a parameter tried in one go, random ones when there are more; and numbers
 * held for all changes of all parameters. */
#define CHOICES_TRIED 64
#define CHANGES_NUMBERS_MAX 4000000
/* How far such a number is moved at once, in steps; a power of two. */
#define STEPS_MAX 256.0

/* --- 4. parameters with values --- */

static void
add_change(struct assay_gp_maximiser *m, struct assay_gp_pool *pool, const double *unit, size_t d,
           double to)
{
    double *changed;

    if (pool->n >= pool->room)
        return;
    changed = assay_gp_pool_unit(m, pool, pool->n++);
    memcpy(changed, unit, m->n_dimensions * sizeof *changed);
    changed[d] = to;
}

/* Every other value when they are few or without order, else those 1, 2, 4, ... steps
 * away. */
static void
add_changes(struct assay_gp_maximiser *m, struct assay_gp_pool *pool, const double *unit, size_t d)
{
    const struct assay_gp_dimension *dimension = &m->features->dimensions[d];
    const struct assay_transform *transform = m->features->transform;
    const struct assay_plugin_parameter *parameter =
        transform->space->parameters[dimension->parameter];
    double at = m->point[dimension->parameter];

    if (dimension->kind == ASSAY_GP_CHOICE && dimension->values > CHOICES_TRIED) {
        for (size_t i = 0; i < CHOICES_TRIED; i++)
            add_change(m, pool, unit, d, assay_random_unit(m->random));
        return;
    }
    if (dimension->kind == ASSAY_GP_CHOICE || dimension->values <= ASSAY_GP_RELAXED_FROM) {
        for (double v = 0.0; v < dimension->values; v++) {
            double value = parameter->min + v * parameter->step;

            if (fabs(value - at) > 0.5 * parameter->step)
                add_change(m, pool, unit, d, assay_transform_unit(transform, d, value));
        }
        return;
    }
    for (double steps = 1.0; steps < dimension->values && steps <= STEPS_MAX; steps *= 2.0) {
        double move = steps * parameter->step;

        if (at - move >= parameter->min)
            add_change(m, pool, unit, d, assay_transform_unit(transform, d, at - move));
        if (at + move <= parameter->max)
            add_change(m, pool, unit, d, assay_transform_unit(transform, d, at + move));
    }
}

/* The best single change of each start, taken where it gains; false when none does. */
static bool
change_once(struct assay_gp_maximiser *m, struct assay_gp_pool *changes, bool *settled)
{
    bool any = false;

    changes->n = 0;
    for (size_t r = 0; r < m->starts.n; r++) {
        size_t from = changes->n, best = SIZE_MAX, first;
        double *unit = assay_gp_pool_unit(m, &m->starts, r);

        if (settled[r])
            continue;
        assay_gp_maximiser_scale(m, unit, &m->starts.scaled[r * m->n_columns]); /* for m->point */
        /* From anywhere on, as there may not be room for all. */
        first = (size_t)assay_random_below(m->random, m->n_dimensions);
        for (size_t i = 0; i < m->n_dimensions; i++) {
            size_t d = (first + i) % m->n_dimensions;

            if (m->features->dimensions[d].kind != ASSAY_GP_CONTINUOUS &&
                !isnan(m->point[m->features->dimensions[d].parameter]))
                add_changes(m, changes, unit, d);
        }
        settled[r] = true;
        if (changes->n == from)
            continue;
        assay_gp_maximiser_evaluate(m, changes, from);
        for (size_t i = from; i < changes->n; i++) {
            if (best == SIZE_MAX || changes->worths[i] > changes->worths[best])
                best = i;
        }
        if (changes->worths[best] > m->starts.worths[r] + GAIN_MIN) {
            memcpy(unit, assay_gp_pool_unit(m, changes, best), m->n_dimensions * sizeof *unit);
            memcpy(&m->starts.scaled[r * m->n_columns], &changes->scaled[best * m->n_columns],
                   m->n_columns * sizeof(double));
            m->starts.worths[r] = changes->worths[best];
            settled[r] = false;
            m->moved[r] = true;
            any = true;
        }
        changes->n = from;
    }
    return any;
}

static bool
is_same(const struct assay_gp_maximiser *m, size_t a, size_t b)
{
    double square = 0.0;

    for (size_t c = 0; c < m->n_columns; c++) {
        double apart =
            m->starts.scaled[a * m->n_columns + c] - m->starts.scaled[b * m->n_columns + c];

        square += apart * apart;
    }
    return square < SAME_SQUARE;
}

/* All but the best starts that differ from each other are settled. */
static void
settle_others(const struct assay_gp_maximiser *m, bool *ret_settled)
{
    assay_auto_free size_t *order = assay_gp_pool_order(&m->starts);
    size_t open[CHANGED_STARTS], n = 0;
    size_t most = m->worth->n_rows <= CHEAP_ROWS ? CHANGED_STARTS : CHANGED_STARTS_LATER;

    for (size_t i = 0; i < m->starts.n; i++) {
        bool settled = n == most;

        for (size_t k = 0; k < n && !settled; k++)
            settled = is_same(m, order[i], open[k]);
        ret_settled[order[i]] = settled;
        if (!settled)
            open[n++] = order[i];
    }
}

/* Whether anything changed. */
bool
assay_gp_change(struct assay_gp_maximiser *m, struct assay_gp_pool *changes)
{
    assay_auto_free bool *settled = assay_alloc(m->starts.n + 1, sizeof *settled);
    bool any = false;

    settle_others(m, settled);
    memset(m->moved, 0, m->starts.n * sizeof *m->moved);
    for (unsigned i = 0; i < CHANGES_MAX && change_once(m, changes, settled); i++)
        any = true;
    return any;
}

size_t
assay_gp_count_changes(const struct assay_gp_maximiser *m)
{
    size_t n = 0;

    for (size_t d = 0; d < m->n_dimensions; d++) {
        const struct assay_gp_dimension *dimension = &m->features->dimensions[d];

        if (dimension->kind == ASSAY_GP_CHOICE || dimension->values <= ASSAY_GP_RELAXED_FROM)
            n += (size_t)fmin(dimension->values, CHOICES_TRIED);
        else if (dimension->kind == ASSAY_GP_STEPPED)
            n += 18;
    }
    return ASSAY_MIN(n, CHANGES_NUMBERS_MAX / (m->n_columns + m->n_dimensions + 1));
}

#include "suggest/algorithms/bayesian/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define SPREAD_CANDIDATES 512
#define NEAR_CANDIDATES 256
#define NEAR_TRIALS 5
#define TRIAL_STARTS 2 /* with one objective */
/* With more rows than ASSAY_GP_SCREEN_ROWS, standard deviations are worked out only for
 * the candidates with the best means and an equal number of others. */
#define SCREEN_KEPT 128

/* --- 1. candidates --- */

/* Sobol' points with a random digital shift. */
static void
add_spread(struct assay_gp_maximiser *m)
{
    assay_auto_free uint32_t *shifts = assay_alloc(m->n_dimensions + 1, sizeof *shifts);

    for (size_t d = 0; d < m->n_dimensions; d++)
        shifts[d] = assay_random_u32(m->random);
    for (uint32_t i = 0; i < SPREAD_CANDIDATES; i++) {
        double *unit = assay_gp_pool_unit(m, &m->candidates, m->candidates.n++);

        for (size_t d = 0; d < m->n_dimensions; d++)
            unit[d] = ((assay_sobol_digits(m->search->sequence, d, i) ^ shifts[d]) + 0.5) * 0x1p-32;
    }
}

/* The place of a trial; parameters that are not active there stand anywhere. */
static void
unit_of_row(struct assay_gp_maximiser *m, size_t row, double *ret_unit)
{
    const double *point = m->search->model->data.trials[row]->point;

    assay_transform_encode(m->features->transform, point, ret_unit);
    for (size_t d = 0; d < m->n_dimensions; d++) {
        if (isnan(point[m->features->dimensions[d].parameter]))
            ret_unit[d] = assay_random_unit(m->random);
    }
}

static double
perturbed(struct assay_gp_maximiser *m, size_t d, double unit, double width)
{
    const struct assay_gp_dimension *dimension = &m->features->dimensions[d];

    if (dimension->kind == ASSAY_GP_CHOICE)
        return assay_random_unit(m->random);
    unit += width * assay_random_normal(m->random);
    unit = unit < 0.0 ? -unit : unit > 1.0 ? 2.0 - unit : unit;
    return fmin(fmax(unit, 0.0), 1.0);
}

/* Points near the best trials: some parameters moved, near or far. */
static void
add_near(struct assay_gp_maximiser *m)
{
    size_t rows[NEAR_TRIALS];
    size_t n = assay_gp_model_best(m->search->model, NEAR_TRIALS, m->random, rows);

    for (size_t i = 0; i < NEAR_CANDIDATES && n > 0; i++) {
        double *unit = assay_gp_pool_unit(m, &m->candidates, m->candidates.n++);
        double width = pow(10.0, -2.5 + 2.0 * assay_random_unit(m->random));
        double share = i % 2 == 0 ? 1.0 : fmax(0.2, 1.0 / (double)m->n_dimensions);
        size_t certain = (size_t)assay_random_below(m->random, m->n_dimensions);

        unit_of_row(m, rows[i % n], unit);
        for (size_t d = 0; d < m->n_dimensions; d++) {
            bool choice = m->features->dimensions[d].kind == ASSAY_GP_CHOICE;

            if (d == certain || assay_random_unit(m->random) < (choice ? 0.2 * share : share))
                unit[d] = perturbed(m, d, unit[d], width);
        }
    }
}

/* Keeps the candidates with the lowest means, and as many random ones. */
static void
screen(struct assay_gp_maximiser *m)
{
    struct assay_gp_pool *pool = &m->candidates;
    struct assay_gp_pool kept;
    size_t *order;

    for (size_t i = 0; i < pool->n; i++)
        assay_gp_maximiser_scale(m, assay_gp_pool_unit(m, pool, i),
                                 &pool->scaled[i * m->n_columns]);
    assay_gp_worth_screen(m->worth, pool->scaled, pool->n, pool->worths);
    order = assay_gp_pool_order(pool);
    assay_gp_pool_init(&kept, m, 2 * SCREEN_KEPT);
    for (size_t i = 0; i < 2 * SCREEN_KEPT; i++) {
        size_t from =
            i < SCREEN_KEPT
                ? order[i]
                : order[SCREEN_KEPT + (size_t)assay_random_below(m->random, pool->n - SCREEN_KEPT)];

        memcpy(assay_gp_pool_unit(m, &kept, kept.n++), assay_gp_pool_unit(m, pool, from),
               m->n_dimensions * sizeof(double));
    }
    free(order);
    assay_gp_pool_done(pool);
    *pool = kept;
}

/* --- 2. starts --- */

static void
add_start(struct assay_gp_maximiser *m, const double *unit)
{
    memcpy(assay_gp_pool_unit(m, &m->starts, m->starts.n++), unit, m->n_dimensions * sizeof *unit);
}

/* The best candidate and others drawn with probability exp(worth). */
void
assay_gp_choose_starts(struct assay_gp_maximiser *m, size_t wanted)
{
    struct assay_gp_pool *pool = &m->candidates;
    size_t *order = assay_gp_pool_order(pool), n = 0, rows[ASSAY_GP_TRIAL_STARTS];
    assay_auto_free double *weights = assay_alloc(pool->n + 1, sizeof *weights);

    for (size_t i = 0; i < pool->n; i++)
        weights[i] = exp(pool->worths[order[i]] - pool->worths[order[0]]);
    while (n < wanted) {
        double sum = 0.0, lot;
        size_t i = 0;

        for (size_t k = 0; k < pool->n; k++)
            sum += weights[k];
        if (!(sum > 0.0))
            break;
        lot = n == 0 ? 0.0 : sum * assay_random_unit(m->random);
        while (i + 1 < pool->n && (weights[i] <= 0.0 || (lot -= weights[i]) >= 0.0))
            i++;
        if (n == 0)
            i = 0;
        add_start(m, assay_gp_pool_unit(m, pool, order[i]));
        weights[i] = 0.0;
        n++;
    }
    free(order);
    n = m->worth->n_objectives > 1 ? ASSAY_GP_TRIAL_STARTS : TRIAL_STARTS;
    n = assay_gp_model_best(m->search->model, n, m->random, rows);
    for (size_t k = 0; k < n; k++)
        unit_of_row(m, rows[k], assay_gp_pool_unit(m, &m->starts, m->starts.n++));
}

void
assay_gp_find_candidates(struct assay_gp_maximiser *m)
{
    add_spread(m);
    add_near(m);
    if (m->worth->n_rows > ASSAY_GP_SCREEN_ROWS)
        screen(m);
    assay_gp_maximiser_evaluate(m, &m->candidates, 0);
}

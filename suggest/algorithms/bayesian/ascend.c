#include "suggest/algorithms/bayesian/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/lbfgs.h"
#include "suggest/host.h"

/* --- 3. continuous parameters --- */

/* One start's search: which dimensions move, in which box. */
struct ascent {
    struct assay_lbfgs lbfgs;
    size_t *dimensions;
    double *low, *high; /* of each */
};

static void
ascent_init(struct assay_gp_maximiser *m, struct ascent *ascent, size_t start, unsigned evaluations)
{
    const struct assay_lbfgs_limits limits = {
        .tolerance = 1e-3,
        .least_gain = 1e-4,
        .first_step = 0.2,
        .evaluations = evaluations,
    };
    const double *unit = assay_gp_pool_unit(m, &m->starts, start);
    assay_auto_free double *from = assay_alloc(m->n_dimensions + 1, sizeof *from);
    size_t n = 0;

    ascent->dimensions = assay_alloc(m->n_dimensions + 1, sizeof *ascent->dimensions);
    ascent->low = assay_zalloc(m->n_dimensions + 1, sizeof *ascent->low);
    ascent->high = assay_alloc(m->n_dimensions + 1, sizeof *ascent->high);
    assay_gp_maximiser_scale(m, unit, &m->starts.scaled[start * m->n_columns]); /* and m->point */
    for (size_t d = 0; d < m->n_dimensions; d++) {
        const struct assay_gp_dimension *dimension = &m->features->dimensions[d];
        double root = m->worth->roots[dimension->first];

        if (!assay_gp_is_relaxed(dimension) || isnan(m->point[dimension->parameter]))
            continue;
        ascent->dimensions[n] = d;
        ascent->high[n] = root;
        from[n++] = unit[d] * root;
    }
    assay_lbfgs_init(&ascent->lbfgs, n, from, ascent->low, ascent->high, &limits);
    ascent->lbfgs.done = n == 0 || !m->moved[start];
}

static void
ascent_done(struct ascent *ascent)
{
    assay_lbfgs_done(&ascent->lbfgs);
    free(ascent->dimensions);
    free(ascent->low);
    free(ascent->high);
}

/* Evaluates the trial points of all searches that go on; false when none does. */
static bool
ascend_once(struct assay_gp_maximiser *m, struct ascent *ascents, double *scaled, double *gradients,
            double *worths, double *gradient)
{
    size_t k = 0;

    for (size_t r = 0; r < m->starts.n; r++) {
        const struct ascent *ascent = &ascents[r];
        double *row = &scaled[k * m->n_columns];

        if (ascent->lbfgs.done)
            continue;
        memcpy(row, &m->starts.scaled[r * m->n_columns], m->n_columns * sizeof *row);
        for (size_t i = 0; i < ascent->lbfgs.n; i++)
            row[m->features->dimensions[ascent->dimensions[i]].first] = ascent->lbfgs.trial[i];
        k++;
    }
    if (k == 0)
        return false;
    assay_gp_worth_at(m->worth, scaled, k, worths, gradients);
    k = 0;
    for (size_t r = 0; r < m->starts.n; r++) {
        struct ascent *ascent = &ascents[r];

        if (ascent->lbfgs.done)
            continue;
        for (size_t i = 0; i < ascent->lbfgs.n; i++)
            gradient[i] =
                -gradients[k * m->n_columns + m->features->dimensions[ascent->dimensions[i]].first];
        assay_lbfgs_tell(&ascent->lbfgs, -worths[k], gradient);
        k++;
    }
    return true;
}

void
assay_gp_ascend(struct assay_gp_maximiser *m, unsigned evaluations)
{
    size_t n = m->starts.n, wide = n * m->n_columns;
    struct ascent *ascents = assay_zalloc(n + 1, sizeof *ascents);
    assay_auto_free double *work = assay_alloc(2 * wide + n + m->n_dimensions + 1, sizeof *work);

    for (size_t r = 0; r < n; r++)
        ascent_init(m, &ascents[r], r, evaluations);
    while (ascend_once(m, ascents, work, work + wide, work + 2 * wide, work + 2 * wide + n) &&
           !assay_host_table()->should_stop())
        ;
    for (size_t r = 0; r < n; r++) {
        double *unit = assay_gp_pool_unit(m, &m->starts, r);

        for (size_t i = 0; i < ascents[r].lbfgs.n; i++) {
            if (ascents[r].high[i] > 0.0)
                unit[ascents[r].dimensions[i]] =
                    fmin(ascents[r].lbfgs.x[i] / ascents[r].high[i], 1.0);
        }
        ascent_done(&ascents[r]);
    }
    free(ascents);
    assay_gp_maximiser_evaluate(m, &m->starts, 0);
}

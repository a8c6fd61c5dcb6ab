#include "suggest/algorithms/bayesian/maximise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/pool.h"
#include "suggest/host.h"

#define STARTS 8
#define STARTS_LARGE 4
#define ROUNDS 3

/* The best of the pool that has not been tried. */
static bool
take_best(struct assay_gp_maximiser *m, const struct assay_gp_pool *pool, double *ret_point,
          double *ret_worth, double *ret_scaled)
{
    size_t *order = assay_gp_pool_order(pool);
    bool found = false;

    for (size_t i = 0; i < pool->n && !found; i++) {
        size_t r = order[i];

        assay_transform_decode(m->features->transform, assay_gp_pool_unit(m, pool, r), m->point);
        found = assay_untried(m->search->history, m->search->batch, m->features->transform->space,
                              m->point);
        if (!found)
            continue;
        memcpy(ret_point, m->point,
               m->features->transform->space->n_parameters * sizeof *ret_point);
        memcpy(ret_scaled, &pool->scaled[r * m->n_columns], m->n_columns * sizeof *ret_scaled);
        *ret_worth = pool->worths[r];
    }
    free(order);
    return found;
}

static void
improve(struct assay_gp_maximiser *m)
{
    bool continuous = false, large = m->worth->n_rows > ASSAY_GP_SCREEN_ROWS;
    size_t n_changes = assay_gp_count_changes(m);
    struct assay_gp_pool changes;

    for (size_t r = 0; r < m->starts.n; r++)
        m->moved[r] = true;
    for (size_t d = 0; d < m->n_dimensions; d++)
        continuous = continuous || assay_gp_is_relaxed(&m->features->dimensions[d]);
    assay_gp_pool_init(&changes, m, n_changes + 1);
    assay_gp_maximiser_evaluate(m, &m->starts, 0);
    for (unsigned round = 0; round < (large ? ROUNDS - 1 : ROUNDS); round++) {
        if (continuous)
            assay_gp_ascend(m, n_changes == 0 ? 80 : 30);
        if (n_changes == 0 || !assay_gp_change(m, &changes) || assay_host_table()->should_stop())
            break;
    }
    assay_gp_pool_done(&changes);
}

enum assay_gp_found
assay_gp_maximise(const struct assay_gp_search *search, struct assay_random *random,
                  double *ret_point, double *ret_worth, double *ret_scaled)
{
    const struct assay_gp_features *features = search->model->features;
    struct assay_gp_maximiser m = {
        .search = search,
        .features = features,
        .worth = &search->model->worth,
        .random = random,
        .n_dimensions = features->n_dimensions,
        .n_columns = features->n_columns,
        .point = assay_alloc(features->transform->space->n_parameters + 1, sizeof(double)),
    };
    size_t starts = m.worth->n_rows > ASSAY_GP_SCREEN_ROWS ? STARTS_LARGE : STARTS;
    enum assay_gp_found result = ASSAY_GP_NONE_UNTRIED;

    assay_gp_pool_init(&m.candidates, &m, ASSAY_GP_CANDIDATES);
    assay_gp_pool_init(&m.starts, &m, starts + ASSAY_GP_TRIAL_STARTS);
    m.moved = assay_zalloc(starts + ASSAY_GP_TRIAL_STARTS, sizeof *m.moved);
    assay_gp_find_candidates(&m);
    assay_gp_choose_starts(&m, starts);
    improve(&m);
    if (assay_host_table()->should_stop())
        result = ASSAY_GP_INTERRUPTED;
    else if (take_best(&m, &m.starts, ret_point, ret_worth, ret_scaled) ||
             take_best(&m, &m.candidates, ret_point, ret_worth, ret_scaled))
        result = ASSAY_GP_FOUND;
    assay_gp_pool_done(&m.candidates);
    assay_gp_pool_done(&m.starts);
    free(m.point);
    free(m.moved);
    return result;
}

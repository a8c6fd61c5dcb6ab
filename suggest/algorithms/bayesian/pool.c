#include "suggest/algorithms/bayesian/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

void
assay_gp_pool_init(struct assay_gp_pool *pool, const struct assay_gp_maximiser *m, size_t room)
{
    *pool = (struct assay_gp_pool){
        .room = room,
        .units = assay_alloc(room * m->n_dimensions + 1, sizeof(double)),
        .scaled = assay_alloc(room * m->n_columns + 1, sizeof(double)),
        .worths = assay_alloc(room + 1, sizeof(double)),
    };
}

void
assay_gp_pool_done(struct assay_gp_pool *pool)
{
    free(pool->units);
    free(pool->scaled);
    free(pool->worths);
}

void
assay_gp_maximiser_scale(const struct assay_gp_maximiser *m, const double *unit, double *ret_scaled)
{
    assay_gp_features_of_unit(m->features, unit, m->point, ret_scaled);
    for (size_t c = 0; c < m->n_columns; c++)
        ret_scaled[c] *= m->worth->roots[c];
}

double *
assay_gp_pool_unit(const struct assay_gp_maximiser *m, const struct assay_gp_pool *pool, size_t i)
{
    return &pool->units[i * m->n_dimensions];
}

void
assay_gp_maximiser_evaluate(const struct assay_gp_maximiser *m, struct assay_gp_pool *pool,
                            size_t from)
{
    for (size_t i = from; i < pool->n; i++)
        assay_gp_maximiser_scale(m, assay_gp_pool_unit(m, pool, i),
                                 &pool->scaled[i * m->n_columns]);
    assay_gp_worth_at(m->worth, &pool->scaled[from * m->n_columns], pool->n - from,
                      &pool->worths[from], NULL);
}

static int
compare_descending(const void *a, const void *b)
{
    double x = **(const double *const *)a, y = **(const double *const *)b;

    if (x != y)
        return x > y ? -1 : 1;
    return *(const double *const *)a < *(const double *const *)b ? -1 : 1;
}

/* Indices of a pool by decreasing worth. */
size_t *
assay_gp_pool_order(const struct assay_gp_pool *pool)
{
    const double **order = assay_alloc(pool->n + 1, sizeof *order);
    size_t *indices = assay_alloc(pool->n + 1, sizeof *indices);

    for (size_t i = 0; i < pool->n; i++)
        order[i] = &pool->worths[i];
    qsort(order, pool->n, sizeof *order, compare_descending);
    for (size_t i = 0; i < pool->n; i++)
        indices[i] = (size_t)(order[i] - pool->worths);
    free(order);
    return indices;
}

bool
assay_gp_is_relaxed(const struct assay_gp_dimension *dimension)
{
    return dimension->kind == ASSAY_GP_CONTINUOUS ||
           (dimension->kind == ASSAY_GP_STEPPED && dimension->values > ASSAY_GP_RELAXED_FROM);
}

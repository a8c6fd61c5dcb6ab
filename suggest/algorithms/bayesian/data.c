#include "suggest/algorithms/bayesian/data.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

static int
compare_numbers(const void *a, const void *b)
{
    const struct assay_history_trial *x = *(const struct assay_history_trial *const *)a;
    const struct assay_history_trial *y = *(const struct assay_history_trial *const *)b;

    return x->number < y->number ? -1 : x->number > y->number;
}

static bool
teaches(const struct assay_history_trial *trial)
{
    return trial->measured || trial->state == ASSAY_PLUGIN_SUCCEEDED ||
           trial->state == ASSAY_PLUGIN_STOPPED || trial->state == ASSAY_PLUGIN_INFEASIBLE ||
           trial->state == ASSAY_PLUGIN_FAILED;
}

static void
set_outputs(struct assay_gp_data *data, size_t i)
{
    const struct assay_history_trial *trial = data->trials[i];
    size_t m = data->n_objectives;

    for (size_t k = 0; k < m; k++)
        data->outputs[k * data->n + i] = trial->measured ? trial->values[k] : NAN;
    for (size_t k = 0; k < data->n_bounds; k++)
        data->outputs[(m + k) * data->n + i] =
            isfinite(trial->constraints[k]) ? trial->constraints[k] : NAN;
    data->outputs[(m + data->n_bounds) * data->n + i] = trial->measured ? -1.0 : 1.0;
    data->n_valued += trial->measured;
    data->n_usable += trial->usable;
}

void
assay_gp_data_init(struct assay_gp_data *data, const struct assay_gp_features *features,
                   const struct assay_history *history, size_t n_objectives, size_t n_bounds)
{
    size_t count = assay_history_count(history);

    *data = (struct assay_gp_data){
        .n_objectives = n_objectives,
        .n_bounds = n_bounds,
        .trials = assay_alloc(count + 1, sizeof *data->trials),
        .outputs = assay_alloc(count * (n_objectives + n_bounds + 1) + 1, sizeof *data->outputs),
        .rows = assay_alloc(count * features->n_columns + 1, sizeof *data->rows),
    };
    for (size_t i = 0; i < count; i++) {
        const struct assay_history_trial *trial = assay_history_at(history, i);

        if (teaches(trial))
            data->trials[data->n++] = trial;
    }
    qsort(data->trials, data->n, sizeof *data->trials, compare_numbers);
    for (size_t i = 0; i < data->n; i++) {
        set_outputs(data, i);
        assay_gp_features_of_point(features, data->trials[i]->point,
                                   &data->rows[i * features->n_columns]);
    }
}

void
assay_gp_data_done(struct assay_gp_data *data)
{
    free(data->trials);
    free(data->outputs);
    free(data->rows);
    *data = (struct assay_gp_data){0};
}

const double *
assay_gp_data_output(const struct assay_gp_data *data, size_t output)
{
    return &data->outputs[output * data->n];
}

/* A row with what it is sorted by; ties by index. */
struct ranked {
    double key;
    size_t row;
};

static int
compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Marks the first `wanted` rows by key that are not marked yet. */
static size_t
mark_first(struct ranked *ranked, size_t n, size_t wanted, bool *marked)
{
    size_t taken = 0;

    qsort(ranked, n, sizeof *ranked, compare_ranked);
    for (size_t i = 0; i < n && taken < wanted; i++) {
        if (marked[ranked[i].row])
            continue;
        marked[ranked[i].row] = true;
        taken++;
    }
    return taken;
}

/* A number of a trial's own, for a random order that does not change as trials come. */
static double
lot_of(const struct assay_gp_data *data, size_t row, uint64_t seed)
{
    uint64_t bits = seed ^ (uint64_t)data->trials[row]->number * UINT64_C(0x9E3779B97F4A7C15);

    bits = (bits ^ bits >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    bits = (bits ^ bits >> 27) * UINT64_C(0x94D049BB133111EB);
    return (double)(bits >> 11);
}

static size_t
gather(const bool *marked, size_t n, size_t *ret_chosen)
{
    size_t chosen = 0;

    for (size_t i = 0; i < n; i++) {
        if (marked[i])
            ret_chosen[chosen++] = i;
    }
    return chosen;
}

size_t
assay_gp_data_sample(const struct assay_gp_data *data, const double *y, bool near_zero,
                     size_t n_valued, size_t n_max, uint64_t seed, size_t *ret_chosen)
{
    assay_auto_free bool *marked = assay_zalloc(data->n + 1, sizeof *marked);
    assay_auto_free struct ranked *ranked = assay_alloc(data->n + 1, sizeof *ranked);
    assay_auto_free size_t *valued = assay_alloc(data->n + 1, sizeof *valued);
    size_t n = 0, left = n_max;

    for (size_t i = 0; i < data->n && n < n_valued; i++) {
        if (!isnan(y[i]))
            valued[n++] = i;
    }
    for (size_t i = 0; i < n; i++) {
        double value = y[valued[i]];

        ranked[i] = (struct ranked){.key = near_zero ? fabs(value) : value, .row = valued[i]};
        marked[valued[i]] = n <= n_max || i + n_max / 4 >= n;
    }
    if (n > n_max) {
        left -= n_max / 4;
        left -= mark_first(ranked, n, n_max / 4, marked);
        for (size_t i = 0; i < n; i++)
            ranked[i].key = lot_of(data, ranked[i].row, seed);
        (void)mark_first(ranked, n, left, marked);
    }
    return gather(marked, data->n, ret_chosen);
}

size_t
assay_gp_data_best(const struct assay_gp_data *data, size_t output, size_t n, size_t *ret_rows)
{
    const double *y = assay_gp_data_output(data, output);
    assay_auto_free struct ranked *ranked = assay_alloc(data->n + 1, sizeof *ranked);
    size_t found = 0;

    for (size_t i = 0; i < data->n; i++) {
        if (!isnan(y[i]))
            ranked[found++] = (struct ranked){.key = y[i], .row = i};
    }
    qsort(ranked, found, sizeof *ranked, compare_ranked);
    n = ASSAY_MIN(n, found);
    for (size_t i = 0; i < n; i++)
        ret_rows[i] = ranked[i].row;
    return n;
}

static size_t
best_row(const double *order, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++) {
        if (order[i] < order[best] || isnan(order[best]))
            best = i;
    }
    return best;
}

static double
weighted_distance(const struct assay_gp_features *features, const double *weights, const double *a,
                  const double *b)
{
    double sum = 0.0;

    for (size_t c = 0; c < features->n_columns; c++)
        sum += weights[features->group_of[c]] * (a[c] - b[c]) * (a[c] - b[c]);
    return sum;
}

size_t
assay_gp_data_local(const struct assay_gp_data *data, const double *order,
                    const struct assay_gp_features *features, const double *log_weights,
                    size_t n_near, size_t n_best, size_t n_max, uint64_t seed, size_t *ret_chosen)
{
    assay_auto_free bool *marked = assay_zalloc(data->n + 1, sizeof *marked);
    assay_auto_free struct ranked *ranked = assay_alloc(data->n + 1, sizeof *ranked);
    assay_auto_free double *weights = assay_alloc(features->n_groups + 1, sizeof *weights);
    const double *centre = &data->rows[best_row(order, data->n) * features->n_columns];
    size_t left = n_max;

    for (size_t g = 0; g < features->n_groups; g++)
        weights[g] = exp(log_weights[g]);
    for (size_t i = 0; i < data->n; i++)
        ranked[i] = (struct ranked){
            .key =
                weighted_distance(features, weights, centre, &data->rows[i * features->n_columns]),
            .row = i,
        };
    left -= mark_first(ranked, data->n, n_near, marked);
    for (size_t i = 0; i < data->n; i++) {
        double y = order[ranked[i].row];

        ranked[i].key = isnan(y) ? INFINITY : y;
    }
    left -= mark_first(ranked, data->n, n_best, marked);
    for (size_t i = 0; i < data->n; i++)
        ranked[i].key = lot_of(data, ranked[i].row, seed);
    (void)mark_first(ranked, data->n, left, marked);
    return gather(marked, data->n, ret_chosen);
}

#include "suggest/algorithms/bayesian/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define EVERY_UP_TO 120
#define GROWTH 20 /* then a fit each time there is a 20th more */
#define FIRST_LEVEL 8
#define EXPLORE_UP_TO 160
#define FIT_ROWS_MAX 400
#define EXACT_ROWS_MAX 1000
#define LOCAL_ROWS_NEAR 500
#define LOCAL_ROWS_BEST 200
#define FANTASIES 16 /* even; at most ASSAY_GP_FANTASIES_MAX */
#define PENDING_MAX 64

void
assay_gp_model_init(struct assay_gp_model *model, const struct assay_gp_features *features,
                    uint64_t seed)
{
    *model = (struct assay_gp_model){.features = features, .seed = seed};
    assay_gp_posterior_init(&model->posterior, features);
}

void
assay_gp_model_done(struct assay_gp_model *model)
{
    for (size_t level = 0; level < ASSAY_GP_FIT_LEVELS; level++)
        free(model->levels[level].fit.theta);
    free(model->last.fit.theta);
    assay_gp_posterior_done(&model->posterior);
    assay_gp_data_done(&model->data);
    free(model->held);
    free(model->chosen);
    free(model->z);
    *model = (struct assay_gp_model){0};
}

/* --- hyperparameters --- */

static uint64_t
mix(uint64_t hash, const void *bytes, size_t n_words)
{
    const char *at = bytes;

    for (size_t i = 0; i < n_words; i++) {
        uint64_t word;

        memcpy(&word, at + 8 * i, sizeof word);
        hash = (hash ^ word) * UINT64_C(0xBF58476D1CE4E5B9);
        hash ^= hash >> 29;
    }
    return hash;
}

static size_t
scheduled(size_t n)
{
    size_t m = EVERY_UP_TO;

    if (n <= m)
        return n;
    while (m + m / GROWTH <= n)
        m += m / GROWTH;
    return m;
}

/* The fit to the first `m` values, from `known` if it is that one already. */
static bool
fit_to(struct assay_gp_model *model, size_t m, const struct assay_gp_known_fit *start,
       struct assay_gp_known_fit *known)
{
    size_t columns = model->features->n_columns;
    size_t room = ASSAY_MIN(m, (size_t)FIT_ROWS_MAX);
    assay_auto_free size_t *chosen = assay_alloc(room + 1, sizeof *chosen);
    assay_auto_free double *rows = assay_alloc(room * columns + 1, sizeof *rows);
    assay_auto_free double *y = assay_alloc(room + 1, sizeof *y);
    size_t n = assay_gp_data_sample(&model->data, m, room, model->seed, chosen);
    uint64_t key = mix(start != NULL ? start->key : 1, &(uint64_t){m}, 1);

    for (size_t i = 0; i < n; i++) {
        memcpy(&rows[i * columns], &model->data.rows[chosen[i] * columns], columns * sizeof *rows);
        y[i] = model->data.y[chosen[i]];
    }
    key = mix(mix(mix(key, rows, n * columns), y, n), &model->middle, 1);
    if (known->fit.theta != NULL && known->key == key)
        return true;
    if (known->fit.theta == NULL)
        known->fit.theta = assay_zalloc(model->features->n_groups + 2, sizeof(double));
    known->key = 0;
    if (!assay_gp_fit_make(model->features, rows, y, n, model->middle,
                           start != NULL ? &start->fit : NULL, m <= EXPLORE_UP_TO, &known->fit))
        return false;
    known->key = key;
    return true;
}

static bool
fit_all(struct assay_gp_model *model, size_t m)
{
    const struct assay_gp_known_fit *start = NULL;
    size_t size = FIRST_LEVEL;

    for (size_t level = 0; level < ASSAY_GP_FIT_LEVELS && size < m; level++, size *= 2) {
        if (!fit_to(model, size, start, &model->levels[level]))
            return false;
        start = &model->levels[level];
    }
    return fit_to(model, m, start, &model->last);
}

/* --- rows --- */

/* Rows of the posterior into `chosen`; returns how many of them to factor at once. */
static size_t
choose_rows(struct assay_gp_model *model, size_t m)
{
    const struct assay_gp_data *data = &model->data;
    size_t valued = 0, n_base = 0;

    free(model->chosen);
    model->chosen = assay_alloc(data->n + 1, sizeof *model->chosen);
    if (data->n > EXACT_ROWS_MAX) {
        model->n_chosen =
            assay_gp_data_local(data, model->features, model->last.fit.theta, LOCAL_ROWS_NEAR,
                                LOCAL_ROWS_BEST, EXACT_ROWS_MAX, model->seed, model->chosen);
        return model->n_chosen;
    }
    for (size_t i = 0; i < data->n; i++) {
        valued += isnan(data->y[i]) ? 0 : 1;
        if (valued == m && n_base == 0)
            n_base = i + 1;
        model->chosen[i] = i;
    }
    model->n_chosen = data->n;
    return n_base;
}

static const double *
row_at(const struct assay_gp_model *model, size_t i)
{
    return &model->data.rows[model->chosen[i] * model->features->n_columns];
}

/* Makes the factor's rows the chosen ones, keeping as many as are the same. */
static void
place_rows(struct assay_gp_model *model, size_t n_base)
{
    size_t columns = model->features->n_columns, n = model->n_chosen, same = 0;
    assay_auto_free double *rows = assay_alloc(n * columns + 1, sizeof *rows);
    uint64_t key = mix(model->last.key, &(uint64_t){n_base}, 1);

    for (size_t i = 0; i < n; i++)
        memcpy(&rows[i * columns], row_at(model, i), columns * sizeof *rows);
    key = mix(key, rows, n_base * columns);
    if (key == model->base_key && n + PENDING_MAX <= model->posterior.room) {
        while (same < ASSAY_MIN(n, model->n_held) &&
               memcmp(&rows[same * columns], &model->held[same * columns],
                      columns * sizeof *rows) == 0)
            same++;
        assay_gp_posterior_truncate(&model->posterior, same);
    } else {
        assay_gp_posterior_make(&model->posterior, model->last.fit.theta, rows, n_base,
                                n + n / 8 + PENDING_MAX);
        same = n_base;
    }
    for (size_t i = same; i < n; i++)
        assay_gp_posterior_append(&model->posterior, &rows[i * columns]);
    model->base_key = key;
    model->n_base = n_base;
    free(model->held);
    model->held = rows;
    rows = NULL;
    model->n_held = n;
}

/* The values that there are, in the order of trials. */
static size_t
gather_values(const struct assay_gp_data *data, double *ret_y)
{
    size_t n = 0;

    for (size_t i = 0; i < data->n; i++) {
        if (!isnan(data->y[i]))
            ret_y[n++] = data->y[i];
    }
    return n;
}

static void
warp_values(struct assay_gp_model *model, const double *y, size_t n)
{
    const struct assay_gp_data *data = &model->data;

    assay_gp_warp_init(&model->warp, model->last.fit.warp, model->middle, y, n);
    free(model->z);
    model->z = assay_alloc(model->n_chosen + 1, sizeof *model->z);
    for (size_t i = 0; i < model->n_chosen; i++) {
        double value = data->y[model->chosen[i]];

        model->z[i] = isnan(value) ? model->warp.worst : assay_gp_warp_apply(&model->warp, value);
    }
}

bool
assay_gp_model_learn(struct assay_gp_model *model, const struct assay_history *history)
{
    assay_auto_free double *y = assay_alloc(assay_history_count(history) + 1, sizeof *y);
    size_t n, m;

    assay_gp_data_done(&model->data);
    assay_gp_data_init(&model->data, model->features, history);
    n = gather_values(&model->data, y);
    ASSAY_ASSERT(n >= 2);
    model->middle = assay_gp_warp_middle(y, n);
    m = scheduled(n);
    if (!fit_all(model, m))
        return false;
    place_rows(model, choose_rows(model, m));
    warp_values(model, y, n);
    return true;
}

/* --- pending trials --- */

void
assay_gp_model_pend(struct assay_gp_model *model, const double *const *points, size_t n,
                    enum assay_gp_rule rule, struct assay_random *random,
                    struct assay_gp_acquisition *ret_acquisition)
{
    size_t placed = ASSAY_MIN(n, (size_t)PENDING_MAX);
    assay_auto_free double *row = assay_alloc(model->features->n_columns + 1, sizeof *row);
    double draws[FANTASIES * ASSAY_GP_FANTASY_PENDING_MAX];
    bool fantasies = rule == ASSAY_GP_LOG_EI;

    ASSAY_ASSERT(!fantasies || n <= ASSAY_GP_FANTASY_PENDING_MAX);
    assay_gp_posterior_truncate(&model->posterior, model->n_chosen);
    for (size_t i = n - placed; i < n; i++) {
        assay_gp_features_of_point(model->features, points[i], row);
        assay_gp_posterior_append(&model->posterior, row);
    }
    for (size_t i = 0; fantasies && i < FANTASIES * n; i += 2) {
        draws[i] = assay_random_normal(random);
        draws[i + 1] = -draws[i]; /* FANTASIES is even */
    }
    *ret_acquisition = (struct assay_gp_acquisition){.rule = rule};
    assay_gp_posterior_learn(&model->posterior, model->z, model->n_chosen, fantasies ? draws : NULL,
                             FANTASIES, ret_acquisition->thresholds);
    ret_acquisition->n_means = model->posterior.n_means;
}

size_t
assay_gp_model_best(const struct assay_gp_model *model, size_t n, size_t *ret_rows)
{
    size_t found = 0;
    double found_values[64];

    ASSAY_ASSERT(n <= ASSAY_COUNT(found_values));
    for (size_t i = 0; i < model->n_chosen; i++) {
        double value = model->z[i];
        size_t at = found;

        while (at > 0 && value < found_values[at - 1])
            at--;
        if (at >= n)
            continue;
        found = ASSAY_MIN(found + 1, n);
        for (size_t k = found - 1; k > at; k--) {
            found_values[k] = found_values[k - 1];
            ret_rows[k] = ret_rows[k - 1];
        }
        found_values[at] = value;
        ret_rows[at] = model->chosen[i];
    }
    return found;
}

#include "suggest/algorithms/bayesian/surface.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define EVERY_UP_TO 120
#define GROWTH 20 /* then a fit each time there is a 20th more */
#define FIRST_LEVEL 8
#define EXPLORE_UP_TO 160
#define FIT_ROWS_MAX 400
/* So much less (in logarithms) the values may be expected with sources before these are
 * dropped. */
#define BENEFIT_OF_DOUBT 2.0

void
assay_gp_surface_init(struct assay_gp_surface *surface, const struct assay_gp_features *features,
                      enum assay_gp_values kind, uint64_t seed)
{
    *surface = (struct assay_gp_surface){.features = features, .kind = kind, .seed = seed};
    assay_gp_posterior_init(&surface->posterior, features);
}

void
assay_gp_surface_done(struct assay_gp_surface *surface)
{
    for (size_t level = 0; level < ASSAY_GP_FIT_LEVELS; level++)
        free(surface->levels[level].fit.theta);
    free(surface->last.fit.theta);
    assay_gp_posterior_done(&surface->posterior);
    free(surface->held);
    free(surface->chosen);
    free(surface->z);
    free(surface->trends);
    free(surface->row_means);
    *surface = (struct assay_gp_surface){0};
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

/* With the trend of sources and without it: whichever predicts the values better. */
static bool
fit_or_drop(const struct assay_gp_surface *surface, const struct assay_gp_sample *sample,
            const struct assay_gp_fit *start, bool explore, struct assay_gp_known_fit *known)
{
    size_t n_theta = surface->features->n_groups + 2;
    assay_auto_free double *theta = assay_alloc(n_theta, sizeof *theta);
    struct assay_gp_sample plain = *sample;
    struct assay_gp_fit with = {.theta = theta};

    plain.trend = NULL;
    if (!assay_gp_fit_make(&plain, start, explore, &known->fit))
        return false;
    known->trended = false;
    if (!(surface->trend.trust > 0.0))
        return true;
    if (!assay_gp_fit_make(sample, start, explore, &with))
        return false;
    known->trended = with.score > known->fit.score - BENEFIT_OF_DOUBT / (double)sample->n;
    if (!known->trended)
        return true;
    memcpy(known->fit.theta, theta, n_theta * sizeof *theta);
    known->fit.warp = with.warp;
    known->fit.score = with.score;
    return true;
}

/* The fit to the first `m` values, from `known` if it is that one already. */
static bool
fit_to(struct assay_gp_surface *surface, const struct assay_gp_data *data, const double *y,
       size_t m, const struct assay_gp_known_fit *start, struct assay_gp_known_fit *known)
{
    size_t columns = surface->features->n_columns;
    size_t room = ASSAY_MIN(m, (size_t)FIT_ROWS_MAX);
    assay_auto_free size_t *chosen = assay_alloc(room + 1, sizeof *chosen);
    assay_auto_free double *rows = assay_alloc(room * columns + 1, sizeof *rows);
    assay_auto_free double *values = assay_alloc(2 * room + 1, sizeof *values);
    double *trends = values + room;
    size_t n = assay_gp_data_sample(data, y, surface->kind != ASSAY_GP_OBJECTIVE, m, room,
                                    surface->seed, chosen);
    uint64_t key = mix(start != NULL ? start->key : 1, &(uint64_t){m}, 1);

    for (size_t i = 0; i < n; i++) {
        memcpy(&rows[i * columns], &data->rows[chosen[i] * columns], columns * sizeof *rows);
        values[i] = y[chosen[i]];
    }
    assay_gp_trend_judge(&surface->trend, data, y, m);
    assay_gp_trend_at(&surface->trend, NULL, rows, n, trends, NULL);
    key = mix(mix(mix(mix(key, rows, n * columns), values, n), &surface->middle, 1), trends, n);
    if (known->fit.theta == NULL)
        known->fit.theta = assay_zalloc(surface->features->n_groups + 2, sizeof(double));
    if (known->key != key) {
        known->key = 0;
        if (!fit_or_drop(surface,
                         &(struct assay_gp_sample){
                             .features = surface->features,
                             .kind = surface->kind,
                             .n = n,
                             .rows = rows,
                             .y = values,
                             .middle = surface->middle,
                             .trend = trends,
                         },
                         start != NULL ? &start->fit : NULL, m <= EXPLORE_UP_TO, known))
            return false;
        known->key = key;
    }
    if (!known->trended)
        assay_gp_trend_drop(&surface->trend);
    return true;
}

/* The values that there are, in the order of trials. */
static size_t
gather_values(const double *y, size_t n, double *ret_values)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        if (!isnan(y[i]))
            ret_values[found++] = y[i];
    }
    return found;
}

bool
assay_gp_surface_fit(struct assay_gp_surface *surface, const struct assay_gp_data *data,
                     const double *y)
{
    assay_auto_free double *values = assay_alloc(data->n + 1, sizeof *values);
    const struct assay_gp_known_fit *start = NULL;
    size_t size = FIRST_LEVEL, m;

    surface->n_valued = gather_values(y, data->n, values);
    ASSAY_ASSERT(surface->n_valued >= 2);
    surface->middle = assay_gp_warp_middle(surface->kind, values, surface->n_valued);
    surface->n_fitted = m = scheduled(surface->n_valued);
    for (size_t level = 0; level < ASSAY_GP_FIT_LEVELS && size < m; level++, size *= 2) {
        if (!fit_to(surface, data, y, size, start, &surface->levels[level]))
            return false;
        start = &surface->levels[level];
    }
    if (!fit_to(surface, data, y, m, start, &surface->last))
        return false;
    assay_gp_warp_init(&surface->warp, surface->kind, surface->last.fit.warp, surface->middle,
                       values, surface->n_valued);
    return true;
}

/* --- rows --- */

/* Which rows; returns how many of them to factor at once. */
static size_t
choose_rows(struct assay_gp_surface *surface, const struct assay_gp_data *data, const double *y,
            const size_t *wanted, size_t n_wanted)
{
    size_t n = wanted != NULL ? n_wanted : data->n, valued = 0, n_base = 0;

    free(surface->chosen);
    surface->chosen = assay_alloc(n + 1, sizeof *surface->chosen);
    surface->n_chosen = 0;
    for (size_t i = 0; i < n; i++) {
        size_t row = wanted != NULL ? wanted[i] : i;

        if (isnan(y[row]) && !surface->impute)
            continue;
        surface->chosen[surface->n_chosen++] = row;
        valued += isnan(y[row]) ? 0 : 1;
        if (valued == surface->n_fitted && n_base == 0)
            n_base = surface->n_chosen;
    }
    return wanted != NULL ? surface->n_chosen : n_base;
}

/* Makes the factor's rows the chosen ones, keeping as many as are the same. */
static void
place_rows(struct assay_gp_surface *surface, const struct assay_gp_data *data, size_t n_base,
           size_t room)
{
    size_t columns = surface->features->n_columns, n = surface->n_chosen, same = 0;
    assay_auto_free double *rows = assay_alloc(n * columns + 1, sizeof *rows);
    uint64_t key = mix(surface->last.key, &(uint64_t){n_base}, 1);

    for (size_t i = 0; i < n; i++)
        memcpy(&rows[i * columns], &data->rows[surface->chosen[i] * columns],
               columns * sizeof *rows);
    key = mix(key, rows, n_base * columns);
    if (key == surface->base_key && n + room <= surface->posterior.room) {
        while (same < ASSAY_MIN(n, surface->n_held) &&
               memcmp(&rows[same * columns], &surface->held[same * columns],
                      columns * sizeof *rows) == 0)
            same++;
        assay_gp_posterior_truncate(&surface->posterior, same);
    } else {
        assay_gp_posterior_make(&surface->posterior, surface->last.fit.theta, rows, n_base,
                                n + n / 8 + room);
        same = n_base;
    }
    for (size_t i = same; i < n; i++)
        assay_gp_posterior_append(&surface->posterior, &rows[i * columns]);
    surface->base_key = key;
    free(surface->held);
    surface->held = rows;
    rows = NULL;
    surface->n_held = n;
}

void
assay_gp_surface_place(struct assay_gp_surface *surface, const struct assay_gp_data *data,
                       const double *y, const size_t *wanted, size_t n_wanted, size_t room)
{
    size_t n_base = choose_rows(surface, data, y, wanted, n_wanted);
    double worst = -INFINITY;

    place_rows(surface, data, n_base, room);
    free(surface->z);
    surface->z = assay_alloc(surface->n_chosen + 1, sizeof *surface->z);
    for (size_t i = 0; i < surface->n_chosen; i++) {
        surface->z[i] = assay_gp_warp_apply(&surface->warp, y[surface->chosen[i]]);
        worst = fmax(worst, surface->z[i]);
    }
    for (size_t i = 0; i < surface->n_chosen; i++) {
        if (isnan(surface->z[i]))
            surface->z[i] = worst;
    }
    free(surface->trends);
    surface->trends = assay_alloc(surface->n_chosen + room + 1, sizeof *surface->trends);
    assay_gp_trend_at(&surface->trend, NULL, surface->held, surface->n_chosen, surface->trends,
                      NULL);
}

void
assay_gp_surface_pend(struct assay_gp_surface *surface, const double *rows, size_t n,
                      const double *draws, size_t n_draws)
{
    struct assay_gp_posterior *posterior = &surface->posterior;
    size_t n_chosen = surface->n_chosen, all = n_chosen + n;
    size_t n_means = n > 0 && draws != NULL ? n_draws : 1;
    assay_auto_free double *residuals = assay_alloc(n_chosen + 1, sizeof *residuals);

    assay_gp_posterior_truncate(posterior, surface->n_chosen);
    for (size_t i = 0; i < n; i++)
        assay_gp_posterior_append(posterior, &rows[i * surface->features->n_columns]);
    surface->n_pending = n;
    assay_gp_trend_at(&surface->trend, NULL, rows, n, &surface->trends[n_chosen], NULL);
    for (size_t i = 0; i < n_chosen; i++)
        residuals[i] = surface->z[i] - surface->trends[i];
    free(surface->row_means);
    surface->row_means = assay_alloc(all * n_means + 1, sizeof(double));
    assay_gp_posterior_learn(posterior, residuals, n_chosen, draws, n_draws, surface->row_means);
    for (size_t i = 0; i < all * n_means; i++)
        surface->row_means[i] += surface->trends[i % all];
}

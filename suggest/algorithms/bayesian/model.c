#include "suggest/algorithms/bayesian/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/trust.h"
#include "suggest/pareto/domination.h"
#include "suggest/pareto/subset.h"

#define ROWS_MAX 1000
#define ROWS_MAX_SEVERAL 500
#define FANTASIES 16 /* even; at most ASSAY_GP_FANTASIES_MAX */
#define PENDING_MAX 64
#define DOUBT 0.02
#define REFERENCE_MARGIN 0.1
#define RANGE_MIN 0.1
/* Trials by which what the user expects is judged. */
#define JUDGED_MAX 100

void
assay_gp_model_init(struct assay_gp_model *model, const struct assay_gp_features *features,
                    size_t n_objectives, size_t n_bounds, uint64_t seed)
{
    size_t n = n_objectives + n_bounds + 1;

    *model = (struct assay_gp_model){
        .features = features,
        .seed = seed,
        .n_objectives = n_objectives,
        .n_bounds = n_bounds,
        .surfaces = assay_zalloc(n, sizeof *model->surfaces),
    };
    for (size_t i = 0; i < n; i++)
        assay_gp_surface_init(&model->surfaces[i], features,
                              i < n_objectives ? ASSAY_GP_OBJECTIVE
                              : i < n - 1      ? ASSAY_GP_BOUND
                                               : ASSAY_GP_LABEL,
                              seed);
    assay_gp_belief_init(&model->belief, features);
    assay_gp_worth_init(&model->worth, features);
}

void
assay_gp_model_done(struct assay_gp_model *model)
{
    for (size_t i = 0; i < model->n_objectives + model->n_bounds + 1; i++)
        assay_gp_surface_done(&model->surfaces[i]);
    free(model->surfaces);
    assay_gp_belief_done(&model->belief);
    assay_gp_worth_done(&model->worth);
    assay_gp_data_done(&model->data);
    free(model->order);
    *model = (struct assay_gp_model){0};
}

void
assay_gp_model_follow(struct assay_gp_model *model, struct assay_gp_sources *sources)
{
    model->sources = sources->n > 0 ? sources : NULL;
    for (size_t i = 0; i < model->n_objectives; i++) {
        model->surfaces[i].trend.sources = model->sources;
        model->surfaces[i].trend.objective = i;
    }
}

/* --- learning --- */

static bool
is_plain(const struct assay_gp_model *model)
{
    return model->n_objectives == 1 && model->n_bounds == 0;
}

/* Objectives by trial, those of rows without values left out; returns their number. */
static size_t
gather_objectives(const struct assay_gp_data *data, size_t *ret_rows, double *ret_values,
                  double *ret_violations)
{
    size_t m = data->n_objectives, n = 0;

    for (size_t i = 0; i < data->n; i++) {
        if (!data->trials[i]->measured)
            continue;
        memcpy(&ret_values[n * m], data->trials[i]->values, m * sizeof *ret_values);
        ret_violations[n] = data->trials[i]->violation;
        ret_rows[n++] = i;
    }
    return n;
}

static void
set_order(struct assay_gp_model *model)
{
    const struct assay_gp_data *data = &model->data;
    size_t n = data->n, m = data->n_objectives, found;
    assay_auto_free size_t *rows = assay_alloc(2 * n + 1, sizeof *rows);
    assay_auto_free double *values = assay_alloc(n * (m + 1) + 1, sizeof *values);
    size_t *ranks = rows + n;

    free(model->order);
    model->order = assay_alloc(n + 1, sizeof *model->order);
    memcpy(model->order, assay_gp_data_output(data, 0), n * sizeof *model->order);
    if (is_plain(model))
        return;
    found = gather_objectives(data, rows, values, values + n * m);
    assay_pareto_ranks(values, values + n * m, found, m, found, ranks);
    for (size_t i = 0; i < found; i++)
        model->order[rows[i]] = (double)ranks[i];
}

/* Whether there are two values to learn from, and for failing both kinds. */
static bool
is_known(const struct assay_gp_model *model, size_t output)
{
    const struct assay_gp_data *data = &model->data;
    const double *y = assay_gp_data_output(data, output);
    size_t n = 0;

    if (output == data->n_objectives + data->n_bounds)
        return data->n_valued < data->n && !model->surfaces[0].impute;
    for (size_t i = 0; i < data->n; i++)
        n += isnan(y[i]) ? 0 : 1;
    return n >= 2;
}

/* How far the trials bear out what the user expects. */
static void
set_trust(struct assay_gp_model *model)
{
    const struct assay_gp_data *data = &model->data;
    size_t columns = model->features->n_columns, n = 0, step = data->n / JUDGED_MAX + 1;
    assay_auto_free double *roots = assay_alloc(columns + 1, sizeof *roots);
    double said[JUDGED_MAX], found[JUDGED_MAX];

    model->trust = 1.0;
    if (model->belief.expectations.n == 0)
        return;
    for (size_t c = 0; c < columns; c++)
        roots[c] = 1.0;
    for (size_t i = data->n - 1; i < data->n && n < JUDGED_MAX; i -= step) {
        if (isnan(model->order[i]))
            continue;
        found[n] = model->order[i];
        said[n++] = -assay_gp_belief_at(&model->belief, roots, &data->rows[i * columns], 0.0, NULL);
    }
    model->trust = assay_gp_trust(said, found, n, 1.0);
}

bool
assay_gp_model_learn(struct assay_gp_model *model, const struct assay_history *history)
{
    struct assay_gp_data *data = &model->data;
    size_t n = model->n_objectives + model->n_bounds + 1;
    size_t most = is_plain(model) ? ROWS_MAX : ROWS_MAX_SEVERAL, n_wanted = 0;
    assay_auto_free size_t *wanted = NULL;

    assay_gp_data_done(data);
    assay_gp_data_init(data, model->features, history, model->n_objectives, model->n_bounds);
    ASSAY_ASSERT(data->n_valued >= 2);
    set_order(model);
    set_trust(model);
    if (model->sources != NULL && !assay_gp_sources_learn(model->sources))
        return false;
    for (size_t i = 0; i < n; i++) {
        model->surfaces[i].n_chosen = 0;
        if (is_known(model, i) &&
            !assay_gp_surface_fit(&model->surfaces[i], data, assay_gp_data_output(data, i)))
            return false;
    }
    if (data->n > most) {
        wanted = assay_alloc(most, sizeof *wanted);
        n_wanted = assay_gp_data_local(data, model->order, model->features,
                                       model->surfaces[0].last.fit.theta, most / 2, most / 5, most,
                                       model->seed, wanted);
    }
    for (size_t i = 0; i < n; i++) {
        if (is_known(model, i))
            assay_gp_surface_place(&model->surfaces[i], data, assay_gp_data_output(data, i), wanted,
                                   n_wanted, PENDING_MAX);
    }
    return true;
}

/* --- the worth --- */

/* The parts of the worth: all surfaces that know anything. */
static void
begin_worth(struct assay_gp_model *model)
{
    size_t n = model->n_objectives + model->n_bounds + 1, n_parts = 0;
    struct assay_gp_worth *worth = &model->worth;

    for (size_t i = 0; i < n; i++)
        n_parts += model->surfaces[i].n_chosen >= 2;
    assay_gp_worth_begin(worth, model->n_objectives, n_parts);
    n_parts = 0;
    for (size_t i = 0; i < n; i++) {
        struct assay_gp_surface *surface = &model->surfaces[i];

        if (surface->n_chosen < 2)
            continue;
        worth->parts[n_parts++] = (struct assay_gp_part){
            .surface = surface,
            .threshold = assay_gp_warp_apply(&surface->warp, 0.0),
            .doubt = surface->kind == ASSAY_GP_LABEL ? DOUBT : 0.0,
        };
    }
}

/* Whether the row of the posterior counts as found: holds every bound, or, pending,
 * probably will. */
static bool
counts(struct assay_gp_model *model, const double *pending, size_t i)
{
    const struct assay_gp_surface *surface = &model->surfaces[0];
    struct assay_gp_worth *worth = &model->worth;
    size_t columns = model->features->n_columns;
    assay_auto_free double *row = NULL;
    double log_probability = 0.0, by_u;

    if (i < surface->n_chosen)
        return model->data.trials[surface->chosen[i]]->usable;
    row = assay_alloc(columns + 1, sizeof *row);
    for (size_t k = worth->n_objectives; k < worth->n_parts; k++) {
        struct assay_gp_posterior *posterior = &worth->parts[k].surface->posterior;
        struct assay_gp_moments moments;

        for (size_t c = 0; c < columns; c++)
            row[c] = pending[(i - surface->n_chosen) * columns + c] * posterior->roots[c];
        assay_gp_posterior_predict(posterior, row, 1, ASSAY_GP_MOMENTS, &moments);
        log_probability += assay_gp_log_cdf(
            (worth->parts[k].threshold - moments.means[0]) / moments.sds[0], &by_u);
    }
    return log_probability > -M_LN2;
}

/* The lowest mean of those that count, under each draw; all do where there are no bounds. */
static void
set_thresholds(struct assay_gp_model *model, const bool *counted)
{
    const struct assay_gp_surface *surface = &model->surfaces[0];
    struct assay_gp_acquisition *acquisition = &model->worth.acquisition;
    size_t all = surface->n_chosen + surface->n_pending;

    acquisition->n_means = surface->posterior.n_means;
    for (size_t s = 0; s < acquisition->n_means; s++) {
        size_t n = acquisition->n_means > 1 ? all : surface->n_chosen;
        double lowest = INFINITY;

        for (size_t i = 0; i < n; i++) {
            if (model->n_bounds == 0 || counted[i])
                lowest = fmin(lowest, surface->row_means[s * all + i]);
        }
        acquisition->thresholds[s] = lowest;
    }
}

static size_t
front_max(size_t m)
{
    return m <= 2 ? 100 : m == 3 ? 60 : m == 4 ? 30 : 100;
}

/* A tenth of the range of the front behind its ends; where that is next to nothing, of
 * the range of everything, which is about 1. */
static void
set_reference(const double *front, size_t n, size_t m, double *ret_reference)
{
    for (size_t j = 0; j < m; j++) {
        double low = INFINITY, high = -INFINITY;

        for (size_t i = 0; i < n; i++) {
            low = fmin(low, front[i * m + j]);
            high = fmax(high, front[i * m + j]);
        }
        ret_reference[j] = high + REFERENCE_MARGIN * fmax(high - low, RANGE_MIN);
    }
}

static void
set_front(struct assay_gp_model *model, const bool *counted)
{
    const struct assay_gp_surface *surface = &model->surfaces[0];
    size_t m = model->n_objectives, all = surface->n_chosen + surface->n_pending, n = 0, kept;
    assay_auto_free double *values = assay_alloc((2 * all + 1) * m, sizeof *values);
    assay_auto_free size_t *rows = assay_alloc(2 * all + 1, sizeof *rows);
    double *front = values + all * m, *reference = front + all * m;

    for (size_t i = 0; i < all; i++) {
        if (!counted[i])
            continue;
        for (size_t j = 0; j < m; j++)
            values[n * m + j] = model->surfaces[j].row_means[i];
        n++;
    }
    n = assay_pareto_front_rows(values, n, m, rows);
    for (size_t i = 0; i < n; i++)
        memcpy(&front[i * m], &values[rows[i] * m], m * sizeof *front);
    set_reference(front, n, m, reference);
    kept = ASSAY_MIN(n, front_max(m));
    if (kept < n) {
        assay_pareto_subset(front, n, m, reference, kept, rows);
        for (size_t i = 0; i < kept; i++)
            memcpy(&values[i * m], &front[rows[i] * m], m * sizeof *values);
        memcpy(front, values, kept * m * sizeof *front);
    }
    assay_gp_front_init(&model->worth.front, front, kept, m, reference);
}

static enum assay_gp_rule
rule_for(const struct assay_gp_model *model, enum assay_gp_rule rule)
{
    if (model->n_bounds > 0 && model->data.n_usable == 0)
        return ASSAY_GP_FEASIBILITY;
    return model->n_objectives > 1 ? ASSAY_GP_LOG_EHVI : rule;
}

/* Two draws of n, one the other's mirror image: together they are nowhere too low. */
static void
draw_pair(struct assay_random *random, size_t n, double *ret_draws)
{
    for (size_t i = 0; i < n; i++) {
        ret_draws[i] = assay_random_normal(random);
        ret_draws[n + i] = -ret_draws[i];
    }
}

void
assay_gp_model_pend(struct assay_gp_model *model, const double *const *points, size_t n,
                    enum assay_gp_rule rule, uint64_t trials, struct assay_random *random)
{
    size_t columns = model->features->n_columns, placed = ASSAY_MIN(n, (size_t)PENDING_MAX), all;
    assay_auto_free double *rows = assay_alloc(placed * columns + 1, sizeof *rows);
    assay_auto_free bool *counted = NULL;
    double draws[FANTASIES * PENDING_MAX];
    struct assay_gp_worth *worth = &model->worth;
    bool fantasies;

    begin_worth(model);
    worth->rule = rule_for(model, rule);
    worth->belief = &model->belief;
    worth->strength = model->trust * assay_gp_belief_strength(trials);
    fantasies = worth->rule == ASSAY_GP_LOG_EI;
    for (size_t i = 0; i < placed; i++)
        assay_gp_features_of_point(model->features, points[n - placed + i], &rows[i * columns]);
    for (size_t s = 0; fantasies && s < FANTASIES; s += 2)
        draw_pair(random, placed, &draws[s * placed]);
    for (size_t i = 0; i < worth->n_parts; i++)
        assay_gp_surface_pend(worth->parts[i].surface, rows, i < worth->n_objectives ? placed : 0,
                              fantasies && i == 0 ? draws : NULL, FANTASIES);
    all = model->surfaces[0].n_chosen + placed;
    counted = assay_zalloc(all + 1, sizeof *counted);
    for (size_t i = 0; i < all && !is_plain(model); i++)
        counted[i] = counts(model, rows, i);
    worth->acquisition = (struct assay_gp_acquisition){.rule = worth->rule};
    if (worth->rule == ASSAY_GP_LOG_EHVI)
        set_front(model, counted);
    else if (worth->rule != ASSAY_GP_FEASIBILITY)
        set_thresholds(model, counted);
    assay_gp_worth_ready(worth);
}

/* --- the best --- */

static double
key_of(const struct assay_gp_model *model, size_t i)
{
    const struct assay_gp_surface *surface = &model->surfaces[0];
    double order = model->order[surface->chosen[i]];

    return is_plain(model) ? surface->z[i] : isnan(order) ? INFINITY : order;
}

/* Random rows of the front, the first of an urn each time. */
static size_t
draw_front(const struct assay_gp_model *model, size_t n, struct assay_random *random,
           size_t *ret_rows)
{
    const struct assay_gp_surface *surface = &model->surfaces[0];
    assay_auto_free size_t *urn = assay_alloc(surface->n_chosen + 1, sizeof *urn);
    size_t left = 0, found = 0;

    for (size_t i = 0; i < surface->n_chosen; i++) {
        if (key_of(model, i) <= 0.0)
            urn[left++] = surface->chosen[i];
    }
    for (; found < n && left > 0; found++) {
        size_t at = (size_t)assay_random_below(random, left);

        ret_rows[found] = urn[at];
        urn[at] = urn[--left];
    }
    return found;
}

size_t
assay_gp_model_best(const struct assay_gp_model *model, size_t n, struct assay_random *random,
                    size_t *ret_rows)
{
    const struct assay_gp_surface *surface = &model->surfaces[0];
    size_t found = 0;
    double found_values[64];

    ASSAY_ASSERT(n <= ASSAY_COUNT(found_values));
    if (model->n_objectives > 1)
        return draw_front(model, n, random, ret_rows);
    for (size_t i = 0; i < surface->n_chosen; i++) {
        double value = key_of(model, i);
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
        ret_rows[at] = surface->chosen[i];
    }
    return found;
}

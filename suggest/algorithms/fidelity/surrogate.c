#include "suggest/algorithms/fidelity/surrogate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/acquisition.h"
#include "suggest/algorithms/bayesian/kernel.h"
#include "suggest/algorithms/bayesian/lbfgs.h"
#include "suggest/algorithms/bayesian/likelihood.h"
#include "suggest/algorithms/fidelity/predict.h"
#include "suggest/algorithms/fidelity/scores.h"
#include "suggest/host.h"
#include "suggest/rungs.h"

#define ROWS_MAX 300
#define FIT_ROWS 80
#define FIT_EVALUATIONS 25
#define VALUES_MIN 6 /* at the lowest rung, for a model of that alone */
#define PENDING_MAX 64
#define SPREAD 384
#define NEAR 48
#define NEAR_TRIALS 6

struct assay_surrogate {
    const struct assay_algorithm_base *base;
    const struct assay_ladder *ladder;
    const struct assay_sobol *sequence;
    struct assay_gp_features features, joint; /* joint: and a column for the rung */
    struct assay_gp_posterior posterior;
    struct assay_scores scores;
    double places[ASSAY_RUNGS_MAX]; /* of rungs, in that column */
    size_t n;                       /* of the scores, those learned from */
    double *rows, *z, *row_means;
    /* Trials among them, once each, and their means at the target: */
    size_t n_trials;
    const struct assay_history_trial **trials; /* borrowed until the next tell */
    double *trial_means;
    bool fresh, ready;
    double *point; /* scratch */
};

struct assay_surrogate *
assay_surrogate_new(const struct assay_algorithm_base *base, const struct assay_ladder *ladder,
                    const struct assay_sobol *sequence)
{
    struct assay_surrogate *surrogate = ASSAY_NEW(struct assay_surrogate);

    assay_gp_prepare();
    surrogate->base = base;
    surrogate->ladder = ladder;
    surrogate->sequence = sequence;
    assay_gp_features_init(&surrogate->features, &base->transform);
    /* The features with one more number, whose weight stays 1. */
    surrogate->joint = surrogate->features;
    surrogate->joint.group_of =
        assay_alloc(surrogate->features.n_columns + 1, sizeof *surrogate->joint.group_of);
    memcpy(surrogate->joint.group_of, surrogate->features.group_of,
           surrogate->features.n_columns * sizeof *surrogate->joint.group_of);
    surrogate->joint.group_of[surrogate->joint.n_columns++] = surrogate->joint.n_groups++;
    assay_gp_posterior_init(&surrogate->posterior, &surrogate->joint);
    surrogate->point = assay_alloc((size_t)base->space->n_parameters + 1, sizeof *surrogate->point);
    return surrogate;
}

static void
clear(struct assay_surrogate *surrogate)
{
    assay_scores_done(&surrogate->scores);
    free(surrogate->rows);
    free(surrogate->z);
    free(surrogate->row_means);
    free(surrogate->trials);
    free(surrogate->trial_means);
    surrogate->rows = surrogate->z = surrogate->row_means = surrogate->trial_means = NULL;
    surrogate->trials = NULL;
    surrogate->ready = surrogate->fresh = false;
}

struct assay_surrogate *
assay_surrogate_free(struct assay_surrogate *surrogate)
{
    if (surrogate == NULL)
        return NULL;
    clear(surrogate);
    assay_gp_posterior_done(&surrogate->posterior);
    assay_gp_features_done(&surrogate->features);
    free(surrogate->joint.group_of);
    free(surrogate->point);
    free(surrogate);
    return NULL;
}

void
assay_surrogate_forget(struct assay_surrogate *surrogate)
{
    surrogate->fresh = false;
}

/* --- learning --- */

/* Hyperparameters by L-BFGS from the prior's mode.  False when interrupted. */
static bool
fit(struct assay_surrogate *surrogate, double *ret_theta)
{
    size_t t = surrogate->joint.n_groups + 2, columns = surrogate->joint.n_columns, n = 0;
    size_t stride = (surrogate->n + FIT_ROWS - 1) / FIT_ROWS;
    assay_auto_free double *work = assay_zalloc(4 * t, sizeof *work);
    assay_auto_free double *rows = assay_alloc(surrogate->n * columns + 1, sizeof *rows);
    assay_auto_free double *z = assay_alloc(surrogate->n + 1, sizeof *z);
    const struct assay_lbfgs_limits limits = {
        .tolerance = 0.02,
        .least_gain = 0.01,
        .first_step = 1.0,
        .evaluations = FIT_EVALUATIONS,
    };
    struct assay_gp_likelihood likelihood;
    struct assay_lbfgs search;
    bool stopped = false;

    for (size_t i = 0; i < surrogate->n; i += stride) {
        memcpy(&rows[n * columns], &surrogate->rows[i * columns], columns * sizeof *rows);
        z[n++] = surrogate->z[i];
    }
    assay_gp_likelihood_init(&likelihood, &surrogate->joint, n);
    likelihood.rows = rows;
    likelihood.z = z;
    likelihood.n = n;
    assay_gp_prior_box(&surrogate->joint, work, work + t);
    assay_gp_prior_mode(&surrogate->joint, work + 2 * t);
    work[t - 3] = work[2 * t - 3] = work[3 * t - 3] = 0.0; /* the rung's */
    assay_lbfgs_init(&search, t, work + 2 * t, work, work + t, &limits);
    while (!search.done && !stopped) {
        double value = assay_gp_likelihood_at(&likelihood, search.trial, work + 3 * t);

        assay_lbfgs_tell(&search, value, work + 3 * t);
        stopped = assay_host_table()->should_stop() != 0;
    }
    memcpy(ret_theta, search.x, t * sizeof *ret_theta);
    assay_lbfgs_done(&search);
    assay_gp_likelihood_done(&likelihood);
    return !stopped;
}

/* The squared distance at which the kernel is `correlation`. */
static double
distance_of(double correlation)
{
    double low = 0.0, high = 20.0;

    for (int i = 0; i < 50; i++) {
        double middle = 0.5 * (low + high), square = middle * middle;

        assay_gp_matern(&square, 1, NULL);
        if (square > correlation)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void
set_row(const struct assay_surrogate *surrogate, const double *point, size_t rung, double *ret_row)
{
    assay_gp_features_of_point(&surrogate->features, point, ret_row);
    ret_row[surrogate->features.n_columns] = surrogate->places[rung];
}

static size_t
least_values(const struct assay_surrogate *surrogate)
{
    return ASSAY_MAX(ASSAY_MIN(surrogate->features.n_dimensions + 1, (size_t)20),
                     (size_t)VALUES_MIN);
}

/* Makes points pending at the target, in place of those of the last call. */
static void
pend(struct assay_surrogate *surrogate, const double *const *points, size_t n)
{
    assay_auto_free double *row = assay_alloc(surrogate->joint.n_columns + 1, sizeof *row);

    assay_gp_posterior_truncate(&surrogate->posterior, surrogate->n);
    for (size_t i = 0; i < n; i++) {
        set_row(surrogate, points[i], surrogate->scores.target, row);
        assay_gp_posterior_append(&surrogate->posterior, row);
    }
    assay_gp_posterior_learn(&surrogate->posterior, surrogate->z, surrogate->n, NULL, 0,
                             surrogate->row_means);
}

static void
judge_trials(struct assay_surrogate *surrogate)
{
    size_t columns = surrogate->joint.n_columns, n = 0;
    assay_auto_free double *rows = assay_alloc(surrogate->n * columns + 1, sizeof *rows);

    surrogate->trials = assay_alloc(surrogate->n + 1, sizeof *surrogate->trials);
    surrogate->trial_means = assay_alloc(surrogate->n + 1, sizeof *surrogate->trial_means);
    for (size_t i = 0; i < surrogate->n; i++) {
        const struct assay_score *score = &surrogate->scores.items[i];

        if (!score->last)
            continue;
        surrogate->trials[n] = score->trial;
        set_row(surrogate, score->trial->point, surrogate->scores.target, &rows[n++ * columns]);
    }
    surrogate->n_trials = n;
    assay_predict(&surrogate->posterior, rows, n, surrogate->trial_means, NULL);
}

/* False when interrupted. */
static bool
learn(struct assay_surrogate *surrogate)
{
    size_t columns = surrogate->joint.n_columns;
    assay_auto_free double *theta = assay_alloc(surrogate->joint.n_groups + 2, sizeof *theta);

    clear(surrogate);
    surrogate->fresh = true;
    if (!assay_scores_init(&surrogate->scores, surrogate->ladder, surrogate->base->history,
                           least_values(surrogate)))
        return true;
    surrogate->places[0] = 0.0;
    for (size_t k = 0; k < surrogate->scores.target; k++)
        surrogate->places[k + 1] = surrogate->places[k] + distance_of(surrogate->scores.links[k]);
    surrogate->n = ASSAY_MIN(surrogate->scores.n, (size_t)ROWS_MAX);
    surrogate->rows = assay_alloc(surrogate->n * columns + 1, sizeof *surrogate->rows);
    surrogate->z = assay_alloc(surrogate->n + 1, sizeof *surrogate->z);
    surrogate->row_means =
        assay_alloc(surrogate->n + PENDING_MAX + 1, sizeof *surrogate->row_means);
    for (size_t i = 0; i < surrogate->n; i++) {
        const struct assay_score *score = &surrogate->scores.items[i];

        set_row(surrogate, score->trial->point, score->rung, &surrogate->rows[i * columns]);
        surrogate->z[i] = score->z;
    }
    if (!fit(surrogate, theta)) {
        surrogate->fresh = false;
        return false;
    }
    assay_gp_posterior_make(&surrogate->posterior, theta, surrogate->rows, surrogate->n,
                            surrogate->n + PENDING_MAX);
    pend(surrogate, NULL, 0);
    judge_trials(surrogate);
    surrogate->ready = true;
    return true;
}

/* --- the search --- */

/* Places in the unit cube with what the surrogate says of them. */
struct pool {
    size_t n;
    double *units, *rows, *means, *sds, *worths;
};

static void
pool_init(struct pool *pool, const struct assay_surrogate *surrogate, size_t room)
{
    *pool = (struct pool){
        .units = assay_alloc(room * surrogate->features.n_dimensions + 1, sizeof(double)),
        .rows = assay_alloc(room * surrogate->joint.n_columns + 1, sizeof(double)),
        .means = assay_alloc(room + 1, sizeof(double)),
        .sds = assay_alloc(room + 1, sizeof(double)),
        .worths = assay_alloc(room + 1, sizeof(double)),
    };
}

static void
pool_done(struct pool *pool)
{
    free(pool->units);
    free(pool->rows);
    free(pool->means);
    free(pool->sds);
    free(pool->worths);
}

static void
evaluate(struct assay_surrogate *surrogate, struct pool *pool, double threshold)
{
    const struct assay_gp_features *features = &surrogate->features;
    size_t columns = surrogate->joint.n_columns;

    for (size_t i = 0; i < pool->n; i++) {
        assay_gp_features_of_unit(features, &pool->units[i * features->n_dimensions],
                                  surrogate->point, &pool->rows[i * columns]);
        pool->rows[i * columns + features->n_columns] = surrogate->places[surrogate->scores.target];
    }
    assay_predict(&surrogate->posterior, pool->rows, pool->n, pool->means, pool->sds);
    for (size_t i = 0; i < pool->n; i++)
        pool->worths[i] =
            assay_gp_log_h((threshold - pool->means[i]) / pool->sds[i]) + log(pool->sds[i]);
}

/* The lowest mean of a trial at the target. */
static double
lowest_mean(const struct assay_surrogate *surrogate)
{
    double lowest = INFINITY;

    for (size_t i = 0; i < surrogate->n_trials; i++)
        lowest = fmin(lowest, surrogate->trial_means[i]);
    return lowest;
}

static void
move(const struct assay_surrogate *surrogate, double width, double share,
     struct assay_random *random, double *unit)
{
    const struct assay_gp_features *features = &surrogate->features;
    size_t certain = (size_t)assay_random_below(random, features->n_dimensions);

    for (size_t d = 0; d < features->n_dimensions; d++) {
        bool choice = features->dimensions[d].kind == ASSAY_GP_CHOICE;
        double to = unit[d];

        if (d != certain && assay_random_unit(random) >= (choice ? 0.2 : 1.0) * share)
            continue;
        if (choice) {
            to = assay_random_unit(random);
        } else {
            to += width * assay_random_normal(random);
            to = to < 0.0 ? -to : to > 1.0 ? 2.0 - to : to;
        }
        unit[d] = fmin(fmax(to, 0.0), 1.0);
    }
}

/* Adds a neighbour of a trial; parameters that are not active there stand anywhere. */
static void
add_near(struct assay_surrogate *surrogate, struct pool *pool, const double *point, size_t nth,
         struct assay_random *random)
{
    const struct assay_gp_features *features = &surrogate->features;
    double *unit = &pool->units[pool->n++ * features->n_dimensions];

    assay_transform_encode(features->transform, point, unit);
    for (size_t d = 0; d < features->n_dimensions; d++) {
        if (isnan(point[features->dimensions[d].parameter]))
            unit[d] = assay_random_unit(random);
    }
    move(surrogate, pow(10.0, -2.5 + 2.0 * assay_random_unit(random)),
         nth % 2 == 0 ? 1.0 : fmax(0.2, 1.0 / (double)features->n_dimensions), random, unit);
}

/* The points of the trials with the lowest means, best first. */
static size_t
best_trials(const struct assay_surrogate *surrogate, const double *ret_points[NEAR_TRIALS])
{
    double means[NEAR_TRIALS];
    size_t n = 0;

    for (size_t i = 0; i < surrogate->n_trials; i++) {
        size_t at = n;

        while (at > 0 && surrogate->trial_means[i] < means[at - 1])
            at--;
        if (at >= NEAR_TRIALS)
            continue;
        n = ASSAY_MIN(n + 1, (size_t)NEAR_TRIALS);
        memmove(&means[at + 1], &means[at], (n - 1 - at) * sizeof *means);
        memmove(&ret_points[at + 1], &ret_points[at], (n - 1 - at) * sizeof *ret_points);
        means[at] = surrogate->trial_means[i];
        ret_points[at] = surrogate->trials[i]->point;
    }
    return n;
}

/* Points all over and near the best trials. */
static void
add_candidates(struct assay_surrogate *surrogate, struct pool *pool, struct assay_random *random)
{
    size_t dimensions = surrogate->features.n_dimensions, n_near = 0;
    assay_auto_free uint32_t *shifts = assay_alloc(dimensions + 1, sizeof *shifts);
    const double *near[NEAR_TRIALS];

    for (size_t d = 0; d < dimensions; d++)
        shifts[d] = assay_random_u32(random);
    for (uint32_t i = 0; i < SPREAD; i++) {
        double *unit = &pool->units[pool->n++ * dimensions];

        for (size_t d = 0; d < dimensions; d++)
            unit[d] = ((assay_sobol_digits(surrogate->sequence, d, i) ^ shifts[d]) + 0.5) * 0x1p-32;
    }
    n_near = best_trials(surrogate, near);
    for (size_t i = 0; i < NEAR && n_near > 0; i++)
        add_near(surrogate, pool, near[i % n_near], i, random);
}

/* Of equals the first. */
static size_t
best_of(const struct pool *pool)
{
    size_t best = 0;

    for (size_t i = 1; i < pool->n; i++)
        best = pool->worths[i] > pool->worths[best] ? i : best;
    return best;
}

/* The best untried point of the pool. */
static bool
take_best(struct assay_surrogate *surrogate, struct pool *pool, const struct assay_batch *batch,
          size_t *ret_index, double *ret_point)
{
    const struct assay_algorithm_base *base = surrogate->base;

    for (size_t attempt = 0; attempt < pool->n; attempt++) {
        size_t i = best_of(pool);

        if (pool->worths[i] == -INFINITY)
            return false;
        assay_transform_decode(&base->transform, &pool->units[i * surrogate->features.n_dimensions],
                               ret_point);
        if (assay_untried(base->history, batch, base->space, ret_point)) {
            *ret_index = i;
            return true;
        }
        pool->worths[i] = -INFINITY;
    }
    return false;
}

/* --- proposing --- */

static void
write_why(const struct assay_surrogate *surrogate, const struct pool *pool, size_t i,
          const char *name, double sign, const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_scores *scores = &surrogate->scores;
    double mean = assay_scores_value(scores, pool->means[i]);
    double high = assay_scores_value(scores, pool->means[i] + pool->sds[i]);
    double low = assay_scores_value(scores, pool->means[i] - pool->sds[i]);
    size_t used = (size_t)snprintf(suggestion->why, suggestion->why_size,
                                   "{\"proposed_by\": \"%s\", \"phase\": \"model\"", name);

    if (isfinite(mean) && isfinite(high) && isfinite(low) && isfinite(pool->worths[i]))
        used += (size_t)snprintf(suggestion->why + used, suggestion->why_size - used,
                                 ", \"predicted\": {\"mean\": %.9g, \"sd\": %.6g, "
                                 "\"at_budget\": %.10g}, "
                                 "\"acquisition\": {\"name\": \"log_ei\", \"value\": %.6g}",
                                 sign * mean, 0.5 * (high - low),
                                 surrogate->ladder->rungs[scores->target], pool->worths[i]);
    used += (size_t)snprintf(suggestion->why + used, suggestion->why_size - used,
                             ", \"results\": %zu, \"links\": [", surrogate->n);
    for (size_t k = 0; k < scores->target && used + 64 < suggestion->why_size; k++)
        used += (size_t)snprintf(suggestion->why + used, suggestion->why_size - used,
                                 "%s{\"budget\": %.10g, \"with_next\": %.2f}", k > 0 ? ", " : "",
                                 surrogate->ladder->rungs[k], scores->links[k]);
    snprintf(suggestion->why + used, suggestion->why_size - used, "]}");
}

static const double **
pending_points(const struct assay_surrogate *surrogate, const struct assay_batch *batch,
               size_t *ret_n)
{
    size_t n_batch = ASSAY_MIN(batch->n_given, (size_t)PENDING_MAX / 2), n;
    const double **points =
        assay_evidence_pending(surrogate->base->history, PENDING_MAX - n_batch, &n);

    for (size_t i = batch->n_given - n_batch; i < batch->n_given; i++) {
        points = assay_realloc(points, n + 1, sizeof *points);
        points[n++] = batch->given[i]->point;
    }
    *ret_n = n;
    return points;
}

enum assay_model_answer
assay_surrogate_propose(struct assay_surrogate *surrogate, const char *name, double sign,
                        const struct assay_batch *batch, struct assay_random *random,
                        const struct assay_plugin_suggestion *suggestion)
{
    const double **pending;
    size_t n_pending, best;
    struct pool pool;
    bool found;

    if (surrogate->features.n_dimensions == 0)
        return ASSAY_MODEL_NOT_READY;
    if (!surrogate->fresh && !learn(surrogate))
        return ASSAY_MODEL_INTERRUPTED;
    if (!surrogate->ready)
        return ASSAY_MODEL_NOT_READY;
    pending = pending_points(surrogate, batch, &n_pending);
    pend(surrogate, pending, n_pending);
    free(pending);
    pool_init(&pool, surrogate, SPREAD + NEAR);
    add_candidates(surrogate, &pool, random);
    evaluate(surrogate, &pool, lowest_mean(surrogate));
    found = take_best(surrogate, &pool, batch, &best, suggestion->point);
    if (found)
        write_why(surrogate, &pool, best, name, sign, suggestion);
    pool_done(&pool);
    return found ? ASSAY_MODEL_PROPOSED : ASSAY_MODEL_NONE_UNTRIED;
}

#include "suggest/algorithms/fidelity/explore.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/model.h"
#include "suggest/algorithms/fidelity/predict.h"
#include "suggest/algorithms/fidelity/sampler.h"
#include "suggest/rungs.h"
#include "suggest/view.h"

#define UP 1.2
#define DOWN 0.8
#define SHIFT 0.1 /* of the range, where a factor makes no sense */

#define GAINS_MIN 4
#define GAINS_MAX 500
#define PENDING_MAX 64
#define SPREAD 256
#define NEAR 128
#define OPTIMISM 1.8

/* --- perturbing --- */

static double
perturbed_number(const struct assay_plugin_parameter *parameter, double value,
                 struct assay_random *random)
{
    bool up = assay_random_unit(random) < 0.5;
    double to;

    if (parameter->type == ASSAY_PLUGIN_DISCRETE)
        return value + (up ? 1.0 : -1.0);
    to = parameter->min > 0.0 ? value * (up ? UP : DOWN)
                              : value + (up ? SHIFT : -SHIFT) * (parameter->max - parameter->min);
    if (parameter->step > 0.0 && fabs(to - value) < parameter->step)
        to = value + (up ? parameter->step : -parameter->step);
    return to;
}

void
assay_explore_perturb(const struct assay_transform *transform, const double *parent,
                      double resample, struct assay_random *random, double *ret_point)
{
    const struct assay_plugin_space *space = transform->space;
    assay_auto_free double *unit = assay_alloc(transform->n_dimensions + 1, sizeof *unit);

    for (size_t d = 0; d < transform->n_dimensions; d++) {
        size_t i = transform->dimensions[d].parameter;
        const struct assay_plugin_parameter *parameter = space->parameters[i];
        double value = parent[i], lot = assay_random_unit(random);

        if (isnan(value) || lot < resample) {
            unit[d] = assay_random_unit(random);
            continue;
        }
        if (parameter->type != ASSAY_PLUGIN_CATEGORICAL && parameter->type != ASSAY_PLUGIN_BOOL) {
            value = perturbed_number(parameter, value, random);
            value = assay_view_snap(space, i, fmin(fmax(value, parameter->min), parameter->max));
        }
        unit[d] = assay_transform_unit(transform, d, value);
    }
    assay_transform_decode(transform, unit, ret_point);
}

/* --- the bandit --- */

struct assay_bandit {
    const struct assay_algorithm_base *base;
    const double *rungs;
    size_t n_rungs;
    /* The space with time as one more parameter; only encoded, never decoded. */
    struct assay_plugin_space space;
    struct assay_plugin_parameter time;
    const struct assay_plugin_parameter **parameters;
    uint64_t *order;
    struct assay_transform transform;
    struct assay_gp_features features;
    struct assay_history *gains; /* NULL: none yet */
    struct assay_gp_model model;
    bool fresh, ready;
};

struct assay_bandit *
assay_bandit_new(const struct assay_algorithm_base *base, const double *rungs, size_t n_rungs)
{
    struct assay_bandit *bandit = ASSAY_NEW(struct assay_bandit);
    size_t n = (size_t)base->space->n_parameters;

    openblas_set_num_threads(1); /* sums in one order: the same suggestion each time */
    bandit->base = base;
    bandit->rungs = rungs;
    bandit->n_rungs = n_rungs;
    bandit->time = (struct assay_plugin_parameter){
        .name = "time",
        .type = ASSAY_PLUGIN_DOUBLE,
        .max = rungs[n_rungs - 1],
        .cardinality = INFINITY,
        .middle = rungs[n_rungs - 1] / 2.0,
        .prior_value = NAN,
        .prior_spread = NAN,
        .prior_weight = NAN,
    };
    bandit->parameters = assay_alloc(n + 1, sizeof *bandit->parameters);
    bandit->order = assay_alloc(n + 1, sizeof *bandit->order);
    for (size_t i = 0; i < n; i++) {
        bandit->parameters[i] = base->space->parameters[i];
        bandit->order[i] = base->space->order[i];
    }
    bandit->parameters[n] = &bandit->time;
    bandit->order[n] = n;
    bandit->space = (struct assay_plugin_space){
        .n_parameters = n + 1,
        .parameters = bandit->parameters,
        .order = bandit->order,
        .cardinality = INFINITY,
    };
    assay_transform_init(&bandit->transform, &bandit->space);
    assay_gp_features_init(&bandit->features, &bandit->transform);
    assay_gp_model_init(&bandit->model, &bandit->features, 1, 0, base->seed);
    return bandit;
}

struct assay_bandit *
assay_bandit_free(struct assay_bandit *bandit)
{
    if (bandit == NULL)
        return NULL;
    assay_gp_model_done(&bandit->model);
    assay_history_free(bandit->gains);
    assay_gp_features_done(&bandit->features);
    assay_transform_done(&bandit->transform);
    free(bandit->parameters);
    free(bandit->order);
    free(bandit);
    return NULL;
}

void
assay_bandit_forget(struct assay_bandit *bandit)
{
    bandit->fresh = false;
}

/* What a trial gained from one rung to the next, per unit of budget. */
struct gain {
    const struct assay_history_trial *trial;
    size_t rung; /* from this one */
    double value;
};

static int
compare_gains(const void *a, const void *b)
{
    const struct gain *x = a, *y = b;

    if (x->rung != y->rung) /* the latest first */
        return x->rung > y->rung ? -1 : 1;
    return x->trial->number > y->trial->number ? -1 : x->trial->number < y->trial->number;
}

static struct gain *
collect_gains(const struct assay_bandit *bandit, size_t *ret_n)
{
    const struct assay_history *history = bandit->base->history;
    size_t n = 0, capacity = 0;
    struct gain *gains = NULL;

    for (size_t i = 0; i < assay_history_count(history); i++) {
        const struct assay_history_trial *trial = assay_history_at(history, i);

        for (size_t k = 0; k + 1 < bandit->n_rungs; k++) {
            double gained = (trial->rung_values[k + 1] - trial->rung_values[k]) /
                            (bandit->rungs[k + 1] - bandit->rungs[k]);

            if (!isfinite(gained))
                continue;
            ASSAY_GROW(gains, n, capacity);
            gains[n++] = (struct gain){.trial = trial, .rung = k, .value = gained};
        }
    }
    if (n > 0)
        qsort(gains, n, sizeof *gains, compare_gains);
    *ret_n = ASSAY_MIN(n, (size_t)GAINS_MAX);
    return gains;
}

/* False when interrupted. */
static bool
learn(struct assay_bandit *bandit)
{
    size_t n, n_parameters = (size_t)bandit->base->space->n_parameters;
    struct gain *gains = collect_gains(bandit, &n);
    assay_auto_free double *point = assay_alloc(n_parameters + 1, sizeof *point);
    bool learned = true;

    assay_history_free(bandit->gains);
    bandit->gains = assay_history_new(&bandit->space, 1, 0, 0);
    for (size_t i = 0; i < n; i++) {
        memcpy(point, gains[i].trial->point, n_parameters * sizeof *point);
        point[n_parameters] = bandit->rungs[gains[i].rung];
        assay_history_tell(bandit->gains, &(struct assay_plugin_trial){
                                              .number = gains[i].trial->number * ASSAY_RUNGS_MAX +
                                                        (int64_t)gains[i].rung,
                                              .state = ASSAY_PLUGIN_SUCCEEDED,
                                              .point = point,
                                              .values = &gains[i].value,
                                              .budget = NAN,
                                              .steps = -1,
                                          });
    }
    free(gains);
    bandit->ready = n >= GAINS_MIN;
    if (bandit->ready)
        learned = assay_gp_model_learn(&bandit->model, bandit->gains);
    bandit->fresh = learned;
    return learned;
}

static void
pend(struct assay_bandit *bandit, double from)
{
    size_t n, n_parameters = (size_t)bandit->base->space->n_parameters;
    const double **running = assay_sampler_pending(bandit->base->history, PENDING_MAX, &n);
    double *points = assay_alloc(n * (n_parameters + 1) + 1, sizeof *points);

    for (size_t i = 0; i < n; i++) {
        double *point = &points[i * (n_parameters + 1)];

        memcpy(point, running[i], n_parameters * sizeof *point);
        point[n_parameters] = from;
        running[i] = point;
    }
    assay_gp_model_pend(&bandit->model, running, n, ASSAY_GP_UCB, 1, NULL);
    free(points);
    free(running);
}

enum assay_bandit_answer
assay_bandit_choose(struct assay_bandit *bandit, const double *parent, double from,
                    struct assay_random *random, double *ret_point, double *ret_worth)
{
    const struct assay_transform *transform = &bandit->base->transform;
    size_t n = SPREAD + NEAR, n_parameters = (size_t)bandit->base->space->n_parameters;
    size_t columns = bandit->features.n_columns, best = 0;

    if (!bandit->fresh && !learn(bandit))
        return ASSAY_BANDIT_INTERRUPTED;
    if (!bandit->ready)
        return ASSAY_BANDIT_TOO_EARLY;
    assay_auto_free double *points = assay_alloc(n * (n_parameters + 1), sizeof *points);
    assay_auto_free double *rows = assay_alloc(n * columns, sizeof *rows);
    assay_auto_free double *means = assay_alloc(n, sizeof *means);
    assay_auto_free double *sds = assay_alloc(n, sizeof *sds);

    for (size_t i = 0; i < n; i++) {
        double *point = &points[i * (n_parameters + 1)];

        /* Resampled altogether: anywhere. */
        assay_explore_perturb(transform, parent, i < SPREAD ? 1.0 : 0.1, random, point);
        point[n_parameters] = from;
        assay_gp_features_of_point(&bandit->features, point, &rows[i * columns]);
    }
    pend(bandit, from);
    assay_predict(&bandit->model.surfaces[0].posterior, rows, n, means, sds);
    for (size_t i = 0; i < n; i++) {
        means[i] -= OPTIMISM * sds[i];
        if (means[i] < means[best])
            best = i;
    }
    memcpy(ret_point, &points[best * (n_parameters + 1)], n_parameters * sizeof *ret_point);
    *ret_worth = means[best];
    return ASSAY_BANDIT_CHOSE;
}

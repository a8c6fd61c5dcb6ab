#include "suggest/algorithms/fidelity/explore.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/kernel.h"
#include "suggest/algorithms/bayesian/model.h"
#include "suggest/algorithms/fidelity/evidence.h"
#include "suggest/algorithms/fidelity/predict.h"
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
#define CHOICES_MAX 100 /* more are taken for a number */

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
    /* A space of its own: a parameter for each dimension of the study's, and time. */
    struct assay_space *parameters;
    struct assay_view *view;
    struct assay_transform transform;
    struct assay_gp_features features;
    struct assay_history *gains; /* NULL: none yet */
    struct assay_gp_model model;
    bool fresh, ready;
};

static bool
is_choice(const struct assay_plugin_parameter *parameter)
{
    return (parameter->type == ASSAY_PLUGIN_CATEGORICAL || parameter->type == ASSAY_PLUGIN_BOOL) &&
           parameter->cardinality <= CHOICES_MAX;
}

static struct assay_space *
make_space(const struct assay_transform *transform, double whole)
{
    struct assay_faults faults = {0};
    struct assay_space *space;
    json_t *list = json_array();

    for (size_t d = 0; d < transform->n_dimensions; d++) {
        const struct assay_plugin_parameter *from =
            transform->space->parameters[transform->dimensions[d].parameter];
        json_t *values = json_array();
        char name[32];

        snprintf(name, sizeof name, "d%zu", d);
        for (double k = 0.0; is_choice(from) && k < from->cardinality; k++)
            json_array_append_new(values, json_integer((json_int_t)k));
        json_array_append_new(list, is_choice(from)
                                        ? json_pack("{s:s, s:s, s:O}", "name", name, "type",
                                                    "categorical", "values", values)
                                        : json_pack("{s:s, s:s, s:f, s:f}", "name", name, "type",
                                                    "double", "min", 0.0, "max", 1.0));
        json_decref(values);
    }
    json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:f}", "name", "time", "type", "double",
                                          "min", 0.0, "max", whole));
    space = assay_space_decode(list, "", &faults);
    ASSAY_ASSERT(space != NULL);
    json_decref(list);
    return space;
}

/* A point of the study at a time as one of the bandit's; what is inactive stands in the
 * middle, a choice at its first. */
static void
place(const struct assay_bandit *bandit, const double *point, double time, double *ret_point)
{
    const struct assay_transform *transform = &bandit->base->transform;

    for (size_t d = 0; d < transform->n_dimensions; d++) {
        size_t i = transform->dimensions[d].parameter;

        if (is_choice(transform->space->parameters[i]))
            ret_point[d] = isnan(point[i]) ? 0.0 : point[i];
        else
            ret_point[d] = isnan(point[i]) ? 0.5 : assay_transform_unit(transform, d, point[i]);
    }
    ret_point[transform->n_dimensions] = time;
}

struct assay_bandit *
assay_bandit_new(const struct assay_algorithm_base *base, const double *rungs, size_t n_rungs)
{
    struct assay_bandit *bandit = ASSAY_NEW(struct assay_bandit);

    assay_gp_prepare();
    bandit->base = base;
    bandit->rungs = rungs;
    bandit->n_rungs = n_rungs;
    bandit->parameters = make_space(&base->transform, rungs[n_rungs - 1]);
    bandit->view = assay_view_new(bandit->parameters);
    assay_transform_init(&bandit->transform, assay_view_space(bandit->view));
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
    assay_view_free(bandit->view);
    assay_space_free(bandit->parameters);
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

            /* One value for both rungs: nothing was measured in between. */
            if (!isfinite(gained) || !(fabs(gained) > 0.0))
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
    size_t n;
    struct gain *gains = collect_gains(bandit, &n);
    assay_auto_free double *point =
        assay_alloc(bandit->base->transform.n_dimensions + 1, sizeof *point);
    bool learned = true;

    assay_history_free(bandit->gains);
    bandit->gains = assay_history_new(assay_view_space(bandit->view), 1, 0, 0);
    for (size_t i = 0; i < n; i++) {
        place(bandit, gains[i].trial->point, bandit->rungs[gains[i].rung], point);
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
    size_t n, stride = bandit->base->transform.n_dimensions + 1;
    const double **running = assay_evidence_pending(bandit->base->history, PENDING_MAX, &n);
    double *points = assay_alloc(n * stride + 1, sizeof *points);

    for (size_t i = 0; i < n; i++) {
        place(bandit, running[i], from, &points[i * stride]);
        running[i] = &points[i * stride];
    }
    assay_gp_model_pend(&bandit->model, running, n, ASSAY_GP_UCB, 1, NULL);
    free(points);
    free(running);
}

enum assay_bandit_answer
assay_bandit_choose(struct assay_bandit *bandit, const double *parent, double from,
                    struct assay_random *random, double *ret_point)
{
    const struct assay_transform *transform = &bandit->base->transform;
    size_t n = SPREAD + NEAR, n_parameters = (size_t)bandit->base->space->n_parameters;
    size_t columns = bandit->features.n_columns, best = 0;

    if (!bandit->fresh && !learn(bandit))
        return ASSAY_BANDIT_INTERRUPTED;
    if (!bandit->ready)
        return ASSAY_BANDIT_TOO_EARLY;
    assay_auto_free double *points = assay_alloc(n * n_parameters + 1, sizeof *points);
    assay_auto_free double *placed = assay_alloc(transform->n_dimensions + 1, sizeof *placed);
    assay_auto_free double *rows = assay_alloc(n * columns, sizeof *rows);
    assay_auto_free double *means = assay_alloc(n, sizeof *means);
    assay_auto_free double *sds = assay_alloc(n, sizeof *sds);

    for (size_t i = 0; i < n; i++) {
        double *point = &points[i * n_parameters];

        /* Resampled altogether: anywhere. */
        assay_explore_perturb(transform, parent, i < SPREAD ? 1.0 : 0.1, random, point);
        place(bandit, point, from, placed);
        assay_gp_features_of_point(&bandit->features, placed, &rows[i * columns]);
    }
    pend(bandit, from);
    assay_predict(&bandit->model.surfaces[0].posterior, rows, n, means, sds);
    for (size_t i = 0; i < n; i++) {
        means[i] -= OPTIMISM * sds[i];
        if (means[i] < means[best])
            best = i;
    }
    memcpy(ret_point, &points[best * n_parameters], n_parameters * sizeof *ret_point);
    return ASSAY_BANDIT_CHOSE;
}

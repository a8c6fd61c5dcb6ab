#include "suggest/analysis/trials.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

#define PURPOSE_SAMPLE 1u

bool
assay_analysis_is_choice(const struct assay_plugin_parameter *parameter)
{
    return parameter->type == ASSAY_PLUGIN_CATEGORICAL || parameter->type == ASSAY_PLUGIN_BOOL;
}

void
assay_analysis_trials_init(struct assay_analysis_trials *trials,
                           const struct assay_plugin_space *space, size_t n_objectives,
                           size_t n_max)
{
    size_t row = space->n_parameters * sizeof(float) + n_objectives * sizeof(double) + sizeof(bool);
    size_t fit = ASSAY_ANALYSIS_BYTES / row;

    if (n_objectives > 1)
        fit = ASSAY_MIN(fit, (size_t)ASSAY_ANALYSIS_FRONTS_MAX);

    *trials = (struct assay_analysis_trials){
        .space = space,
        .n_objectives = n_objectives,
        .n_max = n_max > 0 ? ASSAY_MIN(n_max, fit) : fit,
    };
    assay_transform_init(&trials->transform, space);
    assay_random_init(&trials->random, 0, 0, PURPOSE_SAMPLE);
}

void
assay_analysis_trials_done(struct assay_analysis_trials *trials)
{
    assay_transform_done(&trials->transform);
    free(trials->units);
    free(trials->values);
    free(trials->feasible);
    *trials = (struct assay_analysis_trials){0};
}

static void
make_room(struct assay_analysis_trials *trials)
{
    size_t capacity = ASSAY_MIN(ASSAY_MAX(trials->capacity * 2, (size_t)64), trials->n_max);

    trials->units =
        assay_realloc(trials->units, capacity * trials->space->n_parameters + 1, sizeof(float));
    trials->values = assay_realloc(trials->values, capacity * trials->n_objectives, sizeof(double));
    trials->feasible = assay_realloc(trials->feasible, capacity, sizeof(bool));
    trials->capacity = capacity;
}

static float
unit_of(const struct assay_analysis_trials *trials, size_t i, double value)
{
    ptrdiff_t dimension = trials->transform.of_parameter[i];

    if (isnan(value))
        return NAN;
    if (dimension < 0)
        return 0.0f;
    if (assay_analysis_is_choice(trials->space->parameters[i]))
        return (float)value;
    return (float)assay_transform_unit(&trials->transform, (size_t)dimension, value);
}

void
assay_analysis_trials_add(struct assay_analysis_trials *trials, const double *point,
                          const double *values, bool feasible)
{
    size_t n_parameters = trials->space->n_parameters, row = trials->n;

    for (size_t k = 0; k < trials->n_objectives && feasible; k++) {
        if (isnan(values[k]))
            return;
    }
    trials->n_seen++;
    if (trials->n == trials->n_max) {
        row = (size_t)assay_random_below(&trials->random, trials->n_seen);
        if (row >= trials->n_max)
            return;
    } else {
        if (trials->n == trials->capacity)
            make_room(trials);
        trials->n++;
    }
    for (size_t i = 0; i < n_parameters; i++)
        trials->units[row * n_parameters + i] = unit_of(trials, i, point[i]);
    for (size_t k = 0; k < trials->n_objectives; k++)
        trials->values[row * trials->n_objectives + k] = values[k];
    trials->feasible[row] = feasible;
}

/* What trials measured: names, the values that count, the objectives in them. */
#include <math.h>
#include <string.h>

#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"
#include "controller/engine/internal.h"

int
assay__metric_id(struct assay__study *study, const char *name, struct assay__commit *commit)
{
    for (size_t i = 0; i < study->n_metrics; i++) {
        if (strcmp(study->metrics[i], name) == 0)
            return (int)i;
    }
    if (study->n_metrics >= ASSAY_METRICS_PER_STUDY_MAX)
        return -1;
    ASSAY_GROW(study->metrics, study->n_metrics, study->metrics_capacity);
    study->metrics[study->n_metrics++] = assay_strdup(name);
    assay_changes_metric_insert(commit->changes, study->id, (int)study->n_metrics - 1, name);
    return (int)study->n_metrics - 1;
}

const struct assay_objective *
assay__summarised(const struct assay_study_spec *spec, const char *metric)
{
    for (size_t i = 0; i < spec->n_objectives; i++) {
        if (spec->objectives[i].summary != ASSAY_SUMMARY_LAST &&
            strcmp(spec->objectives[i].metric, metric) == 0)
            return &spec->objectives[i];
    }
    return NULL;
}

/* Whether a value told for a metric becomes the trial's own. */
static bool
takes(const struct assay__trial *trial, const char *metric, double value)
{
    const struct assay_objective *objective = assay__summarised(trial->study->spec, metric);
    double old = NAN;

    return objective == NULL ||
           !assay_json_get_real(json_object_get(trial->row.metrics, metric), &old) ||
           assay_summary_takes(objective->summary, old, value);
}

/* The values told at the end stand for what was measured, or add to it. */
void
assay__trial_take_metrics(struct assay__trial *trial, const json_t *metrics)
{
    const char *metric;
    json_t *value;

    assay_json_each (metrics, metric, value) {
        double number;

        if (!assay_json_get_real(value, &number) || takes(trial, metric, number))
            json_object_set(trial->row.metrics, metric, value);
    }
}

void
assay__trial_measured(struct assay__trial *trial, int metric_id, int64_t step, double value)
{
    size_t i = (size_t)metric_id;

    if (i >= trial->n_metric_step) {
        size_t n = trial->study->n_metrics;

        trial->metric_step = assay_realloc(trial->metric_step, n, sizeof *trial->metric_step);
        for (; trial->n_metric_step < n; trial->n_metric_step++)
            trial->metric_step[trial->n_metric_step] = -1;
    }
    trial->row.last_step = ASSAY_MAX(trial->row.last_step, step);
    if (step < trial->metric_step[i] &&
        assay__summarised(trial->study->spec, trial->study->metrics[i]) == NULL)
        return; /* late: the value of a later step stands */
    trial->metric_step[i] = ASSAY_MAX(trial->metric_step[i], step);
    if (trial->study->n_rungs > 0 &&
        strcmp(trial->study->metrics[i], trial->study->spec->objectives[0].metric) == 0 &&
        assay__rungs_reach(trial, (double)step, value))
        assay__trial_tell_host(trial);
    if (takes(trial, trial->study->metrics[i], value))
        json_object_set_new(trial->row.metrics, trial->study->metrics[i], assay_json_real(value));
}

enum assay__objective
assay__trial_evaluate(struct assay__trial *trial)
{
    const struct assay_study_spec *spec = trial->study->spec;
    enum assay__objective result = ASSAY__OBJECTIVE_FINE;

    trial->row.value = NAN;
    for (size_t i = 0; i < spec->n_objectives; i++) {
        double value;

        if (!assay_json_get_real(json_object_get(trial->row.metrics, spec->objectives[i].metric),
                                 &value))
            return ASSAY__OBJECTIVE_MISSING;
        if (!isfinite(value))
            result = ASSAY__OBJECTIVE_NOT_FINITE;
        else if (i == 0)
            trial->row.value = value;
    }
    trial->feasible = true;
    for (size_t i = 0; i < spec->n_constraints; i++) {
        const struct assay_constraint *constraint = &spec->constraints[i];
        double value;

        /* Not measured, or NaN, is not kept. */
        if (!assay_json_get_real(json_object_get(trial->row.metrics, constraint->metric), &value) ||
            !(value >= constraint->min && value <= constraint->max))
            trial->feasible = false;
    }
    return result;
}

/* Reports: measurements in, the stopping rule's decision out. */
#include <string.h>

#include "common/clock.h"
#include "common/memory.h"
#include "controller/engine/internal.h"
#include "schemas/point.h"

const int64_t assay_decision_bounds_ns[] = {1000,   2000,   3000,    5000,    7500,
                                            10000,  15000,  25000,   50000,   100000,
                                            250000, 500000, 1000000, 2500000, 10000000};

static void
count_time(struct assay_decision_times *times, int64_t elapsed_ns)
{
    size_t i = 0;

    while (i < ASSAY_DECISION_BUCKETS - 1 && elapsed_ns > assay_decision_bounds_ns[i])
        i++;
    times->buckets[i]++;
    times->count++;
    times->total_ns += elapsed_ns;
    times->greatest_ns = ASSAY_MAX(times->greatest_ns, elapsed_ns);
}

static void
add_times(struct assay_engine *engine, const struct assay_decision_times *times)
{
    struct assay_decision_times *all = &engine->stats.decisions;

    pthread_mutex_lock(&engine->lock);
    for (size_t i = 0; i < ASSAY_DECISION_BUCKETS; i++)
        all->buckets[i] += times->buckets[i];
    all->count += times->count;
    all->total_ns += times->total_ns;
    all->greatest_ns = ASSAY_MAX(all->greatest_ns, times->greatest_ns);
    pthread_mutex_unlock(&engine->lock);
}

static void
start(struct assay__trial *trial)
{
    const struct assay_space *space = trial->study->spec->space;
    assay_auto_free double *point = assay_alloc(space->n_parameters + 1, sizeof *point);
    struct assay_faults faults = {0};

    if (assay_point_decode(space, trial->row.parameters, "", true, &faults, point))
        assay_stopping_start(trial->study->stopping, trial->row.number, point);
    assay_faults_done(&faults);
    trial->started = true;
}

static void
judge(struct assay__trial *trial, int64_t step, double value, bool judged,
      struct assay_decision_times *times, struct assay__commit *commit)
{
    struct assay__study *study = trial->study;
    struct assay_decision decision;
    int64_t start_ns = assay_monotonic_ns();
    json_t *record;

    if (!trial->started && assay_stopping_wants_points(study->stopping))
        start(trial);
    assay_stopping_report(study->stopping, trial->row.number, step, value, &decision);
    count_time(times, assay_monotonic_ns() - start_ns);
    if (!judged || !decision.stop || trial->row.state != ASSAY_TRIAL_RUNNING)
        return;
    record = assay_decision_encode(&decision);
    json_object_set(trial->row.why, "stop", record);
    assay__event(commit, "trial_stop_decided", trial->row.number, record, "trial %lld: %s",
                 (long long)trial->row.number, decision.sentence);
    assay__trial_end(trial, ASSAY_TRIAL_REASON_STOPPED_BY_RULE, decision.sentence, commit);
    pthread_mutex_lock(&study->engine->lock);
    study->engine->stats.stops_decided++;
    pthread_mutex_unlock(&study->engine->lock);
}

void
assay__trial_report(struct assay__trial *trial, const struct assay_measurements *list, bool judged,
                    struct assay__commit *commit)
{
    struct assay__study *study = trial->study;
    const char *objective = study->spec->objectives[0].metric;
    assay_auto_free struct assay_metric_value *values = assay_alloc(list->count, sizeof *values);
    struct assay_decision_times times = {0};
    size_t n = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct assay_measurement *item = &list->items[i];
        int id = assay__metric_id(study, item->metric, commit);

        if (id < 0)
            continue; /* more names than a study can have: the documented bound */
        values[n++] = (struct assay_metric_value){id, item->step, item->time_us, item->value};
        assay__trial_measured(trial, id, item->step, item->value);
    }
    if (n > 0)
        assay_changes_measurements(commit->changes, study->id, trial->row.number, values, n);
    for (size_t i = 0; i < list->count && study->stopping != NULL; i++) {
        if (strcmp(list->items[i].metric, objective) == 0)
            judge(trial, list->items[i].step, list->items[i].value, judged, &times, commit);
    }
    if (times.count > 0)
        add_times(study->engine, &times);
}

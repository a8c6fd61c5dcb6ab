/* Reports: measurements in, the stopping rule's decision out. */
#include <math.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "controller/engine_internal.h"

static void
judge(struct assay__trial *trial, int64_t step, double value, bool judged,
      struct assay__commit *commit)
{
    struct assay__study *study = trial->study;
    struct assay_decision decision;
    json_t *record;

    assay_stopping_report(study->stopping, trial->row.number, step, value, &decision);
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
            judge(trial, list->items[i].step, list->items[i].value, judged, commit);
    }
}

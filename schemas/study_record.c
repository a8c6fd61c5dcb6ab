#include "schemas/study_record.h"

#include <stdlib.h>

#include "common/json.h"

void
assay_study_record_done(struct assay_study_record *record)
{
    free(record->project);
    free(record->name);
    free(record->message);
    json_decref(record->document);
    json_decref(record->best);
    *record = (struct assay_study_record){0};
}

/* The objectives are shown as a list, whichever form the file has, each with its
 * target or null. */
static json_t *
objectives(const json_t *document)
{
    json_t *several = json_object_get(document, "objectives");
    json_t *one = json_object_get(document, "objective");
    json_t *shown = json_array();

    for (size_t i = 0; i < json_array_size(several); i++)
        json_array_append_new(shown, json_copy(json_array_get(several, i)));
    if (several == NULL && one != NULL)
        json_array_append_new(shown, json_copy(one));
    for (size_t i = 0; i < json_array_size(shown); i++) {
        json_t *objective = json_array_get(shown, i);

        if (json_object_get(objective, "target") == NULL)
            json_object_set_new(objective, "target", json_null());
    }
    return shown;
}

json_t *
assay_study_record_encode(const struct assay_study_record *record, bool with_spec)
{
    const json_t *document = record->document;
    json_t *counts = json_object();
    json_t *study;
    int64_t total = 0;

    for (int state = 0; state < ASSAY_TRIAL_STATE_MAX_; state++) {
        json_object_set_new(counts, assay_trial_state_name((enum assay_trial_state)state),
                            json_integer(record->trials[state]));
        total += record->trials[state];
    }
    json_object_set_new(counts, "total", json_integer(total));

    study = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:O?, s:O?, s:O?, s:O?, s:b, s:o, s:O?, s:o, "
                      "s:o, s:o}",
                      "name", record->name, "project", record->project, "state",
                      assay_study_state_name(record->state), "reason",
                      assay_json_text(assay_study_reason_name(record->reason)), "message",
                      assay_json_text(record->message), "objectives", objectives(document),
                      "algorithm", json_object_get(document, "algorithm"), "early_stopping",
                      json_object_get(document, "early_stopping"), "limits",
                      json_object_get(document, "limits"), "seed",
                      json_object_get(document, "seed"), "runs_trials",
                      json_object_get(document, "trial") != NULL, "trials", counts, "best",
                      record->best, "created_at", assay_json_time(record->created_us), "started_at",
                      assay_json_time(record->started_us), "finished_at",
                      assay_json_time(record->finished_us));
    if (with_spec && document != NULL)
        json_object_set(study, "spec", record->document);
    return study;
}

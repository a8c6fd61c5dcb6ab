/* Studies: the cache of one, its state, how it ends. */
#include <stdlib.h>

#include "common/log.h"
#include "common/memory.h"
#include "controller/engine/internal.h"
#include "suggest/needed_rule.h"

/* A study whose rule can not be made goes on without. */
static void
start_rule(struct assay__study *study)
{
    struct assay_error err = {0};

    if (assay_stopping_for(study->spec, &study->stopping, &err) != ASSAY_OK)
        assay_log(ASSAY_LOG_ERROR, "study=%s/%s: no early stopping: %s", study->record.project,
                  study->record.name, err.message);
}

struct assay__study *
assay__study_new(struct assay_engine *engine, int64_t id, struct assay_study_spec *spec,
                 struct assay_study_record *record)
{
    struct assay__study *study = ASSAY_NEW(struct assay__study);

    study->engine = engine;
    study->id = id;
    study->spec = spec;
    study->record = *record;
    *record = (struct assay_study_record){0};
    study->next_number = 1;
    TAILQ_INIT(&study->asks);
    HASH_ADD(hh, engine->studies, id, sizeof study->id, study);
    assay_suggest_host_open(engine->host, id, spec->document);
    assay__rungs_init(study);
    start_rule(study);
    return study;
}

void
assay__ask_free(struct assay__ask *ask)
{
    free(ask->client);
    free((void *)(uintptr_t)ask->key.key);
    free((void *)(uintptr_t)ask->key.request_hash);
    free(ask);
}

void
assay__study_drop(struct assay__study *study, const char *why)
{
    struct assay__trial *trial, *next;
    struct assay__ask *ask;

    while ((ask = TAILQ_FIRST(&study->asks)) != NULL) {
        TAILQ_REMOVE(&study->asks, ask, link);
        assay__reply_fail(ask->reply, ASSAY_E_UNAVAILABLE, "%s", why);
        assay__ask_free(ask);
    }
    HASH_ITER(hh, study->trials, trial, next)
    {
        assay__trial_free(trial);
    }
    assay__study_not_due(study);
    assay_suggest_host_forget(study->engine->host, study->id);
    assay_stopping_free(study->stopping);
    HASH_DEL(study->engine->studies, study);
    assay_study_free(study->spec);
    assay_study_record_done(&study->record);
    for (size_t i = 0; i < study->n_metrics; i++)
        free(study->metrics[i]);
    free(study->metrics);
    free(study->freed_us);
    free(study);
}

void
assay__study_apply(struct assay__study *study, enum assay_study_event event,
                   enum assay_study_reason reason, struct assay__commit *commit)
{
    enum assay_study_state from = study->record.state;
    const struct assay_machine_row *row;

    if (assay_machine_find(&assay_study_machine, (int)from, (int)event, &row, NULL) != ASSAY_OK)
        ASSAY_BUG("a study event its state does not take");
    study->record.state = (enum assay_study_state)row->to;
    study->record.reason = reason;
    if (from == ASSAY_STUDY_RUNNING && event != ASSAY_STUDY_EVENT_WIND_DOWN) {
        free(study->record.message); /* that it waits for suggestions */
        study->record.message = NULL;
    }
    if (assay_study_state_is_final(study->record.state))
        study->record.finished_us = assay_now_us();
    assay_changes_study_state(commit->changes, from, &study->record);
    assay__event(commit, "study_state", 0,
                 json_pack("{s:s, s:s, s:s?}", "from", assay_study_state_name(from), "to",
                           assay_study_state_name(study->record.state), "reason",
                           assay_study_reason_name(reason)),
                 "study %s%s%s", row->comment, reason != ASSAY_STUDY_REASON_NONE ? ": " : "",
                 assay_study_reason_text(reason));
}

void
assay__study_wind_down(struct assay__study *study, enum assay_study_reason reason,
                       const char *message, struct assay__commit *commit)
{
    enum assay_trial_reason trial_reason = reason == ASSAY_STUDY_REASON_CANCELLED_BY_USER
                                               ? ASSAY_TRIAL_REASON_STUDY_CANCELLED
                                               : ASSAY_TRIAL_REASON_STUDY_FINISHED;
    struct assay__trial *trial, *next;

    free(study->record.message);
    study->record.message = assay_strdup(message);
    assay__study_apply(study, ASSAY_STUDY_EVENT_WIND_DOWN, reason, commit);
    assay__promotion_end(study, commit);
    HASH_ITER(hh, study->trials, trial, next)
    {
        assay__trial_end(trial, trial_reason, NULL, commit);
    }
}

void
assay__study_delete_when_ended(struct assay__study *study, struct assay__commit *commit)
{
    study->delete_when_ended = true;
    /* Those of the others were asked when their trials were told to end. */
    for (const struct assay__trial *trial = study->trials; trial != NULL; trial = trial->hh.next) {
        if (trial->executing && assay_trial_state_is_final(trial->row.state))
            assay__attempt_stop_after(trial, commit);
    }
}

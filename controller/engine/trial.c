/* Trials: the one writer of their state, and whom it tells. */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "controller/engine/internal.h"

struct assay__trial *
assay__trial_new(struct assay__study *study, struct assay_trial *row)
{
    struct assay__trial *trial = ASSAY_NEW(struct assay__trial);

    trial->study = study;
    trial->row = *row;
    trial->feasible = true;
    trial->stored_lease_us = row->lease_expires_us;
    *row = (struct assay_trial){0};
    HASH_ADD(hh, study->trials, row.number, sizeof trial->row.number, trial);
    return trial;
}

void
assay__trial_free(struct assay__trial *trial)
{
    assay__attempt_promise(trial, false);
    HASH_DEL(trial->study->trials, trial);
    assay_trial_done(&trial->row);
    assay_attempt_done(&trial->attempt);
    free(trial->metric_step);
    free(trial);
}

void
assay__trial_settle(struct assay__trial *trial)
{
    if (assay_trial_state_is_final(trial->row.state) && trial->writes == 0 && !trial->executing)
        assay__trial_free(trial);
}

static void
mention(struct assay__commit *commit, const struct assay__trial *trial)
{
    for (size_t i = 0; i < commit->n_trials; i++) {
        if (commit->trials[i] == trial->row.number)
            return;
    }
    ASSAY_GROW(commit->trials, commit->n_trials, commit->trials_capacity);
    commit->trials[commit->n_trials++] = trial->row.number;
}

void
assay__trial_fresh(const struct assay__study *study, struct assay_trial *ret_row)
{
    *ret_row = (struct assay_trial){
        .study_id = study->id,
        .number = study->next_number,
        .state = ASSAY_TRIAL_QUEUED,
        .metrics = json_object(),
        .value = NAN,
        .budget = study->spec->budget.name != NULL ? study->spec->budget.max : NAN,
        .lease_expires_us = ASSAY_TIME_NONE,
        .last_step = -1,
        .created_us = assay_now_us(),
        .started_us = ASSAY_TIME_NONE,
        .finished_us = ASSAY_TIME_NONE,
    };
}

void
assay__trial_enter(struct assay__trial *trial, struct assay__commit *commit)
{
    struct assay__study *study = trial->study;
    const char *by = json_string_value(json_object_get(trial->row.why, "proposed_by"));

    study->trials_in[trial->row.state]++;
    study->next_number = ASSAY_MAX(study->next_number, trial->row.number + 1);
    assay_changes_trial_insert(commit->changes, &trial->row, trial->feasible);
    mention(commit, trial);
    assay__event(commit, "trial_created", trial->row.number,
                 json_pack("{s:s, s:O}", "state", assay_trial_state_name(trial->row.state),
                           "parameters", trial->row.parameters),
                 "trial %lld %s, proposed by %s", (long long)trial->row.number,
                 assay_trial_state_name(trial->row.state), by != NULL ? by : "nobody");
    assay__trial_tell_host(trial);
}

struct assay__trial *
assay__trial_insert(struct assay__study *study, struct assay_trial *row,
                    struct assay__commit *commit)
{
    struct assay__trial *trial = assay__trial_new(study, row);

    assay__trial_enter(trial, commit);
    return trial;
}

/* The trial's final value of a metric, or null.  New reference. */
static json_t *
final_value(const struct assay__trial *trial, const char *metric)
{
    json_t *value = json_object_get(trial->row.metrics, metric);

    return value != NULL ? json_incref(value) : json_null();
}

void
assay__trial_tell_host(const struct assay__trial *trial)
{
    const struct assay_study_spec *spec = trial->study->spec;
    double forecast = assay_trial_forecast(&trial->row, spec->objectives[0].metric);
    json_t *values = json_null(), *constraints = json_null();
    json_t *message;

    /* Where trials pause, also what they had when they last did. */
    if (assay_trial_state_is_final(trial->row.state) || trial->study->n_rungs > 0) {
        values = json_array();
        for (size_t i = 0; i < spec->n_objectives; i++)
            json_array_append_new(values, final_value(trial, spec->objectives[i].metric));
        constraints = json_array();
        for (size_t i = 0; i < spec->n_constraints; i++)
            json_array_append_new(constraints, final_value(trial, spec->constraints[i].metric));
    }
    message = json_pack("{s:I, s:s, s:O, s:o, s:o, s:o, s:o, s:I}",
                        "number", (json_int_t)trial->row.number,
                        "state",
                        trial->row.state == ASSAY_TRIAL_PAUSED ||
                                assay_trial_state_is_final(trial->row.state)
                            ? assay_trial_state_name(trial->row.state)
                            : "pending",
                        "parameters", trial->row.parameters,
                        "values", values,
                        "constraints", constraints,
                        "rungs",
                        trial->study->n_rungs > 0 ? assay__rungs_told(trial) : json_null(),
                        "budget",
                        isnan(trial->row.budget) ? json_null() : json_real(trial->row.budget),
                        "steps", (json_int_t)trial->row.last_step);
    if (!isnan(forecast))
        json_object_set_new(message, "forecast", json_real(forecast));
    assay_suggest_host_tell(trial->study->engine->host, trial->study->id, message);
}

/* Of a stopped one the algorithm is to learn what it would have ended with. */
static void
leave_rule(struct assay__trial *trial)
{
    struct assay_stopping *stopping = trial->study->stopping;
    size_t learned_from = 0;
    double value = NAN;

    if (trial->row.state == ASSAY_TRIAL_STOPPED)
        value = assay_stopping_forecast(stopping, trial->row.number, &learned_from);
    if (!isnan(value))
        json_object_set_new(trial->row.why, "forecast",
                            json_pack("{s:s, s:f, s:I}", "metric",
                                      trial->study->spec->objectives[0].metric, "value", value,
                                      "trials", (json_int_t)learned_from));
    assay_stopping_finish(stopping, trial->row.number, trial->row.state);
}

void
assay__trial_apply(struct assay__trial *trial, enum assay_trial_event event,
                   enum assay_trial_reason reason, const char *message,
                   struct assay__commit *commit)
{
    struct assay__study *study = trial->study;
    enum assay_trial_state from = trial->row.state;
    const struct assay_machine_row *row;
    char *copy;

    if (assay_machine_find(&assay_trial_machine, (int)from, (int)event, &row, NULL) != ASSAY_OK)
        ASSAY_BUG("a trial event its state does not take");
    copy = assay_strdup(message); /* `message` may be the trial's own */
    free(trial->row.message);
    trial->row.message = copy;
    trial->row.state = (enum assay_trial_state)row->to;
    trial->row.reason = reason;
    study->trials_in[from]--;
    study->trials_in[trial->row.state]++;
    if (trial->row.state == ASSAY_TRIAL_RUNNING && trial->row.started_us == ASSAY_TIME_NONE)
        trial->row.started_us = assay_now_us();
    if (assay_trial_state_is_final(trial->row.state)) {
        trial->row.finished_us = assay_now_us();
        trial->row.lease_expires_us = ASSAY_TIME_NONE;
        if (from == ASSAY_TRIAL_PAUSED)
            study->paused_ended_us = assay_monotonic_us();
        study->later = false;
        if (study->stopping != NULL)
            leave_rule(trial);
        assay__trial_tell_host(trial);
    } else if (trial->row.state == ASSAY_TRIAL_PAUSED) {
        study->later = false;
        assay__trial_tell_host(trial);
    }
    assay_changes_trial_update(commit->changes, from, &trial->row, trial->feasible);
    trial->stored_lease_us = trial->row.lease_expires_us;
    mention(commit, trial);
    assay__event(commit, "trial_state", trial->row.number,
                 json_pack("{s:s, s:s, s:s?}", "from", assay_trial_state_name(from), "to",
                           assay_trial_state_name(trial->row.state), "reason",
                           assay_trial_reason_name(reason)),
                 "trial %lld %s%s%s", (long long)trial->row.number, row->comment,
                 reason != ASSAY_TRIAL_REASON_NONE ? ": " : "", assay_trial_reason_text(reason));
}

void
assay__trial_release(struct assay__trial *trial)
{
    struct assay__study *study = trial->study;

    if (!trial->slot)
        return;
    trial->slot = false;
    study->slots--;
    if (study->spec->trial != NULL) {
        struct assay__executor *executor = assay__executor_for(study->engine, study->spec->trial);

        executor->type->release(
            executor->handle,
            &(struct assay_attempt_key){study->id, trial->row.number, trial->attempt.number});
        ASSAY_GROW(study->freed_us, study->n_freed, study->freed_capacity);
        study->freed_us[study->n_freed++] = assay_monotonic_us();
    }
}

void
assay__trial_renew_lease(struct assay__trial *trial, struct assay__commit *commit)
{
    int64_t lease_us = trial->study->spec->lease_us;

    if (trial->row.lease_expires_us == ASSAY_TIME_NONE)
        return;
    trial->row.lease_expires_us = assay_now_us() + lease_us;
    /* The store's copy serves a restart only: half a lease of lag is fine. */
    if (trial->row.lease_expires_us - trial->stored_lease_us > lease_us / 2) {
        trial->stored_lease_us = trial->row.lease_expires_us;
        assay_changes_trial_lease(commit->changes, trial->study->id, trial->row.number,
                                  trial->row.lease_expires_us);
    }
}

void
assay__trial_end(struct assay__trial *trial, enum assay_trial_reason reason, const char *message,
                 struct assay__commit *commit)
{
    bool with_study = reason == ASSAY_TRIAL_REASON_STUDY_CANCELLED ||
                      reason == ASSAY_TRIAL_REASON_STUDY_FINISHED;
    enum assay_trial_event at_once =
        with_study ? ASSAY_TRIAL_EVENT_CANCEL : ASSAY_TRIAL_EVENT_END_STOPPED;

    if (assay_trial_state_is_final(trial->row.state))
        return;
    /* The process of a paused or queued one, if it still is there, has told its end and is
     * about to go: nothing more will be heard of it. */
    if ((trial->executing && (trial->row.state == ASSAY_TRIAL_RUNNING ||
                              trial->row.state == ASSAY_TRIAL_STOPPING)) ||
        (trial->row.state == ASSAY_TRIAL_RUNNING && !with_study)) {
        if (trial->row.state == ASSAY_TRIAL_RUNNING)
            assay__trial_apply(trial, ASSAY_TRIAL_EVENT_STOP, reason, message, commit);
        if (trial->executing)
            assay__attempt_stop_after(trial, commit);
        return;
    }
    assay__trial_release(trial);
    assay__trial_apply(trial, at_once, reason, message, commit);
}

/* Trials: the one writer of their state, their measurements, how they end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/number.h"
#include "controller/engine/internal.h"

/* Back-off of the n-th attempt after a loss: 1 s, 2 s, 4 s, … 60 s. */
#define LOSS_DELAY_MAX_US (60 * ASSAY_SECOND_US)
/* How often a trial whose worker went silent is handed to another. */
#define LEASE_LOSSES_MAX 3

void
assay__trial_copy(const struct assay_trial *from, struct assay_trial *ret_copy)
{
    *ret_copy = *from;
    ret_copy->message = assay_strdup(from->message);
    ret_copy->client = assay_strdup(from->client);
    ret_copy->parameters = json_incref(from->parameters); /* never changed once made */
    ret_copy->metrics = json_deep_copy(from->metrics);
    ret_copy->why = json_deep_copy(from->why);
    ret_copy->attempts = NULL;
    ret_copy->n_attempts = 0;
}

struct assay__trial *
assay__trial_find(struct assay__study *study, int64_t number)
{
    struct assay__trial *trial;

    HASH_FIND(hh, study->trials, &number, sizeof number, trial);
    return trial;
}

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
    message = json_pack("{s:I, s:s, s:O, s:o, s:o, s:o, s:o, s:I}", "number", (json_int_t)trial->row.number,
                        "state",
                        trial->row.state == ASSAY_TRIAL_PAUSED ||
                                assay_trial_state_is_final(trial->row.state)
                            ? assay_trial_state_name(trial->row.state)
                            : "pending",
                        "parameters", trial->row.parameters, "values", values, "constraints", constraints,
                        "rungs", trial->study->n_rungs > 0 ? assay__rungs_told(trial) : json_null(),
                        "budget",
                        isnan(trial->row.budget) ? json_null() : json_real(trial->row.budget),
                        "steps", (json_int_t)trial->row.last_step);
    assay_suggest_host_tell(trial->study->engine->host, trial->study->id, message);
}

bool
assay__trial_can(const struct assay__trial *trial, enum assay_trial_event event)
{
    const struct assay_machine_row *row;

    return assay_machine_find(&assay_trial_machine, (int)trial->row.state, (int)event, &row,
                              NULL) == ASSAY_OK;
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
        study->later = false;
        if (study->stopping != NULL)
            assay_stopping_finish(study->stopping, trial->row.number, trial->row.state);
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
static void
take_metrics(struct assay__trial *trial, const json_t *metrics)
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
        assay__rungs_measured(trial, step, value))
        assay__trial_tell_host(trial);
    if (takes(trial, trial->study->metrics[i], value))
        json_object_set_new(trial->row.metrics, trial->study->metrics[i], assay_json_real(value));
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
            assay__attempt_stop(trial);
        return;
    }
    assay__trial_release(trial);
    assay__trial_apply(trial, at_once, reason, message, commit);
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

/* Whether the trial gets another attempt after this failure, and when. */
static bool
try_again(struct assay__trial *trial, enum assay_trial_reason reason)
{
    const struct assay_trial_spec *spec = trial->study->spec->trial;
    int shift;

    if (trial->study->record.state == ASSAY_STUDY_STOPPING)
        return false;
    if (reason == ASSAY_TRIAL_REASON_LEASE_EXPIRED)
        return ++trial->losses <= LEASE_LOSSES_MAX;
    if (spec == NULL)
        return false;
    if (reason != ASSAY_TRIAL_REASON_RUNNER_LOST)
        return ++trial->failures <= spec->retries;
    shift = (int)ASSAY_MIN(trial->losses, 6);
    trial->not_before_us = assay_monotonic_us() +
                           ASSAY_MIN(ASSAY_SECOND_US << shift, LOSS_DELAY_MAX_US);
    return ++trial->losses <= spec->infrastructure_retries;
}

/* A failure: back to the queue while attempts are left, else the end. */
static void
fail(struct assay__trial *trial, enum assay_trial_reason reason, const char *message,
     struct assay__commit *commit)
{
    /* What fails because the daemon ends it costs no retry. */
    if (trial->row.state == ASSAY_TRIAL_RUNNING &&
        (trial->study->engine->stopping || try_again(trial, reason))) {
        free(trial->row.client);
        trial->row.client = NULL;
        trial->row.lease_expires_us = ASSAY_TIME_NONE;
        assay__trial_apply(trial, ASSAY_TRIAL_EVENT_REQUEUE, reason, message, commit);
    } else {
        assay__trial_apply(trial, ASSAY_TRIAL_EVENT_FAIL, reason, message, commit);
    }
}

/* One objective that has reached its target ends the study. */
static void
check_target(const struct assay__trial *trial, struct assay__commit *commit)
{
    struct assay__study *study = trial->study;
    const struct assay_objective *objective = &study->spec->objectives[0];
    assay_auto_free char *message = NULL;
    bool reached = objective->goal == ASSAY_GOAL_MAXIMIZE
                       ? trial->row.value >= objective->target
                       : trial->row.value <= objective->target; /* false when there is none */

    if (study->spec->n_objectives != 1 || !reached || !trial->feasible ||
        (study->record.state != ASSAY_STUDY_RUNNING && study->record.state != ASSAY_STUDY_PAUSED))
        return;
    message = assay_format("trial %lld reached the target: %s = %.10g, target %.10g",
                           (long long)trial->row.number, objective->metric, trial->row.value,
                           objective->target);
    assay__study_wind_down(study, ASSAY_STUDY_REASON_TARGET_REACHED, message, commit);
}

void
assay__trial_complete(struct assay__trial *trial, const struct assay_completion *completion,
                      struct assay__commit *commit)
{
    assay_auto_free char *why = assay_strdup(trial->row.message);
    enum assay__objective objective;

    take_metrics(trial, completion->metrics);
    objective = assay__trial_evaluate(trial);
    assay__trial_release(trial);

    if (trial->interrupted && trial->row.state == ASSAY_TRIAL_RUNNING) {
        trial->interrupted = false;
        assay__trial_apply(trial, ASSAY_TRIAL_EVENT_REQUEUE, ASSAY_TRIAL_REASON_NONE, NULL, commit);
    } else if (trial->row.state == ASSAY_TRIAL_STOPPING) {
        enum assay_trial_reason reason = trial->row.reason;
        bool with_study = reason == ASSAY_TRIAL_REASON_STUDY_CANCELLED ||
                          reason == ASSAY_TRIAL_REASON_STUDY_FINISHED;

        assay__trial_apply(trial,
                           with_study ? ASSAY_TRIAL_EVENT_CANCEL : ASSAY_TRIAL_EVENT_END_STOPPED,
                           reason, why, commit);
    } else if (completion->state == ASSAY_TRIAL_INFEASIBLE) {
        assay__trial_apply(trial, ASSAY_TRIAL_EVENT_INFEASIBLE,
                           ASSAY_TRIAL_REASON_REPORTED_BY_CLIENT, completion->message, commit);
    } else if (completion->state == ASSAY_TRIAL_FAILED) {
        fail(trial,
             completion->reason != ASSAY_TRIAL_REASON_NONE ? completion->reason
                                                           : ASSAY_TRIAL_REASON_REPORTED_BY_CLIENT,
             completion->message, commit);
    } else if (objective == ASSAY__OBJECTIVE_MISSING) {
        fail(trial, ASSAY_TRIAL_REASON_NO_OBJECTIVE, completion->message, commit);
    } else if (objective == ASSAY__OBJECTIVE_NOT_FINITE) {
        fail(trial, ASSAY_TRIAL_REASON_NON_FINITE_OBJECTIVE, completion->message, commit);
    } else if (!assay__rungs_pause(trial, completion->message, commit)) {
        assay__trial_apply(trial, ASSAY_TRIAL_EVENT_SUCCEED, ASSAY_TRIAL_REASON_NONE,
                           completion->message, commit);
        check_target(trial, commit);
    }
}

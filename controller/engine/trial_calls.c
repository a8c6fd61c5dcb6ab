/* The calls about trials: ask, add, report, complete, stop. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "controller/engine/call.h"

/* --- ask and add */

static void
handle_ask(struct assay_engine *engine, struct assay__call *call, struct assay__study *study)
{
    struct assay__ask *ask;

    if (assay__refuse_not_held(study, call->reply))
        return;
    if (study->spec->trial != NULL) {
        assay__reply_fail(call->reply, ASSAY_E_CONFLICT,
                          "the study runs its trials itself (it has a `trial` section)");
        return;
    }
    if (engine->stopping) {
        assay__reply_fail(call->reply, ASSAY_E_UNAVAILABLE, "the daemon is stopping");
        return;
    }
    ask = ASSAY_NEW(struct assay__ask);
    ask->count = call->count;
    ask->client = call->client;
    ask->reply = call->reply;
    ask->key = call->key;
    call->client = NULL;
    call->key = (struct assay_engine_key){0};
    TAILQ_INSERT_TAIL(&study->asks, ask, link);
    assay__serve_asks(study);
}

void
assay_engine_ask(struct assay_engine *engine, int64_t study_id, int64_t count, const char *client,
                 const struct assay_engine_key *key, assay_engine_fn done, void *arg)
{
    struct assay__call *call = assay__call_new(study_id, handle_ask, done, arg);

    call->count = count;
    call->client = assay_strdup(client);
    assay__call_key(call, key);
    assay__post(engine, &call->command);
}

static void
handle_add(struct assay_engine *engine, struct assay__call *call, struct assay__study *study)
{
    struct assay__commit *commit;
    struct assay_trial *rows;
    size_t n = json_array_size(call->json);

    (void)engine;
    if (assay__refuse_not_held(study, call->reply))
        return;
    if (study->record.state != ASSAY_STUDY_RUNNING && study->record.state != ASSAY_STUDY_PAUSED) {
        assay__reply_fail(call->reply, ASSAY_E_STUDY_FINISHED, "the study is %s",
                          assay_study_state_name(study->record.state));
        return;
    }
    rows = assay_zalloc(n, sizeof *rows);
    if (!assay__add_decode(study, call->json, &call->reply->faults, rows)) {
        for (size_t i = 0; i < n; i++)
            assay_trial_done(&rows[i]);
        free(rows);
        assay__reply_fail(call->reply, ASSAY_E_INVALID_VALUE, "the trials are not valid");
        return;
    }
    commit = assay__commit_new(study);
    for (size_t i = 0; i < n; i++) {
        struct assay__trial *trial;

        rows[i].number = study->next_number;
        trial = assay__add_insert(study, &rows[i], commit);
        assay__reply_add_trial(call->reply, &trial->row);
    }
    free(rows);
    assay__commit_key(commit, &call->key, call->reply);
    assay__commit_reply(commit, call->reply);
    assay__commit_send(commit);
    assay__study_due(study);
}

void
assay_engine_add(struct assay_engine *engine, int64_t study_id, json_t *trials,
                 const struct assay_engine_key *key, assay_engine_fn done, void *arg)
{
    struct assay__call *call = assay__call_new(study_id, handle_add, done, arg);

    call->json = trials;
    assay__call_key(call, key);
    assay__post(engine, &call->command);
}

/* --- report, complete, stop */

/* A trial that is at rest is in the store only. */
static bool
stored_trial(struct assay_engine *engine, struct assay__call *call, struct assay_trial *ret_trial)
{
    struct assay_error err = {0};
    assay_status status = assay_store_trial(engine->store, call->study_id, call->number, ret_trial,
                                            &err);

    if (status == ASSAY_OK)
        return true;
    assay__reply_send(call->reply, status, &err);
    return false;
}

/* Fencing: only the current attempt may speak for its trial. */
static bool
refuse_attempt(const struct assay__call *call, const struct assay__trial *trial)
{
    if (call->attempt == 0 || call->attempt == trial->attempt.number)
        return false;
    assay__reply_fail(call->reply, ASSAY_E_CONFLICT,
                      "attempt %lld of trial %lld is over: attempt %lld has taken its place",
                      (long long)call->attempt, (long long)call->number,
                      (long long)trial->attempt.number);
    return true;
}

/* A report on a trial that has ended: whoever runs it should end, too. */
static void
report_on_ended(struct assay__call *call, const struct assay_trial *row)
{
    if (row->state != ASSAY_TRIAL_STOPPED && row->state != ASSAY_TRIAL_CANCELLED) {
        assay__reply_fail(call->reply, ASSAY_E_TRIAL_FINISHED, "trial %lld is %s already",
                          (long long)row->number, assay_trial_state_name(row->state));
        return;
    }
    call->reply->answer.stop = true;
    call->reply->answer.stop_reason = row->reason;
    call->reply->answer.stop_message = assay_trial_reason_text(row->reason);
    assay__reply_send(call->reply, ASSAY_OK, NULL);
}

/* Decodes the array (NULL: none); answers and returns true when it has faults. */
static bool
refuse_measurements(const struct assay__call *call, const struct assay__trial *trial,
                    const json_t *array, struct assay_measurements *ret_list)
{
    /* Steps that are not said count from 1, as the runner counts them. */
    int64_t next_step = ASSAY_MAX(trial->row.last_step, 0) + 1;

    if (array == NULL || assay_measurements_decode(array, "/measurements", next_step,
                                                   assay_now_us(), &call->reply->faults, ret_list))
        return false;
    assay__reply_fail(call->reply, ASSAY_E_INVALID_VALUE, "the measurements are not valid");
    return true;
}

static void
handle_report(struct assay_engine *engine, struct assay__call *call, struct assay__study *study)
{
    struct assay__trial *trial = study != NULL ? assay__trial_find(study, call->number) : NULL;
    struct assay_measurements list = {0};
    struct assay__commit *commit;

    if (trial == NULL) {
        struct assay_trial row;

        if (stored_trial(engine, call, &row)) {
            report_on_ended(call, &row);
            assay_trial_done(&row);
        }
        return;
    }
    if (refuse_attempt(call, trial))
        return;
    if (assay_trial_state_is_final(trial->row.state)) {
        report_on_ended(call, &trial->row);
        return;
    }
    if (trial->row.state != ASSAY_TRIAL_RUNNING && trial->row.state != ASSAY_TRIAL_STOPPING) {
        assay__reply_fail(call->reply, ASSAY_E_CONFLICT,
                          "trial %lld is %s: nobody holds it, ask for it again",
                          (long long)call->number, assay_trial_state_name(trial->row.state));
        return;
    }
    if (refuse_measurements(call, trial, call->json, &list))
        return;
    commit = assay__commit_new(study);
    assay__trial_report(trial, &list, true, commit);
    assay_measurements_done(&list);
    assay__trial_renew_lease(trial, commit);
    call->reply->answer.stop = trial->row.state == ASSAY_TRIAL_STOPPING;
    call->reply->answer.stop_reason = trial->row.reason;
    call->reply->answer.stop_message = assay_trial_reason_text(trial->row.reason);
    pthread_mutex_lock(&engine->lock);
    engine->stats.reports++;
    pthread_mutex_unlock(&engine->lock);
    assay__commit_reply(commit, call->reply);
    assay__commit_send(commit);
}

void
assay_engine_report(struct assay_engine *engine, int64_t study_id, int64_t number, int64_t attempt,
                    json_t *measurements, assay_engine_fn done, void *arg)
{
    struct assay__call *call = assay__call_new(study_id, handle_report, done, arg);

    call->number = number;
    call->attempt = attempt;
    call->json = measurements;
    assay__post(engine, &call->command);
}

/* Whether what is told again is what the trial ended with. */
static bool
same_result(const struct assay__call *call, const struct assay_study_spec *spec,
            const struct assay_trial *row)
{
    const struct assay_completion *told = &call->completion;
    const char *name;
    json_t *value;

    if (row->state == ASSAY_TRIAL_CANCELLED)
        return false;
    if (row->state != told->state && row->state != ASSAY_TRIAL_STOPPED &&
        row->reason != ASSAY_TRIAL_REASON_NON_FINITE_OBJECTIVE &&
        row->reason != ASSAY_TRIAL_REASON_NO_OBJECTIVE)
        return false;
    json_object_foreach(told->metrics, name, value)
    {
        double a, b;

        /* The last value that was told need not be the one that counts; a runner tells
         * its own attempt's. */
        if (call->attempt != 0 || (spec != NULL && assay__summarised(spec, name) != NULL))
            continue;
        if (!assay_json_get_real(value, &a) ||
            !assay_json_get_real(json_object_get(row->metrics, name), &b) ||
            !(a == b || (isnan(a) && isnan(b))))
            return false;
    }
    return true;
}

static bool
answer_repeat(struct assay__call *call, const struct assay__study *study,
              const struct assay_trial *row)
{
    if (!same_result(call, study != NULL ? study->spec : NULL, row)) {
        assay__reply_fail(call->reply, ASSAY_E_TRIAL_FINISHED,
                          "trial %lld is %s already, with another result", (long long)row->number,
                          assay_trial_state_name(row->state));
        return false;
    }
    assay__reply_add_trial(call->reply, row);
    return true;
}

static bool
has_metric(const struct assay_measurements *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].metric, name) == 0)
            return true;
    }
    return false;
}

/* A worker that says "succeeded" without a value made a mistake it can mend. */
static bool
refuse_without_objective(const struct assay__call *call, const struct assay__trial *trial,
                         const struct assay_measurements *list)
{
    const struct assay_study_spec *spec = trial->study->spec;

    if (call->attempt != 0 || call->completion.state != ASSAY_TRIAL_SUCCEEDED ||
        trial->row.state == ASSAY_TRIAL_STOPPING)
        return false;
    for (size_t i = 0; i < spec->n_objectives; i++) {
        const char *metric = spec->objectives[i].metric;

        if (json_object_get(call->completion.metrics, metric) == NULL &&
            json_object_get(trial->row.metrics, metric) == NULL && !has_metric(list, metric))
            assay_fault_add(&call->reply->faults, "/metrics", call->completion.metrics,
                            "every objective, told here or measured before",
                            "the objective %s has no value", metric);
    }
    if (call->reply->faults.count == 0)
        return false;
    assay__reply_fail(call->reply, ASSAY_E_INVALID_VALUE,
                      "a trial can not have succeeded without a value of its objective");
    return true;
}

static void
handle_complete(struct assay_engine *engine, struct assay__call *call, struct assay__study *study)
{
    struct assay__trial *trial = study != NULL ? assay__trial_find(study, call->number) : NULL;
    struct assay_measurements list = {0};
    struct assay__commit *commit;

    if (trial == NULL) {
        struct assay_trial row;

        if (!stored_trial(engine, call, &row))
            return;
        if (answer_repeat(call, study, &row))
            assay__reply_send(call->reply, ASSAY_OK, NULL);
        assay_trial_done(&row);
        return;
    }
    if (refuse_attempt(call, trial))
        return;
    if (assay_trial_state_is_final(trial->row.state)) {
        if (answer_repeat(call, study, &trial->row)) {
            commit = assay__commit_new(study); /* answers when the first result is durable */
            assay__commit_reply(commit, call->reply);
            assay__commit_send(commit);
        }
        return;
    }
    if (trial->row.state == ASSAY_TRIAL_PAUSED ||
        (trial->row.state == ASSAY_TRIAL_QUEUED && study->spec->trial != NULL)) {
        assay__reply_fail(call->reply, ASSAY_E_CONFLICT, "trial %lld is %s, not running",
                          (long long)call->number, assay_trial_state_name(trial->row.state));
        return;
    }
    if (refuse_measurements(call, trial, call->completion.measurements, &list))
        return;
    if (refuse_without_objective(call, trial, &list)) {
        assay_measurements_done(&list);
        return;
    }
    commit = assay__commit_new(study);
    assay__trial_report(trial, &list, false, commit);
    assay_measurements_done(&list);
    if (trial->attempt.number > 0) {
        struct assay_attempt_end end = {
            .reason = call->completion.state == ASSAY_TRIAL_SUCCEEDED ? ASSAY_TRIAL_REASON_NONE
                                                                      : call->completion.reason,
            .exit_code = call->completion.exit_code,
            .signal = call->completion.signal,
            .message = call->completion.message,
        };

        assay__attempt_ended(trial, &end, commit);
    }
    assay__trial_complete(trial, &call->completion, commit);
    assay__reply_add_trial(call->reply, &trial->row);
    assay__commit_reply(commit, call->reply);
    assay__commit_send(commit);
    assay__study_due(study);
}

void
assay_engine_complete(struct assay_engine *engine, int64_t study_id, int64_t number,
                      int64_t attempt, struct assay_completion *completion, assay_engine_fn done,
                      void *arg)
{
    struct assay__call *call = assay__call_new(study_id, handle_complete, done, arg);

    call->number = number;
    call->attempt = attempt;
    call->completion = *completion;
    *completion = (struct assay_completion){0};
    assay__post(engine, &call->command);
}

static void
handle_stop(struct assay_engine *engine, struct assay__call *call, struct assay__study *study)
{
    struct assay__trial *trial = study != NULL ? assay__trial_find(study, call->number) : NULL;
    struct assay__commit *commit;

    if (trial == NULL) {
        struct assay_trial row;

        if (!stored_trial(engine, call, &row))
            return;
        if (row.state == ASSAY_TRIAL_STOPPED) {
            assay__reply_add_trial(call->reply, &row);
            assay__reply_send(call->reply, ASSAY_OK, NULL);
        } else {
            assay__reply_fail(call->reply, ASSAY_E_TRIAL_FINISHED, "trial %lld is %s already",
                              (long long)row.number, assay_trial_state_name(row.state));
        }
        assay_trial_done(&row);
        return;
    }
    if (assay_trial_state_is_final(trial->row.state) &&
        trial->row.state != ASSAY_TRIAL_STOPPED) {
        assay__reply_fail(call->reply, ASSAY_E_TRIAL_FINISHED, "trial %lld is %s already",
                          (long long)trial->row.number, assay_trial_state_name(trial->row.state));
        return;
    }
    commit = assay__commit_new(study);
    if (trial->row.state != ASSAY_TRIAL_STOPPING)
        assay__trial_end(trial, ASSAY_TRIAL_REASON_STOPPED_BY_USER, NULL, commit);
    assay__reply_add_trial(call->reply, &trial->row);
    assay__commit_reply(commit, call->reply);
    assay__commit_send(commit);
    assay__study_due(study);
}

void
assay_engine_trial_stop(struct assay_engine *engine, int64_t study_id, int64_t number,
                        assay_engine_fn done, void *arg)
{
    struct assay__call *call = assay__call_new(study_id, handle_stop, done, arg);

    call->number = number;
    assay__post(engine, &call->command);
}

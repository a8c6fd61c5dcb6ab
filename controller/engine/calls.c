/* The calls of controller/engine/engine.h: each copies its arguments into a command,
 * which runs on the engine's thread, changes the cache and commits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "controller/engine/internal.h"

/* Every call's arguments; each uses what it needs. */
struct call {
    struct assay__command command;
    void (*handle)(struct assay_engine *engine, struct call *call, struct assay__study *study);
    int64_t study_id, number, attempt;
    struct assay__reply *reply;
    struct assay_engine_key key; /* strings owned */
    struct assay_study_spec *spec;
    char *project;
    struct assay_import_source source;
    struct assay_warm_start warm_start;
    enum assay_study_verb verb;
    bool force;
    int64_t count;
    char *client;
    json_t *json;
    struct assay_completion completion;
};

static void
run_call(struct assay_engine *engine, struct assay__command *command)
{
    struct call *call = (struct call *)command;
    struct assay__study *study = assay__study_find(engine, call->study_id);

    call->handle(engine, call, study);
    free((void *)(uintptr_t)call->key.key);
    free((void *)(uintptr_t)call->key.request_hash);
    assay_study_free(call->spec);
    free(call->project);
    assay_import_source_done(&call->source);
    assay_warm_start_done(&call->warm_start);
    free(call->client);
    json_decref(call->json);
    assay_completion_done(&call->completion);
    free(call);
}

static struct call *
call_new(int64_t study_id,
         void (*handle)(struct assay_engine *, struct call *, struct assay__study *),
         assay_engine_fn done, void *arg)
{
    struct call *call = ASSAY_NEW(struct call);

    call->command.run = run_call;
    call->handle = handle;
    call->study_id = study_id;
    call->reply = assay__reply_new(done, arg);
    return call;
}

static void
call_key(struct call *call, const struct assay_engine_key *key)
{
    if (key == NULL || key->key == NULL)
        return;
    call->key = *key;
    call->key.key = assay_strdup(key->key);
    call->key.request_hash = assay_strdup(key->request_hash);
}

/* Answers for a call on a study that is not held: it has ended, or never was. */
static bool
refuse_absent(const struct assay__study *study, struct assay__reply *reply)
{
    if (study != NULL)
        return false;
    assay__reply_fail(reply, ASSAY_E_STUDY_FINISHED, "the study has ended");
    return true;
}

static void
answer_state(const struct assay__study *study, struct assay__reply *reply)
{
    reply->answer.study_state = study->record.state;
    reply->answer.study_reason = study->record.reason;
}

/* --- texts */

static void
on_text(void *arg, const struct assay_executor_text *text)
{
    struct assay__reply *reply = arg;
    struct assay_error err = {.status = text->status};

    if (text->faults != NULL)
        assay_faults_copy(text->faults, &reply->faults);
    reply->answer.text = text->text;
    reply->answer.text_version = text->version;
    assay__reply_send(reply, text->status, text->status == ASSAY_OK ? NULL : &err);
}

static void
handle_read_text(struct assay_engine *engine, struct call *call, struct assay__study *study)
{
    (void)study;
    if (engine->stopping) {
        assay__reply_fail(call->reply, ASSAY_E_UNAVAILABLE, "the daemon is stopping");
        return;
    }
    for (size_t i = 0; i < ASSAY__EXECUTORS; i++) {
        const struct assay__executor *executor = &engine->executors[i];

        if (executor->type->read_text != NULL) {
            executor->type->read_text(executor->handle, call->project, &call->source, on_text,
                                      call->reply);
            return;
        }
    }
    ASSAY_BUG("no executor reads texts");
}

void
assay_engine_read_text(struct assay_engine *engine, const char *project,
                       const struct assay_import_source *source, assay_engine_fn done, void *arg)
{
    struct call *call = call_new(0, handle_read_text, done, arg);

    call->project = assay_strdup(project);
    assay_import_source_copy(source, &call->source);
    assay__post(engine, &call->command);
}

/* --- create */

static void
undo_create(struct assay__study *study)
{
    assay__study_drop(study, "the study was not created");
}

/* What earlier studies offer: their trials beside the study, their best points to
 * the end of its queue. */
static void
take_over(struct assay__study *study, const struct assay_warm_start *warm_start,
          struct assay__commit *commit)
{
    size_t i;
    json_t *point;

    if (warm_start->sources != NULL)
        assay_changes_study_sources(commit->changes, study->id, warm_start->sources);
    json_array_foreach(warm_start->first, i, point)
    {
        struct assay_trial row;

        assay__trial_fresh(study, &row);
        row.parameters = json_incref(json_object_get(point, "parameters"));
        row.why = json_incref(json_object_get(point, "why"));
        assay__trial_insert(study, &row, commit);
    }
}

static void
handle_create(struct assay_engine *engine, struct call *call, struct assay__study *study)
{
    struct assay_study_record record = {
        .id = call->study_id,
        .project = assay_strdup(call->spec->project),
        .name = assay_strdup(call->spec->name),
        .state = ASSAY_STUDY_RUNNING,
        .document = json_incref(call->spec->document),
        .created_us = assay_now_us(),
        .started_us = assay_now_us(),
        .finished_us = ASSAY_TIME_NONE,
    };
    struct assay_study_spec *spec = call->spec;
    struct assay__commit *commit;

    ASSAY_ASSERT(study == NULL);
    call->spec = NULL;
    study = assay__study_new(engine, call->study_id, spec, &record);
    commit = assay__commit_new(study);
    commit->undo = undo_create;
    assay_changes_study_insert(commit->changes, &study->record);
    assay__event(commit, "study_created", 0, NULL, "study created");
    for (size_t i = 0; i < spec->n_start_with; i++) {
        struct assay_trial row;

        assay__trial_fresh(study, &row);
        row.parameters = assay_point_encode(spec->space, spec->start_with[i]);
        row.why = json_pack("{s:s}", "proposed_by", "start_with");
        assay__trial_insert(study, &row, commit);
    }
    take_over(study, &call->warm_start, commit);
    answer_state(study, call->reply);
    call->reply->answer.study = &study->record;
    assay__commit_key(commit, &call->key, call->reply);
    call->reply->answer.study = NULL;
    assay__commit_reply(commit, call->reply);
    assay__commit_send(commit);
}

void
assay_engine_study_create(struct assay_engine *engine, struct assay_study_spec *spec,
                          struct assay_warm_start *warm_start, int64_t study_id,
                          const struct assay_engine_key *key,
                          assay_engine_fn done, void *arg)
{
    struct call *call = call_new(study_id, handle_create, done, arg);

    call->spec = spec;
    if (warm_start != NULL) {
        call->warm_start = *warm_start;
        *warm_start = (struct assay_warm_start){0};
    }
    call_key(call, key);
    assay__post(engine, &call->command);
}

/* --- verbs */

/* Their ends, however they come, are none of the trials'. */
static void
interrupt_trials(struct assay__study *study)
{
    struct assay__trial *trial, *next;

    HASH_ITER (hh, study->trials, trial, next) {
        if (trial->row.state == ASSAY_TRIAL_RUNNING && trial->executing && !trial->interrupted) {
            trial->interrupted = true;
            assay__attempt_stop(trial);
        }
    }
}

static void
handle_verb(struct assay_engine *engine, struct call *call, struct assay__study *study)
{
    enum assay_study_state state;
    struct assay__commit *commit;
    bool requeue = call->verb == ASSAY_STUDY_PAUSE_REQUEUE;

    (void)engine;
    if (refuse_absent(study, call->reply))
        return;
    if (requeue)
        call->verb = ASSAY_STUDY_PAUSE;
    state = study->record.state;
    commit = assay__commit_new(study);
    if (call->verb == ASSAY_STUDY_CANCEL && !assay_study_state_is_final(state)) {
        if (state != ASSAY_STUDY_STOPPING)
            assay__study_wind_down(study, ASSAY_STUDY_REASON_CANCELLED_BY_USER, NULL, commit);
        if (assay__study_live(study) == 0)
            assay__study_apply(study, assay_study_event_for(study->record.reason),
                               study->record.reason, commit);
    } else if (call->verb == ASSAY_STUDY_PAUSE && state == ASSAY_STUDY_RUNNING) {
        assay__study_apply(study, ASSAY_STUDY_EVENT_PAUSE, ASSAY_STUDY_REASON_NONE, commit);
    } else if (call->verb == ASSAY_STUDY_RESUME && state == ASSAY_STUDY_PAUSED) {
        assay__study_apply(study, ASSAY_STUDY_EVENT_RESUME, ASSAY_STUDY_REASON_NONE, commit);
    } else if (!(call->verb == ASSAY_STUDY_CANCEL && state == ASSAY_STUDY_CANCELLED) &&
               !(call->verb == ASSAY_STUDY_PAUSE && state == ASSAY_STUDY_PAUSED) &&
               !(call->verb == ASSAY_STUDY_RESUME && state == ASSAY_STUDY_RUNNING)) {
        assay__commit_drop(commit);
        assay__reply_fail(call->reply, ASSAY_E_STUDY_FINISHED, "the study is %s already",
                          assay_study_state_name(state));
        return;
    }
    if (requeue)
        interrupt_trials(study);
    answer_state(study, call->reply);
    assay__commit_reply(commit, call->reply);
    assay__commit_send(commit);
    assay__reconcile(study);
}

void
assay_engine_study_verb(struct assay_engine *engine, int64_t study_id, enum assay_study_verb verb,
                        assay_engine_fn done, void *arg)
{
    struct call *call = call_new(study_id, handle_verb, done, arg);

    call->verb = verb;
    assay__post(engine, &call->command);
}

static void
handle_patch(struct assay_engine *engine, struct call *call, struct assay__study *study)
{
    struct assay_limits limits;
    struct assay__commit *commit;
    json_t *document, *shown;
    bool reopen;

    (void)engine;
    if (refuse_absent(study, call->reply))
        return;
    if (assay_study_state_is_final(study->record.state)) {
        assay__reply_fail(call->reply, ASSAY_E_STUDY_FINISHED, "the study is %s already",
                          assay_study_state_name(study->record.state));
        return;
    }
    if (!assay_limits_patch(&study->spec->limits, call->json, study->spec->trial != NULL,
                            &call->reply->faults, &limits)) {
        assay__reply_fail(call->reply, ASSAY_E_INVALID_VALUE, "the limits are not valid");
        return;
    }
    reopen = limits.trials != study->spec->limits.trials ||
             limits.parallel != study->spec->limits.parallel;
    study->spec->limits = limits;
    shown = assay_limits_encode(&limits, study->spec->trial != NULL);
    document = json_copy(study->record.document);
    json_object_set(document, "limits", shown);
    json_decref(study->record.document);
    study->record.document = document;
    if (reopen) /* the algorithm plans with them, as it would after a restart */
        assay_suggest_host_open(study->engine->host, study->id, document);
    commit = assay__commit_new(study);
    assay_changes_study_document(commit->changes, study->id, document);
    assay__event(commit, "study_changed", 0, json_pack("{s:o}", "limits", shown),
                 "limits changed");
    answer_state(study, call->reply);
    assay__commit_reply(commit, call->reply);
    assay__commit_send(commit);
    assay__reconcile(study);
}

void
assay_engine_study_patch(struct assay_engine *engine, int64_t study_id, json_t *patch,
                         assay_engine_fn done, void *arg)
{
    struct call *call = call_new(study_id, handle_patch, done, arg);

    call->json = patch;
    assay__post(engine, &call->command);
}

/* --- delete: of a study at rest it needs no cache, only the store */

struct deletion {
    struct assay__reply *reply;
    struct assay_engine *engine;
    int64_t study_id;
};

struct forget {
    struct assay__command command;
    int64_t study_id;
};

static void
forget_files(struct assay_engine *engine, struct assay__command *command)
{
    struct forget *forget = (struct forget *)command;

    for (size_t i = 0; i < ASSAY__EXECUTORS; i++)
        engine->executors[i].type->forget(engine->executors[i].handle, forget->study_id);
    free(forget);
}

static void
on_deleted(void *arg, assay_status status, const struct assay_error *err)
{
    struct deletion *deletion = arg;

    if (status == ASSAY_OK) {
        struct forget *forget = ASSAY_NEW(struct forget);

        forget->command.run = forget_files;
        forget->study_id = deletion->study_id;
        assay_notifier_signal(deletion->engine->options.notifier, deletion->study_id);
        assay__post(deletion->engine, &forget->command);
    }
    assay__reply_send(deletion->reply, status, err);
    free(deletion);
}

static void
handle_delete(struct assay_engine *engine, struct call *call, struct assay__study *study)
{
    struct assay_changes *changes;
    struct deletion *deletion;

    if (study != NULL && !assay_study_state_is_final(study->record.state)) {
        struct assay__commit *commit;

        if (!call->force) {
            assay__reply_fail(call->reply, ASSAY_E_CONFLICT,
                              "the study is %s; cancel it first, or delete it with force=true",
                              assay_study_state_name(study->record.state));
            return;
        }
        study->delete_when_ended = true;
        commit = assay__commit_new(study);
        if (study->record.state != ASSAY_STUDY_STOPPING)
            assay__study_wind_down(study, ASSAY_STUDY_REASON_CANCELLED_BY_USER, NULL, commit);
        answer_state(study, call->reply);
        assay__commit_reply(commit, call->reply);
        assay__commit_send(commit);
        assay__reconcile(study);
        return;
    }
    if (study != NULL && study->trials != NULL) {
        assay__reply_fail(call->reply, ASSAY_E_CONFLICT,
                          "the study's last processes are still ending; try again in a moment");
        return;
    }
    deletion = ASSAY_NEW(struct deletion);
    *deletion = (struct deletion){call->reply, engine, call->study_id};
    changes = assay_changes_new();
    assay_changes_study_delete(changes, call->study_id);
    assay_writer_submit(engine->options.writer, changes, on_deleted, deletion);
}

void
assay_engine_study_delete(struct assay_engine *engine, int64_t study_id, bool force,
                          assay_engine_fn done, void *arg)
{
    struct call *call = call_new(study_id, handle_delete, done, arg);

    call->force = force;
    assay__post(engine, &call->command);
}

/* --- ask and add */

static void
handle_ask(struct assay_engine *engine, struct call *call, struct assay__study *study)
{
    struct assay__ask *ask;

    if (refuse_absent(study, call->reply))
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
    struct call *call = call_new(study_id, handle_ask, done, arg);

    call->count = count;
    call->client = assay_strdup(client);
    call_key(call, key);
    assay__post(engine, &call->command);
}

static void
handle_add(struct assay_engine *engine, struct call *call, struct assay__study *study)
{
    struct assay__commit *commit;
    struct assay_trial *rows;
    size_t n = json_array_size(call->json);

    (void)engine;
    if (refuse_absent(study, call->reply))
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
    assay__reconcile(study);
}

void
assay_engine_add(struct assay_engine *engine, int64_t study_id, json_t *trials,
                 const struct assay_engine_key *key, assay_engine_fn done, void *arg)
{
    struct call *call = call_new(study_id, handle_add, done, arg);

    call->json = trials;
    call_key(call, key);
    assay__post(engine, &call->command);
}

/* --- report, complete, stop */

/* A trial that is at rest is in the store only. */
static bool
stored_trial(struct assay_engine *engine, struct call *call, struct assay_trial *ret_trial)
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
refuse_attempt(const struct call *call, const struct assay__trial *trial)
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
report_on_ended(struct call *call, const struct assay_trial *row)
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
refuse_measurements(const struct call *call, const struct assay__trial *trial, const json_t *array,
                    struct assay_measurements *ret_list)
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
handle_report(struct assay_engine *engine, struct call *call, struct assay__study *study)
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
    struct call *call = call_new(study_id, handle_report, done, arg);

    call->number = number;
    call->attempt = attempt;
    call->json = measurements;
    assay__post(engine, &call->command);
}

/* Whether what is told again is what the trial ended with. */
static bool
same_result(const struct call *call, const struct assay_study_spec *spec,
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
answer_repeat(struct call *call, const struct assay__study *study, const struct assay_trial *row)
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
refuse_without_objective(const struct call *call, const struct assay__trial *trial,
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
handle_complete(struct assay_engine *engine, struct call *call, struct assay__study *study)
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
    assay__reconcile(study);
}

void
assay_completion_done(struct assay_completion *completion)
{
    free(completion->message);
    json_decref(completion->metrics);
    json_decref(completion->measurements);
    *completion = (struct assay_completion){0};
}

void
assay_engine_complete(struct assay_engine *engine, int64_t study_id, int64_t number,
                      int64_t attempt, struct assay_completion *completion, assay_engine_fn done,
                      void *arg)
{
    struct call *call = call_new(study_id, handle_complete, done, arg);

    call->number = number;
    call->attempt = attempt;
    call->completion = *completion;
    *completion = (struct assay_completion){0};
    assay__post(engine, &call->command);
}

static void
handle_stop(struct assay_engine *engine, struct call *call, struct assay__study *study)
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
    assay__reconcile(study);
}

void
assay_engine_trial_stop(struct assay_engine *engine, int64_t study_id, int64_t number,
                        assay_engine_fn done, void *arg)
{
    struct call *call = call_new(study_id, handle_stop, done, arg);

    call->number = number;
    assay__post(engine, &call->command);
}

/* The calls about studies: create, pause, resume, cancel, change, delete; texts for new ones. */
#include <stdlib.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "controller/engine/call.h"

/* Trials named in a sentence. */
#define NAMED_MAX 5

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
handle_read_text(struct assay_engine *engine, struct assay__call *call, struct assay__study *study)
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
    struct assay__call *call = assay__call_new(0, handle_read_text, done, arg);

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
handle_create(struct assay_engine *engine, struct assay__call *call, struct assay__study *study)
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
    assay__answer_state(study, call->reply);
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
    struct assay__call *call = assay__call_new(study_id, handle_create, done, arg);

    call->spec = spec;
    if (warm_start != NULL) {
        call->warm_start = *warm_start;
        *warm_start = (struct assay_warm_start){0};
    }
    assay__call_key(call, key);
    assay__post(engine, &call->command);
}

/* --- verbs */

/* Their ends, however they come, are none of the trials'. */
static void
interrupt_trials(struct assay__study *study, struct assay__commit *commit)
{
    struct assay__trial *trial, *next;

    HASH_ITER (hh, study->trials, trial, next) {
        if (trial->row.state == ASSAY_TRIAL_RUNNING && trial->executing &&
            !trial->attempt.interrupted)
            assay__attempt_interrupt(trial, commit);
    }
}

static void
handle_verb(struct assay_engine *engine, struct assay__call *call, struct assay__study *study)
{
    enum assay_study_state state;
    struct assay__commit *commit;
    bool requeue = call->verb == ASSAY_STUDY_PAUSE_REQUEUE;

    (void)engine;
    if (assay__refuse_not_held(study, call->reply))
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
        interrupt_trials(study, commit);
    assay__answer_state(study, call->reply);
    assay__commit_reply(commit, call->reply);
    assay__commit_send(commit);
    assay__study_due(study);
}

void
assay_engine_study_verb(struct assay_engine *engine, int64_t study_id, enum assay_study_verb verb,
                        assay_engine_fn done, void *arg)
{
    struct assay__call *call = assay__call_new(study_id, handle_verb, done, arg);

    call->verb = verb;
    assay__post(engine, &call->command);
}

static void
handle_patch(struct assay_engine *engine, struct assay__call *call, struct assay__study *study)
{
    struct assay_limits limits;
    struct assay__commit *commit;
    json_t *document, *shown;
    bool reopen;

    (void)engine;
    if (assay__refuse_not_held(study, call->reply))
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
    assay__answer_state(study, call->reply);
    assay__commit_reply(commit, call->reply);
    assay__commit_send(commit);
    assay__study_due(study);
}

void
assay_engine_study_patch(struct assay_engine *engine, int64_t study_id, json_t *patch,
                         assay_engine_fn done, void *arg)
{
    struct assay__call *call = assay__call_new(study_id, handle_patch, done, arg);

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

    assay__attempts_forget(engine, forget->study_id);
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

/* "trial 3", "trials 3, 4": those whose processes are there.  Caller frees. */
static char *
name_trials(const struct assay__study *study)
{
    struct assay_buffer names = {0};
    int named = 0;

    assay_buffer_puts(&names, assay__study_processes(study) == 1 ? "trial" : "trials");
    for (const struct assay__trial *trial = study->trials; trial != NULL; trial = trial->hh.next) {
        if (!assay__trial_has_process(trial))
            continue;
        if (named++ == NAMED_MAX) {
            assay_buffer_puts(&names, ", …");
            break;
        }
        assay_buffer_printf(&names, "%s%lld", named > 1 ? ", " : " ", (long long)trial->row.number);
    }
    return assay_buffer_steal(&names);
}

/* What is awaited, and how to have it awaited. */
static void
refuse_deletion(const struct assay__study *study, struct assay__reply *reply)
{
    const char *state = assay_study_state_name(study->record.state);
    assay_auto_free char *names = NULL;

    if (!assay_study_state_is_final(study->record.state)) {
        assay__reply_fail(reply, ASSAY_E_CONFLICT,
                          "the study is %s; cancel it first, or delete it with force=true, which "
                          "cancels it and waits for its end by itself",
                          state);
        return;
    }
    names = name_trials(study);
    assay__reply_fail(reply, ASSAY_E_CONFLICT,
                      "the study is %s, but %s of %s %s still ending; try again when that is gone, "
                      "or delete it with force=true, which waits for it by itself",
                      state, assay__study_processes(study) == 1 ? "a process" : "processes", names,
                      assay__study_processes(study) == 1 ? "is" : "are");
}

static void
delete_later(struct assay__study *study, struct assay__reply *reply)
{
    struct assay__commit *commit = assay__commit_new(study);

    if (!assay_study_state_is_final(study->record.state) &&
        study->record.state != ASSAY_STUDY_STOPPING)
        assay__study_wind_down(study, ASSAY_STUDY_REASON_CANCELLED_BY_USER, NULL, commit);
    assay__study_delete_when_ended(study, commit);
    assay__answer_state(study, reply);
    reply->answer.later = true;
    assay__commit_reply(commit, reply);
    assay__commit_send(commit);
    assay__study_due(study);
}

static void
handle_delete(struct assay_engine *engine, struct assay__call *call, struct assay__study *study)
{
    struct assay_changes *changes;
    struct deletion *deletion;

    /* What a commit on its way leaves to do is done before a deletion is, which comes behind
     * it. */
    if (study != NULL && (!assay_study_state_is_final(study->record.state) ||
                          assay__study_processes(study) > 0)) {
        if (call->force)
            delete_later(study, call->reply);
        else
            refuse_deletion(study, call->reply);
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
    struct assay__call *call = assay__call_new(study_id, handle_delete, done, arg);

    call->force = force;
    assay__post(engine, &call->command);
}

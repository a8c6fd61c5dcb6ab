/* Answers and commits: from a change of the cache to what a caller is told. */
#include <stdarg.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/memory.h"
#include "controller/engine/internal.h"

struct assay__reply *
assay__reply_new(assay_engine_fn done, void *arg)
{
    struct assay__reply *reply = ASSAY_NEW(struct assay__reply);

    reply->done = done;
    reply->arg = arg;
    return reply;
}

void
assay__reply_add_trial(struct assay__reply *reply, const struct assay_trial *trial)
{
    reply->trials = assay_realloc(reply->trials, reply->n_trials + 1, sizeof *reply->trials);
    assay__trial_copy(trial, &reply->trials[reply->n_trials++]);
}

static void
complete_answer(struct assay__reply *reply)
{
    reply->answer.trials = reply->trials;
    reply->answer.n_trials = reply->n_trials;
    reply->answer.faults = reply->faults.count > 0 ? &reply->faults : NULL;
}

void
assay__reply_send(struct assay__reply *reply, assay_status status, const struct assay_error *err)
{
    complete_answer(reply);
    reply->done(reply->arg, status, err, &reply->answer);
    for (size_t i = 0; i < reply->n_trials; i++)
        assay_trial_done(&reply->trials[i]);
    free(reply->trials);
    assay_faults_done(&reply->faults);
    free(reply);
}

void
assay__reply_fail(struct assay__reply *reply, assay_status status, const char *format, ...)
{
    struct assay_error err = {.status = status};
    va_list args;

    va_start(args, format);
    vsnprintf(err.message, sizeof err.message, format, args);
    va_end(args);
    assay__reply_send(reply, status, &err);
}

struct assay__commit *
assay__commit_new(struct assay__study *study)
{
    struct assay__commit *commit = ASSAY_NEW(struct assay__commit);

    commit->study = study;
    commit->changes = assay_changes_new();
    TAILQ_INIT(&commit->replies);
    return commit;
}

void
assay__commit_reply(struct assay__commit *commit, struct assay__reply *reply)
{
    TAILQ_INSERT_TAIL(&commit->replies, reply, link);
}

void
assay__commit_key(struct assay__commit *commit, const struct assay_engine_key *key,
                  struct assay__reply *reply)
{
    json_t *answer;

    if (key == NULL || key->key == NULL)
        return;
    complete_answer(reply);
    answer = key->answer(key->arg, &reply->answer);
    assay_changes_idempotency(commit->changes, commit->study->record.project, key->key,
                              key->request_hash, key->http_status, answer);
    json_decref(answer);
}

void
assay__event(struct assay__commit *commit, const char *type, int64_t trial_number, json_t *data,
             const char *format, ...)
{
    struct assay_event event = {
        .study_id = commit->study->id,
        .time_us = assay_now_us(),
        .type = type,
        .trial_number = trial_number,
        .data = data,
    };
    va_list args;

    va_start(args, format);
    event.message = assay_vformat(format, args);
    va_end(args);
    assay_changes_event(commit->changes, &event);
    if (trial_number > 0)
        assay_log(ASSAY_LOG_DEBUG, "study=%s/%s trial=%lld: %s", commit->study->record.project,
                  commit->study->record.name, (long long)trial_number, event.message);
    else
        assay_log(ASSAY_LOG_INFO, "study=%s/%s: %s", commit->study->record.project,
                  commit->study->record.name, event.message);
    free(event.message);
    json_decref(data);
}

/* The commit's way back to the engine's thread. */
struct written {
    struct assay__command command;
    struct assay_engine *engine;
    struct assay__commit *commit;
    int64_t study_id; /* the study may be gone by then */
    assay_status status;
    struct assay_error err;
};

static void
commit_free(struct assay__commit *commit)
{
    free(commit->trials);
    free(commit->launches);
    free(commit->stops);
    free(commit->ends);
    free(commit);
}

void
assay__commit_drop(struct assay__commit *commit)
{
    ASSAY_ASSERT(assay_changes_empty(commit->changes) && TAILQ_EMPTY(&commit->replies));
    assay_changes_free(commit->changes);
    commit_free(commit);
}

/* Engine's thread. */
static void
after_commit(struct assay_engine *engine, struct assay__command *command)
{
    struct written *written = (struct written *)command;

    engine->commits--;
    engine->settle(engine, written->study_id, written->commit, written->status, &written->err);
    commit_free(written->commit);
    free(written);
}

/* Writer's thread. */
static void
on_written(void *arg, assay_status status, const struct assay_error *err)
{
    struct written *written = arg;
    struct assay__commit *commit = written->commit;
    struct assay_engine *engine = written->engine;
    struct assay__reply *reply;

    written->status = status;
    if (err != NULL)
        written->err = *err;
    /* First: whoever was answered finds the version that the change made. */
    if (status == ASSAY_OK)
        assay_notifier_signal(engine->options.notifier, written->study_id);
    while ((reply = TAILQ_FIRST(&commit->replies)) != NULL) {
        TAILQ_REMOVE(&commit->replies, reply, link);
        assay__reply_send(reply, status, status == ASSAY_OK ? NULL : &written->err);
    }
    assay__post(engine, &written->command);
}

void
assay__commit_send(struct assay__commit *commit)
{
    struct written *written = ASSAY_NEW(struct written);
    struct assay_changes *changes = commit->changes;

    written->command.run = after_commit;
    written->engine = commit->study->engine;
    written->commit = commit;
    written->study_id = commit->study->id;
    commit->changes = NULL;
    for (size_t i = 0; i < commit->n_trials; i++) {
        struct assay__trial *trial = assay__trial_find(commit->study, commit->trials[i]);

        if (trial != NULL)
            trial->writes++;
    }
    written->engine->commits++;
    assay_writer_submit(written->engine->options.writer, changes, on_written, written);
}

/* What the executors tell of the attempts that they run. */
#include <stdio.h>
#include <stdlib.h>

#include "common/memory.h"
#include "controller/engine/internal.h"

static struct assay__trial *
find_attempt(struct assay_engine *engine, const struct assay_attempt_key *key)
{
    struct assay__study *study = assay__study_find(engine, key->study_id);
    struct assay__trial *trial =
        study != NULL ? assay__trial_find(study, key->trial_number) : NULL;

    return trial != NULL && trial->attempt.number == key->attempt ? trial : NULL;
}

static void
on_started(void *arg, const struct assay_attempt_key *key, int64_t pid, const json_t *gpus)
{
    struct assay_engine *engine = arg;
    struct assay__trial *trial = find_attempt(engine, key);
    struct assay__commit *commit;
    char where[48] = "", waited[48] = "";
    json_t *data;

    if (trial == NULL)
        return;
    trial->begun = true;
    assay__study_due(trial->study); /* its parent may have waited for this */
    if (trial->claimed_us > 0) {
        pthread_mutex_lock(&engine->lock);
        engine->stats.turnover_count++;
        engine->stats.turnover_us_total += assay_monotonic_us() - trial->claimed_us;
        pthread_mutex_unlock(&engine->lock);
        trial->claimed_us = 0;
    }
    if (trial->attempt.state != ASSAY_ATTEMPT_STARTING)
        return; /* adopted */
    trial->attempt.state = ASSAY_ATTEMPT_RUNNING;
    trial->attempt.pid = pid;
    data = json_pack("{s:I, s:I, s:O?}", "attempt", (json_int_t)key->attempt, "pid",
                     (json_int_t)pid, "gpus", gpus);
    if (trial->attempt.message != NULL) {
        double waited_s =
            (double)(assay_now_us() - trial->attempt.started_us) / (double)ASSAY_SECOND_US;

        json_object_set_new(data, "waited_s", json_real(waited_s));
        snprintf(waited, sizeof waited, " after it waited for %.0f s", waited_s);
    }
    trial->attempt.started_us = assay_now_us();
    json_decref(trial->attempt.gpus);
    trial->attempt.gpus = json_deep_copy(gpus);
    free(trial->attempt.message); /* why it waited */
    trial->attempt.message = NULL;
    commit = assay__commit_new(trial->study);
    assay_changes_attempt_put(commit->changes, key->study_id, key->trial_number, &trial->attempt);
    if (pid > 0)
        snprintf(where, sizeof where, " as process %lld", (long long)pid);
    assay__event(commit, "attempt_started", key->trial_number,
                 data, "attempt %lld of trial %lld runs%s%s", (long long)key->attempt,
                 (long long)key->trial_number, where, waited);
    assay__commit_send(commit);
}

static void
on_waits(void *arg, const struct assay_attempt_key *key, const char *sentence)
{
    struct assay_engine *engine = arg;
    struct assay__trial *trial = find_attempt(engine, key);
    struct assay__commit *commit;

    if (trial == NULL || trial->attempt.state != ASSAY_ATTEMPT_STARTING)
        return;
    free(trial->attempt.message);
    trial->attempt.message = assay_strdup(sentence);
    commit = assay__commit_new(trial->study);
    assay_changes_attempt_put(commit->changes, key->study_id, key->trial_number, &trial->attempt);
    assay__event(commit, "attempt_waits", key->trial_number,
                 json_pack("{s:I, s:s}", "attempt", (json_int_t)key->attempt, "message", sentence),
                 "attempt %lld of trial %lld waits: %s", (long long)key->attempt,
                 (long long)key->trial_number, sentence);
    assay__commit_send(commit);
}

static void
on_measured(void *arg, const struct assay_attempt_key *key, const struct assay_measurements *list)
{
    struct assay_engine *engine = arg;
    struct assay__trial *trial = find_attempt(engine, key);
    struct assay__commit *commit;

    if (trial == NULL || (trial->row.state != ASSAY_TRIAL_RUNNING &&
                          trial->row.state != ASSAY_TRIAL_STOPPING))
        return; /* told to have ended over HTTP */
    commit = assay__commit_new(trial->study);
    assay__trial_report(trial, list, true, commit);
    assay__commit_send(commit);
    pthread_mutex_lock(&engine->lock);
    engine->stats.reports++;
    pthread_mutex_unlock(&engine->lock);
}

static void
on_ended(void *arg, const struct assay_attempt_key *key, const struct assay_attempt_end *end)
{
    struct assay_engine *engine = arg;
    struct assay__trial *trial = find_attempt(engine, key);
    struct assay__commit *commit;
    bool told; /* the runner's completion came over HTTP before its end */

    if (trial == NULL)
        return;
    trial->executing = false;
    told = trial->row.state != ASSAY_TRIAL_RUNNING && trial->row.state != ASSAY_TRIAL_STOPPING;
    if (told && assay_attempt_state_is_final(trial->attempt.state)) {
        struct assay__study *study = trial->study;
        bool waits = trial->row.state == ASSAY_TRIAL_QUEUED; /* for another attempt */

        assay__trial_settle(trial);
        if (waits || study->delete_when_ended)
            assay__study_due(study);
        return;
    }
    commit = assay__commit_new(trial->study);
    assay__attempt_ended(trial, end, commit);
    if (!told) {
        struct assay_completion completion = {
            .state = end->lost ? ASSAY_TRIAL_FAILED : end->state,
            .reason = end->lost ? ASSAY_TRIAL_REASON_RUNNER_LOST : end->reason,
            .message = assay_strdup(end->message),
            .exit_code = end->exit_code,
            .signal = end->signal,
        };

        assay__trial_complete(trial, &completion, commit);
        assay_completion_done(&completion);
    }
    if (end->lost) {
        pthread_mutex_lock(&engine->lock);
        engine->stats.attempts_lost++;
        pthread_mutex_unlock(&engine->lock);
    }
    assay__commit_send(commit);
    assay__study_due(trial->study);
}

const struct assay_executor_events assay__executor_events = {
    .started = on_started,
    .waits = on_waits,
    .measured = on_measured,
    .ended = on_ended,
};

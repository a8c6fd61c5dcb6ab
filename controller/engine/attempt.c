/* Attempts of trials, towards the executors that run them. */
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "controller/engine/internal.h"
#include "controller/trial_token.h"

/* What became of an attempt that was ended to be queued again. */
#define INTERRUPTED "ended for the pause of its study"

/* The trial whose checkpoint it starts from; 0 = none. */
static int64_t
parent_of(const struct assay__trial *trial)
{
    return json_integer_value(json_object_get(trial->row.why, "parent"));
}

struct assay__executor *
assay__executor_for(struct assay_engine *engine, const struct assay_trial_spec *trial)
{
    return &engine->executors[trial != NULL && trial->kubernetes != NULL];
}

void
assay__attempt_stop(const struct assay__trial *trial)
{
    const struct assay__study *study = trial->study;
    struct assay__executor *executor = assay__executor_for(study->engine, study->spec->trial);

    executor->type->stop(
        executor->handle,
        &(struct assay_attempt_key){study->id, trial->row.number, trial->attempt.number},
        study->spec->trial->grace_us);
}

void
assay__attempt_stop_after(const struct assay__trial *trial, struct assay__commit *commit)
{
    ASSAY_GROW(commit->stops, commit->n_stops, commit->stops_capacity);
    commit->stops[commit->n_stops++] = trial->row.number;
}

void
assay__attempt_interrupt(struct assay__trial *trial, struct assay__commit *commit)
{
    trial->attempt.interrupted = true;
    assay_changes_attempt_put(commit->changes, trial->study->id, trial->row.number,
                              &trial->attempt);
    assay__attempt_stop_after(trial, commit);
}

bool
assay__attempt_is_to_end(const struct assay__trial *trial)
{
    return trial->executing && (trial->row.state == ASSAY_TRIAL_STOPPING ||
                                (trial->row.state == ASSAY_TRIAL_RUNNING &&
                                 trial->attempt.interrupted) ||
                                trial->study->delete_when_ended);
}

bool
assay__attempt_is_to_be_copied(const struct assay__trial *trial)
{
    const struct assay__trial *other;

    if (trial->attempt.number == 0)
        return false;
    for (other = trial->study->trials; other != NULL; other = other->hh.next) {
        if (!other->begun &&
            (other->row.state == ASSAY_TRIAL_QUEUED || other->row.state == ASSAY_TRIAL_RUNNING) &&
            parent_of(other) == trial->row.number)
            return true;
    }
    return false;
}

bool
assay__attempt_fits(const struct assay__study *study)
{
    struct assay__executor *executor = assay__executor_for(study->engine, study->spec->trial);

    return executor->type->fits(executor->handle, study->spec->trial, &executor->promised);
}

void
assay__attempt_promise(struct assay__trial *trial, bool promised)
{
    const struct assay_trial_spec *spec = trial->study->spec->trial;
    struct assay_promised *sum = &assay__executor_for(trial->study->engine, spec)->promised;
    int sign = promised ? 1 : -1;

    if (trial->promised == promised)
        return;
    trial->promised = promised;
    sum->gpus += sign * spec->gpus;
    sum->cpus += sign * spec->cpus;
    sum->memory_bytes += sign * spec->memory_bytes;
}

void
assay__attempt_begin(struct assay__trial *trial, struct assay__commit *commit)
{
    struct assay__study *study = trial->study;
    int64_t number = trial->attempt.number + 1;

    assay_attempt_done(&trial->attempt);
    trial->attempt = (struct assay_attempt){
        .number = number,
        .state = ASSAY_ATTEMPT_STARTING,
        .exit_code = -1,
        .started_us = assay_now_us(),
        .finished_us = ASSAY_TIME_NONE,
    };
    trial->slot = true;
    study->slots++;
    if (study->n_freed > 0) {
        trial->claimed_us = study->freed_us[0];
        memmove(study->freed_us, study->freed_us + 1, --study->n_freed * sizeof *study->freed_us);
    }
    assay_changes_attempt_put(commit->changes, study->id, trial->row.number, &trial->attempt);
    ASSAY_GROW(commit->launches, commit->n_launches, commit->launches_capacity);
    commit->launches[commit->n_launches++] = trial->row.number;
    trial->executing = true; /* from now on an end will be told */
    assay__attempt_promise(trial, true);
}

/* What the executor has to know, built and freed around one call of it. */
static void
with_launch(struct assay__trial *trial, bool adopt)
{
    struct assay__study *study = trial->study;
    struct assay_engine *engine = study->engine;
    struct assay_attempt_key key = {study->id, trial->row.number, trial->attempt.number};
    assay_auto_free char *token = assay_trial_token_make(
        engine->trial_token_key, &(struct assay_trial_subject){
                                     key.study_id, key.trial_number, key.attempt});
    struct assay_launch launch = {
        .key = key,
        .project = study->record.project,
        .study = study->record.name,
        .spec = study->spec,
        .parameters = trial->row.parameters,
        .budget = trial->row.budget,
        .parent = parent_of(trial),
        .token = token,
        .started = adopt && trial->attempt.state == ASSAY_ATTEMPT_RUNNING,
    };
    struct assay__executor *executor = assay__executor_for(engine, study->spec->trial);

    if (adopt)
        executor->type->adopt(executor->handle, &launch, trial->attempt.gpus);
    else
        executor->type->start(executor->handle, &launch);
}

void
assay__launch(struct assay__trial *trial)
{
    struct assay_engine *engine = trial->study->engine;

    assay__attempt_promise(trial, false);
    with_launch(trial, false);
    pthread_mutex_lock(&engine->lock);
    engine->stats.attempts_started++;
    pthread_mutex_unlock(&engine->lock);
    /* Told to stop while the commit was under way. */
    if (assay__attempt_is_to_end(trial))
        assay__attempt_stop(trial);
}

void
assay__adopt(struct assay__trial *trial)
{
    trial->executing = true;
    with_launch(trial, true);
    if (assay__attempt_is_to_end(trial))
        assay__attempt_stop(trial);
}

void
assay__attempts_forget(struct assay_engine *engine, int64_t study_id)
{
    for (size_t i = 0; i < ASSAY__EXECUTORS; i++)
        engine->executors[i].type->forget(engine->executors[i].handle, study_id);
}

void
assay__attempt_ended(struct assay__trial *trial, const struct assay_attempt_end *end,
                     struct assay__commit *commit)
{
    struct assay_attempt *attempt = &trial->attempt;

    if (assay_attempt_state_is_final(attempt->state))
        return;
    attempt->state = end->lost ? ASSAY_ATTEMPT_LOST : ASSAY_ATTEMPT_EXITED;
    attempt->reason = attempt->interrupted ? ASSAY_TRIAL_REASON_NONE : end->reason;
    attempt->exit_code = end->exit_code;
    attempt->signal = end->signal;
    free(attempt->message);
    attempt->message = assay_strdup(attempt->interrupted ? INTERRUPTED : end->message);
    attempt->finished_us = assay_now_us();
    trial->study->gpu_us += (double)json_array_size(attempt->gpus) *
                            (double)(attempt->finished_us - attempt->started_us);
    assay_changes_attempt_put(commit->changes, trial->study->id, trial->row.number, attempt);
    ASSAY_GROW(commit->ends, commit->n_ends, commit->ends_capacity);
    commit->ends[commit->n_ends++] =
        (struct assay_attempt_key){trial->study->id, trial->row.number, attempt->number};
    assay__event(commit, "attempt_ended", trial->row.number,
                 json_pack("{s:I, s:s, s:s?, s:i, s:i}", "attempt", (json_int_t)attempt->number,
                           "state", assay_attempt_state_name(attempt->state), "reason",
                           assay_trial_reason_name(attempt->reason), "exit_code",
                           attempt->exit_code, "signal", attempt->signal),
                 "attempt %lld of trial %lld %s%s%s", (long long)attempt->number,
                 (long long)trial->row.number, end->lost ? "was lost" : "ended",
                 attempt->message != NULL ? ": " : "",
                 attempt->message != NULL ? attempt->message : "");
}

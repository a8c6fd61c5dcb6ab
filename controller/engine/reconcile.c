/* The reconcile pass: what is against what should be.  Idempotent; run after
 * every change of a study and on every tick. */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "controller/engine/internal.h"

/* A study whose first trials all fail is broken, not unlucky. */
#define ALL_FAILED_MIN 10

static bool
runs_trials(const struct assay__study *study)
{
    return study->spec->trial != NULL;
}

static int64_t
finished(const struct assay__study *study)
{
    return study->trials_in[ASSAY_TRIAL_SUCCEEDED] + study->trials_in[ASSAY_TRIAL_STOPPED] +
           study->trials_in[ASSAY_TRIAL_INFEASIBLE] + study->trials_in[ASSAY_TRIAL_FAILED];
}

/* GPU time used so far, the attempts that run included. */
static double
gpu_hours(const struct assay__study *study)
{
    double us = study->gpu_us;
    int64_t now_us = assay_now_us();
    const struct assay__trial *trial;

    for (trial = study->trials; trial != NULL; trial = trial->hh.next) {
        if (trial->attempt.state == ASSAY_ATTEMPT_RUNNING)
            us += (double)json_array_size(trial->attempt.gpus) *
                  (double)(now_us - trial->attempt.started_us);
    }
    return us / 3600e6;
}

/* The reason why the study should wind down now; `message` gets its sentence. */
static enum assay_study_reason
limit_hit(const struct assay__study *study, char **ret_message)
{
    const struct assay_limits *limits = &study->spec->limits;
    int64_t failed = study->trials_in[ASSAY_TRIAL_FAILED];

    if (limits->time_us > 0 && study->record.started_us != ASSAY_TIME_NONE &&
        assay_now_us() - study->record.started_us >= limits->time_us) {
        *ret_message = assay_format("the %.6g s allowed (limits.time) are over",
                                    (double)limits->time_us / ASSAY_SECOND_US);
        return ASSAY_STUDY_REASON_TIME_LIMIT;
    }
    if (limits->gpu_hours > 0.0 && gpu_hours(study) >= limits->gpu_hours) {
        *ret_message = assay_format("the %.6g GPU hours allowed (limits.gpu_hours) are used up",
                                    limits->gpu_hours);
        return ASSAY_STUDY_REASON_GPU_HOURS_LIMIT;
    }
    if (limits->failed_trials >= 0 && failed > limits->failed_trials) {
        *ret_message = assay_format("%lld trials failed, limits.failed_trials allows %lld",
                                    (long long)failed, (long long)limits->failed_trials);
        return ASSAY_STUDY_REASON_FAILED_TRIALS_LIMIT;
    }
    if (runs_trials(study) && failed >= ALL_FAILED_MIN && finished(study) == failed) {
        *ret_message = assay_format("all %lld trials so far failed; look at the log of one of them",
                                    (long long)failed);
        return ASSAY_STUDY_REASON_ALL_TRIALS_FAILED;
    }
    return ASSAY_STUDY_REASON_NONE;
}

/* Whether nothing runs, and neither a new trial nor a promotion will come. */
static bool
is_done(const struct assay__study *study)
{
    int64_t paused = study->trials_in[ASSAY_TRIAL_PAUSED];

    if (assay__study_live(study) > paused || study->asked > 0)
        return false;
    if (study->exhausted)
        return true;
    return assay__study_room(study) == 0 && finished(study) + paused > 0 &&
           (assay__rungs_may_promote(study) == 0 || study->later);
}

/* Its name is free, and nothing of it is left to ask for, from that commit on. */
static void
delete_if_wanted(struct assay__study *study, struct assay__commit *commit)
{
    if (!study->delete_when_ended || study->deleting || assay__study_processes(study) > 0)
        return;
    assay_changes_study_delete(commit->changes, study->id);
    study->deleting = commit->deletes = true;
}

static void
end_study(struct assay__study *study)
{
    struct assay__commit *commit = assay__commit_new(study);

    assay__promotion_end(study, commit);
    if (study->record.state == ASSAY_STUDY_STOPPING) {
        assay__study_apply(study, assay_study_event_for(study->record.reason),
                           study->record.reason, commit);
    } else {
        /* An algorithm for budgets may be done long before its space is. */
        bool exhausted = assay__study_room(study) > 0 &&
                         (study->n_rungs == 0 ||
                          isfinite(assay_space_cardinality(study->spec->space)));
        enum assay_study_reason reason = exhausted ? ASSAY_STUDY_REASON_SPACE_EXHAUSTED
                                                   : ASSAY_STUDY_REASON_TRIALS_DONE;

        assay__study_apply(study, ASSAY_STUDY_EVENT_SUCCEED, reason, commit);
    }
    delete_if_wanted(study, commit);
    assay__commit_send(commit);
}

/* Nothing is left to do for it but what a deletion waits for. */
static void
reconcile_ended(struct assay__study *study)
{
    struct assay__commit *commit = assay__commit_new(study);

    delete_if_wanted(study, commit);
    if (assay_changes_empty(commit->changes))
        assay__commit_drop(commit);
    else
        assay__commit_send(commit);
}

/* The queued trial's next attempt: state, attempt row, launch. */
static void
start_trial(struct assay__trial *trial, struct assay__commit *commit)
{
    assay__trial_apply(trial, ASSAY_TRIAL_EVENT_START, ASSAY_TRIAL_REASON_NONE, NULL, commit);
    assay__attempt_begin(trial, commit);
}

/* Starts queued trials while slots and the machine have room; a trial that was
 * queued first starts first. */
static void
start_queued(struct assay__study *study, int64_t *room)
{
    int64_t now_us = assay_monotonic_us();
    struct assay__commit *commit = NULL;
    struct assay__trial *trial, *next;

    if (study->trials_in[ASSAY_TRIAL_QUEUED] == 0)
        return;
    HASH_ITER(hh, study->trials, trial, next)
    {
        if (*room <= 0)
            break;
        if (trial->row.state != ASSAY_TRIAL_QUEUED || trial->executing ||
            trial->not_before_us > now_us || assay__attempt_is_to_be_copied(trial) ||
            !assay__attempt_fits(study))
            continue;
        if (commit == NULL)
            commit = assay__commit_new(study);
        start_trial(trial, commit);
        --*room;
    }
    if (commit != NULL)
        assay__commit_send(commit);
}

/* A suggestion goes straight into a free slot; it is not made before there is
 * one, so that it knows every result there is, unless the study wants some ahead. */
static void
fill_slots(struct assay__study *study)
{
    int64_t room = study->spec->limits.parallel - study->slots;

    start_queued(study, &room);
    if (!assay__attempt_fits(study))
        room = 0; /* the machine has none */
    room += study->spec->limits.ahead - study->trials_in[ASSAY_TRIAL_QUEUED];
    room = ASSAY_MIN(room, assay__study_makes(study));
    if (study->asked > 0 || study->exhausted || study->later)
        return;
    if (room > 0)
        assay__ask_host(study, room);
    else if (assay__study_makes(study) > 0) /* what will be asked next knows one more result */
        assay_suggest_host_prepare(study->engine->host, study->id, study->next_number, 1, false);
}

void
assay__reconcile(struct assay__study *study)
{
    enum assay_study_reason reason;
    assay_auto_free char *message = NULL;

    if (study->engine->stopping || !study->loaded)
        return;
    if (assay_study_state_is_final(study->record.state)) {
        if (study->delete_when_ended)
            reconcile_ended(study);
        return;
    }
    if (study->record.state == ASSAY_STUDY_STOPPING) {
        if (assay__study_live(study) == 0)
            end_study(study);
        return;
    }
    reason = limit_hit(study, &message);
    if (reason != ASSAY_STUDY_REASON_NONE) {
        struct assay__commit *commit = assay__commit_new(study);

        assay__study_wind_down(study, reason, message, commit);
        assay__commit_send(commit);
        return;
    }
    if (study->record.state == ASSAY_STUDY_PAUSED)
        return;
    if (is_done(study)) {
        end_study(study);
        return;
    }
    if (assay__study_live(study) == study->trials_in[ASSAY_TRIAL_PAUSED])
        study->later = false; /* nothing is left to wait for */
    if (runs_trials(study))
        fill_slots(study);
    else
        assay__serve_asks(study);
}

/* A worker went silent: its trial goes to the next that asks. */
static void
expire_leases(struct assay__study *study, int64_t now_us)
{
    struct assay__commit *commit = NULL;
    struct assay__trial *trial, *next;

    HASH_ITER(hh, study->trials, trial, next)
    {
        struct assay_completion completion = {
            .state = ASSAY_TRIAL_FAILED,
            .reason = ASSAY_TRIAL_REASON_LEASE_EXPIRED,
            .exit_code = -1,
        };

        if (trial->row.lease_expires_us == ASSAY_TIME_NONE || trial->row.lease_expires_us > now_us)
            continue;
        if (commit == NULL)
            commit = assay__commit_new(study);
        completion.message =
            assay_format("%s was silent for longer than its lease",
                         trial->row.client != NULL ? trial->row.client : "the worker");
        assay__trial_complete(trial, &completion, commit);
        assay_completion_done(&completion);
    }
    if (commit != NULL)
        assay__commit_send(commit);
}

void
assay__tick(uv_timer_t *timer)
{
    struct assay_engine *engine = timer->data;
    int64_t now_us = assay_now_us(), live = 0, held = 0;
    struct assay_suggest_host_stats host;
    struct assay__study *study, *next;

    assay_suggest_host_sweep(engine->host);
    assay__absent_tick(engine);
    HASH_ITER(hh, engine->studies, study, next)
    {
        held++;
        live += assay__study_live(study);
        if (!engine->stopping && study->loaded && study->spec->trial == NULL)
            expire_leases(study, now_us);
        assay__reconcile(study);
        if (assay_study_state_is_final(study->record.state) && study->trials == NULL &&
            study->asked == 0)
            assay__study_drop(study, "the study has ended");
    }
    assay_suggest_host_get_stats(engine->host, &host);
    pthread_mutex_lock(&engine->lock);
    engine->stats.studies = held;
    engine->stats.trials_live = live;
    engine->stats.suggest_respawns = host.respawns;
    engine->stats.suggest_unreached = host.unreached;
    engine->stats.suggest_ready = host.ready;
    engine->stats.suggest_stale = host.stale;
    engine->stats.suggest_moves = host.moves;
    pthread_mutex_unlock(&engine->lock);
}

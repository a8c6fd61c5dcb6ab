/* How a trial ends: its result, another attempt, the end of its study. */
#include <stdlib.h>

#include "common/memory.h"
#include "controller/engine/internal.h"

/* Back-off of the n-th attempt after a loss: 1 s, 2 s, 4 s, … 60 s. */
#define LOSS_DELAY_MAX_US (60 * ASSAY_SECOND_US)
/* How often a trial whose worker went silent is handed to another. */
#define LEASE_LOSSES_MAX 3

void
assay_completion_done(struct assay_completion *completion)
{
    free(completion->message);
    json_decref(completion->metrics);
    json_decref(completion->measurements);
    *completion = (struct assay_completion){0};
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

    assay__trial_take_metrics(trial, completion->metrics);
    objective = assay__trial_evaluate(trial);
    assay__trial_release(trial);

    if (trial->attempt.interrupted && trial->row.state == ASSAY_TRIAL_RUNNING) {
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
    } else if (!assay__promotion_pause(trial, completion->message, commit)) {
        assay__trial_apply(trial, ASSAY_TRIAL_EVENT_SUCCEED, ASSAY_TRIAL_REASON_NONE,
                           completion->message, commit);
        check_target(trial, commit);
    }
}

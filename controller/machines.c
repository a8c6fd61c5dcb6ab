#include "controller/machines.h"

#define STUDY(from, event, to, comment) \
    {ASSAY_STUDY_##from, ASSAY_STUDY_EVENT_##event, ASSAY_STUDY_##to, comment},
#define TRIAL(from, event, to, comment) \
    {ASSAY_TRIAL_##from, ASSAY_TRIAL_EVENT_##event, ASSAY_TRIAL_##to, comment},

static const struct assay_machine_row study_rows[] = {
    STUDY(RUNNING, PAUSE, PAUSED, "paused: no new trial starts")
    STUDY(PAUSED, RESUME, RUNNING, "resumed")

    STUDY(RUNNING, WIND_DOWN, STOPPING, "winding down: the trials that run are being ended")
    STUDY(PAUSED, WIND_DOWN, STOPPING, "winding down: the trials that run are being ended")

    STUDY(RUNNING, SUCCEED, SUCCEEDED, "ended as asked")
    STUDY(STOPPING, SUCCEED, SUCCEEDED, "ended as asked")
    STUDY(STOPPING, FAIL, FAILED, "ended because something is wrong")
    STUDY(STOPPING, CANCEL, CANCELLED, "cancelled")
};

static const struct assay_machine_row trial_rows[] = {
    TRIAL(QUEUED, START, RUNNING, "started")
    TRIAL(RUNNING, REQUEUE, QUEUED, "back in the queue for another attempt")

    TRIAL(RUNNING, PAUSE, PAUSED, "paused at its rung, checkpoint kept")
    TRIAL(PAUSED, PROMOTE, QUEUED, "promoted, goes on from its checkpoint")

    TRIAL(RUNNING, STOP, STOPPING, "told to stop")

    TRIAL(RUNNING, SUCCEED, SUCCEEDED, "succeeded")
    TRIAL(RUNNING, FAIL, FAILED, "failed")
    TRIAL(RUNNING, INFEASIBLE, INFEASIBLE, "can not be tried")

    /* A worker may tell the result of a trial it was not handed: the user queued
     * it, or its lease ran out and nobody else has taken it yet. */
    TRIAL(QUEUED, SUCCEED, SUCCEEDED, "succeeded, told by a worker that did not hold it")
    TRIAL(QUEUED, FAIL, FAILED, "failed, before it could run or told by a worker that did not hold it")
    TRIAL(QUEUED, INFEASIBLE, INFEASIBLE, "can not be tried")

    TRIAL(STOPPING, END_STOPPED, STOPPED, "stopped early")
    TRIAL(QUEUED, END_STOPPED, STOPPED, "stopped before it started")
    TRIAL(PAUSED, END_STOPPED, STOPPED, "stopped while paused")

    TRIAL(STOPPING, CANCEL, CANCELLED, "ended with its study")
    TRIAL(RUNNING, CANCEL, CANCELLED, "taken from its worker: the study has ended")
    TRIAL(QUEUED, CANCEL, CANCELLED, "not started: the study has ended")
    TRIAL(PAUSED, CANCEL, CANCELLED, "not resumed: the study has ended")
};

static const char *
study_state_name(int state)
{
    return assay_study_state_name((enum assay_study_state)state);
}

static bool
study_is_final(int state)
{
    return assay_study_state_is_final((enum assay_study_state)state);
}

static const char *
study_event_name(int event)
{
    static const char *const names[] = {"pause", "resume", "wind down", "succeed", "fail", "cancel"};

    _Static_assert(ASSAY_COUNT(names) == ASSAY_STUDY_EVENT_MAX_, "a name for every event");
    return names[event];
}

static const char *
trial_state_name(int state)
{
    return assay_trial_state_name((enum assay_trial_state)state);
}

static bool
trial_is_final(int state)
{
    return assay_trial_state_is_final((enum assay_trial_state)state);
}

static const char *
trial_event_name(int event)
{
    static const char *const names[] = {"start", "requeue", "pause",      "promote",     "stop",
                                        "succeed", "fail",  "infeasible", "end stopped", "cancel"};

    _Static_assert(ASSAY_COUNT(names) == ASSAY_TRIAL_EVENT_MAX_, "a name for every event");
    return names[event];
}

const struct assay_machine assay_study_machine = {
    .name = "study",
    .rows = study_rows,
    .n_rows = ASSAY_COUNT(study_rows),
    .n_states = ASSAY_STUDY_STATE_MAX_,
    .n_events = ASSAY_STUDY_EVENT_MAX_,
    .state_name = study_state_name,
    .event_name = study_event_name,
    .is_final = study_is_final,
};

const struct assay_machine assay_trial_machine = {
    .name = "trial",
    .rows = trial_rows,
    .n_rows = ASSAY_COUNT(trial_rows),
    .n_states = ASSAY_TRIAL_STATE_MAX_,
    .n_events = ASSAY_TRIAL_EVENT_MAX_,
    .state_name = trial_state_name,
    .event_name = trial_event_name,
    .is_final = trial_is_final,
};

enum assay_study_event
assay_study_event_for(enum assay_study_reason reason)
{
    switch (reason) {
    case ASSAY_STUDY_REASON_CANCELLED_BY_USER:
        return ASSAY_STUDY_EVENT_CANCEL;
    case ASSAY_STUDY_REASON_FAILED_TRIALS_LIMIT:
    case ASSAY_STUDY_REASON_ALL_TRIALS_FAILED:
    case ASSAY_STUDY_REASON_SUGGESTION_FAILED:
        return ASSAY_STUDY_EVENT_FAIL;
    default:
        return ASSAY_STUDY_EVENT_SUCCEED;
    }
}

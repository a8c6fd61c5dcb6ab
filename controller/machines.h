/* The tables of what can happen to studies and trials: the only place that says
 * which state follows which.  docs/state-machines.md is drawn from here. */
#ifndef ASSAY_CONTROLLER_MACHINES_H
#define ASSAY_CONTROLLER_MACHINES_H

#include "common/machine.h"
#include "schemas/states.h"

enum assay_study_event {
    ASSAY_STUDY_EVENT_PAUSE,
    ASSAY_STUDY_EVENT_RESUME,
    ASSAY_STUDY_EVENT_WIND_DOWN, /* a limit, the target, a fault or a user ends it */
    ASSAY_STUDY_EVENT_SUCCEED,
    ASSAY_STUDY_EVENT_FAIL,
    ASSAY_STUDY_EVENT_CANCEL,
    ASSAY_STUDY_EVENT_MAX_,
};

enum assay_trial_event {
    ASSAY_TRIAL_EVENT_START,      /* an attempt starts, or a worker takes it */
    ASSAY_TRIAL_EVENT_REQUEUE,    /* the attempt was lost or failed and is tried again */
    ASSAY_TRIAL_EVENT_PAUSE,      /* waits at a rung, its checkpoint kept */
    ASSAY_TRIAL_EVENT_PROMOTE,    /* goes on from its checkpoint */
    ASSAY_TRIAL_EVENT_STOP,       /* is told to end */
    ASSAY_TRIAL_EVENT_SUCCEED,
    ASSAY_TRIAL_EVENT_FAIL,
    ASSAY_TRIAL_EVENT_INFEASIBLE,
    ASSAY_TRIAL_EVENT_END_STOPPED, /* nothing runs any more, its measurements count */
    ASSAY_TRIAL_EVENT_CANCEL,      /* nothing runs any more, its study has ended */
    ASSAY_TRIAL_EVENT_MAX_,
};

extern const struct assay_machine assay_study_machine;
extern const struct assay_machine assay_trial_machine;

/* The state a study that winds down for this reason ends in. */
enum assay_study_event assay_study_event_for(enum assay_study_reason reason);

#endif

/* What an attempt's pod says about it. */
#include <stdlib.h>

#include "common/memory.h"
#include "controller/kubernetes_internal.h"

/* The pod as it is now. */
void
assay__kube_pod_seen(struct assay_kube_attempt *attempt, const json_t *pod)
{
    struct assay_kube_pod_status status;

    attempt->seen = true;
    attempt->adopted = false;
    json_decref(attempt->manifest);
    attempt->manifest = NULL;
    attempt->create_at_us = 0;
    if (attempt->done || attempt->ending || attempt->end.phase == ASSAY_KUBE_ENDED)
        return;
    assay_kube_pod_read(pod, ASSAY_KUBE_CONTAINER, &status);
    if (status.phase == ASSAY_KUBE_RUNNING || status.phase == ASSAY_KUBE_ENDED ||
        status.deleting)
        assay__kube_secret_drop(attempt);
    else
        assay__kube_secret_wanted(attempt, "v1", "Pod", pod);
    if (status.phase == ASSAY_KUBE_PENDING || status.phase == ASSAY_KUBE_STUCK) {
        assay__kube_set_waits(attempt, status.sentence, status.phase == ASSAY_KUBE_STUCK);
    } else if (status.phase == ASSAY_KUBE_RUNNING) {
        assay__kube_set_waits(attempt, NULL, false);
        if (status.has_log) {
            assay__kube_tell_started(attempt);
            assay__kube_follow_log(attempt);
        }
    } else {
        if (status.deleting && !attempt->stopping && !status.lost &&
            status.state == ASSAY_TRIAL_FAILED) {
            status.lost = true;
            status.reason = ASSAY_TRIAL_REASON_RUNNER_LOST;
            free(status.sentence);
            status.sentence = assay_strdup("its pod was deleted by somebody else");
        }
        attempt->end = status;
        if (!status.has_log) {
            attempt->ending = true;
            assay__kube_tick_soon(attempt->executor);
        } else {
            assay__kube_tell_started(attempt);
            assay__kube_follow_log(attempt);
            assay_kube_log_finish(attempt->log);
        }
        return;
    }
    assay_kube_pod_status_done(&status);
}

/* The pod is not there any more. */
void
assay__kube_pod_gone(struct assay_kube_attempt *attempt)
{
    attempt->gone = true;
    attempt->adopted = false;
    if (attempt->done) {
        assay__kube_attempt_free(attempt);
        return;
    }
    if (attempt->ending)
        return;
    if (attempt->end.phase != ASSAY_KUBE_ENDED) {
        attempt->end.phase = ASSAY_KUBE_ENDED;
        attempt->end.lost = !attempt->stopping;
        attempt->end.state = ASSAY_TRIAL_FAILED;
        attempt->end.exit_code = -1;
        attempt->end.reason =
            attempt->stopping ? ASSAY_TRIAL_REASON_SIGNAL : ASSAY_TRIAL_REASON_RUNNER_LOST;
        attempt->end.signal = attempt->stopping ? 15 : 0;
        attempt->end.sentence =
            assay_strdup(attempt->stopping ? "asked to end: its pod was deleted"
                                           : "its pod was deleted by somebody else");
    }
    if (attempt->log != NULL) {
        assay_kube_log_finish(attempt->log); /* what is on its way yet */
    } else {
        attempt->ending = true;
        assay__kube_tick_soon(attempt->executor);
    }
}

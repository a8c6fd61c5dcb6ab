/* The pod form: what an attempt's pod says about it. */
#include <stdlib.h>

#include "common/memory.h"
#include "controller/kubernetes/internal.h"

void
assay__kube_pod_blame(const struct assay_kube_attempt *attempt,
                      struct assay_kube_pod_status *status)
{
    if (!status->deleting || attempt->stopping || status->lost ||
        status->state != ASSAY_TRIAL_FAILED)
        return;
    status->lost = true;
    status->reason = ASSAY_TRIAL_REASON_RUNNER_LOST;
    free(status->sentence);
    status->sentence = assay_strdup("its pod was deleted by somebody else");
}

/* Nothing more is to come; the end that the pod had is told. */
static void
log_over(struct assay_kube_attempt *attempt)
{
    attempt->ending = true;
    assay__kube_tick_soon(attempt->executor);
}

void
assay__kube_pod_seen(struct assay_kube_attempt *attempt, const json_t *pod)
{
    struct assay_kube_pod_status status;

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
            assay__kube_follow_log(attempt, attempt->name, ASSAY_KUBE_CONTAINER, log_over);
        }
    } else {
        assay__kube_pod_blame(attempt, &status);
        attempt->end = status;
        if (!status.has_log) {
            log_over(attempt);
        } else {
            assay__kube_tell_started(attempt);
            assay__kube_follow_log(attempt, attempt->name, ASSAY_KUBE_CONTAINER, log_over);
            assay_kube_log_finish(attempt->log);
        }
        return;
    }
    assay_kube_pod_status_done(&status);
}

/* A pod's status, as what it means for the trial.  Pure: no network, no clock. */
#ifndef ASSAY_CONTROLLER_KUBERNETES_POD_STATUS_H
#define ASSAY_CONTROLLER_KUBERNETES_POD_STATUS_H

#include <jansson.h>
#include <stdbool.h>

#include "schemas/states.h"

enum assay_kube_phase {
    ASSAY_KUBE_PENDING, /* waits, for a node, a queue, an image being pulled */
    ASSAY_KUBE_STUCK,   /* waits for what will hardly come: an image that is not there */
    ASSAY_KUBE_RUNNING,
    ASSAY_KUBE_ENDED,
};

/* What a pod's status says. */
struct assay_kube_pod_status {
    enum assay_kube_phase phase;
    bool deleting; /* it has a deletionTimestamp */
    bool has_log;  /* the container has been started at least once */
    /* ENDED: as in struct assay_attempt_end. */
    bool lost;
    bool metrics_missing; /* lost for that alone: the command had ended well */
    enum assay_trial_state state;
    enum assay_trial_reason reason;
    int exit_code, signal;
    char *sentence; /* why it waits or how it ended; NULL = nothing to say */
};
void assay_kube_pod_read(const json_t *pod, const char *container,
                         struct assay_kube_pod_status *ret_status);
void assay_kube_pod_status_done(struct assay_kube_pod_status *status);

#endif

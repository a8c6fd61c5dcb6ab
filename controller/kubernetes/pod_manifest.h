/* Pods of attempts: a launch as a manifest.  Pure: no network, no clock. */
#ifndef ASSAY_CONTROLLER_KUBERNETES_POD_MANIFEST_H
#define ASSAY_CONTROLLER_KUBERNETES_POD_MANIFEST_H

#include "controller/executor.h"
#include "controller/kubernetes/runner.h"
#include "schemas/kubernetes.h"

/* Labels that every object of ours carries. */
#define ASSAY_KUBE_LABEL_DAEMON "assay.dev/daemon"
#define ASSAY_KUBE_LABEL_STUDY "assay.dev/study"
#define ASSAY_KUBE_LABEL_TRIAL "assay.dev/trial"
#define ASSAY_KUBE_LABEL_ATTEMPT "assay.dev/attempt"
/* The container that runs the command. */
#define ASSAY_KUBE_CONTAINER "trial"

struct assay_kube_pod_options {
    const char *owner; /* see controller/executor.h; value of ASSAY_KUBE_LABEL_DAEMON */
    struct assay_kube_reach reach;
};

/* "assay-<owner>-<study>-<trial>-<attempt>": the same after a crash, so that a second
 * create finds the first one's pod.  Caller frees. */
char *assay_kube_pod_name(const char *owner, const struct assay_attempt_key *key);

/* Of a trial of the launch's study: where its checkpoints are in the claim.  Caller frees. */
char *assay_kube_checkpoint_folder(const char *owner, const struct assay_launch *launch,
                                   int64_t trial);

/* The manifest.  Secrets stand in it by reference only; every "$" of command and
 * environment is doubled, because the kubelet would expand $(NAME).  `ret_secret`: what is
 * to be created besides, under the pod's name, once the pod is there to own it; NULL =
 * nothing.  `ret_reports`: a runner in the pod reports, the log holds no metrics.
 * ASSAY_E_INVALID_VALUE: what can not be replaced, or what comes out of it. */
ASSAY_MUST_CHECK assay_status assay_kube_pod_build(const struct assay_launch *launch,
                                                   const struct assay_kube_pod_options *options,
                                                   json_t **ret_pod, json_t **ret_secret,
                                                   bool *ret_reports, struct assay_error *err);

/* What else stands in a trial's environment; NULL = nothing. */
struct assay_kube_places {
    const char *url;
    const char *checkpoints, *output; /* folders in the container */
    const char *secret;               /* with `url`: the one that has the token */
    const char *parameters, *ca;      /* files in the container */
};
/* The variables of trial.environment and, unless `places` is NULL, Assay's own, as a
 * container's "env". */
ASSAY_MUST_CHECK assay_status assay_kube_environment(const struct assay_launch *launch,
                                                     const json_t *values,
                                                     const struct assay_kube_places *places,
                                                     json_t **ret_env, struct assay_error *err);
/* The labels above, and who made it and why. */
void assay_kube_add_labels(json_t *labels, const struct assay_launch *launch, const char *owner);
void assay_kube_add_annotations(json_t *annotations, const struct assay_launch *launch);

#endif

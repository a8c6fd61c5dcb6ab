/* assay-runner in pods: round the command of a study's image, or beside the containers of
 * a template; and the Secret that tells it what to do.  Pure: no network, no clock.
 *
 * An init container from the runner's image puts the (static) runner into a volume that the
 * pod's containers share.  Round a command, the user's container runs it with the command
 * behind "--"; no shell, no other process namespace, nothing of the image is changed.
 * Beside one, it is a native sidecar (an init container that is restarted always), which
 * Kubernetes has since 1.29 and ends when the others have ended. */
#ifndef ASSAY_CONTROLLER_KUBERNETES_RUNNER_H
#define ASSAY_CONTROLLER_KUBERNETES_RUNNER_H

#include "common/clock.h"
#include "controller/executor.h"
#include "schemas/kubernetes.h"

/* Where the runner's image has it. */
#define ASSAY_KUBE_RUNNER_IN_IMAGE "/usr/local/libexec/assay/assay-runner"
#define ASSAY_KUBE_RUNNER_INIT "assay-install"
#define ASSAY_KUBE_RUNNER_SIDECAR "assay-metrics"
#define ASSAY_KUBE_RUNNER_BRING "assay-checkpoint"
/* Mounted in the pod. */
#define ASSAY_KUBE_CHECKPOINT_PATH "/assay/checkpoint"
#define ASSAY_KUBE_OUTPUT_PATH "/assay/output"
#define ASSAY_KUBE_PARENT_PATH "/assay/parent" /* the checkpoint to go on from */
#define ASSAY_KUBE_PARAMETERS_PATH "/assay/parameters" /* without a runner: parameters.json */
#define ASSAY_KUBE_CA_PATH "/assay/ca"
/* Keys of the attempt's Secret: the token, and the authorities to trust, where there are. */
#define ASSAY_KUBE_TOKEN_KEY "token"
#define ASSAY_KUBE_CA_KEY "ca.pem"

/* The runner tells the end so long after the command's grace, at most. */
#define ASSAY_KUBE_RUNNER_GRACE_MORE_US (5 * ASSAY_SECOND_US)

/* How pods reach the service. */
struct assay_kube_reach {
    const char *url;          /* NULL = they can not: no runner, no token */
    const char *ca;           /* PEM; NULL = the authorities of their image */
    const char *runner_image; /* NULL = none */
};

/* Whether the command of such a trial runs under the runner in its pod. */
bool assay_kube_runner_wraps(const struct assay_trial_spec *trial,
                             const struct assay_kubernetes_spec *spec,
                             const struct assay_kube_reach *reach);
/* Whether a template's primary containers get the sidecar. */
bool assay_kube_runner_watches(const struct assay_trial_spec *trial);

/* Adds what keeps a trial with this section from running for want of a runner or of a way
 * to the service.  `pointer`: of the trial. */
void assay_kube_runner_check(const struct assay_trial_spec *trial,
                             const struct assay_kubernetes_spec *spec,
                             const struct assay_kube_reach *reach, const char *pointer,
                             struct assay_faults *faults);

/* Puts the runner round the command of `container`, which is the only one of `pod_spec` and
 * is changed in place; `secret` is the name of the attempt's. */
void assay_kube_runner_wrap(const struct assay_launch *launch, const char *runner_image,
                            const char *secret, json_t *pod_spec, json_t *container);

/* Adds the sidecar to a pod (the "spec" of a pod or pod template), beside its container
 * `container` (NULL = the first).  Files are read where that container writes them: in the
 * volume mounted there, or else in an empty one that both get.
 * ASSAY_E_INVALID_VALUE: there is no such container, or the path is not one of a file that
 * can be shared. */
ASSAY_MUST_CHECK assay_status assay_kube_runner_add_sidecar(const struct assay_launch *launch,
                                                            const char *runner_image,
                                                            const char *secret, json_t *pod_spec,
                                                            const char *container,
                                                            struct assay_error *err);

/* Adds the init container that copies the folder `from` of a volume to what `container` of
 * the pod has mounted of it at `path`, after the one that installs the runner.  It has that
 * container's image and security context: the copy is read and written by whoever works with
 * it then.
 * ASSAY_E_INVALID_VALUE: `runner_image` is NULL. */
ASSAY_MUST_CHECK assay_status assay_kube_runner_bring(json_t *pod_spec, const json_t *container,
                                                      const char *runner_image, const char *path,
                                                      const char *from, struct assay_error *err);

/* The attempt's Secret, without an owner: its token, the authorities to trust, and with
 * `with_job` what the runner has to do. */
ASSAY_MUST_CHECK assay_status assay_kube_runner_secret(const struct assay_launch *launch,
                                                       const char *name, const json_t *labels,
                                                       const struct assay_kube_reach *reach,
                                                       bool with_job, json_t **ret_secret,
                                                       struct assay_error *err);
/* Makes the object (as the API server has it) the Secret's owner, so that the one goes
 * with the other. */
void assay_kube_runner_set_owner(json_t *secret, const char *api_version, const char *kind,
                                 const json_t *object);

#endif

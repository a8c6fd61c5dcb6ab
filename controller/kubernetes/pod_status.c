#include "controller/kubernetes/pod_status.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/memory.h"
#include "controller/kubernetes/runner.h"

/* Signals as exit codes 129 to 192. */
#define SIGNAL_BASE 128
#define SIGNAL_MAX 64

static const json_t *
condition(const json_t *status, const char *type)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(status, "conditions"), i, item)
    {
        if (strcmp(assay_json_text_at(item, "type"), type) == 0)
            return item;
    }
    return NULL;
}

static bool
is_one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(word, *words) == 0)
            return true;
    }
    return false;
}

/* Reasons of a pod that the cluster took away, whatever its command did. */
static bool
is_taken_away(const char *reason)
{
    static const char *const reasons[] = {
        "Evicted",      "Preempted",  "Preempting", "NodeLost",     "NodeAffinity",
        "NodeShutdown", "Shutdown",   "Terminated", "UnexpectedAdmissionError",
        "NodeNotReady", "NodePorts",  "AppArmor",   "TopologyAffinityError", NULL};

    return is_one_of(reason, reasons) || strncmp(reason, "OutOf", 5) == 0;
}

static char *
with_message(const char *what, const char *message)
{
    return *message != '\0' ? assay_format("%s: %s", what, message) : assay_strdup(what);
}

/* By the pod's own reason or its DisruptionTarget condition.  False: the container tells. */
static bool
read_taken_away(const json_t *status, struct assay_kube_pod_status *ret)
{
    const json_t *disrupted = condition(status, "DisruptionTarget");
    const char *reason = assay_json_text_at(status, "reason");
    const char *message = assay_json_text_at(status, "message");

    if (!is_taken_away(reason)) {
        if (strcmp(assay_json_text_at(disrupted, "status"), "True") != 0)
            return false;
        reason = assay_json_text_at(disrupted, "reason");
        message = assay_json_text_at(disrupted, "message");
    }
    ret->lost = true;
    ret->state = ASSAY_TRIAL_FAILED;
    ret->reason = ASSAY_TRIAL_REASON_RUNNER_LOST;
    ret->sentence = with_message(reason, message);
    return true;
}

static void
read_terminated(const char *container, const json_t *terminated,
                struct assay_kube_pod_status *ret)
{
    static const char *const unstartable[] = {"StartError", "ContainerCannotRun", NULL};
    const char *reason = assay_json_text_at(terminated, "reason");
    const char *message = assay_json_text_at(terminated, "message");
    int code = (int)json_integer_value(json_object_get(terminated, "exitCode"));

    ret->state = ASSAY_TRIAL_FAILED;
    if (code == 0 && strcmp(reason, "OOMKilled") != 0) {
        ret->state = ASSAY_TRIAL_SUCCEEDED;
        ret->reason = ASSAY_TRIAL_REASON_NONE;
        ret->exit_code = 0;
    } else if (strcmp(reason, "OOMKilled") == 0) {
        ret->reason = ASSAY_TRIAL_REASON_OUT_OF_MEMORY;
        ret->signal = 9;
        ret->sentence = with_message("OOMKilled: the container used more memory than its limit",
                                     message);
    } else if (strcmp(reason, "ContainerStatusUnknown") == 0) {
        ret->lost = true;
        ret->reason = ASSAY_TRIAL_REASON_RUNNER_LOST;
        ret->sentence = with_message("ContainerStatusUnknown: the node does not know how the "
                                     "container ended", message);
    } else if (is_one_of(reason, unstartable)) {
        ret->reason = ASSAY_TRIAL_REASON_START_FAILED;
        ret->exit_code = code;
        ret->sentence = with_message(reason, message);
    } else if (code > SIGNAL_BASE && code <= SIGNAL_BASE + SIGNAL_MAX) {
        ret->reason = ASSAY_TRIAL_REASON_SIGNAL;
        ret->signal = code - SIGNAL_BASE;
        ret->sentence = assay_format("container \"%s\" was ended by signal %d", container,
                                     ret->signal);
    } else {
        ret->reason = ASSAY_TRIAL_REASON_EXIT_CODE;
        ret->exit_code = code;
        ret->sentence = assay_format("container \"%s\" ended with exit code %d%s%s", container,
                                     code, *message != '\0' ? ": " : "", message);
    }
}

/* An init container that failed, of a pod that failed. */
static bool
read_failed_init(const json_t *status, struct assay_kube_pod_status *ret)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(status, "initContainerStatuses"), i, item)
    {
        const json_t *end = json_object_get(json_object_get(item, "state"), "terminated");

        if (end != NULL && json_integer_value(json_object_get(end, "exitCode")) != 0) {
            read_terminated(assay_json_text_at(item, "name"), end, ret);
            if (ret->reason == ASSAY_TRIAL_REASON_EXIT_CODE)
                ret->reason = ASSAY_TRIAL_REASON_START_FAILED;
            return true;
        }
    }
    return false;
}

static void
read_end(const json_t *status, const char *container,
         struct assay_kube_pod_status *ret)
{
    const json_t *own = assay_json_named(json_object_get(status, "containerStatuses"), container);
    const json_t *end = json_object_get(json_object_get(own, "state"), "terminated");

    ret->phase = ASSAY_KUBE_ENDED;
    if (strcmp(assay_json_text_at(status, "reason"), "DeadlineExceeded") == 0) {
        ret->state = ASSAY_TRIAL_FAILED;
        ret->reason = ASSAY_TRIAL_REASON_TIMEOUT;
        ret->sentence = with_message("DeadlineExceeded: the trial ran longer than its timeout",
                                     assay_json_text_at(status, "message"));
    } else if (end != NULL && json_integer_value(json_object_get(end, "exitCode")) == 0) {
        read_terminated(container, end, ret); /* it had done its work when it was taken */
    } else if (read_taken_away(status, ret)) {
        return;
    } else if (end != NULL) {
        read_terminated(container, end, ret);
    } else if (!read_failed_init(status, ret)) {
        ret->lost = true;
        ret->state = ASSAY_TRIAL_FAILED;
        ret->reason = ASSAY_TRIAL_REASON_RUNNER_LOST;
        ret->sentence = assay_format("the pod failed%s%s%s%s",
                                     *assay_json_text_at(status, "reason") != '\0' ? ": " : "",
                                     assay_json_text_at(status, "reason"),
                                     *assay_json_text_at(status, "message") != '\0' ? ": " : "",
                                     assay_json_text_at(status, "message"));
    }
}

/* Our sidecar's state; NULL = there is none. */
static const json_t *
sidecar_state(const json_t *status)
{
    return json_object_get(assay_json_named(json_object_get(status, "initContainerStatuses"),
                                            ASSAY_KUBE_RUNNER_SIDECAR),
                           "state");
}

/* The command has ended well, but what reads its metrics has not. */
static void
read_end_of_sidecar(const json_t *status, struct assay_kube_pod_status *ret)
{
    const json_t *end = json_object_get(sidecar_state(status), "terminated");

    if (ret->state != ASSAY_TRIAL_SUCCEEDED || end == NULL ||
        json_integer_value(json_object_get(end, "exitCode")) == 0)
        return;
    ret->lost = ret->metrics_missing = true;
    ret->state = ASSAY_TRIAL_FAILED;
    ret->reason = ASSAY_TRIAL_REASON_RUNNER_LOST;
    free(ret->sentence);
    ret->sentence = assay_format(
        "MetricsUnavailable: what reads the metrics (container \"" ASSAY_KUBE_RUNNER_SIDECAR
        "\") ended with exit code %d before it had told all",
        (int)json_integer_value(json_object_get(end, "exitCode")));
}

/* Whether any container but this one still runs. */
static bool
others_run(const json_t *status, const char *container)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(status, "containerStatuses"), i, item)
    {
        if (strcmp(assay_json_text_at(item, "name"), container) != 0 &&
            json_object_get(json_object_get(item, "state"), "running") != NULL)
            return true;
    }
    return false;
}

static void
read_waiting_containers(const json_t *statuses, struct assay_kube_pod_status *ret)
{
    static const char *const hopeless[] = {
        "ErrImagePull",         "ImagePullBackOff",     "InvalidImageName",
        "ErrImageNeverPull",    "ImageInspectError",    "RegistryUnavailable",
        "CreateContainerError", "CreateContainerConfigError", NULL};
    const json_t *item;
    size_t i;

    json_array_foreach(statuses, i, item)
    {
        const json_t *waiting = json_object_get(json_object_get(item, "state"), "waiting");
        const char *reason = assay_json_text_at(waiting, "reason");

        if (is_one_of(reason, hopeless)) {
            ret->phase = ASSAY_KUBE_STUCK;
            free(ret->sentence);
            ret->sentence = with_message(reason, assay_json_text_at(waiting, "message"));
        }
    }
}

static void
read_pending(const json_t *pod, const json_t *status, struct assay_kube_pod_status *ret)
{
    const json_t *scheduled = condition(status, "PodScheduled");
    const json_t *gate =
        json_array_get(json_object_get(json_object_get(pod, "spec"), "schedulingGates"), 0);

    ret->phase = ASSAY_KUBE_PENDING;
    if (gate != NULL)
        ret->sentence = assay_format("held back by the scheduling gate \"%s\", as queues do",
                                     assay_json_text_at(gate, "name"));
    else if (strcmp(assay_json_text_at(scheduled, "status"), "False") == 0)
        ret->sentence = with_message(*assay_json_text_at(scheduled, "reason") != '\0'
                                         ? assay_json_text_at(scheduled, "reason")
                                         : "Unschedulable",
                                     assay_json_text_at(scheduled, "message"));
    read_waiting_containers(json_object_get(status, "initContainerStatuses"), ret);
    read_waiting_containers(json_object_get(status, "containerStatuses"), ret);
}

void
assay_kube_pod_read(const json_t *pod, const char *container,
                    struct assay_kube_pod_status *ret_status)
{
    const json_t *status = json_object_get(pod, "status");
    const json_t *own = assay_json_named(json_object_get(status, "containerStatuses"), container);
    const json_t *state = json_object_get(own, "state");
    const json_t *end = json_object_get(state, "terminated");
    const char *phase = assay_json_text_at(status, "phase");
    struct assay_kube_pod_status ret = {
        .deleting = json_object_get(json_object_get(pod, "metadata"), "deletionTimestamp") != NULL,
        .has_log = end != NULL || json_object_get(state, "running") != NULL,
        .state = ASSAY_TRIAL_FAILED,
        .reason = ASSAY_TRIAL_REASON_NONE,
        .exit_code = -1,
    };

    if (strcmp(phase, "Succeeded") == 0 && end == NULL) {
        ret.phase = ASSAY_KUBE_ENDED; /* its containers' states were not kept */
        ret.state = ASSAY_TRIAL_SUCCEEDED;
        ret.exit_code = 0;
        ret.has_log = true;
    } else if (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0 ||
               strcmp(assay_json_text_at(status, "reason"), "NodeLost") == 0) {
        read_end(status, container, &ret);
        read_end_of_sidecar(status, &ret);
    } else if (end != NULL && json_object_get(sidecar_state(status), "running") != NULL) {
        ret.phase = ASSAY_KUBE_RUNNING; /* its last metrics are being told */
    } else if (end != NULL && (json_integer_value(json_object_get(end, "exitCode")) == 0 ||
                               others_run(status, container))) {
        read_end(status, container, &ret); /* the rest are somebody's sidecars */
        read_end_of_sidecar(status, &ret);
    } else if (strcmp(phase, "Running") == 0) {
        ret.phase = ASSAY_KUBE_RUNNING;
        read_waiting_containers(json_object_get(status, "containerStatuses"), &ret);
    } else {
        read_pending(pod, status, &ret);
    }
    *ret_status = ret;
}

void
assay_kube_pod_status_done(struct assay_kube_pod_status *status)
{
    free(status->sentence);
    status->sentence = NULL;
}

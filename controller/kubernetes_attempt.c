/* One attempt: its object is created, found again, deleted; its end is told. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/memory.h"
#include "controller/kubernetes_internal.h"

/* After an answer that may change by itself: no quota left, no answer at all. */
#define CREATE_AGAIN_US (3 * ASSAY_SECOND_US)
#define DELETE_AGAIN_US (2 * ASSAY_SECOND_US)
/* How long the pod of an attempt that has ended is kept: longer than a commit takes. */
#define KEEP_US (5 * ASSAY_SECOND_US)
/* A pod whose image can not be had is given up after this time. */
#define STUCK_US (120 * ASSAY_SECOND_US)
/* A reason to wait that is still there is told. */
#define WAITS_US ASSAY_SECOND_US
/* A pod that is still there so long after its grace is deleted by force. */
#define FORCE_US (30 * ASSAY_SECOND_US)

/* --- its life --- */

struct assay_kube_attempt *
assay__kube_find_named(const struct assay_kube_executor *executor, const char *name)
{
    struct assay_kube_attempt *attempt;

    HASH_FIND_STR(executor->attempts, name, attempt);
    return attempt;
}

void
assay__kube_attempt_free(struct assay_kube_attempt *attempt)
{
    HASH_DEL(attempt->executor->attempts, attempt);
    assay__kube_reading_drop(attempt);
    assay_kube_cancel(attempt->call);
    assay_kube_cancel(attempt->delete_call);
    assay__kube_secret_drop(attempt);
    assay_kube_pod_status_done(&attempt->end);
    json_decref(attempt->manifest);
    free(attempt->waits);
    free(attempt->name);
    free(attempt);
}

/* The end is known; told from the loop. */
void
assay__kube_end_soon(struct assay_kube_attempt *attempt, bool lost, enum assay_trial_reason reason,
                     char *sentence_taken)
{
    assay_kube_pod_status_done(&attempt->end);
    attempt->end = (struct assay_kube_pod_status){
        .phase = ASSAY_KUBE_ENDED,
        .lost = lost,
        .state = ASSAY_TRIAL_FAILED,
        .reason = reason,
        .exit_code = -1,
        .sentence = sentence_taken,
    };
    attempt->ending = true;
    assay__kube_tick_soon(attempt->executor);
}

static void
tell_end(struct assay_kube_attempt *attempt)
{
    struct assay_kube_executor *executor = attempt->executor;
    assay_auto_free char *message = NULL;
    struct assay_attempt_end end;

    if (attempt->log_missing && attempt->end.state == ASSAY_TRIAL_SUCCEEDED && !attempt->stopping &&
        attempt->pattern != NULL) {
        attempt->end.lost = true;
        attempt->end.state = ASSAY_TRIAL_FAILED;
        attempt->end.reason = ASSAY_TRIAL_REASON_RUNNER_LOST;
        free(attempt->end.sentence);
        attempt->end.sentence =
            assay_strdup("MetricsUnavailable: the pod's log can not be read to its end");
    }
    message = assay__kube_reading_message(attempt);
    end = (struct assay_attempt_end){
        .lost = attempt->end.lost,
        .state = attempt->end.state,
        .reason = attempt->end.reason,
        .exit_code = attempt->end.exit_code,
        .signal = attempt->end.signal,
        .message = message,
    };
    attempt->ending = false;
    attempt->done = true;
    attempt->delete_at_us =
        assay_monotonic_us() + (attempt->stopping || !attempt->started ? 0 : KEEP_US);
    assay__kube_reading_drop(attempt);
    json_decref(attempt->manifest);
    attempt->manifest = NULL;
    assay__kube_secret_drop(attempt);
    executor->events.ended(executor->events.arg, &attempt->key, &end);
}

void
assay__kube_tell_started(struct assay_kube_attempt *attempt)
{
    struct assay_kube_executor *executor = attempt->executor;
    json_t *gpus;

    if (attempt->started)
        return;
    attempt->started = true;
    gpus = json_array();
    for (int64_t i = 0; i < attempt->gpus; i++)
        json_array_append_new(gpus, json_sprintf("%s/%" PRId64, attempt->name, i));
    executor->events.started(executor->events.arg, &attempt->key, 0, gpus);
    json_decref(gpus);
}

void
assay__kube_set_waits(struct assay_kube_attempt *attempt, const char *sentence, bool stuck)
{
    int64_t now_us = assay_monotonic_us();

    if (!stuck)
        attempt->stuck_since_us = 0;
    else if (attempt->stuck_since_us == 0)
        attempt->stuck_since_us = now_us;
    if (sentence == NULL || (attempt->waits != NULL && strcmp(attempt->waits, sentence) == 0))
        return;
    if (attempt->waits == NULL)
        attempt->waits_since_us = now_us;
    free(attempt->waits);
    attempt->waits = assay_strdup(sentence);
    attempt->waits_told = false;
}

/* --- deletion --- */

static char *
pod_path(const struct assay_kube_attempt *attempt)
{
    return assay_format("/api/v1/namespaces/%s/pods/%s", attempt->space->name, attempt->name);
}

static void
on_deleted(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_attempt *attempt = arg;
    int64_t now_us = assay_monotonic_us();

    attempt->delete_call = NULL;
    if (answer->code == 404) {
        assay__kube_pod_gone(attempt);
    } else if (answer->code >= 200 && answer->code < 300) {
        /* The watch tells when it is gone. */
        attempt->delete_at_us = now_us + (attempt->done ? 0 : attempt->grace_us) + FORCE_US;
        attempt->grace_us = 0;
    } else {
        attempt->delete_at_us = now_us + DELETE_AGAIN_US;
    }
}

void
assay__kube_send_delete(struct assay_kube_attempt *attempt)
{
    assay_auto_free char *path = pod_path(attempt);
    int64_t grace_us = attempt->grace_us;

    if (attempt->delete_call != NULL)
        return;
    if (attempt->reports && grace_us > 0)
        grace_us += ASSAY_KUBE_RUNNER_GRACE_MORE_US;
    attempt->delete_at_us = 0;
    attempt->delete_call = assay_kube_send(
        attempt->executor->client,
        &(struct assay_kube_request){
            .method = "DELETE",
            .path = path,
            .body = json_pack(
                "{s:s, s:s, s:I}", "apiVersion", "v1", "kind", "DeleteOptions",
                "gracePeriodSeconds",
                (json_int_t)((grace_us + ASSAY_SECOND_US - 1) / ASSAY_SECOND_US)),
            .timeout_us = ASSAY__KUBE_REQUEST_US,
            .done = on_deleted,
            .arg = attempt,
        });
}

/* --- creation --- */

static void
collision(struct assay_kube_attempt *attempt)
{
    assay__kube_end_soon(
        attempt, true, ASSAY_TRIAL_REASON_RUNNER_LOST,
        assay_format("a pod named %s is there already and is not of this service", attempt->name));
    attempt->gone = true; /* it is not ours to delete */
}

static bool
is_ours(const struct assay_kube_attempt *attempt, const json_t *pod)
{
    const json_t *labels = json_object_get(json_object_get(pod, "metadata"), "labels");
    const char *owner = json_string_value(json_object_get(labels, ASSAY_KUBE_LABEL_DAEMON));

    return owner != NULL && strcmp(owner, attempt->executor->owner) == 0;
}

/* No pod of an adopted attempt: it was never created, or it has vanished since. */
void
assay__kube_pod_missing(struct assay_kube_attempt *attempt)
{
    attempt->adopted = false;
    if (attempt->was_started || attempt->stopping) {
        assay__kube_pod_gone(attempt);
    } else {
        attempt->create_at_us = assay_monotonic_us();
        assay__kube_tick_soon(attempt->executor);
    }
}

/* A GET of the name: after a 409, and for what is adopted late. */
static void
on_got(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_attempt *attempt = arg;

    attempt->call = NULL;
    if (attempt->seen || attempt->gone || attempt->done)
        return;
    if (answer->code == 200 && is_ours(attempt, answer->json)) {
        assay__kube_pod_seen(attempt, answer->json);
        if (attempt->stopping)
            assay__kube_send_delete(attempt);
    } else if (answer->code == 200) {
        collision(attempt);
    } else if (answer->code == 404) {
        assay__kube_pod_missing(attempt);
    } else {
        attempt->create_at_us = assay_monotonic_us() + CREATE_AGAIN_US;
    }
}

void
assay__kube_send_get(struct assay_kube_attempt *attempt)
{
    assay_auto_free char *path = pod_path(attempt);

    attempt->call =
        assay_kube_send(attempt->executor->client, &(struct assay_kube_request){
                                                       .path = path,
                                                       .timeout_us = ASSAY__KUBE_REQUEST_US,
                                                       .done = on_got,
                                                       .arg = attempt,
                                                   });
}

static void
on_created(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_attempt *attempt = arg;
    bool quota = answer->code == 403 && strstr(answer->message, "exceeded quota") != NULL;
    assay_auto_free char *text = NULL;

    attempt->call = NULL;
    if (attempt->seen || attempt->gone || attempt->done || attempt->ending)
        return; /* the watch was faster */
    if (answer->code == 200 || answer->code == 201) {
        assay__kube_pod_seen(attempt, answer->json);
        if (attempt->stopping)
            assay__kube_send_delete(attempt);
    } else if (answer->code == 409) {
        assay__kube_send_get(attempt);
    } else {
        text = assay_kube_answer_text(answer);
        if (attempt->stopping) {
            assay__kube_send_delete(attempt); /* it finds out whether the pod is there */
        } else if (answer->code == 0 || answer->code == 429 || answer->code >= 500 || quota) {
            assay__kube_set_waits(attempt, text, false);
            attempt->create_at_us = assay_monotonic_us() + CREATE_AGAIN_US;
        } else {
            assay__kube_end_soon(attempt, false, ASSAY_TRIAL_REASON_START_FAILED,
                                 assay_strdup(text));
            attempt->gone = true;
        }
    }
}

void
assay__kube_send_create(struct assay_kube_attempt *attempt)
{
    assay_auto_free char *path = assay_format("/api/v1/namespaces/%s/pods", attempt->space->name);

    attempt->create_at_us = 0;
    attempt->asked = true;
    attempt->call =
        assay_kube_send(attempt->executor->client, &(struct assay_kube_request){
                                                       .method = "POST",
                                                       .path = path,
                                                       .body = json_incref(attempt->manifest),
                                                       .timeout_us = ASSAY__KUBE_REQUEST_US,
                                                       .done = on_created,
                                                       .arg = attempt,
                                                   });
}

/* --- the clock --- */

void
assay__kube_look_at(struct assay_kube_attempt *attempt, int64_t now_us)
{
    struct assay_executor_events *events = &attempt->executor->events;

    if (attempt->ending)
        tell_end(attempt);
    if (attempt->done && (attempt->gone || (!attempt->seen && !attempt->asked))) {
        assay__kube_attempt_free(attempt);
        return;
    }
    if (attempt->delete_at_us > 0 && attempt->delete_at_us <= now_us) {
        if (attempt->done)
            attempt->grace_us = 0;
        assay__kube_send_delete(attempt);
    }
    if (attempt->done)
        return;
    assay__kube_secret_look_at(attempt, now_us);
    if (attempt->create_at_us > 0 && attempt->create_at_us <= now_us && attempt->call == NULL) {
        if (attempt->adopted)
            assay__kube_send_get(attempt);
        else if (attempt->manifest != NULL)
            assay__kube_send_create(attempt);
    }
    if (attempt->waits != NULL && !attempt->waits_told && !attempt->started &&
        now_us - attempt->waits_since_us > WAITS_US) {
        attempt->waits_told = true;
        attempt->waits_since_us = now_us;
        events->waits(events->arg, &attempt->key, attempt->waits);
    }
    if (attempt->stuck_since_us > 0 && now_us - attempt->stuck_since_us > STUCK_US)
        assay__kube_end_soon(attempt, false, ASSAY_TRIAL_REASON_START_FAILED,
                             assay_strdup(attempt->waits));
}

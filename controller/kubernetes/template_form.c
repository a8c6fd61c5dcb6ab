/* The template form: an attempt's object of any kind, and the pod of it that is read.
 *
 * The object's conditions say how the attempt ends, the primary pod's status why, its log
 * what was measured.  The two are watched apart, so that the object's end may be heard of
 * first: then its pods are looked up, and the log is read to its end before anything is
 * told.  An object may make a pod anew (a Job does, and what a queue preempts is): when
 * the primary one has failed or vanished, the next is read in its place, from its
 * beginning. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"
#include "controller/kubernetes/internal.h"

/* An object without a pod: what its controller says about it is asked after so long. */
#define EVENTS_FIRST_US (3 * ASSAY_SECOND_US)
#define EVENTS_AGAIN_US (15 * ASSAY_SECOND_US)

/* --- before there is an object --- */

static void
open_spaces(struct assay_kube_attempt *attempt)
{
    struct assay_kube_executor *executor = attempt->executor;
    const char *pod_label = attempt->template->pod_label;

    attempt->pods = assay__kube_space_pods(executor, attempt->namespace_);
    attempt->space =
        assay__kube_space_objects(executor, attempt->namespace_, attempt->resource);
    if (pod_label != NULL)
        attempt->labelled = assay__kube_space_labelled(executor, attempt->namespace_, pod_label);
}

static void
refuse(struct assay_kube_attempt *attempt, const char *sentence)
{
    assay__kube_end_soon(attempt, false, ASSAY_TRIAL_REASON_START_FAILED, assay_strdup(sentence));
    attempt->gone = true; /* there is nothing to delete, or no way to */
}

bool
assay__kube_object_ready(struct assay_kube_attempt *attempt)
{
    if (attempt->ending)
        return false;
    if (attempt->space == NULL) {
        attempt->resource = assay__kube_resource(
            attempt->executor, attempt->template->api_version, attempt->template->kind);
        if (attempt->resource->state == ASSAY__KUBE_REFUSED)
            refuse(attempt, attempt->resource->fault);
        else if (attempt->resource->fault != NULL)
            assay__kube_set_waits(attempt, attempt->resource->fault, false);
        if (attempt->resource->state != ASSAY__KUBE_KNOWN)
            return false;
        open_spaces(attempt);
    }
    return attempt->space->synced && attempt->pods->synced &&
           (attempt->labelled == NULL || attempt->labelled->synced);
}

/* --- the end --- */

static char *
joined(const char *first, const char *second)
{
    return assay_format("%s%s%s", first != NULL ? first : "",
                        first != NULL && second != NULL ? "; " : "",
                        second != NULL ? second : "");
}

static void
conclude_failure(struct assay_kube_attempt *attempt)
{
    const struct assay_kube_pod_status *pod = &attempt->pod_end;
    struct assay_kube_pod_status *end = &attempt->end;
    bool told = pod->phase == ASSAY_KUBE_ENDED && pod->state == ASSAY_TRIAL_FAILED;

    end->state = ASSAY_TRIAL_FAILED;
    end->exit_code = -1;
    end->sentence = joined(attempt->verdict.sentence, told ? pod->sentence : NULL);
    if (attempt->verdict.timeout) {
        end->reason = ASSAY_TRIAL_REASON_TIMEOUT;
    } else if (told) {
        end->lost = pod->lost;
        end->reason = pod->reason;
        end->exit_code = pod->exit_code;
        end->signal = pod->signal;
    } else {
        end->reason = attempt->started ? ASSAY_TRIAL_REASON_EXIT_CODE
                                       : ASSAY_TRIAL_REASON_START_FAILED;
    }
}

static void
conclude_success(struct assay_kube_attempt *attempt)
{
    struct assay_kube_pod_status *end = &attempt->end;
    assay_auto_free char *labels =
        json_object_size(attempt->template->primary_labels) > 0
            ? json_dumps(attempt->template->primary_labels, JSON_SORT_KEYS)
            : NULL;

    end->state = ASSAY_TRIAL_SUCCEEDED;
    end->exit_code = 0;
    if (attempt->log == NULL && attempt->pattern != NULL)
        end->sentence = assay_format(
            "MetricsUnavailable: of the %s's pods none was there to be read%s%s%s%s%s",
            attempt->template->kind, labels != NULL ? " with the labels " : "",
            labels != NULL ? labels : "",
            attempt->template->container != NULL ? " and a container \"" : "",
            attempt->template->container != NULL ? attempt->template->container : "",
            attempt->template->container != NULL ? "\"" : "");
}

/* Everything that is to be known is known. */
static void
conclude(struct assay_kube_attempt *attempt)
{
    attempt->end.phase = ASSAY_KUBE_ENDED;
    if (attempt->verdict.phase == ASSAY_KUBE_OBJECT_SUCCEEDED &&
        !attempt->pod_end.metrics_missing) {
        assay__kube_tell_started(attempt);
        conclude_success(attempt);
    } else {
        conclude_failure(attempt);
    }
    attempt->ending = true;
    assay__kube_tick_soon(attempt->executor);
}

/* The object has ended and its pods are known: the log is what is left. */
static void
settle(struct assay_kube_attempt *attempt)
{
    attempt->pods_known = true;
    if (attempt->log != NULL && !attempt->log_over)
        assay_kube_log_finish(attempt->log); /* its end concludes */
    else
        conclude(attempt);
}

/* Perhaps that was the last thing to wait for. */
static void
log_over(struct assay_kube_attempt *attempt)
{
    if (attempt->end.phase == ASSAY_KUBE_ENDED) { /* the object is gone */
        attempt->ending = true;
        assay__kube_tick_soon(attempt->executor);
    } else if (attempt->verdict.phase >= ASSAY_KUBE_OBJECT_SUCCEEDED && attempt->pods_known) {
        conclude(attempt);
    }
}

/* --- pods looked up --- */

static void
looked_up(struct assay_kube_attempt *attempt, size_t i, const struct assay_kube_answer *answer)
{
    const json_t *pod;
    size_t k;

    attempt->lookups[i] = NULL;
    json_array_foreach (json_object_get(answer->json, "items"), k, pod)
        assay__kube_object_pod(attempt, pod);
    if (attempt->lookups[1 - i] == NULL && !attempt->ending &&
        attempt->end.phase != ASSAY_KUBE_ENDED)
        settle(attempt);
}

static void
on_own_pods(void *arg, const struct assay_kube_answer *answer)
{
    looked_up(arg, 0, answer);
}

static void
on_labelled_pods(void *arg, const struct assay_kube_answer *answer)
{
    looked_up(arg, 1, answer);
}

static struct assay_kube_call *
look_up(struct assay_kube_attempt *attempt, const char *selector,
        void (*done)(void *arg, const struct assay_kube_answer *answer))
{
    assay_auto_free char *escaped = assay__kube_escape(selector);
    assay_auto_free char *path =
        assay_format("%s?labelSelector=%s", attempt->pods->path, escaped);

    return assay_kube_send(attempt->executor->client, &(struct assay_kube_request){
                                                          .path = path,
                                                          .timeout_us = ASSAY__KUBE_REQUEST_US,
                                                          .done = done,
                                                          .arg = attempt,
                                                      });
}

/* The watch of the pods may be behind that of the object. */
static void
look_for_pods(struct assay_kube_attempt *attempt)
{
    assay_auto_free char *own = assay_format(
        ASSAY_KUBE_LABEL_DAEMON "=%s," ASSAY_KUBE_LABEL_STUDY "=%" PRId64
        "," ASSAY_KUBE_LABEL_TRIAL "=%" PRId64 "," ASSAY_KUBE_LABEL_ATTEMPT "=%" PRId64,
        attempt->executor->owner, attempt->key.study_id, attempt->key.trial_number,
        attempt->key.attempt);

    if (attempt->lookups[0] != NULL || attempt->lookups[1] != NULL)
        return;
    attempt->lookups[0] = look_up(attempt, own, on_own_pods);
    if (attempt->template->pod_label != NULL) {
        assay_auto_free char *theirs =
            assay_format("%s=%s", attempt->template->pod_label, attempt->name);

        attempt->lookups[1] = look_up(attempt, theirs, on_labelled_pods);
    }
}

/* --- why it makes no pod: a quota, a webhook, a template that is wrong --- */

static const char *
time_of(const json_t *event)
{
    const char *last = assay_json_text_at(event, "lastTimestamp");
    const char *in_series =
        assay_json_text_at(json_object_get(event, "series"), "lastObservedTime");

    if (*in_series != '\0')
        return in_series;
    return *last != '\0' ? last : assay_json_text_at(event, "eventTime");
}

static void
on_events(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_attempt *attempt = arg;
    const json_t *event, *latest = NULL;
    size_t i;

    attempt->events_call = NULL;
    if (answer->code == 403) /* it is a help, not a need */
        return;
    attempt->events_at_us = assay_monotonic_us() + EVENTS_AGAIN_US;
    json_array_foreach (json_object_get(answer->json, "items"), i, event) {
        if (strcmp(assay_json_text_at(event, "type"), "Warning") == 0 &&
            (latest == NULL || strcmp(time_of(event), time_of(latest)) >= 0))
            latest = event;
    }
    if (latest != NULL && attempt->pod == NULL) {
        assay_auto_free char *sentence = assay_format(
            "%s: %s", assay_json_text_at(latest, "reason"), assay_json_text_at(latest, "message"));

        assay__kube_set_waits(attempt, sentence, false);
    }
}

void
assay__kube_object_look_at(struct assay_kube_attempt *attempt, int64_t now_us)
{
    assay_auto_free char *selector = NULL, *escaped = NULL, *path = NULL;

    if (attempt->events_at_us == 0 || attempt->events_at_us > now_us || attempt->pod != NULL ||
        attempt->stopping || attempt->ending ||
        attempt->verdict.phase >= ASSAY_KUBE_OBJECT_SUCCEEDED)
        return;
    attempt->events_at_us = 0;
    selector = assay_format("involvedObject.uid=%s", attempt->uid);
    escaped = assay__kube_escape(selector);
    path = assay_format("/api/v1/namespaces/%s/events?limit=100&fieldSelector=%s",
                        attempt->namespace_, escaped);
    attempt->events_call =
        assay_kube_send(attempt->executor->client, &(struct assay_kube_request){
                                                       .path = path,
                                                       .timeout_us = ASSAY__KUBE_REQUEST_US,
                                                       .done = on_events,
                                                       .arg = attempt,
                                                   });
}

/* --- the object --- */

void
assay__kube_object_seen(struct assay_kube_attempt *attempt, const json_t *object)
{
    struct assay_kube_object_status status;

    if (attempt->verdict.phase >= ASSAY_KUBE_OBJECT_SUCCEEDED)
        return;
    if (attempt->uid == NULL) {
        attempt->uid = assay_strdup(assay_json_text_at(json_object_get(object, "metadata"), "uid"));
        attempt->events_at_us = assay_monotonic_us() + EVENTS_FIRST_US;
    }
    assay_kube_template_read(attempt->template, object, &status);
    if (status.phase < ASSAY_KUBE_OBJECT_SUCCEEDED && !status.deleting && !attempt->started)
        assay__kube_secret_wanted(attempt, attempt->template->api_version, attempt->template->kind,
                                  object);
    if (status.phase == ASSAY_KUBE_OBJECT_WAITS)
        assay__kube_set_waits(attempt, status.sentence, false);
    if (status.phase < ASSAY_KUBE_OBJECT_SUCCEEDED) {
        assay_kube_object_status_done(&status);
        return;
    }
    attempt->verdict = status;
    if (attempt->pod_end.phase == ASSAY_KUBE_ENDED)
        settle(attempt);
    else
        look_for_pods(attempt);
}

/* --- its primary pod --- */

static void
set_deadline(struct assay_kube_attempt *attempt, const json_t *pod, const char *container)
{
    const json_t *states = json_object_get(json_object_get(pod, "status"), "containerStatuses");
    const json_t *state = json_object_get(assay_json_named(states, container), "state");
    const char *from = assay_json_text_at(json_object_get(state, "running"), "startedAt");
    int64_t started_us;

    if (attempt->timeout_us == 0 || attempt->deadline_us > 0)
        return;
    if (!assay_parse_time(from, &started_us))
        started_us = assay_now_us();
    attempt->deadline_us =
        assay_monotonic_us() + attempt->timeout_us - ASSAY_MAX(assay_now_us() - started_us, 0);
}

static bool
was_primary(const struct assay_kube_attempt *attempt, const char *name)
{
    return json_object_get(attempt->former, name) != NULL;
}

/* Whether this pod is the one to read; takes the place of an earlier one that is of no use
 * any more. */
static bool
is_primary(struct assay_kube_attempt *attempt, const json_t *metadata)
{
    const struct assay_kube_pod_status *end = &attempt->pod_end;
    const char *name = assay_json_text_at(metadata, "name");
    const char *made = assay_json_text_at(metadata, "creationTimestamp");

    if (attempt->pod != NULL && strcmp(attempt->pod, name) == 0)
        return true;
    if (was_primary(attempt, name))
        return false;
    if (attempt->pod != NULL) {
        if (end->phase != ASSAY_KUBE_ENDED || end->state != ASSAY_TRIAL_FAILED ||
            strcmp(made, attempt->pod_made) < 0)
            return false;
        if (attempt->former == NULL)
            attempt->former = json_object();
        json_object_set_new(attempt->former, attempt->pod, json_true());
        assay__kube_reading_restart(attempt);
        assay_kube_pod_status_done(&attempt->pod_end);
        attempt->pod_end = (struct assay_kube_pod_status){0};
        free(attempt->pod);
        free(attempt->pod_made);
    }
    attempt->pod = assay_strdup(name);
    attempt->pod_made = assay_strdup(made);
    return true;
}

static void
pod_ended(struct assay_kube_attempt *attempt, const char *container,
          struct assay_kube_pod_status *status)
{
    assay__kube_pod_blame(attempt, status);
    attempt->pod_end = *status;
    if (status->has_log) {
        assay__kube_tell_started(attempt);
        assay__kube_follow_log(attempt, attempt->pod, container, log_over);
    }
    if (attempt->log != NULL)
        assay_kube_log_finish(attempt->log);
}

void
assay__kube_object_pod(struct assay_kube_attempt *attempt, const json_t *pod)
{
    const char *container = assay_kube_template_container(attempt->template, pod);
    const json_t *metadata = json_object_get(pod, "metadata");
    struct assay_kube_pod_status status;

    if (container == NULL || attempt->done || attempt->ending ||
        attempt->end.phase == ASSAY_KUBE_ENDED || !is_primary(attempt, metadata) ||
        attempt->pod_end.phase == ASSAY_KUBE_ENDED)
        return;
    assay_kube_pod_read(pod, container, &status);
    if (status.phase == ASSAY_KUBE_ENDED) {
        pod_ended(attempt, container, &status);
        return;
    }
    if (status.phase == ASSAY_KUBE_RUNNING) {
        assay__kube_set_waits(attempt, NULL, false);
        if (status.has_log) {
            set_deadline(attempt, pod, container);
            assay__kube_secret_drop(attempt);
            assay__kube_tell_started(attempt);
            assay__kube_follow_log(attempt, attempt->pod, container, log_over);
        }
    } else {
        assay__kube_set_waits(attempt, status.sentence, status.phase == ASSAY_KUBE_STUCK);
    }
    assay_kube_pod_status_done(&status);
}

void
assay__kube_object_pod_gone(struct assay_kube_attempt *attempt)
{
    if (attempt->done || attempt->ending || attempt->pod_end.phase == ASSAY_KUBE_ENDED)
        return;
    attempt->pod_end = (struct assay_kube_pod_status){
        .phase = ASSAY_KUBE_ENDED,
        .lost = true,
        .state = ASSAY_TRIAL_FAILED,
        .reason = ASSAY_TRIAL_REASON_RUNNER_LOST,
        .exit_code = -1,
        .sentence = assay_strdup("its pod was deleted"),
    };
    if (attempt->log != NULL)
        assay_kube_log_finish(attempt->log);
}

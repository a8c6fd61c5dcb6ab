/* The life of an attempt: its object is created, found again, deleted; its end is told. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/memory.h"
#include "controller/kubernetes/internal.h"

/* After an answer that may change by itself: no quota left, no answer at all. */
#define CREATE_AGAIN_US (3 * ASSAY_SECOND_US)
#define CREATE_AGAIN_MAX_US (60 * ASSAY_SECOND_US)
/* Rights that were there: a server that has just started may not know them yet. */
#define FORBIDDEN_TRIES 4
#define DELETE_AGAIN_US (2 * ASSAY_SECOND_US)
/* How long the object of an attempt that has ended is kept; longer while its end is not
 * stored, as it is all that tells of it. */
#define KEEP_US (5 * ASSAY_SECOND_US)
#define KEEP_UNSTORED_US (600 * ASSAY_SECOND_US)
/* A pod whose image can not be had is given up after this time. */
#define STUCK_US (120 * ASSAY_SECOND_US)
/* So are credentials. */
#define REFUSED_US (120 * ASSAY_SECOND_US)
/* A reason to wait that is still there is told. */
#define WAITS_US ASSAY_SECOND_US
/* A pod that is still there so long after its grace is deleted by force. */
#define FORCE_US (30 * ASSAY_SECOND_US)

/* --- its end --- */

void
assay__kube_attempt_free(struct assay_kube_attempt *attempt)
{
    attempt->executor->over_quota -= attempt->over_quota;
    HASH_DEL(attempt->executor->attempts, attempt);
    assay__kube_reading_drop(attempt);
    assay_kube_cancel(attempt->call);
    assay_kube_cancel(attempt->delete_call);
    assay__kube_secret_drop(attempt);
    for (size_t i = 0; i < ASSAY_COUNT(attempt->lookups); i++)
        assay_kube_cancel(attempt->lookups[i]);
    assay_kube_cancel(attempt->events_call);
    assay_kube_pod_status_done(&attempt->end);
    assay_kube_pod_status_done(&attempt->pod_end);
    assay_kube_object_status_done(&attempt->verdict);
    assay_kube_template_free(attempt->template);
    json_decref(attempt->manifest);
    json_decref(attempt->former);
    free(attempt->namespace_);
    free(attempt->uid);
    free(attempt->pod);
    free(attempt->pod_made);
    free(attempt->waits);
    free(attempt->name);
    free(attempt);
}

/* An attempt takes room in its namespace's quota no longer: of those that wait for some, the
 * first is tried again without waiting for its time. */
static void
make_room(const struct assay_kube_attempt *ended)
{
    struct assay_kube_attempt *first = NULL;

    if (ended->executor->over_quota == 0)
        return;
    for (struct assay_kube_attempt *attempt = ended->executor->attempts; attempt != NULL;
         attempt = attempt->hh.next) {
        if (attempt->over_quota && attempt->call == NULL && !attempt->stopping &&
            strcmp(attempt->namespace_, ended->namespace_) == 0 &&
            (first == NULL || attempt->create_at_us < first->create_at_us))
            first = attempt;
    }
    if (first != NULL)
        first->create_at_us = assay_monotonic_us();
}

static void
set_over_quota(struct assay_kube_attempt *attempt, bool over)
{
    attempt->executor->over_quota += (size_t)over - (size_t)attempt->over_quota;
    attempt->over_quota = over;
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
    set_over_quota(attempt, false);
    if (attempt->namespace_ != NULL)
        make_room(attempt);
    executor->events.ended(executor->events.arg, &attempt->key, &end);
}

/* --- its object --- */

static const char *
kind_of(const struct assay_kube_attempt *attempt)
{
    return attempt->template != NULL ? attempt->template->kind : "pod";
}

void
assay__kube_seen(struct assay_kube_attempt *attempt, const json_t *object)
{
    attempt->seen = true;
    attempt->adopted = false;
    json_decref(attempt->manifest);
    attempt->manifest = NULL;
    attempt->create_at_us = 0;
    if (attempt->done || attempt->ending || attempt->end.phase == ASSAY_KUBE_ENDED)
        return;
    if (attempt->template != NULL)
        assay__kube_object_seen(attempt, object);
    else
        assay__kube_pod_seen(attempt, object);
}

static void
end_without_object(struct assay_kube_attempt *attempt)
{
    struct assay_kube_pod_status *end = &attempt->end;

    *end = (struct assay_kube_pod_status){
        .phase = ASSAY_KUBE_ENDED,
        .lost = !attempt->stopping,
        .state = ASSAY_TRIAL_FAILED,
        .reason = ASSAY_TRIAL_REASON_RUNNER_LOST,
        .exit_code = -1,
    };
    if (attempt->timed_out) {
        end->reason = ASSAY_TRIAL_REASON_TIMEOUT;
        end->sentence =
            assay_strdup("DeadlineExceeded: the trial ran longer than its timeout");
    } else if (attempt->stopping) {
        end->reason = ASSAY_TRIAL_REASON_SIGNAL;
        end->signal = 15;
        end->sentence = assay_format("asked to end: its %s was deleted", kind_of(attempt));
    } else {
        end->sentence = assay_format("its %s was deleted by somebody else", kind_of(attempt));
    }
}

void
assay__kube_gone(struct assay_kube_attempt *attempt)
{
    attempt->gone = true;
    attempt->adopted = false;
    if (attempt->done) {
        assay__kube_attempt_free(attempt);
        return;
    }
    if (attempt->ending || attempt->verdict.phase >= ASSAY_KUBE_OBJECT_SUCCEEDED)
        return; /* what it came to is known, and about to be told */
    if (attempt->end.phase != ASSAY_KUBE_ENDED)
        end_without_object(attempt);
    if (attempt->log != NULL && !attempt->log_over) {
        assay_kube_log_finish(attempt->log); /* what is on its way yet */
    } else {
        attempt->ending = true;
        assay__kube_tick_soon(attempt->executor);
    }
}

/* --- deletion --- */

static char *
object_path(const struct assay_kube_attempt *attempt)
{
    return assay_format("%s/%s", attempt->space->path, attempt->name);
}

static void
on_deleted(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_attempt *attempt = arg;
    int64_t now_us = assay_monotonic_us();

    attempt->delete_call = NULL;
    if (answer->code == 404) {
        assay__kube_gone(attempt);
    } else if (answer->code >= 200 && answer->code < 300) {
        /* The watch tells when it is gone. */
        attempt->delete_at_us = now_us + (attempt->done ? 0 : attempt->grace_us) + FORCE_US;
        attempt->grace_us = 0;
    } else {
        attempt->delete_at_us = now_us + DELETE_AGAIN_US;
    }
}

static json_t *
delete_options(const struct assay_kube_attempt *attempt)
{
    int64_t more_us =
        attempt->reports && attempt->grace_us > 0 ? ASSAY_KUBE_RUNNER_GRACE_MORE_US : 0;
    json_t *options =
        json_pack("{s:s, s:s, s:I}", "apiVersion", "v1", "kind", "DeleteOptions",
                  "gracePeriodSeconds",
                  (json_int_t)((attempt->grace_us + more_us + ASSAY_SECOND_US - 1) /
                               ASSAY_SECOND_US));

    /* A stop is over when nothing runs any more: what an object has made goes before it. */
    if (attempt->template != NULL)
        json_object_set_new(options, "propagationPolicy",
                            json_string(attempt->done ? "Background" : "Foreground"));
    return options;
}

void
assay__kube_send_delete(struct assay_kube_attempt *attempt)
{
    assay_auto_free char *path = object_path(attempt);

    if (attempt->delete_call != NULL)
        return;
    attempt->delete_at_us = 0;
    attempt->delete_call = assay_kube_send(
        attempt->executor->client,
        &(struct assay_kube_request){
            .method = "DELETE",
            .path = path,
            .body = delete_options(attempt),
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
        assay_format("a %s named %s is there already and is not of this service",
                     kind_of(attempt), attempt->name));
    attempt->gone = true; /* it is not ours to delete */
}

static bool
is_ours(const struct assay_kube_attempt *attempt, const json_t *pod)
{
    const json_t *labels = json_object_get(json_object_get(pod, "metadata"), "labels");
    const char *owner = json_string_value(json_object_get(labels, ASSAY_KUBE_LABEL_DAEMON));

    return owner != NULL && strcmp(owner, attempt->executor->owner) == 0;
}

void
assay__kube_missing(struct assay_kube_attempt *attempt)
{
    attempt->adopted = false;
    if (attempt->was_started || attempt->stopping) {
        assay__kube_gone(attempt);
    } else {
        attempt->create_at_us = assay_monotonic_us();
        assay__kube_tick_soon(attempt->executor);
    }
}

/* By an answer; the watch may not know of it yet. */
static void
told_to_be_there(struct assay_kube_attempt *attempt, const json_t *object)
{
    assay_kube_watch_know(attempt->space->watch, attempt->name);
    assay__kube_seen(attempt, object);
    if (attempt->stopping)
        assay__kube_send_delete(attempt);
}

static void
on_got(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_attempt *attempt = arg;

    attempt->call = NULL;
    if (attempt->seen || attempt->gone || attempt->done)
        return;
    if (answer->code == 200 && is_ours(attempt, answer->json)) {
        told_to_be_there(attempt, answer->json);
    } else if (answer->code == 200) {
        collision(attempt);
    } else if (answer->code == 404) {
        assay__kube_missing(attempt);
    } else {
        attempt->create_at_us = assay_monotonic_us() + CREATE_AGAIN_US;
    }
}

void
assay__kube_send_get(struct assay_kube_attempt *attempt)
{
    assay_auto_free char *path = object_path(attempt);

    attempt->call =
        assay_kube_send(attempt->executor->client, &(struct assay_kube_request){
                                                       .path = path,
                                                       .timeout_us = ASSAY__KUBE_REQUEST_US,
                                                       .done = on_got,
                                                       .arg = attempt,
                                                   });
}

/* Credentials that are not taken may be renewed: a token's file, for one. */
static void
refused(struct assay_kube_attempt *attempt, const struct assay_kube_answer *answer)
{
    assay_auto_free char *text = assay_kube_answer_text(answer);
    assay_auto_free char *sentence =
        assay_format("the cluster does not take the credentials of this service: %s", text);
    int64_t now_us = assay_monotonic_us();

    if (attempt->refused_since_us == 0)
        attempt->refused_since_us = now_us;
    if (attempt->stopping || now_us - attempt->refused_since_us > REFUSED_US) {
        assay__kube_end_soon(attempt, true, ASSAY_TRIAL_REASON_RUNNER_LOST,
                             assay_strdup(sentence));
        attempt->gone = true;
    } else {
        assay__kube_set_waits(attempt, sentence, false);
        attempt->create_at_us = now_us + CREATE_AGAIN_US;
    }
}

/* The longer the more often, and not all at once: they were refused together. */
static void
create_again(struct assay_kube_attempt *attempt)
{
    int64_t wait_us = ASSAY_MIN(CREATE_AGAIN_US << ASSAY_MIN(attempt->refusals, 10),
                                CREATE_AGAIN_MAX_US);

    attempt->refusals++;
    attempt->create_at_us =
        assay_monotonic_us() + wait_us / 2 +
        (int64_t)((double)(wait_us / 2) * assay_random_unit(&attempt->executor->random));
}

/* By its rights, not by what it asked for. */
static bool
is_for_a_while(const struct assay_kube_attempt *attempt, const struct assay_kube_answer *answer)
{
    return answer->code == 403 && attempt->space->synced &&
           attempt->refusals + 1 < FORBIDDEN_TRIES &&
           strstr(answer->message, "cannot create resource") != NULL;
}

static void
on_created(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_attempt *attempt = arg;
    bool quota = answer->code == 403 && strstr(answer->message, "exceeded quota") != NULL;
    assay_auto_free char *text = NULL;

    attempt->call = NULL;
    set_over_quota(attempt, quota);
    if (attempt->seen || attempt->gone || attempt->done || attempt->ending)
        return; /* the watch was faster */
    if (answer->code == 200 || answer->code == 201) {
        told_to_be_there(attempt, answer->json);
    } else if (answer->code == 409) {
        assay__kube_send_get(attempt);
    } else if (answer->code == 401) {
        refused(attempt, answer);
    } else {
        text = assay_kube_answer_text(answer);
        if (attempt->stopping) {
            assay__kube_send_delete(attempt); /* it finds out whether the pod is there */
        } else if (answer->code == 0 || answer->code == 429 || answer->code >= 500 || quota ||
                   is_for_a_while(attempt, answer)) {
            assay__kube_set_waits(attempt, text, false);
            create_again(attempt);
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
    attempt->create_at_us = 0;
    attempt->asked = true;
    attempt->call =
        assay_kube_send(attempt->executor->client, &(struct assay_kube_request){
                                                       .method = "POST",
                                                       .path = attempt->space->path,
                                                       .body = json_incref(attempt->manifest),
                                                       .timeout_us = ASSAY__KUBE_REQUEST_US,
                                                       .done = on_created,
                                                       .arg = attempt,
                                                   });
}

/* --- the clock --- */

/* What it has waited for was told, or has come. */
static void
look_at_start(struct assay_kube_attempt *attempt, int64_t now_us)
{
    if (attempt->create_at_us == 0 || attempt->create_at_us > now_us || attempt->call != NULL)
        return;
    if (attempt->template != NULL && !assay__kube_object_ready(attempt))
        return;
    if (attempt->adopted)
        assay__kube_send_get(attempt);
    else if (attempt->manifest != NULL)
        assay__kube_send_create(attempt);
}

static void
look_at_waiting(struct assay_kube_attempt *attempt, int64_t now_us)
{
    struct assay_executor_events *events = &attempt->executor->events;

    if (attempt->waits != NULL && !attempt->waits_told && !attempt->started &&
        now_us - attempt->waits_since_us > WAITS_US) {
        attempt->waits_told = true;
        attempt->waits_since_us = now_us;
        events->waits(events->arg, &attempt->key, attempt->waits);
    }
    if (attempt->stuck_since_us > 0 && now_us - attempt->stuck_since_us > STUCK_US)
        assay__kube_end_soon(attempt, false, ASSAY_TRIAL_REASON_START_FAILED,
                             assay_strdup(attempt->waits));
    if (attempt->deadline_us > 0 && now_us > attempt->deadline_us && !attempt->stopping &&
        attempt->space != NULL &&
        attempt->end.phase != ASSAY_KUBE_ENDED) {
        attempt->timed_out = attempt->stopping = true;
        assay__kube_send_delete(attempt);
    }
}

/* Whether there is nothing left to do for an attempt whose end was told. */
static bool
is_over(const struct assay_kube_attempt *attempt)
{
    bool kept = attempt->template != NULL && attempt->template->retain &&
                attempt->verdict.phase >= ASSAY_KUBE_OBJECT_SUCCEEDED;

    return attempt->gone || kept || (!attempt->seen && !attempt->asked);
}

/* Whether its end would have to be read once more, should the daemon or its database go. */
static bool
is_needed(const struct assay_kube_attempt *attempt, int64_t now_us)
{
    return attempt->done && attempt->started && !attempt->stopping && !attempt->stored &&
           now_us - attempt->delete_at_us < KEEP_UNSTORED_US;
}

void
assay__kube_look_at(struct assay_kube_attempt *attempt, int64_t now_us)
{
    if (attempt->ending)
        tell_end(attempt);
    if (attempt->done && is_over(attempt)) {
        assay__kube_attempt_free(attempt);
        return;
    }
    if (attempt->delete_at_us > 0 && attempt->delete_at_us <= now_us &&
        !is_needed(attempt, now_us)) {
        if (attempt->done)
            attempt->grace_us = 0;
        assay__kube_send_delete(attempt);
    }
    if (attempt->done)
        return;
    assay__kube_secret_look_at(attempt, now_us);
    look_at_start(attempt, now_us);
    if (attempt->template != NULL)
        assay__kube_object_look_at(attempt, now_us);
    look_at_waiting(attempt, now_us);
}

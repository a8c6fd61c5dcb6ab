/* The Kubernetes executor: attempts as pods, one each, with names that are the same after
 * a crash.
 *
 * What there is in the cluster is the truth: pods are followed by list and watch, and every
 * decision is made from a pod as it is, not from what happened to it.  A create that is
 * answered 409 has found its own pod.  A pod that carries this service's label and belongs
 * to no attempt is a leftover and is deleted.
 *
 * Metrics are read from the log, from its beginning again after a restart: their steps
 * come out the same, so nothing counts twice.  A pod is kept for a while after its end was
 * told, so that a daemon killed before the commit finds it again. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/output_log.h"
#include "common/random.h"
#include "controller/executor.h"
#include "controller/kube_client.h"
#include "controller/kube_log.h"
#include "controller/kube_pod.h"
#include "controller/kube_watch.h"
#include "schemas/decode.h"
#include "schemas/metric_book.h"
#include "schemas/metric_line.h"

#define TICK_MS 100
#define REQUEST_US (30 * ASSAY_SECOND_US)
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
#define OWNER_FILE "kubernetes-owner"
#define OWNER_LENGTH_MAX 20
#define LAST_LINES 5

struct executor;

/* One namespace. */
struct space {
    struct executor *executor;
    char *name;
    struct assay_kube_watch *watch;
    bool synced;
    UT_hash_handle hh;
};

struct attempt {
    struct executor *executor;
    struct space *space;
    struct assay_attempt_key key;
    char *name; /* of the pod */
    UT_hash_handle hh;

    json_t *manifest; /* until the pod is there */
    struct assay_kube_call *call, *delete_call;
    int64_t create_at_us, delete_at_us; /* monotonic; 0 = not now */
    bool asked;   /* a create was sent: the pod may be there */
    bool adopted; /* not known yet whether the pod is there */
    bool was_started; /* by a former daemon's word */
    bool seen, gone, started, stopping;
    bool ending;      /* the end is known and told at the next tick */
    bool done;        /* it was told; the pod is to be deleted */
    bool log_missing; /* the log could not be read to its end */
    int64_t grace_us, gpus;

    char *waits;         /* why, as last seen */
    bool waits_told;
    int64_t waits_since_us, stuck_since_us;

    struct assay_kube_log *log;
    struct assay_metric_pattern *pattern; /* NULL = metrics are pushed */
    struct assay_metric_book *book;
    struct assay_measurements measured;
    struct assay_output_log *output;
    struct assay_kube_pod_status end; /* ENDED once it is known */
};

struct executor {
    struct assay_executor_events events;
    uv_loop_t *loop;
    uv_timer_t tick;
    bool closing;
    int rounds; /* of the loop until everything is closed */
    char *data_dir, *owner, *url, *namespace_, *selector;
    int64_t log_bytes;
    struct assay_kube_config *config; /* NULL: `fault` says why */
    char *fault;
    struct assay_kube_client *client;
    struct assay_metric_line line; /* the one under way */
    struct space *spaces;
    struct attempt *attempts; /* by pod name */
};

static struct executor *
mine(struct assay_executor *handle)
{
    return (struct executor *)(void *)handle;
}

static const struct executor *
mine_const(const struct assay_executor *handle)
{
    return (const struct executor *)(const void *)handle;
}

static void on_tick(uv_timer_t *timer);

static void
tick_soon(struct executor *executor)
{
    if (!executor->closing)
        uv_timer_start(&executor->tick, on_tick, 0, TICK_MS);
}

/* --- attempts --- */

static struct attempt *
find_named(const struct executor *executor, const char *name)
{
    struct attempt *attempt;

    HASH_FIND_STR(executor->attempts, name, attempt);
    return attempt;
}

static struct attempt *
find(const struct executor *executor, const struct assay_attempt_key *key)
{
    assay_auto_free char *name = assay_kube_pod_name(executor->owner, key);

    return find_named(executor, name);
}

/* What is needed only while it runs. */
static void
drop_reading(struct attempt *attempt)
{
    attempt->log = assay_kube_log_end(attempt->log);
    attempt->pattern = assay_metric_pattern_free(attempt->pattern);
    attempt->book = assay_metric_book_free(attempt->book);
    attempt->output = assay_output_log_close(attempt->output);
    assay_measurements_done(&attempt->measured);
}

static void
free_attempt(struct attempt *attempt)
{
    HASH_DEL(attempt->executor->attempts, attempt);
    drop_reading(attempt);
    assay_kube_cancel(attempt->call);
    assay_kube_cancel(attempt->delete_call);
    assay_kube_pod_status_done(&attempt->end);
    json_decref(attempt->manifest);
    free(attempt->waits);
    free(attempt->name);
    free(attempt);
}

/* The end is known; told from the loop. */
static void
end_soon(struct attempt *attempt, bool lost, enum assay_trial_reason reason, char *sentence_taken)
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
    tick_soon(attempt->executor);
}

/* What it printed last, where that helps to understand the end. */
static char *
end_message(const struct attempt *attempt)
{
    const struct assay_kube_pod_status *end = &attempt->end;
    assay_auto_free char *lines = NULL;
    bool silent = end->state == ASSAY_TRIAL_SUCCEEDED && attempt->book != NULL &&
                  !assay_metric_book_has_objectives(attempt->book);

    if (attempt->output != NULL && (silent || end->state == ASSAY_TRIAL_FAILED))
        lines = assay_output_log_last_lines(attempt->output, LAST_LINES);
    if (lines == NULL || *lines == '\0')
        return assay_strdup(end->sentence);
    return assay_format("%s%slast lines: %s", end->sentence != NULL ? end->sentence : "",
                        end->sentence != NULL ? "; " : "", lines);
}

static void
tell_end(struct attempt *attempt)
{
    struct executor *executor = attempt->executor;
    assay_auto_free char *message = NULL;
    struct assay_attempt_end end;

    if (attempt->log_missing && attempt->end.state == ASSAY_TRIAL_SUCCEEDED &&
        !attempt->stopping && attempt->pattern != NULL) {
        attempt->end.lost = true;
        attempt->end.state = ASSAY_TRIAL_FAILED;
        attempt->end.reason = ASSAY_TRIAL_REASON_RUNNER_LOST;
        free(attempt->end.sentence);
        attempt->end.sentence =
            assay_strdup("MetricsUnavailable: the pod's log can not be read to its end");
    }
    message = end_message(attempt);
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
    drop_reading(attempt);
    json_decref(attempt->manifest);
    attempt->manifest = NULL;
    executor->events.ended(executor->events.arg, &attempt->key, &end);
}

static void
tell_started(struct attempt *attempt)
{
    struct executor *executor = attempt->executor;
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

/* --- the log --- */

static void
on_line(void *arg, int64_t time_us, const char *bytes, size_t length)
{
    struct attempt *attempt = arg;
    struct assay_metric_line *line = &attempt->executor->line;

    if (attempt->output != NULL) {
        assay_output_log_write(attempt->output, bytes, length);
        assay_output_log_write(attempt->output, "\n", 1);
    }
    if (attempt->pattern == NULL)
        return;
    assay_metric_line_read(attempt->pattern, bytes, length, line);
    for (size_t i = 0; i < line->count; i++) {
        int64_t step;
        const char *name =
            assay_metric_book_enter(attempt->book, assay_metric_line_name(line, i), line->step,
                                    line->pairs[i].value, &step);

        if (name != NULL && assay_metric_name_valid(name))
            assay_measurements_add(&attempt->measured, step,
                                   time_us != ASSAY_TIME_NONE ? time_us : assay_now_us(), name,
                                   line->pairs[i].value);
    }
}

static void
on_pause(void *arg)
{
    struct attempt *attempt = arg;
    struct assay_executor_events *events = &attempt->executor->events;
    struct assay_measurements list = attempt->measured;

    if (list.count == 0)
        return;
    attempt->measured = (struct assay_measurements){0};
    events->measured(events->arg, &attempt->key, &list);
    assay_measurements_done(&list);
}

static void
on_log_ended(void *arg, const char *fault)
{
    struct attempt *attempt = arg;

    attempt->log_missing = fault != NULL;
    attempt->ending = true;
    tick_soon(attempt->executor);
}

static void
open_output(struct attempt *attempt)
{
    struct executor *executor = attempt->executor;
    assay_auto_free char *directory = assay_attempt_directory(executor->data_dir, &attempt->key);
    assay_auto_free char *now = assay_format("%s/output.log", directory);
    assay_auto_free char *before = assay_format("%s/output.log.1", directory);
    struct assay_error err = {0};

    /* The log is read from its beginning. */
    unlink(now);
    unlink(before);
    if (assay_make_directories(directory, 0700, &err) < 0 ||
        assay_output_log_open(directory, executor->log_bytes, &attempt->output, &err) < 0)
        assay_log(ASSAY_LOG_WARNING, "the output of %s is not kept: %s", attempt->name,
                  err.message);
}

static void
follow_log(struct attempt *attempt)
{
    struct executor *executor = attempt->executor;
    assay_auto_free char *path = NULL;

    if (attempt->log != NULL)
        return;
    open_output(attempt);
    path = assay_format("/api/v1/namespaces/%s/pods/%s/log?container=" ASSAY_KUBE_CONTAINER,
                        attempt->space->name, attempt->name);
    attempt->log = assay_kube_log_new(&(struct assay_kube_log_options){
        .client = executor->client,
        .loop = executor->loop,
        .path = path,
        .line = on_line,
        .pause = on_pause,
        .ended = on_log_ended,
        .arg = attempt,
    });
}

/* --- deletion --- */

static char *
pod_path(const struct attempt *attempt)
{
    return assay_format("/api/v1/namespaces/%s/pods/%s", attempt->space->name, attempt->name);
}

static void pod_gone(struct attempt *attempt);

static void
on_deleted(void *arg, const struct assay_kube_answer *answer)
{
    struct attempt *attempt = arg;
    int64_t now_us = assay_monotonic_us();

    attempt->delete_call = NULL;
    if (answer->code == 404) {
        pod_gone(attempt);
    } else if (answer->code >= 200 && answer->code < 300) {
        /* The watch tells when it is gone. */
        attempt->delete_at_us = now_us + (attempt->done ? 0 : attempt->grace_us) + FORCE_US;
        attempt->grace_us = 0;
    } else {
        attempt->delete_at_us = now_us + DELETE_AGAIN_US;
    }
}

static void
send_delete(struct attempt *attempt)
{
    assay_auto_free char *path = pod_path(attempt);

    if (attempt->delete_call != NULL)
        return;
    attempt->delete_at_us = 0;
    attempt->delete_call = assay_kube_send(
        attempt->executor->client,
        &(struct assay_kube_request){
            .method = "DELETE",
            .path = path,
            .body = json_pack("{s:s, s:s, s:I}", "apiVersion", "v1", "kind", "DeleteOptions",
                              "gracePeriodSeconds",
                              (json_int_t)((attempt->grace_us + ASSAY_SECOND_US - 1) /
                                           ASSAY_SECOND_US)),
            .timeout_us = REQUEST_US,
            .done = on_deleted,
            .arg = attempt,
        });
}

static void
on_leftover_deleted(void *arg, const struct assay_kube_answer *answer)
{
    (void)arg;
    (void)answer; /* if it failed, the next list brings it again */
}

static void
delete_leftover(struct space *space, const json_t *pod, const char *name)
{
    assay_auto_free char *path = assay_format("/api/v1/namespaces/%s/pods/%s", space->name, name);

    if (json_object_get(json_object_get(pod, "metadata"), "deletionTimestamp") != NULL)
        return;
    assay_log(ASSAY_LOG_INFO, "pod %s/%s is left over: no attempt is its own", space->name, name);
    assay_kube_send(space->executor->client, &(struct assay_kube_request){
                                                 .method = "DELETE",
                                                 .path = path,
                                                 .timeout_us = REQUEST_US,
                                                 .done = on_leftover_deleted,
                                             });
}

/* --- pods --- */

static void
set_waits(struct attempt *attempt, const char *sentence, bool stuck)
{
    int64_t now_us = assay_monotonic_us();

    if (!stuck)
        attempt->stuck_since_us = 0;
    else if (attempt->stuck_since_us == 0)
        attempt->stuck_since_us = now_us;
    if (sentence == NULL ||
        (attempt->waits != NULL && strcmp(attempt->waits, sentence) == 0))
        return;
    if (attempt->waits == NULL)
        attempt->waits_since_us = now_us;
    free(attempt->waits);
    attempt->waits = assay_strdup(sentence);
    attempt->waits_told = false;
}

/* The pod as it is now. */
static void
pod_seen(struct attempt *attempt, const json_t *pod)
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
    if (status.phase == ASSAY_KUBE_PENDING || status.phase == ASSAY_KUBE_STUCK) {
        set_waits(attempt, status.sentence, status.phase == ASSAY_KUBE_STUCK);
    } else if (status.phase == ASSAY_KUBE_RUNNING) {
        set_waits(attempt, NULL, false);
        if (status.has_log) {
            tell_started(attempt);
            follow_log(attempt);
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
            tick_soon(attempt->executor);
        } else {
            tell_started(attempt);
            follow_log(attempt);
            assay_kube_log_finish(attempt->log);
        }
        return;
    }
    assay_kube_pod_status_done(&status);
}

/* The pod is not there any more. */
static void
pod_gone(struct attempt *attempt)
{
    attempt->gone = true;
    attempt->adopted = false;
    if (attempt->done) {
        free_attempt(attempt);
        return;
    }
    if (attempt->ending)
        return;
    if (attempt->end.phase != ASSAY_KUBE_ENDED) {
        attempt->end.phase = ASSAY_KUBE_ENDED;
        attempt->end.lost = !attempt->stopping;
        attempt->end.state = ASSAY_TRIAL_FAILED;
        attempt->end.exit_code = -1;
        attempt->end.reason = attempt->stopping ? ASSAY_TRIAL_REASON_SIGNAL
                                                : ASSAY_TRIAL_REASON_RUNNER_LOST;
        attempt->end.signal = attempt->stopping ? 15 : 0;
        attempt->end.sentence =
            assay_strdup(attempt->stopping ? "asked to end: its pod was deleted"
                                           : "its pod was deleted by somebody else");
    }
    if (attempt->log != NULL) {
        assay_kube_log_finish(attempt->log); /* what is on its way yet */
    } else {
        attempt->ending = true;
        tick_soon(attempt->executor);
    }
}

/* --- creation --- */

static void
collision(struct attempt *attempt)
{
    end_soon(attempt, true, ASSAY_TRIAL_REASON_RUNNER_LOST,
             assay_format("a pod named %s is there already and is not of this service",
                          attempt->name));
    attempt->gone = true; /* it is not ours to delete */
}

static bool
is_ours(const struct attempt *attempt, const json_t *pod)
{
    const json_t *labels = json_object_get(json_object_get(pod, "metadata"), "labels");
    const char *owner = json_string_value(json_object_get(labels, ASSAY_KUBE_LABEL_DAEMON));

    return owner != NULL && strcmp(owner, attempt->executor->owner) == 0;
}

/* No pod of an adopted attempt: it was never created, or it has vanished since. */
static void
pod_missing(struct attempt *attempt)
{
    attempt->adopted = false;
    if (attempt->was_started || attempt->stopping) {
        pod_gone(attempt);
    } else {
        attempt->create_at_us = assay_monotonic_us();
        tick_soon(attempt->executor);
    }
}

/* A GET of the name: after a 409, and for what is adopted late. */
static void
on_got(void *arg, const struct assay_kube_answer *answer)
{
    struct attempt *attempt = arg;

    attempt->call = NULL;
    if (attempt->seen || attempt->gone || attempt->done)
        return;
    if (answer->code == 200 && is_ours(attempt, answer->json)) {
        pod_seen(attempt, answer->json);
        if (attempt->stopping)
            send_delete(attempt);
    } else if (answer->code == 200) {
        collision(attempt);
    } else if (answer->code == 404) {
        pod_missing(attempt);
    } else {
        attempt->create_at_us = assay_monotonic_us() + CREATE_AGAIN_US;
    }
}

static void
send_get(struct attempt *attempt)
{
    assay_auto_free char *path = pod_path(attempt);

    attempt->call = assay_kube_send(attempt->executor->client, &(struct assay_kube_request){
                                                                   .path = path,
                                                                   .timeout_us = REQUEST_US,
                                                                   .done = on_got,
                                                                   .arg = attempt,
                                                               });
}

static void
on_created(void *arg, const struct assay_kube_answer *answer)
{
    struct attempt *attempt = arg;
    bool quota = answer->code == 403 && strstr(answer->message, "exceeded quota") != NULL;
    assay_auto_free char *text = NULL;

    attempt->call = NULL;
    if (attempt->seen || attempt->gone || attempt->done || attempt->ending)
        return; /* the watch was faster */
    if (answer->code == 200 || answer->code == 201) {
        pod_seen(attempt, answer->json);
        if (attempt->stopping)
            send_delete(attempt);
    } else if (answer->code == 409) {
        send_get(attempt);
    } else {
        text = assay_kube_answer_text(answer);
        if (attempt->stopping) {
            send_delete(attempt); /* it finds out whether the pod is there */
        } else if (answer->code == 0 || answer->code == 429 || answer->code >= 500 || quota) {
            set_waits(attempt, text, false);
            attempt->create_at_us = assay_monotonic_us() + CREATE_AGAIN_US;
        } else {
            end_soon(attempt, false, ASSAY_TRIAL_REASON_START_FAILED, assay_strdup(text));
            attempt->gone = true;
        }
    }
}

static void
send_create(struct attempt *attempt)
{
    assay_auto_free char *path =
        assay_format("/api/v1/namespaces/%s/pods", attempt->space->name);

    attempt->create_at_us = 0;
    attempt->asked = true;
    attempt->call = assay_kube_send(attempt->executor->client,
                                    &(struct assay_kube_request){
                                        .method = "POST",
                                        .path = path,
                                        .body = json_incref(attempt->manifest),
                                        .timeout_us = REQUEST_US,
                                        .done = on_created,
                                        .arg = attempt,
                                    });
}

/* --- namespaces --- */

static void
on_put(void *arg, const json_t *pod)
{
    struct space *space = arg;
    const char *name = json_string_value(json_object_get(json_object_get(pod, "metadata"), "name"));
    struct attempt *attempt = find_named(space->executor, name);

    if (attempt == NULL)
        delete_leftover(space, pod, name);
    else if (attempt->space == space)
        pod_seen(attempt, pod);
}

static void
on_gone(void *arg, const char *name)
{
    struct space *space = arg;
    struct attempt *attempt = find_named(space->executor, name);

    if (attempt != NULL && attempt->space == space)
        pod_gone(attempt);
}

static void
on_synced(void *arg)
{
    struct space *space = arg;
    struct attempt *attempt, *next;

    space->synced = true;
    HASH_ITER(hh, space->executor->attempts, attempt, next)
    {
        if (attempt->space == space && attempt->adopted && attempt->call == NULL)
            pod_missing(attempt);
    }
}

static void
on_watch_failed(void *arg, const char *sentence)
{
    struct space *space = arg;
    struct attempt *attempt, *next;

    assay_log(ASSAY_LOG_WARNING, "pods of namespace %s can not be listed: %s", space->name,
              sentence);
    HASH_ITER(hh, space->executor->attempts, attempt, next)
    {
        if (attempt->space == space && !attempt->started)
            set_waits(attempt, sentence, false);
    }
}

static struct space *
space_for(struct executor *executor, const char *name)
{
    assay_auto_free char *path = assay_format("/api/v1/namespaces/%s/pods", name);
    struct space *space;

    HASH_FIND_STR(executor->spaces, name, space);
    if (space != NULL)
        return space;
    space = ASSAY_NEW(struct space);
    space->executor = executor;
    space->name = assay_strdup(name);
    HASH_ADD_KEYPTR(hh, executor->spaces, space->name, strlen(space->name), space);
    space->watch = assay_kube_watch_new(&(struct assay_kube_watch_options){
        .client = executor->client,
        .loop = executor->loop,
        .path = path,
        .selector = executor->selector,
        .events = {.put = on_put,
                   .gone = on_gone,
                   .synced = on_synced,
                   .failed = on_watch_failed,
                   .arg = space},
    });
    return space;
}

/* --- the clock --- */

static void
look_at(struct attempt *attempt, int64_t now_us)
{
    struct assay_executor_events *events = &attempt->executor->events;

    if (attempt->ending)
        tell_end(attempt);
    if (attempt->done && (attempt->gone || (!attempt->seen && !attempt->asked))) {
        free_attempt(attempt);
        return;
    }
    if (attempt->delete_at_us > 0 && attempt->delete_at_us <= now_us) {
        if (attempt->done)
            attempt->grace_us = 0;
        send_delete(attempt);
    }
    if (attempt->done)
        return;
    if (attempt->create_at_us > 0 && attempt->create_at_us <= now_us && attempt->call == NULL) {
        if (attempt->adopted)
            send_get(attempt);
        else if (attempt->manifest != NULL)
            send_create(attempt);
    }
    if (attempt->waits != NULL && !attempt->waits_told && !attempt->started &&
        now_us - attempt->waits_since_us > WAITS_US) {
        attempt->waits_told = true;
        attempt->waits_since_us = now_us;
        events->waits(events->arg, &attempt->key, attempt->waits);
    }
    if (attempt->stuck_since_us > 0 && now_us - attempt->stuck_since_us > STUCK_US)
        end_soon(attempt, false, ASSAY_TRIAL_REASON_START_FAILED, assay_strdup(attempt->waits));
}

static void
on_tick(uv_timer_t *timer)
{
    struct executor *executor = timer->data;
    int64_t now_us = assay_monotonic_us();
    struct attempt *attempt, *next;

    HASH_ITER(hh, executor->attempts, attempt, next)
        look_at(attempt, now_us);
    if (executor->attempts == NULL)
        uv_timer_stop(&executor->tick);
}

/* --- what the engine calls --- */

/* Who we are in the cluster: given, or drawn once. */
static assay_status
read_owner(struct executor *executor, const char *given, struct assay_error *err)
{
    assay_auto_free char *path = assay_format("%s/" OWNER_FILE, executor->data_dir);
    struct assay_random random;
    assay_status rc;

    if (given != NULL) {
        if (!assay_kubernetes_name_valid(given) || strlen(given) > OWNER_LENGTH_MAX)
            return assay_fail(err, ASSAY_E_INVALID_VALUE,
                              "kube-owner must be at most 20 small letters, digits and '-'");
        executor->owner = assay_strdup(given);
        return ASSAY_OK;
    }
    rc = assay_file_read_line(path, &executor->owner, err);
    if (rc == ASSAY_OK || rc != ASSAY_E_NOT_FOUND)
        return rc;
    assay_random_init(&random, assay_random_seed(), 0, 0);
    executor->owner = assay_format("%08" PRIx32, assay_random_u32(&random));
    return assay_file_replace(path, executor->owner, strlen(executor->owner), 0600, err);
}

static void
free_executor(struct executor *executor)
{
    assay_kube_client_free(executor->client);
    assay_kube_config_free(executor->config);
    assay_metric_line_done(&executor->line);
    free(executor->data_dir);
    free(executor->owner);
    free(executor->url);
    free(executor->namespace_);
    free(executor->selector);
    free(executor->fault);
    free(executor);
}

/* The client is freed after what it closed is closed: some turns of the loop later. */
static void
on_tick_closed(uv_handle_t *handle)
{
    struct executor *executor = handle->data;

    if (++executor->rounds < 3) {
        uv_timer_init(executor->loop, &executor->tick);
        executor->tick.data = executor;
        uv_close((uv_handle_t *)&executor->tick, on_tick_closed);
        return;
    }
    free_executor(executor);
}

static void
kubernetes_close(struct assay_executor *handle)
{
    struct executor *executor = mine(handle);
    struct attempt *attempt, *next;
    struct space *space, *next_space;

    executor->closing = true;
    HASH_ITER(hh, executor->attempts, attempt, next)
        free_attempt(attempt);
    HASH_ITER(hh, executor->spaces, space, next_space)
    {
        HASH_DEL(executor->spaces, space);
        assay_kube_watch_end(space->watch);
        free(space->name);
        free(space);
    }
    if (executor->client != NULL)
        assay_kube_client_close(executor->client);
    uv_close((uv_handle_t *)&executor->tick, on_tick_closed);
}

static assay_status
open_cluster(struct executor *executor, const struct assay_kubernetes_options *options)
{
    struct assay_error err = {0};
    assay_status rc = assay_kube_config_read(options->kubeconfig, options->context,
                                             &executor->config, &err);

    if (rc == ASSAY_OK)
        rc = assay_kube_client_new(&(struct assay_kube_client_options){
                                       .loop = executor->loop,
                                       .config = executor->config,
                                       .qps = (double)options->qps,
                                       .burst = (double)options->burst,
                                   },
                                   &executor->client, &err);
    if (rc < 0) {
        executor->fault = assay_strdup(err.message);
        executor->config = assay_kube_config_free(executor->config);
        return rc;
    }
    executor->namespace_ = assay_strdup(
        options->namespace_ != NULL ? options->namespace_ : executor->config->namespace_);
    return ASSAY_OK;
}

static assay_status
kubernetes_open(const struct assay_executor_options *options, struct assay_executor **ret_executor,
                struct assay_error *err)
{
    struct executor *executor = ASSAY_NEW(struct executor);
    assay_status rc;

    executor->events = options->events;
    executor->loop = options->loop;
    executor->data_dir = assay_strdup(options->data_dir);
    executor->log_bytes = options->trial_log_bytes;
    executor->url = assay_strdup(options->kubernetes.url);
    rc = read_owner(executor, options->kubernetes.owner, err);
    if (rc < 0) {
        free_executor(executor);
        return rc;
    }
    executor->selector = assay_format("assay.dev%%2Fdaemon%%3D%s", executor->owner);
    uv_timer_init(executor->loop, &executor->tick);
    executor->tick.data = executor;
    /* Asked for by name: what a former daemon left there is looked for at once. */
    if (open_cluster(executor, &options->kubernetes) == ASSAY_OK &&
        options->kubernetes.kubeconfig != NULL)
        space_for(executor, executor->namespace_);
    *ret_executor = (struct assay_executor *)(void *)executor;
    return ASSAY_OK;
}

static void
refuse(const char *pointer, const char *member, struct assay_faults *faults, const char *allowed,
       const char *sentence)
{
    assay_auto_free char *at = assay_pointer_key(pointer, member);

    assay_fault_add(faults, at, NULL, allowed, "%s", sentence);
}

static void
kubernetes_check(const struct assay_executor *handle, const struct assay_trial_spec *trial,
                 const char *pointer, struct assay_faults *faults)
{
    const struct executor *executor = mine_const(handle);

    /* Valid, and refused when it is submitted to be run (api/studies_create.c). */
    if (trial->n_command == 0)
        return;
    if (executor->config == NULL) {
        assay_auto_free char *sentence =
            assay_format("this service has no cluster to run trials on: %s", executor->fault);

        refuse(pointer, "kubernetes", faults, NULL, sentence);
    }
    if (json_object_get(trial->kubernetes, "template") != NULL)
        refuse(pointer, "kubernetes", faults, "image",
               "this version runs pods made from an image, and no templates");
    if (trial->git_url != NULL)
        refuse(pointer, "code", faults, NULL, "on Kubernetes the code comes with the image");
    if (trial->metrics_from != ASSAY_METRICS_STDOUT && trial->metrics_from != ASSAY_METRICS_PUSH)
        refuse(pointer, "metrics", faults, "stdout or push",
               "on Kubernetes metrics are read from the output, or pushed");
    if (trial->metrics_from == ASSAY_METRICS_PUSH && executor->url == NULL)
        refuse(pointer, "metrics", faults, NULL,
               "metrics can be pushed only when assayd has the option --kube-url");
}

static bool
kubernetes_fits(const struct assay_executor *handle, const struct assay_trial_spec *trial,
                const struct assay_promised *promised)
{
    (void)trial;
    (void)promised;
    return mine_const(handle)->config != NULL; /* the cluster's scheduler has the queue */
}

static assay_status
prepare_reading(struct attempt *attempt, const struct assay_study_spec *spec,
                struct assay_error *err)
{
    size_t n = spec->n_objectives + spec->n_constraints;
    assay_auto_free const char **names = assay_zalloc(n + 1, sizeof *names);

    if (spec->trial->metrics_from != ASSAY_METRICS_STDOUT)
        return ASSAY_OK;
    for (size_t i = 0; i < n; i++)
        names[i] = i < spec->n_objectives ? spec->objectives[i].metric
                                          : spec->constraints[i - spec->n_objectives].metric;
    attempt->book = assay_metric_book_new(names, n, spec->n_objectives);
    return assay_metric_pattern_new(names, n, spec->trial->metrics_filter, &attempt->pattern, err);
}

static struct attempt *
prepare(struct executor *executor, const struct assay_launch *launch)
{
    struct assay_kube_pod_options options = {.owner = executor->owner, .url = executor->url};
    struct attempt *attempt = ASSAY_NEW(struct attempt);
    struct assay_error err = {0};
    const char *namespace_ = NULL;
    assay_status rc;

    attempt->executor = executor;
    attempt->key = launch->key;
    attempt->name = assay_kube_pod_name(executor->owner, &launch->key);
    attempt->gpus = launch->spec->trial->gpus;
    attempt->grace_us = launch->spec->trial->grace_us;
    HASH_ADD_KEYPTR(hh, executor->attempts, attempt->name, strlen(attempt->name), attempt);
    if (executor->config == NULL) {
        end_soon(attempt, true, ASSAY_TRIAL_REASON_RUNNER_LOST, assay_strdup(executor->fault));
        return attempt;
    }
    namespace_ =
        json_string_value(json_object_get(launch->spec->trial->kubernetes, "namespace"));
    attempt->space =
        space_for(executor, namespace_ != NULL ? namespace_ : executor->namespace_);
    rc = assay_kube_pod_build(launch, &options, &attempt->manifest, &err);
    if (rc == ASSAY_OK)
        rc = prepare_reading(attempt, launch->spec, &err);
    if (rc < 0)
        end_soon(attempt, false, ASSAY_TRIAL_REASON_START_FAILED, assay_strdup(err.message));
    return attempt;
}

static void
kubernetes_start(struct assay_executor *handle, const struct assay_launch *launch)
{
    struct attempt *attempt = prepare(mine(handle), launch);

    if (!attempt->ending)
        send_create(attempt);
    tick_soon(mine(handle));
}

static void
kubernetes_adopt(struct assay_executor *handle, const struct assay_launch *launch,
                 const json_t *gpus)
{
    struct executor *executor = mine(handle);
    struct attempt *attempt = find(executor, &launch->key);

    (void)gpus; /* the cluster's own to count */
    if (attempt != NULL) /* the engine loaded its study afresh */
        free_attempt(attempt);
    attempt = prepare(executor, launch);
    attempt->was_started = launch->started;
    tick_soon(executor);
    if (attempt->ending)
        return;
    attempt->adopted = true;
    attempt->asked = true;
    if (attempt->space->synced)
        send_get(attempt);
}

static void
kubernetes_stop(struct assay_executor *handle, const struct assay_attempt_key *key,
                int64_t grace_us)
{
    struct attempt *attempt = find(mine(handle), key);

    if (attempt == NULL || attempt->done || attempt->ending || attempt->stopping)
        return;
    attempt->stopping = true;
    attempt->grace_us = grace_us;
    if (!attempt->asked) {
        end_soon(attempt, false, ASSAY_TRIAL_REASON_SIGNAL,
                 assay_strdup("asked to end before it was started"));
        return;
    }
    if (attempt->call == NULL || attempt->seen)
        send_delete(attempt); /* else when it is known whether the pod is there */
}

static void
kubernetes_release(struct assay_executor *handle, const struct assay_attempt_key *key)
{
    (void)handle;
    (void)key; /* the cluster counts */
}

static void
kubernetes_forget(struct assay_executor *handle, int64_t study_id)
{
    (void)handle;
    (void)study_id; /* the local executor removes the folder; pods are leftovers by now */
}

const struct assay_executor_type assay_executor_kubernetes = {
    .name = "kubernetes",
    .goes_on = true,
    .open = kubernetes_open,
    .check = kubernetes_check,
    .fits = kubernetes_fits,
    .start = kubernetes_start,
    .adopt = kubernetes_adopt,
    .stop = kubernetes_stop,
    .release = kubernetes_release,
    .forget = kubernetes_forget,
    .close = kubernetes_close,
};

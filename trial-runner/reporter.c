#include "trial-runner/reporter.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "client/http.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"
#include "trial-runner/daemon_link.h"

#define BATCH_MAX 2000
#define REQUEST_US (10 * ASSAY_SECOND_US)
#define WAIT_US_FIRST 20000
/* Measurements wait so long for others, and for the command's end: what comes with
 * the last breath travels with the result, in one request and one commit. */
#define COMPANY_US 2000
#define WAIT_US_MAX ASSAY_SECOND_US
/* In a pod: a daemon has thousands of them, and connections for fewer.  A stop comes with
 * the pod's deletion, too, so that it need not be asked for so often. */
#define POD_HEARTBEAT_US (15 * ASSAY_SECOND_US)
#define POD_REST_US (2 * ASSAY_SECOND_US)
#define STACK_BYTES ((size_t)512 * 1024)

struct assay_reporter {
    const struct assay_job *job;
    int wake_fd;
    pthread_t thread;
    char *base; /* "/v1/projects/…/trials/3" */

    /* Of the thread alone. */
    struct assay_daemon_link *link;
    struct assay_report batch[BATCH_MAX];
    struct assay_buffer body;
    size_t batch_limit; /* halved while batches are refused, then BATCH_MAX again */
    int64_t wait_us;    /* before the next try; 0 = none failed */
    int64_t last_heard_us;
    bool complained; /* about a daemon that is away */
    bool resting;    /* the connection was given up for want of anything to say */

    pthread_mutex_t mutex;
    pthread_cond_t changed; /* something to send, or `closing` */
    struct assay_report_queue *queue;
    int64_t pending_us; /* since when the oldest measurement waits; 0 = none does */
    json_t *result; /* NULL until the command has ended */
    bool alone; /* the result goes by itself: with measurements it was refused */
    bool closing, delivered, stop;
    char *stop_reason, *stop_message;
};

static void
wake_main(struct assay_reporter *reporter)
{
    uint64_t one = 1;
    ssize_t n = write(reporter->wake_fd, &one, sizeof one);

    ASSAY_ASSERT(n == sizeof one || errno == EAGAIN);
}

/* --- bodies ------------------------------------------------------------------------------ */

static void
add_json_text(struct assay_buffer *body, const char *text)
{
    assay_buffer_puts(body, "\"");
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            assay_buffer_puts(body, "\\");
        assay_buffer_add(body, p, 1);
    }
    assay_buffer_puts(body, "\"");
}

static void
add_json_real(struct assay_buffer *body, double value)
{
    char text[ASSAY_DOUBLE_TEXT];

    assay_print_double(value, text);
    assay_buffer_printf(body, isfinite(value) ? "%s" : "\"%s\"", text);
}

/* Whether report i can join the object that begins with report `from`: the same
 * moment and step, and a name that is not there yet. */
static bool
joins(const struct assay_report *reports, size_t from, size_t i)
{
    if (reports[i].step != reports[from].step || reports[i].time_us != reports[from].time_us)
        return false;
    for (size_t j = from; j < i; j++) {
        if (reports[j].name == reports[i].name)
            return false;
    }
    return i - from < 64;
}

/* Appends "measurements":[{"step":3,"time":"…","metrics":{"loss":0.4}}]} */
static void
add_measurements(const struct assay_report *reports, size_t count, struct assay_buffer *body)
{
    char time[ASSAY_TIME_TEXT];

    assay_buffer_puts(body, "\"measurements\":[");
    for (size_t from = 0, to; from < count; from = to) {
        assay_print_time(reports[from].time_us, time);
        assay_buffer_printf(body, "%s{\"step\":%" PRId64 ",\"time\":\"%s\",\"metrics\":{",
                            from > 0 ? "," : "", reports[from].step, time);
        for (to = from; to < count && (to == from || joins(reports, from, to)); to++) {
            assay_buffer_puts(body, to > from ? "," : "");
            add_json_text(body, reports[to].name);
            assay_buffer_puts(body, ":");
            add_json_real(body, reports[to].value);
        }
        assay_buffer_puts(body, "}}");
    }
    assay_buffer_puts(body, "]}");
}

/* --- talking ----------------------------------------------------------------------------- */

/* What an answer means for us. */
enum verdict {
    VERDICT_DONE,      /* 2xx */
    VERDICT_AGAIN,     /* nothing heard, or trouble that passes */
    VERDICT_MALFORMED, /* this body will never be taken */
    VERDICT_OVER,      /* the trial has ended, or is no longer ours */
};

static enum verdict
judge(int code, const json_t *answer)
{
    /* Only a daemon's own words end a trial: not a stranger's 404 at its old port. */
    bool is_problem = json_is_string(json_object_get(answer, "code"));

    if (code >= 200 && code < 300)
        return json_is_object(answer) ? VERDICT_DONE : VERDICT_AGAIN;
    if (!is_problem)
        return VERDICT_AGAIN;
    switch (code) {
    case 400:
    case 413:
    case 422:
        return VERDICT_MALFORMED;
    case 404:
    case 409:
    case 410:
        return VERDICT_OVER;
    default:
        return VERDICT_AGAIN;
    }
}

static enum verdict
send_request(struct assay_reporter *reporter, const char *action, const struct assay_buffer *body,
             json_t **ret_answer)
{
    assay_auto_free char *path = assay_format("%s/%s", reporter->base, action);
    struct assay_error err = {0};
    enum verdict verdict = VERDICT_AGAIN;
    int code = 0;
    assay_status rc;

    *ret_answer = NULL;
    reporter->resting = false;
    rc = assay_daemon_link_send(reporter->link, path, body, REQUEST_US, &code, ret_answer, &err);
    if (rc == ASSAY_OK) {
        verdict = judge(code, *ret_answer);
        reporter->last_heard_us = assay_monotonic_us();
    }
    if (verdict == VERDICT_AGAIN) {
        if (!reporter->complained)
            assay_log(ASSAY_LOG_WARNING, "the daemon does not take reports: %s (HTTP %d); retrying",
                      rc < 0 ? err.message : "it answered with an error", code);
        reporter->complained = true;
        reporter->wait_us =
            reporter->wait_us == 0 ? WAIT_US_FIRST : ASSAY_MIN(reporter->wait_us * 2, WAIT_US_MAX);
    } else {
        if (reporter->complained)
            assay_log(ASSAY_LOG_INFO, "the daemon takes reports again");
        reporter->complained = false;
        reporter->wait_us = 0;
        if (verdict != VERDICT_DONE)
            assay_log(ASSAY_LOG_WARNING, "%s: the daemon answered HTTP %d: %s", action, code,
                      json_string_value(json_object_get(*ret_answer, "detail")));
    }
    return verdict;
}

/* Called with the lock held. */
static void
set_stop(struct assay_reporter *reporter, const char *reason, const char *message)
{
    if (reporter->stop)
        return;
    reporter->stop_reason = assay_strdup(reason);
    reporter->stop_message = assay_strdup(message);
    reporter->stop = true;
    wake_main(reporter);
}

/* Sends the oldest measurements (or none: "still here").  Called with the lock
 * held, which is let go during the request. */
static void
send_measurements(struct assay_reporter *reporter)
{
    size_t count = assay_report_queue_peek(reporter->queue, reporter->batch_limit, reporter->batch);
    enum verdict verdict;
    json_t *answer;

    pthread_mutex_unlock(&reporter->mutex);
    assay_buffer_clear(&reporter->body);
    assay_buffer_puts(&reporter->body, "{");
    add_measurements(reporter->batch, count, &reporter->body);
    verdict = send_request(reporter, "measurements", &reporter->body, &answer);
    pthread_mutex_lock(&reporter->mutex);
    switch (verdict) {
    case VERDICT_DONE:
        assay_report_queue_pop(reporter->queue, count);
        reporter->batch_limit = BATCH_MAX;
        if (json_is_true(json_object_get(answer, "stop")))
            set_stop(reporter, json_string_value(json_object_get(answer, "reason")),
                     json_string_value(json_object_get(answer, "message")));
        break;
    case VERDICT_MALFORMED:
        /* Find the one that is refused, and do without it. */
        if (count > 1)
            reporter->batch_limit = count / 2;
        else
            assay_report_queue_pop(reporter->queue, count);
        break;
    case VERDICT_OVER:
        assay_report_queue_pop(reporter->queue, count);
        set_stop(reporter, NULL, json_string_value(json_object_get(answer, "detail")));
        break;
    case VERDICT_AGAIN:
        break;
    }
    json_decref(answer);
}

/* Whether the daemon has values of every objective.  Without the lock. */
static enum verdict
ask_for_objectives(struct assay_reporter *reporter, bool *ret_known)
{
    const struct assay_job *job = reporter->job;
    enum verdict verdict = VERDICT_DONE;
    bool known = true;

    for (size_t i = 0; known && verdict == VERDICT_DONE && i < job->n_objectives; i++) {
        assay_auto_free char *name = assay_http_escape(job->metrics[i]);
        assay_auto_free char *action = assay_format("measurements?metric=%s&page_size=1", name);
        json_t *answer;

        verdict = send_request(reporter, action, NULL, &answer);
        known =
            verdict == VERDICT_DONE && json_array_size(json_object_get(answer, "measurements")) > 0;
        json_decref(answer);
    }
    *ret_known = known;
    return verdict;
}

static bool
lacks_objective(const json_t *result)
{
    const char *reason = json_string_value(json_object_get(result, "reason"));

    return reason != NULL && strcmp(reason, "no_objective") == 0;
}

static void
make_success(json_t *result)
{
    json_object_set_new(result, "state", json_string("succeeded"));
    json_object_del(result, "reason");
    json_object_del(result, "message");
}

/* The result, and all that is left to report with it when it fits (the daemon has
 * yet to be asked what it knows of a result without an objective).  The lock as in
 * send_measurements. */
static void
send_result(struct assay_reporter *reporter, size_t n_left)
{
    json_t *result = json_deep_copy(reporter->result), *answer = NULL;
    enum verdict verdict = VERDICT_DONE;
    bool known = false;

    pthread_mutex_unlock(&reporter->mutex);
    if (lacks_objective(result))
        verdict = ask_for_objectives(reporter, &known);
    if (known)
        make_success(result);
    if (verdict != VERDICT_AGAIN) {
        assay_buffer_clear(&reporter->body);
        assay_json_print(result, 0, &reporter->body);
        if (n_left > 0) {
            reporter->body.data[reporter->body.length - 1] = ','; /* for the final "}" */
            add_measurements(reporter->batch, n_left, &reporter->body);
        }
        verdict = send_request(reporter, "complete", &reporter->body, &answer);
        json_decref(answer);
    }
    json_decref(result);
    pthread_mutex_lock(&reporter->mutex);
    if (verdict == VERDICT_MALFORMED && n_left > 0) {
        reporter->alone = true;
    } else if (verdict != VERDICT_AGAIN) {
        assay_report_queue_pop(reporter->queue, n_left);
        reporter->delivered = true;
        wake_main(reporter);
    }
}

/* Sends what is next; false when there is nothing to send before `*ret_until_us`. */
static bool
send_next(struct assay_reporter *reporter, int64_t *ret_until_us)
{
    int64_t now_us = assay_monotonic_us();
    bool waiting = !assay_report_queue_is_empty(reporter->queue);
    size_t n_left = 0;

    *ret_until_us = reporter->last_heard_us +
                    (reporter->job->pod ? POD_HEARTBEAT_US : ASSAY_REPORTER_HEARTBEAT_US);
    if (reporter->result != NULL) {
        if (waiting && !reporter->alone && !lacks_objective(reporter->result))
            n_left =
                assay_report_queue_peek(reporter->queue, reporter->batch_limit, reporter->batch);
        if (!waiting || (n_left > 0 && assay_report_queue_is_only(reporter->queue, n_left)))
            send_result(reporter, n_left);
        else
            send_measurements(reporter);
        return true;
    }
    if (waiting && now_us < reporter->pending_us + COMPANY_US) {
        *ret_until_us = reporter->pending_us + COMPANY_US;
        return false;
    }
    if (!waiting && now_us < *ret_until_us)
        return false;
    reporter->pending_us = 0;
    send_measurements(reporter);
    return true;
}

/* Waits until there is something to do or `until_us` has come; with the lock. */
static void
wait_until(struct assay_reporter *reporter, int64_t until_us)
{
    struct timespec until = {.tv_sec = (time_t)(until_us / ASSAY_SECOND_US),
                             .tv_nsec = (long)(until_us % ASSAY_SECOND_US) * 1000};

    pthread_cond_timedwait(&reporter->changed, &reporter->mutex, &until);
}

/* There is nothing to say before `until_us`; as wait_until. */
static void
rest_until(struct assay_reporter *reporter, int64_t until_us)
{
    int64_t rest_at_us = reporter->last_heard_us + POD_REST_US;

    if (!reporter->job->pod || reporter->resting || until_us <= rest_at_us) {
        wait_until(reporter, until_us);
    } else if (assay_monotonic_us() < rest_at_us) {
        wait_until(reporter, rest_at_us);
    } else {
        pthread_mutex_unlock(&reporter->mutex);
        assay_daemon_link_rest(reporter->link);
        pthread_mutex_lock(&reporter->mutex);
        reporter->resting = true;
    }
}

static void *
talk(void *arg)
{
    struct assay_reporter *reporter = arg;

    pthread_mutex_lock(&reporter->mutex);
    while (!reporter->closing && !reporter->delivered) {
        int64_t next_us;

        if (!send_next(reporter, &next_us))
            rest_until(reporter, next_us);
        for (int64_t until_us = assay_monotonic_us() + reporter->wait_us;
             reporter->wait_us > 0 && !reporter->closing && assay_monotonic_us() < until_us;)
            wait_until(reporter, until_us);
    }
    pthread_mutex_unlock(&reporter->mutex);
    return NULL;
}

/* --- for the main thread ------------------------------------------------------------------ */

static void
start_thread(struct assay_reporter *reporter)
{
    pthread_condattr_t monotonic;
    pthread_attr_t small;
    int error;

    pthread_mutex_init(&reporter->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&reporter->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    error = pthread_create(&reporter->thread, &small, talk, reporter);
    pthread_attr_destroy(&small);
    ASSAY_ASSERT(error == 0);
}

struct assay_reporter *
assay_reporter_new(const struct assay_job *job, int wake_fd)
{
    struct assay_reporter *reporter = ASSAY_NEW(struct assay_reporter);
    assay_auto_free char *ca_file =
        job->ca != NULL ? assay_job_file(job, ASSAY_JOB_CA_FILE) : NULL;
    assay_auto_free char *spool = assay_job_file(job, "unsent");

    reporter->job = job;
    reporter->wake_fd = wake_fd;
    reporter->base = assay_format("/v1/projects/%s/studies/%s/trials/%" PRId64, job->project,
                                  job->study, job->trial);
    reporter->link = assay_daemon_link_new(
        &(struct assay_daemon_address){
            .url_file = job->pod ? NULL : job->url_file, .url = job->url, .ca_file = ca_file},
        job->token);
    reporter->queue = assay_report_queue_new(spool);
    reporter->batch_limit = BATCH_MAX;
    reporter->last_heard_us = assay_monotonic_us();
    start_thread(reporter);
    return reporter;
}

struct assay_reporter *
assay_reporter_free(struct assay_reporter *reporter)
{
    if (reporter == NULL)
        return NULL;
    pthread_mutex_lock(&reporter->mutex);
    reporter->closing = true;
    pthread_cond_signal(&reporter->changed);
    pthread_mutex_unlock(&reporter->mutex);
    pthread_join(reporter->thread, NULL);
    pthread_cond_destroy(&reporter->changed);
    pthread_mutex_destroy(&reporter->mutex);
    if (assay_report_queue_lost(reporter->queue) > 0)
        assay_log(ASSAY_LOG_WARNING, "%" PRId64 " measurements were lost for want of space",
                  assay_report_queue_lost(reporter->queue));
    assay_report_queue_free(reporter->queue);
    assay_daemon_link_free(reporter->link);
    assay_buffer_done(&reporter->body);
    json_decref(reporter->result);
    free(reporter->stop_reason);
    free(reporter->stop_message);
    free(reporter->base);
    free(reporter);
    return NULL;
}

void
assay_reporter_push(struct assay_reporter *reporter, const struct assay_report *reports,
                    size_t count)
{
    pthread_mutex_lock(&reporter->mutex);
    for (size_t i = 0; i < count; i++)
        assay_report_queue_push(reporter->queue, &reports[i]);
    if (reporter->pending_us == 0)
        reporter->pending_us = assay_monotonic_us();
    pthread_cond_signal(&reporter->changed);
    pthread_mutex_unlock(&reporter->mutex);
}

void
assay_reporter_save(struct assay_reporter *reporter)
{
    pthread_mutex_lock(&reporter->mutex);
    assay_report_queue_save(reporter->queue);
    pthread_mutex_unlock(&reporter->mutex);
}

void
assay_reporter_finish(struct assay_reporter *reporter, json_t *result)
{
    pthread_mutex_lock(&reporter->mutex);
    ASSAY_ASSERT(reporter->result == NULL);
    reporter->result = result;
    pthread_cond_signal(&reporter->changed);
    pthread_mutex_unlock(&reporter->mutex);
}

bool
assay_reporter_get_stop(struct assay_reporter *reporter, const char **ret_reason,
                        const char **ret_message)
{
    bool stop;

    pthread_mutex_lock(&reporter->mutex);
    stop = reporter->stop;
    *ret_reason = reporter->stop_reason;
    *ret_message = reporter->stop_message;
    pthread_mutex_unlock(&reporter->mutex);
    return stop;
}

bool
assay_reporter_get_idle(struct assay_reporter *reporter)
{
    bool idle;

    pthread_mutex_lock(&reporter->mutex);
    idle = assay_report_queue_is_empty(reporter->queue);
    pthread_mutex_unlock(&reporter->mutex);
    return idle;
}

bool
assay_reporter_get_delivered(struct assay_reporter *reporter)
{
    bool delivered;

    pthread_mutex_lock(&reporter->mutex);
    delivered = reporter->delivered;
    pthread_mutex_unlock(&reporter->mutex);
    return delivered;
}

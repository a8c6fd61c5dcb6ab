#include "controller/kube_api/log.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/random.h"

#define BEGIN_US (30 * ASSAY_SECOND_US)
#define AGAIN_FIRST_US (100 * INT64_C(1000))
#define AGAIN_MAX_US (5 * ASSAY_SECOND_US)
/* Longer ones are told in pieces. */
#define LINE_BYTES_MAX ((size_t)256 << 10)
/* After the container's end its stream ends by itself; a connection that is dead does not. */
#define LINGER_US (3 * ASSAY_SECOND_US)
/* How long the rest of a log is tried for. */
#define FINISH_US (60 * ASSAY_SECOND_US)
/* Both streams are stamped apart, so that a line may come late by about so much. */
#define SLACK_US ASSAY_SECOND_US

/* A line that a resumed stream would bring again. */
struct seen {
    int64_t time_us;
    uint64_t hash;
    uint64_t reading; /* the last one that brought it */
};

struct assay_kube_log {
    struct assay_kube_log_options options;
    char *path;
    uv_timer_t timer;
    struct assay_random random;
    struct assay_kube_call *call;
    struct assay_buffer text; /* of the line under way */
    struct seen *seen;        /* in the order they were told */
    size_t n_seen, seen_capacity;
    size_t cursor;            /* where the next line that comes again is likely to be */
    size_t known;             /* of `seen`, those of earlier readings */
    size_t to_come;           /* of those, the ones this reading has not brought again */
    uint64_t reading;
    int64_t newest_us;        /* ASSAY_TIME_NONE = nothing told */
    int64_t give_up_us;       /* monotonic; once finishing */
    int failures;
    bool finishing, last_reading;
};

static void start(struct assay_kube_log *log);

/* --- lines --- */

static uint64_t
hash_of(const char *bytes, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Whether an earlier reading told this line; each counts once in a reading. */
static bool
was_told(struct assay_kube_log *log, uint64_t hash)
{
    for (size_t k = 0; k < log->known && log->to_come > 0; k++) {
        size_t i = (log->cursor + k) % log->known;

        if (log->seen[i].hash == hash && log->seen[i].reading != log->reading) {
            log->seen[i].reading = log->reading;
            log->cursor = i + 1;
            log->to_come--;
            return true;
        }
    }
    return false;
}

/* Where a reading that begins now would start: the API resumes by whole seconds. */
static int64_t
resume_us(const struct assay_kube_log *log)
{
    return (log->newest_us - SLACK_US) / ASSAY_SECOND_US * ASSAY_SECOND_US;
}

/* Forgets what no resumed stream can bring: the start moves on with the newest line. */
static void
forget_old(struct assay_kube_log *log)
{
    int64_t from_us = resume_us(log);
    size_t n = 0, known = 0, to_come = 0;

    for (size_t i = 0; i < log->n_seen; i++) {
        if (log->seen[i].time_us < from_us)
            continue;
        known += i < log->known;
        to_come += i < log->known && log->seen[i].reading != log->reading;
        log->seen[n++] = log->seen[i];
    }
    log->n_seen = n;
    log->known = known;
    log->to_come = to_come;
    log->cursor = 0;
}

static void
take_line(struct assay_kube_log *log, const char *bytes, size_t length)
{
    const char *blank = memchr(bytes, ' ', ASSAY_MIN(length, (size_t)64));
    uint64_t hash = hash_of(bytes, length);
    int64_t time_us = log->newest_us;

    if (blank != NULL) {
        assay_auto_free char *stamp = assay_strndup(bytes, (size_t)(blank - bytes));

        if (assay_parse_time(stamp, &time_us)) {
            length -= (size_t)(blank - bytes) + 1;
            bytes = blank + 1;
        }
    }
    if (was_told(log, hash))
        return;
    ASSAY_GROW(log->seen, log->n_seen, log->seen_capacity);
    log->seen[log->n_seen++] = (struct seen){time_us, hash, log->reading};
    if (log->newest_us == ASSAY_TIME_NONE || time_us > log->newest_us) {
        bool later = log->newest_us == ASSAY_TIME_NONE ||
                     time_us / ASSAY_SECOND_US > log->newest_us / ASSAY_SECOND_US;

        log->newest_us = time_us;
        if (later)
            forget_old(log);
    }
    log->options.line(log->options.arg, time_us, bytes, length);
}

static void
on_data(void *arg, const char *bytes, size_t length)
{
    struct assay_kube_log *log = arg;
    const char *from, *end;
    size_t used = 0;

    log->failures = 0;
    assay_buffer_add(&log->text, bytes, length);
    from = log->text.data;
    while ((end = memchr(from + used, '\n', log->text.length - used)) != NULL) {
        /* The same pieces in every reading, whatever came together. */
        for (; end - (from + used) > (ptrdiff_t)LINE_BYTES_MAX; used += LINE_BYTES_MAX)
            take_line(log, from + used, LINE_BYTES_MAX);
        take_line(log, from + used, (size_t)(end - (from + used)));
        used = (size_t)(end - from) + 1;
    }
    for (; log->text.length - used > LINE_BYTES_MAX; used += LINE_BYTES_MAX)
        take_line(log, from + used, LINE_BYTES_MAX);
    assay_buffer_consume(&log->text, used);
    log->options.pause(log->options.arg);
}

/* --- readings --- */

static void
on_timer(uv_timer_t *timer)
{
    struct assay_kube_log *log = timer->data;

    if (log->call != NULL) { /* lingers */
        assay_kube_cancel(log->call);
        log->call = NULL;
    }
    start(log);
}

static void
again(struct assay_kube_log *log, bool failed)
{
    double wait_us = (double)ASSAY_MIN(AGAIN_FIRST_US << ASSAY_MIN(log->failures, 16),
                                       AGAIN_MAX_US) *
                     (0.5 + 0.5 * assay_random_unit(&log->random));

    if (failed)
        log->failures++;
    uv_timer_start(&log->timer, on_timer, (uint64_t)(wait_us / 1000.0), 0);
}

static void
on_reading_ended(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_log *log = arg;
    bool whole = answer->code == 200 && *answer->message == '\0';

    log->call = NULL;
    if (log->last_reading && whole) {
        if (log->text.length > 0) /* the last line has no end */
            take_line(log, log->text.data, log->text.length);
        assay_buffer_clear(&log->text);
        log->options.pause(log->options.arg);
        log->options.ended(log->options.arg, NULL);
        return;
    }
    assay_buffer_clear(&log->text); /* half a line comes again as a whole one */
    if (log->finishing && (answer->code == 404 || assay_monotonic_us() > log->give_up_us)) {
        assay_auto_free char *text = assay_kube_answer_text(answer);

        log->options.ended(log->options.arg, *text != '\0' ? text : "the log was cut");
        return;
    }
    if (log->finishing && !log->last_reading)
        start(log);
    else
        again(log, true);
}

/* From the newest line's second on, and a little before. */
static void
start(struct assay_kube_log *log)
{
    assay_auto_free char *path = NULL;
    char since[ASSAY_TIME_TEXT] = "";

    if (log->newest_us != ASSAY_TIME_NONE) {
        assay_print_time(resume_us(log), since);
        since[strlen("2026-01-02T03:04:05")] = 'Z'; /* no fraction */
        since[strlen("2026-01-02T03:04:05Z")] = '\0';
    }
    path = assay_format("%s&timestamps=true%s%s%s", log->path,
                        log->finishing ? "" : "&follow=true",
                        *since != '\0' ? "&sinceTime=" : "", since);
    uv_timer_stop(&log->timer);
    log->reading++;
    if (log->newest_us != ASSAY_TIME_NONE)
        forget_old(log);
    log->known = log->to_come = log->n_seen;
    log->cursor = 0;
    log->last_reading = log->finishing;
    log->call = assay_kube_send(log->options.client, &(struct assay_kube_request){
                                                         .path = path,
                                                         .timeout_us = BEGIN_US,
                                                         .background = true,
                                                         .data = on_data,
                                                         .done = on_reading_ended,
                                                         .arg = log,
                                                     });
}

/* --- life --- */

struct assay_kube_log *
assay_kube_log_new(const struct assay_kube_log_options *options)
{
    struct assay_kube_log *log = ASSAY_NEW(struct assay_kube_log);

    log->options = *options;
    log->path = assay_strdup(options->path);
    log->newest_us = ASSAY_TIME_NONE;
    assay_random_init(&log->random, assay_random_seed(), 0, 0);
    uv_timer_init(options->loop, &log->timer);
    log->timer.data = log;
    start(log);
    return log;
}

void
assay_kube_log_finish(struct assay_kube_log *log)
{
    if (log->finishing)
        return;
    log->finishing = true;
    log->failures = 0;
    log->give_up_us = assay_monotonic_us() + FINISH_US;
    uv_timer_start(&log->timer, on_timer, log->call != NULL ? LINGER_US / 1000 : 0, 0);
}

static void
timer_closed(uv_handle_t *handle)
{
    struct assay_kube_log *log = handle->data;

    assay_buffer_done(&log->text);
    free(log->seen);
    free(log->path);
    free(log);
}

struct assay_kube_log *
assay_kube_log_end(struct assay_kube_log *log)
{
    if (log == NULL)
        return NULL;
    assay_kube_cancel(log->call);
    log->call = NULL;
    uv_close((uv_handle_t *)&log->timer, timer_closed);
    return NULL;
}

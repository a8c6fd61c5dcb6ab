/* Metrics from a Prometheus endpoint of the command, asked every few seconds by a
 * thread of its own; what came is read in the runner's loop.
 *
 * Only known names are taken (an endpoint has dozens of others): written with
 * their labels, name{a="b"}, or without, which takes any.  A value is reported
 * when it or the step (a gauge step, epoch or global_step) has changed. */
#include <math.h>
#include <pthread.h>

#include "common/clock.h"
#include "common/memory.h"
#include "common/number.h"
#include "trial-runner/far_http.h"
#include "trial-runner/line_feed.h"
#include "schemas/metric_line.h"
#include "trial-runner/metric_source_internal.h"
#include "trial-runner/plain_http.h"

#define SCRAPE_US (2 * ASSAY_SECOND_US)
#define TIMEOUT_US (2 * ASSAY_SECOND_US)
#define NAMES_MAX 1024

struct sample {
    size_t known; /* index of the name */
    double value;
};

struct endpoint {
    char *root, *path; /* of the URL */
    struct assay_metric_sink sink;
    const struct assay_metric_pattern *known;

    /* Of the loop: what this scrape holds, and what was reported last. */
    struct sample samples[NAMES_MAX];
    size_t n_samples;
    double last[NAMES_MAX];
    bool has_last[NAMES_MAX];
    int64_t step, last_step;
    int step_rank;

    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t closed;
    bool closing;
    struct assay_buffer text; /* of a scrape nobody has read yet */
};

static bool
scrape(const struct endpoint *endpoint, struct assay_plain_http *plain, struct assay_far_http *far,
       struct assay_buffer *text)
{
    assay_status rc = ASSAY_E_UNAVAILABLE;
    int code = 0;

    if (plain != NULL)
        rc = assay_plain_http_send(plain, "GET", endpoint->path, NULL, TIMEOUT_US, &code, text,
                                   NULL);
    else if (far != NULL)
        rc = assay_far_http_send(far, endpoint->path, NULL, TIMEOUT_US, &code, text, NULL);
    return rc == ASSAY_OK && code == 200;
}

static void *
scrape_for_ever(void *arg)
{
    struct endpoint *endpoint = arg;
    struct assay_plain_http *plain = NULL;
    struct assay_far_http *far = NULL;
    struct assay_buffer text = {0};

    if (assay_plain_http_can(endpoint->root))
        plain = assay_plain_http_open(endpoint->root, NULL, NULL);
    else if (assay_far_http_open(endpoint->root, NULL, NULL, &far, NULL) < 0)
        far = NULL; /* no address: nothing is ever found */
    pthread_mutex_lock(&endpoint->mutex);
    while (!endpoint->closing) {
        int64_t until_us = assay_monotonic_us() + SCRAPE_US;
        struct timespec until = {.tv_sec = (time_t)(until_us / ASSAY_SECOND_US),
                                 .tv_nsec = (long)(until_us % ASSAY_SECOND_US) * 1000};
        bool fine;

        pthread_mutex_unlock(&endpoint->mutex);
        assay_buffer_clear(&text);
        fine = scrape(endpoint, plain, far, &text);
        pthread_mutex_lock(&endpoint->mutex);
        if (fine && text.length > 0) {
            assay_buffer_clear(&endpoint->text);
            assay_buffer_add(&endpoint->text, text.data, text.length);
        }
        while (!endpoint->closing && assay_monotonic_us() < until_us)
            pthread_cond_timedwait(&endpoint->closed, &endpoint->mutex, &until);
    }
    pthread_mutex_unlock(&endpoint->mutex);
    assay_buffer_done(&text);
    assay_plain_http_close(plain);
    assay_far_http_close(far);
    return NULL;
}

static void *
endpoint_open(const char *url, const struct assay_metric_sink *sink,
              const struct assay_metric_pattern *known)
{
    struct endpoint *endpoint = ASSAY_NEW(struct endpoint);
    const char *host = strstr(url, "://"), *path;
    pthread_condattr_t monotonic;
    int error;

    path = host != NULL ? strchr(host + 3, '/') : NULL;
    endpoint->root = assay_strndup(url, path != NULL ? (size_t)(path - url) : strlen(url));
    endpoint->path = assay_strdup(path != NULL ? path : "/metrics");
    endpoint->sink = *sink;
    endpoint->known = known;
    endpoint->last_step = -1;
    pthread_mutex_init(&endpoint->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&endpoint->closed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    error = pthread_create(&endpoint->thread, NULL, scrape_for_ever, endpoint);
    ASSAY_ASSERT(error == 0);
    return endpoint;
}

static void
endpoint_close(void *state)
{
    struct endpoint *endpoint = state;

    pthread_mutex_lock(&endpoint->mutex);
    endpoint->closing = true;
    pthread_cond_signal(&endpoint->closed);
    pthread_mutex_unlock(&endpoint->mutex);
    pthread_join(endpoint->thread, NULL);
    pthread_cond_destroy(&endpoint->closed);
    pthread_mutex_destroy(&endpoint->mutex);
    assay_buffer_done(&endpoint->text);
    free(endpoint->root);
    free(endpoint->path);
    free(endpoint);
}

/* "name{labels} value timestamp": the length of name and labels, 0 when malformed. */
static size_t
series_length(const char *line, size_t length)
{
    bool quoted = false;
    size_t i = 0;

    while (i < length && line[i] != '{' && line[i] != ' ' && line[i] != '\t')
        i++;
    if (i == length || line[i] != '{')
        return i < length ? i : 0;
    for (; i < length; i++) {
        if (quoted && line[i] == '\\')
            i++;
        else if (line[i] == '"')
            quoted = !quoted;
        else if (!quoted && line[i] == '}')
            return i + 1;
    }
    return 0;
}

static bool
read_value(const char *p, const char *end, double *ret_value)
{
    size_t n = 0;

    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (p + n < end && p[n] != ' ' && p[n] != '\t')
        n++;
    return n > 0 && assay_parse_double_n(p, n, ret_value);
}

static void
on_line(void *arg, const char *line, size_t length)
{
    static const char *const steps[] = {"step", "epoch", "global_step"};
    struct endpoint *endpoint = arg;
    size_t series = series_length(line, length), name = 0;
    ptrdiff_t known;
    double value;

    if (line[0] == '#' || series == 0 || !read_value(line + series, line + length, &value))
        return;
    while (name < series && line[name] != '{')
        name++;
    for (int i = 0; i < (int)ASSAY_COUNT(steps); i++) {
        if (strlen(steps[i]) == name && memcmp(line, steps[i], name) == 0 && value >= 0 &&
            value <= ASSAY_INT_EXACT && floor(value) == value &&
            (endpoint->step_rank < 0 || i < endpoint->step_rank)) {
            endpoint->step = (int64_t)value;
            endpoint->step_rank = i;
        }
    }
    known = assay_metric_pattern_find(endpoint->known, line, series);
    if (known < 0)
        known = assay_metric_pattern_find(endpoint->known, line, name);
    for (size_t i = 0; i < endpoint->n_samples; i++) {
        if (known == (ptrdiff_t)endpoint->samples[i].known)
            return; /* of several series the first */
    }
    if (known >= 0 && known < NAMES_MAX)
        endpoint->samples[endpoint->n_samples++] =
            (struct sample){.known = (size_t)known, .value = value};
}

static bool
is_same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void
endpoint_poll(void *state, bool last)
{
    struct endpoint *endpoint = state;
    struct assay_line_feed feed = {.on_line = on_line, .arg = endpoint};
    struct assay_buffer text;

    (void)last;
    pthread_mutex_lock(&endpoint->mutex);
    text = endpoint->text;
    endpoint->text = (struct assay_buffer){0};
    pthread_mutex_unlock(&endpoint->mutex);
    if (text.length > 0) {
        endpoint->n_samples = 0;
        endpoint->step = endpoint->step_rank = -1;
        assay_line_feed_add(&feed, text.data, text.length);
        assay_line_feed_end(&feed);
        assay_line_feed_done(&feed);
        for (size_t i = 0; i < endpoint->n_samples; i++) {
            const struct sample *sample = &endpoint->samples[i];

            if (endpoint->has_last[sample->known] && endpoint->step == endpoint->last_step &&
                is_same(endpoint->last[sample->known], sample->value))
                continue;
            endpoint->has_last[sample->known] = true;
            endpoint->last[sample->known] = sample->value;
            endpoint->sink.on_value(endpoint->sink.arg,
                                    assay_metric_pattern_name(endpoint->known, sample->known),
                                    endpoint->step, ASSAY_TIME_NONE, sample->value);
        }
        endpoint->last_step = endpoint->step;
    }
    assay_buffer_done(&text);
}

const struct assay__metric_source_type assay__metric_source_prometheus = {
    .is_path = false, .open = endpoint_open, .poll = endpoint_poll, .close = endpoint_close};

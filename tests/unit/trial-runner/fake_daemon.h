/* A daemon for tests of the runner: a small HTTP server in a thread that keeps
 * every request and answers as it is told. */
#ifndef ASSAY_TESTS_FAKE_DAEMON_H
#define ASSAY_TESTS_FAKE_DAEMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/memory.h"

#define FAKE_CONNECTIONS_MAX 32

struct fake_request {
    int64_t time_us;
    char *line; /* "POST /v1/… HTTP/1.1" */
    char *body;
};

struct fake_daemon {
    int listen_fd, port, wake[2];
    pthread_t thread;
    pthread_mutex_t mutex; /* usable also after fake_stop */
    bool has_mutex;
    struct fake_request *requests;
    size_t count, capacity;
    /* How to answer; set with the mutex held or before the start. */
    int code;                /* 0 = 200 */
    const char *problem;     /* code of the problem; NULL = an answer that is no problem */
    const char *refuse_text; /* 422 to bodies that hold it */
    const char *stop_text;   /* "stop" to bodies that hold it */
    int64_t delay_us;
    bool objective_known;
    int64_t stopped_us; /* when "stop" was answered */
};

static const char *
fake_answer(struct fake_daemon *daemon, const struct fake_request *request, int *code)
{
    *code = daemon->code != 0 ? daemon->code : 200;
    if (daemon->refuse_text != NULL && strstr(request->body, daemon->refuse_text) != NULL) {
        *code = 422;
        return "{\"code\":\"invalid_value\",\"detail\":\"refused\"}";
    }
    if (*code >= 300)
        return daemon->problem != NULL ? daemon->problem : "<html>not a problem</html>";
    if (strncmp(request->line, "GET", 3) == 0)
        return daemon->objective_known ? "{\"measurements\":[{\"step\":1}]}"
                                       : "{\"measurements\":[]}";
    if (strstr(request->line, "/complete") != NULL)
        return "{\"number\":1}";
    if (daemon->stop_text != NULL && strstr(request->body, daemon->stop_text) != NULL) {
        if (daemon->stopped_us == 0)
            daemon->stopped_us = assay_now_us();
        return "{\"stop\":true,\"reason\":\"stopped_by_rule\",\"message\":\"worse than the "
               "median\"}";
    }
    return "{\"stop\":false}";
}

/* Serves one whole request of the connection; false when it is to be closed. */
static bool
fake_serve(struct fake_daemon *daemon, int fd)
{
    struct assay_buffer in = {0}, out = {0};
    struct fake_request request = {0};
    const char *head_end = NULL, *length_text, *answer;
    size_t length = 0;
    char block[4096];
    int code;

    for (;;) {
        ssize_t n;

        if (head_end == NULL && in.length > 0 && (head_end = strstr(in.data, "\r\n\r\n")) != NULL) {
            length_text = strcasestr(in.data, "Content-Length:");
            length = length_text != NULL && length_text < head_end
                         ? (size_t)strtoul(length_text + 15, NULL, 10)
                         : 0;
        }
        if (head_end != NULL) {
            head_end = strstr(in.data, "\r\n\r\n");
            if (in.length >= (size_t)(head_end + 4 - in.data) + length)
                break;
        }
        n = recv(fd, block, sizeof block, 0);
        if (n <= 0) {
            assay_buffer_done(&in);
            return false;
        }
        assay_buffer_add(&in, block, (size_t)n);
    }
    request.time_us = assay_now_us();
    request.line = assay_strndup(in.data, strcspn(in.data, "\r\n"));
    request.body = assay_strndup(head_end + 4, length);
    pthread_mutex_lock(&daemon->mutex);
    ASSAY_GROW(daemon->requests, daemon->count, daemon->capacity);
    daemon->requests[daemon->count++] = request;
    answer = fake_answer(daemon, &request, &code);
    length = daemon->delay_us > 0 ? (size_t)daemon->delay_us : 0;
    pthread_mutex_unlock(&daemon->mutex);
    if (length > 0)
        usleep((useconds_t)length);
    assay_buffer_printf(&out,
                        "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: "
                        "%zu\r\n\r\n%s",
                        code, strlen(answer), answer);
    send(fd, out.data, out.length, MSG_NOSIGNAL);
    assay_buffer_done(&in);
    assay_buffer_done(&out);
    return true;
}

static void *
fake_run(void *arg)
{
    struct fake_daemon *daemon = arg;
    struct pollfd items[2 + FAKE_CONNECTIONS_MAX] = {{.fd = daemon->wake[0], .events = POLLIN},
                                                     {.fd = daemon->listen_fd, .events = POLLIN}};
    nfds_t n = 2;

    while (poll(items, n, -1) >= 0 || errno == EINTR) {
        if (items[0].revents != 0)
            break;
        for (nfds_t i = 2; i < n; i++) {
            if (items[i].revents != 0 && !fake_serve(daemon, items[i].fd)) {
                close(items[i].fd);
                items[i--] = items[--n];
            }
        }
        if (items[1].revents != 0 && n < 2 + FAKE_CONNECTIONS_MAX) {
            int fd = accept4(daemon->listen_fd, NULL, NULL, SOCK_CLOEXEC), one = 1;

            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            if (fd >= 0)
                items[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
    }
    for (nfds_t i = 2; i < n; i++)
        close(items[i].fd);
    return NULL;
}

static void
fake_write_url(const struct fake_daemon *daemon, const char *data_dir)
{
    assay_auto_free char *path = assay_format("%s/url", data_dir);
    FILE *file = fopen(path, "we");

    fprintf(file, "http://127.0.0.1:%d\n", daemon->port);
    fclose(file);
}

/* Starts it on a fresh port and writes DIR/url.  What was kept before stays. */
ASSAY_UNUSED static void
fake_start(struct fake_daemon *daemon, const char *data_dir)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fine;

    daemon->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fine = bind(daemon->listen_fd, (struct sockaddr *)&address, sizeof address) == 0 &&
           listen(daemon->listen_fd, 64) == 0 &&
           getsockname(daemon->listen_fd, (struct sockaddr *)&address, &size) == 0 &&
           pipe2(daemon->wake, O_CLOEXEC) == 0;
    ASSAY_ASSERT(fine);
    daemon->port = ntohs(address.sin_port);
    if (!daemon->has_mutex)
        pthread_mutex_init(&daemon->mutex, NULL);
    daemon->has_mutex = true;
    pthread_create(&daemon->thread, NULL, fake_run, daemon);
    fake_write_url(daemon, data_dir);
}

ASSAY_UNUSED static void
fake_stop(struct fake_daemon *daemon)
{
    close(daemon->wake[1]);
    pthread_join(daemon->thread, NULL);
    close(daemon->wake[0]);
    close(daemon->listen_fd);
}

ASSAY_UNUSED static void
fake_done(struct fake_daemon *daemon)
{
    for (size_t i = 0; i < daemon->count; i++) {
        free(daemon->requests[i].line);
        free(daemon->requests[i].body);
    }
    if (daemon->has_mutex)
        pthread_mutex_destroy(&daemon->mutex);
    daemon->has_mutex = false;
    free(daemon->requests);
    daemon->requests = NULL;
    daemon->count = daemon->capacity = 0;
}

/* Requests whose line holds the text. */
ASSAY_UNUSED static size_t
fake_count(struct fake_daemon *daemon, const char *text)
{
    size_t n = 0;

    pthread_mutex_lock(&daemon->mutex);
    for (size_t i = 0; i < daemon->count; i++)
        n += strstr(daemon->requests[i].line, text) != NULL;
    pthread_mutex_unlock(&daemon->mutex);
    return n;
}

/* Whether a body held the text. */
ASSAY_UNUSED static bool
fake_heard(struct fake_daemon *daemon, const char *text)
{
    bool heard = false;

    pthread_mutex_lock(&daemon->mutex);
    for (size_t i = 0; i < daemon->count && !heard; i++)
        heard = strstr(daemon->requests[i].body, text) != NULL;
    pthread_mutex_unlock(&daemon->mutex);
    return heard;
}

/* Values reported of a metric by step, the last one of a step holding:
 * {"1": 0.5}.  After fake_stop.  New reference. */
ASSAY_UNUSED static json_t *
fake_curve(const struct fake_daemon *daemon, const char *metric)
{
    json_t *curve = json_object();

    for (size_t i = 0; i < daemon->count; i++) {
        json_t *body = json_loads(daemon->requests[i].body, 0, NULL), *item, *value;
        size_t j;

        json_array_foreach(json_object_get(body, "measurements"), j, item)
        {
            char step[32];

            snprintf(step, sizeof step, "%lld",
                     (long long)json_integer_value(json_object_get(item, "step")));
            value = json_object_get(json_object_get(item, "metrics"), metric);
            if (value != NULL)
                json_object_set(curve, step, value);
        }
        json_decref(body);
    }
    return curve;
}

/* Body of the last `complete`; NULL when there was none.  New reference. */
ASSAY_UNUSED static json_t *
fake_completion(const struct fake_daemon *daemon)
{
    json_t *body = NULL;

    for (size_t i = 0; i < daemon->count; i++) {
        if (strstr(daemon->requests[i].line, "/complete ") != NULL) {
            json_decref(body);
            body = json_loads(daemon->requests[i].body, 0, NULL);
        }
    }
    return body;
}

#endif

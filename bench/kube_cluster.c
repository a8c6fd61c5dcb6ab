/* A cluster that is all in memory, for bench/kubernetes: the API of pods (create, get, list
 * with pages, watch with bookmarks, log, delete) and what happens to them: each runs after
 * --start-ms, prints "loss=…" and succeeds after --work-ms, more or less.
 *
 * Its own clock takes the times that matter: when a pod's end was sent to the watch, and when
 * a create was received.  GET /figures gives them.  One thread; plain HTTP on loopback; the
 * port is printed.  Ends when standard input does. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <uv.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/random.h"

#define BOOKMARK_MS 5000
#define MANAGED_FIELDS_BYTES 3000 /* as much as the real one adds to a pod */

struct pod {
    char *name, *name_space;
    json_t *object;
    uv_timer_t timer;
    int step;  /* 0 waits for its start, 1 runs, 2 ended */
    char *log; /* NULL until it printed */
    struct connection *log_reader;
    UT_hash_handle hh;
};

struct connection {
    uv_tcp_t tcp;
    struct assay_buffer in;
    bool watches;
    char *name_space; /* of the watch */
    struct pod *follows;
    struct connection *next, *previous; /* of the watches */
};

struct times {
    double *items;
    size_t count, capacity;
};

static struct {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_timer_t bookmark;
    uv_pipe_t input;
    struct pod *pods;
    struct connection *watches;
    json_int_t version;
    int64_t work_ms, start_ms;
    struct assay_random random;
    char *managed;
    struct times ends, creates; /* seconds */
    int64_t creates_total, conflicts, deletes, lists, watches_total, logs, reads;
    int64_t present, live, live_max, log_open, log_open_max, connections, connections_max;
} cluster;

static void
take_time(struct times *times)
{
    ASSAY_GROW(times->items, times->count, times->capacity);
    times->items[times->count++] = (double)assay_monotonic_us() / 1e6;
}

/* --- sending --- */

struct send {
    uv_write_t request;
    char *bytes;
};

static void
sent(uv_write_t *request, int status)
{
    struct send *send = request->data;

    (void)status;
    free(send->bytes);
    free(send);
}

static void
send_bytes(struct connection *connection, const char *bytes, size_t length)
{
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)length);
    struct send *send;
    int n;

    if (uv_is_closing((uv_handle_t *)&connection->tcp))
        return;
    n = uv_try_write((uv_stream_t *)&connection->tcp, &buffer, 1);
    if (n == (int)length)
        return;
    n = n > 0 ? n : 0;
    send = ASSAY_NEW(struct send);
    send->request.data = send;
    send->bytes = assay_memdup(bytes + n, length - (size_t)n);
    buffer = uv_buf_init(send->bytes, (unsigned)(length - (size_t)n));
    uv_write(&send->request, (uv_stream_t *)&connection->tcp, &buffer, 1, sent);
}

static void
answer(struct connection *connection, int code, const json_t *body)
{
    assay_auto_free char *text = json_dumps(body, JSON_COMPACT);
    struct assay_buffer out = {0};

    assay_buffer_printf(&out,
                        "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: "
                        "%zu\r\n\r\n%s",
                        code, strlen(text), text);
    send_bytes(connection, out.data, out.length);
    assay_buffer_done(&out);
}

static void
answer_status(struct connection *connection, int code, const char *reason)
{
    json_t *body = json_pack("{s:s, s:s, s:s, s:i}", "kind", "Status", "reason", reason, "message",
                             reason, "code", code);

    answer(connection, code, body);
    json_decref(body);
}

static void
begin_stream(struct connection *connection, const char *type)
{
    assay_auto_free char *head = assay_format(
        "HTTP/1.1 200 X\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", type);

    send_bytes(connection, head, strlen(head));
}

static void
send_chunk(struct connection *connection, const char *text, size_t length)
{
    struct assay_buffer out = {0};

    assay_buffer_printf(&out, "%zx\r\n", length);
    assay_buffer_add(&out, text, length);
    assay_buffer_puts(&out, "\r\n");
    send_bytes(connection, out.data, out.length);
    assay_buffer_done(&out);
}

static void
send_event(struct connection *watch, const char *type, json_t *object)
{
    json_t *event = json_pack("{s:s, s:O}", "type", type, "object", object);
    assay_auto_free char *text = json_dumps(event, JSON_COMPACT);
    struct assay_buffer line = {0};

    assay_buffer_puts(&line, text);
    assay_buffer_puts(&line, "\n");
    send_chunk(watch, line.data, line.length);
    assay_buffer_done(&line);
    json_decref(event);
}

static void
tell(const struct pod *pod, const char *type)
{
    json_t *meta = json_object_get(pod->object, "metadata");
    assay_auto_free char *version = assay_format("%" JSON_INTEGER_FORMAT, ++cluster.version);

    json_object_set_new(meta, "resourceVersion", json_string(version));
    for (struct connection *watch = cluster.watches; watch != NULL; watch = watch->next) {
        if (strcmp(watch->name_space, pod->name_space) == 0)
            send_event(watch, type, pod->object);
    }
}

static void
on_bookmark(uv_timer_t *timer)
{
    assay_auto_free char *version = assay_format("%" JSON_INTEGER_FORMAT, cluster.version);
    json_t *object =
        json_pack("{s:s, s:{s:s}}", "kind", "Pod", "metadata", "resourceVersion", version);

    (void)timer;
    for (struct connection *watch = cluster.watches; watch != NULL; watch = watch->next)
        send_event(watch, "BOOKMARK", object);
    json_decref(object);
}

/* --- pods --- */

static void
end_log(struct pod *pod)
{
    if (pod->log_reader == NULL)
        return;
    send_bytes(pod->log_reader, "0\r\n\r\n", 5);
    pod->log_reader->follows = NULL;
    pod->log_reader = NULL;
    cluster.log_open--;
}

static void
set_state(struct pod *pod, const char *phase, json_t *state)
{
    json_object_set_new(pod->object, "status",
                        json_pack("{s:s, s:s, s:[{s:s, s:s, s:b, s:o}]}", "phase", phase,
                                  "startTime", "2026-01-02T03:04:05Z", "containerStatuses", "name",
                                  "trial", "image", "x", "ready", 1, "state", state));
    tell(pod, "MODIFIED");
}

static void
on_pod_timer(uv_timer_t *timer)
{
    struct pod *pod = timer->data;

    if (pod->step++ == 0) {
        double share = 0.5 + assay_random_unit(&cluster.random);

        uv_timer_start(timer, on_pod_timer, (uint64_t)((double)cluster.work_ms * share), 0);
        set_state(pod, "Running",
                  json_pack("{s:{s:s}}", "running", "startedAt", "2026-01-02T03:04:05Z"));
        return;
    }
    {
        char stamp[ASSAY_TIME_TEXT];

        assay_print_time(assay_now_us(), stamp);
        pod->log = assay_format("%s loss=%.6f\n", stamp, assay_random_unit(&cluster.random));
        if (pod->log_reader != NULL)
            send_chunk(pod->log_reader, pod->log, strlen(pod->log));
        end_log(pod);
    }
    set_state(pod, "Succeeded",
              json_pack("{s:{s:i, s:s}}", "terminated", "exitCode", 0, "reason", "Completed"));
    cluster.live--;
    take_time(&cluster.ends);
}

static void
pod_closed(uv_handle_t *handle)
{
    struct pod *pod = handle->data;

    json_decref(pod->object);
    free(pod->name);
    free(pod->name_space);
    free(pod->log);
    free(pod);
}

static void
remove_pod(struct pod *pod)
{
    HASH_DEL(cluster.pods, pod);
    cluster.live -= pod->step < 2;
    end_log(pod);
    tell(pod, "DELETED");
    cluster.present--;
    uv_close((uv_handle_t *)&pod->timer, pod_closed);
}

static void
create(struct connection *connection, const char *name_space, const char *body)
{
    json_t *object = json_loads(body, 0, NULL), *meta = json_object_get(object, "metadata");
    const char *name = json_string_value(json_object_get(meta, "name"));
    struct pod *pod = NULL;

    if (name == NULL) {
        json_decref(object);
        answer_status(connection, 400, "BadRequest");
        return;
    }
    take_time(&cluster.creates);
    HASH_FIND_STR(cluster.pods, name, pod);
    if (pod != NULL) {
        cluster.conflicts++;
        json_decref(object);
        answer_status(connection, 409, "AlreadyExists");
        return;
    }
    cluster.creates_total++;
    pod = ASSAY_NEW(struct pod);
    pod->name = assay_strdup(name);
    pod->name_space = assay_strdup(name_space);
    pod->object = object;
    json_object_set_new(meta, "namespace", json_string(name_space));
    json_object_set_new(meta, "uid", json_string("6f1c1d5e-0000-4000-8000-000000000000"));
    json_object_set_new(meta, "creationTimestamp", json_string("2026-01-02T03:04:05Z"));
    json_object_set_new(meta, "managedFields", json_pack("[{s:s}]", "fieldsV1", cluster.managed));
    json_object_set_new(object, "status", json_pack("{s:s}", "phase", "Pending"));
    HASH_ADD_KEYPTR(hh, cluster.pods, pod->name, strlen(pod->name), pod);
    cluster.present++;
    cluster.live++;
    cluster.live_max = ASSAY_MAX(cluster.live_max, cluster.live);
    uv_timer_init(&cluster.loop, &pod->timer);
    pod->timer.data = pod;
    uv_timer_start(&pod->timer, on_pod_timer, (uint64_t)cluster.start_ms, 0);
    answer(connection, 201, object);
    tell(pod, "ADDED");
}

static void
list(struct connection *connection, const char *name_space, const char *query)
{
    const char *limit_text = strstr(query, "limit="), *from = strstr(query, "continue=");
    size_t limit = limit_text != NULL ? strtoul(limit_text + 6, NULL, 10) : 0;
    size_t skip = from != NULL ? strtoul(from + 9, NULL, 10) : 0, at = 0;
    assay_auto_free char *version = assay_format("%" JSON_INTEGER_FORMAT, cluster.version);
    json_t *items = json_array(), *meta = json_pack("{s:s}", "resourceVersion", version), *body;
    struct pod *pod, *next;

    cluster.lists++;
    HASH_ITER(hh, cluster.pods, pod, next)
    {
        if (strcmp(pod->name_space, name_space) != 0 || at++ < skip)
            continue;
        if (limit > 0 && json_array_size(items) == limit) {
            assay_auto_free char *more = assay_format("%zu", skip + limit);

            json_object_set_new(meta, "continue", json_string(more));
            break;
        }
        json_array_append(items, pod->object);
    }
    body = json_pack("{s:s, s:o, s:o}", "kind", "PodList", "metadata", meta, "items", items);
    answer(connection, 200, body);
    json_decref(body);
}

/* From now on: what came before the list's version was never asked for again here. */
static void
watch(struct connection *connection, const char *name_space)
{
    cluster.watches_total++;
    connection->watches = true;
    connection->name_space = assay_strdup(name_space);
    connection->next = cluster.watches;
    if (cluster.watches != NULL)
        cluster.watches->previous = connection;
    cluster.watches = connection;
    begin_stream(connection, "application/json");
}

static void
read_log(struct connection *connection, struct pod *pod, bool follow)
{
    cluster.logs++;
    begin_stream(connection, "text/plain");
    if (pod->log != NULL)
        send_chunk(connection, pod->log, strlen(pod->log));
    if (pod->step >= 2 || !follow) {
        send_bytes(connection, "0\r\n\r\n", 5);
        return;
    }
    pod->log_reader = connection;
    connection->follows = pod;
    cluster.log_open++;
    cluster.log_open_max = ASSAY_MAX(cluster.log_open_max, cluster.log_open);
}

static json_t *
times_json(const struct times *times)
{
    json_t *list = json_array();

    for (size_t i = 0; i < times->count; i++)
        json_array_append_new(list, json_real(times->items[i]));
    return list;
}

static void
figures(struct connection *connection)
{
    json_t *body = json_pack(
        "{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "ends",
        times_json(&cluster.ends), "creates", times_json(&cluster.creates), "created",
        (json_int_t)cluster.creates_total, "conflicts", (json_int_t)cluster.conflicts, "deletes",
        (json_int_t)cluster.deletes, "lists", (json_int_t)cluster.lists, "watches",
        (json_int_t)cluster.watches_total, "logs", (json_int_t)cluster.logs, "reads",
        (json_int_t)cluster.reads, "present", (json_int_t)cluster.present, "live_max",
        (json_int_t)cluster.live_max, "log_open_max", (json_int_t)cluster.log_open_max,
        "connections_max", (json_int_t)cluster.connections_max);

    answer(connection, 200, body);
    json_decref(body);
}

/* --- requests --- */

/* "/api/v1/namespaces/NS/pods[/NAME[/log]][?QUERY]" */
static void
route(struct connection *connection, const char *method, char *target, const char *body)
{
    static const char root[] = "/api/v1/namespaces/";
    char *query = strchr(target, '?'), *name_space, *name, *sub;
    struct pod *pod = NULL;

    if (query != NULL)
        *query++ = '\0';
    if (strcmp(target, "/figures") == 0) {
        figures(connection);
        return;
    }
    name_space = target + sizeof root - 1;
    name = strncmp(target, root, sizeof root - 1) == 0 ? strstr(name_space, "/pods") : NULL;
    if (name == NULL) {
        answer_status(connection, 404, "NotFound");
        return;
    }
    *name = '\0';
    name += strlen("/pods");
    if (*name == '\0') {
        if (strcmp(method, "POST") == 0)
            create(connection, name_space, body);
        else if (query != NULL && strstr(query, "watch=1") != NULL)
            watch(connection, name_space);
        else
            list(connection, name_space, query != NULL ? query : "");
        return;
    }
    sub = strchr(++name, '/');
    if (sub != NULL)
        *sub++ = '\0';
    HASH_FIND_STR(cluster.pods, name, pod);
    if (pod == NULL) {
        answer_status(connection, 404, "NotFound");
    } else if (strcmp(method, "DELETE") == 0) {
        cluster.deletes++;
        answer(connection, 200, pod->object);
        remove_pod(pod);
    } else if (sub != NULL) {
        read_log(connection, pod, query != NULL && strstr(query, "follow=true") != NULL);
    } else {
        cluster.reads++;
        answer(connection, 200, pod->object);
    }
}

/* Whole requests at the front of what came. */
static void
take_requests(struct connection *connection)
{
    char *end;

    while (connection->in.length > 0 && (end = strstr(connection->in.data, "\r\n\r\n")) != NULL) {
        size_t head = (size_t)(end + 4 - connection->in.data);
        const char *length_text = strcasestr(connection->in.data, "content-length:");
        size_t length =
            length_text != NULL && length_text < end ? strtoul(length_text + 15, NULL, 10) : 0;
        assay_auto_free char *line = NULL, *body = NULL;
        char *target, *rest;

        if (connection->in.length < head + length)
            return;
        line = assay_strndup(connection->in.data, strcspn(connection->in.data, "\r\n"));
        body = assay_strndup(connection->in.data + head, length);
        assay_buffer_consume(&connection->in, head + length);
        target = strchr(line, ' ');
        if (target == NULL)
            return;
        *target++ = '\0';
        rest = strchr(target, ' ');
        if (rest != NULL)
            *rest = '\0';
        route(connection, line, target, body);
    }
}

static void
connection_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;

    cluster.connections--;
    assay_buffer_done(&connection->in);
    free(connection->name_space);
    free(connection);
}

static void
close_connection(struct connection *connection)
{
    if (uv_is_closing((uv_handle_t *)&connection->tcp))
        return;
    if (connection->watches) {
        if (connection->previous != NULL)
            connection->previous->next = connection->next;
        else
            cluster.watches = connection->next;
        if (connection->next != NULL)
            connection->next->previous = connection->previous;
    }
    if (connection->follows != NULL) {
        connection->follows->log_reader = NULL;
        cluster.log_open--;
    }
    uv_close((uv_handle_t *)&connection->tcp, connection_closed);
}

static void
allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static char bytes[65536]; /* one thread; consumed at once */

    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(bytes, sizeof bytes);
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;

    if (n < 0) {
        close_connection(connection);
        return;
    }
    assay_buffer_add(&connection->in, buffer->base, (size_t)n);
    take_requests(connection);
}

static void
on_connection(uv_stream_t *listener, int status)
{
    struct connection *connection;

    if (status < 0)
        return;
    connection = ASSAY_NEW(struct connection);
    uv_tcp_init(&cluster.loop, &connection->tcp);
    connection->tcp.data = connection;
    cluster.connections++;
    cluster.connections_max = ASSAY_MAX(cluster.connections_max, cluster.connections);
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp) != 0) {
        uv_close((uv_handle_t *)&connection->tcp, connection_closed);
        return;
    }
    uv_tcp_nodelay(&connection->tcp, 1);
    uv_read_start((uv_stream_t *)&connection->tcp, allocate, on_read);
}

static void
on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    (void)stream;
    (void)buffer;
    if (n < 0)
        exit(0);
}

static int64_t
number(const char *text)
{
    return strtoll(text, NULL, 10);
}

int
main(int argc, char **argv)
{
    struct sockaddr_in address;
    struct sockaddr_storage bound;
    int size = sizeof bound;

    cluster.work_ms = 10000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--work-ms") == 0)
            cluster.work_ms = number(argv[i + 1]);
        else if (strcmp(argv[i], "--start-ms") == 0)
            cluster.start_ms = number(argv[i + 1]);
    }
    cluster.version = 1000;
    cluster.managed = assay_alloc(MANAGED_FIELDS_BYTES + 1, 1);
    memset(cluster.managed, 'f', MANAGED_FIELDS_BYTES);
    cluster.managed[MANAGED_FIELDS_BYTES] = '\0';
    assay_random_init(&cluster.random, 1, 0, 0);
    uv_loop_init(&cluster.loop);
    uv_tcp_init(&cluster.loop, &cluster.listener);
    uv_ip4_addr("127.0.0.1", 0, &address);
    if (uv_tcp_bind(&cluster.listener, (struct sockaddr *)&address, 0) != 0 ||
        uv_listen((uv_stream_t *)&cluster.listener, 1024, on_connection) != 0)
        return 1;
    uv_tcp_getsockname(&cluster.listener, (struct sockaddr *)&bound, &size);
    uv_timer_init(&cluster.loop, &cluster.bookmark);
    uv_timer_start(&cluster.bookmark, on_bookmark, BOOKMARK_MS, BOOKMARK_MS);
    uv_pipe_init(&cluster.loop, &cluster.input, 0);
    uv_pipe_open(&cluster.input, 0);
    uv_read_start((uv_stream_t *)&cluster.input, allocate, on_input);
    printf("%d\n", ntohs(((struct sockaddr_in *)(void *)&bound)->sin_port));
    fflush(stdout);
    return uv_run(&cluster.loop, UV_RUN_DEFAULT);
}

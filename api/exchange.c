/* A request as libmicrohttpd hands it over: head, body in pieces, end; and the
 * way of the answer back. */
#include <inttypes.h>

#include "api/server_internal.h"
#include "api/stream.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/number.h"

/* A body that is refused is read past to this length, so that the client sees the
 * answer rather than a closed connection. */
#define READ_PAST_BYTES ((uint64_t)64 << 20)
/* Kept of a body on a route that takes none, to see that it is blank or {}. */
#define NO_BODY_BYTES 256

static struct assay__client *
client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

static void
set_quiet_since(struct assay_request *request, int64_t time_us)
{
    struct assay__client *client = client_of(request->connection);

    if (client == NULL)
        return;
    pthread_mutex_lock(&request->server->lock);
    client->quiet_since_us = time_us;
    pthread_mutex_unlock(&request->server->lock);
}

/* --- head */

static const char *
header(const struct assay_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static void
name_request(struct assay_request *request)
{
    const char *given = header(request, "X-Request-Id");

    if (given != NULL && assay_header_request_id_valid(given))
        snprintf(request->id, sizeof(request->id), "%s", given);
    else
        snprintf(request->id, sizeof(request->id), "%016" PRIx64,
                 (uint64_t)atomic_fetch_add(&request->server->request_ids, 1));
}

static void
answer_options(struct assay_request *request)
{
    bool server_wide = request->uri.n_segments == 0 && strcmp(request->target, "*") == 0;

    request->answer.allow =
        server_wide ? assay_strdup("GET, HEAD, POST, PATCH, DELETE, OPTIONS")
                    : assay_route_allow(&request->uri);
    if (strcmp(request->answer.allow, "OPTIONS") == 0)
        assay_answer_problem(request, ASSAY_E_NOT_FOUND, "there is nothing at %s",
                             request->target);
    else
        request->answer.status = 204;
}

static void
find_route(struct assay_request *request)
{
    struct assay_error err = {0};
    assay_status status = ASSAY_OK;

    if (strcmp(request->target, "*") != 0)
        status = assay_uri_parse(request->target, &request->uri, &err);
    if (status != ASSAY_OK) {
        assay_answer_error(request, status, &err);
        return;
    }
    if (strcmp(request->method, "OPTIONS") == 0) {
        answer_options(request);
        return;
    }
    switch (assay_route_find(request->method, &request->uri, &request->route, &request->path)) {
    case ASSAY_ROUTE_FOUND:
        return;
    case ASSAY_ROUTE_NO_PATH:
        assay_answer_problem(request, ASSAY_E_NOT_FOUND, "there is nothing at %s",
                             request->target);
        return;
    case ASSAY_ROUTE_NO_METHOD:
        request->answer.allow = assay_route_allow(&request->uri);
        assay_answer_problem(request, ASSAY_E_METHOD_NOT_ALLOWED, "%s takes %s, not %.32s",
                             request->target, request->answer.allow, request->method);
        return;
    }
}

static void
check_accept(struct assay_request *request)
{
    unsigned flags = request->route->flags;
    const char *type = (flags & ASSAY_ROUTE_TEXT) != 0 ? "text/plain" : "application/json";

    if ((flags & ASSAY_ROUTE_FILE) != 0 || assay_header_accepts(request->accept, type) ||
        /* A client that takes problems only by their own type still gets its JSON. */
        assay_header_accepts(request->accept, "application/problem+json"))
        return;
    if ((flags & ASSAY_ROUTE_EVENTS) != 0 &&
        assay_header_accepts(request->accept, "text/event-stream"))
        return;
    assay_answer_problem(request, ASSAY_E_NOT_ACCEPTABLE, "the answer is %s%s", type,
                         (flags & ASSAY_ROUTE_EVENTS) != 0 ? " or text/event-stream" : "");
}

static void
read_query(struct assay_request *request)
{
    const struct assay_query_field *tables[] = {request->route->query};
    struct assay_faults faults = {0};

    assay_query_init(&request->query);
    if (!assay_query_read(&request->uri, tables, 1, &request->query, &faults))
        assay_answer_faults(request, ASSAY_E_BAD_REQUEST, &faults);
}

static uint64_t
announced_length(const struct assay_request *request)
{
    const char *text = header(request, "Content-Length");
    int64_t length;

    return text != NULL && assay_parse_int(text, 0, INT64_MAX, &length) ? (uint64_t)length : 0;
}

static void
refuse_length(struct assay_request *request)
{
    assay_answer_problem(request, ASSAY_E_TOO_LARGE, "the body may have %zu bytes at most",
                         request->server->body_bytes_max);
}

static void
check_body_head(struct assay_request *request)
{
    enum assay_media media = assay_header_media(request->content_type);
    unsigned flags = request->route->flags;

    if ((flags & ASSAY_ROUTE_BODY) == 0)
        return;
    if (media == ASSAY_MEDIA_OTHER ||
        (media == ASSAY_MEDIA_YAML && (flags & ASSAY_ROUTE_YAML) == 0))
        assay_answer_problem(request, ASSAY_E_UNSUPPORTED_MEDIA_TYPE,
                             "the body must be application/json%s in UTF-8",
                             (flags & ASSAY_ROUTE_YAML) != 0 ? " or application/yaml" : "");
    else if (announced_length(request) > request->server->body_bytes_max)
        refuse_length(request);
}

static void
check_key(struct assay_request *request)
{
    const char *key = request->idempotency_key;
    size_t length;

    if ((request->route->flags & ASSAY_ROUTE_KEY) == 0)
        request->idempotency_key = NULL;
    if (request->idempotency_key == NULL)
        return;
    length = strnlen(key, ASSAY_KEY_BYTES_MAX + 1);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)key[i] < 0x20 || (unsigned char)key[i] > 0x7e)
            length = 0;
    }
    if (length == 0 || length > ASSAY_KEY_BYTES_MAX)
        assay_answer_problem(request, ASSAY_E_BAD_REQUEST,
                             "the Idempotency-Key must be 1 to %d printable ASCII characters",
                             ASSAY_KEY_BYTES_MAX);
}

/* All that can be said before the body, once it is known who asks. */
static void
check_head(struct assay_request *request)
{
    static void (*const checks[])(struct assay_request *) = {
        check_accept, read_query, check_key, check_body_head,
    };
    const struct assay__client *client = client_of(request->connection);
    struct assay_error err = {0};

    if (client != NULL && client->of_trials && !request->principal.is_trial &&
        request->route->role != ASSAY_ROLE_NONE) {
        assay_answer_problem(request, ASSAY_E_FORBIDDEN,
                             "this port is for trials on the daemon's machine");
        return;
    }
    if (request->principal.is_trial && (request->route->flags & ASSAY_ROUTE_TRIAL_TOKEN) != 0) {
        /* Whether it is this trial is known when its study is. */
    } else if (assay_principal_check(&request->principal, request->route->role,
                                     request->path.project, &err) != ASSAY_OK) {
        assay_answer_error(request, err.status, &err);
        return;
    }
    for (size_t i = 0; i < ASSAY_COUNT(checks) && request->answer.status == 0; i++)
        checks[i](request);
}

static enum assay_step
ask_store_for_token(struct assay_request *request)
{
    const char *token = assay_header_bearer(request->authorization);
    struct assay_error err = {0};
    assay_status status;

    status = assay_auth_find(request->server->auth, token, request->store, &request->principal,
                             &err);
    request->store = NULL; /* the rest begins on an HTTP thread */
    request->phase = ASSAY_PHASE_IDENTIFIED;
    if (status == ASSAY_E_UNAUTHORIZED)
        return assay_answer_problem(request, status, "the token is not known");
    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    return ASSAY_ANSWERED;
}

enum identity { KNOWN, REFUSED, ASKED };

/* ASKED: the store is being asked, and the request is not to be touched. */
static enum identity
identify(struct assay_request *request)
{
    const char *token;

    if (request->route->role == ASSAY_ROLE_NONE)
        return KNOWN;
    if (request->authorization == NULL) {
        assay_answer_problem(request, ASSAY_E_UNAUTHORIZED,
                             "this needs a token: Authorization: Bearer TOKEN");
        return REFUSED;
    }
    token = assay_header_bearer(request->authorization);
    if (token == NULL) {
        assay_answer_problem(request, ASSAY_E_UNAUTHORIZED,
                             "the Authorization header is not of the form Bearer TOKEN");
        return REFUSED;
    }
    if (assay_auth_known(request->server->auth, token, request->service->trial_token_key,
                         &request->principal))
        return KNOWN;
    assay__suspend(request->server, request->connection);
    assay_request_continue(request, ask_store_for_token);
    return ASKED;
}

enum readiness { READY, NOT_READY, HELD };

/* HELD: it comes back when the daemon is ready, and is not to be touched. */
static enum readiness
check_ready(struct assay_request *request)
{
    struct assay_server *server = request->server;
    assay_auto_free char *cause = NULL;
    bool held;

    request->service = atomic_load(&server->service);
    if (request->service != NULL || (request->route->flags & ASSAY_ROUTE_ALWAYS) != 0)
        return READY;
    pthread_mutex_lock(&server->lock);
    held = server->holding;
    if (held) {
        request->phase = ASSAY_PHASE_HELD;
        request->held_next = server->held;
        server->held = request;
        assay__suspend(server, request->connection);
    } else {
        cause = assay_strdup(server->cause);
    }
    pthread_mutex_unlock(&server->lock);
    if (held)
        return HELD;
    assay_answer_problem(request, ASSAY_E_UNAVAILABLE, "%s", cause);
    return NOT_READY;
}

static bool
is_stopping(struct assay_request *request)
{
    if (!atomic_load(&request->server->stopping))
        return false;
    assay_answer_problem(request, ASSAY_E_UNAVAILABLE, "the daemon is stopping");
    return true;
}

/* False: the connection is suspended and comes back as HELD or IDENTIFIED. */
static bool
admit(struct assay_request *request)
{
    if (is_stopping(request))
        return true;
    switch (check_ready(request)) {
    case READY:
        break;
    case NOT_READY:
        return true;
    case HELD:
        return false;
    }
    switch (identify(request)) {
    case KNOWN:
        check_head(request);
        return true;
    case REFUSED:
        return true;
    case ASKED:
        return false;
    }
    ASSAY_BUG("an identity of no known kind");
}

/* As admit. */
static bool
read_head(struct assay_request *request)
{
    name_request(request);
    request->authorization = header(request, "Authorization");
    request->accept = header(request, "Accept");
    request->content_type = header(request, "Content-Type");
    request->if_none_match = header(request, "If-None-Match");
    request->idempotency_key = header(request, "Idempotency-Key");
    request->last_event_id = header(request, "Last-Event-ID");
    find_route(request);
    return request->answer.status != 0 || admit(request);
}

/* --- body */

static bool
takes_body(const struct assay_request *request)
{
    return request->route != NULL && (request->route->flags & ASSAY_ROUTE_BODY) != 0;
}

/* False: it is time to close the connection. */
static bool
take_piece(struct assay_request *request, const char *bytes, size_t length)
{
    size_t limit = takes_body(request) ? request->server->body_bytes_max : NO_BODY_BYTES;

    request->body_seen += length;
    if (request->answer.status != 0)
        return request->body_seen <= READ_PAST_BYTES;
    if (request->body_seen > limit) {
        if (takes_body(request))
            refuse_length(request);
        else
            assay_answer_problem(request, ASSAY_E_BAD_REQUEST, "this request takes no body");
        assay_buffer_done(&request->body);
        return true;
    }
    assay_buffer_add(&request->body, bytes, length);
    return true;
}

static void
check_no_body(struct assay_request *request)
{
    const char *rest = request->body.data;

    if (takes_body(request) || rest == NULL)
        return;
    rest += strspn(rest, " \t\r\n");
    if (*rest == '{') {
        rest++;
        rest += strspn(rest, " \t\r\n");
        rest += *rest == '}' ? 1 : 0;
        rest += strspn(rest, " \t\r\n");
    }
    if (*rest != '\0')
        assay_answer_problem(request, ASSAY_E_BAD_REQUEST, "this request takes no body");
}

/* --- answer */

static void
add(struct MHD_Response *response, const char *name, const char *value)
{
    if (value != NULL && *value != '\0' && MHD_add_response_header(response, name, value) != MHD_YES)
        assay_log(ASSAY_LOG_ERROR, "header %s can not be added", name);
}

static void
add_page_headers(struct MHD_Response *response)
{
    add(response, "Content-Security-Policy",
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    add(response, "Referrer-Policy", "no-referrer");
    add(response, "X-Frame-Options", "DENY");
    add(response, "Cross-Origin-Opener-Policy", "same-origin");
}

static void
add_headers(const struct assay_request *request, struct MHD_Response *response)
{
    const struct assay_answer *answer = &request->answer;
    char seconds[16];

    add(response, "X-Request-Id", request->id);
    add(response, "X-Content-Type-Options", "nosniff");
    if (answer->status != 204 && answer->status != 304)
        add(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    if (answer->cache_control != NULL)
        add(response, MHD_HTTP_HEADER_CACHE_CONTROL, answer->cache_control);
    else
        add(response, MHD_HTTP_HEADER_CACHE_CONTROL,
            answer->etag[0] != '\0' ? "private, no-cache" : "no-store");
    add(response, MHD_HTTP_HEADER_ETAG, answer->etag);
    add(response, MHD_HTTP_HEADER_LOCATION, answer->location);
    add(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
    if (answer->status == 401)
        add(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"assay\"");
    if (answer->replayed)
        add(response, "Idempotency-Replayed", "true");
    if (answer->retry_after_s > 0) {
        snprintf(seconds, sizeof(seconds), "%d", answer->retry_after_s);
        add(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    if (answer->stream != NULL)
        add(response, "X-Accel-Buffering", "no");
    if (answer->page)
        add_page_headers(response);
}

static struct MHD_Response *
make_response(struct assay_request *request)
{
    struct assay_answer *answer = &request->answer;
    size_t length = answer->text.length;

    if (answer->stream != NULL)
        return assay__stream_response(request);
    if (answer->status == 204 || answer->status == 304)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (answer->fixed != NULL) {
        /* The interface takes no const; persistent memory is only read. */
        union {
            const void *given;
            void *taken;
        } bytes = {.given = answer->fixed};

        return MHD_create_response_from_buffer(answer->fixed_length, bytes.taken,
                                               MHD_RESPMEM_PERSISTENT);
    }
    return MHD_create_response_from_buffer(length, assay_buffer_steal(&answer->text),
                                           MHD_RESPMEM_MUST_FREE);
}

static size_t
route_index(const struct assay_request *request)
{
    return request->route != NULL ? (size_t)(request->route - assay_routes) : assay_n_routes;
}

static enum MHD_Result
send_answer(struct assay_request *request)
{
    struct assay_answer *answer = &request->answer;
    struct MHD_Response *response;
    enum MHD_Result result;
    int64_t elapsed_us = assay_monotonic_us() - request->started_us;

    ASSAY_ASSERT(answer->status != 0);
    assay__answer_print(request);
    if (answer->status == 200 && answer->etag[0] != '\0' && request->if_none_match != NULL &&
        assay_header_etag_matches(request->if_none_match, answer->etag))
        answer->status = 304;
    response = make_response(request);
    if (response == NULL)
        return MHD_NO;
    add_headers(request, response);
    request->phase = ASSAY_PHASE_SENT;
    result = MHD_queue_response(request->connection, (unsigned)answer->status, response);
    MHD_destroy_response(response);
    assay_http_metrics_add(request->server->metrics, route_index(request), answer->status,
                           elapsed_us);
    assay_log(answer->status >= 500 ? ASSAY_LOG_WARNING : ASSAY_LOG_DEBUG,
              "req=%s %s %s: %d in %.3f ms", request->id, request->method, request->target,
              answer->status, (double)elapsed_us / 1000);
    return result;
}

/* The request is whole. */
static enum MHD_Result
work(struct assay_request *request)
{
    if (request->answer.status == 0)
        check_no_body(request);
    if (request->answer.status == 0 && request->route->kind == ASSAY_ROUTE_AT_ONCE)
        request->route->handler(request);
    if (request->answer.status != 0)
        return send_answer(request);
    request->phase = ASSAY_PHASE_WORK;
    assay__suspend(request->server, request->connection);
    if (assay_request_run(request) == ASSAY_ANSWERED)
        assay_request_finish(request);
    return MHD_YES;
}

/* --- what MHD calls */

void *
assay__exchange_begin(void *arg, const char *target, struct MHD_Connection *connection)
{
    struct assay_request *request = ASSAY_NEW(struct assay_request);

    request->server = arg;
    request->connection = connection;
    request->target = assay_strdup(target);
    request->started_us = assay_monotonic_us();
    atomic_fetch_add(&request->server->requests, 1);
    return request;
}

enum MHD_Result
assay__exchange(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                const char *version, const char *upload, size_t *upload_size, void **state)
{
    struct assay_request *request = *state;

    (void)arg;
    (void)connection;
    (void)url;
    (void)version;
    switch (request->phase) {
    case ASSAY_PHASE_HEADERS:
        request->method = method;
        if (!read_head(request))
            return MHD_YES;
        break;
    case ASSAY_PHASE_HELD:
        if (!admit(request))
            return MHD_YES;
        break;
    case ASSAY_PHASE_IDENTIFIED:
        if (request->answer.status == 0)
            check_head(request);
        break;
    case ASSAY_PHASE_BODY:
        if (*upload_size > 0) {
            bool go_on = take_piece(request, upload, *upload_size);

            *upload_size = 0;
            return go_on ? MHD_YES : MHD_NO;
        }
        set_quiet_since(request, 0);
        return work(request);
    case ASSAY_PHASE_WORK:
        return send_answer(request);
    case ASSAY_PHASE_SENT:
        return MHD_YES;
    }
    request->phase = ASSAY_PHASE_BODY;
    /* Who waits for "100 Continue", or means to send far too much, hears it now; the
     * connection is closed after. */
    if (request->answer.status != 0 &&
        (header(request, "Expect") != NULL || announced_length(request) > READ_PAST_BYTES))
        return send_answer(request);
    return MHD_YES;
}

void
assay__exchange_end(void *arg, struct MHD_Connection *connection, void **state,
                    enum MHD_RequestTerminationCode code)
{
    struct assay_request *request = *state;

    (void)arg;
    (void)connection;
    (void)code;
    if (request == NULL)
        return;
    set_quiet_since(request, assay_monotonic_us());
    if (request->answer.stream != NULL)
        atomic_fetch_sub(&request->server->streams, 1);
    atomic_fetch_sub(&request->server->requests, 1);
    assay_request_free(request);
    *state = NULL;
}

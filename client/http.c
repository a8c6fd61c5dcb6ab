#include "client/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <strings.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/number.h"
#include "common/random.h"

struct assay_http {
    CURL *curl;
    char *url;           /* without a final slash */
    char *authorization; /* whole header line; NULL = none */
    char reason[CURL_ERROR_SIZE];
    struct assay_random random; /* jitter */
    bool (*cancelled)(void *arg);
    void *cancelled_arg;
};

/* What the callbacks of one transfer share. */
struct transfer {
    struct assay_http *http;
    const struct assay_http_request *request;
    struct assay_http_answer *answer;
    size_t max_bytes;
    bool is_json;
    bool too_large;
    bool ended_by_reader;
};

/* libcurl wants one initialisation per process, before any handle. */
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_once_result;

static void
init_curl(void)
{
    curl_once_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool
assay_http_is_loopback(const char *url)
{
    CURLU *parts = curl_url();
    char *host = NULL;
    bool result = false;

    if (parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        result = assay_address_host_is_loopback(host);
    }
    curl_free(host);
    curl_url_cleanup(parts);
    return result;
}

static assay_status
check_url(const char *url, struct assay_error *err)
{
    CURLU *parts = curl_url();
    char *host = NULL;
    bool fine;

    fine = (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0) &&
           parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
           curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0] != '\0' &&
           strpbrk(url, "?#") == NULL;
    curl_free(host);
    curl_url_cleanup(parts);
    if (!fine)
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "\"%s\" is not a server's address; it looks like "
                          "http://127.0.0.1:4040",
                          url);
    return ASSAY_OK;
}

assay_status
assay_http_open(const char *url, const char *token, const char *ca_file,
                struct assay_http **ret_http, struct assay_error *err)
{
    struct assay_http *http;
    assay_status rc;
    size_t length;

    pthread_once(&curl_once, init_curl);
    if (curl_once_result != CURLE_OK)
        return assay_fail(err, ASSAY_E_INTERNAL, "libcurl can not be initialised: %s",
                          curl_easy_strerror(curl_once_result));
    rc = check_url(url, err);
    if (rc < 0)
        return rc;
    if (token != NULL && strpbrk(token, "\r\n") != NULL)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "the token has a line end in it");

    http = ASSAY_NEW(struct assay_http);
    length = strlen(url);
    while (length > 0 && url[length - 1] == '/')
        length--;
    http->url = assay_strndup(url, length);
    if (token != NULL)
        http->authorization = assay_format("Authorization: Bearer %s", token);
    assay_random_init(&http->random, assay_random_seed(), 0, 0);

    http->curl = curl_easy_init();
    ASSAY_ASSERT(http->curl != NULL);
    curl_easy_setopt(http->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(http->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(http->curl, CURLOPT_MAXCONNECTS, 1L);
    curl_easy_setopt(http->curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(http->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)ASSAY_HTTP_CONNECT_MS);
    curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, http->reason);
    curl_easy_setopt(http->curl, CURLOPT_USERAGENT, "assay");
    if (ca_file != NULL)
        curl_easy_setopt(http->curl, CURLOPT_CAINFO, ca_file);
    if (assay_http_is_loopback(http->url)) /* never through a proxy */
        curl_easy_setopt(http->curl, CURLOPT_PROXY, "");
    *ret_http = http;
    return ASSAY_OK;
}

struct assay_http *
assay_http_close(struct assay_http *http)
{
    if (http != NULL) {
        curl_easy_cleanup(http->curl);
        free(http->url);
        if (http->authorization != NULL)
            explicit_bzero(http->authorization, strlen(http->authorization));
        free(http->authorization);
        free(http);
    }
    return NULL;
}

void
assay_http_close_pointer(struct assay_http **http)
{
    *http = assay_http_close(*http);
}

const char *
assay_http_url(const struct assay_http *http)
{
    return http->url;
}

void
assay_http_set_cancelled(struct assay_http *http, bool (*cancelled)(void *arg), void *arg)
{
    http->cancelled = cancelled;
    http->cancelled_arg = arg;
}

void
assay_http_answer_done(struct assay_http_answer *answer)
{
    free(answer->etag);
    free(answer->location);
    json_decref(answer->json);
    assay_buffer_done(&answer->body);
    *answer = (struct assay_http_answer){.retry_after_ms = -1};
}

/* The value of header `name` in one header line; NULL when it is another header.
 * Caller frees. */
static char *
header_value(const char *line, size_t length, const char *name)
{
    size_t n = strlen(name);

    if (length <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
        return NULL;
    line += n + 1;
    length -= n + 1;
    while (length > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        length--;
    }
    while (length > 0 && (unsigned char)line[length - 1] <= ' ')
        length--;
    return assay_strndup(line, length);
}

static void
take_header(char **to, const char *line, size_t length, const char *name)
{
    char *value = header_value(line, length, name);

    if (value != NULL) {
        free(*to);
        *to = value;
    }
}

static size_t
on_header(char *line, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    struct assay_http_answer *answer = transfer->answer;
    size_t length = size * count;
    assay_auto_free char *type = NULL;
    assay_auto_free char *after = NULL;
    int64_t seconds;

    take_header(&answer->etag, line, length, "ETag");
    take_header(&answer->location, line, length, "Location");
    type = header_value(line, length, "Content-Type");
    if (type != NULL)
        transfer->is_json = strncasecmp(type, "application/json", 16) == 0 ||
                            strncasecmp(type, "application/problem+json", 24) == 0;
    after = header_value(line, length, "Retry-After");
    if (after != NULL && assay_parse_int(after, 0, 86400, &seconds))
        answer->retry_after_ms = seconds * 1000;
    return length;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    const struct assay_http_request *request = transfer->request;
    struct assay_buffer *body = &transfer->answer->body;
    size_t length = size * count;
    long status = 0;

    curl_easy_getinfo(transfer->http->curl, CURLINFO_RESPONSE_CODE, &status);
    if (request->on_data != NULL && status >= 200 && status < 300) {
        if (request->on_data(request->arg, bytes, length))
            return length;
        transfer->ended_by_reader = true;
        return CURL_WRITEFUNC_ERROR;
    }
    if (length > transfer->max_bytes - ASSAY_MIN(body->length, transfer->max_bytes)) {
        transfer->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    assay_buffer_add(body, bytes, length);
    return length;
}

static int
on_progress(void *arg, curl_off_t download_total, curl_off_t downloaded, curl_off_t upload_total,
            curl_off_t uploaded)
{
    struct transfer *transfer = arg;
    struct assay_http *http = transfer->http;

    (void)download_total;
    (void)downloaded;
    (void)upload_total;
    (void)uploaded;
    if (http->cancelled != NULL && http->cancelled(http->cancelled_arg)) {
        transfer->answer->cancelled = true;
        return 1;
    }
    return 0;
}

static void
add_header(struct curl_slist **headers, const char *name, const char *value)
{
    assay_auto_free char *line = NULL;
    struct curl_slist *longer;

    if (value == NULL)
        return;
    line = assay_format("%s: %s", name, value);
    longer = curl_slist_append(*headers, line);
    ASSAY_ASSERT(longer != NULL);
    *headers = longer;
}

static struct curl_slist *
build_headers(const struct assay_http *http, const struct assay_http_request *request,
              bool has_body)
{
    /* "Expect:" keeps libcurl from waiting for 100-continue before a body. */
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");

    ASSAY_ASSERT(headers != NULL);
    if (http->authorization != NULL)
        headers = curl_slist_append(headers, http->authorization);
    ASSAY_ASSERT(headers != NULL);
    add_header(&headers, "Accept", request->accept != NULL ? request->accept : "application/json");
    if (has_body)
        add_header(&headers, "Content-Type",
                   request->json != NULL ? "application/json" : request->content_type);
    else
        headers = curl_slist_append(headers, "Content-Type:"); /* none, also of an empty POST */
    ASSAY_ASSERT(headers != NULL);
    add_header(&headers, "If-None-Match", request->if_none_match);
    add_header(&headers, "Idempotency-Key", request->idempotency_key);
    add_header(&headers, "Last-Event-ID", request->last_event_id);
    return headers;
}

static void
set_method(CURL *curl, const char *method, const void *body, size_t length)
{
    /* Options of the request before would stay: start from GET each time. */
    curl_easy_setopt(curl, CURLOPT_NOBODY, 0L);
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, NULL);
    if (body == NULL && method != NULL &&
        (strcmp(method, "POST") == 0 || strcmp(method, "PATCH") == 0))
        body = ""; /* so that Content-Length says 0 */
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    if (method != NULL && strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else if (method != NULL)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

/* No answer, or half of one: what went wrong in words. */
static assay_status
transfer_failed(struct assay_http *http, const struct transfer *transfer, CURLcode code,
                struct assay_error *err)
{
    const char *reason = http->reason[0] != '\0' ? http->reason : curl_easy_strerror(code);

    if (transfer->answer->cancelled)
        return assay_fail(err, ASSAY_E_TIMEOUT, "the request to %s was interrupted", http->url);
    if (transfer->too_large)
        return assay_fail(err, ASSAY_E_TOO_LARGE, "the answer of %s is longer than %zu bytes",
                          http->url, transfer->max_bytes);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return assay_fail(err, ASSAY_E_TIMEOUT, "%s did not answer in time", http->url);
    case CURLE_URL_MALFORMAT:
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "%s can not be used: %s", http->url, reason);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return assay_fail(err, ASSAY_E_IO, "%s does not answer in HTTP", http->url);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return assay_fail(err, ASSAY_E_IO,
                          "%s can not be trusted: %s (ASSAY_CA_FILE names a private authority)",
                          http->url, reason);
    default:
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s can not be reached: %s", http->url, reason);
    }
}

static assay_status
status_from_http(long http_status)
{
#define ROW(NAME, name, number, http, exit_code, retry, text) {ASSAY_E_##NAME, http},
    static const struct {
        assay_status status;
        int http;
    } rows[] = {ASSAY_ERROR_CODES(ROW)};
#undef ROW

    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        if (rows[i].http == http_status)
            return rows[i].status;
    }
    if (http_status == 502)
        return ASSAY_E_UNAVAILABLE;
    return http_status >= 400 && http_status < 500 ? ASSAY_E_BAD_REQUEST : ASSAY_E_INTERNAL;
}

/* Turns an answer that is not 2xx into an error. */
static assay_status
problem_to_error(const struct assay_http *http, const struct assay_http_answer *answer,
                 struct assay_error *err)
{
    const char *code = json_string_value(json_object_get(answer->json, "code"));
    const char *detail = json_string_value(json_object_get(answer->json, "detail"));
    const json_t *first = json_array_get(json_object_get(answer->json, "errors"), 0);
    const char *pointer = json_string_value(json_object_get(first, "pointer"));
    assay_status status = status_from_http(answer->status);

    if (detail == NULL)
        detail = json_string_value(json_object_get(answer->json, "title"));
    if (code != NULL && strcmp(assay_status_name(assay_status_from_name(code)), code) == 0)
        status = assay_status_from_name(code);
    if (detail == NULL)
        return assay_fail(err, status, "%s answered with status %ld", http->url, answer->status);
    return assay_fail_at(err, status, pointer != NULL ? pointer : "", "%s", detail);
}

static assay_status
read_answer(struct assay_http *http, const struct transfer *transfer, struct assay_error *err)
{
    struct assay_http_answer *answer = transfer->answer;

    if (transfer->is_json && answer->body.length > 0) {
        json_error_t where;

        answer->json = json_loadb(answer->body.data, answer->body.length, 0, &where);
        assay_buffer_done(&answer->body);
        if (answer->json == NULL && answer->status < 300)
            return assay_fail(err, ASSAY_E_IO, "the answer of %s is not JSON: %s (byte %d)",
                              http->url, where.text, where.position);
    }
    if ((answer->status >= 200 && answer->status < 300) || answer->status == 304)
        return ASSAY_OK;
    return problem_to_error(http, answer, err);
}

assay_status
assay_http_send(struct assay_http *http, const struct assay_http_request *request,
                struct assay_http_answer *answer, struct assay_error *err)
{
    struct transfer transfer = {
        .http = http,
        .request = request,
        .answer = answer,
        .max_bytes = request->max_bytes > 0 ? request->max_bytes : ASSAY_HTTP_ANSWER_BYTES_MAX,
    };
    const bool has_query = request->query != NULL && request->query[0] != '\0';
    assay_auto_free char *url = assay_format("%s%s%s%s", http->url, request->path,
                                             has_query ? "?" : "", has_query ? request->query : "");
    assay_auto_free char *json = NULL;
    const void *body = request->body;
    size_t length = request->length;
    int64_t timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : ASSAY_HTTP_TIMEOUT_MS;
    struct curl_slist *headers;
    CURLcode code;

    assay_http_answer_done(answer);
    if (request->json != NULL) {
        json = json_dumps(request->json, JSON_COMPACT | JSON_ENCODE_ANY);
        ASSAY_ASSERT(json != NULL);
        body = json;
        length = strlen(json);
    }
    headers = build_headers(http, request, body != NULL);
    curl_easy_setopt(http->curl, CURLOPT_URL, url);
    set_method(http->curl, request->method, body, length);
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(http->curl, CURLOPT_TIMEOUT_MS,
                     (long)(timeout_ms > 0 ? ASSAY_MIN(timeout_ms, INT32_MAX) : 0));
    curl_easy_setopt(http->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(http->curl, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(http->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(http->curl, CURLOPT_XFERINFODATA, &transfer);
    curl_easy_setopt(http->curl, CURLOPT_NOPROGRESS, http->cancelled != NULL ? 0L : 1L);

    http->reason[0] = '\0';
    code = curl_easy_perform(http->curl);
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);

    if (code != CURLE_OK && !transfer.ended_by_reader) {
        answer->status = 0; /* half an answer is none */
        return transfer_failed(http, &transfer, code, err);
    }
    return read_answer(http, &transfer, err);
}

bool
assay_http_may_retry(const struct assay_http_answer *answer, assay_status status)
{
    if (answer->cancelled || status >= 0)
        return false;
    if (answer->status == 0)
        return status == ASSAY_E_UNAVAILABLE || status == ASSAY_E_TIMEOUT;
    return answer->status == 429 || (answer->status >= 502 && answer->status <= 504);
}

int64_t
assay_http_retry_wait_ms(const struct assay_http_retry *retry, unsigned n, double unit,
                         int64_t retry_after_ms)
{
    int64_t base_ms = retry->base_ms > 0 ? retry->base_ms : 100;
    int64_t cap_ms = retry->cap_ms > 0 ? retry->cap_ms : 10000;
    int64_t top_ms = base_ms;
    int64_t wait_ms;

    while (n-- > 0 && top_ms < cap_ms)
        top_ms *= 2;
    wait_ms = (int64_t)(unit * (double)ASSAY_MIN(top_ms, cap_ms));
    return ASSAY_MAX(wait_ms, retry_after_ms);
}

/* Waits in slices, so that a signal that comes just before the wait is noticed. */
static bool
wait_unless_cancelled(struct assay_http *http, int64_t wait_ms)
{
    int64_t end_us = assay_monotonic_us() + wait_ms * 1000;

    for (;;) {
        int64_t left_us = end_us - assay_monotonic_us();
        struct timespec slice;

        if (http->cancelled != NULL && http->cancelled(http->cancelled_arg))
            return false;
        if (left_us <= 0)
            return true;
        left_us = ASSAY_MIN(left_us, INT64_C(200000));
        slice = (struct timespec){.tv_sec = 0, .tv_nsec = (long)left_us * 1000};
        nanosleep(&slice, NULL);
    }
}

assay_status
assay_http_send_retry(struct assay_http *http, const struct assay_http_request *request,
                      const struct assay_http_retry *retry, struct assay_http_answer *answer,
                      struct assay_error *err)
{
    int64_t start_us = assay_monotonic_us();

    for (unsigned n = 0;; n++) {
        assay_status rc = assay_http_send(http, request, answer, err);
        int64_t wait_ms;

        if (!assay_http_may_retry(answer, rc))
            return rc;
        wait_ms = assay_http_retry_wait_ms(retry, n, assay_random_unit(&http->random),
                                           answer->retry_after_ms);
        if ((assay_monotonic_us() - start_us) / 1000 + wait_ms > retry->deadline_ms)
            return rc;
        if (!wait_unless_cancelled(http, wait_ms)) {
            answer->cancelled = true;
            return rc;
        }
    }
}

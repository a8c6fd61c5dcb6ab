/* The HTTP client against a server of canned answers, and its pure parts. */
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/find.h"
#include "client/http.h"
#include "common/clock.h"
#include "common/memory.h"

/* --- a server that answers each request on a connection of its own with the
 * next text, and keeps what it was sent */

#define CANNED_MAX 8

static struct {
    int fd;
    unsigned port;
    const char *answers[CANNED_MAX];
    size_t n_answers;
    struct assay_buffer requests;
    pthread_t thread;
} canned;

static void
serve_one(int fd, const char *answer)
{
    char piece[4096];
    size_t wanted = 0, from = canned.requests.length;

    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        const char *end, *length;

        if (n <= 0)
            return;
        assay_buffer_add(&canned.requests, piece, (size_t)n);
        end = strstr(canned.requests.data + from, "\r\n\r\n");
        if (end == NULL)
            continue;
        length = strstr(canned.requests.data + from, "Content-Length: ");
        if (length != NULL)
            wanted = strtoul(length + 16, NULL, 10);
        if (canned.requests.length >= (size_t)(end - canned.requests.data) + 4 + wanted)
            break;
    }
    if (send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
        return;
}

static void *
serve(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < canned.n_answers; i++) {
        int fd = accept(canned.fd, NULL, NULL);

        if (fd < 0)
            return NULL;
        serve_one(fd, canned.answers[i]);
        close(fd);
    }
    return NULL;
}

static struct assay_http *http;
static struct assay_http_answer answer;
static struct assay_error err;

static void
start(const char *first, ...)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    assay_auto_free char *url = NULL;
    va_list list;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    canned.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(canned.fd >= 0);
    assert_int_equal(bind(canned.fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(canned.fd, 8), 0);
    assert_int_equal(getsockname(canned.fd, (struct sockaddr *)&address, &length), 0);
    canned.port = ntohs(address.sin_port);
    canned.n_answers = 0;
    va_start(list, first);
    for (const char *text = first; text != NULL; text = va_arg(list, const char *))
        canned.answers[canned.n_answers++] = text;
    va_end(list);
    assert_int_equal(pthread_create(&canned.thread, NULL, serve, NULL), 0);
    url = assay_format("http://127.0.0.1:%u/", canned.port);
    assert_int_equal(assay_http_open(url, "secret", NULL, &http, &err), ASSAY_OK);
}

static void
stop(void)
{
    shutdown(canned.fd, SHUT_RDWR);
    pthread_join(canned.thread, NULL);
    close(canned.fd);
    http = assay_http_close(http);
    assay_http_answer_done(&answer);
    assay_buffer_done(&canned.requests);
}

#define OK_JSON(body)                                                                              \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nETag: \"e1\"\r\n"         \
    "Connection: close\r\n\r\n" body

static assay_status
get(const char *path)
{
    struct assay_http_request request = {.path = path};

    return assay_http_send(http, &request, &answer, &err);
}

static void
an_answer_is_read(void **state)
{
    (void)state;
    start(OK_JSON("{\"a\": 1}"), NULL);
    assert_int_equal(get("/v1/x"), ASSAY_OK);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.etag, "\"e1\"");
    assert_int_equal(json_integer_value(json_object_get(answer.json, "a")), 1);
    assert_non_null(strstr(canned.requests.data, "GET /v1/x HTTP/1.1\r\n"));
    assert_non_null(strstr(canned.requests.data, "Authorization: Bearer secret\r\n"));
    assert_non_null(strstr(canned.requests.data, "Accept: application/json\r\n"));
    stop();
}

static void
a_body_and_headers_are_sent(void **state)
{
    json_t *body = json_pack("{s:i}", "count", 2);
    struct assay_http_request request = {
        .method = "PATCH",
        .path = "/v1/x",
        .query = "a=b",
        .json = body,
        .if_none_match = "\"e0\"",
        .idempotency_key = "k1",
    };

    (void)state;
    start("HTTP/1.1 201 Created\r\nLocation: /v1/x/1\r\nContent-Length: 0\r\n\r\n", NULL);
    assert_int_equal(assay_http_send(http, &request, &answer, &err), ASSAY_OK);
    assert_int_equal(answer.status, 201);
    assert_string_equal(answer.location, "/v1/x/1");
    assert_null(answer.json);
    assert_non_null(strstr(canned.requests.data, "PATCH /v1/x?a=b HTTP/1.1\r\n"));
    assert_non_null(strstr(canned.requests.data, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(canned.requests.data, "If-None-Match: \"e0\"\r\n"));
    assert_non_null(strstr(canned.requests.data, "Idempotency-Key: k1\r\n"));
    assert_non_null(strstr(canned.requests.data, "\r\n\r\n{\"count\":2}"));
    json_decref(body);
    stop();
}

static void
a_verb_has_an_empty_body(void **state)
{
    struct assay_http_request request = {.method = "POST", .path = "/v1/x/pause"};

    (void)state;
    start(OK_JSON("{}"), NULL);
    assert_int_equal(assay_http_send(http, &request, &answer, &err), ASSAY_OK);
    assert_non_null(strstr(canned.requests.data, "POST /v1/x/pause HTTP/1.1\r\n"));
    assert_non_null(strstr(canned.requests.data, "Content-Length: 0\r\n"));
    assert_null(strstr(canned.requests.data, "Content-Type"));
    stop();
}

static void
a_problem_becomes_an_error(void **state)
{
    (void)state;
    start("HTTP/1.1 422 Unprocessable\r\nContent-Type: application/problem+json\r\n"
          "Connection: close\r\n\r\n"
          "{\"code\": \"invalid_study\", \"detail\": \"two faults\","
          " \"errors\": [{\"pointer\": \"/a\"}]}",
          "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<p>",
          "HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n", NULL);
    assert_int_equal(get("/a"), ASSAY_E_INVALID_STUDY);
    assert_string_equal(err.message, "two faults");
    assert_string_equal(err.pointer, "/a");
    assert_int_equal(json_array_size(json_object_get(answer.json, "errors")), 1);
    assert_int_equal(get("/b"), ASSAY_E_NOT_FOUND);
    assert_null(answer.json);
    assert_int_equal(get("/c"), ASSAY_E_UNAVAILABLE);
    assert_int_equal(answer.status, 502);
    stop();
}

static void
broken_answers_are_refused(void **state)
{
    struct assay_http_request small = {.path = "/", .max_bytes = 4};

    (void)state;
    start(OK_JSON("{\"a\": "), OK_JSON("{\"a\": 1}"), "nonsense\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", NULL);
    assert_int_equal(get("/"), ASSAY_E_IO);
    assert_int_equal(assay_http_send(http, &small, &answer, &err), ASSAY_E_TOO_LARGE);
    assert_int_equal(get("/"), ASSAY_E_IO);
    assert_int_equal(get("/"), ASSAY_E_UNAVAILABLE);
    assert_int_equal(answer.status, 0);
    stop();
}

static void
busy_servers_are_asked_again(void **state)
{
    struct assay_http_request request = {.path = "/"};
    struct assay_http_retry retry = {.deadline_ms = 60000, .base_ms = 1, .cap_ms = 5};

    (void)state;
    start("HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", "",
          "HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n", OK_JSON("{}"), NULL);
    assert_int_equal(assay_http_send_retry(http, &request, &retry, &answer, &err), ASSAY_OK);
    stop();
    /* A deadline that has passed leaves the first try only. */
    retry.deadline_ms = -1;
    start("HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", NULL);
    assert_int_equal(assay_http_send_retry(http, &request, &retry, &answer, &err),
                     ASSAY_E_UNAVAILABLE);
    stop();
    /* What is wrong stays wrong. */
    start("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", NULL);
    assert_int_equal(assay_http_send_retry(http, &request, &retry, &answer, &err),
                     ASSAY_E_BAD_REQUEST);
    stop();
}

static bool
take(void *arg, const char *bytes, size_t length)
{
    struct assay_buffer *text = arg;

    assay_buffer_add(text, bytes, length);
    return text->length < 5;
}

static void
streams_come_in_pieces(void **state)
{
    struct assay_buffer text = {0};
    struct assay_http_request request = {.path = "/", .on_data = take, .arg = &text};

    (void)state;
    start("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
          "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
          "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno", NULL);
    assert_int_equal(assay_http_send(http, &request, &answer, &err), ASSAY_OK);
    assert_true(text.length >= 5);
    assert_int_equal(answer.body.length, 0);
    assay_buffer_clear(&text);
    /* An error's body is no part of the stream. */
    assert_int_equal(assay_http_send(http, &request, &answer, &err), ASSAY_E_NOT_FOUND);
    assert_int_equal(text.length, 0);
    assay_buffer_done(&text);
    stop();
}

static bool
always(void *arg)
{
    (void)arg;
    return true;
}

static void
a_request_can_be_cancelled(void **state)
{
    (void)state;
    start(OK_JSON("{}"), NULL);
    assay_http_set_cancelled(http, always, NULL);
    assert_int_equal(get("/"), ASSAY_E_TIMEOUT);
    assert_true(answer.cancelled);
    assert_false(assay_http_may_retry(&answer, ASSAY_E_TIMEOUT));
    stop();
}

static void
nobody_listening_is_unavailable(void **state)
{
    struct assay_http_request request = {.path = "/"};
    struct assay_http_retry retry = {.deadline_ms = 50, .base_ms = 5, .cap_ms = 10};
    int64_t start_us = assay_monotonic_us();

    (void)state;
    assert_int_equal(assay_http_open("http://127.0.0.1:1", NULL, NULL, &http, &err), ASSAY_OK);
    assert_int_equal(assay_http_send_retry(http, &request, &retry, &answer, &err),
                     ASSAY_E_UNAVAILABLE);
    assert_true(assay_monotonic_us() - start_us < 30 * ASSAY_SECOND_US);
    http = assay_http_close(http);
    assay_http_answer_done(&answer);
}

static void
addresses_are_checked(void **state)
{
    static const char *const bad[] = {"",        "127.0.0.1:80", "ftp://x",
                                      "http://", "http://x/?q",  "file:///etc/passwd"};

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(bad); i++)
        assert_int_equal(assay_http_open(bad[i], NULL, NULL, &http, &err), ASSAY_E_INVALID_VALUE);
    assert_int_equal(assay_http_open("http://x", "a\r\nb", NULL, &http, &err),
                     ASSAY_E_INVALID_VALUE);
    assert_true(assay_http_is_loopback("http://127.0.0.1:4040"));
    assert_true(assay_http_is_loopback("http://LOCALHOST/x"));
    assert_true(assay_http_is_loopback("http://[::1]:80"));
    assert_false(assay_http_is_loopback("http://127.example.com.evil:80/localhost"));
    assert_false(assay_http_is_loopback("https://example.com"));
}

static void
waits_grow_to_the_cap(void **state)
{
    struct assay_http_retry retry = {.base_ms = 100, .cap_ms = 1000};

    (void)state;
    assert_int_equal(assay_http_retry_wait_ms(&retry, 0, 0.0, -1), 0);
    assert_int_equal(assay_http_retry_wait_ms(&retry, 0, 0.5, -1), 50);
    assert_int_equal(assay_http_retry_wait_ms(&retry, 2, 0.5, -1), 200);
    assert_int_equal(assay_http_retry_wait_ms(&retry, 4000000000u, 0.5, -1), 500);
    assert_int_equal(assay_http_retry_wait_ms(&retry, 0, 0.5, 7000), 7000);
}

static void
text_is_escaped(void **state)
{
    struct assay_buffer query = {0};
    char *text = assay_http_escape("a b/\xC3\xA9~");

    (void)state;
    assert_string_equal(text, "a%20b%2F%C3%A9~");
    free(text);
    assay_http_query_add(&query, "sort", "-name");
    assay_http_query_add(&query, "q", "a&b=c");
    assert_string_equal(query.data, "sort=-name&q=a%26b%3Dc");
    assay_buffer_done(&query);
}

static void
write_file(const char *directory, const char *name, const char *text)
{
    assay_auto_free char *path = assay_format("%s/%s", directory, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void
targets_are_found_in_order(void **state)
{
    char directory[] = "/tmp/assay-find-XXXXXX";
    struct assay_find_options options = {0};
    struct assay_target target = {0};
    assay_auto_free char *url = NULL, *token = NULL;

    (void)state;
    assert_non_null(mkdtemp(directory));
    url = assay_format("%s/url", directory);
    token = assay_format("%s/token", directory);
    setenv("ASSAY_DATA", directory, 1);
    setenv("ASSAY_TOKEN", "from-env", 1);
    unsetenv("ASSAY_URL");

    assert_int_equal(assay_find_target(&options, &target, &err), ASSAY_OK);
    assert_null(target.url);
    assert_string_equal(target.data, directory);
    assay_target_done(&target);

    write_file(directory, "url", "http://127.0.0.1:5\n");
    write_file(directory, "token", "from-file\n");
    assert_int_equal(assay_find_target(&options, &target, &err), ASSAY_OK);
    assert_string_equal(target.url, "http://127.0.0.1:5");
    assert_string_equal(target.token, "from-file");
    assay_target_done(&target);

    setenv("ASSAY_URL", "http://elsewhere", 1);
    assert_int_equal(assay_find_target(&options, &target, &err), ASSAY_OK);
    assert_string_equal(target.url, "http://elsewhere");
    assert_string_equal(target.token, "from-env");
    assert_null(target.data);
    assay_target_done(&target);

    options.data = directory;
    options.token = "given";
    assert_int_equal(assay_find_target(&options, &target, &err), ASSAY_OK);
    assert_string_equal(target.url, "http://127.0.0.1:5");
    assert_string_equal(target.token, "given");
    assay_target_done(&target);

    unlink(url);
    unlink(token);
    rmdir(directory);
    unsetenv("ASSAY_URL");
    unsetenv("ASSAY_DATA");
    unsetenv("ASSAY_TOKEN");
}

static void
the_default_folder_follows_xdg(void **state)
{
    char *path;

    (void)state;
    setenv("XDG_DATA_HOME", "/data", 1);
    path = assay_find_default_data();
    assert_string_equal(path, "/data/assay");
    free(path);
    setenv("XDG_DATA_HOME", "relative", 1);
    setenv("HOME", "/home/me", 1);
    path = assay_find_default_data();
    assert_string_equal(path, "/home/me/.local/share/assay");
    free(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_read),
        cmocka_unit_test(a_body_and_headers_are_sent),
        cmocka_unit_test(a_verb_has_an_empty_body),
        cmocka_unit_test(a_problem_becomes_an_error),
        cmocka_unit_test(broken_answers_are_refused),
        cmocka_unit_test(busy_servers_are_asked_again),
        cmocka_unit_test(streams_come_in_pieces),
        cmocka_unit_test(a_request_can_be_cancelled),
        cmocka_unit_test(nobody_listening_is_unavailable),
        cmocka_unit_test(addresses_are_checked),
        cmocka_unit_test(waits_grow_to_the_cap),
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(targets_are_found_in_order),
        cmocka_unit_test(the_default_folder_follows_xdg),
    };

    return cmocka_run_group_tests_name("client/http", tests, NULL, NULL);
}

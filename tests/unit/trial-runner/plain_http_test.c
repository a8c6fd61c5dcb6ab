/* The runner's small HTTP client against a server that answers whatever bytes the
 * test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/memory.h"
#include "common/random.h"
#include "trial-runner/plain_http.h"

#define PATIENCE_US (60 * ASSAY_SECOND_US)

/* Answers request i with bytes i; after the last of a connection it closes. */
struct server {
    int fd, port;
    const char *const *answers;
    const size_t *lengths; /* NULL = texts */
    size_t n;
    bool keep;    /* several answers on one connection */
    bool trickle; /* byte by byte */
    pthread_t thread;
};

static bool
read_request(int fd)
{
    char block[4096];
    struct assay_buffer in = {0};
    bool fine = false;

    while (!fine) {
        ssize_t n = recv(fd, block, sizeof block, 0);

        if (n <= 0)
            break;
        assay_buffer_add(&in, block, (size_t)n);
        fine = strstr(in.data, "\r\n\r\n") != NULL;
    }
    assay_buffer_done(&in);
    return fine;
}

static void *
serve(void *arg)
{
    struct server *server = arg;
    int fd = -1;

    for (size_t i = 0; i < server->n;) {
        const char *answer = server->answers[i];
        size_t length = server->lengths != NULL ? server->lengths[i] : strlen(answer);

        if (fd < 0)
            fd = accept(server->fd, NULL, NULL);
        if (!read_request(fd)) {
            close(fd);
            fd = -1;
            continue;
        }
        for (size_t at = 0; at < length;) {
            size_t n = server->trickle ? 1 : length - at;

            if (send(fd, answer + at, n, MSG_NOSIGNAL) < 0)
                break;
            at += n;
        }
        i++;
        if (!server->keep || i == server->n) {
            close(fd);
            fd = -1;
        }
    }
    return NULL;
}

static struct assay_plain_http *
start(struct server *server, char **ret_url)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->fd, 16), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    pthread_create(&server->thread, NULL, serve, server);
    *ret_url = assay_format("http://127.0.0.1:%d/", server->port);
    assert_true(assay_plain_http_can(*ret_url));
    return assay_plain_http_open(*ret_url, "token", NULL);
}

static void
stop(struct server *server)
{
    pthread_join(server->thread, NULL);
    close(server->fd);
}

static void
which_addresses(void **state)
{
    static const char *const can[] = {"http://127.0.0.1:1", "http://localhost:80/x",
                                      "http://[::1]:8080", "HTTP://127.1.2.3"};
    static const char *const can_not[] = {"https://127.0.0.1:1",
                                          "http://example.org",
                                          "http://127.0.0.1@example.org/",
                                          "http://",
                                          "http://[::1",
                                          "http://0.0.0.0:1",
                                          "",
                                          "ftp://localhost"};

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(can); i++)
        assert_true(assay_plain_http_can(can[i]));
    for (size_t i = 0; i < ASSAY_COUNT(can_not); i++)
        assert_false(assay_plain_http_can(can_not[i]));
}

static void
answers_are_read(void **state)
{
    static const struct {
        const char *answer, *body;
        int code;
        assay_status status;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, ASSAY_OK},
        {"HTTP/1.1 404 Not Found\r\ncontent-length:2\r\n\r\n{}", "{}", 404, ASSAY_OK},
        {"HTTP/1.1 204 No Content\r\n\r\n", "", 204, ASSAY_OK},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", 200,
         ASSAY_OK},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n"
         "0\r\n\r\n",
         "abc0123456789", 200, ASSAY_OK},
        {"HTTP/1.0 200 OK\r\n\r\nto the end", "to the end", 200, ASSAY_OK},
        {"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "ok", 200, ASSAY_OK},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", "hello", 200,
         ASSAY_OK},
        {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", NULL, 0, ASSAY_E_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nContent-Le", NULL, 0, ASSAY_E_UNAVAILABLE},
        {"", NULL, 0, ASSAY_E_UNAVAILABLE},
        {"SSH-2.0-OpenSSH_9.2\r\n\r\n", NULL, 0, ASSAY_E_IO},
        {"HTTP/1.1 abc OK\r\n\r\n", NULL, 0, ASSAY_E_IO},
        {"HTTP/1.1 2\r\n\r\n", NULL, 0, ASSAY_E_IO},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", NULL, 0, ASSAY_E_IO},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx", NULL, 0,
         ASSAY_E_IO},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nx", NULL, 0, ASSAY_E_IO},
        {"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nrest", "rest", 200, ASSAY_OK},
    };

    (void)state;
    for (size_t trickle = 0; trickle < 2; trickle++) {
        for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
            struct server server = {.answers = &rows[i].answer, .n = 1, .trickle = trickle == 1};
            assay_auto_free char *url = NULL;
            struct assay_plain_http *http = start(&server, &url);
            struct assay_buffer body = {0};
            struct assay_error err = {0};
            int code = 0;
            assay_status rc = assay_plain_http_send(http, "GET", "/x", NULL, PATIENCE_US,
                                                    &code, &body, &err);

            if (rc != rows[i].status)
                fail_msg("\"%.60s\": %s %s", rows[i].answer, assay_status_name(rc), err.message);
            if (rc == ASSAY_OK) {
                assert_int_equal(code, rows[i].code);
                assert_string_equal(body.length > 0 ? body.data : "", rows[i].body);
            }
            assay_buffer_done(&body);
            assay_plain_http_close(http);
            stop(&server);
        }
    }
}

static void
a_connection_is_kept_and_made_anew(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nc"};

    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        struct server server = {.answers = answers, .n = 3, .keep = keep == 1};
        assay_auto_free char *url = NULL;
        struct assay_plain_http *http = start(&server, &url);
        struct assay_buffer body = {0}, json = {0};

        assay_buffer_puts(&json, "{}");
        for (int i = 0; i < 3; i++) {
            int code = 0;

            assert_int_equal(assay_plain_http_send(http, "POST", "/", &json, PATIENCE_US,
                                                   &code, &body, NULL),
                             ASSAY_OK);
            assert_int_equal(body.data[0], 'a' + i);
        }
        assay_buffer_done(&body);
        assay_buffer_done(&json);
        assay_plain_http_close(http);
        stop(&server);
    }
}

/* Whether its length was said before, or its end is the connection's. */
static void
silence_ends_at_the_timeout(void **state)
{
    static const char *const halves[] = {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
                                         "HTTP/1.0 200 OK\r\n\r\nhel"};

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(halves); i++) {
        /* The connection stays open after the first; the second never comes. */
        const char *const answers[] = {halves[i], ""};
        struct server server = {.answers = answers, .n = 2, .keep = true};
        assay_auto_free char *url = NULL;
        struct assay_plain_http *http = start(&server, &url);
        struct assay_buffer body = {0};
        int64_t start_us = assay_monotonic_us();
        int code;

        assert_int_equal(assay_plain_http_send(http, "GET", "/", NULL, 3 * ASSAY_SECOND_US, &code,
                                               &body, NULL),
                         ASSAY_E_TIMEOUT);
        assert_true(assay_monotonic_us() - start_us >= 3 * ASSAY_SECOND_US);
        /* The rest of a late answer is never taken for the next one's. */
        assert_int_equal(
            assay_plain_http_send(http, "GET", "/", NULL, PATIENCE_US, &code, &body, NULL),
            ASSAY_E_UNAVAILABLE);
        assay_buffer_done(&body);
        assay_plain_http_close(http);
        stop(&server);
    }
}

static void
nobody_there_is_told(void **state)
{
    struct assay_plain_http *http = assay_plain_http_open("http://127.0.0.1:1", "t", NULL);
    struct assay_buffer body = {0};
    struct assay_error err = {0};
    int code;

    (void)state;
    assert_int_equal(
        assay_plain_http_send(http, "GET", "/", NULL, PATIENCE_US, &code, &body, &err),
        ASSAY_E_UNAVAILABLE);
    assert_non_null(strstr(err.message, "connecting to 127.0.0.1:1: Connection refused"));
    assay_buffer_done(&body);
    assay_plain_http_close(http);
}

/* Answers made by damaging a good one, and noise: any outcome, no harm. */
static void
hostile_answers_do_no_harm(void **state)
{
    static const char good[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        "Content-Length: 12\r\nConnection: keep-alive\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n";
    enum { N = 400, ROOM = 512 };
    struct assay_random random;
    char *bytes = assay_alloc(N, ROOM);
    const char **answers = assay_zalloc(N, sizeof *answers);
    size_t *lengths = assay_zalloc(N, sizeof *lengths);
    struct server server = {.answers = answers, .lengths = lengths, .n = N};
    assay_auto_free char *url = NULL;
    struct assay_plain_http *http;
    struct assay_buffer body = {0};

    (void)state;
    assay_random_init(&random, 7, 0, 0);
    for (size_t i = 0; i < N; i++) {
        char *answer = bytes + i * ROOM;

        memcpy(answer, good, sizeof good - 1);
        lengths[i] = sizeof good - 1 - (size_t)assay_random_below(&random, 40);
        for (uint64_t k = assay_random_below(&random, 12); k > 0; k--)
            answer[assay_random_below(&random, lengths[i])] = (char)assay_random_u32(&random);
        answers[i] = answer;
    }
    http = start(&server, &url);
    for (size_t i = 0; i < N; i++) {
        struct assay_error err = {0};
        int code = 0;
        assay_status rc =
            assay_plain_http_send(http, "GET", "/", NULL, PATIENCE_US, &code, &body, &err);

        if (rc == ASSAY_OK)
            assert_in_range(code, 200, 599);
        else
            assert_true(err.message[0] != '\0');
        /* Each answer has a connection of its own, so that the two keep step. */
        assay_plain_http_close(http);
        http = assay_plain_http_open(url, "token", NULL);
    }
    assay_plain_http_close(http);
    stop(&server);
    assay_buffer_done(&body);
    free(bytes);
    free(answers);
    free(lengths);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_addresses),
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(a_connection_is_kept_and_made_anew),
        cmocka_unit_test(silence_ends_at_the_timeout),
        cmocka_unit_test(nobody_there_is_told),
        cmocka_unit_test(hostile_answers_do_no_harm),
    };

    return cmocka_run_group_tests_name("plain http", tests, NULL, NULL);
}

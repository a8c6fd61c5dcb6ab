/* What travels between relay and gate: greeting, records, frames; addresses; the two words a
 * relay has of its own; copying between a link and a local side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/memory.h"
#include "suggest/protocol.h"
#include "suggest/relay/copy.h"
#include "suggest/relay/record.h"
#include "suggest/worker.h"
#include "suggest/worker_end.h"

#define TOKEN "sixteen characters, or more"

static void
test_greeting(void **state ASSAY_UNUSED)
{
    unsigned char greeting[ASSAY_GREETING_BYTES];

    assay_greeting_make(TOKEN, greeting);
    assert_int_equal(assay_greeting_check(greeting, TOKEN), ASSAY_WELCOME_YES);
    assert_int_equal(assay_greeting_check(greeting, TOKEN "\n"), ASSAY_WELCOME_YES);
    assert_int_equal(assay_greeting_check(greeting, "\r\nthe one before it\r\n\n" TOKEN "\r\n"),
                     ASSAY_WELCOME_YES);
    assert_int_equal(assay_greeting_check(greeting, TOKEN "!"), ASSAY_WELCOME_TOKEN);
    assert_int_equal(assay_greeting_check(greeting, ""), ASSAY_WELCOME_TOKEN);
    greeting[ASSAY_GREETING_BYTES - 1] ^= 1;
    assert_int_equal(assay_greeting_check(greeting, TOKEN), ASSAY_WELCOME_TOKEN);
    greeting[0] ^= 1;
    assert_int_equal(assay_greeting_check(greeting, TOKEN), ASSAY_WELCOME_PROTOCOL);
}

static void
test_tokens(void **state ASSAY_UNUSED)
{
    assay_auto_free char *first = assay_tokens_first("\n" TOKEN "\nanother one, a longer one\n");
    struct assay_error err = {0};

    assert_string_equal(first, TOKEN);
    assert_int_equal(assay_tokens_check(TOKEN, NULL), ASSAY_OK);
    assert_int_equal(assay_tokens_check("", NULL), ASSAY_E_INVALID_VALUE);
    assert_int_equal(assay_tokens_check("\r\n\n", NULL), ASSAY_E_INVALID_VALUE);
    assert_int_equal(assay_tokens_check(TOKEN "\nshort\n", &err), ASSAY_E_INVALID_VALUE);
    assert_null(strstr(err.message, "short")); /* it is a secret */
}

static void
test_records(void **state ASSAY_UNUSED)
{
    static char large[ASSAY_RECORD_BYTES_MAX];
    struct assay_buffer all = {0}, in = {0};
    struct assay_record_view record;
    assay_status status;
    size_t n = 0;

    memset(large, 'x', sizeof large);
    assay_record_add(&all, ASSAY_RECORD_DATA, "abc", 3);
    assay_record_add(&all, ASSAY_RECORD_BEAT, NULL, 0);
    assay_record_add(&all, ASSAY_RECORD_DATA, large, sizeof large);
    assay_record_add(&all, ASSAY_RECORD_ENDED, "why", 3);
    for (size_t i = 0; i < all.length; i++) { /* byte by byte */
        assay_buffer_add(&in, all.data + i, 1);
        while (assay_record_front(&in, &record, &status)) {
            static const size_t lengths[] = {3, 0, sizeof large, 3};

            assert_int_equal(record.length, lengths[n]);
            n++;
            assay_buffer_consume(&in, ASSAY_RECORD_HEADER_BYTES + record.length);
        }
        assert_int_equal(status, ASSAY_OK);
    }
    assert_int_equal(n, 4);
    assert_int_equal(in.length, 0);
    assert_int_equal(record.type, ASSAY_RECORD_ENDED);
    assay_buffer_done(&all);
    assay_buffer_done(&in);
}

static void
test_records_that_are_none(void **state ASSAY_UNUSED)
{
    static const char *const bad[] = {"\0\0\0", "\5\0\0", "\1\xff\xff\xff", "\1\xfd\x3f\0", "GET "};

    for (size_t i = 0; i < ASSAY_COUNT(bad); i++) {
        struct assay_buffer in = {0};
        struct assay_record_view record;
        assay_status status;

        assay_buffer_add(&in, bad[i], 4);
        assert_false(assay_record_front(&in, &record, &status));
        assert_int_equal(status, ASSAY_E_BAD_REQUEST);
        assay_buffer_done(&in);
    }
}

static void
test_whole_frames(void **state ASSAY_UNUSED)
{
    static const char two[] = "\2\0\0\0{}\3\0\0\0{ }\1";

    for (size_t length = 0; length < sizeof two - 1; length++) {
        size_t whole = length < 6 ? 0 : length < 13 ? 6 : 13;

        assert_int_equal(assay_frames_whole(two, length, 0), whole);
        if (whole > 0)
            assert_int_equal(assay_frames_whole(two, length, 6), whole);
    }
    assert_int_equal(assay_frames_whole("\xff\xff\xff\xff", 4, 0), 4); /* whoever reads objects */
}

static void
test_addresses(void **state ASSAY_UNUSED)
{
    static const char *const bad[] = {"",     ":7451",   "host",      "host:",   "host:-1",
                                      "::1:1", "h:65536", "[::1]",     "[]:7451", "h:7451x"};
    struct assay_address address = {0};

    for (size_t i = 0; i < ASSAY_COUNT(bad); i++)
        assert_int_equal(assay_address_parse(bad[i], &address, NULL), ASSAY_E_INVALID_VALUE);
    assert_int_equal(assay_address_parse("suggest.example:7451", &address, NULL), ASSAY_OK);
    assert_string_equal(address.host, "suggest.example");
    assert_string_equal(address.port, "7451");
    assay_address_done(&address);
    assert_int_equal(assay_address_parse("[::1]:0", &address, NULL), ASSAY_OK);
    assert_string_equal(address.host, "::1");
    assay_address_done(&address);
}

static void
test_loopback(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *text;
        bool loopback;
    } cases[] = {{"127.0.0.1:1", true},   {"127.9.9.9:1", true},         {"0.0.0.0:1", false},
                 {"192.0.2.1:1", false},  {"[::1]:1", true},             {"[::]:1", false},
                 {"[2001:db8::1]:1", false}, {"[::ffff:127.0.0.1]:1", true},
                 {"[::ffff:192.0.2.1]:1", false}};

    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct assay_address address = {0};
        struct addrinfo *list = NULL;

        assert_int_equal(assay_address_parse(cases[i].text, &address, NULL), ASSAY_OK);
        assert_int_equal(assay_address_resolve(&address, false, &list, NULL), ASSAY_OK);
        assert_int_equal(assay_address_is_loopback(list->ai_addr), cases[i].loopback);
        freeaddrinfo(list);
        assay_address_done(&address);
    }
}

static void
test_words_of_a_relay(void **state ASSAY_UNUSED)
{
    struct assay_protocol_reply reply;
    json_t *message = assay_protocol_ready();

    assert_int_equal(assay_protocol_reply_decode(message, &reply, NULL), ASSAY_OK);
    assert_int_equal(reply.kind, ASSAY_PROTOCOL_READY);
    json_decref(message);
    message = assay_protocol_gone(true, "why");
    assert_int_equal(assay_protocol_reply_decode(message, &reply, NULL), ASSAY_OK);
    assert_int_equal(reply.kind, ASSAY_PROTOCOL_GONE);
    assert_true(reply.away);
    assert_string_equal(reply.message, "why");
    json_object_del(message, "message");
    assert_int_equal(assay_protocol_reply_decode(message, &reply, NULL), ASSAY_E_BAD_REQUEST);
    json_decref(message);
    message = assay_protocol_gone(false, "\xff\xfe"); /* another machine's words */
    assert_int_equal(assay_protocol_reply_decode(message, &reply, NULL), ASSAY_OK);
    assert_false(reply.away);
    json_decref(message);
}

static void
test_ends(void **state ASSAY_UNUSED)
{
    static const struct {
        int64_t code;
        int signal;
        int64_t memory_bytes;
        const char *text;
    } cases[] = {
        {ASSAY_WORKER_EXIT_MEMORY, 0, INT64_C(1) << 30, "limit of 1Gi"},
        {ASSAY_WORKER_EXIT_MEMORY, 0, 0, "more memory than it may use"},
        {0, 9, 0, "was killed (signal 9)"},
        {0, 11, 0, "ended by signal 11"},
        {3, 0, 0, "exit code 3"},
    };

    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        assay_auto_free char *text = assay_worker_describe_end(
            cases[i].code, cases[i].signal, cases[i].memory_bytes);

        assert_non_null(strstr(text, cases[i].text));
    }
}

/* --- copying --- */

/* One end of a link with a local pipe, run in a thread. */
struct end {
    struct assay_link link;
    struct assay_copy copy;
    struct assay_error err;
    enum assay_copy_end how;
    int local; /* the test's side */
    pthread_t thread;
};

static void *
run_copy(void *arg)
{
    struct end *end = arg;

    end->how = assay_copy_run(&end->copy, &end->err);
    return NULL;
}

static void
start_end(struct end *end, int fd, bool whole_frames)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *end = (struct end){.local = pair[1]};
    assay_link_init(&end->link, fd);
    end->copy = (struct assay_copy){.link = &end->link,
                                    .in = pair[0],
                                    .out = pair[0],
                                    .stop_fd = -1,
                                    .silence_us = 60 * ASSAY_SECOND_US,
                                    .whole_frames = whole_frames};
    assert_int_equal(pthread_create(&end->thread, NULL, run_copy, end), 0);
}

static void
stop_end(struct end *end)
{
    pthread_join(end->thread, NULL);
    close(end->copy.in);
    close(end->local);
    assay_copy_done(&end->copy);
    assay_link_done(&end->link);
}

static void
write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);

        assert_true(n > 0);
        bytes += n;
        length -= (size_t)n;
    }
}

static void *
write_much(void *arg)
{
    char *block = assay_alloc(65536, 1);
    int fd = *(int *)arg;

    for (unsigned i = 0; i < 200; i++) {
        for (size_t k = 0; k < 65536; k++)
            block[k] = (char)(i * 31 + k % 251);
        write_all(fd, block, 65536);
    }
    free(block);
    return NULL;
}

/* Two ends, 13 MB each way at once, while the readers read in their own time. */
static void
test_copy_both_ways(void **state ASSAY_UNUSED)
{
    struct end near, far;
    pthread_t writers[2];
    int pair[2];
    char block[4096];
    size_t sums[2] = {0, 0};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    start_end(&near, pair[0], false);
    start_end(&far, pair[1], false);
    pthread_create(&writers[0], NULL, write_much, &near.local);
    pthread_create(&writers[1], NULL, write_much, &far.local);
    for (int side = 0; side < 2; side++) { /* the second waits for the first */
        int fd = side == 0 ? far.local : near.local;

        for (size_t got = 0; got < (size_t)200 * 65536;) {
            ssize_t n = read(fd, block, sizeof block);

            assert_true(n > 0);
            for (ssize_t k = 0; k < n; k++, got++) {
                size_t i = got / 65536, at = got % 65536;

                if (block[k] != (char)(i * 31 + at % 251))
                    fail_msg("byte %zu", got);
            }
            sums[side] += (size_t)n;
        }
    }
    pthread_join(writers[0], NULL);
    pthread_join(writers[1], NULL);
    assert_int_equal(sums[0], sums[1]);
    shutdown(near.local, SHUT_RDWR);
    pthread_join(near.thread, NULL);
    assert_int_equal(near.how, ASSAY_COPY_LOCAL);
    shutdown(near.link.fd, SHUT_RDWR);
    pthread_join(far.thread, NULL);
    assert_int_equal(far.how, ASSAY_COPY_LINK);
    close(near.copy.in), close(near.local), close(far.copy.in), close(far.local);
    assay_copy_done(&near.copy), assay_copy_done(&far.copy);
    assay_link_done(&near.link), assay_link_done(&far.link);
}

/* A worker dies in the middle of its answer: what was whole is handed on, the rest is not. */
static void
test_copy_whole_frames_only(void **state ASSAY_UNUSED)
{
    struct assay_buffer records = {0};
    struct end near;
    char got[64];
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assay_record_add(&records, ASSAY_RECORD_DATA, "\2\0\0\0{}\3\0", 8);
    assay_record_add(&records, ASSAY_RECORD_ENDED, "it died", 7);
    write_all(pair[1], records.data, records.length);
    start_end(&near, pair[0], true);
    assert_int_equal(read(near.local, got, sizeof got), 6);
    pthread_join(near.thread, NULL);
    assert_int_equal(near.how, ASSAY_COPY_ENDED);
    assert_string_equal(near.err.message, "it died");
    close(near.copy.in), close(near.local), close(pair[1]);
    assay_copy_done(&near.copy);
    assay_link_done(&near.link);
    assay_buffer_done(&records);
}

static void
test_copy_nonsense(void **state ASSAY_UNUSED)
{
    struct end near;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    start_end(&near, pair[0], true);
    write_all(pair[1], "HTTP/1.1 400\r\n", 14);
    stop_end(&near);
    assert_int_equal(near.how, ASSAY_COPY_LINK);
    assert_non_null(strstr(near.err.message, "makes no sense"));
    close(pair[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_records_that_are_none),
        cmocka_unit_test(test_whole_frames),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_words_of_a_relay),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_copy_both_ways),
        cmocka_unit_test(test_copy_whole_frames_only),
        cmocka_unit_test(test_copy_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

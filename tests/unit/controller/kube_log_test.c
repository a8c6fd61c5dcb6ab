/* Following a container's log over connections that break: every line once, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/kube_api/log.h"
#include "tests/unit/controller/kube_server.h"

#define FOLLOW "follow=true"
#define T(second) "2026-01-02T03:04:" second "Z "
#define SINCE(second) "sinceTime=2026-01-02T03:04:" second "Z"

struct stage {
    uv_loop_t loop;
    struct kube_server *server;
    struct assay_kube_config config;
    struct assay_kube_client *client;
    struct assay_kube_log *log;
    struct assay_buffer told; /* lines with "|" */
    int64_t newest_us;
    size_t wanted_length;
    bool ended;
    char fault[256];
};

static void
on_line(void *arg, int64_t time_us, const char *bytes, size_t length)
{
    struct stage *stage = arg;

    stage->newest_us = time_us;
    assay_buffer_add(&stage->told, bytes, length);
    assay_buffer_puts(&stage->told, "|");
}

static void
on_pause(void *arg)
{
    (void)arg;
}

static void
on_ended(void *arg, const char *fault)
{
    struct stage *stage = arg;

    assert_false(stage->ended);
    stage->ended = true;
    snprintf(stage->fault, sizeof stage->fault, "%s", fault != NULL ? fault : "");
}

static bool
enough(void *arg)
{
    const struct stage *stage = arg;

    return stage->told.length >= stage->wanted_length;
}

static bool
has_ended(void *arg)
{
    return ((const struct stage *)arg)->ended;
}

static void
stage_open(struct stage *stage, const struct kube_step *steps, size_t n)
{
    struct assay_error err = {0};

    *stage = (struct stage){0};
    uv_loop_init(&stage->loop);
    stage->server = kube_server_start(steps, n, NULL);
    stage->config.server = assay_format("http://127.0.0.1:%d", stage->server->port);
    assert_int_equal(assay_kube_client_new(
                         &(struct assay_kube_client_options){
                             .loop = &stage->loop,
                             .config = &stage->config,
                         },
                         &stage->client, &err),
                     ASSAY_OK);
    stage->log = assay_kube_log_new(&(struct assay_kube_log_options){
        .client = stage->client,
        .loop = &stage->loop,
        .path = "/log?container=trial",
        .line = on_line,
        .pause = on_pause,
        .ended = on_ended,
        .arg = stage,
    });
}

static void
stage_close(struct stage *stage)
{
    assay_kube_log_end(stage->log);
    assay_kube_client_close(stage->client);
    uv_run(&stage->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&stage->loop), 0);
    assay_kube_client_free(stage->client);
    kube_server_stop(stage->server);
    free(stage->config.server);
    assay_buffer_done(&stage->told);
}

static void
reads(struct stage *stage, const char *wanted)
{
    stage->wanted_length = strlen(wanted);
    kube_run_until(&stage->loop, enough, stage);
    assert_string_equal(stage->told.data != NULL ? stage->told.data : "", wanted);
}

static void
finishes(struct stage *stage, const char *wanted, const char *fault)
{
    assay_kube_log_finish(stage->log);
    assert_true(kube_run_until(&stage->loop, has_ended, stage));
    assert_string_equal(stage->fault, fault);
    assert_string_equal(stage->told.data != NULL ? stage->told.data : "", wanted);
    assert_int_equal(kube_unexpected(stage->server), 0);
}

static void
cut_and_resumed(void **state)
{
    struct kube_step steps[] = {
        /* Half a line is none. */
        {.match = FOLLOW,
         .stream = true,
         .then = KUBE_CUT,
         .body = T("05.000000001") "a\n" T("05.5") "b\n" T("07.000000003") "c\n" T("07.1") "hal"},
        /* From the second before the newest's; what is older can not come again. */
        {.match = SINCE("06"),
         .stream = true,
         .then = KUBE_CUT,
         .body = T("07.000000003") "c\n" T("07.1") "half\n" T("07.2") "d\n"},
        {.match = SINCE("06"), .stream = true, .then = KUBE_CUT},
        {.match = SINCE("06"),
         .stream = true,
         .then = KUBE_HOLD,
         .body = T("07.000000003") "c\n" T("07.1") "half\n" T("07.2") "d\n" T("09") "e\n"},
    };
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps));
    reads(&stage, "a|b|c|half|d|e|");
    assert_int_equal(stage.newest_us % (60 * ASSAY_SECOND_US), 9 * ASSAY_SECOND_US);
    assert_int_equal(kube_unexpected(stage.server), 0);
    stage_close(&stage);
}

/* Alike to the nanosecond: counted. */
static void
lines_alike(void **state)
{
    struct kube_step steps[] = {
        {.match = FOLLOW,
         .stream = true,
         .then = KUBE_CUT,
         .body = T("05.1") "same\n" T("05.1") "same\n" T("05.1") "other\n" T("05.1") "same\n"},
        {.match = FOLLOW,
         .stream = true,
         .then = KUBE_CUT,
         .body = T("05.1") "same\n" T("05.1") "same\n" T("05.1") "other\n" T("05.1") "same\n" T(
             "05.1") "same\n" T("05.1") "other\n"},
        {.match = FOLLOW,
         .stream = true,
         .then = KUBE_HOLD,
         .body = T("05.1") "same\n" T("05.1") "same\n" T("05.1") "other\n" T("05.1") "same\n" T(
             "05.1") "same\n" T("05.1") "other\n" T("05.1") "end\n"},
    };
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps));
    reads(&stage, "same|same|other|same|same|other|end|");
    stage_close(&stage);
}

/* stdout and stderr are stamped apart: a line may stand behind a younger one. */
static void
late_line(void **state)
{
    struct kube_step steps[] = {
        {.match = FOLLOW,
         .stream = true,
         .then = KUBE_CUT,
         .body = T("05.9") "out\n" T("06.1") "out\n" T("05.95") "err\n"},
        {.match = SINCE("05"),
         .stream = true,
         .then = KUBE_HOLD,
         .body = T("05.9") "out\n" T("06.1") "out\n" T("05.95") "err\n" T("05.96") "late\n"},
    };
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps));
    reads(&stage, "out|out|err|late|");
    stage_close(&stage);
}

/* Longer than what is told at once: in pieces that are the same in every reading. */
static void
long_line(void **state)
{
    size_t length = 700 * 1024, piece = 256 * 1024;
    struct assay_buffer whole = {0}, half = {0}, wanted = {0};
    struct stage stage;

    (void)state;
    assay_buffer_puts(&whole, T("05.1"));
    for (size_t i = 0; whole.length < length; i++)
        assay_buffer_printf(&whole, "%zu.", i);
    assay_buffer_add(&half, whole.data, 400 * 1024);
    assay_buffer_puts(&whole, "\n" T("05.2") "next\n");
    for (size_t at = strlen(T("05.1")), end = piece; at < length; at = end, end += piece) {
        size_t stop = ASSAY_MIN(end, (size_t)(strchr(whole.data, '\n') - whole.data));

        assay_buffer_add(&wanted, whole.data + at, stop - at);
        assay_buffer_puts(&wanted, "|");
    }
    assay_buffer_puts(&wanted, "next|");
    {
        struct kube_step steps[] = {
            {.match = FOLLOW, .stream = true, .then = KUBE_CUT, .body = half.data},
            {.match = FOLLOW, .stream = true, .then = KUBE_CUT, .body = whole.data},
            {.match = FOLLOW, .stream = true, .then = KUBE_HOLD, .body = whole.data},
        };

        stage_open(&stage, steps, ASSAY_COUNT(steps));
        reads(&stage, wanted.data);
        stage_close(&stage);
    }
    assay_buffer_done(&whole);
    assay_buffer_done(&half);
    assay_buffer_done(&wanted);
}

/* Many lines within a second, cut and resumed: not a matter of their number squared. */
static void
many_lines(void **state)
{
    struct assay_buffer first = {0}, second = {0}, wanted = {0};
    size_t n = 20000;
    struct stage stage;

    (void)state;
    for (size_t i = 0; i < 2 * n; i++) {
        assay_buffer_printf(&second, T("05.%06zu") "%zu\n", i, i);
        if (i < n)
            assay_buffer_printf(&first, T("05.%06zu") "%zu\n", i, i);
        assay_buffer_printf(&wanted, "%zu|", i);
    }
    {
        struct kube_step steps[] = {
            {.match = FOLLOW, .stream = true, .then = KUBE_CUT, .body = first.data},
            {.match = FOLLOW, .stream = true, .then = KUBE_HOLD, .body = second.data},
        };

        stage_open(&stage, steps, ASSAY_COUNT(steps));
        reads(&stage, wanted.data);
        stage_close(&stage);
    }
    assay_buffer_done(&first);
    assay_buffer_done(&second);
    assay_buffer_done(&wanted);
}

/* The stream ends by itself, after the container or before it is known to have ended. */
static void
read_to_the_end(void **state)
{
    struct kube_step steps[] = {
        {.match = FOLLOW, .code = 400, .body = "{\"message\":\"ContainerCreating\"}"},
        {.match = FOLLOW, .stream = true, .body = T("05.1") "a\n"},
        {.match = FOLLOW, .stream = true, .then = KUBE_HOLD, .body = T("05.1") "a\n"},
        /* No follow: the rest, twice because the first time breaks. */
        {.match = "/log?container=trial&timestamps=true&sinceTime=",
         .stream = true,
         .then = KUBE_CUT,
         .body = T("05.1") "a\n" T("05.2") "b\n"},
        {.match = "/log?container=trial&timestamps=true&sinceTime=",
         .stream = true,
         .body = T("05.1") "a\n" T("05.2") "b\n" T("05.3") "no end"},
    };
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps));
    reads(&stage, "a|");
    finishes(&stage, "a|b|no end|", "");
    stage_close(&stage);
}

static void
nothing_left(void **state)
{
    struct kube_step steps[] = {
        {.match = FOLLOW, .stream = true, .then = KUBE_CUT, .body = T("05.1") "a\n"},
        {.code = 404, .body = "{\"message\":\"pods \\\"p\\\" not found\"}"},
        {.code = 404, .body = "{\"message\":\"pods \\\"p\\\" not found\"}"},
    };
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps));
    reads(&stage, "a|");
    finishes(&stage, "a|", "pods \"p\" not found (404)");
    stage_close(&stage);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_and_resumed), cmocka_unit_test(lines_alike),
        cmocka_unit_test(late_line),       cmocka_unit_test(long_line),
        cmocka_unit_test(many_lines),      cmocka_unit_test(read_to_the_end),
        cmocka_unit_test(nothing_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Lists and watches against a server that follows a script: what is told, from where it goes
 * on, and that nothing that comes is believed which is no event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/kube_api/watch.h"
#include "tests/unit/controller/kube_server.h"

#define LIST "GET /pods?limit="
#define WATCH "GET /pods?watch=1"
#define ITEM(name) "{\"metadata\":{\"name\":\"" name "\"}}"
#define PAGE(version, more, items)                                                                 \
    "{\"metadata\":{\"resourceVersion\":\"" version "\"" more "},\"items\":[" items "]}"
#define EVENT(type, name, version)                                                                 \
    "{\"type\":\"" type "\",\"object\":{\"metadata\":{\"name\":\"" name                            \
    "\",\"resourceVersion\":\"" version "\"}}}\n"
#define ERROR(code)                                                                                \
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":" code                           \
    ",\"message\":\"too old resource version\"}}\n"
#define TOO_OLD "{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}"

struct stage {
    uv_loop_t loop;
    struct kube_server *server;
    struct assay_kube_config config;
    struct assay_kube_client *client;
    struct assay_kube_watch *watch;
    struct assay_buffer told; /* "+a -b * !sentence" */
    const char *wanted;
    const char *known; /* by another answer, as soon as something is put */
};

static void
on_put(void *arg, const json_t *object)
{
    struct stage *stage = arg;

    if (stage->known != NULL)
        assay_kube_watch_know(stage->watch, stage->known);
    stage->known = NULL;
    assay_buffer_printf(
        &stage->told, "+%s ",
        json_string_value(json_object_get(json_object_get(object, "metadata"), "name")));
}

static void
on_gone(void *arg, const char *name)
{
    struct stage *stage = arg;

    assay_buffer_printf(&stage->told, "-%s ", name);
}

static void
on_synced(void *arg)
{
    struct stage *stage = arg;

    assay_buffer_puts(&stage->told, "* ");
}

static void
on_failed(void *arg, const char *sentence)
{
    struct stage *stage = arg;

    assay_buffer_printf(&stage->told, "!%s ", sentence);
}

static bool
as_wanted(void *arg)
{
    const struct stage *stage = arg;

    return stage->told.length >= strlen(stage->wanted);
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
    stage->watch = assay_kube_watch_new(&(struct assay_kube_watch_options){
        .client = stage->client,
        .loop = &stage->loop,
        .path = "/pods",
        .selector = "app%3Dx",
        .events = {.put = on_put,
                   .gone = on_gone,
                   .synced = on_synced,
                   .failed = on_failed,
                   .arg = stage},
    });
}

static void
stage_close(struct stage *stage)
{
    assay_kube_watch_end(stage->watch);
    assay_kube_client_close(stage->client);
    uv_run(&stage->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&stage->loop), 0);
    assay_kube_client_free(stage->client);
    kube_server_stop(stage->server);
    free(stage->config.server);
    assay_buffer_done(&stage->told);
}

/* Plays the script until so much was told, exactly. */
static void
plays(const struct kube_step *steps, size_t n, const char *wanted, struct stage *stage)
{
    stage_open(stage, steps, n);
    stage->wanted = wanted;
    kube_run_until(&stage->loop, as_wanted, stage);
    assert_string_equal(stage->told.data != NULL ? stage->told.data : "", wanted);
    assert_int_equal(kube_unexpected(stage->server), 0);
}

static void
pages_then_events(void **state)
{
    struct kube_step steps[] = {
        {.match = LIST, .body = PAGE("10", ",\"continue\":\"next\"", ITEM("a") "," ITEM("b"))},
        {.match = "continue=next", .body = PAGE("10", "", ITEM("c"))},
        {.match = WATCH,
         .body = EVENT("ADDED", "d", "11") EVENT("MODIFIED", "a", "12") EVENT("DELETED", "b", "13")
             EVENT("DELETED", "unheard-of", "14"),
         .stream = true,
         .then = KUBE_HOLD},
    };
    struct stage stage;

    (void)state;
    plays(steps, ASSAY_COUNT(steps), "+a +b +c * +d +a -b ", &stage);
    assert_int_equal(kube_asked(stage.server, "resourceVersion=10"), 1);
    assert_int_equal(kube_asked(stage.server, "labelSelector=app%3Dx"), 3);
    stage_close(&stage);
}

/* A cut goes on behind the last version, bookmarks included; half an event comes again. */
static void
cut_and_resumed(void **state)
{
    struct kube_step steps[] = {
        {.match = LIST, .body = PAGE("10", "", ITEM("a"))},
        {.match = "resourceVersion=10",
         .body = EVENT("MODIFIED", "a", "11"),
         .stream = true,
         .then = KUBE_CUT},
        {.match = "resourceVersion=11",
         .body = "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"40\"}}}\n"
                 "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"na",
         .stream = true,
         .then = KUBE_CUT},
        {.match = "resourceVersion=40", .stream = true}, /* ends well, as after its time */
        {.match = "resourceVersion=40",
         .body = EVENT("ADDED", "b", "41"),
         .stream = true,
         .then = KUBE_HOLD},
    };
    struct stage stage;

    (void)state;
    plays(steps, ASSAY_COUNT(steps), "+a * +a +b ", &stage);
    assert_int_equal(kube_asked(stage.server, LIST), 1);
    stage_close(&stage);
}

/* Too old, said by an event or by the answer: a new list, and what has vanished is gone. */
static void
too_old(void **state)
{
    struct kube_step steps[] = {
        {.match = LIST, .body = PAGE("10", "", ITEM("a") "," ITEM("b"))},
        {.match = WATCH, .body = ERROR("410"), .stream = true, .then = KUBE_HOLD},
        {.match = LIST, .body = PAGE("50", "", ITEM("b") "," ITEM("c"))},
        {.match = "resourceVersion=50", .code = 410, .body = TOO_OLD},
        {.match = LIST, .body = PAGE("60", "", ITEM("c"))},
        {.match = "resourceVersion=60", .stream = true, .then = KUBE_HOLD},
    };
    struct stage stage;

    (void)state;
    plays(steps, ASSAY_COUNT(steps), "+a +b * +b +c -a * +c -b * ", &stage);
    stage_close(&stage);
}

/* Made during the first list, which may miss it, and deleted before the watch told of either:
 * what it would have told is too old, and the second list lacks it. */
static void
gone_before_it_was_told(void **state)
{
    struct kube_step steps[] = {
        {.match = LIST, .body = PAGE("10", "", ITEM("a"))},
        {.match = WATCH, .body = ERROR("410"), .stream = true, .then = KUBE_HOLD},
        {.match = LIST, .body = PAGE("50", "", ITEM("a"))},
        {.match = "resourceVersion=50", .stream = true, .then = KUBE_HOLD},
    };
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps));
    stage.known = "b";
    stage.wanted = "+a * +a -b * ";
    kube_run_until(&stage.loop, as_wanted, &stage);
    assert_string_equal(stage.told.data, stage.wanted);
    stage_close(&stage);
}

static void
page_too_old(void **state)
{
    struct kube_step steps[] = {
        {.match = LIST, .body = PAGE("10", ",\"continue\":\"next\"", ITEM("a"))},
        {.match = "continue=next", .code = 410, .body = TOO_OLD},
        {.match = LIST, .body = PAGE("20", ",\"continue\":\"more\"", ITEM("b"))},
        {.match = "continue=more", .body = PAGE("20", "", ITEM("c"))},
        {.match = "resourceVersion=20", .stream = true, .then = KUBE_HOLD},
    };
    struct stage stage;

    (void)state;
    plays(steps, ASSAY_COUNT(steps), "+a +b +c -a * ", &stage);
    stage_close(&stage);
}

/* What is no event: nothing can be known but by a new list. */
static void
rubbish(void **state)
{
    static const char *const lines[] = {
        "this is not JSON\n", "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"x\"\n",
        "[1,2,3]\n",          "{\"object\":{\"metadata\":{\"name\":\"x\"}}}\n",
        ERROR("500"),
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(lines); i++) {
        struct kube_step steps[] = {
            {.match = LIST, .body = PAGE("10", "", ITEM("a"))},
            {.match = WATCH, .body = lines[i], .stream = true, .then = KUBE_HOLD},
            {.match = LIST, .body = PAGE("20", "", ITEM("b"))},
            {.match = "resourceVersion=20", .stream = true, .then = KUBE_HOLD},
        };
        struct stage stage;

        plays(steps, ASSAY_COUNT(steps), "+a * +b -a * ", &stage);
        stage_close(&stage);
    }
}

static void
endless_line(void **state)
{
    size_t length = (size_t)9 << 20;
    char *line = assay_alloc(length + 1, 1);
    struct kube_step steps[] = {
        {.match = LIST, .body = PAGE("10", "", ITEM("a"))},
        {.match = WATCH, .body = line, .stream = true, .then = KUBE_HOLD},
        {.match = LIST, .body = PAGE("20", "", ITEM("a"))},
        {.match = "resourceVersion=20", .stream = true, .then = KUBE_HOLD},
    };
    struct stage stage;

    (void)state;
    memset(line, 'x', length);
    line[length] = '\0';
    plays(steps, ASSAY_COUNT(steps), "+a * +a * ", &stage);
    stage_close(&stage);
    free(line);
}

/* Refusals are told in the server's words, and tried again. */
static void
refused(void **state)
{
    struct kube_step steps[] = {
        {.match = LIST, .code = 403, .body = "{\"message\":\"pods is forbidden\"}"},
        {.match = LIST, .body = "{\"kind\":\"a list of nothing\"}"},
        {.match = LIST, .body = PAGE("10", "", ITEM("a"))},
        {.match = WATCH, .code = 403, .body = "{\"message\":\"may not watch\"}"},
        {.match = WATCH, .body = EVENT("DELETED", "a", "11"), .stream = true, .then = KUBE_HOLD},
    };
    struct stage stage;

    (void)state;
    plays(steps, ASSAY_COUNT(steps),
          "!pods is forbidden (403) ! (200) +a * !may not watch (403) -a ", &stage);
    stage_close(&stage);
}

static void
asked_to_wait(void **state)
{
    struct kube_step steps[] = {
        {.match = LIST, .body = PAGE("10", "", "")},
        {.match = WATCH,
         .code = 429,
         .headers = "Retry-After: 1\r\n",
         .body = "{\"message\":\"busy\"}"},
        {.match = WATCH, .body = EVENT("ADDED", "a", "11"), .stream = true, .then = KUBE_HOLD},
    };
    int64_t before_us = assay_monotonic_us();
    struct stage stage;

    (void)state;
    plays(steps, ASSAY_COUNT(steps), "* +a ", &stage);
    assert_true(assay_monotonic_us() - before_us >= ASSAY_SECOND_US);
    stage_close(&stage);
}

static bool
has_watched(void *arg)
{
    return kube_asked(((const struct stage *)arg)->server, WATCH) > 0;
}

/* A server that cuts at once again and again is not asked as fast as it answers. */
static void
backs_off(void **state)
{
    struct kube_step steps[KUBE_STEPS_MAX];
    struct stage stage;
    size_t asked;

    (void)state;
    steps[0] = (struct kube_step){.match = LIST, .body = PAGE("10", "", ITEM("a"))};
    for (size_t i = 1; i < KUBE_STEPS_MAX; i++)
        steps[i] = (struct kube_step){.match = WATCH, .stream = true, .then = KUBE_CUT};
    stage_open(&stage, steps, KUBE_STEPS_MAX);
    assert_true(kube_run_until(&stage.loop, has_watched, &stage));
    for (int64_t until_us = assay_monotonic_us() + ASSAY_SECOND_US;
         assay_monotonic_us() < until_us;) {
        uv_run(&stage.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    asked = kube_asked(stage.server, WATCH);
    assert_in_range(asked, 1, 8); /* at most after 0, 50, 150, 350, 750 … ms */
    stage_close(&stage);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_then_events), cmocka_unit_test(cut_and_resumed),
        cmocka_unit_test(too_old),
        cmocka_unit_test(gone_before_it_was_told),
        cmocka_unit_test(page_too_old),
        cmocka_unit_test(rubbish),
        cmocka_unit_test(endless_line),
        cmocka_unit_test(refused),
        cmocka_unit_test(asked_to_wait),
        cmocka_unit_test(backs_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

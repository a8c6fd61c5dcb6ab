/* Metric values in lines of output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/filter.h"
#include "trial-runner/line_feed.h"
#include "schemas/metric_book.h"
#include "schemas/metric_line.h"

static const char *const known[] = {"loss", "val/acc", "valid_1 auc", "a|b-c", "Score"};

/* "name=value;…" and, where the line has one, "@step". */
static char *
read_line(const char *filter, const char *bytes, size_t length)
{
    struct assay_metric_pattern *pattern;
    struct assay_metric_line line = {0};
    struct assay_buffer text = {0};

    assert_int_equal(assay_metric_pattern_new(known, ASSAY_COUNT(known), filter, &pattern, NULL),
                     ASSAY_OK);
    assay_metric_line_read(pattern, bytes, length, &line);
    for (size_t i = 0; i < line.count; i++) {
        char value[ASSAY_DOUBLE_TEXT];

        assay_print_double(line.pairs[i].value, value);
        assay_buffer_printf(&text, "%s=%s;", assay_metric_line_name(&line, i), value);
    }
    if (line.step >= 0)
        assay_buffer_printf(&text, "@%lld", (long long)line.step);
    assay_metric_line_done(&line);
    assay_metric_pattern_free(pattern);
    return assay_buffer_steal(&text);
}

struct row {
    const char *line, *wanted;
};

static void
check(const char *filter, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assay_auto_free char *found = read_line(filter, rows[i].line, strlen(rows[i].line));

        if (strcmp(found, rows[i].wanted) != 0)
            fail_msg("\"%s\": \"%s\", should be \"%s\"", rows[i].line, found, rows[i].wanted);
    }
}
#define CHECK(filter, ...)                                                                         \
    do {                                                                                           \
        static const struct row rows[] = {__VA_ARGS__};                                            \
        check(filter, rows, ASSAY_COUNT(rows));                                                    \
    } while (0)

static void
katibs_default_format(void **state)
{
    (void)state;
    CHECK(NULL, {"loss=0.3", "loss=0.3;"}, {"loss=.98", "loss=0.98;"},
          {"Score=-7.53e-05", "Score=-7.53e-05;"}, {"loss=1E0", "loss=1;"},
          {"loss = 0.3", "loss=0.3;"}, {"loss\t=\t+0.3", "loss=0.3;"}, {"a|b-c=2", "a|b-c=2;"},
          {"loss=0.5 loss=0.25", "loss=0.5;loss=0.25;"}, {"(loss=3)", "loss=3;"},
          {"x.loss=0.3", "loss=0.3;"}, {"my-loss = 0.3 ok", ""}, {"my_loss = 0.3 ok", ""},
          {"my-loss=0.3", "my-loss=0.3;"},
          {"2026-01-01T00:00:00Z INFO     Train Epoch: 1 [0/60000 (0%)]\tloss=2.3012",
           "loss=2.3012;@1"},
          {"loss=", ""}, {"loss=abc", ""}, {"loss==3", ""}, {"loss <= 3", ""}, {"loss != 3", ""},
          {"loss=0.3s", "loss=0.3;"}, {"loss=1e", "loss=1;"}, {"loss=1e5x", "loss=100000;"});
}

static void
numbers_are_read_as_what_they_are(void **state)
{
    (void)state;
    CHECK(NULL, {"loss=nan", "loss=nan;"}, {"loss=NaN", "loss=nan;"}, {"loss=-nan", "loss=nan;"},
          {"loss=inf", "loss=inf;"}, {"loss=-Infinity,", "loss=-inf;"}, {"loss=info", ""},
          {"loss=nano", ""}, {"loss=1.", "loss=1;"}, {"loss=1.e2", "loss=100;"}, {"loss=.", ""},
          {"loss=-", ""}, {"loss=+.5", "loss=0.5;"}, {"loss=0x10", ""}, {"loss=e5", ""},
          {"loss=1e999", "loss=inf;"}, {"loss=97.5%", "loss=97.5;"}, {"loss=12.5ms", "loss=12.5;"},
          {"loss=0.25.", "loss=0.25;"}, {"loss=00012", "loss=12;"},
          {"loss=1e-300", "loss=1e-300;"});
}

static void
colons_quotes_and_known_names(void **state)
{
    (void)state;
    CHECK(NULL, {"loss: 0.3", "loss=0.3;"}, {"{'loss': 0.3, 'x': 4}", "loss=0.3;"},
          {"best loss: 0.3 (yeah)", "loss=0.3;"}, {"val/acc: 0.9", "val/acc=0.9;"},
          {"val/acc=0.9 loss=1", "val/acc=0.9;loss=1;"}, {"x/loss: 3 ok", ""},
          {"valid_1 auc : 0.75", "valid_1 auc=0.75;"}, {"valid_1 auc=0.75", "valid_1 auc=0.75;"},
          {"Epoch 1/3 - loss: 0.5 - foo: 2", "loss=0.5;"}, {"\"loss\": 3,", "loss=3;"},
          {"{'loss': nan, 'epoch': 1.0}", "loss=nan;@1"}, {"loss:0.5,", "loss=0.5;"});
}

static void
other_names_need_to_look_meant(void **state)
{
    (void)state;
    CHECK(NULL, {"acc=0.9", "acc=0.9;"},
          {"acc=0.9, f1=0.8; time=12.3s", "acc=0.9;f1=0.8;time=12.3;"}, {"[acc=0.9]", "acc=0.9;"},
          {"train/acc=0.5", "train/acc=0.5;"}, {"acc = 0.9 yes", ""}, {"--lr=0.1", ""},
          {"http://x/?a=1&b=2", ""}, {"date=2026-01-01", ""}, {"at=10:30", ""},
          {"version=1.2.3", ""}, {"size=3x4", ""}, {"a.b(c=3)", "c=3;"}, {"ip=127.0.0.1", ""},
          {"x: 3 is it", ""}, {"x: 3", "x=3;"}, {"x: 3, y: 4 - z: 5", "x=3;y=4;z=5;"},
          {"x: 3 y = 4", "x=3;y=4;"}, {"x: 3 y", ""}, {"10:30:00 done", ""},
          {"File \"x.py\", line 3", ""}, {"a=b=0.5", ""}, {"3=4", ""}, {"_x=4", "_x=4;"});
}

static void
steps(void **state)
{
    (void)state;
    CHECK(NULL, {"step=3 loss=1", "loss=1;@3"}, {"loss=1 epoch=7", "loss=1;@7"},
          {"global_step: 100 loss: 1", "loss=1;@100"},
          {"global_step=9 epoch=2 step=5 loss=1", "loss=1;@5"}, {"Epoch=2 loss=1", "loss=1;@2"},
          {"epoch=1.0 loss=1", "loss=1;@1"}, {"epoch=0.5 loss=1", "loss=1;"},
          {"step=-1 loss=1", "loss=1;"}, {"step=nan loss=1", "loss=1;"},
          {"step=1e300 loss=1", "loss=1;"}, {"epoch=3", "@3"}, {"step=0 loss=1", "loss=1;@0"},
          {"my_step=3 loss=1", "my_step=3;loss=1;"});
}

static void
json_lines(void **state)
{
    (void)state;
    CHECK(
        NULL, {"{\"loss\": 0.3, \"acc\": 1}", "loss=0.3;acc=1;"},
        {"{\"loss\": \"0.3\", \"note\": \"7\", \"step\": 4}", "loss=0.3;@4"},
        {"  {\"loss\": NaN, \"x\": -Infinity} ", "loss=nan;x=-inf;"},
        {"{\"loss\": \"nan\", \"x\": \"inf\"}", "loss=nan;x=inf;"},
        {"{\"metrics\": {\"loss\": 0.25}, \"epoch\": 2}", "loss=0.25;@2"},
        {"{\"timestamp\": 1700000000.5, \"loss\": \"0.5\", \"global_step\": \"3\"}", "loss=0.5;@3"},
        {"{\"s\": \"NaN loss=4\", \"loss\": 1}", "loss=1;"},
        {"{\"loss\": true, \"acc\": null, \"l\": [1]}", ""}, {"{\"loss\": 0.3", "loss=0.3;"},
        {"{}", ""}, {"{\"loss\": 1e999}", "loss=inf;"});
}

static void
junk_is_harmless(void **state)
{
    static const char zeros[] = "\0loss=1\0x=2\0";
    assay_auto_free char *found = read_line(NULL, zeros, sizeof zeros - 1);
    char *deep = assay_alloc(60000, 1);

    (void)state;
    assert_string_equal(found, "loss=1;x=2;");
    CHECK(NULL, {"", ""}, {"=", ""}, {":", ""}, {"=1", ""}, {":1", ""}, {" =1", ""}, {"'=1", ""},
          {"\x1b[1;32mloss\x1b[0m=\x1b[33m0.5\x1b[0m", "loss=0.5;"}, {"\x1b[", ""}, {"\x1b[9", ""},
          {"\xff\xfe=3 loss=2", "loss=2;"}, {"\xc3\xa9=3", ""});
    memset(deep, '[', 60000);
    memcpy(deep, "{\"a\":", 5);
    deep[59999] = '}';
    free(read_line(NULL, deep, 60000));
    /* Quadratic work would show here. */
    for (size_t i = 0; i + 4 <= 60000; i += 4)
        memcpy(deep + i, "a=1 ", 4);
    free(read_line(NULL, deep, 60000));
    memset(deep, '=', 60000);
    free(read_line(NULL, deep, 60000));
    memset(deep, 'a', 59999);
    free(read_line(NULL, deep, 60000));
    for (size_t i = 0; i + 2 <= 60000; i += 2)
        memcpy(deep + i, " :", 2);
    free(read_line(NULL, deep, 60000));
    free(deep);
}

static void
a_filter_replaces_the_formats(void **state)
{
    (void)state;
    CHECK("{metricName: ([\\w|-]+), metricValue: ((-?\\d+)(\\.\\d+)?)}",
          {"INFO {metricName: accuracy, metricValue: 0.9621};{metricName: loss, metricValue: 0.1}",
           "accuracy=0.9621;loss=0.1;"},
          {"loss=4", ""}, {"step=3 {metricName: loss, metricValue: 1}", "loss=1;@3"});
    CHECK("'([\\w|-]+)'\\s*:\\s*([+-]?\\d*(\\.\\d+)?([Ee][+-]?\\d+)?)",
          {"{'loss': 2.5, 'epoch': 3.0}", "loss=2.5;epoch=3;@3"});
    CHECK("(\\w+\\s\\w+)\\s:\\s((-?\\d+)(\\.\\d+)?)",
          {"[10]\tvalid_1 auc : 0.75", "valid_1 auc=0.75;"});
    CHECK("score is (\\S+)", {"the score is 1.5 now", "loss=1.5;"}, {"the score is high", ""});
    CHECK(ASSAY_FILTER_KATIB, {"loss=0.3 acc = .5", "loss=0.3;acc=0.5;"}, {"loss=nan", ""});
}

static void
the_locale_does_not_matter(void **state)
{
    (void)state;
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL)
        setlocale(LC_ALL, "C.UTF-8");
    CHECK(NULL, {"loss=0.5", "loss=0.5;"}, {"{\"loss\": 0.5}", "loss=0.5;"});
    setlocale(LC_ALL, "C");
}

/* --- lines and books ---------------------------------------------------------------------- */

static void
collect(void *arg, const char *bytes, size_t length)
{
    assay_buffer_printf(arg, "<%.*s>", (int)ASSAY_MIN(length, 20), bytes);
}

static void
streams_are_cut_into_lines(void **state)
{
    struct assay_buffer out = {0};
    struct assay_line_feed feed = {.on_line = collect, .arg = &out};
    static const char text[] = "one\ntwo\r\nthree\rfour\n\nfi";
    char *block = assay_alloc(200000, 1);

    (void)state;
    assay_line_feed_add(&feed, text, strlen(text));
    assay_line_feed_add(&feed, "ve\n", 3);
    assay_line_feed_add(&feed, "six", 3);
    assay_line_feed_end(&feed);
    assert_string_equal(out.data, "<one><two><three><four><five><six>");
    /* One byte at a time is the same. */
    assay_buffer_clear(&out);
    for (size_t i = 0; i < strlen(text); i++)
        assay_line_feed_add(&feed, text + i, 1);
    assay_line_feed_end(&feed);
    assert_string_equal(out.data, "<one><two><three><four><fi>");
    /* An endless line is handed over once, cut. */
    assay_buffer_clear(&out);
    memset(block, 'x', 200000);
    assay_line_feed_add(&feed, block, 200000);
    assay_line_feed_add(&feed, block, 200000);
    assay_line_feed_add(&feed, "\nnext\n", 6);
    assert_string_equal(out.data, "<xxxxxxxxxxxxxxxxxxxx><next>");
    free(block);
    assay_line_feed_done(&feed);
    assay_buffer_done(&out);
}

static void
a_book_counts_steps(void **state)
{
    struct assay_metric_book *book = assay_metric_book_new(known, 3, 2);
    json_t *last;
    int64_t step = 0;

    (void)state;
    assert_non_null(assay_metric_book_enter(book, "loss", -1, 0.5, &step));
    assert_int_equal(step, 1);
    assert_non_null(assay_metric_book_enter(book, "loss", -1, 0.4, &step));
    assert_int_equal(step, 2);
    assert_non_null(assay_metric_book_enter(book, "acc", -1, 0.4, &step));
    assert_int_equal(step, 1);
    assert_non_null(assay_metric_book_enter(book, "loss", 10, 0.3, &step));
    assert_int_equal(step, 10);
    assert_non_null(assay_metric_book_enter(book, "loss", -1, NAN, &step));
    assert_int_equal(step, 11);
    assert_false(assay_metric_book_has_objectives(book));
    assert_non_null(assay_metric_book_enter(book, "val/acc", -1, 1, &step));
    assert_true(assay_metric_book_has_objectives(book));
    last = assay_metric_book_last(book);
    assert_int_equal(json_object_size(last), 3);
    assert_string_equal(json_string_value(json_object_get(last, "loss")), "nan");
    json_decref(last);
    assert_null(assay_metric_book_enter(book, "bad \xff", -1, 1, &step));
    assert_null(assay_metric_book_enter(book, "two\nlines", -1, 1, &step));
    for (int i = 0; i < 2 * ASSAY_METRIC_BOOK_NAMES_MAX; i++) {
        char name[16];

        snprintf(name, sizeof name, "m%d", i);
        assert_int_equal(assay_metric_book_enter(book, name, -1, 1, &step) != NULL,
                         i < ASSAY_METRIC_BOOK_NAMES_MAX - 1);
    }
    assert_non_null(assay_metric_book_enter(book, "valid_1 auc", -1, 1, &step));
    assay_metric_book_restart(book);
    assert_false(assay_metric_book_has_objectives(book));
    assert_non_null(assay_metric_book_enter(book, "loss", -1, 0.5, &step));
    assert_int_equal(step, 1);
    assay_metric_book_free(book);
}

static void
steps_need_not_be_taken(void **state)
{
    struct assay_metric_pattern *pattern;
    struct assay_metric_line line = {0};

    (void)state;
    assert_int_equal(assay_metric_pattern_new(known, ASSAY_COUNT(known), NULL, &pattern, NULL),
                     ASSAY_OK);
    assay_metric_pattern_count_steps(pattern);
    assay_metric_line_read(pattern, "epoch=3 loss=0.5", 16, &line);
    assert_int_equal(line.count, 1);
    assert_int_equal(line.step, -1);
    assay_metric_line_done(&line);
    assay_metric_pattern_free(pattern);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(katibs_default_format),
        cmocka_unit_test(numbers_are_read_as_what_they_are),
        cmocka_unit_test(colons_quotes_and_known_names),
        cmocka_unit_test(other_names_need_to_look_meant),
        cmocka_unit_test(steps),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(junk_is_harmless),
        cmocka_unit_test(a_filter_replaces_the_formats),
        cmocka_unit_test(the_locale_does_not_matter),
        cmocka_unit_test(streams_are_cut_into_lines),
        cmocka_unit_test(a_book_counts_steps),
        cmocka_unit_test(steps_need_not_be_taken),
    };

    return cmocka_run_group_tests_name("metric lines", tests, NULL, NULL);
}

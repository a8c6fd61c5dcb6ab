/* Formatting, quoting, tables, spark lines and guesses. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/text.h"
#include "common/json.h"
#include "common/memory.h"

#define assert_text(made, wanted)                                                                  \
    do {                                                                                           \
        char *made_ = (made);                                                                      \
        assert_string_equal(made_, wanted);                                                        \
        free(made_);                                                                               \
    } while (0)

static char *
with(void (*add)(struct assay_buffer *buffer, const char *text), const char *text)
{
    struct assay_buffer buffer = {0};

    add(&buffer, text);
    return assay_buffer_steal(&buffer);
}

static char *
json(const char *source, unsigned indent)
{
    struct assay_buffer buffer = {0};
    json_t *value = json_loads(source, JSON_DECODE_ANY, NULL);

    assert_non_null(value);
    assay_json_print(value, indent, &buffer);
    json_decref(value);
    return assay_buffer_steal(&buffer);
}

static void
durations_are_short(void **state)
{
    (void)state;
    assert_text(assay_text_duration(-1), "-");
    assert_text(assay_text_duration(0), "0.0s");
    assert_text(assay_text_duration(1250000), "1.2s");
    assert_text(assay_text_duration(59 * INT64_C(1000000)), "59s");
    assert_text(assay_text_duration(65 * INT64_C(1000000)), "1m05s");
    assert_text(assay_text_duration(7805 * INT64_C(1000000)), "2h10m");
    assert_text(assay_text_duration(100 * 3600 * INT64_C(1000000)), "4d04h");
}

static void
numbers_are_for_people(void **state)
{
    (void)state;
    assert_text(assay_text_number(0.1), "0.1");
    assert_text(assay_text_number(1.0 / 3), "0.333333");
    assert_text(assay_text_number(-0.0), "0");
    assert_text(assay_text_number(1e-7), "1e-07");
    assert_text(assay_text_number(NAN), "nan");
    assert_text(assay_text_number(-INFINITY), "-inf");
}

static void
text_can_not_steer_the_terminal(void **state)
{
    (void)state;
    assert_text(assay_text_clean("a\033[31mb\nc\x7f"), "a?[31mb?c?");
    assert_text(assay_text_clean("\xC2\x9B"
                                 "31m \xC3\xA9"),
                "??31m \xC3\xA9");
}

static void
values_are_bare(void **state)
{
    json_t *text = json_string("a\tb");

    (void)state;
    assert_text(assay_text_value(NULL), "-");
    assert_text(assay_text_value(json_null()), "-");
    assert_text(assay_text_value(json_true()), "true");
    assert_text(assay_text_value(text), "a?b");
    json_decref(text);
}

static void
json_keeps_numbers_exact_and_short(void **state)
{
    (void)state;
    assert_text(json("0.1", 0), "0.1");
    assert_text(json("1.0", 0), "1.0");
    assert_text(json("1e300", 0), "1e+300");
    assert_text(json("12345678901234567", 0), "12345678901234567");
    assert_text(json("{\"b\": [1, null, true], \"a\": {}}", 0),
                "{\"b\":[1,null,true],\"a\":{}}");
    assert_text(json("{\"b\": [1], \"a\": \"x\\\"\\u0001\"}", 2),
                "{\n  \"b\": [\n    1\n  ],\n  \"a\": \"x\\\"\\u0001\"\n}");
}

static void
csv_quotes_what_it_must(void **state)
{
    (void)state;
    assert_text(with(assay_text_csv, "plain text"), "plain text");
    assert_text(with(assay_text_csv, "a,b"), "\"a,b\"");
    assert_text(with(assay_text_csv, "say \"so\""), "\"say \"\"so\"\"\"");
    assert_text(with(assay_text_csv, "a\nb"), "\"a\nb\"");
    assert_text(with(assay_text_csv, ""), "");
    assert_text(assay_text_csv_value(json_null()), "");
}

static void
xml_and_shell_are_quoted(void **state)
{
    (void)state;
    assert_text(with(assay_text_xml, "<a b=\"1\">&\x01\n"), "&lt;a b=&quot;1&quot;&gt;&amp;?&#10;");
    assert_text(with(assay_text_shell, "a-b_1.5"), "a-b_1.5");
    assert_text(with(assay_text_shell, ""), "''");
    assert_text(with(assay_text_shell, "it's $(x)"), "'it'\\''s $(x)'");
}

static void
width_counts_code_points(void **state)
{
    char text[] = "\xC3\xA9\xC3\xA9"
                  "ab";

    (void)state;
    assert_int_equal(assay_text_width(text), 4);
    assay_text_cut(text, 3);
    assert_string_equal(text, "\xC3\xA9\xC3\xA9"
                              "a");
    assay_text_cut(text, 9);
    assert_int_equal(assay_text_width(text), 3);
}

static void
time_left_is_estimated(void **state)
{
    (void)state;
    assert_int_equal(assay_text_eta_us(10, 50, 100, -1), 400);
    assert_int_equal(assay_text_eta_us(0, 50, 100, -1), -1);
    assert_int_equal(assay_text_eta_us(5, 0, 100, -1), -1);
    assert_int_equal(assay_text_eta_us(50, 50, 100, -1), 0);
    /* The time limit comes first. */
    assert_int_equal(assay_text_eta_us(10, 50, 100, 30), 30);
    assert_int_equal(assay_text_eta_us(0, 0, 100, 30), 30);
    assert_int_equal(assay_text_eta_us(0, 50, 100, 30), -1);
}

static void
spark_lines_show_the_course(void **state)
{
    const double up[] = {0, 1, 2, 3, 4, 5, 6, 7};
    const double gap[] = {1, NAN, 2};
    const double flat[] = {3, 3};

    (void)state;
    assert_text(assay_text_sparkline(up, 8, 20, false), "_.-=+*#%");
    assert_text(assay_text_sparkline(up, 8, 2, false), "_%");
    assert_text(assay_text_sparkline(gap, 3, 20, false), "_ %");
    assert_text(assay_text_sparkline(flat, 2, 20, false), "++");
    assert_text(assay_text_sparkline(up, 0, 20, false), "");
    assert_text(assay_text_sparkline(up, 2, 20, true), "▁█");
}

static void
bars_are_clamped(void **state)
{
    (void)state;
    assert_text(assay_text_bar(0.5, 6, false), "[##--]");
    assert_text(assay_text_bar(7, 6, false), "[####]");
    assert_text(assay_text_bar(NAN, 6, false), "[----]");
    assert_text(assay_text_bar(1, 3, true), "━━━");
    assert_text(assay_text_bar(1, 2, false), "");
}

static void
tables_line_up(void **state)
{
    assay_auto_table struct assay_table table = {.columns = 3, .right = 2};
    struct assay_buffer text = {0};

    (void)state;
    assay_table_add(&table, "é");
    assay_table_add(&table, "N");
    assay_table_add(&table, "x");
    assay_table_add(&table, "long");
    assay_table_printf(&table, "%d", 123);
    assay_table_add(&table, NULL);
    assay_table_print(&table, 1, &text);
    assert_string_equal(text.data, " é       N  x\n long  123  -\n");
    assay_buffer_done(&text);
}

static void
slips_are_guessed(void **state)
{
    static const char *const words[] = {"list", "show", "validate", "run"};

    (void)state;
    assert_int_equal(assay_text_distance("abc", "abc"), 0);
    assert_int_equal(assay_text_distance("abc", "acb"), 1);
    assert_int_equal(assay_text_distance("", "abc"), 3);
    assert_string_equal(assay_text_nearest("lsit", words, 4), "list");
    assert_string_equal(assay_text_nearest("valid", words, 4), "validate");
    assert_string_equal(assay_text_nearest("rnu", words, 4), "run");
    assert_null(assay_text_nearest("frobnicate", words, 4));
    assert_null(assay_text_nearest("x", words, 4));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_short),
        cmocka_unit_test(numbers_are_for_people),
        cmocka_unit_test(text_can_not_steer_the_terminal),
        cmocka_unit_test(values_are_bare),
        cmocka_unit_test(json_keeps_numbers_exact_and_short),
        cmocka_unit_test(csv_quotes_what_it_must),
        cmocka_unit_test(xml_and_shell_are_quoted),
        cmocka_unit_test(width_counts_code_points),
        cmocka_unit_test(time_left_is_estimated),
        cmocka_unit_test(spark_lines_show_the_course),
        cmocka_unit_test(bars_are_clamped),
        cmocka_unit_test(tables_line_up),
        cmocka_unit_test(slips_are_guessed),
    };

    return cmocka_run_group_tests_name("cli/text", tests, NULL, NULL);
}

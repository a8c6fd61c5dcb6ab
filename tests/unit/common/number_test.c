/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <float.h>
#include <locale.h>
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"
#include "common/number.h"
#include "common/random.h"

static void
integers(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0}, {"-0", 0}, {"+7", 7}, {"007", 7},
        {"9223372036854775807", INT64_MAX}, {"-9223372036854775808", INT64_MIN},
    };
    static const char *const bad[] = {"", "-", "+", " 1", "1 ", "1.0", "1e3", "0x1", "x",
                                      "--1", "9223372036854775808", "-9223372036854775809"};
    int64_t value;

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(good); i++) {
        assert_true(assay_parse_int(good[i].text, INT64_MIN, INT64_MAX, &value));
        assert_int_equal(value, good[i].value);
    }
    value = 42;
    for (size_t i = 0; i < ASSAY_COUNT(bad); i++) {
        assert_false(assay_parse_int(bad[i], INT64_MIN, INT64_MAX, &value));
        assert_int_equal(value, 42);
    }
    assert_false(assay_parse_int("5", 6, 9, &value));
    assert_false(assay_parse_int("10", 6, 9, &value));
    assert_true(assay_parse_int("9", 6, 9, &value));
}

static void
check_doubles(void)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {
        {"0", 0.0},        {"1.", 1.0},          {".5", 0.5},         {"-7.53e-05", -7.53e-05},
        {"+1E0", 1.0},     {"1e999", INFINITY},  {"-1e999", -INFINITY}, {"1e-999", 0.0},
        {"inf", INFINITY}, {"-Inf", -INFINITY},  {"+INFINITY", INFINITY},
        {"1234.5678", 1234.5678},
        {"0.1000000000000000055511151231257827021181583404541015625000000000000000000000000000",
         0.1},
    };
    static const char *const bad[] = {"",    ".",    "-",   "e5",  "1e",   "1e+",      "0x10", "1,5",
                                      "1 ",  " 1",   "1..", "nanx", "infi", "infinityx", "--1",  "1_0",
                                      "1d3", "nan(1)"};
    double value;

    for (size_t i = 0; i < ASSAY_COUNT(good); i++) {
        if (!assay_parse_double(good[i].text, &value) || value != good[i].value)
            fail_msg("%s: %g", good[i].text, value);
    }
    assert_true(assay_parse_double("NaN", &value) && isnan(value));
    assert_true(assay_parse_double("-nan", &value) && isnan(value));
    value = 42.0;
    for (size_t i = 0; i < ASSAY_COUNT(bad); i++) {
        if (assay_parse_double(bad[i], &value) || value != 42.0)
            fail_msg("%s is taken", bad[i]);
    }
    assert_true(assay_parse_double_n("1.5abc", 3, &value) && value == 1.5);
    assert_false(assay_parse_double_n("1.5abc", 4, &value));
    assert_false(assay_parse_double_n("1.5", 0, &value));
}

static void
doubles(void **state)
{
    (void)state;
    check_doubles();
}

static void
check_printing(void)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0.0, "0"},       {0.1, "0.1"},         {1.0, "1"},          {-2.5, "-2.5"},
        {1e-5, "1e-05"},  {1e300, "1e+300"},    {NAN, "nan"},        {INFINITY, "inf"},
        {-INFINITY, "-inf"}, {0.1 + 0.2, "0.30000000000000004"}, {123456789012345678.0, "1.2345678901234568e+17"},
    };
    char text[ASSAY_DOUBLE_TEXT];

    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        assay_print_double(rows[i].value, text);
        assert_string_equal(text, rows[i].text);
    }
    for (uint64_t i = 0; i < 20000; i++) {
        struct assay_random random;
        uint64_t bits;
        double value, back;

        assay_random_init(&random, 1, i, 0);
        bits = assay_random_u64(&random);
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        assay_print_double(value, text);
        assert_true(assay_parse_double(text, &back));
        assert_memory_equal(&value, &back, sizeof value);
    }
}

static void
printed_doubles_read_back(void **state)
{
    char text[ASSAY_DOUBLE_TEXT];
    double back;

    (void)state;
    check_printing();
    assay_print_double(-DBL_MAX, text);
    assert_true(assay_parse_double(text, &back) && back == -DBL_MAX);
    assay_print_double(5e-324, text);
    assert_true(assay_parse_double(text, &back) && back == 5e-324);
}

/* Compiles a locale with a decimal comma where the system has its sources. */
static bool
use_comma_locale(const char *directory)
{
    assay_auto_free char *path = assay_format("%s/comma", directory);
    pid_t child = fork();
    int status = 1;

    if (child == 0) {
        execlp("localedef", "localedef", "-c", "--no-archive", "-i", "de_DE", "-f", "UTF-8", path,
               (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        return false;
    setenv("LOCPATH", directory, 1);
    return setlocale(LC_ALL, "comma") != NULL && localeconv()->decimal_point[0] == ',';
}

static void
a_locale_with_comma_changes_nothing(void **state)
{
    char directory[] = "/tmp/assay-locale-XXXXXX";
    bool have;

    (void)state;
    assert_non_null(mkdtemp(directory));
    have = use_comma_locale(directory);
    if (have) {
        check_doubles();
        check_printing();
    }
    setlocale(LC_ALL, "C");
    unsetenv("LOCPATH");
    assert_int_equal(assay_remove_tree(directory, NULL), ASSAY_OK);
    if (!have) {
        print_message("no locale with a decimal comma can be had here\n");
        skip();
    }
}

static void
durations(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        {"0", 0},           {"90", 90000000},    {"90s", 90000000},   {"30m", 1800000000},
        {"2h", INT64_C(7200000000)},             {"1h30m", INT64_C(5400000000)},
        {"1d", INT64_C(86400000000)},            {"250ms", 250000},   {"15us", 15},
        {"1.5h", INT64_C(5400000000)},           {".5s", 500000},     {"1m30", 90000000},
        {"36500d", INT64_C(3153600000000000)},
    };
    static const char *const bad[] = {"",   "s",  "1x", "-1",  "1h-1m", "1 h", "2 weeks", "1hh",
                                      "1e3", ".",  "1..5s", "h1", "100000d", "inf", "nan", "90,5"};
    int64_t us;

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(good); i++) {
        if (!assay_parse_duration(good[i].text, &us) || us != good[i].us)
            fail_msg("%s", good[i].text);
    }
    for (size_t i = 0; i < ASSAY_COUNT(bad); i++) {
        if (assay_parse_duration(bad[i], &us))
            fail_msg("%s is taken", bad[i]);
    }
}

static void
byte_sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {
        {"0", 0}, {"512", 512}, {"1k", 1000}, {"1K", 1000}, {"500M", 500000000},
        {"4Gi", INT64_C(4) << 30}, {"1.5Gi", INT64_C(3) << 29}, {"2T", INT64_C(2000000000000)},
    };
    static const char *const bad[] = {"", "Gi", "4GiB", "4g", "-1", "4 Gi", "1e3", "9e15Ti",
                                      "99999999999Ti"};
    int64_t bytes;

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(good); i++) {
        if (!assay_parse_bytes(good[i].text, &bytes) || bytes != good[i].bytes)
            fail_msg("%s", good[i].text);
    }
    for (size_t i = 0; i < ASSAY_COUNT(bad); i++) {
        if (assay_parse_bytes(bad[i], &bytes))
            fail_msg("%s is taken", bad[i]);
    }
}

static void
numbers_in_json(void **state)
{
    static const double values[] = {0.0, -1.5, 1e300, INFINITY, -INFINITY};
    double back;
    json_t *json;

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(values); i++) {
        json = assay_json_real(values[i]);
        assert_true(assay_json_get_real(json, &back) && back == values[i]);
        json_decref(json);
    }
    json = assay_json_real(NAN);
    assert_string_equal(json_string_value(json), "nan");
    assert_true(assay_json_get_real(json, &back) && isnan(back));
    json_decref(json);
    json = json_integer(7);
    assert_true(assay_json_get_real(json, &back) && back == 7.0);
    json_decref(json);
    json = json_string("7");
    assert_false(assay_json_get_real(json, &back));
    json_decref(json);
    assert_false(assay_json_get_real(json_true(), &back));
    assert_false(assay_json_get_real(NULL, &back));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(doubles),
        cmocka_unit_test(printed_doubles_read_back),
        cmocka_unit_test(a_locale_with_comma_changes_nothing),
        cmocka_unit_test(durations),
        cmocka_unit_test(byte_sizes),
        cmocka_unit_test(numbers_in_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

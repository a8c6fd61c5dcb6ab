/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "common/clock.h"
#include "common/random.h"

static void
times_are_printed(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {INT64_C(1767323045123456), "2026-01-02T03:04:05.123456Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z"},
    };
    char text[ASSAY_TIME_TEXT];

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        assay_print_time(rows[i].us, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void
times_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"2026-01-02T03:04:05.123456Z", INT64_C(1767323045123456)},
        {"2026-01-02t03:04:05z", INT64_C(1767323045000000)},
        {"2026-01-02 03:04:05Z", INT64_C(1767323045000000)},
        {"2026-01-02T03:04:05.5Z", INT64_C(1767323045500000)},
        {"2026-01-02T03:04:05.123456789Z", INT64_C(1767323045123456)},
        {"2026-01-02T05:34:05+02:30", INT64_C(1767323045000000)},
        {"2026-01-01T22:04:05-05:00", INT64_C(1767323045000000)},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000000)},
    };
    static const char *const bad[] = {
        "",
        "now",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.1234567890Z",
        "2026-13-02T03:04:05Z",
        "2026-01-32T03:04:05Z",
        "2023-02-29T03:04:05Z",
        "2026-01-02T24:04:05Z",
        "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:05+2:30",
        "2026-01-02T03:04:05+0230",
        "2026-01-02T03:04:05+-1:-2",
        "2026-01-02T03:04:05+25:00",
        "2026-01-02T03:04:05ZZ",
        " 2026-01-02T03:04:05Z",
        "2026- 1-02T03:04:05Z",
        "2026-1-2T03:04:05Z",
        "2026-01-02T3:4:5Z",
    };
    int64_t us;

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        if (!assay_parse_time(rows[i].text, &us) || us != rows[i].us)
            fail_msg("%s", rows[i].text);
    }
    for (size_t i = 0; i < ASSAY_COUNT(bad); i++) {
        if (assay_parse_time(bad[i], &us))
            fail_msg("%s is taken", bad[i]);
    }
}

static void
printed_times_read_back(void **state)
{
    struct assay_random random;

    (void)state;
    assay_random_init(&random, 1, 2, 3);
    for (int i = 0; i < 10000; i++) {
        int64_t us = (int64_t)assay_random_below(&random, UINT64_C(250000000000000000)) -
                     INT64_C(60000000000000000);
        char text[ASSAY_TIME_TEXT];
        int64_t back;

        assay_print_time(us, text);
        if (!assay_parse_time(text, &back) || back != us)
            fail_msg("%s", text);
    }
}

static void
clocks_run(void **state)
{
    int64_t monotonic = assay_monotonic_us(), now = assay_now_us();

    (void)state;
    assert_true(assay_monotonic_us() >= monotonic);
    assert_true(now > INT64_C(1700000000000000));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_printed),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(printed_times_read_back),
        cmocka_unit_test(clocks_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

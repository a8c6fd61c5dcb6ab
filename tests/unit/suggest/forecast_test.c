/* What stopped trials would have ended with: exact lines, outliers, bounds, memory. */
#include "tests/unit/suggest/support.h"

#include <malloc.h>
#include <math.h>

#include "suggest/forecast.h"

static struct assay_forecasts *
forecasts_of(enum assay_goal goal, enum assay_summary summary)
{
    return assay_forecasts_new(&(struct assay_objective){.goal = goal, .summary = summary});
}

/* Ten steps from `from`, falling to `end`, the most of it at once; then its end. */
static void
run_whole(struct assay_forecasts *forecasts, int64_t number, double from, double end)
{
    for (int64_t step = 1; step <= 10; step++)
        assay_forecasts_report(forecasts, number, step,
                               end + (from - end) / (double)step - (from - end) / 10.0);
    assay_forecasts_finish(forecasts, number, true);
}

static double
foretold(struct assay_forecasts *forecasts, int64_t number, size_t *ret_trials)
{
    return assay_forecasts_end(forecasts, number, ret_trials);
}

/* They ended 0.3 below where they were at step 2, whatever that was. */
static void
test_what_others_gained(void **state ASSAY_UNUSED)
{
    struct assay_forecasts *forecasts = forecasts_of(ASSAY_GOAL_MINIMIZE, ASSAY_SUMMARY_LAST);
    size_t n;

    for (int64_t k = 1; k <= 6; k++) {
        for (int64_t step = 1; step <= 4; step++)
            assay_forecasts_report(forecasts, k, step, 0.1 * (double)k + 0.6 / (double)step);
        assay_forecasts_finish(forecasts, k, true);
    }
    assert_true(isnan(foretold(forecasts, 9, &n)));
    assay_forecasts_report(forecasts, 9, 1, 0.95 + 0.6);
    assay_forecasts_report(forecasts, 9, 2, 0.95 + 0.3);
    assert_near(foretold(forecasts, 9, &n), 0.95 + 0.15, 1e-12);
    assert_int_equal(n, 6);
    /* Asked again it says the same; past the ends of the others it says nothing. */
    assert_near(foretold(forecasts, 9, &n), 0.95 + 0.15, 1e-12);
    assay_forecasts_report(forecasts, 9, 4, 0.95 + 0.15);
    assert_true(isnan(foretold(forecasts, 9, &n)));
    assert_int_equal(n, 0);
    assay_forecasts_free(forecasts);
}

/* Where differences at the step halve until the end, the slope is a half but for what it is
 * drawn towards 1; one trial that diverged changes next to nothing. */
static void
test_line_and_outlier(void **state ASSAY_UNUSED)
{
    for (int with_outlier = 0; with_outlier < 2; with_outlier++) {
        struct assay_forecasts *forecasts = forecasts_of(ASSAY_GOAL_MAXIMIZE, ASSAY_SUMMARY_LAST);
        double slope, expected;
        size_t n;

        for (int64_t k = 1; k <= 40; k++) {
            assay_forecasts_report(forecasts, k, 5, 0.01 * (double)k);
            assay_forecasts_report(forecasts, k, 9,
                                   with_outlier && k == 20 ? -1e9 : 0.5 + 0.005 * (double)k);
            assay_forecasts_finish(forecasts, k, true);
        }
        assay_forecasts_report(forecasts, 50, 5, 0.1);
        slope = (0.5 * 40.0 + 2.0) / 42.0;
        expected = 0.5 + 0.005 * 20.5 + slope * (0.1 - 0.01 * 20.5);
        assert_near(foretold(forecasts, 50, &n), expected, with_outlier ? 0.005 : 1e-9);
        assert_int_equal(n, 40);
        assay_forecasts_free(forecasts);
    }
}

static void
test_never_better_than_the_best(void **state ASSAY_UNUSED)
{
    struct assay_forecasts *falling = forecasts_of(ASSAY_GOAL_MINIMIZE, ASSAY_SUMMARY_LAST);
    struct assay_forecasts *rising = forecasts_of(ASSAY_GOAL_MAXIMIZE, ASSAY_SUMMARY_LAST);
    size_t n;

    for (int64_t k = 1; k <= 3; k++) {
        run_whole(falling, k, 9.0, (double)k);
        run_whole(rising, k, -9.0, (double)-k);
    }
    assay_forecasts_report(falling, 9, 3, -100.0);
    assay_forecasts_report(rising, 9, 3, 100.0);
    assert_true(foretold(falling, 9, &n) == 1.0);
    assert_true(foretold(rising, 9, &n) == -1.0);
    assay_forecasts_free(falling);
    assay_forecasts_free(rising);
}

static void
test_too_little(void **state ASSAY_UNUSED)
{
    struct assay_forecasts *forecasts = forecasts_of(ASSAY_GOAL_MINIMIZE, ASSAY_SUMMARY_LAST);
    size_t n;

    run_whole(forecasts, 1, 9.0, 1.0);
    run_whole(forecasts, 2, 9.0, 2.0);
    assay_forecasts_report(forecasts, 3, 3, 4.0);
    assay_forecasts_finish(forecasts, 3, false); /* was stopped: no measure for others */
    assay_forecasts_report(forecasts, 9, 2, 5.0);
    assert_true(isnan(foretold(forecasts, 9, &n)));
    run_whole(forecasts, 4, 9.0, 3.0);
    assert_true(isfinite(foretold(forecasts, 9, &n)));
    assert_int_equal(n, 3);
    /* Nothing, and what is no number, was measured. */
    assert_true(isnan(foretold(forecasts, 10, &n)));
    assay_forecasts_report(forecasts, 10, 1, NAN);
    assay_forecasts_report(forecasts, 10, 2, INFINITY);
    assert_true(isnan(foretold(forecasts, 10, &n)));
    assay_forecasts_finish(forecasts, 10, true);
    assay_forecasts_finish(forecasts, 11, true);
    assay_forecasts_free(forecasts);
}

/* The objective is the best on the way: what is worse later changes nothing. */
static void
test_summary(void **state ASSAY_UNUSED)
{
    struct assay_forecasts *forecasts = forecasts_of(ASSAY_GOAL_MINIMIZE, ASSAY_SUMMARY_MIN);
    size_t n;

    for (int64_t k = 1; k <= 5; k++) {
        static const double curve[] = {3.0, 2.0, 2.5, 1.0, 4.0};

        for (int64_t step = 0; step < 5; step++)
            assay_forecasts_report(forecasts, k, step, curve[step] + (double)k);
        assay_forecasts_finish(forecasts, k, true);
    }
    assay_forecasts_report(forecasts, 9, 1, 7.0);
    assay_forecasts_report(forecasts, 9, 2, 8.0);
    assay_forecasts_report(forecasts, 9, 1, 0.0); /* late */
    assert_near(foretold(forecasts, 9, &n), 6.0, 1e-12);
    assay_forecasts_free(forecasts);
}

/* Told again in another order, as after a restart, it says the same. */
static void
test_any_order(void **state ASSAY_UNUSED)
{
    double first = NAN;

    for (int64_t shift = 0; shift < 100; shift += 33) {
        struct assay_forecasts *forecasts = forecasts_of(ASSAY_GOAL_MINIMIZE, ASSAY_SUMMARY_LAST);
        double value;
        size_t n;

        for (int64_t k = 0; k < 100; k++) {
            int64_t number = 1 + (k + shift) % 100;

            run_whole(forecasts, number, 9.0 + (double)(number * 7 % 13),
                      (double)(number * 5 % 11));
        }
        assay_forecasts_report(forecasts, 200, 4, 6.0);
        value = foretold(forecasts, 200, &n);
        assert_int_equal(n, ASSAY_FORECAST_WHOLE);
        first = shift == 0 ? value : first;
        assert_true(isfinite(value) && value == first);
        assay_forecasts_free(forecasts);
    }
}

static void
test_long_curves_in_little_memory(void **state ASSAY_UNUSED)
{
    struct assay_forecasts *forecasts = forecasts_of(ASSAY_GOAL_MINIMIZE, ASSAY_SUMMARY_LAST);
    size_t before = 0, after, n;

    for (int64_t k = 1; k <= 200; k++) {
        for (int64_t step = 1; step <= 1000; step++)
            assay_forecasts_report(forecasts, k, step, (double)k + 100.0 / (double)step);
        assay_forecasts_finish(forecasts, k, true);
        if (k == 100)
            before = mallinfo2().uordblks;
    }
    after = mallinfo2().uordblks;
    assert_in_range(after, 0, before + 4096);
    /* A point near enough to the step stands for it. */
    for (int64_t step = 1; step <= 500; step++)
        assay_forecasts_report(forecasts, 500, step, 170.5 + 100.0 / (double)step);
    assert_near(foretold(forecasts, 500, &n), 170.6, 0.05);
    assert_int_equal(n, ASSAY_FORECAST_WHOLE);
    assay_forecasts_free(forecasts);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_others_gained),
        cmocka_unit_test(test_line_and_outlier),
        cmocka_unit_test(test_never_better_than_the_best),
        cmocka_unit_test(test_too_little),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_long_curves_in_little_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

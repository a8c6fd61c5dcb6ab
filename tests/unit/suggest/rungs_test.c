/* Budgets of rungs. */
#include "tests/unit/suggest/support.h"

#include "suggest/rungs.h"

static void
test_rungs(void **state ASSAY_UNUSED)
{
    static const struct {
        double min, max, eta;
        size_t n;
        double rungs[6];
    } cases[] = {
        {1, 81, 3, 5, {1, 3, 9, 27, 81}},
        {1, 100, 3, 5, {1, 3, 9, 27, 100}}, /* 81 costs almost as much */
        {1, 50, 4, 4, {1, 4, 16, 50}},
        {3, 1000, 3, 6, {3, 9, 27, 81, 243, 1000}},
        {1, 9, 9, 2, {1, 9}},
        {5, 5, 3, 1, {5}},
        {0.5, 8, 4, 3, {0.5, 2, 8}},
        {1, 4, 1.5, 3, {1, 2, 4}}, /* 2.25 is 2 again */
    };

    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        double rungs[ASSAY_RUNGS_MAX];
        size_t n = assay_rungs(cases[i].min, cases[i].max, cases[i].eta, rungs);

        assert_int_equal(n, cases[i].n);
        for (size_t k = 0; k < n; k++)
            assert_near(rungs[k], cases[i].rungs[k], 0.0);
    }
}
/* Any range: increasing, from min on unless there are too many, up to max. */
static void
test_any_range(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(1);

    for (int round = 0; round < 10000; round++) {
        double min = exp(20.0 * assay_random_unit(&random) - 10.0);
        double max = min * exp(30.0 * assay_random_unit(&random));
        double eta = 1.0 + 1e-3 * exp(12.0 * assay_random_unit(&random));
        double rungs[ASSAY_RUNGS_MAX];
        size_t n = assay_rungs(min, max, eta, rungs);

        assert_in_range(n, 1, ASSAY_RUNGS_MAX);
        assert_near(rungs[n - 1], max, 0.0);
        assert_true(rungs[0] >= min);
        for (size_t k = 1; k < n; k++)
            assert_true(rungs[k] > rungs[k - 1]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rungs),
        cmocka_unit_test(test_any_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

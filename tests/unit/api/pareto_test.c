#include "api/pareto.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/random.h"

#define N 200

static bool
dominated(const double *costs, size_t n, size_t m, size_t i)
{
    for (size_t k = 0; k < n; k++) {
        bool worse = false, better = false;

        for (size_t j = 0; j < m; j++) {
            worse |= costs[k * m + j] > costs[i * m + j];
            better |= costs[k * m + j] < costs[i * m + j];
        }
        if (!worse && better)
            return true;
    }
    return false;
}

/* Against the definition, with many equal values. */
static void
test_definition(void **state)
{
    struct assay_random random;

    (void)state;
    for (size_t m = 1; m <= 4; m++) {
        for (uint64_t round = 0; round < 30; round++) {
            double costs[N * 4];
            bool chosen[N];
            size_t n = assay_random_below((assay_random_init(&random, round, m, 1), &random), N);

            for (size_t i = 0; i < n * m; i++)
                costs[i] = (double)assay_random_below(&random, 12);
            assay_pareto_front(costs, n, m, chosen);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(chosen[i], !dominated(costs, n, m, i));
        }
    }
}

static void
test_none(void **state)
{
    bool chosen[1] = {false};

    (void)state;
    assay_pareto_front(NULL, 0, 2, chosen);
    assert_false(chosen[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

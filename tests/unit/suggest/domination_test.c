/* Ranks, fronts and crowding against what the definitions say, row by row. */
#include "tests/unit/suggest/support.h"

#include "suggest/pareto/domination.h"

enum { ROWS_MAX = 60 };

/* Few different values, so that there are ties and equal rows. */
static void
draw_rows(struct assay_random *random, size_t n, size_t m, double levels, double *ret_values)
{
    for (size_t i = 0; i < n * m; i++) {
        ret_values[i] = assay_random_unit(random);
        if (levels > 0.0)
            ret_values[i] = floor(ret_values[i] * levels);
    }
}

static size_t
slow_ranks(const double *values, const double *violations, size_t n, size_t m, size_t *ret_ranks)
{
    size_t rank = 0, left = n;

    for (size_t i = 0; i < n; i++)
        ret_ranks[i] = SIZE_MAX;
    for (; left > 0; rank++) {
        bool beaten[ROWS_MAX] = {false};

        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < n && ret_ranks[i] == SIZE_MAX; j++) {
                double a = violations != NULL ? violations[j] : 0.0;
                double b = violations != NULL ? violations[i] : 0.0;

                if (ret_ranks[j] == SIZE_MAX)
                    beaten[i] |= a < b || (a == 0.0 && b == 0.0 &&
                                           assay_pareto_dominates(&values[j * m], &values[i * m], m));
            }
        }
        for (size_t i = 0; i < n; i++) {
            if (ret_ranks[i] == SIZE_MAX && !beaten[i]) {
                ret_ranks[i] = rank;
                left--;
            }
        }
    }
    return rank;
}

static void
test_ranks(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(1);

    for (size_t round = 0; round < 600; round++) {
        size_t m = 1 + round % 5, n = round / 5 % ROWS_MAX, ranks[ROWS_MAX], slow[ROWS_MAX];
        double values[ROWS_MAX * 5], violations[ROWS_MAX];
        bool constrained = round % 3 == 0;
        size_t n_slow;

        draw_rows(&random, n, m, round % 2 == 0 ? 4.0 : 0.0, values);
        draw_rows(&random, n, 1, 4.0, violations);
        for (size_t i = 0; i < n; i++)
            violations[i] = violations[i] == 3.0 ? INFINITY : violations[i];
        n_slow = slow_ranks(values, constrained ? violations : NULL, n, m, slow);
        assert_int_equal(
            assay_pareto_ranks(values, constrained ? violations : NULL, n, m, n, ranks), n_slow);
        assert_memory_equal(ranks, slow, n * sizeof *ranks);
        /* Enough: the whole front in which that many are reached, and no more. */
        for (size_t enough = 1; enough <= n; enough += 5) {
            size_t counts[ROWS_MAX + 1] = {0}, reached = 0, last = 0;

            for (size_t i = 0; i < n; i++)
                counts[slow[i]]++;
            while (reached < enough)
                reached += counts[last++];
            assert_int_equal(
                assay_pareto_ranks(values, constrained ? violations : NULL, n, m, enough, ranks),
                last);
            for (size_t i = 0; i < n; i++)
                assert_true(ranks[i] == (slow[i] < last ? slow[i] : ASSAY_PARETO_UNRANKED));
        }
    }
}

static void
test_front_rows(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(2);

    for (size_t round = 0; round < 300; round++) {
        size_t m = 1 + round % 4, n = round / 4 % ROWS_MAX, slow[ROWS_MAX], rows[ROWS_MAX], count;
        double values[ROWS_MAX * 4];
        size_t expected = 0;

        draw_rows(&random, n, m, round % 3 == 0 ? 0.0 : 3.0, values);
        slow_ranks(values, NULL, n, m, slow);
        count = assay_pareto_front_rows(values, n, m, rows);
        for (size_t i = 0; i < n; i++) {
            bool first = true;

            for (size_t j = 0; j < i; j++)
                first &= memcmp(&values[i * m], &values[j * m], m * sizeof *values) != 0;
            expected += first && slow[i] == 0;
        }
        assert_int_equal(count, expected);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(slow[rows[i]], 0);
            if (i > 0)
                assert_true(values[rows[i - 1] * m] <= values[rows[i] * m]);
        }
    }
}

static void
test_crowding(void **state ASSAY_UNUSED)
{
    const double values[] = {0, 4, 1, 2, 3, 1, 4, 0, 9, 9};
    const size_t rows[] = {3, 2, 1, 0};
    double crowding[4];

    assay_pareto_crowding(values, 2, rows, 4, crowding);
    assert_true(isinf(crowding[0]) && isinf(crowding[3]));
    assert_near(crowding[1], 3.0 / 4 + 2.0 / 4, 1e-12);
    assert_near(crowding[2], 3.0 / 4 + 3.0 / 4, 1e-12);
    assay_pareto_crowding(values, 2, rows, 1, crowding);
    assert_true(isinf(crowding[0]));
    assay_pareto_crowding(values, 2, rows, 0, crowding);
    {
        const double same[] = {1, 1, 1, 1, 1, 1}, huge[] = {-1.5e308, 1, 0, 0, 1.5e308, -1};
        const size_t all[] = {0, 1, 2};

        assay_pareto_crowding(same, 2, all, 3, crowding);
        assert_true(isinf(crowding[0]) && crowding[1] == 0.0 && isinf(crowding[2]));
        assay_pareto_crowding(huge, 2, all, 3, crowding);
        assert_near(crowding[1], 2.0, 1e-12);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_front_rows),
        cmocka_unit_test(test_crowding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Volumes, contributions, subsets and boxes against inclusion and exclusion, every
 * subset, and random points. */
#include "tests/unit/suggest/support.h"

#include "suggest/pareto/boxes.h"
#include "suggest/pareto/domination.h"
#include "suggest/pareto/hypervolume.h"
#include "suggest/pareto/subset.h"

enum { ROWS_MAX = 40, OBJECTIVES_MAX = 6 };

static const double reference[OBJECTIVES_MAX] = {1, 1, 1, 1, 1, 1};

/* With few levels there are ties, equal rows and rows on the reference. */
static void
draw_rows(struct assay_random *random, size_t n, size_t m, double levels, double *ret_values)
{
    for (size_t i = 0; i < n * m; i++) {
        ret_values[i] = assay_random_unit(random) * 1.1;
        if (levels > 0.0)
            ret_values[i] = floor(ret_values[i] * levels) / levels;
    }
}

/* Inclusion and exclusion over all subsets. */
static double
slow_volume(const double *values, size_t n, size_t m)
{
    double total = 0.0;

    for (size_t set = 1; set < (size_t)1 << n; set++) {
        double product = __builtin_popcountll(set) % 2 == 1 ? 1.0 : -1.0;

        for (size_t k = 0; k < m; k++) {
            double worst = 0.0;

            for (size_t i = 0; i < n; i++) {
                if (set >> i & 1)
                    worst = fmax(worst, values[i * m + k]);
            }
            product *= fmax(reference[k] - worst, 0.0);
        }
        total += product;
    }
    return total;
}

static void
test_volume(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(1);

    for (size_t round = 0; round < 600; round++) {
        size_t m = 1 + round % OBJECTIVES_MAX, n = round / 6 % 9;
        double values[ROWS_MAX * OBJECTIVES_MAX];

        draw_rows(&random, n, m, round % 2 == 0 ? 4.0 : 0.0, values);
        assert_near(assay_pareto_hypervolume(values, n, m, reference), slow_volume(values, n, m),
                    1e-12);
    }
}

/* Many rows: against the same rows with one more objective that is 0 for all. */
static void
test_volume_of_many(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(2);

    for (size_t m = 1; m < 5; m++) {
        double values[ROWS_MAX * OBJECTIVES_MAX], wider[ROWS_MAX * OBJECTIVES_MAX];
        double volume, same;

        draw_rows(&random, ROWS_MAX, m, 0.0, values);
        for (size_t i = 0; i < ROWS_MAX; i++) {
            memcpy(&wider[i * (m + 1)], &values[i * m], m * sizeof *values);
            wider[i * (m + 1) + m] = 0.0;
        }
        volume = assay_pareto_hypervolume(values, ROWS_MAX, m, reference);
        same = assay_pareto_hypervolume(wider, ROWS_MAX, m + 1, reference);
        assert_near(volume, same, 1e-12);
        assert_true(volume > 0.3 && volume <= 1.0);
    }
}

static void
test_contributions(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(3);

    for (size_t round = 0; round < 200; round++) {
        size_t m = 1 + round % 5, n = 1 + round / 5 % 12;
        double values[ROWS_MAX * OBJECTIVES_MAX], without[ROWS_MAX * OBJECTIVES_MAX];
        double contributions[ROWS_MAX], volume;

        draw_rows(&random, n, m, round % 2 == 0 ? 4.0 : 0.0, values);
        volume = assay_pareto_hypervolume(values, n, m, reference);
        assay_pareto_contributions(values, n, m, reference, contributions);
        for (size_t i = 0; i < n; i++) {
            memcpy(without, values, i * m * sizeof *values);
            memcpy(&without[i * m], &values[(i + 1) * m], (n - i - 1) * m * sizeof *values);
            assert_near(contributions[i],
                        volume - assay_pareto_hypervolume(without, n - 1, m, reference), 1e-12);
        }
    }
}

static double
volume_of(const double *values, size_t m, const size_t *rows, size_t k)
{
    double chosen[ROWS_MAX * OBJECTIVES_MAX];

    for (size_t i = 0; i < k; i++)
        memcpy(&chosen[i * m], &values[rows[i] * m], m * sizeof *values);
    return assay_pareto_hypervolume(chosen, k, m, reference);
}

static double
best_volume(const double *values, size_t n, size_t m, size_t k)
{
    double best = 0.0;

    for (size_t set = 0; set < (size_t)1 << n; set++) {
        size_t rows[ROWS_MAX], count = 0;

        if ((size_t)__builtin_popcountll(set) != k)
            continue;
        for (size_t i = 0; i < n; i++) {
            if (set >> i & 1)
                rows[count++] = i;
        }
        best = fmax(best, volume_of(values, m, rows, k));
    }
    return best;
}

static void
test_subset(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(4);

    for (size_t round = 0; round < 300; round++) {
        size_t m = 1 + round % 4, n = 1 + round / 4 % 9, k = round % (n + 1), rows[ROWS_MAX];
        double values[ROWS_MAX * OBJECTIVES_MAX], chosen, best;
        bool taken[ROWS_MAX] = {false};

        draw_rows(&random, n, m, round % 3 == 0 ? 4.0 : 0.0, values);
        /* Most of them on a front, where the choice is not plain. */
        for (size_t i = 0; i < n && m == 2 && round % 3 != 0; i++)
            values[i * 2 + 1] = 0.05 + 0.9 * pow(1.0 - fmin(values[i * 2], 1.0), 2.0);
        assay_pareto_subset(values, n, m, reference, k, rows);
        for (size_t i = 0; i < k; i++) {
            assert_true(rows[i] < n && !taken[rows[i]]);
            taken[rows[i]] = true;
        }
        chosen = volume_of(values, m, rows, k);
        best = best_volume(values, n, m, k);
        assert_true(chosen <= best + 1e-12);
        assert_true(chosen >= (m <= 2 ? best : (1.0 - exp(-1.0)) * best) - 1e-12);
    }
}

/* The choice does not see the objectives' scales, however large. */
static void
test_subset_is_free_of_scale(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(5);

    for (size_t m = 2; m <= 4; m++) {
        double values[30 * 4], scaled[30 * 4], far[4];
        const double scales[] = {1e300, 1e-200, 3e5, 1.0};
        size_t rows[10], same[10];

        draw_rows(&random, 30, m, 0.0, values);
        for (size_t i = 0; i < 30 * m; i++)
            scaled[i] = (values[i] - 0.5) * scales[i % m];
        for (size_t k = 0; k < m; k++)
            far[k] = 0.5 * scales[k];
        assay_pareto_subset(values, 30, m, reference, 10, rows);
        assay_pareto_subset(scaled, 30, m, far, 10, same);
        assert_memory_equal(rows, same, sizeof rows);
    }
}

static void
test_reference(void **state ASSAY_UNUSED)
{
    const double values[] = {-1, 5, 0, 1, 5, 0}, huge[] = {-1.7e308, 1.7e308};
    double point[3];

    assay_pareto_reference(values, 2, 3, point);
    assert_near(point[0], 1.2, 1e-12);
    assert_near(point[1], 5.5, 1e-12);
    assert_near(point[2], 0.1, 1e-12);
    assay_pareto_reference(huge, 2, 1, point);
    assert_true(point[0] > 1.7e308);
}

/* Random places are in one box when nothing dominates them, else in none. */
static void
check_boxes(struct assay_random *random, const double *values, size_t n, size_t m)
{
    struct assay_pareto_boxes boxes;
    double volume = assay_pareto_hypervolume(values, n, m, reference);

    assay_pareto_boxes_init(&boxes, values, n, m, reference);
    assert_int_equal(boxes.m, m);
    for (size_t round = 0; round < 100; round++) {
        double place[OBJECTIVES_MAX], more[(ROWS_MAX + 1) * OBJECTIVES_MAX];
        bool free = true;
        size_t inside = 0;

        for (size_t k = 0; k < m; k++)
            place[k] = assay_random_unit(random) * 1.2 - 0.2 + 1e-9;
        for (size_t k = 0; k < m; k++)
            free &= place[k] < 1.0;
        for (size_t i = 0; i < n; i++)
            free &= !assay_pareto_dominates(&values[i * m], place, m);
        for (size_t b = 0; b < boxes.n; b++) {
            bool in = true;

            for (size_t k = 0; k < m; k++)
                in &= place[k] >= boxes.lower[b * m + k] && place[k] < boxes.upper[b * m + k];
            inside += in;
        }
        assert_int_equal(inside, free ? 1 : 0);
        memcpy(more, values, n * m * sizeof *more);
        memcpy(&more[n * m], place, m * sizeof *more);
        assert_near(assay_pareto_boxes_improvement(&boxes, place),
                    assay_pareto_hypervolume(more, n + 1, m, reference) - volume, 1e-10);
    }
    for (size_t i = 0; i < n; i++)
        assert_near(assay_pareto_boxes_improvement(&boxes, &values[i * m]), 0.0, 1e-12);
    if (m == 2)
        assert_true(boxes.n <= n + 1);
    if (m == 3)
        assert_true(boxes.n <= 3 * n + 1);
    assay_pareto_boxes_done(&boxes);
}

static void
test_boxes(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(6);

    for (size_t round = 0; round < 200; round++) {
        size_t m = 1 + round % 5, n = round / 5 % (m > 3 ? 12 : ROWS_MAX);
        double values[ROWS_MAX * OBJECTIVES_MAX];

        draw_rows(&random, n, m, round % 3 == 0 ? 4.0 : round % 3 == 1 ? 9.0 : 0.0, values);
        check_boxes(&random, values, n, m);
    }
}

/* Rows of a front, ties included: as many as there can be. */
static void
test_boxes_of_a_front(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(7);

    for (size_t round = 0; round < 20; round++) {
        double values[ROWS_MAX * 3];

        for (size_t i = 0; i < ROWS_MAX; i++) {
            double a = assay_random_unit(&random), b = assay_random_unit(&random);

            values[i * 3] = round % 2 == 0 ? fmin(a, b) : floor(5 * fmin(a, b)) / 5;
            values[i * 3 + 1] = fabs(a - b);
            values[i * 3 + 2] = 1.0 - fmax(a, b);
        }
        check_boxes(&random, values, ROWS_MAX, 3);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_volume),
        cmocka_unit_test(test_volume_of_many),
        cmocka_unit_test(test_contributions),
        cmocka_unit_test(test_subset),
        cmocka_unit_test(test_subset_is_free_of_scale),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_boxes_of_a_front),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

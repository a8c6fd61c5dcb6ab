/* The Sobol' sequence: construction, scrambling, and how even its projections are. */
#include "tests/unit/suggest/support.h"

#include "suggest/sobol.h"

#define MANY ASSAY_SOBOL_DIMENSIONS_MAX

static struct assay_sobol sequence;

static int
make_sequence(void **state ASSAY_UNUSED)
{
    int64_t start = assay_monotonic_us();

    assay_sobol_init(&sequence, MANY);
    print_message("%d dimensions took %.1f ms\n", MANY,
                  (double)(assay_monotonic_us() - start) / 1000.0);
    return 0;
}

static int
free_sequence(void **state ASSAY_UNUSED)
{
    assay_sobol_done(&sequence);
    return 0;
}

/* In every dimension, each aligned block of 2^m points has one point in each of
 * the 2^m equal intervals: a (0,1)-sequence.  Scrambled and not. */
static void
check_strata(size_t dimension, unsigned m, uint32_t block, bool scrambled)
{
    static bool hit[1024];
    uint32_t n = 1u << m;

    memset(hit, 0, sizeof hit);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t index = block * n + k;
        double u = scrambled ? assay_sobol_unit(&sequence, 42, dimension, index)
                             : assay_sobol_digits(&sequence, dimension, index) * 0x1p-32;
        size_t stratum = (size_t)(u * n);

        assert_true(u >= 0.0 && u < 1.0);
        assert_false(hit[stratum]);
        hit[stratum] = true;
    }
}

static void
test_each_projection_is_stratified(void **state ASSAY_UNUSED)
{
    for (size_t d = 0; d < MANY; d++) {
        check_strata(d, 5, 0, true);
        check_strata(d, 10, 0, false);
        check_strata(d, 6, 3, true);
    }
}

static void
test_known_first_dimensions(void **state ASSAY_UNUSED)
{
    /* Van der Corput; and the second dimension, whose polynomial x + 1 leaves no
     * choice of initial numbers. */
    static const double first[] = {0, 0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875};
    static const double second[] = {0, 0.5, 0.75, 0.25, 0.625, 0.125, 0.375, 0.875};

    for (uint32_t k = 0; k < 8; k++) {
        assert_true(assay_sobol_digits(&sequence, 0, k) * 0x1p-32 == first[k]);
        assert_true(assay_sobol_digits(&sequence, 1, k) * 0x1p-32 == second[k]);
    }
}

/* Counts boxes directly: the t-value says what it should. */
static void
test_t_value_is_what_boxes_show(void **state ASSAY_UNUSED)
{
    for (size_t a = 0; a < 40; a += 3) {
        for (size_t b = a + 1; b < 40; b += 4) {
            unsigned m = 6, t = assay_sobol_t_value(&sequence, a, b, m), worst = 0;

            for (unsigned strength = 1; strength <= m; strength++) {
                bool even = true;

                for (unsigned rows = 0; rows <= strength; rows++) {
                    int boxes[64] = {0};

                    for (uint32_t k = 0; k < 1u << m; k++) {
                        uint64_t x = assay_sobol_digits(&sequence, a, k);
                        uint64_t y = assay_sobol_digits(&sequence, b, k);

                        boxes[x >> (32 - rows) << (strength - rows) |
                              y >> (32 - (strength - rows))]++;
                    }
                    for (uint32_t box = 0; box < 1u << strength; box++)
                        even = even && boxes[box] == 1 << (m - strength);
                }
                if (even)
                    worst = strength;
                else
                    break;
            }
            assert_int_equal(t, m - worst);
        }
    }
}

/* The square of the centred L2 discrepancy (F. J. Hickernell 1998) of two columns. */
static double
discrepancy(const double *x, const double *y, size_t n)
{
    double single = 0.0, pairs = 0.0;

    for (size_t i = 0; i < n; i++) {
        double a = fabs(x[i] - 0.5), b = fabs(y[i] - 0.5);

        single += (1 + a / 2 - a * a / 2) * (1 + b / 2 - b * b / 2);
        for (size_t j = 0; j < n; j++) {
            double c = fabs(x[j] - 0.5), d = fabs(y[j] - 0.5);

            pairs += (1 + a / 2 + c / 2 - fabs(x[i] - x[j]) / 2) *
                     (1 + b / 2 + d / 2 - fabs(y[i] - y[j]) / 2);
        }
    }
    return pow(13.0 / 12.0, 2) - 2.0 / (double)n * single + pairs / (double)(n * n);
}

/* Pairs of the first 200 dimensions, against random points of the same number. */
static void
test_pairs_beat_random(void **state ASSAY_UNUSED)
{
    enum { N = 128, D = 200, PAIRS = 300 };
    static double points[D][N], noise[D][N];
    struct assay_random random = test_random(3);
    double ours = 0.0, theirs = 0.0;
    size_t worse = 0;

    for (size_t d = 0; d < D; d++) {
        for (size_t k = 0; k < N; k++) {
            points[d][k] = assay_sobol_unit(&sequence, 9, d, (uint32_t)k);
            noise[d][k] = assay_random_unit(&random);
        }
    }
    for (size_t p = 0; p < PAIRS; p++) {
        size_t a = assay_random_below(&random, D);
        size_t b = (a + 1 + assay_random_below(&random, D - 1)) % D;
        double sobol = discrepancy(points[a], points[b], N);
        double uniform = discrepancy(noise[a], noise[b], N);

        ours += sobol;
        theirs += uniform;
        worse += sobol > uniform;
    }
    print_message(
        "mean squared discrepancy %.3g, of random points %.3g; worse in %zu of %d pairs\n",
        ours / PAIRS, theirs / PAIRS, worse, PAIRS);
    assert_true(ours < theirs / 4.0);
    assert_in_range(worse, 0, PAIRS / 20);
}

static void
test_t_values_stay_small(void **state ASSAY_UNUSED)
{
    static const struct {
        size_t dimensions;
        double mean_max;
        unsigned worst;
    } limits[] = {{20, 2.2, 5}, {64, 2.8, 7}, {200, 3.0, 9}};

    for (size_t l = 0; l < ASSAY_COUNT(limits); l++) {
        size_t n = limits[l].dimensions, sum = 0;
        unsigned worst = 0;

        for (size_t a = 0; a < n; a++) {
            for (size_t b = 0; b < a; b++) {
                unsigned t = assay_sobol_t_value(&sequence, a, b, 10);

                sum += t;
                worst = ASSAY_MAX(worst, t);
            }
        }
        assert_true((double)sum / ((double)(n * (n - 1)) / 2.0) <= limits[l].mean_max);
        assert_in_range(worst, 0, limits[l].worst);
    }
}

static void
test_prefix_does_not_depend_on_size(void **state ASSAY_UNUSED)
{
    struct assay_sobol small;

    assay_sobol_init(&small, 70);
    assert_memory_equal(small.directions, sequence.directions, 70 * sizeof *small.directions);
    assay_sobol_done(&small);
}

/* Different seeds give different points; each coordinate of a point is uniform over
 * seeds, and pairs of points are uncorrelated across dimensions. */
static void
test_scrambling_is_uniform(void **state ASSAY_UNUSED)
{
    double sum = 0.0, squares = 0.0, cross = 0.0;
    int n = 20000;

    for (int seed = 0; seed < n; seed++) {
        double u = assay_sobol_unit(&sequence, (uint64_t)seed, 7, 5);
        double v = assay_sobol_unit(&sequence, (uint64_t)seed, 8, 5);

        sum += u;
        squares += u * u;
        cross += (u - 0.5) * (v - 0.5);
    }
    assert_near(sum / n, 0.5, 0.01);
    assert_near(squares / n, 1.0 / 3.0, 0.01);
    assert_near(cross / n, 0.0, 0.004);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_projection_is_stratified),
        cmocka_unit_test(test_known_first_dimensions),
        cmocka_unit_test(test_t_value_is_what_boxes_show),
        cmocka_unit_test(test_pairs_beat_random),
        cmocka_unit_test(test_t_values_stay_small),
        cmocka_unit_test(test_prefix_does_not_depend_on_size),
        cmocka_unit_test(test_scrambling_is_uniform),
    };

    return cmocka_run_group_tests(tests, make_sequence, free_sequence);
}

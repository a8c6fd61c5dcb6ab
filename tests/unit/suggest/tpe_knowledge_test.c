/* What tpe knows besides its own values: bounds on other metrics, what users expect,
 * earlier studies; and that what is wrong does not hurt for long. */
#include "tests/unit/suggest/driver.h"

#include "suggest/algorithms/tpe/prior.h"
#include "suggest/algorithms/tpe/trust.h"

#define DEFAULTS "{\"start_trials\": 8, \"good_fraction\": 0, \"candidates\": 32}"
#define AT(name, more) "{'name':'" name "','type':'double','min':0,'max':1" more "}"
#define EXPECTED(place) ",'prior':{'value':" place ",'confidence':'high'}"
#define CHOICE(more) "{'name':'e','type':'categorical','values':['p','q','r']" more "}"

#define PLAIN "[" AT("a", "") "," AT("b", "") "," AT("c", "") "," AT("d", "") "," CHOICE("") "]"
#define RIGHT                                                                                      \
    "[" AT("a", EXPECTED("0.3")) "," AT("b", EXPECTED("0.3")) "," AT("c", EXPECTED("0.7")) ","     \
    AT("d", "") "," CHOICE(EXPECTED("'q'")) "]"
#define WRONG                                                                                      \
    "[" AT("a", EXPECTED("0.9")) "," AT("b", EXPECTED("0.9")) "," AT("c", EXPECTED("0.1")) ","     \
    AT("d", "") "," CHOICE(EXPECTED("'r'")) "]"

/* Least, 0, at 0.3, 0.3, 0.7, 0.5 and the second choice. */
static double
bowl(const double *point, size_t n ASSAY_UNUSED)
{
    return pow(point[0] - 0.3, 2.0) + pow(point[1] - 0.3, 2.0) + pow(point[2] - 0.7, 2.0) +
           pow(point[3] - 0.5, 2.0) + (point[4] == 1.0 ? 0.0 : 0.2);
}

/* --- what users expect --- */

static void
test_prior_is_a_density(void **state ASSAY_UNUSED)
{
    struct driver driver =
        driver_new(&assay_algorithm_tpe,
                   "[" AT("a", EXPECTED("0.95")) ",{'name':'b','type':'int','min':1,'max':5" EXPECTED(
                       "4") "}," CHOICE(EXPECTED("'r'")) ",{'name':'f','type':'bool',"
                   "'when':{'e':['p']}" EXPECTED("true") "}," AT("g", "") "]",
                   1, DEFAULTS, 1);
    struct assay_transform transform;
    struct assay_tpe_layout layout;
    struct assay_tpe_prior prior;
    struct assay_random random = test_random(3);
    double total = 0.0, drawn = 0.0, point[5], unit[5], share = 0.0;
    float coordinates[5];

    assay_transform_init(&transform, driver.space);
    assay_tpe_layout_init(&layout, &transform);
    assay_tpe_prior_init(&prior, &layout);
    assert_int_equal(prior.expectations.n, 4);
    for (int i = 0; i < 40000; i++) {
        for (size_t d = 0; d < 5; d++)
            unit[d] = assay_random_unit(&random);
        assay_transform_decode(&transform, unit, point);
        assay_tpe_encode(&layout, point, coordinates);
        total += exp(assay_tpe_prior_log(&prior, coordinates)) / 40000.0;
        assay_tpe_prior_draw(&prior, &random, point);
        assert_int_equal(assay_view_check(driver.space, point, NULL), ASSAY_OK);
        assay_tpe_encode(&layout, point, coordinates);
        drawn += assay_tpe_prior_log(&prior, coordinates) / 40000.0;
        share += point[2] == 2.0 ? 1.0 / 40000.0 : 0.0;
    }
    assert_near(total, 1.0, 0.03);
    assert_true(drawn > 1.0); /* where it is drawn from, it is large */
    assert_near(share, 0.8, 0.01); /* eight times as likely as either other */
    assay_transform_centre(&transform, point);
    assay_expectations_mode(&prior.expectations, point);
    assert_near(point[0], 0.95, 1e-12);
    assert_true(point[1] == 4.0 && point[2] == 2.0 && isnan(point[3]) && point[4] == 0.5);
    assay_tpe_prior_done(&prior);
    assay_tpe_layout_done(&layout);
    assay_transform_done(&transform);
    driver_done(&driver);
}

static void
test_expectations(void **state ASSAY_UNUSED)
{
    double plain = driver_median(&assay_algorithm_tpe, PLAIN, DEFAULTS, bowl, 20, 9);
    double right = driver_median(&assay_algorithm_tpe, RIGHT, DEFAULTS, bowl, 20, 9);
    double later = driver_median(&assay_algorithm_tpe, PLAIN, DEFAULTS, bowl, 100, 9);
    double wrong = driver_median(&assay_algorithm_tpe, WRONG, DEFAULTS, bowl, 100, 9);

    print_message("after 20: %.3g, expected right %.3g; after 100: %.3g, expected wrong %.3g\n",
                  plain, right, later, wrong);
    assert_true(right < plain / 4.0);
    assert_true(wrong < 2.0 * later + 1e-3);
}

/* --- trust --- */

static void
by_first(const void *sign, const float *const *points, size_t n, float *ret_verdicts)
{
    for (size_t i = 0; i < n; i++)
        ret_verdicts[i] = *(const float *)sign * points[i][0];
}

static void
test_trust(void **state ASSAY_UNUSED)
{
    const float low[] = {1, 2, 3}, high[] = {4, 5, 6}, up = 1.0f, down = -1.0f, never = 0.0f;
    const float *low_points[] = {&low[0], &low[1], &low[2]};
    const float *high_points[] = {&high[0], &high[1], &high[2]};
    struct assay_tpe_side good = {.points = high_points, .n = 3};
    struct assay_tpe_side bad = {.points = low_points, .n = 3}, none = {.n = 0};

    assert_near(assay_tpe_trust(by_first, &up, &good, &bad, 1000, 0.75), 1.0, 0.01);
    assert_near(assay_tpe_trust(by_first, &down, &good, &bad, 1000, 0.75), 0.0, 0.0);
    assert_near(assay_tpe_trust(by_first, &never, &good, &bad, 1000, 0.75), 0.0, 0.01);
    assert_near(assay_tpe_trust(by_first, &up, &good, &none, 5, 0.75), 0.5, 1e-12);
    assert_near(assay_tpe_trust(by_first, &down, &good, &bad, 6, 1.0), 0.0, 1e-12);
}

/* --- earlier studies --- */

/* The best of some seeds' runs with a source of 60 trials whose values are those of the
 * bowl times `sign`. */
static double
run_with_source(double sign, int64_t trials)
{
    struct driver earlier = driver_new(&assay_algorithm_tpe, PLAIN, 1, DEFAULTS, 77);
    double points[60][5], values[60], best[9];
    struct assay_plugin_trial told[60];
    const struct assay_plugin_trial *pointers[60];
    const struct assay_plugin_source source = {.name = "old", .n_trials = 60, .trials = pointers};
    const struct assay_plugin_source *const sources[] = {&source};

    for (size_t i = 0; i < 60; i++) {
        assert_int_equal(driver_ask(&earlier, (int64_t)i + 1, 1, points[i]), 1);
        values[i] = sign * bowl(points[i], 5);
        driver_tell(&earlier, (int64_t)i + 1, ASSAY_PLUGIN_SUCCEEDED, points[i], &values[i]);
        told[i] = (struct assay_plugin_trial){.number = (int64_t)i + 1,
                                              .state = ASSAY_PLUGIN_SUCCEEDED,
                                              .point = points[i],
                                              .values = &values[i],
                                              .budget = NAN,
                                              .steps = -1};
        pointers[i] = &told[i];
    }
    driver_done(&earlier);
    for (uint64_t seed = 0; seed < 9; seed++) {
        struct driver driver = driver_new_study(
            &assay_algorithm_tpe, PLAIN,
            &(struct assay_plugin_study){.n_objectives = 1,
                                         .settings = DEFAULTS,
                                         .seed = seed,
                                         .n_sources = 1,
                                         .sources = sources});
        double point[5];

        best[seed] = INFINITY;
        for (int64_t number = 1; number <= trials; number++) {
            double value;

            assert_int_equal(driver_ask(&driver, number, 1, point), 1);
            value = bowl(point, 5);
            best[seed] = fmin(best[seed], value);
            driver_tell(&driver, number, ASSAY_PLUGIN_SUCCEEDED, point, &value);
        }
        driver_done(&driver);
    }
    qsort(best, 9, sizeof *best, assay_compare_doubles);
    return best[4];
}

static void
test_sources(void **state ASSAY_UNUSED)
{
    double plain = driver_median(&assay_algorithm_tpe, PLAIN, DEFAULTS, bowl, 20, 9);
    double later = driver_median(&assay_algorithm_tpe, PLAIN, DEFAULTS, bowl, 100, 9);
    double right = run_with_source(1.0, 20), wrong = run_with_source(-1.0, 100);

    print_message("after 20: %.3g, with a source %.3g; after 100: %.3g, with a wrong one %.3g\n",
                  plain, right, later, wrong);
    assert_true(right < plain / 4.0);
    assert_true(wrong < 2.0 * later + 1e-3);
}

/* --- bounds --- */

/* The least where a + b >= 1.2, far from where the bowl is: 0.18 at 0.6, 0.6. */
static double
run_bounded(const struct assay_plugin_algorithm *algorithm, const char *settings, uint64_t seed)
{
    struct driver driver = driver_new_study(
        algorithm, PLAIN,
        &(struct assay_plugin_study){
            .n_objectives = 1, .n_constraints = 1, .settings = settings, .seed = seed});
    double point[5], best = INFINITY;

    for (int64_t number = 1; number <= 80; number++) {
        double value, bound;

        assert_int_equal(driver_ask(&driver, number, 1, point), 1);
        value = bowl(point, 5);
        bound = number % 17 == 0 ? NAN : 1.2 - point[0] - point[1];
        if (bound <= 0.0)
            best = fmin(best, value);
        driver_tell_constrained(&driver, number, ASSAY_PLUGIN_SUCCEEDED, point, &value, &bound);
    }
    driver_done(&driver);
    return best;
}

static void
test_bounds(void **state ASSAY_UNUSED)
{
    double tpe = 0.0, random = 0.0;

    for (uint64_t seed = 0; seed < 9; seed++) {
        tpe += run_bounded(&assay_algorithm_tpe, DEFAULTS, seed) / 9.0;
        random += run_bounded(&assay_algorithm_random, "{}", seed) / 9.0;
    }
    print_message("bounded: %.3g, random %.3g, least 0.18\n", tpe, random);
    assert_true(tpe - 0.18 < (random - 0.18) / 3.0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prior_is_a_density), cmocka_unit_test(test_expectations),
        cmocka_unit_test(test_trust),              cmocka_unit_test(test_sources),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

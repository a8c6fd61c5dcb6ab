/* The algorithm `bayesian` under bounds and failures. */
#include "tests/unit/suggest/bayesian_driver.h"

static const char plane[] = "[{'name':'a','type':'double','min':0,'max':1},"
                            "{'name':'b','type':'double','min':0,'max':1}]";
static const char cube[] = "[{'name':'a','type':'double','min':0,'max':1},"
                           "{'name':'b','type':'double','min':0,'max':1},"
                           "{'name':'c','type':'double','min':0,'max':1}]";

/* sin x + y where sin x sin y <= -0.95: a hundredth of the square (J. R. Gardner et al.,
 * "Bayesian optimization with inequality constraints", ICML 2014).  Best 0.2533. */
static void
tight(const double *p, double *values, double *bounds)
{
    double x = 6.0 * p[0], y = 6.0 * p[1];

    values[0] = sin(x) + y;
    bounds[0] = sin(x) * sin(y) + 0.95;
}

/* The weight of a spring under four bounds of very different size (J. S. Arora, 1989).
 * Best 0.012665. */
static void
spring(const double *p, double *values, double *bounds)
{
    double d = 0.05 + 1.95 * p[0], w = 0.25 + 1.05 * p[1], n = 2.0 + 13.0 * p[2];

    values[0] = (n + 2.0) * w * d * d;
    bounds[0] = 1.0 - w * w * w * n / (71785.0 * pow(d, 4.0));
    bounds[1] = (4.0 * w * w - d * w) / (12566.0 * (w * pow(d, 3.0) - pow(d, 4.0))) +
                1.0 / (5108.0 * d * d) - 1.0;
    bounds[2] = 1.0 - 140.45 * d / (w * w * n);
    bounds[3] = (d + w) / 1.5 - 1.0;
}

static double
paraboloid(const double *p)
{
    return pow(p[0] - 0.7, 2.0) + pow(p[1] - 0.3, 2.0);
}

/* A bound that is not measured in a part of the square. */
static void
partly_measured(const double *p, double *values, double *bounds)
{
    values[0] = paraboloid(p);
    bounds[0] = p[1] > 0.8 ? NAN : p[0] - 0.5;
    bounds[1] = p[1] > 0.9 ? INFINITY : p[1] - 2.0;
}

/* Fails on the better half, and here and there without a reason. */
static void
failing(const double *p, double *values, double *bounds ASSAY_UNUSED)
{
    bool lost = fmod(1000.0 * (p[0] + p[1]), 7.0) < 1.0;

    values[0] = p[0] + p[1] > 0.9 || lost ? NAN : paraboloid(p);
}

static void
test_finds_the_best_that_holds(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *parameters;
        size_t bounds, trials;
        run_function *function;
        uint64_t seeds;
        double enough; /* on average */
    } cases[] = {
        {plane, 1, 30, tight, 2, 0.27},
        {cube, 4, 60, spring, 2, 0.0135},
        {plane, 2, 25, partly_measured, 2, 0.042},
        {plane, 0, 30, failing, 6, 0.013},
    };

    for (size_t k = 0; k < ASSAY_COUNT(cases); k++) {
        double sum = 0.0;

        for (uint64_t seed = 1; seed <= cases[k].seeds; seed++) {
            struct run_result result =
                run_study(&assay_algorithm_bayesian, cases[k].parameters, 1, cases[k].bounds, seed,
                          cases[k].function, cases[k].trials, 1, NULL, 0);

            print_message("case %zu seed %d: %.5f, %zu of %zu break a bound or fail\n", k,
                          (int)seed, result.best, result.n_infeasible, result.n);
            sum += result.best;
            run_result_done(&result);
        }
        assert_true(sum <= cases[k].enough * (double)cases[k].seeds);
    }
}

/* Many at a time: while nothing holds the bound, and afterwards. */
static void
test_batches(void **state ASSAY_UNUSED)
{
    struct run_result result =
        run_study(&assay_algorithm_bayesian, plane, 1, 1, 3, tight, 60, 10, NULL, 0);

    print_message("%.4f, %zu break a bound\n", result.best, result.n_infeasible);
    assert_true(result.best <= 0.3);
    for (size_t i = 0; i < result.n; i++) {
        for (size_t k = 0; k < i; k++)
            assert_false(result.points[2 * i] == result.points[2 * k] &&
                         result.points[2 * i + 1] == result.points[2 * k + 1]);
    }
    run_result_done(&result);
}

/* The history of a run told again in another order and in the middle of asks. */
static void
test_same_answer_however_told(void **state ASSAY_UNUSED)
{
    struct run_result result =
        run_study(&assay_algorithm_bayesian, plane, 1, 2, 4, partly_measured, 30, 5, NULL, 0);
    double expected[6];

    for (int way = 0; way < 3; way++) {
        double points[6];
        struct run run;

        run_init(&run, &assay_algorithm_bayesian, plane, 1, 2, 4, NULL, 0);
        for (size_t i = 0; i < 30; i++) {
            size_t k = way == 1 ? 29 - i : i;
            double values[1], bounds[2];

            partly_measured(&result.points[2 * k], values, bounds);
            run_tell(&run, (int64_t)k + 1,
                     k % 6 == 5 ? ASSAY_PLUGIN_INFEASIBLE : ASSAY_PLUGIN_SUCCEEDED,
                     &result.points[2 * k], values, bounds);
            if (way == 2 && i % 4 == 3)
                run_ask(&run, 31, 2, points);
        }
        run_ask(&run, 31, 3, points);
        if (way == 0)
            memcpy(expected, points, sizeof expected);
        assert_memory_equal(points, expected, sizeof expected);
        run_done(&run);
    }
    run_result_done(&result);
}

static json_t *
why_after(size_t trials, run_function *function, size_t bounds)
{
    struct run run;
    double point[2], values[1], measured[RUN_VALUES_MAX];
    json_t *why;

    run_init(&run, &assay_algorithm_bayesian, plane, 1, bounds, 5, NULL, 0);
    for (size_t i = 0; i < trials; i++) {
        run_ask(&run, (int64_t)i + 1, 1, point);
        function(point, values, measured);
        run_tell(&run, (int64_t)i + 1,
                 isnan(values[0]) ? ASSAY_PLUGIN_FAILED : ASSAY_PLUGIN_SUCCEEDED, point, values,
                 measured);
    }
    run_ask(&run, (int64_t)trials + 1, 1, point);
    why = json_loads(run.why, 0, NULL);
    assert_non_null(why);
    run_done(&run);
    return why;
}

static void
never(const double *p, double *values, double *bounds)
{
    values[0] = paraboloid(p);
    bounds[0] = 1.0 + p[0];
}

static const char *
rule_of(const json_t *why)
{
    return json_string_value(json_object_get(json_object_get(why, "acquisition"), "name"));
}

static void
test_why(void **state ASSAY_UNUSED)
{
    json_t *why = why_after(20, tight, 1);
    double feasible = json_number_value(json_object_get(why, "feasible"));

    assert_true(feasible > 0.0 && feasible <= 1.0);
    assert_non_null(json_object_get(why, "predicted"));
    json_decref(why);
    /* Nothing holds: probability is all that counts, and there is no incumbent. */
    why = why_after(12, never, 1);
    assert_string_equal(rule_of(why), "log_probability_of_feasibility");
    assert_null(json_object_get(why, "incumbent"));
    json_decref(why);
    why = why_after(15, failing, 0);
    assert_string_equal(rule_of(why), "log_expected_improvement");
    assert_non_null(json_object_get(why, "incumbent"));
    feasible = json_number_value(json_object_get(why, "feasible"));
    assert_true(feasible > 0.0 && feasible <= 1.0);
    json_decref(why);
}

/* Bounds no process can like. */
static void
test_hostile_bounds(void **state ASSAY_UNUSED)
{
    static const double hostile[][3] = {
        {0.0, 0.0, 0.0},      {1e308, -1e308, 1e300}, {NAN, NAN, NAN},
        {INFINITY, 1.0, 2.0}, {5e-324, -5e-324, 0.0}, {-INFINITY, -1.0, NAN},
    };

    for (size_t k = 0; k < ASSAY_COUNT(hostile); k++) {
        struct run run;

        run_init(&run, &assay_algorithm_bayesian, plane, 1, 1, 6, NULL, 0);
        for (int64_t number = 1; number <= 16; number++) {
            double point[2], value;

            run_ask(&run, number, 1, point);
            value = paraboloid(point);
            run_tell(&run, number, ASSAY_PLUGIN_SUCCEEDED, point, &value, &hostile[k][number % 3]);
        }
        run_done(&run);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_best_that_holds),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_same_answer_however_told),
        cmocka_unit_test(test_why),
        cmocka_unit_test(test_hostile_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

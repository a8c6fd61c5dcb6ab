/* nsga2: fronts found, bounds kept, the same whatever way trials came. */
#include "tests/unit/suggest/driver.h"

#include "suggest/algorithms/nsga2/population.h"
#include "suggest/algorithms/nsga2/variation.h"
#include "suggest/pareto/hypervolume.h"

#define SETTINGS                                                                                   \
    "{\"population_size\": 0, \"crossover_probability\": 0.9, \"mutations\": 2, "                  \
    "\"crossover_index\": 2, \"mutation_index\": 3}"

#define MIXED                                                                                      \
    "[{'name':'a','type':'double','min':0,'max':1},{'name':'b','type':'int','min':0,'max':3},"     \
    "{'name':'c','type':'categorical','values':['x','y','z']},"                                    \
    "{'name':'d','type':'double','min':0.01,'max':1,'scale':'log','when':{'c':['x']}},"            \
    "{'name':'e','type':'bool','when':{'c':['x','y']}}]"

enum { TRIALS = 200 };

static struct driver
new_driver(const char *parameters, size_t n_objectives, size_t n_constraints, uint64_t seed)
{
    return driver_new_study(&assay_algorithm_nsga2, parameters,
                            &(struct assay_plugin_study){.n_objectives = n_objectives,
                                                         .n_constraints = n_constraints,
                                                         .settings = SETTINGS,
                                                         .seed = seed});
}

/* ZDT1 in six parameters. */
static void
zdt1(const double *x, double *ret_values)
{
    double g = 1.0 + 9.0 * (x[1] + x[2] + x[3] + x[4] + x[5]) / 5.0;

    ret_values[0] = x[0];
    ret_values[1] = g * (1.0 - sqrt(x[0] / g));
}

#define UNITS                                                                                      \
    "[{'name':'a','type':'double','min':0,'max':1},{'name':'b','type':'double','min':0,'max':1},"  \
    "{'name':'c','type':'double','min':0,'max':1},{'name':'d','type':'double','min':0,'max':1},"   \
    "{'name':'e','type':'double','min':0,'max':1},{'name':'f','type':'double','min':0,'max':1}]"

static void
test_finds_a_front(void **state ASSAY_UNUSED)
{
    const double reference[] = {1.1, 1.1};
    struct driver driver = new_driver(UNITS, 2, 0, 3);
    double values[TRIALS][2], point[6];

    for (size_t i = 0; i < TRIALS; i++) {
        assert_int_equal(driver_ask(&driver, (int64_t)i + 1, 1, point), 1);
        zdt1(point, values[i]);
        driver_tell(&driver, (int64_t)i + 1, ASSAY_PLUGIN_SUCCEEDED, point, values[i]);
    }
    /* The whole front has 0.8767; random search stays at 0. */
    assert_true(assay_pareto_hypervolume(values[0], TRIALS, 2, reference) > 0.55);
    driver_done(&driver);
}

/* The least of the sum where it is at least 2: bounds come before values. */
static void
test_keeps_bounds(void **state ASSAY_UNUSED)
{
    struct driver driver = new_driver(UNITS, 1, 2, 1);
    double best = INFINITY, point[6];

    for (int64_t number = 1; number <= TRIALS; number++) {
        double value = 0.0, constraints[2];

        assert_int_equal(driver_ask(&driver, number, 1, point), 1);
        for (size_t k = 0; k < 6; k++)
            value += point[k];
        constraints[0] = 2.0 - value;
        constraints[1] = point[0] > 0.9 ? NAN : -1.0;
        driver_tell_constrained(&driver, number, ASSAY_PLUGIN_SUCCEEDED, point, &value,
                                constraints);
        if (constraints[0] <= 0.0 && constraints[1] <= 0.0)
            best = fmin(best, value);
    }
    assert_true(best >= 2.0 && best < 2.1);
    driver_done(&driver);
}

static void
values_of(const struct driver *driver, const double *point, double *ret_values)
{
    for (size_t k = 0; k < driver->n_objectives; k++) {
        ret_values[k] = 0.0;
        for (size_t i = 0; i < driver->space->n_parameters; i++)
            ret_values[k] += isnan(point[i]) ? 0.3 : fabs(point[i] - 0.4 * (double)k);
    }
}

/* What a history of every kind of end leaves behind does not depend on its order. */
static void
test_order_of_tells(void **state ASSAY_UNUSED)
{
    static const uint32_t states[] = {ASSAY_PLUGIN_SUCCEEDED, ASSAY_PLUGIN_SUCCEEDED,
                                      ASSAY_PLUGIN_STOPPED,   ASSAY_PLUGIN_FAILED,
                                      ASSAY_PLUGIN_SUCCEEDED, ASSAY_PLUGIN_INFEASIBLE,
                                      ASSAY_PLUGIN_CANCELLED, ASSAY_PLUGIN_PENDING};
    struct assay_random random = test_random(9);

    for (size_t m = 1; m <= 4; m++) {
        struct driver one = new_driver(MIXED, m, 1, 5), two = new_driver(MIXED, m, 1, 5);
        double points[TRIALS][5], values[TRIALS][4], expected[20][5], again[20][5];
        size_t order[TRIALS];

        for (size_t i = 0; i < TRIALS; i++) {
            double bound = (double)(i % 5) - 2.0;

            assert_int_equal(driver_ask(&one, (int64_t)i + 1, 1, points[i]), 1);
            values_of(&one, points[i], values[i]);
            if (i % 50 == 7)
                values[i][0] = NAN;
            driver_tell_constrained(&one, (int64_t)i + 1, states[i % ASSAY_COUNT(states)],
                                    points[i], values[i], &bound);
            order[i] = i;
        }
        for (size_t i = TRIALS - 1; i > 0; i--) {
            size_t k = (size_t)assay_random_below(&random, i + 1), kept = order[i];

            order[i] = order[k];
            order[k] = kept;
        }
        /* All as pending first, as workers at the same time have it. */
        for (size_t round = 0; round < 2; round++) {
            for (size_t i = 0; i < TRIALS; i++) {
                size_t k = order[i];
                double bound = (double)(k % 5) - 2.0;

                driver_tell_constrained(&two, (int64_t)k + 1,
                                        round == 0 ? ASSAY_PLUGIN_PENDING
                                                   : states[k % ASSAY_COUNT(states)],
                                        points[k], values[k], &bound);
            }
        }
        assert_int_equal(driver_ask(&one, TRIALS + 1, 20, expected[0]), 20);
        assert_int_equal(driver_ask(&two, TRIALS + 1, 20, again[0]), 20);
        assert_memory_equal(expected, again, sizeof expected);
        driver_done(&one);
        driver_done(&two);
    }
}

/* Children lie in the cube, mix what their parents have, and a mutated number with few
 * values is another. */
static void
test_children(void **state ASSAY_UNUSED)
{
    struct driver driver = new_driver(MIXED, 1, 0, 1);
    struct assay_transform transform;
    struct assay_nsga2_variation variation = {.transform = &transform,
                                              .crossover = 1.0,
                                              .crossover_index = 2.0,
                                              .mutation_index = 3.0};
    struct assay_random random = test_random(4);
    const double mother[] = {0.2, 0.125, 0.5 / 3, 0.6, 0.25}, father[] = {0.9, 0.125, 2.5 / 3,
                                                                          NAN, NAN};
    double child[5], point[5];
    int mixed = 0;

    assay_transform_init(&transform, driver.space);
    for (int round = 0; round < 2000; round++) {
        assay_nsga2_cross(&variation, mother, father, 1.0, &random, child);
        for (size_t d = 0; d < 5; d++)
            assert_true(child[d] >= 0.0 && child[d] <= 1.0);
        assert_near(child[1], 0.125, 0.0);
        assert_true(child[2] == mother[2] || child[2] == father[2]);
        assert_near(child[3], 0.6, 0.0);
        mixed += child[2] == father[2];
    }
    assert_in_range(mixed, 800, 1200);
    variation.mutation = 1.0;
    for (int round = 0; round < 2000; round++) {
        assay_nsga2_cross(&variation, mother, mother, 1.0, &random, child);
        assay_transform_decode(&transform, child, point);
        assert_true(point[1] >= 1.0 && point[1] <= 3.0);
        assert_true(point[2] == 1.0 || point[2] == 2.0);
    }
    assay_transform_done(&transform);
    driver_done(&driver);
}

/* The front of an earlier study is where the children begin, and it gives way. */
static void
test_sources(void **state ASSAY_UNUSED)
{
    double points[40][6], values[40][2], point[6], sum = 0.0, without = 0.0;
    struct assay_plugin_trial trials[40];
    const struct assay_plugin_trial *pointers[40];
    const struct assay_plugin_source source = {.name = "old", .n_trials = 40, .trials = pointers};
    const struct assay_plugin_source *const sources[] = {&source};
    struct assay_plugin_study study = {.n_objectives = 2, .settings = SETTINGS, .seed = 2};
    struct driver plain = driver_new_study(&assay_algorithm_nsga2, UNITS, &study), warm;

    for (size_t i = 0; i < 40; i++) {
        for (size_t k = 0; k < 6; k++)
            points[i][k] = k == 0 ? (double)i / 40.0 : i % 2 == 0 ? 0.02 : 0.8;
        zdt1(points[i], values[i]);
        trials[i] = (struct assay_plugin_trial){.number = (int64_t)i + 1,
                                                .state = ASSAY_PLUGIN_SUCCEEDED,
                                                .point = points[i],
                                                .values = values[i],
                                                .budget = NAN,
                                                .steps = -1};
        pointers[i] = &trials[i];
    }
    study.n_sources = 1;
    study.sources = sources;
    warm = driver_new_study(&assay_algorithm_nsga2, UNITS, &study);
    for (int64_t number = 1; number <= 30; number++) {
        double reached[2];

        assert_int_equal(driver_ask(&plain, number, 1, point), 1);
        zdt1(point, reached);
        driver_tell(&plain, number, ASSAY_PLUGIN_SUCCEEDED, point, reached);
        without += reached[1];
        assert_int_equal(driver_ask(&warm, number, 1, point), 1);
        zdt1(point, reached);
        driver_tell(&warm, number, ASSAY_PLUGIN_SUCCEEDED, point, reached);
        sum += reached[1];
    }
    assert_true(sum < 0.7 * without);
    driver_done(&plain);
    driver_done(&warm);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_a_front),  cmocka_unit_test(test_keeps_bounds),
        cmocka_unit_test(test_order_of_tells), cmocka_unit_test(test_children),
        cmocka_unit_test(test_sources),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

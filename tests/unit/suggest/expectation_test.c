/* What users expect of parameters, in the algorithms that have no test of their own for it:
 * right, it saves trials; wrong, it does not cost many. */
#include "tests/unit/suggest/driver.h"

#define AT(name, more) "{'name':'" name "','type':'double','min':0,'max':1" more "}"
#define EXPECTED(place) ",'prior':{'value':" place ",'confidence':'high'}"
#define CHOICE(more) "{'name':'e','type':'categorical','values':['p','q','r']" more "}"

#define PLAIN "[" AT("a", "") "," AT("b", "") "," AT("c", "") "," AT("d", "") "," CHOICE("") "]"
#define RIGHT                                                                                      \
    "[" AT("a", EXPECTED("0.25")) "," AT("b", EXPECTED("0.35")) "," AT(                            \
        "c", EXPECTED("0.65")) "," AT("d", "") "," CHOICE(EXPECTED("'q'")) "]"
#define WRONG                                                                                      \
    "[" AT("a", EXPECTED("0.9")) "," AT("b", EXPECTED("0.9")) "," AT("c", EXPECTED("0.1")) "," AT( \
        "d", "") "," CHOICE(EXPECTED("'r'")) "]"

static const struct {
    const struct assay_plugin_algorithm *algorithm;
    const char *settings;
} cases[] = {
    {&assay_algorithm_cmaes, "{\"start_trials\": 8, \"population\": 0}"},
    {&assay_algorithm_nsga2, "{\"population_size\": 0, \"crossover_probability\": 0.9, "
                             "\"mutations\": 2, \"crossover_index\": 2, \"mutation_index\": 3}"},
};

/* Least, 0, at 0.3, 0.3, 0.7, 0.5 and the second choice. */
static double
bowl(const double *point, size_t n ASSAY_UNUSED)
{
    return pow(point[0] - 0.3, 2.0) + pow(point[1] - 0.3, 2.0) + pow(point[2] - 0.7, 2.0) +
           pow(point[3] - 0.5, 2.0) + (point[4] == 1.0 ? 0.0 : 0.2);
}

static void
test_expectations(void **state ASSAY_UNUSED)
{
    for (size_t k = 0; k < ASSAY_COUNT(cases); k++) {
        const struct assay_plugin_algorithm *algorithm = cases[k].algorithm;
        const char *settings = cases[k].settings;
        double plain = driver_median(algorithm, PLAIN, settings, bowl, 40, 9);
        double right = driver_median(algorithm, RIGHT, settings, bowl, 40, 9);
        double later = driver_median(algorithm, PLAIN, settings, bowl, 100, 9);
        double wrong = driver_median(algorithm, WRONG, settings, bowl, 100, 9);

        print_message("%s after 40: %.3g, expected right %.3g; after 100: %.3g, expected wrong "
                      "%.3g\n",
                      algorithm->name, plain, right, later, wrong);
        assert_true(right < plain / 2.0);
        assert_true(wrong < 4.0 * later + 1e-3);
    }
}

/* The first trial is where the best is expected. */
static void
test_first_trial(void **state ASSAY_UNUSED)
{
    for (size_t k = 0; k < ASSAY_COUNT(cases); k++) {
        struct driver driver = driver_new(cases[k].algorithm, RIGHT, 1, cases[k].settings, 3);
        double point[5];

        assert_int_equal(driver_ask(&driver, 1, 1, point), 1);
        assert_true(point[0] == 0.25 && point[1] == 0.35 && point[2] == 0.65 && point[4] == 1.0);
        driver_done(&driver);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expectations),
        cmocka_unit_test(test_first_trial),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

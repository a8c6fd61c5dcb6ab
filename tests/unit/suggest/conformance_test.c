/* The conformance checks: every built-in algorithm passes them.  What they find:
 * plugin_check_test.c. */
#include "tests/unit/suggest/support.h"

#include "suggest/conformance.h"
#include "suggest/registry.h"

/* Takes milliseconds for an ask, not microseconds: fewer trials have to do. */
static bool
is_quick(const char *algorithm)
{
    static const char *const quick[] = {"random", "grid", "sobol",     "tpe", "cmaes",
                                        "nsga2",  "asha", "hyperband", "pbt"};

    for (size_t i = 0; i < ASSAY_COUNT(quick); i++) {
        if (strcmp(algorithm, quick[i]) == 0)
            return true;
    }
    return false;
}

/* What an algorithm may refuse, and says so. */
static bool
may_refuse(const struct assay_plugin_algorithm *algorithm, const char *check)
{
    static const struct {
        const char *check;
        uint64_t cap;
    } by_cap[] = {
        {"deep conditions", ASSAY_PLUGIN_CAP_CONDITIONS},
        {"finite branch", ASSAY_PLUGIN_CAP_CONDITIONS},
        {"two objectives", ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE},
        {"four objectives", ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE},
        {"constraints", ASSAY_PLUGIN_CAP_CONSTRAINTS},
    };

    for (size_t i = 0; i < ASSAY_COUNT(by_cap); i++) {
        if (strcmp(by_cap[i].check, check) == 0 && !(algorithm->caps & by_cap[i].cap))
            return true;
    }
    /* More points than a grid takes on. */
    return strcmp(algorithm->name, "grid") == 0 &&
           (strcmp(check, "200 parameters") == 0 || strcmp(check, "told to stop") == 0 ||
            strncmp(check, "time per ask", 12) == 0);
}

static void
run_built_in(const struct assay_plugin_algorithm *algorithm)
{
    bool quick = is_quick(algorithm->name);
    const struct assay_conformance_limits limits = {
        .trials = quick ? 150 : 50,
        .long_trials = quick ? 1000 : 80,
        .time_us = (quick ? 2 : 1) * ASSAY_SECOND_US,
        .own_lattice = strcmp(algorithm->name, "grid") == 0,
    };

    for (size_t c = 0; c < assay_conformance_count(); c++) {
        struct assay_conformance_result result;
        const char *check = assay_conformance_name(c);

        assay_conformance_run(algorithm, c, &limits, &result);
        if (result.outcome == ASSAY_CONFORMANCE_FAILED ||
            (result.outcome == ASSAY_CONFORMANCE_REFUSED && !may_refuse(algorithm, check)))
            fail_msg("%s on %s: %s", algorithm->name, check, result.sentence);
        if (!isnan(result.ask_us))
            print_message("%s: %.0f us per ask with 1,000 trials, the slowest %.0f us\n",
                          algorithm->name, result.ask_us, result.ask_max_us);
    }
}

static void
test_built_in_algorithms(void **state ASSAY_UNUSED)
{
    for (size_t a = 0; assay_registry_algorithm_at(a) != NULL; a++)
        run_built_in(assay_registry_algorithm_at(a));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_in_algorithms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What bayesian knows besides its own values: earlier studies and what users expect; that
 * what is right saves evaluations, and what is wrong is noticed. */
#include "tests/unit/suggest/driver.h"

#include "suggest/algorithms/bayesian/trust.h"

#define DEFAULTS "{\"startup_trials\": 0}"
#define AT(name, more) "{'name':'" name "','type':'double','min':0,'max':1" more "}"
#define EXPECTED(place) ",'prior':{'value':" place ",'confidence':'high'}"
#define CHOICE(more) "{'name':'e','type':'categorical','values':['p','q','r']" more "}"

#define PLAIN "[" AT("a", "") "," AT("b", "") "," AT("c", "") "," AT("d", "") "," CHOICE("") "]"
#define RIGHT                                                                                      \
    "[" AT("a", EXPECTED("0.3")) "," AT("b", EXPECTED("0.3")) "," AT("c", EXPECTED("0.7")) "," AT( \
        "d", "") "," CHOICE(EXPECTED("'q'")) "]"
#define WRONG                                                                                      \
    "[" AT("a", EXPECTED("0.9")) "," AT("b", EXPECTED("0.9")) "," AT("c", EXPECTED("0.1")) "," AT( \
        "d", "") "," CHOICE(EXPECTED("'r'")) "]"

#define SEEDS 8
#define TRIALS 60
#define ENOUGH 0.02

/* Least, 0, at 0.3, 0.3, 0.7, 0.5 and the second choice; ripples make it last. */
static double
rippled(const double *point, size_t n ASSAY_UNUSED)
{
    static const double best[] = {0.3, 0.3, 0.7, 0.5};
    double value = point[4] == 1.0 ? 0.0 : 0.2;

    for (size_t i = 0; i < 4; i++) {
        double off = point[i] - best[i];

        value += off * off + 0.03 * (1.0 - cos(15.0 * off));
    }
    return value;
}

/* --- trust --- */

static void
test_trust(void **state ASSAY_UNUSED)
{
    static const double found[] = {1, 2, 3, 4, 5, 6}, against[] = {6, 5, 4, 3, 2, 1},
                        nothing[] = {1, 1, 1, 1, 1, 1}, same[] = {2, 2, 2, 2, 2, 2};

    assert_near(assay_gp_trust(found, found, 6, 1.0), 1.0, 1e-12);
    assert_near(assay_gp_trust(found, found, 6, 0.8), 0.8, 1e-12);
    assert_near(assay_gp_trust(against, found, 6, 1.0), 0.0, 0.0);
    assert_near(assay_gp_trust(nothing, found, 6, 1.0), 0.5, 1e-12);
    assert_near(assay_gp_trust(found, same, 6, 0.8), 0.6, 1e-12);
    assert_near(assay_gp_trust(NULL, NULL, 0, 0.8), 0.6, 1e-12);
}

/* --- earlier studies --- */

/* A study of random trials of the function, turned by `sign`, in another unit. */
struct earlier {
    double points[80][5], values[80];
    struct assay_plugin_trial trials[80];
    const struct assay_plugin_trial *pointers[80];
    struct assay_plugin_source source;
};

static void
earlier_init(struct earlier *earlier, double sign, uint64_t seed)
{
    struct driver driver = driver_new(&assay_algorithm_sobol, PLAIN, 1, "{}", seed);

    for (size_t i = 0; i < 80; i++) {
        assert_int_equal(driver_ask(&driver, (int64_t)i + 1, 1, earlier->points[i]), 1);
        earlier->values[i] = 100.0 + 7.0 * sign * rippled(earlier->points[i], 5);
        earlier->trials[i] = (struct assay_plugin_trial){.number = (int64_t)i + 1,
                                                         .state = ASSAY_PLUGIN_SUCCEEDED,
                                                         .point = earlier->points[i],
                                                         .values = &earlier->values[i],
                                                         .budget = NAN,
                                                         .steps = -1};
        earlier->pointers[i] = &earlier->trials[i];
    }
    driver_done(&driver);
    earlier->source = (struct assay_plugin_source){
        .name = "earlier", .n_trials = 80, .trials = earlier->pointers};
}

/* How many trials it takes to come below ENOUGH, over all seeds; TRIALS + 1 where it never
 * did. */
static int64_t
trials_needed(const struct assay_plugin_algorithm *algorithm, const char *settings,
              const char *parameters, const struct assay_plugin_source *const *sources, size_t n)
{
    int64_t sum = 0;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct driver driver = driver_new_study(algorithm, parameters,
                                                &(struct assay_plugin_study){.n_objectives = 1,
                                                                             .settings = settings,
                                                                             .seed = seed,
                                                                             .n_sources = n,
                                                                             .sources = sources});
        double point[5], value = INFINITY;
        int64_t number = 0;

        while (number++ < TRIALS && value > ENOUGH) {
            assert_int_equal(driver_ask(&driver, number, 1, point), 1);
            value = rippled(point, 5);
            driver_tell(&driver, number, ASSAY_PLUGIN_SUCCEEDED, point, &value);
        }
        sum += value > ENOUGH ? TRIALS + 1 : number - 1;
        driver_done(&driver);
    }
    return sum;
}

static void
test_sources(void **state ASSAY_UNUSED)
{
    struct earlier right, wrong, more;
    const struct assay_plugin_source *const helpful[] = {&right.source};
    const struct assay_plugin_source *const misleading[] = {&wrong.source};
    const struct assay_plugin_source *const mixed[] = {&wrong.source, &right.source, &more.source};
    int64_t alone, with, against, both;

    earlier_init(&right, 1.0, 77);
    earlier_init(&more, 1.0, 78);
    earlier_init(&wrong, -1.0, 79);
    alone = trials_needed(&assay_algorithm_bayesian, DEFAULTS, PLAIN, NULL, 0);
    with = trials_needed(&assay_algorithm_bayesian, DEFAULTS, PLAIN, helpful, 1);
    against = trials_needed(&assay_algorithm_bayesian, DEFAULTS, PLAIN, misleading, 1);
    both = trials_needed(&assay_algorithm_bayesian, DEFAULTS, PLAIN, mixed, 3);
    print_message("%d trials alone, %d with a source, %d with one that misleads, %d with both\n",
                  (int)alone, (int)with, (int)against, (int)both);
    assert_true(2 * with <= alone);
    assert_true(3 * both <= 2 * alone);
    assert_true(against <= alone + alone / 4 + 2 * SEEDS);
}

static void
test_sources_of_auto(void **state ASSAY_UNUSED)
{
    struct earlier right;
    const struct assay_plugin_source *const helpful[] = {&right.source};
    int64_t alone, with;

    earlier_init(&right, 1.0, 77);
    alone = trials_needed(&assay_algorithm_auto, "{}", PLAIN, NULL, 0);
    with = trials_needed(&assay_algorithm_auto, "{}", PLAIN, helpful, 1);
    print_message("auto: %d trials alone, %d with a source\n", (int)alone, (int)with);
    assert_true(2 * with <= alone);
}

/* --- what users expect --- */

static void
test_expectations(void **state ASSAY_UNUSED)
{
    int64_t alone = trials_needed(&assay_algorithm_bayesian, DEFAULTS, PLAIN, NULL, 0);
    int64_t right = trials_needed(&assay_algorithm_bayesian, DEFAULTS, RIGHT, NULL, 0);
    int64_t wrong = trials_needed(&assay_algorithm_bayesian, DEFAULTS, WRONG, NULL, 0);

    print_message("%d trials alone, %d expected right, %d expected wrong\n", (int)alone, (int)right,
                  (int)wrong);
    assert_true(2 * right <= alone);
    assert_true(wrong <= alone + alone / 4 + 2 * SEEDS);
}

/* --- the same answer --- */

/* Told at once or one by one, with sources and expectations, also the points of the start. */
static void
test_same_answer_however_told(void **state ASSAY_UNUSED)
{
    struct earlier right, wrong;
    const struct assay_plugin_source *const sources[] = {&wrong.source, &right.source};
    struct assay_plugin_study study = {
        .n_objectives = 1, .settings = DEFAULTS, .seed = 4, .n_sources = 2, .sources = sources};
    double points[24][5], values[24];
    struct driver live;

    earlier_init(&right, 1.0, 80);
    earlier_init(&wrong, -1.0, 81);
    live = driver_new_study(&assay_algorithm_bayesian, RIGHT, &study);
    for (int64_t number = 1; number <= 24; number++) {
        size_t i = (size_t)number - 1;

        assert_int_equal(driver_ask(&live, number, 1, points[i]), 1);
        if (number % 5 == 2) {
            struct driver fresh = driver_new_study(&assay_algorithm_bayesian, RIGHT, &study);
            double again[5];

            for (size_t k = i; k-- > 0;)
                driver_tell(&fresh, (int64_t)k + 1, ASSAY_PLUGIN_SUCCEEDED, points[k], &values[k]);
            assert_int_equal(driver_ask(&fresh, number, 1, again), 1);
            assert_memory_equal(again, points[i], sizeof again);
            driver_done(&fresh);
        }
        values[i] = rippled(points[i], 5);
        driver_tell(&live, number, ASSAY_PLUGIN_SUCCEEDED, points[i], &values[i]);
    }
    driver_done(&live);
}

/* Of a source that teaches nothing, or nothing that can be used, nothing is asked. */
static void
test_hostile_sources(void **state ASSAY_UNUSED)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, 1e300, -1e300, 0.0};
    struct earlier flat, broken, two;
    const struct assay_plugin_source *const sources[] = {&flat.source, &broken.source, &two.source};
    int64_t needed;

    earlier_init(&flat, 0.0, 82);
    earlier_init(&broken, 1.0, 83);
    earlier_init(&two, 1.0, 84);
    two.source.n_trials = 2;
    for (size_t i = 0; i < 80; i++) {
        broken.values[i] = odd[i % ASSAY_COUNT(odd)];
        if (i % 7 == 0)
            broken.trials[i].state = ASSAY_PLUGIN_FAILED;
    }
    needed = trials_needed(&assay_algorithm_bayesian, DEFAULTS, PLAIN, sources, 3);
    print_message("%d trials with sources that are of no use\n", (int)needed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_sources_of_auto),
        cmocka_unit_test(test_expectations),
        cmocka_unit_test(test_same_answer_however_told),
        cmocka_unit_test(test_hostile_sources),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

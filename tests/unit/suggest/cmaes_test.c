/* CMA-ES: it converges where it should, whatever the order in which trials are told,
 * never gives up a value, and starts again when a run has come to its end. */
#include "tests/unit/suggest/driver.h"

#include "suggest/algorithms/cmaes/strategy.h"

#define DEFAULTS "{\"start_trials\": 8, \"population\": 0}"
#define BOX(n) "{'name':'x" n "','type':'double','min':-5,'max':5}"
#define FIVE "[" BOX("1") "," BOX("2") "," BOX("3") "," BOX("4") "," BOX("5") "]"

static double
sphere(const double *point, size_t n)
{
    double total = 0.0;

    for (size_t i = 0; i < n; i++)
        total += (point[i] - 2.0) * (point[i] - 2.0);
    return total;
}

static double
ellipsoid(const double *point, size_t n)
{
    double total = 0.0;

    for (size_t i = 0; i < n; i++) {
        double x = i == 0 ? point[0] + point[n - 1] : point[i] - point[i - 1];

        total += pow(10.0, 4.0 * (double)i / (double)(n - 1)) * x * x;
    }
    return total;
}

static double
rosenbrock(const double *point, size_t n)
{
    double total = 0.0;

    for (size_t i = 0; i + 1 < n; i++)
        total += 100.0 * pow(point[i + 1] - point[i] * point[i], 2.0) + pow(1.0 - point[i], 2.0);
    return total;
}

static void
test_converges(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *name;
        driver_function *function;
        int64_t trials;
        double reached;
    } cases[] = {
        {"sphere", sphere, 600, 1e-8},
        {"ellipsoid", ellipsoid, 2000, 1e-6},
        {"rosenbrock", rosenbrock, 3000, 1e-6},
    };

    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        double best = driver_median(&assay_algorithm_cmaes, FIVE, DEFAULTS, cases[i].function,
                                    cases[i].trials, 7);

        print_message("%s: %.3g after %lld\n", cases[i].name, best, (long long)cases[i].trials);
        assert_true(best < cases[i].reached);
    }
}

static void
test_beats_random_early(void **state ASSAY_UNUSED)
{
    driver_function *const functions[] = {sphere, rosenbrock};

    for (size_t i = 0; i < 2; i++) {
        double cmaes = driver_median(&assay_algorithm_cmaes, FIVE, DEFAULTS, functions[i], 100, 9);
        double random = driver_median(&assay_algorithm_random, FIVE, "{}", functions[i], 100, 9);

        print_message("%.3g, random %.3g\n", cmaes, random);
        assert_true(cmaes < random / 8.0);
    }
}

/* Integers, a set of numbers, choices and a condition: every part has a say. */
static double
mixed(const double *point, size_t n ASSAY_UNUSED)
{
    double total = pow(point[0] - 0.8, 2.0) + 0.05 * fabs(point[1] - 17.0) +
                   0.2 * fabs(point[2] - 4.0) + 0.3 * (double)(point[3] != 2.0);

    return total + (point[3] == 2.0 ? pow(point[4] - 0.3, 2.0) : 0.5);
}

#define MIXED                                                                            \
    "[{'name':'x','type':'double','min':0,'max':1},{'name':'n','type':'int','min':1,'max':40}," \
    "{'name':'d','type':'discrete','values':[1,2,3,5,8,13]},"                            \
    "{'name':'c','type':'categorical','values':['a','b','c','d']},"                      \
    "{'name':'y','type':'double','min':0,'max':1,'when':{'c':['c']}}]"

static void
test_mixed_spaces(void **state ASSAY_UNUSED)
{
    double best = driver_median(&assay_algorithm_cmaes, MIXED, DEFAULTS, mixed, 300, 9);

    print_message("mixed: %.3g\n", best);
    assert_true(best < 0.01);
}

/* Told in any order and by any detour, the same trials leave the same state behind. */
static void
test_order_does_not_matter(void **state ASSAY_UNUSED)
{
    enum { N = 400, AHEAD = 24 };
    struct driver forward = driver_new(&assay_algorithm_cmaes, MIXED, 1, DEFAULTS, 3), other;
    static double points[N][5], values[N];
    double expected[5 * AHEAD], answer[5 * AHEAD];

    for (int64_t i = 0; i < N; i++) {
        assert_int_equal(driver_ask(&forward, i + 1, 1, points[i]), 1);
        values[i] = i % 17 == 5 ? NAN : mixed(points[i], 5);
        driver_tell(&forward, i + 1,
                    isnan(values[i]) ? ASSAY_PLUGIN_FAILED : ASSAY_PLUGIN_SUCCEEDED, points[i],
                    &values[i]);
    }
    assert_int_equal(driver_ask(&forward, N + 1, AHEAD, expected), AHEAD);
    for (int way = 0; way < 3; way++) {
        struct assay_random random = test_random((uint64_t)way);
        int64_t order[N];

        other = driver_new(&assay_algorithm_cmaes, MIXED, 1, DEFAULTS, 3);
        for (int64_t i = 0; i < N; i++)
            order[i] = way == 1 ? N - 1 - i : i;
        for (int64_t i = N - 1; way == 2 && i > 0; i--) {
            int64_t k = (int64_t)assay_random_below(&random, (uint64_t)i + 1), kept = order[i];

            order[i] = order[k];
            order[k] = kept;
        }
        for (int64_t at = 0; at < N; at++) {
            int64_t i = order[at];
            double wrong = -1.0;

            if (way == 0) {
                driver_tell(&other, i + 1, ASSAY_PLUGIN_PENDING, points[i], &(double){NAN});
                if (i % 3 == 0)
                    driver_tell(&other, i + 1, ASSAY_PLUGIN_SUCCEEDED, points[i], &wrong);
            }
            driver_tell(&other, i + 1,
                        isnan(values[i]) ? ASSAY_PLUGIN_FAILED : ASSAY_PLUGIN_SUCCEEDED, points[i],
                        &values[i]);
        }
        assert_int_equal(driver_ask(&other, N + 1, AHEAD, answer), AHEAD);
        for (size_t k = 0; k < 5 * AHEAD; k++)
            assert_true(answer[k] == expected[k] || (isnan(answer[k]) && isnan(expected[k])));
        driver_done(&other);
    }
    driver_done(&forward);
}

/* The best value of a study of `workers` that end in any order. */
static double
best_of(int64_t workers, int64_t trials, driver_function *function, uint64_t seed)
{
    enum { MOST = 16 };
    struct driver driver = driver_new(&assay_algorithm_cmaes, FIVE, 1, DEFAULTS, seed);
    struct assay_random random = test_random(seed);
    double points[MOST][5], best = INFINITY;
    int64_t numbers[MOST], next = 1, running = 0;

    while (next <= trials || running > 0) {
        size_t w;

        while (running < workers && next <= trials) {
            numbers[running] = next;
            assert_int_equal(driver_ask(&driver, next, 1, points[running]), 1);
            driver_tell(&driver, next++, ASSAY_PLUGIN_PENDING, points[running++], &(double){NAN});
        }
        w = (size_t)assay_random_below(&random, (uint64_t)running);
        best = fmin(best, function(points[w], 5));
        driver_tell(&driver, numbers[w], ASSAY_PLUGIN_SUCCEEDED, points[w],
                    &(double){function(points[w], 5)});
        numbers[w] = numbers[--running];
        memcpy(points[w], points[running], sizeof points[w]);
    }
    driver_done(&driver);
    return best;
}

/* With many workers each draw is some generations old when it ends.  That costs: with
 * draws from the strategy as it stands 0.65 powers of ten here. */
static void
test_parallel(void **state ASSAY_UNUSED)
{
    static driver_function *const functions[] = {sphere, rosenbrock};
    double behind = 0.0;

    for (uint64_t seed = 0; seed < 24; seed++) {
        driver_function *function = functions[seed % ASSAY_COUNT(functions)];

        behind += log10(best_of(16, 200, function, seed) / best_of(1, 200, function, seed)) / 24.0;
    }
    print_message("16 workers: powers of ten behind one: %.2f\n", behind);
    assert_true(behind < 0.45);
    assert_true(best_of(16, 800, sphere, 6) < 1e-3);
}

/* Trials of others that came before: the first own point is near the best of them. */
static void
test_warm_start(void **state ASSAY_UNUSED)
{
    double total[2] = {0.0, 0.0};

    for (int seed = 0; seed < 10; seed++) {
        for (int warm = 0; warm < 2; warm++) {
            struct driver driver =
                driver_new(&assay_algorithm_cmaes, FIVE, 1, DEFAULTS, (uint64_t)seed);
            struct assay_random random = test_random((uint64_t)seed);
            double point[5], value;
            int64_t n = warm ? 300 : 8;

            for (int64_t number = 1; number <= n; number++) {
                for (size_t d = 0; d < 5; d++)
                    point[d] = 10.0 * assay_random_unit(&random) - 5.0;
                value = sphere(point, 5);
                driver_tell(&driver, number, ASSAY_PLUGIN_SUCCEEDED, point, &value);
            }
            assert_int_equal(driver_ask(&driver, n + 1, 1, point), 1);
            total[warm] += sphere(point, 5) / 10.0;
            driver_done(&driver);
        }
    }
    print_message("first own point: %.3g after 300 trials of others, %.3g after 8\n", total[1],
                  total[0]);
    assert_true(total[1] < 20.0 && total[1] < total[0]);
}

/* A plateau ends a run, and the next one has a larger population and another place. */
static double
plateau(const double *point, size_t n)
{
    return sphere(point, n) < 4.0 ? -1.0 : 0.0;
}

static void
test_restarts(void **state ASSAY_UNUSED)
{
    double best = driver_median(&assay_algorithm_cmaes, "[" BOX("1") "," BOX("2") "," BOX("3") "]",
                                DEFAULTS, plateau, 1500, 5);

    assert_near(best, -1.0, 0.0);
}

/* --- the strategy by itself --- */

struct model {
    struct assay_space *parameters;
    struct assay_view *view;
    struct assay_transform transform;
    struct assay_cmaes_layout layout;
    struct assay_cmaes_strategy *strategy;
    double unit[16], normals[16];
};

static struct model *
model_new(const char *parameters)
{
    struct model *model = ASSAY_NEW(struct model);

    model->parameters = space_of(parameters);
    model->view = assay_view_new(model->parameters);
    assay_transform_init(&model->transform, assay_view_space(model->view));
    assay_cmaes_layout_init(&model->layout, &model->transform, 1, 0);
    model->strategy = assay_alloc(1, assay_cmaes_strategy_bytes(&model->layout));
    assay_cmaes_strategy_init(&model->layout, model->strategy);
    return model;
}

static void
model_done(struct model *model)
{
    free(model->strategy);
    assay_cmaes_layout_done(&model->layout);
    assay_transform_done(&model->transform);
    assay_view_free(model->view);
    assay_space_free(model->parameters);
    free(model);
}

/* A generation of draws, ranked by `order` of their first coordinate (0: at random). */
static void
generation(struct model *model, struct assay_random *random, double order)
{
    struct assay_cmaes_trial trials[64];
    const struct assay_cmaes_trial *sorted[64];
    double coordinates[64][16], point[16];
    size_t n = model->strategy->n_population;

    for (size_t i = 0; i < n; i++) {
        size_t at = i;

        assay_cmaes_strategy_draw(&model->layout, model->strategy, NULL, random, model->normals,
                                  model->unit);
        assay_transform_decode(&model->transform, model->unit, point);
        assay_cmaes_encode(&model->layout, point, coordinates[i]);
        trials[i] = (struct assay_cmaes_trial){
            .number = (int64_t)(model->strategy->consumed + i + 1),
            .first = order == 0.0 ? assay_random_unit(random) : order * coordinates[i][0],
            .coordinates = coordinates[i],
        };
        while (at > 0 && assay_cmaes_compare(&trials[i], sorted[at - 1]) < 0) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = &trials[i];
    }
    model->strategy->consumed += n;
    assay_cmaes_strategy_update(&model->layout, model->strategy, sorted, n);
}

/* However long one value wins, the others keep being tried. */
static void
test_nothing_is_given_up(void **state ASSAY_UNUSED)
{
    static const char *const spaces[] = {
        "[{'name':'k','type':'int','min':0,'max':20},{'name':'x','type':'double','min':0,'max':1}]",
        "[{'name':'c','type':'categorical','values':['a','b','c']}]",
        "[{'name':'b','type':'bool'},{'name':'x','type':'double','min':0,'max':1}]",
        /* Two values far from the middles of two halves. */
        "[{'name':'w','type':'int','min':1,'max':1000,'step':999,'scale':'log'}]",
    };
    const double first[] = {0.0, 0.0, 0.0, 1.0};

    for (size_t s = 0; s < ASSAY_COUNT(spaces); s++) {
        struct model *model = model_new(spaces[s]);
        struct assay_random random = test_random(s);
        double point[2];
        int others = 0;

        for (int g = 0; g < 300; g++)
            generation(model, &random, 1.0); /* the smallest is best */
        for (int i = 0; i < 2000; i++) {
            assay_cmaes_strategy_draw(&model->layout, model->strategy, NULL, &random, model->normals,
                                      model->unit);
            assay_transform_decode(&model->transform, model->unit, point);
            others += point[0] != first[s];
        }
        print_message("%d of 2,000 have another value\n", others);
        assert_in_range(others, 40, 1000);
        model_done(model);
    }
}

/* Where the ranks are random nothing is learned: sigma stays about what it is. */
static void
test_no_drift_on_noise(void **state ASSAY_UNUSED)
{
    double change = 0.0;

    for (uint64_t seed = 0; seed < 20; seed++) {
        struct model *model = model_new("[" BOX("1") "," BOX("2") "," BOX("3") "," BOX("4") "]");
        struct assay_random random = test_random(seed);
        double before = log(model->strategy->sigma *= 0.05);

        for (int g = 0; g < 20; g++)
            generation(model, &random, 0.0);
        change += (log(model->strategy->sigma) - before) / 20.0;
        model_done(model);
    }
    print_message("sigma on noise: times %.3g in 20 generations\n", exp(change));
    assert_true(fabs(change) < 1.5);
}

/* --- what else there is to know --- */

#define UNIT(name) "{'name':'" name "','type':'double','min':0,'max':1}"
#define UNITS "[" UNIT("a") "," UNIT("b") "," UNIT("c") "," UNIT("d") "]"
#define SETTINGS "{\"start_trials\": 8, \"population\": 0}"

static double
far_bowl(const double *point)
{
    double total = 0.0;

    for (size_t i = 0; i < 4; i++)
        total += pow(point[i] - 0.2, 2.0);
    return total;
}

/* The least where the sum is at least 2.4 is 0.64, at 0.6 each. */
static void
test_bounds(void **state ASSAY_UNUSED)
{
    struct driver driver = driver_new_study(
        &assay_algorithm_cmaes, UNITS,
        &(struct assay_plugin_study){
            .n_objectives = 1, .n_constraints = 1, .settings = SETTINGS, .seed = 4});
    double point[4], best = INFINITY;

    for (int64_t number = 1; number <= 300; number++) {
        double value, bound;

        assert_int_equal(driver_ask(&driver, number, 1, point), 1);
        value = far_bowl(point);
        bound = 2.4 - point[0] - point[1] - point[2] - point[3];
        if (bound <= 0.0)
            best = fmin(best, value);
        driver_tell_constrained(&driver, number, ASSAY_PLUGIN_SUCCEEDED, point, &value, &bound);
    }
    print_message("bounded: %.4f\n", best);
    assert_true(best >= 0.64 - 1e-9 && best < 0.66);
    driver_done(&driver);
}

/* The best of 40 trials with a source that knows the bowl, or its opposite. */
static double
run_with_source(double sign, size_t n_sources)
{
    struct assay_random random = test_random(6);
    double points[60][4], values[60], best[9];
    struct assay_plugin_trial trials[60];
    const struct assay_plugin_trial *pointers[60];
    const struct assay_plugin_source source = {.name = "old", .n_trials = 60, .trials = pointers};
    const struct assay_plugin_source *const sources[] = {&source};

    for (size_t i = 0; i < 60; i++) {
        for (size_t k = 0; k < 4; k++)
            points[i][k] = pow(assay_random_unit(&random), 1.0 + (double)i / 20.0);
        values[i] = sign * far_bowl(points[i]);
        trials[i] = (struct assay_plugin_trial){.number = (int64_t)i + 1,
                                                .state = ASSAY_PLUGIN_SUCCEEDED,
                                                .point = points[i],
                                                .values = &values[i],
                                                .budget = NAN,
                                                .steps = -1};
        pointers[i] = &trials[i];
    }
    for (uint64_t seed = 0; seed < 9; seed++) {
        struct driver driver = driver_new_study(
            &assay_algorithm_cmaes, UNITS,
            &(struct assay_plugin_study){.n_objectives = 1,
                                         .settings = SETTINGS,
                                         .seed = seed,
                                         .n_sources = n_sources,
                                         .sources = sources});
        double point[4];

        best[seed] = INFINITY;
        for (int64_t number = 1; number <= 40; number++) {
            double value;

            assert_int_equal(driver_ask(&driver, number, 1, point), 1);
            value = far_bowl(point);
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
    double none = run_with_source(1.0, 0), right = run_with_source(1.0, 1);
    double wrong = run_with_source(-1.0, 1);

    print_message("alone %.3g, with a source %.3g, with a wrong one %.3g\n", none, right, wrong);
    assert_true(right < none / 2.0);
    assert_true(wrong < 4.0 * none);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_converges),
        cmocka_unit_test(test_beats_random_early),
        cmocka_unit_test(test_mixed_spaces),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_parallel),
        cmocka_unit_test(test_warm_start),
        cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_nothing_is_given_up),
        cmocka_unit_test(test_no_drift_on_noise),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_sources),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

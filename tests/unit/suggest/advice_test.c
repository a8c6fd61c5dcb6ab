/* The advice: sequences whose answer is known, and forecasts against what simulated
 * studies did next. */
#include "tests/unit/suggest/driver.h"

#include "common/number.h"
#include "suggest/analysis/advice.h"
#include "suggest/settings.h"

#define TRIALS 80

/* A study of one objective with what its algorithm predicted. */
static void
simulate(const struct assay_plugin_algorithm *algorithm, const char *space, uint64_t seed,
         driver_function *function, struct assay_advice_trial *ret_trials)
{
    json_t *schema = json_loads(algorithm->settings_schema, 0, NULL);
    json_t *filled = assay_settings_fill(schema, NULL);
    assay_auto_free char *settings = json_dumps(filled, 0);
    struct driver driver = driver_new(algorithm, space, 1, settings, seed);
    double *point = assay_zalloc(driver.space->n_parameters, sizeof *point);

    for (size_t i = 0; i < TRIALS; i++) {
        char why[ASSAY_PLUGIN_WHY_BYTES] = "{}", error[256] = "";
        int64_t number = (int64_t)i + 1, resume = 0, parent = 0;
        double budget = NAN;
        const struct assay_plugin_suggestion suggestion = {
            .point = point,
            .budget = &budget,
            .why = why,
            .why_size = sizeof why,
            .resume = &resume,
            .parent = &parent,
        };
        const struct assay_plugin_suggestion *pointer = &suggestion;
        json_t *json, *predicted;
        uint64_t count = 0;
        double value;

        assert_int_equal(driver.algorithm->suggest(driver.instance, &number, 1, &pointer, &count,
                                                   error, sizeof error),
                         ASSAY_PLUGIN_OK);
        json = json_loads(why, 0, NULL);
        predicted = json_object_get(json, "predicted");
        value = function(point, driver.space->n_parameters);
        ret_trials[i] = (struct assay_advice_trial){
            .value = value,
            .mean = predicted ? json_number_value(json_object_get(predicted, "mean")) : NAN,
            .sd = predicted ? json_number_value(json_object_get(predicted, "sd")) : NAN,
        };
        json_decref(json);
        driver_tell(&driver, number, ASSAY_PLUGIN_SUCCEEDED, point, &value);
    }
    free(point);
    json_decref(filled);
    json_decref(schema);
    driver_done(&driver);
}

#define CUBE2                                                                                      \
    "[{'name':'x','type':'double','min':0,'max':1},{'name':'y','type':'double','min':0,'max':1}]"
#define CUBE6                                                                                      \
    "[{'name':'a','type':'double','min':0,'max':1},{'name':'b','type':'double','min':0,'max':1},"  \
    "{'name':'c','type':'double','min':0,'max':1},{'name':'d','type':'double','min':0,'max':1},"   \
    "{'name':'e','type':'double','min':0,'max':1},{'name':'f','type':'double','min':0,'max':1}]"

static double
bowl(const double *point, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (point[i] - 0.37) * (point[i] - 0.37);
    return sum;
}

static double
branin(const double *point, size_t n ASSAY_UNUSED)
{
    double x = 15.0 * point[0] - 5.0, y = 15.0 * point[1];

    return pow(y - 5.1 / (4.0 * M_PI * M_PI) * x * x + 5.0 / M_PI * x - 6.0, 2) +
           10.0 * (1.0 - 1.0 / (8.0 * M_PI)) * cos(x) + 10.0;
}

static double
hartmann6(const double *x, size_t n ASSAY_UNUSED)
{
    static const double weight[4] = {1.0, 1.2, 3.0, 3.2};
    static const double a[4][6] = {{10, 3, 17, 3.5, 1.7, 8},
                                   {0.05, 10, 17, 0.1, 8, 14},
                                   {3, 3.5, 1.7, 10, 17, 8},
                                   {17, 8, 0.05, 10, 0.1, 14}};
    static const double p[4][6] = {{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886},
                                   {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
                                   {0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650},
                                   {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381}};
    double sum = 0.0;

    for (int i = 0; i < 4; i++) {
        double inner = 0.0;

        for (int j = 0; j < 6; j++)
            inner += a[i][j] * (x[j] - p[i][j]) * (x[j] - p[i][j]);
        sum -= weight[i] * exp(-inner);
    }
    return sum;
}

/* Noise that is the same for the same point. */
static double
noisy(const double *point, size_t n)
{
    struct assay_random random = test_random((uint64_t)(fabs(bowl(point, n)) * 1e12));

    return bowl(point, n) + 0.05 * assay_random_normal(&random);
}

static const struct {
    const char *name, *space;
    driver_function *function;
} problems[] = {
    {"bowl2", CUBE2, bowl},          {"branin", CUBE2, branin}, {"bowl6", CUBE6, bowl},
    {"hartmann6", CUBE6, hartmann6}, {"noisy6", CUBE6, noisy},
};

static double
best_of(const struct assay_advice_trial *trials, size_t n)
{
    double best = INFINITY;

    for (size_t i = 0; i < n; i++)
        best = fmin(best, trials[i].value);
    return best;
}

struct tally {
    double forecast, happened; /* improvements within ten trials, in spreads */
    double expected, seen;     /* how often there was any */
    double next, next_seen;    /* the same of one trial */
    double next_gain, next_gain_seen;
    double stops, wrong_stops; /* advised to stop, and much was to come */
    double n;
};

static void
add_forecast(const struct assay_advice_trial *trials, size_t at, struct tally *tally)
{
    struct assay_advice advice;
    double after_one, after_ten;

    assay_advice_give(trials, at, &advice);
    assert_int_not_equal(advice.word, ASSAY_ADVICE_TOO_EARLY);
    after_one = advice.best - best_of(trials, at + 1);
    after_ten = advice.best - best_of(trials, at + 10);
    tally->n++;
    tally->forecast += (advice.best - advice.ahead[0].best) / advice.spread;
    tally->happened += after_ten / advice.spread;
    tally->expected += advice.ahead[0].probability;
    tally->seen += after_ten > 0.0;
    tally->next += advice.probability;
    tally->next_seen += after_one > 0.0;
    tally->next_gain += advice.improvement / advice.spread;
    tally->next_gain_seen += after_one / advice.spread;
    if (advice.word == ASSAY_ADVICE_CONSIDER_STOPPING) {
        tally->stops++;
        tally->wrong_stops += after_ten > 0.05 * advice.spread;
    }
}

/* Forecasts at every tenth trial of studies of five functions, against what came.  Within
 * a factor, on average over the functions: single studies scatter. */
static void
test_calibration(void **state ASSAY_UNUSED)
{
    static const struct {
        const struct assay_plugin_algorithm *algorithm;
        uint64_t seeds;
    } arms[] = {
        {&assay_algorithm_random, 60},
        {&assay_algorithm_tpe, 20},
        {&assay_algorithm_cmaes, 30},
        {&assay_algorithm_bayesian, 2},
    };

    for (size_t a = 0; a < ASSAY_COUNT(arms); a++) {
        struct tally tally = {0};

        for (size_t p = 0; p < ASSAY_COUNT(problems); p++) {
            for (uint64_t seed = 1; seed <= arms[a].seeds; seed++) {
                struct assay_advice_trial trials[TRIALS];

                simulate(arms[a].algorithm, problems[p].space, seed, problems[p].function, trials);
                for (size_t at = 20; at <= TRIALS - 10; at += 10)
                    add_forecast(trials, at, &tally);
            }
        }
        print_message("# %-8s of %.0f; in ten trials: gain %.4f, was %.4f; any %.2f, was %.2f\n"
                      "#   in the next: gain %.4f, was %.4f; any %.3f, was %.3f; told to stop "
                      "%.2f, wrongly %.3f\n",
                      arms[a].algorithm->name, tally.n, tally.forecast / tally.n,
                      tally.happened / tally.n, tally.expected / tally.n, tally.seen / tally.n,
                      tally.next_gain / tally.n, tally.next_gain_seen / tally.n,
                      tally.next / tally.n, tally.next_seen / tally.n, tally.stops / tally.n,
                      tally.wrong_stops / tally.n);
        assert_true(tally.forecast < 2.0 * tally.happened);
        assert_true(tally.forecast > 0.3 * tally.happened);
        assert_true(tally.expected < tally.seen + 0.1 * tally.n);
        assert_true(tally.expected > tally.seen - 0.3 * tally.n);
        assert_true(tally.next_gain < 3.0 * tally.next_gain_seen);
        assert_true(tally.next_gain > tally.next_gain_seen / 4.0);
        assert_true(tally.next < tally.next_seen + 0.1 * tally.n);
        assert_true(tally.next > tally.next_seen - 0.3 * tally.n);
        assert_true(tally.wrong_stops < 0.1 * tally.n);
    }
}

/* --- sequences */

static struct assay_advice
advise(size_t n, double (*value)(size_t i))
{
    assay_auto_free struct assay_advice_trial *trials = assay_zalloc(n + 1, sizeof *trials);
    struct assay_advice advice;

    for (size_t i = 0; i < n; i++)
        trials[i] = (struct assay_advice_trial){.value = value(i), .mean = NAN, .sd = NAN};
    assay_advice_give(trials, n, &advice);
    return advice;
}

static double
falling(size_t i)
{
    return pow(0.9, (double)i);
}

static double
straight(size_t i)
{
    return -(double)i;
}

static double
settled(size_t i)
{
    struct assay_random random = test_random(i);

    return i == 5 ? 0.0 : 1.0 + assay_random_unit(&random);
}

static double
flat(size_t i ASSAY_UNUSED)
{
    return 3.0;
}

static double
broken(size_t i)
{
    return i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : (double)(i % 7);
}

static double
huge(size_t i)
{
    return i % 2 == 0 ? 1.7e308 : -1.7e308 + 1e300 * (double)i;
}

static void
test_sequences(void **state ASSAY_UNUSED)
{
    struct assay_advice advice;

    for (size_t n = 0; n < 10; n++) {
        advice = advise(n, straight);
        assert_int_equal(advice.word, ASSAY_ADVICE_TOO_EARLY);
        assert_int_equal(advice.n_values, n);
        assert_true(isnan(advice.improvement) && isnan(advice.probability));
        assert_true(n == 0 ? isnan(advice.best) : advice.best == 1.0 - (double)n);
    }
    advice = advise(30, falling);
    assert_int_equal(advice.word, ASSAY_ADVICE_GO_ON);
    assert_int_equal(advice.stagnation, 0);
    assert_true(advice.probability > 0.4);
    assert_true(advice.ahead[1].best < advice.ahead[0].best);
    assert_true(advice.ahead[2].best < advice.ahead[1].best);
    assert_true(advice.ahead[1].probability > advice.ahead[0].probability);
    assert_int_equal(advise(40, straight).word, ASSAY_ADVICE_GO_ON);

    advice = advise(200, settled);
    assert_int_equal(advice.stagnation, 194);
    assert_true(advice.probability < 0.005);
    assert_true(advice.best == 0.0);

    advice = advise(50, flat);
    assert_int_equal(advice.word, ASSAY_ADVICE_CONSIDER_STOPPING);
    assert_true(advice.improvement == 0.0);
    assert_true(advice.ahead[2].best == 3.0);

    advice = advise(90, broken);
    assert_int_equal(advice.n_values, 30);
    assert_true(advice.best == 0.0);
    assert_true(isfinite(advice.improvement));
    assert_int_equal(advise(30, broken).n_values, 10);

    advise(60, huge); /* no trap, whatever it says */
    assert_string_equal(assay_advice_name(ASSAY_ADVICE_CONSIDER_STOPPING), "consider_stopping");
}

/* Predictions count by how earlier ones came out. */
static void
test_predictions(void **state ASSAY_UNUSED)
{
    struct assay_advice_trial trials[60];
    struct assay_advice advice;
    double before;

    for (size_t i = 0; i < 60; i++) /* the best is 0.5, most predictions were too low */
        trials[i] = (struct assay_advice_trial){
            .value = fmax(0.5, 1.0 + 0.1 * ((double)(i % 20) - 9.5)), .mean = 1.0, .sd = 0.5};
    assay_advice_give(trials, 60, &advice);
    assert_true(advice.by_model);
    assert_true(advice.improvement < 0.01); /* no outcome fell below the best */
    for (size_t i = 40; i < 60; i++) {
        trials[i].mean = 0.0; /* it now expects half the values below it */
        trials[i].value = i % 2 == 0 ? 0.6 : 0.55;
    }
    assay_advice_give(trials, 60, &advice);
    assert_true(advice.improvement < 0.01); /* but they came out worse each time */
    before = advice.improvement;
    trials[59].mean = -2.0; /* one far below, which the best quarter of the values tames */
    assay_advice_give(trials, 60, &advice);
    assert_true(advice.improvement > before + 0.005);
    assert_true(advice.improvement < 0.05);
}

/* Tails whose shapes are known: uniform values end at -1, exponential ones at 0. */
static void
test_tail(void **state ASSAY_UNUSED)
{
    double shapes[2] = {0.0, 0.0}, end = 0.0;

    for (uint64_t seed = 0; seed < 50; seed++) {
        struct assay_random random = test_random(seed);
        double excesses[40], shape, scale;

        for (int kind = 0; kind < 2; kind++) {
            for (size_t i = 0; i < 40; i++) {
                excesses[i] = assay_random_unit(&random);
                if (kind == 1)
                    excesses[i] = -log(1.0 - excesses[i]);
            }
            qsort(excesses, 40, sizeof *excesses, assay_compare_doubles);
            assay_advice_fit_tail(excesses, 40, &shape, &scale);
            assert_true(shape <= 0.0 && scale > 0.0);
            assert_true(shape == 0.0 || -scale / shape > excesses[39]);
            shapes[kind] += shape / 50.0;
            if (kind == 0)
                end -= scale / shape / 50.0;
        }
    }
    assert_near(shapes[0], -0.9, 0.2); /* leaning a little on -0.5 */
    assert_near(end, 1.0, 0.1);
    assert_near(shapes[1], -0.15, 0.15);
    assay_advice_fit_tail((double[]){0, 0, 0, 0, 0, 0}, 6, &shapes[0], &shapes[1]);
    assert_true(shapes[1] == 0.0);
}

static void
test_fronts(void **state ASSAY_UNUSED)
{
    struct assay_advice advice;
    bool entered[100] = {false};

    for (size_t i = 0; i < 20; i++)
        entered[i] = true;
    assay_advice_of_fronts(entered, 5, &advice);
    assert_int_equal(advice.word, ASSAY_ADVICE_TOO_EARLY);
    assay_advice_of_fronts(entered, 20, &advice);
    assert_int_equal(advice.word, ASSAY_ADVICE_GO_ON);
    assert_int_equal(advice.stagnation, 0);
    assert_true(isnan(advice.improvement) && advice.probability > 0.3);
    assay_advice_of_fronts(entered, 100, &advice);
    assert_int_equal(advice.word, ASSAY_ADVICE_CONSIDER_STOPPING);
    assert_int_equal(advice.stagnation, 80);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequences),   cmocka_unit_test(test_predictions),
        cmocka_unit_test(test_tail),        cmocka_unit_test(test_fronts),
        cmocka_unit_test(test_calibration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

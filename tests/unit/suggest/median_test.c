/* The median stopping rule against a slow and obvious one, on its known pitfalls,
 * and within its memory. */
#include "tests/unit/suggest/support.h"

#include <malloc.h>

#include "common/number.h"
#include "suggest/rules/columns.h"
#include "suggest/rules/curve.h"
#include "suggest/rules/rules.h"
#include "suggest/stopping.h"

static void *
rule_of(const char *settings, bool maximize)
{
    json_t *json = json_of(settings);
    assay_auto_free char *text = json_dumps(json, 0);
    char error[256] = "";
    void *rule;

    if (assay_rule_median.create(&(struct assay_plugin_rule_study){.metric = "loss",
                                                                   .maximize = maximize,
                                                                   .settings = text},
                                 &rule, error, sizeof error) != ASSAY_PLUGIN_OK)
        fail_msg("%s", error);
    json_decref(json);
    return rule;
}

static const char plain[] = "{'min_trials':5,'warmup_steps':0,'interval':1}";

static struct assay_plugin_decision
report(void *rule, int64_t number, int64_t step, double value)
{
    static char sentence[ASSAY_PLUGIN_SENTENCE_BYTES];
    struct assay_plugin_decision decision = {
        .value = NAN, .threshold = NAN, .sentence = sentence, .sentence_size = sizeof sentence};

    sentence[0] = '\0';
    assay_rule_median.report(rule, number, step, value, &decision);
    assert_int_equal(decision.stop != 0, sentence[0] != '\0');
    return decision;
}

static void
finish(void *rule, int64_t number, uint32_t state)
{
    assay_rule_median.finish(rule, number, state);
}

/* --- the reference: everything kept, everything recomputed --- */

#define TRIALS 40
#define STEPS 30

struct reference {
    bool maximize, best_so_far;
    int64_t min_trials, warmup_steps, interval;
    struct {
        bool measured[STEPS], completed;
        double values[STEPS]; /* minimised */
        int64_t decided;
    } trials[TRIALS];
};

static bool
figure_at(const struct reference *reference, size_t trial, int64_t step, double *ret_average,
          double *ret_best)
{
    double sum = 0.0, best = INFINITY;
    int n = 0;

    for (int64_t s = 0; s <= step; s++) {
        double value = reference->trials[trial].values[s];

        if (!reference->trials[trial].measured[s] || !isfinite(value))
            continue;
        sum += value;
        best = fmin(best, value);
        n++;
    }
    *ret_best = best;
    *ret_average = fmax(sum / n, best);
    return n > 0;
}

static bool
reference_stops(struct reference *reference, size_t trial, int64_t step, double value,
                double *ret_threshold, uint64_t *ret_compared)
{
    double figures[TRIALS], best, average, threshold;
    int64_t last = step;
    size_t n = 0;

    reference->trials[trial].measured[step] = true;
    reference->trials[trial].values[step] = reference->maximize ? -value : value;
    for (int64_t s = 0; s < STEPS; s++)
        last = reference->trials[trial].measured[s] ? ASSAY_MAX(last, s) : last;
    if (last < reference->warmup_steps)
        return false;
    if (reference->trials[trial].decided >= 0 && last != reference->trials[trial].decided &&
        last - reference->trials[trial].decided < reference->interval)
        return false;
    reference->trials[trial].decided = last;
    for (size_t i = 0; i < TRIALS; i++) {
        if (reference->trials[i].completed && figure_at(reference, i, last, &average, &best))
            figures[n++] = reference->best_so_far ? best : average;
    }
    if (n == 0 || (int64_t)n < reference->min_trials)
        return false;
    qsort(figures, n, sizeof *figures, assay_compare_doubles);
    threshold = n % 2 == 1 ? figures[n / 2] : figures[n / 2 - 1] / 2.0 + figures[n / 2] / 2.0;
    (void)figure_at(reference, trial, STEPS - 1, &average, &best);
    *ret_threshold = reference->maximize ? -threshold : threshold;
    *ret_compared = n;
    return best > threshold;
}

/* Curves as they come: falling, steep, noisy, constant, with holes and bad values. */
static double
curve_value(struct assay_random *random, unsigned kind, double level, int64_t step)
{
    double noise = assay_random_normal(random);

    if (assay_random_below(random, 25) == 0)
        return assay_random_below(random, 2) == 0 ? NAN : INFINITY;
    switch (kind) {
    case 0:
        return level + exp(-(double)step / 5.0) + 0.05 * noise;
    case 1:
        return level + (step < 2 ? 1e4 : 1.0 / (double)(step + 1)); /* steep */
    case 2:
        return floor(2.0 * level); /* ties */
    case 3:
        return level - 0.1 * (double)step + noise;
    default:
        return 10.0 * noise;
    }
}

static void
run_history(uint64_t seed, size_t *stops, size_t *decisions)
{
    struct assay_random random = test_random(seed);
    struct reference reference = {
        .maximize = assay_random_below(&random, 2) == 0,
        .best_so_far = assay_random_below(&random, 4) == 0,
        .min_trials = 1 + (int64_t)assay_random_below(&random, 6),
        .warmup_steps = (int64_t)assay_random_below(&random, 5),
        .interval = 1 + (int64_t)assay_random_below(&random, 3),
    };
    assay_auto_free char *settings = assay_format(
        "{'min_trials':%d,'warmup_steps':%d,'interval':%d,'compare':'%s'}",
        (int)reference.min_trials, (int)reference.warmup_steps, (int)reference.interval,
        reference.best_so_far ? "best_so_far" : "running_average");
    void *rule = rule_of(settings, reference.maximize);
    size_t n_trials = 1 + assay_random_below(&random, TRIALS);
    int64_t positions[TRIALS] = {0};
    unsigned kinds[TRIALS];
    double levels[TRIALS];
    bool ended[TRIALS] = {false};

    for (size_t i = 0; i < TRIALS; i++) {
        reference.trials[i].decided = -1;
        kinds[i] = (unsigned)assay_random_below(&random, 5);
        levels[i] = assay_random_unit(&random);
    }
    for (int event = 0; event < 400; event++) {
        /* A few trials at a time are live, like workers. */
        size_t i = assay_random_below(&random, n_trials);
        uint64_t what = assay_random_below(&random, 100);
        double threshold = NAN, value;
        uint64_t compared = 0;
        int64_t step;
        struct assay_plugin_decision decision;
        bool stop;

        if (ended[i])
            continue;
        if (what < 8 || positions[i] >= STEPS) {
            uint32_t state = what % 4 == 3 ? ASSAY_PLUGIN_FAILED : ASSAY_PLUGIN_SUCCEEDED;

            finish(rule, (int64_t)i + 1, state);
            ended[i] = true;
            reference.trials[i].completed = state == ASSAY_PLUGIN_SUCCEEDED;
            continue;
        }
        if (what < 20 && positions[i] > 0) /* late or again */
            step = (int64_t)assay_random_below(&random, (uint64_t)positions[i]);
        else
            step = positions[i] + (int64_t)(what < 30 ? assay_random_below(&random, 4) : 0);
        step = ASSAY_MIN(step, (int64_t)STEPS - 1);
        positions[i] = ASSAY_MAX(positions[i], step + 1);
        value = curve_value(&random, kinds[i], levels[i], step);
        decision = report(rule, (int64_t)i + 1, step, value);
        stop = reference_stops(&reference, i, step, value, &threshold, &compared);
        if ((decision.stop != 0) != stop || decision.compared != compared ||
            !(decision.threshold == threshold || (isnan(decision.threshold) && isnan(threshold))))
            fail_msg("seed %llu event %d: stop %d, %d; threshold %.17g, %.17g; compared %llu, %llu",
                     (unsigned long long)seed, event, (int)decision.stop, stop, decision.threshold,
                     threshold, (unsigned long long)decision.compared,
                     (unsigned long long)compared);
        *stops += stop;
        *decisions += compared > 0;
    }
    assay_rule_median.destroy(rule);
}

static void
test_against_reference(void **state ASSAY_UNUSED)
{
    size_t stops = 0, decisions = 0;

    for (uint64_t seed = 1; seed <= 4000; seed++)
        run_history(seed, &stops, &decisions);
    print_message("%zu decisions, %zu of them to stop\n", decisions, stops);
    assert_true(stops > 1000 && decisions > 2 * stops);
}

/* The example of the paper by hand: five completed trials, averages 1 to 5 at each
 * step; 3 is the median. */
static void
test_by_hand(void **state ASSAY_UNUSED)
{
    for (int maximize = 0; maximize < 2; maximize++) {
        double sign = maximize ? -1.0 : 1.0;
        void *rule = rule_of(plain, maximize);
        struct assay_plugin_decision decision;

        for (int64_t n = 1; n <= 5; n++) {
            for (int64_t s = 1; s <= 4; s++)
                assert_false(report(rule, n, s, sign * (double)n).stop);
            finish(rule, n, ASSAY_PLUGIN_SUCCEEDED);
        }
        decision = report(rule, 6, 1, sign * 3.0); /* equal is not worse */
        assert_false(decision.stop);
        assert_true(decision.threshold == sign * 3.0 && decision.compared == 5);
        decision = report(rule, 7, 2, sign * 3.0001);
        assert_true(decision.stop);
        assert_true(decision.value == sign * 3.0001 && decision.step == 2);
        assert_non_null(strstr(decision.sentence, "loss"));
        assert_false(report(rule, 8, 1, sign * 2.9).stop);
        /* The best so far holds, however bad the last value. */
        assert_false(report(rule, 8, 2, sign * 100.0).stop);
        /* A trial with nothing but NaN is worse than any. */
        decision = report(rule, 9, 3, NAN);
        assert_true(decision.stop && isnan(decision.value));
        assert_non_null(strstr(decision.sentence, "no finite value"));
        /* A good value in place of a bad one at the same step, and the other way. */
        assert_true(report(rule, 10, 1, sign * 9.0).stop);
        assert_false(report(rule, 10, 1, sign * 1.0).stop);
        assert_true(report(rule, 10, 1, sign * 9.0).stop);
        assay_rule_median.destroy(rule);
    }
}

/* Stopped and failed trials are no measure; four completed ones are too few. */
static void
test_only_completed_trials_count(void **state ASSAY_UNUSED)
{
    static const uint32_t others[] = {ASSAY_PLUGIN_STOPPED, ASSAY_PLUGIN_FAILED,
                                      ASSAY_PLUGIN_INFEASIBLE, ASSAY_PLUGIN_CANCELLED};
    void *rule = rule_of(plain, false);

    for (int64_t n = 1; n <= 4; n++) {
        (void)report(rule, n, 1, 1.0);
        finish(rule, n, ASSAY_PLUGIN_SUCCEEDED);
    }
    for (int64_t n = 5; n <= 8; n++) {
        (void)report(rule, n, 1, 1.0);
        finish(rule, n, others[n - 5]);
    }
    assert_false(report(rule, 9, 1, 100.0).stop);
    finish(rule, 9, ASSAY_PLUGIN_SUCCEEDED);
    finish(rule, 9, ASSAY_PLUGIN_SUCCEEDED);  /* again: nothing */
    finish(rule, 99, ASSAY_PLUGIN_SUCCEEDED); /* never heard of: nothing */
    assert_true(report(rule, 10, 1, 99.0).stop);
    assay_rule_median.destroy(rule);
}

/* Curves that fall from 1e4 to about 1 (ray-project/ray#5485): running averages are
 * dominated by the start and the paper's rule spares even a hopeless trial; the
 * other figure does not. */
static void
test_steep_curves(void **state ASSAY_UNUSED)
{
    for (int best = 0; best < 2; best++) {
        void *rule = rule_of(best ? "{'min_trials':5,'warmup_steps':3,'interval':1,"
                                    "'compare':'best_so_far'}"
                                  : "{'min_trials':5,'warmup_steps':3,'interval':1}",
                             false);
        bool stopped = false;

        for (int64_t n = 1; n <= 6; n++) {
            for (int64_t s = 0; s < 20; s++)
                (void)report(rule, n, s, s == 0 ? 1e4 : 1.0 + 0.01 * (double)n);
            finish(rule, n, ASSAY_PLUGIN_SUCCEEDED);
        }
        for (int64_t s = 0; s < 20 && !stopped; s++)
            stopped = report(rule, 7, s, s == 0 ? 1e4 : 100.0).stop;
        assert_int_equal(stopped, best);
        assay_rule_median.destroy(rule);
    }
}

/* Rounding must not stop a trial that is like all the others, nor the best one. */
static void
test_best_trial_is_safe(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(8);

    for (int round = 0; round < 300; round++) {
        void *rule = rule_of(round % 2 == 0 ? plain
                                            : "{'min_trials':1,'warmup_steps':0,'interval':1,"
                                              "'compare':'best_so_far'}",
                             false);
        double best = INFINITY, constant = 0.1 * (double)(round + 1);

        for (int64_t n = 1; n <= 30; n++) {
            for (int64_t s = 0; s < 15; s++) {
                double value = round % 3 == 0 ? constant : assay_random_normal(&random);
                struct assay_plugin_decision decision;

                best = fmin(best, value);
                decision = report(rule, n, s, value);
                if (decision.value == best)
                    assert_false(decision.stop);
            }
            finish(rule, n, ASSAY_PLUGIN_SUCCEEDED);
        }
        assay_rule_median.destroy(rule);
    }
}

/* A completed trial counts on past its end, and steps need not match. */
static void
test_curves_of_different_steps(void **state ASSAY_UNUSED)
{
    void *rule = rule_of("{'min_trials':3,'warmup_steps':0,'interval':1}", false);

    (void)report(rule, 1, 10, 1.0);
    finish(rule, 1, ASSAY_PLUGIN_SUCCEEDED);
    (void)report(rule, 2, 7, 2.0);
    (void)report(rule, 2, 14, 4.0);
    finish(rule, 2, ASSAY_PLUGIN_SUCCEEDED);
    (void)report(rule, 3, 100, 9.0);
    finish(rule, 3, ASSAY_PLUGIN_SUCCEEDED);
    assert_int_equal(report(rule, 4, 6, 50.0).compared, 0);
    assert_int_equal(report(rule, 5, 12, 50.0).compared, 0); /* two had measured by 12 */
    assert_true(report(rule, 6, 100, 3.5).stop);             /* 1, 3 and 9 */
    assert_false(report(rule, 7, 1000000, 2.5).stop);
    assay_rule_median.destroy(rule);
}

/* Many trials, many steps, hostile steps: memory stays within what the head of the
 * file promises, the median stays close. */
static void
test_bounds(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(21);
    void *rule = rule_of(plain, false);
    size_t before = mallinfo2().uordblks, after;
    struct assay_plugin_decision decision;
    int64_t start;

    for (int64_t n = 1; n <= 5000; n++) {
        double level = (double)((n * 7919) % 5000) / 5000.0; /* uniform in [0, 1) */

        for (int64_t k = 0; k < 12; k++) {
            int64_t step = (int64_t)(assay_random_u64(&random) >> (8 + 5 * k));

            (void)report(rule, n, step, level);
        }
        for (int64_t s = 0; s < 60; s++)
            (void)report(rule, n, s * (1 + n % 50), level);
        finish(rule, n, ASSAY_PLUGIN_SUCCEEDED);
    }
    decision = report(rule, 6000, INT64_MAX, 0.5);
    assert_int_equal(decision.compared, 5000);
    assert_near(decision.threshold, 0.5, 0.04);
    after = mallinfo2().uordblks;
    print_message("%zu KiB after 5,000 trials of hostile steps\n", (after - before) / 1024);
    assert_true(after - before < 6u << 20);
    /* One trial with a million steps, ten thousand live trials. */
    for (int64_t s = 0; s < 1000000; s++)
        (void)report(rule, 7000, s, 1.0 / (double)(s + 1));
    for (int64_t n = 10000; n < 20000; n++) {
        for (int64_t s = 0; s < 100; s++)
            (void)report(rule, n, s, 0.1);
    }
    after = mallinfo2().uordblks;
    print_message("%zu KiB with 10,000 live trials\n", (after - before) / 1024);
    assert_true(after - before < 16u << 20);
    start = assay_monotonic_us();
    for (int64_t n = 10000; n < 20000; n++)
        (void)report(rule, n, 100, 0.1);
    print_message("%.2f us per decision\n", (double)(assay_monotonic_us() - start) / 10000.0);
    start = assay_monotonic_us();
    for (int64_t n = 10000; n < 10100; n++)
        finish(rule, n, ASSAY_PLUGIN_SUCCEEDED);
    print_message("%.1f us per end of a trial\n", (double)(assay_monotonic_us() - start) / 100.0);
    assay_rule_median.destroy(rule);
}

static void
test_curve_merging(void **state ASSAY_UNUSED)
{
    struct assay_curve curve;
    uint64_t finite = 0;
    double sum = 0.0;

    assay_curve_init(&curve);
    for (int64_t s = 0; s < 1000; s++)
        assay_curve_add(&curve, s, (double)s, 8);
    assay_curve_add(&curve, 3, -5.0, 8); /* late, within merged steps */
    assay_curve_add(&curve, 999, 1.0, 8);
    assert_in_range(curve.count, 1, 8);
    for (size_t i = 0; i < curve.count; i++) {
        sum += curve.segments[i].sum;
        finite += curve.segments[i].finite;
        if (i > 0)
            assert_true(curve.segments[i].last > curve.segments[i - 1].last);
    }
    assert_in_range(finite, 1001, 1002);
    assert_true(curve.best == -5.0 && curve.last_step == 999);
    assert_true(sum > 490000.0);
    assay_curve_done(&curve);

    /* Full, an odd number of segments, and a step between the last two. */
    for (int64_t s = 0; s < 7; s++)
        assay_curve_add(&curve, 10 * s, 1.0, 7);
    assay_curve_add(&curve, 55, 2.0, 7);
    finite = 0;
    for (size_t i = 0; i < curve.count; i++)
        finite += curve.segments[i].finite;
    assert_int_equal(finite, 8);
    assert_true(curve.segments[curve.count - 1].last == 60);
    assay_curve_done(&curve);
}

/* The wrapper for the daemon: decision record and JSON. */
static void
test_stopping(void **state ASSAY_UNUSED)
{
    struct assay_objective objective = {
        .metric = (char[]){"accuracy"}, .goal = ASSAY_GOAL_MAXIMIZE, .target = NAN};
    struct assay_study_spec spec = {.objectives = &objective, .n_objectives = 1};
    struct assay_error err = {0};
    struct assay_stopping *stopping;
    struct assay_decision decision;
    json_t *record, *expected;

    spec.early_stopping.name = (char[]){"no such rule"};
    spec.early_stopping.settings = json_of("{'min_trials':2,'warmup_steps':1}");
    assert_int_equal(assay_stopping_new(&spec, &stopping, &err), ASSAY_E_PLUGIN);
    spec.early_stopping.name = (char[]){"median"};
    assert_int_equal(assay_stopping_new(&spec, &stopping, &err), ASSAY_OK);
    for (int64_t n = 1; n <= 2; n++) {
        assay_stopping_report(stopping, n, 1, 0.9, &decision);
        assert_false(decision.stop);
        assay_stopping_finish(stopping, n, ASSAY_TRIAL_SUCCEEDED);
    }
    assay_stopping_report(stopping, 3, 0, 0.1, &decision);
    assert_false(decision.stop); /* warm-up */
    assay_stopping_report(stopping, 3, 1, 0.5, &decision);
    assert_true(decision.stop);
    assert_string_equal(decision.sentence,
                        "the best accuracy up to step 1, 0.5, is worse than 0.9, "
                        "the median of the running averages of 2 completed "
                        "trials");
    record = assay_decision_encode(&decision);
    expected = json_of("{'rule':'median','metric':'accuracy','value':0.5,'threshold':0.9,'step':1,"
                       "'compared':2}");
    assert_true(json_equal(record, expected));
    json_decref(record);
    json_decref(expected);
    json_decref(spec.early_stopping.settings);
    assay_stopping_free(stopping);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_against_reference),
        cmocka_unit_test(test_only_completed_trials_count),
        cmocka_unit_test(test_steep_curves),
        cmocka_unit_test(test_best_trial_is_safe),
        cmocka_unit_test(test_curves_of_different_steps),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_curve_merging),
        cmocka_unit_test(test_stopping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

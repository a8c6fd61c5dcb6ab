/* Every stopping rule: against a slow and obvious one, on the recorded failures of other
 * systems, and on what all of them must keep: direction, order, hostile input, time. */
#include "tests/unit/suggest/support.h"

#include <malloc.h>

#include "suggest/registry.h"
#include "suggest/rules/columns.h"
#include "suggest/rules/rules.h"
#include "suggest/settings.h"
#include "suggest/view.h"

struct told {
    const struct assay_plugin_rule *rule;
    void *instance;
    char sentence[ASSAY_PLUGIN_SENTENCE_BYTES];
};

static struct told
rule_of(const char *name, const char *settings, bool maximize)
{
    struct told told = {.rule = assay_registry_rule(name)};
    json_t *schema = json_loads(told.rule->settings_schema, 0, NULL), *given = json_of(settings);
    json_t *filled = assay_settings_fill(schema, given);
    assay_auto_free char *text = json_dumps(filled, 0);
    char error[256] = "";

    if (told.rule->create(&(struct assay_plugin_rule_study){.metric = "loss",
                                                            .maximize = maximize,
                                                            .settings = text},
                          &told.instance, error, sizeof error) != ASSAY_PLUGIN_OK)
        fail_msg("%s", error);
    json_decref(schema);
    json_decref(given);
    json_decref(filled);
    return told;
}

static struct assay_plugin_decision
report(struct told *told, int64_t number, int64_t step, double value)
{
    struct assay_plugin_decision decision = {.value = NAN,
                                             .threshold = NAN,
                                             .step = step,
                                             .sentence = told->sentence,
                                             .sentence_size = sizeof told->sentence};

    told->sentence[0] = '\0';
    told->rule->report(told->instance, number, step, value, &decision);
    assert_int_equal(decision.stop != 0, told->sentence[0] != '\0');
    return decision;
}

static void
finish(struct told *told, int64_t number, uint32_t state)
{
    told->rule->finish(told->instance, number, state);
}

static void
drop(struct told *told)
{
    told->rule->destroy(told->instance);
}

static void
run_whole(struct told *told, int64_t number, const double *curve, int64_t n)
{
    for (int64_t s = 1; s <= n; s++)
        (void)report(told, number, s, curve[s - 1]);
    finish(told, number, ASSAY_PLUGIN_SUCCEEDED);
}

/* --- random studies: a few trials at a time, late and repeated steps, bad values --- */

#define TRIALS 60
#define STEPS 27

struct event {
    int64_t number, step;
    double value;      /* minimised */
    uint32_t finished; /* a state; 0: a report */
};

struct history {
    struct event *events;
    size_t n, capacity;
};

/* `tidy`: steps only grow and all values are finite. */
static struct history
make_history(uint64_t seed, bool tidy)
{
    struct assay_random random = test_random(seed);
    struct history history = {0};
    int64_t at[TRIALS] = {0};
    bool ended[TRIALS] = {false};
    double level[TRIALS], speed[TRIALS], noise = assay_random_unit(&random) * 0.3;
    size_t first = 0, workers = 1 + assay_random_below(&random, 8);

    for (size_t i = 0; i < TRIALS; i++) {
        level[i] = floor(20.0 * assay_random_unit(&random)) / 20.0;
        speed[i] = 1.0 + 10.0 * assay_random_unit(&random);
    }
    while (first + workers < TRIALS) {
        size_t i = first + assay_random_below(&random, workers);
        uint64_t what = assay_random_below(&random, 100);
        struct event event = {.number = (int64_t)i + 1};

        if (ended[first]) {
            first++;
            continue;
        }
        if (ended[i])
            continue;
        if (what < 3 || at[i] >= STEPS) {
            event.finished = what == 0   ? ASSAY_PLUGIN_FAILED
                             : what == 1 ? ASSAY_PLUGIN_STOPPED
                                         : ASSAY_PLUGIN_SUCCEEDED;
            ended[i] = true;
        } else {
            bool late = !tidy && what < 12 && at[i] > 0;

            event.step = late ? (int64_t)assay_random_below(&random, (uint64_t)at[i]) + 1
                              : at[i] + 1 + (what < 20 ? 2 : 0);
            at[i] = ASSAY_MAX(at[i], event.step);
            event.value = level[i] + exp(-(double)event.step / speed[i]) +
                          noise * assay_random_normal(&random);
            if (!tidy && what > 95)
                event.value = what > 97 ? NAN : INFINITY;
        }
        ASSAY_GROW(history.events, history.n, history.capacity);
        history.events[history.n++] = event;
    }
    return history;
}

static bool
same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* --- asha --- */

/* Rungs as plain lists of what each trial had on entry. */
static void
check_asha(uint64_t seed)
{
    struct history history = make_history(seed, true);
    double eta = 2.0 + (double)(seed % 3), best[TRIALS + 1], entry[8][TRIALS + 1];
    bool entered[8][TRIALS + 1] = {{false}};
    bool maximize = seed % 2 == 0;
    assay_auto_free char *settings = assay_format("{'eta':%g,'min_trials':%d}", eta, 3);
    struct told told = rule_of("asha", settings, maximize);

    for (size_t i = 0; i <= TRIALS; i++)
        best[i] = INFINITY;
    for (size_t e = 0; e < history.n; e++) {
        const struct event *event = &history.events[e];
        size_t i = (size_t)event->number;
        struct assay_plugin_decision decision;
        int rung = -1, n = 0, better = 0;

        if (event->finished != 0) {
            finish(&told, event->number, event->finished);
            continue;
        }
        decision =
            report(&told, event->number, event->step, maximize ? -event->value : event->value);
        if (isfinite(event->value))
            best[i] = fmin(best[i], event->value);
        for (int k = 0; k < 8; k++) {
            if ((double)event->step >= pow(eta, k) && !entered[k][i]) {
                entered[k][i] = true;
                entry[k][i] = best[i];
            }
            if (entered[k][i])
                rung = k;
        }
        if (rung < 0)
            continue;
        for (size_t j = 1; j <= TRIALS; j++) {
            n += entered[rung][j];
            better += entered[rung][j] && entry[rung][j] < entry[rung][i];
        }
        if ((decision.stop != 0) != (n >= 3 && better >= ASSAY_MAX((int)(n / eta), 1)))
            fail_msg("seed %llu event %zu: stop %u with %d of %d better at rung %d",
                     (unsigned long long)seed, e, decision.stop, better, n, rung);
    }
    drop(&told);
    free(history.events);
}

static void
test_asha_against_reference(void **state ASSAY_UNUSED)
{
    for (uint64_t seed = 1; seed <= 300; seed++)
        check_asha(seed);
}

/* The weak first trials: a poor one that came first is let through and stopped later. */
static void
test_asha_judges_early_birds_again(void **state ASSAY_UNUSED)
{
    struct told told = rule_of("asha", "{'eta':2,'min_trials':2}", false);

    assert_false(report(&told, 1, 1, 9.0).stop);
    assert_false(report(&told, 1, 2, 9.0).stop);
    assert_false(report(&told, 1, 3, 9.0).stop);
    assert_false(report(&told, 2, 1, 1.0).stop);
    assert_false(report(&told, 2, 2, 1.0).stop); /* the better one of two at rung 2 */
    assert_true(report(&told, 1, 3, 9.0).stop);  /* the other one, judged anew */
    drop(&told);
}

/* katib#1168: one failed trial, and Hyperband never went on.  Here it is a bad one. */
static void
test_failed_trial_is_a_bad_one(void **state ASSAY_UNUSED)
{
    struct told told = rule_of("asha", "{'eta':3,'min_trials':3}", false);

    for (int64_t n = 1; n <= 9; n++) {
        assert_int_equal(report(&told, n, 1, n == 4 ? NAN : (double)n).stop, n == 1 ? 0 : n >= 3);
        if (n == 4)
            finish(&told, n, ASSAY_PLUGIN_FAILED);
    }
    assert_false(report(&told, 1, 3, 1.0).stop);
    assert_false(report(&told, 10, 1, 0.5).stop);
    drop(&told);
}

/* wandb/sweeps PR#99: Hyperband killed 30 of 81 runs wrongly.  Whoever is among the best
 * third of all at every rung runs to the end, in whatever order they come. */
static void
test_nobody_good_is_killed(void **state ASSAY_UNUSED)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct assay_random random = test_random(seed);
        struct told told = rule_of("asha", "{'eta':3}", seed % 2 == 0);
        double sign = seed % 2 == 0 ? -1.0 : 1.0;
        int order[81];
        size_t stopped = 0;

        for (int i = 0; i < 81; i++)
            order[i] = i;
        for (size_t i = 80; i > 0; i--) {
            size_t k = assay_random_below(&random, i + 1);
            int kept = order[i];

            order[i] = order[k];
            order[k] = kept;
        }
        for (int64_t i = 0; i < 81; i++) {
            bool stop = false;

            for (int64_t s = 1; s <= 81 && !stop; s++)
                stop = report(&told, i + 1, s, sign * (order[i] + 1.0 / (double)s)).stop;
            stopped += stop;
            finish(&told, i + 1, stop ? ASSAY_PLUGIN_STOPPED : ASSAY_PLUGIN_SUCCEEDED);
            if (order[i] == 0) /* the best of all */
                assert_false(stop);
        }
        assert_in_range(stopped, 54, 80);
        drop(&told);
    }
}

/* --- percentile, best_median: steps tidy or not, everything recomputed --- */

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

struct table {
    bool measured[TRIALS + 1][STEPS + 4];
    double values[TRIALS + 1][STEPS + 4];
    bool completed[TRIALS + 1], ended[TRIALS + 1];
};

static void
put(struct table *table, const struct event *event)
{
    if (event->finished != 0) {
        table->ended[event->number] = true;
        table->completed[event->number] = event->finished == ASSAY_PLUGIN_SUCCEEDED;
        return;
    }
    table->measured[event->number][event->step] = true;
    table->values[event->number][event->step] = event->value;
}

static double
best_until(const struct table *table, size_t i, int64_t step)
{
    double best = INFINITY;

    for (int64_t s = 0; s <= step; s++) {
        if (table->measured[i][s] && isfinite(table->values[i][s]))
            best = fmin(best, table->values[i][s]);
    }
    return best;
}

static double
last_until(const struct table *table, size_t i, int64_t step)
{
    for (int64_t s = step; s >= 0; s--) {
        if (table->measured[i][s] && isfinite(table->values[i][s]))
            return table->values[i][s];
    }
    return INFINITY;
}

static int64_t
last_step(const struct table *table, size_t i)
{
    int64_t last = -1;

    for (int64_t s = 0; s < STEPS + 4; s++)
        last = table->measured[i][s] ? s : last;
    return last;
}

static void
test_percentile_against_reference(void **state ASSAY_UNUSED)
{
    size_t stops = 0;

    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct history history = make_history(seed, seed % 3 == 0);
        struct table *table = ASSAY_NEW(struct table);
        bool maximize = seed % 2 == 0, last = seed % 5 == 0;
        double share = (double)(seed % 11) / 10.0;
        assay_auto_free char *settings =
            assay_format("{'min_trials':2,'warmup_steps':0,'percentile':%g,'compare':'%s'}",
                         100.0 * share, last ? "last_value" : "best_so_far");
        struct told told = rule_of("percentile", settings, maximize);

        for (size_t e = 0; e < history.n; e++) {
            const struct event *event = &history.events[e];
            struct assay_plugin_decision decision;
            double figures[TRIALS], place, threshold, own;
            size_t n = 0, i = (size_t)event->number;
            int64_t step;

            put(table, event);
            if (event->finished != 0) {
                finish(&told, event->number, event->finished);
                continue;
            }
            decision =
                report(&told, event->number, event->step, maximize ? -event->value : event->value);
            step = last_step(table, i);
            for (size_t j = 1; j <= TRIALS; j++) {
                double figure = last ? last_until(table, j, step) : best_until(table, j, step);

                if (table->completed[j] && isfinite(figure))
                    figures[n++] = figure;
            }
            if (n < 2) {
                assert_false(decision.stop);
                continue;
            }
            qsort(figures, n, sizeof *figures, compare_doubles);
            place = share * (double)(n - 1);
            threshold = figures[(size_t)place];
            if (place > floor(place))
                threshold += (place - floor(place)) * (figures[(size_t)place + 1] - threshold);
            own = best_until(table, i, STEPS + 3);
            assert_near(decision.threshold, maximize ? -threshold : threshold, 1e-12);
            if (fabs(own - threshold) > 1e-12)
                assert_int_equal(decision.stop != 0, own > threshold);
            stops += decision.stop != 0;
        }
        drop(&told);
        free(table);
        free(history.events);
    }
    assert_true(stops > 1000);
}

/* --- patience, threshold --- */

static void
test_patience_against_reference(void **state ASSAY_UNUSED)
{
    size_t stops = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct history history = make_history(seed, false);
        struct table *table = ASSAY_NEW(struct table);
        bool maximize = seed % 2 == 0;
        int patience = 1 + (int)(seed % 6);
        double delta = seed % 3 == 0 ? 0.05 : 0.0;
        assay_auto_free char *settings =
            assay_format("{'patience':%d,'min_delta':%g}", patience, delta);
        struct told told = rule_of("patience", settings, maximize);

        for (size_t e = 0; e < history.n; e++) {
            const struct event *event = &history.events[e];
            size_t i = (size_t)event->number;
            double recent = INFINITY, before = INFINITY;
            int measured = 0;
            struct assay_plugin_decision decision;

            put(table, event);
            if (event->finished != 0) {
                finish(&told, event->number, event->finished);
                continue;
            }
            decision =
                report(&told, event->number, event->step, maximize ? -event->value : event->value);
            for (int64_t s = STEPS + 3; s >= 0; s--) {
                double value = table->values[i][s];

                if (!table->measured[i][s])
                    continue;
                value = isfinite(value) ? value : INFINITY;
                if (measured++ < patience)
                    recent = fmin(recent, value);
                else
                    before = fmin(before, value);
            }
            assert_int_equal(decision.stop != 0, measured > patience && !(recent < before - delta));
            stops += decision.stop != 0;
        }
        drop(&told);
        free(table);
        free(history.events);
    }
    assert_true(stops > 500);
}

static void
test_threshold(void **state ASSAY_UNUSED)
{
    struct told told = rule_of("threshold", "{'min':0.2,'max':5}", true);

    /* Bounds are in the metric's own direction, whatever is maximised. */
    assert_false(report(&told, 1, 1, 0.2).stop);
    assert_true(report(&told, 1, 2, 0.1).stop);
    assert_non_null(strstr(told.sentence, "below 0.2"));
    assert_true(report(&told, 2, 1, 5.1).stop);
    assert_non_null(strstr(told.sentence, "above 5"));
    assert_true(report(&told, 3, 1, NAN).stop);
    assert_non_null(strstr(told.sentence, "not finite"));
    assert_true(report(&told, 4, 1, -INFINITY).stop);
    assert_false(report(&told, 3, 1, 1.0).stop); /* the last value of a step holds */
    drop(&told);

    told = rule_of("threshold", "{'diverging':10,'not_finite':false,'checks':2}", false);
    assert_false(report(&told, 1, 1, 2.0).stop);
    assert_false(report(&told, 1, 2, 0.5).stop);
    assert_false(report(&told, 1, 3, 20.0).stop);
    assert_false(report(&told, 1, 4, 21.0).stop); /* for the first time */
    assert_true(report(&told, 1, 5, 1e9).stop);
    assert_false(report(&told, 2, 1, NAN).stop);
    assert_false(report(&told, 2, 2, NAN).stop);
    drop(&told);

    for (int maximize = 0; maximize < 2; maximize++) {
        double sign = maximize ? -1.0 : 1.0;

        told = rule_of("threshold", "{'diverging':3,'warmup_steps':3}", maximize);
        for (int64_t s = 1; s <= 4; s++)
            assert_int_equal(report(&told, 1, s, sign * pow(10.0, (double)s)).stop, s >= 3);
        drop(&told);
    }
}

/* --- wilcoxon --- */

/* All 2^n signs. */
static double
slow_p(const double *differences, size_t n)
{
    double ranks[16], sum = 0.0, as_great = 0.0;

    for (size_t i = 0; i < n; i++) {
        double below = 0.0, equal = 0.0;

        for (size_t k = 0; k < n; k++) {
            below += fabs(differences[k]) < fabs(differences[i]);
            equal += fabs(differences[k]) == fabs(differences[i]);
        }
        ranks[i] = below + (equal + 1.0) / 2.0;
        sum += differences[i] > 0.0 ? ranks[i] : 0.0;
    }
    for (unsigned signs = 0; signs < 1u << n; signs++) {
        double other = 0.0;

        for (size_t i = 0; i < n; i++)
            other += signs >> i & 1u ? ranks[i] : 0.0;
        as_great += other >= sum - 1e-9;
    }
    return ldexp(as_great, -(int)n);
}

static void
test_signed_rank(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(3);
    double differences[1024];

    for (int round = 0; round < 200; round++) {
        size_t n = 1 + assay_random_below(&random, 12);

        for (size_t i = 0; i < n; i++)
            differences[i] = assay_random_normal(&random) + 0.3;
        assert_near(assay__signed_rank_p(differences, n), slow_p(differences, n), 1e-12);
    }
    /* Ties and larger numbers: the normal approximation is near. */
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < 14; i++)
            differences[i] = floor(4.0 * assay_random_normal(&random)) + 0.5;
        assert_near(assay__signed_rank_p(differences, 14), slow_p(differences, 14), 0.05);
    }
    for (size_t i = 0; i < 1024; i++)
        differences[i] = assay_random_normal(&random);
    assert_in_range((long)(1e6 * assay__signed_rank_p(differences, 1024)), 1000, 999000);
    memset(differences, 0, sizeof differences);
    assert_true(assay__signed_rank_p(differences, 1024) == 1.0);
    /* All five above zero: 1 / 32. */
    for (size_t i = 0; i < 5; i++)
        differences[i] = (double)(i + 1);
    assert_near(assay__signed_rank_p(differences, 5), 1.0 / 32.0, 1e-15);
}

static void
test_wilcoxon(void **state ASSAY_UNUSED)
{
    for (int maximize = 0; maximize < 2; maximize++) {
        double sign = maximize ? -1.0 : 1.0, best[10], other[10];
        struct told told = rule_of("wilcoxon", "{'p':0.1}", maximize);

        for (int i = 0; i < 10; i++) {
            best[i] = sign * (1.0 + 0.1 * i);
            other[i] = sign * (2.0 + 0.1 * i);
        }
        run_whole(&told, 1, other, 10);
        run_whole(&told, 2, best, 10);
        /* Worse by more and more at each fold: p is 1/2, 1/4, 1/8, 1/16. */
        for (int64_t fold = 1; fold <= 4; fold++)
            assert_int_equal(
                report(&told, 3, fold, best[fold - 1] + sign * 0.01 * (double)fold).stop,
                fold == 4);
        assert_non_null(strstr(told.sentence, "trial 2"));
        /* No worse in the mean: never. */
        for (int64_t fold = 1; fold <= 10; fold++)
            assert_false(report(&told, 4, fold, best[fold - 1] - (fold == 1 ? sign : 0.0)).stop);
        /* Folds the best has not measured do not count. */
        for (int64_t fold = 20; fold <= 30; fold++)
            assert_false(report(&told, 5, fold, sign * 100.0).stop);
        drop(&told);
    }
}

/* --- auto: everything recomputed in the plainest way --- */

static double
normal_cdf(double x)
{
    return 0.5 * erfc(-x / sqrt(2.0));
}

/* By bisection. */
static double
normal_quantile(double p)
{
    double low = -40.0, high = 40.0;

    for (int i = 0; i < 200; i++) {
        double middle = (low + high) / 2.0;

        if (normal_cdf(middle) < p)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct block {
    double low, high, mean, variance;
};

/* Ranks [first, first + width) of n; moments by integrating the normal over quantiles. */
static struct block
slow_block(size_t first, size_t width, size_t n)
{
    struct block block = {
        .low =
            first + width < n ? normal_quantile(1.0 - (double)(first + width) / (double)n) : -8.0,
        .high = first > 0 ? normal_quantile(1.0 - (double)first / (double)n) : 8.0};
    double at, weight = 0.0;

    if (width == 1) {
        block.mean = normal_quantile(1.0 - ((double)first + 0.5) / (double)n);
        return block;
    }
    for (int i = 0; i < 4000; i++) {
        double density;

        at = block.low + (block.high - block.low) * (i + 0.5) / 4000.0;
        density = exp(-0.5 * at * at);
        weight += density;
        block.mean += density * at;
        block.variance += density * at * at;
    }
    block.mean /= weight;
    block.variance = block.variance / weight - block.mean * block.mean;
    return block;
}

static struct block
slow_block_of(const double *values, size_t n, double value, size_t more)
{
    size_t smaller = 0, equal = 0;

    for (size_t i = 0; i < n; i++) {
        smaller += values[i] < value;
        equal += values[i] == value;
    }
    return slow_block(smaller, equal + more, n + more);
}

/* The figures at the column of a step, and their number: the column is that of the latest
 * step, not after this one, at which an ended trial measured.  Returns its step. */
static int64_t
slow_column(const struct table *table, int64_t step, double figures[TRIALS], size_t *ret_n)
{
    int64_t column = -1;

    for (size_t j = 1; j <= TRIALS; j++) {
        for (int64_t s = 0; table->ended[j] && s <= step; s++)
            column = table->measured[j][s] ? ASSAY_MAX(column, s) : column;
    }
    *ret_n = 0;
    for (size_t j = 1; j <= TRIALS; j++) {
        bool begun = false;

        for (int64_t s = 0; table->ended[j] && s <= column; s++)
            begun = begun || table->measured[j][s];
        if (begun)
            figures[(*ret_n)++] = best_until(table, j, column);
    }
    return column;
}

/* The score of trial i among `figures` by what it had measured up to `step`, raised by its
 * trend. */
static struct block
slow_stand(const struct table *table, size_t i, int64_t step, const double *figures, size_t n,
           size_t more)
{
    struct block block = slow_block_of(figures, n, best_until(table, i, step), more);
    double at_half[TRIALS];
    int64_t half = -1;
    size_t measured = 0, seen = 0, n_half;

    for (int64_t s = 0; s <= step; s++)
        measured += table->measured[i][s];
    for (int64_t s = 0; s <= step && half < 0; s++) {
        seen += table->measured[i][s];
        half = measured >= 2 && seen == measured / 2 ? s : -1;
    }
    if (half < 0)
        return block;
    slow_column(table, half, at_half, &n_half);
    if (n_half > 0)
        block.mean +=
            0.95 *
            fmax(block.mean - slow_block_of(at_half, n_half, best_until(table, i, half), more).mean,
                 0.0);
    return block;
}

/* The median of the complete trials' last steps. */
static int64_t
slow_horizon(const struct table *table)
{
    int64_t lasts[TRIALS];
    size_t n = 0;

    for (size_t j = 1; j <= TRIALS; j++) {
        size_t at = n;
        int64_t last = last_step(table, j);

        if (!table->completed[j] || last < 0)
            continue;
        for (; at > 0 && lasts[at - 1] > last; at--)
            lasts[at] = lasts[at - 1];
        lasts[at] = last;
        n++;
    }
    return lasts[n / 2];
}

/* The chance of trial i to become the best, as a multiple of a fresh trial's; how many are
 * better at its step; how many have ended. */
static double
slow_chance(const struct table *table, size_t i, int64_t step, size_t *ret_better,
            size_t *ret_ended)
{
    double at_step[TRIALS], final[TRIALS], logs[25], chance = 0.0, sum = 0.0, greatest = -1e300;
    double share, prior;
    size_t n = 0, n_final = 0;
    int64_t column = slow_column(table, step, at_step, &n);
    struct block own;

    slow_column(table, STEPS + 3, final, &n_final);
    *ret_ended = n_final;
    *ret_better = 0;
    for (size_t k = 0; k < n; k++)
        *ret_better += at_step[k] < best_until(table, i, step);
    if (n == 0)
        return INFINITY;
    share = slow_horizon(table) > 0 ? (double)column / (double)slow_horizon(table) : 1.0;
    prior = 2.0 + 0.25 * log2(fmin(fmax(share, 0.01), 1.0));
    own = slow_stand(table, i, step, at_step, n, 1);
    for (size_t g = 0; g < 25; g++) {
        double r = tanh(3.0 * (double)g / 24.0);

        logs[g] = log(0.9 * exp(-0.5 * pow((3.0 * (double)g / 24.0 - prior) / 0.5, 2)) /
                          (0.5 * sqrt(2.0 * M_PI)) +
                      0.1 * exp(-3.0 * (double)g / 24.0));
        for (size_t j = 1; j <= TRIALS; j++) {
            struct block early, end;
            double variance;
            bool begun = false;

            for (int64_t s = 0; s <= column; s++)
                begun = begun || table->measured[j][s];
            if (!table->completed[j] || !begun)
                continue;
            early = slow_stand(table, j, column, at_step, n, 0);
            end = slow_block_of(final, n_final, best_until(table, j, STEPS + 3), 0);
            variance = 1.0 - r * r + r * r * early.variance;
            if (end.variance > 0.0)
                logs[g] += log(fmax(normal_cdf((end.high - r * early.mean) / sqrt(variance)) -
                                        normal_cdf((end.low - r * early.mean) / sqrt(variance)),
                                    1e-12));
            else
                logs[g] -= 0.5 * log(variance) + 0.5 * pow(end.mean - r * early.mean, 2) / variance;
        }
        greatest = fmax(greatest, logs[g]);
    }
    for (size_t g = 0; g < 25; g++) {
        double r = tanh(3.0 * (double)g / 24.0), weight = exp(logs[g] - greatest);

        sum += weight;
        chance +=
            weight * normal_cdf((r * own.mean - normal_quantile(1.0 - 0.5 / (double)n_final)) /
                                sqrt(1.0 - r * r + r * r * own.variance));
    }
    return chance / sum * 2.0 * (double)n_final;
}

static void
check_auto(uint64_t seed, size_t *stops, size_t *asked)
{
    struct history history = make_history(seed, false);
    struct table *table = ASSAY_NEW(struct table);
    bool maximize = seed % 2 == 0;
    struct told told =
        rule_of("auto", "{'chance':0.5,'min_trials':3,'early_share':0,'checks':1}", maximize);

    for (size_t e = 0; e < history.n; e++) {
        const struct event *event = &history.events[e];
        size_t i = (size_t)event->number, better, ended, completed = 0, measured = 0, bad = 0;
        struct assay_plugin_decision decision;
        double best_of_all = INFINITY, own, chance, bound;
        bool had_finite = false;
        int64_t step;

        put(table, event);
        if (event->finished != 0) {
            finish(&told, event->number, event->finished);
            if (event->finished == ASSAY_PLUGIN_FAILED) /* no measure for others */
                memset(table->measured[i], 0, sizeof table->measured[i]);
            continue;
        }
        decision =
            report(&told, event->number, event->step, maximize ? -event->value : event->value);
        step = last_step(table, i);
        for (int64_t s = step; s >= 0; s--) {
            if (!table->measured[i][s])
                continue;
            measured++;
            had_finite = had_finite || isfinite(table->values[i][s]);
            bad += !had_finite;
        }
        if (had_finite && bad >= 3) {
            assert_true(decision.stop);
            continue;
        }
        if (e % 7 != 0)
            continue; /* the rest is slow */
        for (size_t j = 1; j <= TRIALS; j++) {
            completed += table->completed[j];
            if (table->ended[j])
                best_of_all = fmin(best_of_all, best_until(table, j, STEPS + 3));
        }
        own = best_until(table, i, STEPS + 3);
        if (completed < 3 || own <= best_of_all) {
            assert_false(decision.stop);
            continue;
        }
        chance = slow_chance(table, i, step, &better, &ended);
        bound =
            0.5 * pow(fmin((double)measured / 7.0 * fmin(sqrt((double)ended / 50.0), 2.0), 1.0), 2);
        (*asked)++;
        *stops += decision.stop != 0;
        if (better < 2) {
            assert_false(decision.stop);
        } else if (fabs(chance - bound) > 0.02 * bound &&
                   (decision.stop != 0) != (chance < bound)) {
            fail_msg("seed %llu event %zu: stop %u with chance %g against %g",
                     (unsigned long long)seed, e, decision.stop, chance, bound);
        }
    }
    drop(&told);
    free(table);
    free(history.events);
}

static void
test_auto_against_reference(void **state ASSAY_UNUSED)
{
    size_t stops = 0, asked = 0;

    for (uint64_t seed = 1; seed <= 4; seed++)
        check_auto(seed, &stops, &asked);
    print_message("%zu decisions, %zu of them to stop\n", asked, stops);
    assert_true(stops > 50 && asked > stops + 50);
}

/* Where early ranks hold, auto stops the poor early; where they tell nothing, it does
 * not. */
static double
auto_saves(bool ranks_hold)
{
    struct assay_random random = test_random(17);
    struct told told = rule_of("auto", "{}", false);
    double used = 0.0;

    for (int64_t n = 1; n <= 100; n++) {
        double early = assay_random_unit(&random);
        double late = ranks_hold ? early : assay_random_unit(&random);
        bool stop = false;

        for (int64_t s = 1; s <= 50 && !stop; s++) {
            double share = s > 30 ? 1.0 : 0.0;

            stop =
                report(&told, n, s, share * late + (1.0 - share) * (2.0 + early) + 1.0 / (double)s)
                    .stop;
            used += 1.0;
        }
        finish(&told, n, stop ? ASSAY_PLUGIN_STOPPED : ASSAY_PLUGIN_SUCCEEDED);
    }
    drop(&told);
    return 1.0 - used / 5000.0;
}

static void
test_auto_knows_the_difference(void **state ASSAY_UNUSED)
{
    print_message("saved %.0f %% where ranks hold, %.0f %% where they do not\n",
                  100.0 * auto_saves(true), 100.0 * auto_saves(false));
    assert_true(auto_saves(true) > 0.6);
    assert_true(auto_saves(false) < 0.4); /* the last two fifths */
}

/* --- auto with parameters --- */

/* Curves whose levels follow from x, or not; steps used of 50 by a trial, by halves of x
 * (good first), of the trials from the 60th on.  The last sentence that spoke of parameters
 * into `told`. */
static void
auto_with_parameters(bool follows, double ret_used[2], struct told *told)
{
    struct assay_space *space = space_of("[{'name':'x','type':'double','min':0,'max':1}]");
    struct assay_view *view = assay_view_new(space);
    struct assay_random random = test_random(23);
    json_t *schema, *nothing = json_object(), *filled;
    char error[256] = "", spoken[ASSAY_PLUGIN_SENTENCE_BYTES] = "";
    double counts[2] = {0.0, 0.0};
    assay_auto_free char *text = NULL;

    *told = (struct told){.rule = assay_registry_rule("auto")};
    schema = json_loads(told->rule->settings_schema, 0, NULL);
    filled = assay_settings_fill(schema, nothing);
    text = json_dumps(filled, 0);
    json_decref(schema);
    json_decref(nothing);
    json_decref(filled);
    assert_int_equal(told->rule->create(
                         &(struct assay_plugin_rule_study){
                             .metric = "loss", .settings = text, .space = assay_view_space(view)},
                         &told->instance, error, sizeof error),
                     ASSAY_PLUGIN_OK);
    ret_used[0] = ret_used[1] = 0.0;
    for (int64_t n = 1; n <= 150; n++) {
        double x = assay_random_unit(&random);
        double level = follows ? x : assay_random_unit(&random);
        bool stop = false;
        int64_t used = 0;

        told->rule->start(told->instance, n, &x);
        told->rule->start(told->instance, n, &x); /* no harm */
        while (used < 50 && !stop) {
            used++;
            /* At first all are alike. */
            stop = report(told, n, used,
                          2.0 - (2.0 - level) * (1.0 - exp(-0.1 * (double)used)) +
                              0.2 * exp(-0.5 * (double)used) * assay_random_unit(&random))
                       .stop;
        }
        if (stop && strstr(told->sentence, "such parameters") != NULL)
            memcpy(spoken, told->sentence, sizeof spoken);
        finish(told, n, stop ? ASSAY_PLUGIN_STOPPED : ASSAY_PLUGIN_SUCCEEDED);
        if (n >= 60) {
            ret_used[x > 0.5] += (double)used;
            counts[x > 0.5] += 1.0;
        }
    }
    ret_used[0] /= counts[0];
    ret_used[1] /= counts[1];
    memcpy(told->sentence, spoken, sizeof spoken);
    drop(told);
    assay_view_free(view);
    assay_space_free(space);
}

static void
test_auto_learns_from_parameters(void **state ASSAY_UNUSED)
{
    double follows[2], not [2];
    struct told told;

    auto_with_parameters(true, follows, &told);
    print_message("%s\n", told.sentence);
    assert_non_null(strstr(told.sentence, "trials with such parameters end where"));
    auto_with_parameters(false, not, &told);
    print_message("steps by good and poor x: %.1f and %.1f; where x means nothing %.1f and %.1f\n",
                  follows[0], follows[1], not [0], not [1]);
    assert_true(follows[1] < 2.5 && follows[1] < 0.5 * follows[0]);
    assert_true(fabs(not [0] - not [1]) < 0.5 * (not [0] + not [1]));
}

/* --- curve --- */

static void
test_curve(void **state ASSAY_UNUSED)
{
    for (int maximize = 0; maximize < 2; maximize++) {
        double sign = maximize ? -1.0 : 1.0, curve[60];
        struct told told = rule_of("curve", "{}", maximize);
        bool stop = false;

        for (int64_t n = 1; n <= 6; n++) {
            for (int s = 0; s < 60; s++)
                curve[s] = sign * (0.1 * (double)n + 2.0 * exp(-s / 8.0));
            run_whole(&told, n, curve, 60);
        }
        /* Flat and far behind: hopeless.  As the best one was: not. */
        for (int64_t s = 1; s <= 40 && !stop; s++) {
            stop = report(&told, 7, s, sign * (1.5 + exp(-(double)s))).stop;
            assert_false(stop && s < 12); /* the first fifth */
        }
        assert_true(stop);
        assert_non_null(strstr(told.sentence, "probability"));
        for (int64_t s = 1; s <= 60; s++)
            assert_false(
                report(&told, 8, s, sign * (0.1 + 2.0 * exp(-(double)(s - 1) / 8.0))).stop);
        /* Still falling fast: it may yet win. */
        for (int64_t s = 1; s <= 14; s++)
            assert_false(report(&told, 9, s, sign * (2.2 - 0.12 * (double)s)).stop);
        drop(&told);
    }
}

/* --- ray#5485 and what all rules must keep --- */

/* Losses that fall from 1e4: running averages never let a rule fire, best values do. */
static void
test_steep_losses(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *name;
        bool fires;
    } cases[] = {{"median", false}, {"best_median", true}, {"percentile", true},
                 {"asha", true},    {"auto", true},        {"curve", true}};

    for (size_t c = 0; c < ASSAY_COUNT(cases); c++) {
        struct told told = rule_of(cases[c].name, "{}", false);
        bool stop = false;
        double curve[30];

        for (int64_t n = 1; n <= 10; n++) {
            for (int s = 0; s < 30; s++)
                curve[s] = s == 0 ? 1e4 : 1.0 + 0.01 * (double)n + 1.0 / (s + 1.0);
            run_whole(&told, n, curve, 30);
        }
        for (int64_t s = 1; s <= 30 && !stop; s++)
            stop = report(&told, 11, s, s == 1 ? 1e4 : 100.0).stop;
        if (stop != cases[c].fires)
            fail_msg("%s %s", cases[c].name, stop ? "fires" : "never fires");
        drop(&told);
    }
}

/* A study maximised is the same study minimised, turned round. */
static void
test_directions(void **state ASSAY_UNUSED)
{
    for (size_t r = 0; assay_registry_rule_at(r) != NULL; r++) {
        const char *name = assay_registry_rule_at(r)->name;

        for (uint64_t seed = 1; seed <= 10; seed++) {
            struct history history = make_history(seed, false);
            struct told low = rule_of(name, "{}", false), high = rule_of(name, "{}", true);

            for (size_t e = 0; e < history.n; e++) {
                const struct event *event = &history.events[e];

                if (event->finished != 0) {
                    finish(&low, event->number, event->finished);
                    finish(&high, event->number, event->finished);
                } else {
                    struct assay_plugin_decision a =
                        report(&low, event->number, event->step, event->value);
                    struct assay_plugin_decision b =
                        report(&high, event->number, event->step, -event->value);

                    if (a.stop != b.stop || !same(a.value, -b.value) ||
                        !same(a.threshold, -b.threshold) || a.compared != b.compared)
                        fail_msg("%s, seed %llu, event %zu: %u %g %g, %u %g %g", name,
                                 (unsigned long long)seed, e, a.stop, a.value, a.threshold, b.stop,
                                 b.value, b.threshold);
                }
            }
            drop(&low);
            drop(&high);
            free(history.events);
        }
    }
}

/* A restart tells everything again by trial: the next decisions are the same. */
static void
test_replay(void **state ASSAY_UNUSED)
{
    for (size_t r = 0; assay_registry_rule_at(r) != NULL; r++) {
        const char *name = assay_registry_rule_at(r)->name;
        size_t compared = 0, stops = 0;

        for (uint64_t seed = 1; seed <= 30; seed++) {
            struct history history = make_history(seed, true);
            struct told first = rule_of(name, "{}", false), second = rule_of(name, "{}", false);
            size_t middle = history.n / 2;

            for (size_t e = 0; e < history.n; e++) {
                const struct event *event = &history.events[e];
                struct assay_plugin_decision a, b;

                if (e == middle) {
                    for (int64_t n = 1; n <= TRIALS; n++) {
                        for (size_t k = 0; k < middle; k++) {
                            const struct event *past = &history.events[k];

                            if (past->number == n && past->finished != 0)
                                finish(&second, n, past->finished);
                            else if (past->number == n)
                                (void)report(&second, n, past->step, past->value);
                        }
                    }
                }
                if (event->finished != 0) {
                    finish(&first, event->number, event->finished);
                    if (e >= middle)
                        finish(&second, event->number, event->finished);
                    continue;
                }
                a = report(&first, event->number, event->step, event->value);
                if (e < middle)
                    continue;
                b = report(&second, event->number, event->step, event->value);
                compared++;
                stops += a.stop != 0;
                if (a.stop != b.stop || !same(a.value, b.value) ||
                    (a.stop && !same(a.threshold, b.threshold)))
                    fail_msg("%s, seed %llu, event %zu: %u %g %g, %u %g %g", name,
                             (unsigned long long)seed, e, a.stop, a.value, a.threshold, b.stop,
                             b.value, b.threshold);
            }
            drop(&first);
            drop(&second);
            free(history.events);
        }
        print_message("%s: %zu decisions after a restart, %zu of them to stop\n", name, compared,
                      stops);
    }
}

/* Past its capacity, a column is the same in whatever order trials come. */
static void
test_columns_forget_the_order(void **state ASSAY_UNUSED)
{
    struct assay_columns columns[2];
    int64_t steps[] = {1, 2, 5};

    for (int c = 0; c < 2; c++) {
        assay_columns_init(&columns[c]);
        for (int64_t k = 0; k < 3000; k++) {
            int64_t n = c == 0 ? k : 2999 - k;
            double value = (double)(n * 7919 % 3000);

            assay_columns_add(&columns[c], n, steps, (double[]){value + 2.0, value + 1.0, value},
                              3);
        }
    }
    assert_int_equal(columns[0].count, columns[1].count);
    for (size_t i = 0; i < columns[0].count; i++) {
        assert_int_equal(columns[0].items[i].count, columns[1].items[i].count);
        assert_in_range(columns[0].items[i].count, 400, ASSAY_COLUMN_VALUES_MAX);
        assert_memory_equal(columns[0].items[i].values, columns[1].items[i].values,
                            columns[0].items[i].count * sizeof(double));
    }
    assert_near(assay_column_quantile(&columns[0].items[2], 0.5), 1500.0, 150.0);
    assay_columns_done(&columns[0]);
    assay_columns_done(&columns[1]);
}

/* Anything may come: no crash, no sentence without an end, bounded memory. */
static void
test_hostile(void **state ASSAY_UNUSED)
{
    static const double values[] = {NAN,  INFINITY, -INFINITY, 1e308, -1e308, 0.0,
                                    -0.0, 5e-324,   1.0,       -1.0,  1e300,  2.0};

    for (size_t r = 0; assay_registry_rule_at(r) != NULL; r++) {
        const char *name = assay_registry_rule_at(r)->name;
        struct assay_random random = test_random(r + 1);
        struct told told = rule_of(name, "{}", r % 2);
        size_t before = mallinfo2().uordblks, after;

        for (int e = 0; e < 60000; e++) {
            int64_t number = 1 + (int64_t)assay_random_below(&random, 300) + e / 100;
            uint64_t bits = assay_random_u64(&random);
            int64_t step = bits % 5 == 0   ? (int64_t)(assay_random_u64(&random) >> (bits % 60))
                           : bits % 5 == 1 ? INT64_MAX
                                           : (int64_t)(bits >> 8 & 63);
            double value = bits % 3 == 0 ? values[(bits >> 20) % ASSAY_COUNT(values)]
                                         : assay_random_normal(&random);

            if (bits % 41 == 0)
                finish(&told, number, 1 + (uint32_t)(bits >> 30) % 5);
            else
                (void)report(&told, number, bits % 97 == 0 ? -step : step, value);
            assert_true(strlen(told.sentence) < sizeof told.sentence - 1 ||
                        told.sentence[sizeof told.sentence - 1] == '\0');
        }
        after = mallinfo2().uordblks;
        print_message("%s: %zu KiB\n", name, (after - before) / 1024);
        assert_true(after - before < 10u << 20);
        drop(&told);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asha_against_reference),
        cmocka_unit_test(test_asha_judges_early_birds_again),
        cmocka_unit_test(test_failed_trial_is_a_bad_one),
        cmocka_unit_test(test_nobody_good_is_killed),
        cmocka_unit_test(test_percentile_against_reference),
        cmocka_unit_test(test_patience_against_reference),
        cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_signed_rank),
        cmocka_unit_test(test_wilcoxon),
        cmocka_unit_test(test_auto_against_reference),
        cmocka_unit_test(test_auto_knows_the_difference),
        cmocka_unit_test(test_auto_learns_from_parameters),
        cmocka_unit_test(test_curve),
        cmocka_unit_test(test_steep_losses),
        cmocka_unit_test(test_directions),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_columns_forget_the_order),
        cmocka_unit_test(test_hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

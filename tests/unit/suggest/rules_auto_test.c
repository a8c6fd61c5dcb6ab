/* The rule auto: against one that recomputes everything in the plainest way, and what it
 * saves. */
#include "tests/unit/suggest/rules_support.h"

#include "suggest/view.h"

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_auto_against_reference),
        cmocka_unit_test(test_auto_knows_the_difference),
        cmocka_unit_test(test_auto_learns_from_parameters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

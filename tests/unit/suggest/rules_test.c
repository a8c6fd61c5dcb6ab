/* Every stopping rule: against a slow and obvious one (auto: rules_auto_test.c), on the recorded
 * failures of other systems, and on what all of them must keep: direction, order, hostile input,
 * time. */
#include "tests/unit/suggest/rules_support.h"

#include <malloc.h>

#include "suggest/rules/columns.h"
#include "suggest/view.h"

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
            qsort(figures, n, sizeof *figures, assay_compare_doubles);
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
        cmocka_unit_test(test_curve),
        cmocka_unit_test(test_steep_losses),
        cmocka_unit_test(test_directions),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_columns_forget_the_order),
        cmocka_unit_test(test_hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

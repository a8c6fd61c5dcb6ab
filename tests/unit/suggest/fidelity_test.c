/* Multi-fidelity: rungs against a slow reference, brackets in proportion, studies of every
 * kind of trouble, and the same answer whatever way the history came. */
#include "tests/unit/suggest/support.h"

#include <stdlib.h>
#include <string.h>

#include "common/number.h"
#include "suggest/algorithms/fidelity/brackets.h"
#include "suggest/algorithms/fidelity/ladder.h"
#include "suggest/algorithms/fidelity/population.h"
#include "suggest/algorithms/fidelity/scores.h"
#include "suggest/needed_rule.h"
#include "suggest/proposer.h"
#include "suggest/registry.h"
#include "suggest/rungs.h"
#include "suggest/view.h"

/* --- the ladder --- */

#define N_TRIALS 60

static const uint32_t all_states[] = {
    ASSAY_PLUGIN_PENDING, ASSAY_PLUGIN_SUCCEEDED, ASSAY_PLUGIN_STOPPED, ASSAY_PLUGIN_INFEASIBLE,
    ASSAY_PLUGIN_FAILED,  ASSAY_PLUGIN_CANCELLED, ASSAY_PLUGIN_PAUSED,  ASSAY_PLUGIN_PAUSED,
    ASSAY_PLUGIN_PAUSED,  ASSAY_PLUGIN_PAUSED,
};

struct told {
    struct assay_history_trial trial;
    double rung_values[ASSAY_RUNGS_MAX], values[1];
    bool known;
};

/* The value by which a trial is judged at a rung in the words of ladder.h; NaN: not at
 * all. */
static double
slow_judgement(const struct told *told, const double *rungs, size_t n_rungs, size_t first,
               size_t rung)
{
    const struct assay_history_trial *trial = &told->trial;
    size_t target = 0, beyond = 0;
    double value = trial->rung_values[rung];

    if (rung < first || trial->state == ASSAY_PLUGIN_CANCELLED)
        return NAN;
    for (size_t k = 0; k < n_rungs; k++) {
        if (isnan(trial->budget) || rungs[k] <= trial->budget * (1.0 + 1e-9))
            target = k;
    }
    for (size_t k = 0; k < n_rungs; k++) {
        if (!isnan(trial->rung_values[k]))
            beyond = k + 1;
    }
    if (trial->state == ASSAY_PLUGIN_SUCCEEDED && !isnan(trial->values[0])) {
        beyond = ASSAY_MAX(beyond, target + 1);
        if (rung == target && isnan(value))
            value = trial->values[0];
    }
    if (!isnan(value))
        return isfinite(value) ? value : INFINITY;
    if (trial->state != ASSAY_PLUGIN_PENDING && beyond <= target &&
        rung == ASSAY_MAX(beyond, first))
        return INFINITY;
    return NAN;
}

static bool
slow_waits(const struct told *told, const double *rungs, size_t n_rungs, size_t first, size_t rung)
{
    size_t target = 0, beyond = 0;

    for (size_t k = 0; k < n_rungs; k++) {
        if (isnan(told->trial.budget) || rungs[k] <= told->trial.budget * (1.0 + 1e-9))
            target = k;
        if (!isnan(told->trial.rung_values[k]))
            beyond = k + 1;
    }
    return told->trial.state == ASSAY_PLUGIN_PAUSED && beyond == rung + 1 && beyond > target &&
           rung >= first && rung + 1 < n_rungs && isfinite(told->trial.rung_values[rung]);
}

static bool
slow_is_beyond(const struct told *told, const double *rungs, size_t n_rungs, size_t rung)
{
    const struct assay_history_trial *trial = &told->trial;

    return trial->state != ASSAY_PLUGIN_CANCELLED && !isnan(trial->rung_values[rung]) &&
           rung + 1 < n_rungs &&
           (isnan(trial->budget) || trial->budget * (1.0 + 1e-9) >= rungs[rung + 1]);
}

/* Number of the trial to promote, 0: none. */
static int64_t
slow_next(const struct told *all, const struct assay_ladder *ladder, bool sparing)
{
    for (size_t rung = ladder->n_rungs - 1; rung-- > 0;) {
        for (size_t bracket = 0; bracket < ladder->n_brackets; bracket++) {
            int64_t best = 0;
            double best_value = NAN;
            size_t judged = 0, better = 0, beyond = 0;

            for (size_t i = 0; i < N_TRIALS; i++) {
                double value;

                if (!all[i].known || assay_bracket_of(ladder->shares, ladder->n_brackets,
                                                      all[i].trial.number) != bracket)
                    continue;
                value = slow_judgement(&all[i], ladder->rungs, ladder->n_rungs, bracket, rung);
                judged += isnan(value) ? 0 : 1;
                beyond += rung >= bracket &&
                          slow_is_beyond(&all[i], ladder->rungs, ladder->n_rungs, rung);
                if (slow_waits(&all[i], ladder->rungs, ladder->n_rungs, bracket, rung) &&
                    (best == 0 || value < best_value)) {
                    best = all[i].trial.number;
                    best_value = value;
                }
            }
            for (size_t i = 0; i < N_TRIALS && best > 0; i++) {
                double value;

                if (!all[i].known || assay_bracket_of(ladder->shares, ladder->n_brackets,
                                                      all[i].trial.number) != bracket)
                    continue;
                value = slow_judgement(&all[i], ladder->rungs, ladder->n_rungs, bracket, rung);
                better += value < best_value || (value <= best_value && all[i].trial.number < best)
                              ? 1
                              : 0;
            }
            if (best > 0 && (double)better + 1.0 <= floor((double)judged / ladder->eta) &&
                (!sparing || better == 0 || (double)beyond < floor((double)judged / ladder->eta)))
                return best;
        }
    }
    return 0;
}

static void
change(struct told *told, int64_t number, const struct assay_ladder *ladder,
       struct assay_random *random)
{
    size_t reached = (size_t)assay_random_below(random, ladder->n_rungs + 1);

    *told = (struct told){.known = true};
    told->trial.number = number;
    told->trial.state = all_states[assay_random_below(random, ASSAY_COUNT(all_states))];
    told->trial.values = told->values;
    told->trial.rung_values = told->rung_values;
    told->trial.budget = assay_random_unit(random) < 0.1
                             ? NAN
                             : ladder->rungs[assay_random_below(random, ladder->n_rungs)];
    told->values[0] = assay_random_unit(random) < 0.2 ? NAN : assay_random_unit(random);
    for (size_t k = 0; k < ladder->n_rungs; k++) {
        double lot = assay_random_unit(random);

        told->rung_values[k] = k >= reached || lot < 0.05 ? NAN
                               : lot < 0.1                ? INFINITY
                               : lot < 0.3                ? 0.5 /* ties */
                                                          : assay_random_unit(random);
    }
}

static void
test_ladder_is_like_the_reference(void **state ASSAY_UNUSED)
{
    static const double etas[] = {2.0, 2.5, 3.0, 4.0, 7.0, 10.0};

    for (size_t round = 0; round < 48; round++) {
        struct assay_random random = test_random(round);
        double rungs[ASSAY_RUNGS_MAX], eta = etas[round % ASSAY_COUNT(etas)];
        size_t n_rungs = assay_rungs(0.5, 0.5 + 97.3 * (double)(round % 3), eta, rungs);
        size_t n_brackets = 1 + (size_t)assay_random_below(&random, n_rungs);
        struct told all[N_TRIALS] = {0};
        struct assay_ladder ladder;
        size_t promotions = 0, sparingly = 0;

        assay_ladder_init(&ladder, rungs, n_rungs, eta, n_brackets, 0);
        for (size_t step = 0; step < 400; step++) {
            size_t i = (size_t)assay_random_below(&random, N_TRIALS);
            struct assay_promotion promotion = {0};
            bool found;

            if (all[i].known)
                assay_ladder_remove(&ladder, &all[i].trial);
            change(&all[i], (int64_t)i + 1, &ladder, &random);
            assay_ladder_add(&ladder, &all[i].trial);
            found = assay_ladder_next(&ladder, true, NULL, 0, &promotion);
            assert_int_equal(found ? promotion.number : 0, slow_next(all, &ladder, true));
            sparingly += found;
            found = assay_ladder_next(&ladder, false, NULL, 0, &promotion);
            assert_int_equal(found ? promotion.number : 0, slow_next(all, &ladder, false));
            promotions += found;
            if (found) { /* taken, it is not offered again */
                int64_t taken = promotion.number;

                if (assay_ladder_next(&ladder, false, &taken, 1, &promotion))
                    assert_int_not_equal(promotion.number, taken);
            }
        }
        assert_true(n_rungs == 1 ? promotions == 0 : promotions > 0);
        assert_true(sparingly <= promotions);
        for (size_t i = 0; i < N_TRIALS; i++) {
            if (all[i].known)
                assay_ladder_remove(&ladder, &all[i].trial);
        }
        for (size_t i = 0; i < n_brackets * n_rungs; i++)
            assert_int_equal(ladder.judged[i].n + ladder.waiting[i].n + ladder.n_beyond[i], 0);
        assert_int_equal(ladder.n_pending + ladder.n_whole, 0);
        assay_ladder_done(&ladder);
    }
}

/* --- scores --- */

/* Trials with a quality each and measurements at three rungs that tell of it: at the
 * first as `first` says (a correlation with the second), then ever better.  All have the first
 * `straight` rungs; of the rest the best third goes on. */
struct bed {
    struct assay_ladder ladder;
    struct assay_history *history;
    double *seconds; /* what would be measured at the second rung, by trial */
};

static struct bed
bed_of(const struct assay_plugin_space *space, size_t n, double first, bool straight)
{
    static const double rungs[] = {1.0, 3.0, 9.0};
    struct bed bed = {.history = assay_history_new(space, 1, 0, 3),
                      .seconds = assay_alloc(n + 1, sizeof(double))};
    struct assay_random random = test_random(n);
    assay_auto_free double *firsts = assay_alloc(n, sizeof *firsts);
    assay_auto_free double *sorted = assay_alloc(n, sizeof *sorted);

    assay_ladder_init(&bed.ladder, rungs, 3, 3.0, 1, 0);
    for (size_t i = 0; i < n; i++) {
        firsts[i] = sorted[i] = assay_random_normal(&random);
        bed.seconds[i] =
            first * firsts[i] + sqrt(1.0 - first * first) * assay_random_normal(&random);
    }
    qsort(sorted, n, sizeof *sorted, assay_compare_doubles);
    for (size_t i = 0; i < n; i++) {
        bool second = straight || firsts[i] < sorted[n / 3];
        /* Units differ, and one outlier is there. */
        double values[] = {i == 5 ? 1e9 : exp(firsts[i]), second ? 70.0 + bed.seconds[i] : NAN,
                           NAN};
        double point[] = {(double)i / (double)n}, last = second ? values[1] : values[0];

        assay_history_tell(bed.history, &(struct assay_plugin_trial){.number = (int64_t)i + 1,
                                                                     .state = ASSAY_PLUGIN_PAUSED,
                                                                     .point = point,
                                                                     .values = &last,
                                                                     .rung_values = values,
                                                                     .budget = second ? 3.0 : 1.0,
                                                                     .steps = second ? 3 : 1});
        assay_ladder_add(&bed.ladder, assay_history_find(bed.history, (int64_t)i + 1));
    }
    return bed;
}

static void
bed_done(struct bed *bed)
{
    assay_ladder_done(&bed->ladder);
    assay_history_free(bed->history);
    free(bed->seconds);
}

/* Also where only the best of the lower rung came to the higher one. */
static void
test_links_of_rungs_are_found(void **state ASSAY_UNUSED)
{
    static const double links[] = {0.3, 0.7, 0.95};
    struct assay_space *space = space_of("[{'name':'x','type':'double','min':0,'max':1}]");
    struct assay_view *view = assay_view_new(space);

    for (size_t i = 0; i < 2 * ASSAY_COUNT(links); i++) {
        double link = links[i / 2];
        struct bed bed = bed_of(assay_view_space(view), 600, link, i % 2 == 0);
        struct assay_scores scores;
        double mean = 0.0, apart = 0.0, n = 0.0;

        assert_true(assay_scores_init(&scores, &bed.ladder, bed.history, 6));
        assert_int_equal(scores.target, 1);
        assert_near(scores.links[0], link, 0.2);
        assert_int_equal(assay_scores_lowest(&bed.ladder, bed.history), link < 0.4 ? 1 : 0);
        /* On the scale of all of them, not of those that went on. */
        for (size_t k = 0; k < scores.n && scores.items[k].rung == 1; k++) {
            const struct assay_score *item = &scores.items[k];
            double truth = bed.seconds[item->trial->number - 1];

            mean += item->z - truth;
            apart += (item->z - truth) * (item->z - truth);
            n++;
            assert_true(item->last);
            assert_near(assay_scores_value(&scores, item->z), item->value, 1e-9);
        }
        assert_int_equal(n, i % 2 == 0 ? 600 : 200);
        assert_near(mean / n, 0.0, 0.2);
        assert_near(sqrt(apart / n), 0.0, 0.3);
        assert_near(assay_scores_value(&scores, -100.0), assay_scores_value(&scores, -50.0), 0.0);
        assay_scores_done(&scores);
        bed_done(&bed);
    }
    assay_view_free(view);
    assay_space_free(space);
}

static void
test_brackets_are_filled_in_proportion(void **state ASSAY_UNUSED)
{
    const double rungs[] = {1, 3, 9, 27, 81};
    /* Hyperband's own table for max 81, eta 3: 81, 34, 15, 8 and 5 configurations. */
    const double table[] = {81, 34, 15, 8, 5};
    double shares[5], counts[5] = {0};

    assay_bracket_shares(rungs, 5, 5, shares);
    for (size_t s = 0; s < 5; s++)
        assert_near(shares[s], table[s] / 143.0, 0.01);
    for (int64_t number = 1; number <= 1430; number++)
        counts[assay_bracket_of(shares, 5, number)]++;
    for (size_t s = 0; s < 5; s++)
        assert_near(counts[s], 1430.0 * shares[s], 8.0);
    /* In any stretch. */
    for (int64_t from = 1; from < 2000; from += 97) {
        double first = 0.0;

        for (int64_t number = from; number < from + 100; number++)
            first += assay_bracket_of(shares, 5, number) == 0 ? 1.0 : 0.0;
        assert_near(first, 100.0 * shares[0], 6.0);
    }
}

/* --- whole studies --- */

static const char *const spaces[] = {
    "[{'name':'x','type':'double','min':0,'max':1}]",
    ("[{'name':'x','type':'double','min':1e-4,'max':1,'scale':'log'},"
     "{'name':'n','type':'int','min':1,'max':64},"
     "{'name':'k','type':'categorical','values':['a','b','c']},"
     "{'name':'m','type':'double','min':-1,'max':1,'when':{'k':['b']}},"
     "{'name':'d','type':'discrete','values':[16,32,64]}]"),
    /* 24 points */
    ("[{'name':'a','type':'categorical','values':['p','q','r']},{'name':'b','type':'bool'},"
     "{'name':'c','type':'int','min':0,'max':3}]"),
    "[{'name':'x','type':'double','min':3,'max':3}]",
};

static const struct {
    const char *name, *settings;
    bool slow;
} plans[] = {
    {"asha", "{'sampler':'random'}", false},
    {"asha", "{'sampler':'tpe','brackets':3}", false},
    {"asha", "{}", true},
    {"hyperband", "{}", false},
    {"asha", "{'type':'stopping','sampler':'tpe'}", false},
    {"bohb", "{}", false},
    {"pbt", "{'population':5}", false},
    {"pbt", "{'population':4,'explore':'bandit'}", true},
    {"auto", "{}", true}, /* is asha here */
};

struct run {
    struct assay_proposer *proposer;
    json_t *spec, *trials; /* as last told, by number - 1 */
    double max;
    size_t n_resumed, n_copied, n_whole;
};

static json_t *
spec_of(size_t plan, const char *parameters, double min, double max, double eta, int64_t trials)
{
    json_t *spec = json_of("{'objectives':[{'metric':'loss','goal':'maximize'}],'seed':5,"
                           "'trial':{'command':['true'],'checkpoints':true}}");

    json_object_set_new(spec, "parameters", json_of(parameters));
    json_object_set_new(spec, "algorithm",
                        json_pack("{s:s,s:o}", "name", plans[plan].name, "settings",
                                  json_of(plans[plan].settings)));
    json_object_set_new(
        spec, "budget",
        json_pack("{s:s,s:f,s:f,s:f}", "name", "epochs", "min", min, "max", max, "eta", eta));
    json_object_set_new(spec, "limits",
                        json_pack("{s:I,s:i}", "trials", (json_int_t)trials, "parallel", 4));
    return spec;
}

static struct assay_proposer *
open_proposer(const json_t *spec)
{
    struct assay_error err = {0};
    struct assay_proposer *proposer;

    if (assay_proposer_new(spec, NULL, &proposer, &err) != ASSAY_OK)
        fail_msg("%s", err.message);
    return proposer;
}

static void
tell(struct assay_proposer *proposer, const json_t *trials)
{
    struct assay_error err = {0};

    if (assay_proposer_tell(proposer, trials, &err) != ASSAY_OK)
        fail_msg("%s", err.message);
}

static json_t *
ask(struct assay_proposer *proposer, int64_t first, size_t n, bool *ret_exhausted)
{
    struct assay_error err = {0};
    int64_t numbers[16];
    json_t *answer;

    for (size_t i = 0; i < n; i++)
        numbers[i] = first + (int64_t)i;
    if (assay_proposer_ask(proposer, numbers, n, &answer, ret_exhausted, &err) != ASSAY_OK)
        fail_msg("%s", err.message);
    return answer;
}

/* Tells what is known in pieces, in another order: the answer is the same. */
static void
check_replay(const struct run *run, int64_t number, const json_t *expected, size_t piece,
             bool backwards)
{
    struct assay_proposer *fresh = open_proposer(run->spec);
    size_t count = json_array_size(run->trials);
    bool exhausted;
    json_t *answer;

    for (size_t from = 0; from < count; from += piece) {
        json_t *part = json_array();

        for (size_t k = from; k < ASSAY_MIN(count, from + piece); k++)
            json_array_append(part, json_array_get(run->trials, backwards ? count - 1 - k : k));
        tell(fresh, part);
        json_decref(part);
    }
    answer = ask(fresh, number, 1, &exhausted);
    if (!json_equal(answer, expected)) {
        assay_auto_free char *a = json_dumps(answer, 0), *b = json_dumps(expected, 0);

        fail_msg("%s, after a replay %s", b, a);
    }
    json_decref(answer);
    assay_proposer_free(fresh);
}

static void
tell_trial(struct run *run, json_t *trial)
{
    json_t *one = json_pack("[O]", trial);

    tell(run->proposer, one);
    json_decref(one);
}

/* What becomes of a trial that used its budget: by `fate`, well or in some bad way. */
static void
finish(struct run *run, json_t *trial, double fate, double value)
{
    double budget = json_number_value(json_object_get(trial, "budget"));
    double rungs[ASSAY_RUNGS_MAX];
    const json_t *section = json_object_get(run->spec, "budget");
    size_t n = assay_rungs(json_number_value(json_object_get(section, "min")), run->max,
                           json_number_value(json_object_get(section, "eta")), rungs);
    json_t *values = json_array();
    const char *state = budget < run->max * (1.0 - 1e-9) ? "paused" : "succeeded";

    if (fate < 0.08)
        state = "failed";
    else if (fate < 0.12)
        state = "infeasible";
    else if (fate < 0.16)
        state = "stopped";
    else if (fate < 0.18)
        state = "cancelled";
    for (size_t k = 0; k < n && rungs[k] <= budget * (1.0 + 1e-9); k++) {
        bool last = k + 1 == n || rungs[k + 1] > budget * (1.0 + 1e-9);

        json_array_append_new(values, (fate < 0.18 && last) || (fate < 0.22 && k == 0)
                                          ? json_null()
                                          : json_real(value + 0.01 * (double)k));
    }
    json_object_set_new(trial, "state", json_string(state));
    json_object_set_new(trial, "steps", json_integer((json_int_t)ceil(budget)));
    json_object_set_new(trial, "values",
                        fate < 0.18 ? json_pack("[n]") : json_pack("[f]", value + 0.1 * budget));
    json_object_set_new(trial, "rungs", values);
    run->n_whole += strcmp(state, "succeeded") == 0;
    tell_trial(run, trial);
}

static void
take_suggestion(struct run *run, int64_t number, const json_t *suggestion)
{
    int64_t resume = json_integer_value(json_object_get(suggestion, "resume"));
    int64_t parent = json_integer_value(json_object_get(suggestion, "parent"));
    const json_t *budget = json_object_get(suggestion, "budget");
    json_t *trial;

    if (resume > 0) {
        trial = json_array_get(run->trials, (size_t)resume - 1);
        assert_string_equal(json_string_value(json_object_get(trial, "state")), "paused");
        assert_true(json_number_value(budget) >
                    json_number_value(json_object_get(trial, "budget")));
        assert_true(json_equal(json_object_get(trial, "parameters"),
                               json_object_get(suggestion, "parameters")));
        run->n_resumed++;
    } else {
        trial = json_pack("{s:I,s:O}", "number", (json_int_t)number, "parameters",
                          json_object_get(suggestion, "parameters"));
        json_array_append_new(run->trials, trial);
    }
    if (parent > 0) {
        const json_t *from = json_array_get(run->trials, (size_t)parent - 1);

        assert_string_equal(json_string_value(json_object_get(from, "state")), "paused");
        assert_true(json_number_value(budget) > json_number_value(json_object_get(from, "budget")));
        run->n_copied++;
    }
    json_object_set_new(trial, "budget",
                        json_real(json_is_number(budget) ? json_number_value(budget) : run->max));
    assert_true(json_number_value(json_object_get(trial, "budget")) <= run->max);
    json_object_set_new(trial, "state", json_string("running"));
    tell_trial(run, trial);
}

/* Four workers; what ends is drawn.  Until nothing may be begun and nothing goes on. */
static struct run
play(size_t plan, const char *parameters, double min, double max, double eta, int64_t limit,
     bool all_fail)
{
    struct run run = {.spec = spec_of(plan, parameters, min, max, eta, limit),
                      .trials = json_array(),
                      .max = max};
    struct assay_random random = test_random(plan + (uint64_t)limit);
    json_t *running[4] = {NULL};
    size_t asked = 0, idle = 0;

    run.proposer = open_proposer(run.spec);
    for (size_t turn = 0; turn < 4000; turn++) {
        size_t worker = turn % 4;
        int64_t number = (int64_t)json_array_size(run.trials) + 1;
        bool exhausted;
        json_t *answer, *again;

        if (running[worker] != NULL) {
            double lot = assay_random_unit(&random);

            finish(&run, running[worker], all_fail ? 0.0 : lot, assay_random_unit(&random));
            running[worker] = NULL;
        }
        answer = ask(run.proposer, number, 1, &exhausted);
        again = ask(run.proposer, number, 1, &exhausted);
        assert_true(json_equal(answer, again));
        json_decref(again);
        if (asked++ % 29 == 7 && (!plans[plan].slow || asked < 60))
            check_replay(&run, number, answer, asked % 2 == 0 ? 1 : 7, asked % 3 == 0);
        if (json_array_size(answer) == 0) {
            bool any = false;

            json_decref(answer);
            for (size_t k = 0; k < 4; k++)
                any |= running[k] != NULL;
            if (!any)
                break;
            idle += number <= limit ? 1 : 0;
            continue;
        }
        take_suggestion(&run, number, json_array_get(answer, 0));
        running[worker] = json_array_get(
            run.trials,
            json_object_get(json_array_get(answer, 0), "resume") != NULL
                ? (size_t)json_integer_value(json_object_get(json_array_get(answer, 0), "resume")) -
                      1
                : (size_t)number - 1);
        json_decref(answer);
    }
    for (size_t k = 0; k < 4; k++)
        assert_null(running[k]); /* it came to an end */
    assert_true((int64_t)json_array_size(run.trials) <= limit);
    if (strcmp(plans[plan].name, "pbt") != 0 && strcmp(parameters, spaces[0]) == 0)
        assert_int_equal(idle, 0);
    return run;
}

static void
run_done(struct run *run)
{
    assay_proposer_free(run->proposer);
    json_decref(run->spec);
    json_decref(run->trials);
}

static void
test_studies_come_to_their_end(void **state ASSAY_UNUSED)
{
    for (size_t plan = 0; plan < ASSAY_COUNT(plans); plan++) {
        for (size_t s = 0; s < ASSAY_COUNT(spaces); s++) {
            int64_t limit = plans[plan].slow ? 40 : 90;
            struct run run = play(plan, spaces[s], 1.0, 27.0, 3.0, limit, false);

            if (s < 2 && strcmp(plans[plan].name, "pbt") != 0) {
                assert_int_equal(json_array_size(run.trials), limit);
                assert_true(run.n_whole > 0); /* at least one had everything */
            }
            if (s < 2 && strstr(plans[plan].settings, "stopping") == NULL)
                assert_true(run.n_resumed > 0);
            if (s < 2 && strcmp(plans[plan].name, "pbt") == 0)
                assert_true(run.n_copied > 0);
            run_done(&run);
        }
    }
}

static void
test_any_eta_and_budget(void **state ASSAY_UNUSED)
{
    for (size_t plan = 0; plan < ASSAY_COUNT(plans); plan++) {
        for (double eta = 2.0; eta <= 10.0; eta += plans[plan].slow ? 4.0 : 1.0) {
            struct run run = play(plan, spaces[1], 0.3, 12.7, eta, 30, false);

            run_done(&run);
        }
        /* One rung: every trial gets everything. */
        struct run run = play(plan, spaces[0], 5.0, 5.0, 3.0, 20, false);

        assert_int_equal(run.n_resumed, 0);
        run_done(&run);
    }
}

static void
test_every_trial_fails(void **state ASSAY_UNUSED)
{
    for (size_t plan = 0; plan < ASSAY_COUNT(plans); plan++) {
        struct run run = play(plan, spaces[1], 1.0, 27.0, 3.0, 40, true);

        assert_int_equal(json_array_size(run.trials), 40);
        assert_int_equal(run.n_resumed + run.n_copied, 0);
        run_done(&run);
    }
}

/* One call for many: no trial is resumed twice, new ones differ. */
static void
test_many_in_one_call(void **state ASSAY_UNUSED)
{
    for (size_t plan = 0; plan < ASSAY_COUNT(plans); plan++) {
        struct run run = play(plan, spaces[1], 1.0, 81.0, 3.0, 25, false);
        struct assay_proposer *fresh;
        json_t *seen = json_object(), *answer;
        bool exhausted;

        /* The same trials, and no limit now. */
        json_object_del(run.spec, "limits");
        fresh = open_proposer(run.spec);
        tell(fresh, run.trials);
        answer = ask(fresh, 26, 12, &exhausted);
        for (size_t i = 0; i < json_array_size(answer); i++) {
            const json_t *one = json_array_get(answer, i), *resume = json_object_get(one, "resume");
            assay_auto_free char *key =
                resume != NULL ? json_dumps(resume, JSON_ENCODE_ANY)
                               : json_dumps(json_object_get(one, "parameters"), JSON_SORT_KEYS);

            assert_null(json_object_get(seen, key));
            json_object_set_new(seen, key, json_true());
        }
        if (strcmp(plans[plan].name, "pbt") != 0)
            assert_int_equal(json_array_size(answer), 12);
        json_decref(answer);
        json_decref(seen);
        assay_proposer_free(fresh);
        run_done(&run);
    }
}

/* --- what they ask of a study --- */

static void
test_what_a_study_lacks_is_said(void **state ASSAY_UNUSED)
{
    static const char *const names[] = {"asha", "hyperband", "bohb", "pbt"};

    for (size_t i = 0; i < ASSAY_COUNT(names); i++) {
        json_t *spec = json_of("{'objectives':[{'metric':'loss','goal':'minimize'}],'seed':1}");
        struct assay_proposer *proposer;
        struct assay_error err = {0};

        json_object_set_new(spec, "parameters", json_of(spaces[0]));
        json_object_set_new(spec, "algorithm",
                            json_pack("{s:s,s:{}}", "name", names[i], "settings"));
        assert_int_equal(assay_proposer_new(spec, NULL, &proposer, &err), ASSAY_E_PLUGIN);
        assert_non_null(strstr(err.message, "budget section"));
        json_decref(spec);
    }
    json_t *spec = spec_of(6, spaces[0], 1.0, 9.0, 3.0, 10);
    struct assay_proposer *proposer;
    struct assay_error err = {0};

    json_object_del(spec, "trial");
    assert_int_equal(assay_proposer_new(spec, NULL, &proposer, &err), ASSAY_E_PLUGIN);
    assert_non_null(strstr(err.message, "trial.checkpoints"));
    json_decref(spec);
}

/* A constraint known to be violated makes a trial as bad as a failed one. */
static void
test_violations_are_not_promoted(void **state ASSAY_UNUSED)
{
    json_t *spec = spec_of(0, spaces[0], 1.0, 9.0, 3.0, 100), *trials = json_array(), *answer;
    struct assay_proposer *proposer;
    bool exhausted;

    json_object_set_new(spec, "constraints", json_of("[{'metric':'size','max':10}]"));
    proposer = open_proposer(spec);
    for (int i = 1; i <= 9; i++)
        json_array_append_new(trials,
                              json_pack("{s:i,s:s,s:{s:f},s:[f],s:[f],s:[f],s:f,s:i}", "number", i,
                                        "state", "paused", "parameters", "x", i / 10.0, "values",
                                        (double)i, "rungs", (double)i, "constraints",
                                        i > 7 ? 11.0 : 9.0, "budget", 1.0, "steps", 1));
    tell(proposer, trials);
    answer = ask(proposer, 10, 4, &exhausted);
    /* The largest values are 9 and 8, but they are too big: 7, 6, 5 go on, a third of nine. */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(json_integer_value(json_object_get(json_array_get(answer, i), "resume")),
                         7 - (int)i);
    assert_null(json_object_get(json_array_get(answer, 3), "resume"));
    json_decref(answer);
    json_decref(trials);
    json_decref(spec);
    assay_proposer_free(proposer);
}

/* Trials that a user brought along do not use up the limit. */
static void
test_imports_leave_the_limit_alone(void **state ASSAY_UNUSED)
{
    for (size_t plan = 0; plan < ASSAY_COUNT(plans); plan++) {
        json_t *spec = spec_of(plan, spaces[1], 1.0, 9.0, 3.0, 10), *trials = json_array(), *answer;
        struct assay_proposer *proposer = open_proposer(spec);
        bool exhausted;

        for (int i = 1; i <= 30; i++)
            json_array_append_new(trials,
                                  json_pack("{s:i,s:s,s:{s:f,s:i,s:s,s:i},s:[f],s:f,s:i}", "number",
                                            i, "state", i % 7 == 0 ? "failed" : "succeeded",
                                            "parameters", "x", i / 40.0, "n", i, "k", "a", "d", 32,
                                            "values", (double)i, "budget", 9.0, "steps", -1));
        tell(proposer, trials);
        answer = ask(proposer, 31, 1, &exhausted);
        assert_int_equal(json_array_size(answer), 1);
        json_decref(answer);
        answer = ask(proposer, 41, 1, &exhausted);
        assert_int_equal(json_array_size(answer), 0);
        json_decref(answer);
        json_decref(trials);
        json_decref(spec);
        assay_proposer_free(proposer);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ladder_is_like_the_reference),
        cmocka_unit_test(test_links_of_rungs_are_found),
        cmocka_unit_test(test_brackets_are_filled_in_proportion),
        cmocka_unit_test(test_studies_come_to_their_end),
        cmocka_unit_test(test_any_eta_and_budget),
        cmocka_unit_test(test_every_trial_fails),
        cmocka_unit_test(test_many_in_one_call),
        cmocka_unit_test(test_what_a_study_lacks_is_said),
        cmocka_unit_test(test_violations_are_not_promoted),
        cmocka_unit_test(test_imports_leave_the_limit_alone),
    };

    return cmocka_run_group_tests_name("fidelity", tests, NULL, NULL);
}

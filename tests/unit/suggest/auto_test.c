/* The portfolio: who proposes what follows from the trials alone, no arm is starved,
 * the regime is that of the space, and it finds what random search does not. */
#include "tests/unit/suggest/driver.h"

#include "schemas/study.h"
#include "suggest/algorithms/auto/policy.h"
#include "suggest/needed_rule.h"
#include "suggest/proposer.h"
#include "suggest/registry.h"

/* --- the policy --- */

static const char *const two_numbers = "[{'name':'x','type':'double','min':0,'max':1},"
                                       "{'name':'n','type':'int','min':1,'max':9}]";
static const char *const branches = "[{'name':'c','type':'categorical','values':['a','b']},"
                                    "{'name':'x','type':'double','min':0,'max':1},"
                                    "{'name':'y','type':'double','min':0,'max':1},"
                                    "{'name':'z','type':'double','min':0,'max':1,"
                                    "'when':{'c':['b']}}]";
static const char *const choices = "[{'name':'c','type':'categorical','values':['a','b','d']},"
                                   "{'name':'f','type':'bool'},"
                                   "{'name':'x','type':'double','min':0,'max':1},"
                                   "{'name':'one','type':'int','min':1,'max':1}]";

static struct assay_auto_policy
policy_of(const char *parameters, size_t n_objectives, uint64_t seed)
{
    struct assay_space *space = space_of(parameters);
    struct assay_view *view = assay_view_new(space);
    struct assay_transform transform;
    struct assay_auto_policy policy;

    assay_transform_init(&transform, assay_view_space(view));
    assay_auto_policy_init(&policy, &transform, n_objectives, seed);
    assay_transform_done(&transform);
    assay_view_free(view);
    assay_space_free(space);
    return policy;
}

static void
tell(struct assay_auto_policy *policy, int64_t number, uint32_t state, double value)
{
    assay_auto_policy_tell(policy, &(struct assay_history_trial){
                                       .number = number,
                                       .state = state,
                                       .usable = state == ASSAY_PLUGIN_SUCCEEDED && isfinite(value),
                                       .values = &value});
}

static void
test_regime_follows_the_space(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *const *parameters;
        size_t n_objectives;
        int64_t number;
        const char *regime;
    } cases[] = {
        {&two_numbers, 1, 1, "numeric"},
        {&two_numbers, 1, 1000, "numeric"},
        {&two_numbers, 1, 1001, "many trials"},
        {&branches, 1, 30, "branching"},
        {&choices, 1, 30, "branching"},
        {&branches, 1, 5000, "many trials"},
        {&two_numbers, 2, 30, "several objectives"},
        {&branches, 3, 30, "several objectives"},
        {&branches, 3, 251, "several objectives, many trials"},
        {&two_numbers, 5, 30, "several objectives, many trials"},
    };

    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct assay_auto_policy policy = policy_of(*cases[i].parameters, cases[i].n_objectives, 1);
        struct assay_auto_choice choice = assay_auto_policy_choose(&policy, cases[i].number);
        double sum = 0.0;

        assert_string_equal(choice.regime->name, cases[i].regime);
        assert_true(choice.starting);
        assert_int_equal(choice.arm, choice.regime->first);
        for (size_t a = 0; a < ASSAY_AUTO_ARMS; a++)
            sum += choice.regime->shares[a];
        assert_near(sum, 1.0, 1e-12);
        assay_auto_policy_done(&policy);
    }
}

/* 600 trials of which only the `lucky` arm's improve; how many of the last 400 each
 * arm has. */
static void
count_arms(const char *parameters, enum assay_auto_arm lucky, int64_t first, uint64_t seed,
           size_t *ret_counts)
{
    struct assay_auto_policy policy = policy_of(parameters, 1, seed);

    memset(ret_counts, 0, ASSAY_AUTO_ARMS * sizeof *ret_counts);
    for (int64_t number = first; number < first + 600; number++) {
        struct assay_auto_choice choice = assay_auto_policy_choose(&policy, number);

        if (number >= first + 200) {
            assert_false(choice.starting);
            assert_true(choice.share >= ASSAY_AUTO_FLOOR - 1e-12);
            ret_counts[choice.arm]++;
        }
        tell(&policy, number, ASSAY_PLUGIN_SUCCEEDED, choice.arm == lucky ? -(double)number : 1.0);
    }
    assay_auto_policy_done(&policy);
}

static void
test_shares_move_and_keep_a_floor(void **state ASSAY_UNUSED)
{
    const char *const spaces[] = {two_numbers, branches};

    for (size_t s = 0; s < ASSAY_COUNT(spaces); s++) {
        for (int64_t first = 1; first < 2000; first += 1100) {
            struct assay_auto_policy policy = policy_of(spaces[s], 1, 1);
            const struct assay_auto_regime *regime =
                assay_auto_policy_choose(&policy, first).regime;

            for (size_t lucky = 0; lucky < ASSAY_AUTO_ARMS; lucky++) {
                size_t counts[ASSAY_AUTO_ARMS];

                if (regime->shares[lucky] == 0.0)
                    continue;
                count_arms(spaces[s], (enum assay_auto_arm)lucky, first, s, counts);
                for (size_t a = 0; a < ASSAY_AUTO_ARMS; a++) {
                    if (regime->shares[a] == 0.0)
                        assert_int_equal(counts[a], 0);
                    else
                        assert_true((double)counts[a] >= 400.0 * ASSAY_AUTO_FLOOR * 0.8);
                }
                assert_true((double)counts[lucky] > 400.0 * fmin(0.6, 1.5 * regime->shares[lucky]));
            }
            assay_auto_policy_done(&policy);
        }
    }
}

/* Told in order, backwards, or first as pending and with wrong values: the same. */
/* With many at once bayesian has more of the trials; whose trial an ended one was goes
 * by how many there are now, whatever was asked in between. */
static void
test_many_at_once(void **state ASSAY_UNUSED)
{
    struct assay_auto_policy policy = policy_of(two_numbers, 1, 3);
    struct assay_auto_policy fresh = policy_of(two_numbers, 1, 3);
    size_t by_bayesian[2] = {0, 0};

    for (int64_t number = 1; number <= 100; number++) {
        tell(&policy, number, ASSAY_PLUGIN_SUCCEEDED, (double)(number * 37 % 101));
        tell(&fresh, number, ASSAY_PLUGIN_SUCCEEDED, (double)(number * 37 % 101));
    }
    for (size_t crowded = 0; crowded < 2; crowded++) {
        assay_auto_policy_crowd(&policy, crowded ? 15 : 1);
        for (int64_t number = 101; number <= 200; number++)
            by_bayesian[crowded] +=
                assay_auto_policy_choose(&policy, number).arm == ASSAY_AUTO_BAYESIAN;
    }
    print_message("of 100 by bayesian: %zu alone, %zu with 15 others\n", by_bayesian[0],
                  by_bayesian[1]);
    assert_true(by_bayesian[1] > by_bayesian[0]);
    assert_string_equal(assay_auto_policy_choose(&policy, 101).regime->name,
                        "numeric, many at once");
    assay_auto_policy_crowd(&policy, 0);
    for (int64_t number = 21; number <= 200; number++)
        assert_int_equal(assay_auto_policy_choose(&policy, number).arm,
                         assay_auto_policy_choose(&fresh, number).arm);
    assay_auto_policy_done(&policy);
    assay_auto_policy_done(&fresh);
}

static void
test_order_does_not_matter(void **state ASSAY_UNUSED)
{
    enum { N = 150 };
    struct assay_auto_policy forward = policy_of(two_numbers, 1, 5);
    struct assay_auto_policy backward = policy_of(two_numbers, 1, 5);
    struct assay_auto_policy corrected = policy_of(two_numbers, 1, 5);
    struct assay_random random = test_random(3);
    double values[N + 1];
    uint32_t states[N + 1];

    for (int64_t number = 1; number <= N; number++) {
        values[number] = assay_random_unit(&random) / (double)number;
        states[number] = (uint32_t)assay_random_below(&random, 3) == 0
                             ? (uint32_t)assay_random_below(&random, 6)
                             : ASSAY_PLUGIN_SUCCEEDED;
        tell(&forward, number, states[number], values[number]);
        tell(&backward, N + 1 - number, ASSAY_PLUGIN_PENDING, NAN);
        tell(&corrected, number, (uint32_t)number % 6, -values[number]);
        (void)assay_auto_policy_choose(&corrected, number);
    }
    for (int64_t number = N; number >= 1; number--) {
        tell(&backward, number, states[number], values[number]);
        (void)assay_auto_policy_choose(&backward, number + 7);
        tell(&corrected, 1 + number * 7 % N, states[1 + number * 7 % N],
             values[1 + number * 7 % N]);
        if (number % 13 == 0)
            (void)assay_auto_policy_choose(&corrected, number);
    }
    for (int64_t number = 2 * N; number >= 1; number--) {
        struct assay_auto_choice a = assay_auto_policy_choose(&forward, number);
        struct assay_auto_choice b = assay_auto_policy_choose(&backward, number);
        struct assay_auto_choice c = assay_auto_policy_choose(&corrected, number);

        assert_true(a.arm == b.arm && a.share == b.share && a.starting == b.starting);
        assert_true(a.arm == c.arm && a.share == c.share && a.starting == c.starting);
    }
    assay_auto_policy_done(&forward);
    assay_auto_policy_done(&backward);
    assay_auto_policy_done(&corrected);
}

/* The trials of a block have one set of shares, whatever of it has ended. */
static void
test_shares_change_between_blocks(void **state ASSAY_UNUSED)
{
    struct assay_auto_policy policy = policy_of(two_numbers, 1, 8);
    struct assay_auto_choice before[10];

    for (int64_t number = 1; number <= 40; number++)
        tell(&policy, number, ASSAY_PLUGIN_SUCCEEDED, -(double)(number % 7));
    for (int64_t i = 0; i < 10; i++)
        before[i] = assay_auto_policy_choose(&policy, 41 + i);
    for (int64_t i = 0; i < 9; i++) {
        tell(&policy, 41 + i, ASSAY_PLUGIN_SUCCEEDED, -100.0 - (double)i);
        for (int64_t k = 0; k < 10; k++)
            assert_true(assay_auto_policy_choose(&policy, 41 + k).arm == before[k].arm);
    }
    assay_auto_policy_done(&policy);
}

/* --- the algorithm --- */

static double
bowl(const double *x, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (x[i] - 0.3 - 0.1 * (double)i) * (x[i] - 0.3 - 0.1 * (double)i);
    return sum;
}

static double
valley(const double *x, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i + 1 < n; i++)
        sum += 100.0 * pow(x[i + 1] - x[i] * x[i], 2.0) + pow(1.0 - x[i], 2.0);
    return sum;
}

static double
mixed(const double *x, size_t n ASSAY_UNUSED)
{
    return fabs(x[0] - 0.7) + 0.3 * (x[1] != 2.0) + fabs(log(x[2] / 20.0)) * 0.1;
}

/* The branch with the best value is the poorer one on average; part of it fails. */
static double
conditional(const double *x, size_t n ASSAY_UNUSED)
{
    if (x[0] == 0.0)
        return 0.3 + pow(x[1] - 0.5, 2.0);
    return x[2] > 0.9 ? NAN : 1.5 * (pow(x[2] - 0.2, 2.0) + pow(x[3] - 0.8, 2.0));
}

static void
test_beats_random(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *parameters;
        driver_function *function;
        double times; /* better than random search by this factor */
    } cases[] = {
        {"[{'name':'a','type':'double','min':0,'max':1},{'name':'b','type':'double','min':0,'max':"
         "1},"
         "{'name':'c','type':'double','min':0,'max':1},{'name':'d','type':'double','min':0,'max':1}"
         "]",
         bowl, 20.0},
        {"[{'name':'a','type':'double','min':-2,'max':2},{'name':'b','type':'double','min':-2,'max'"
         ":2},"
         "{'name':'c','type':'double','min':-2,'max':2}]",
         valley, 3.0},
        {"[{'name':'a','type':'double','min':0,'max':1},"
         "{'name':'b','type':'categorical','values':['p','q','r','s']},"
         "{'name':'c','type':'int','min':1,'max':1000,'scale':'log'}]",
         mixed, 3.0},
        {"[{'name':'a','type':'categorical','values':['p','q']},"
         "{'name':'b','type':'double','min':0,'max':1,'when':{'a':['p']}},"
         "{'name':'c','type':'double','min':0,'max':1,'when':{'a':['q']}},"
         "{'name':'d','type':'double','min':0,'max':1,'when':{'a':['q']}}]",
         conditional, 2.0},
    };

    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        double mine = driver_median(&assay_algorithm_auto, cases[i].parameters, "{}",
                                    cases[i].function, 50, 3);
        double others = driver_median(&assay_algorithm_random, cases[i].parameters, "{}",
                                      cases[i].function, 50, 3);

        print_message("%zu: %.3g, random %.3g\n", i, mine, others);
        assert_true(mine * cases[i].times < others);
    }
}

/* Several workers, told in another order and in pieces: the same points. */
static void
test_same_answer_however_told(void **state ASSAY_UNUSED)
{
    enum { N = 60 };
    struct driver live = driver_new(&assay_algorithm_auto, branches, 1, "{}", 11);
    struct driver again = driver_new(&assay_algorithm_auto, branches, 1, "{}", 11);
    size_t n = live.space->n_parameters;
    double points[N][8], values[N], a[5 * 8], b[5 * 8];

    assert_true(n <= 8);
    for (int64_t i = 0; i < N; i++) {
        driver_ask(&live, i + 1, 1, points[i]);
        values[i] = fabs(points[i][1] - 0.4) + points[i][2] * (points[i][0] == 0.0 ? 1.0 : 0.5);
        driver_tell(&live, i + 1, ASSAY_PLUGIN_PENDING, points[i], (double[]){NAN});
        if (i >= 3) /* three are always running */
            driver_tell(&live, i - 2, i % 9 == 4 ? ASSAY_PLUGIN_FAILED : ASSAY_PLUGIN_SUCCEEDED,
                        points[i - 3], &values[i - 3]);
    }
    for (int64_t i = N - 1; i >= 0; i--) {
        bool failed = (i + 3) % 9 == 4, running = i >= N - 3;

        driver_tell(&again, i + 1,
                    running  ? ASSAY_PLUGIN_PENDING
                    : failed ? ASSAY_PLUGIN_FAILED
                             : ASSAY_PLUGIN_SUCCEEDED,
                    points[i], running ? (double[]){NAN} : &values[i]);
    }
    for (int64_t number = N + 1; number <= N + 16; number += 5) {
        size_t count = 5;

        assert_int_equal(driver_ask(&live, number, count, a), count);
        assert_int_equal(driver_ask(&again, number, count, b), count);
        for (size_t k = 0; k < count * n; k++)
            assert_true(a[k] == b[k] || (isnan(a[k]) && isnan(b[k])));
    }
    driver_done(&live);
    driver_done(&again);
}

/* Arms that are asked in the same call do not see each other's points. */
static void
test_a_batch_has_no_point_twice(void **state ASSAY_UNUSED)
{
    enum { POINTS = 40, TOLD = 12 };
    struct driver driver =
        driver_new(&assay_algorithm_auto,
                   "[{'name':'a','type':'int','min':1,'max':10},"
                   "{'name':'b','type':'categorical','values':['p','q','r','s']}]",
                   1, "{}", 2);
    double points[POINTS + 1][2];

    assert_int_equal(driver_ask(&driver, 1, TOLD, points[0]), TOLD);
    for (int64_t i = 0; i < TOLD; i++)
        driver_tell(&driver, i + 1, ASSAY_PLUGIN_SUCCEEDED, points[i],
                    (double[]){fabs(points[i][0] - 3.0) + points[i][1]});
    assert_int_equal(driver_ask(&driver, TOLD + 1, POINTS - TOLD + 1, points[TOLD]), POINTS - TOLD);
    for (size_t i = 0; i < POINTS; i++) {
        for (size_t k = 0; k < i; k++)
            assert_true(points[i][0] != points[k][0] || points[i][1] != points[k][1]);
    }
    driver_done(&driver);
}

/* What counts as better: of several objectives what extends the front; of bounds on
 * other metrics first coming nearer, then values within them alone. */
static void
test_improvements(void **state ASSAY_UNUSED)
{
    static const struct {
        double values[2], violation;
        bool front, bounded; /* improves with two objectives, or with one and a bound */
    } trials[] = {
        {{5, 5}, 3, true, true},    {{4, 4}, 4, false, false}, {{9, 9}, 1, true, true},
        {{6, 6}, 0, true, true},    {{5, 5}, 1, false, false}, {{5, 7}, 0, true, true},
        {{5, 7}, 0, false, false},  {{7, 5}, 0, true, false},  {{5.5, 5.5}, 0, true, false},
        {{5, 6.9}, 0, true, false},
    };

    for (size_t n_objectives = 1; n_objectives <= 2; n_objectives++) {
        struct assay_auto_policy policy = policy_of(two_numbers, n_objectives, 1);
        size_t improved = 0, expected = 0;

        /* All past the start, in numbers of one arm and another. */
        for (size_t i = 0; i < ASSAY_COUNT(trials); i++) {
            double values[2] = {trials[i].values[0], trials[i].values[1]};

            assay_auto_policy_tell(
                &policy, &(struct assay_history_trial){.number = (int64_t)i + 100,
                                                       .state = ASSAY_PLUGIN_SUCCEEDED,
                                                       .measured = true,
                                                       .usable = trials[i].violation <= 0.0,
                                                       .violation = trials[i].violation,
                                                       .values = values});
            expected += n_objectives == 1 ? trials[i].bounded : trials[i].front;
        }
        (void)assay_auto_policy_choose(&policy, 200);
        improved = assay_auto_policy_improved(&policy);
        assert_int_equal(improved, expected);
        assay_auto_policy_done(&policy);
    }
}

/* Several objectives: the arms take turns, and no point comes twice. */
static void
test_several_objectives(void **state ASSAY_UNUSED)
{
    struct driver driver = driver_new(&assay_algorithm_auto, two_numbers, 2, "{}", 4);
    double points[300][2];

    for (int64_t number = 1; number <= 300; number++) {
        double *point = points[number - 1];

        assert_int_equal(driver_ask(&driver, number, 1, point), 1);
        for (int64_t k = 0; k + 1 < number; k++)
            assert_true(points[k][0] != point[0] || points[k][1] != point[1]);
        driver_tell(&driver, number, number % 9 == 0 ? ASSAY_PLUGIN_FAILED : ASSAY_PLUGIN_SUCCEEDED,
                    point, (double[]){point[0], pow(1.0 - point[0], 2.0) + point[1]});
    }
    driver_done(&driver);
}

/* Who proposed a trial, and why that one was asked. */
static void
test_why(void **state ASSAY_UNUSED)
{
    struct driver driver = driver_new(&assay_algorithm_auto, two_numbers, 1, "{}", 6);
    size_t by_bayesian = 0, by_others = 0;

    for (int64_t number = 1; number <= 60; number++) {
        double point[2], value, budget = NAN;
        int64_t resume = 0, parent = 0;
        char why[ASSAY_PLUGIN_WHY_BYTES] = "{}", error[256];
        struct assay_plugin_suggestion suggestion = {.point = point,
                                                     .budget = &budget,
                                                     .resume = &resume,
                                                     .parent = &parent,
                                                     .why = why,
                                                     .why_size = sizeof why};
        const struct assay_plugin_suggestion *pointer = &suggestion;
        uint64_t count;
        const char *by, *regime;
        json_t *parsed;

        assert_int_equal(driver.algorithm->suggest(driver.instance, &number, 1, &pointer, &count,
                                                   error, sizeof error),
                         ASSAY_PLUGIN_OK);
        parsed = json_loads(why, 0, NULL);
        assert_non_null(parsed);
        by = json_string_value(json_object_get(parsed, "proposed_by"));
        regime = json_string_value(json_object_get(parsed, "regime"));
        assert_string_equal(json_string_value(json_object_get(parsed, "algorithm")), "auto");
        assert_true(json_real_value(json_object_get(parsed, "share")) >= ASSAY_AUTO_FLOOR - 1e-3);
        assert_string_equal(regime, number <= 8 ? "start" : "numeric");
        if (number > 8) {
            by_bayesian += strcmp(by, "bayesian") == 0;
            by_others += strcmp(by, "tpe") == 0 || strcmp(by, "cmaes") == 0;
            assert_string_equal(json_string_value(json_object_get(parsed, "phase")), "model");
        }
        json_decref(parsed);
        value = bowl(point, 2);
        driver_tell(&driver, number, ASSAY_PLUGIN_SUCCEEDED, point, &value);
    }
    assert_int_equal(by_bayesian + by_others, 52);
    assert_true(by_bayesian > 0 && by_others > 0);
    driver_done(&driver);
}

/* --- budgets --- */

static struct assay_study_spec *
study_of(const char *algorithm, const char *objectives, bool checkpoints)
{
    struct assay_faults faults = {0};
    json_t *file = json_of("{'parameters':[{'name':'x','type':'double','min':0,'max':1}],"
                           "'budget':{'name':'epochs','max':9},"
                           "'trial':{'command':['true','${budget}']},'seed':3}");
    struct assay_study_spec *spec;

    json_object_set_new(file, "objectives", json_of(objectives));
    json_object_set_new(file, "algorithm", json_pack("{s:s}", "name", algorithm));
    json_object_set_new(json_object_get(file, "trial"), "checkpoints", json_boolean(checkpoints));
    spec = assay_study_decode(file, NULL, assay_registry_checks(), &faults);
    if (spec == NULL)
        fail_msg("%s %s", faults.items[0].pointer, faults.items[0].message);
    json_decref(file);
    return spec;
}

static json_t *
first_of(const struct assay_study_spec *spec)
{
    struct assay_proposer *proposer;
    struct assay_error err = {0};
    int64_t number = 1;
    json_t *trials = NULL;
    bool exhausted;

    if (assay_proposer_new(spec->document, NULL, &proposer, &err) != ASSAY_OK ||
        assay_proposer_ask(proposer, &number, 1, &trials, &exhausted, &err) != ASSAY_OK)
        fail_msg("%s", err.message);
    assay_proposer_free(proposer);
    return trials;
}

/* With a budget and one objective it is asha: the first trial gets the first rung, or where
 * there are no checkpoints all of it and the rule that asha needs.  With several objectives
 * there is no use for a budget, and that is said. */
static void
test_budgets(void **state ASSAY_UNUSED)
{
    static const char one[] = "[{'metric':'loss','goal':'minimize'}]",
                      two[] = "[{'metric':'loss','goal':'minimize'},"
                              "{'metric':'time','goal':'minimize'}]";
    static const struct {
        const char *algorithm, *objectives;
        bool checkpoints;
        double budget; /* of the first trial; 0: none said */
        bool needs_rule;
        const char *note;
    } cases[] = {
        {"auto", one, true, 3.0, false, "auto does as asha"},
        {"auto", one, false, 0.0, true, "without trial.checkpoints"},
        {"auto", two, true, 0.0, false, "several objectives"},
        {"asha", one, false, 0.0, true, NULL},
        {"tpe", one, true, 0.0, false, "every trial gets all 9 epochs"},
    };

    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct assay_study_spec *spec =
            study_of(cases[i].algorithm, cases[i].objectives, cases[i].checkpoints);
        assay_auto_free char *note = assay_budget_note(spec);
        json_t *rule = assay_needed_rule(spec), *trials = first_of(spec);
        const json_t *trial = json_array_get(trials, 0);

        assert_int_equal(rule != NULL, cases[i].needs_rule);
        if (cases[i].note == NULL)
            assert_null(note);
        else
            assert_non_null(strstr(note, cases[i].note));
        assert_near(json_number_value(json_object_get(trial, "budget")), cases[i].budget, 0.0);
        if (strcmp(cases[i].algorithm, "auto") == 0)
            assert_string_equal(
                json_string_value(json_object_get(json_object_get(trial, "why"), "regime")),
                cases[i].objectives == one ? "budget" : "start");
        json_decref(rule);
        json_decref(trials);
        assay_study_free(spec);
    }
}

/* Past its thousandth trial a study is asked for points as quickly as ever. */
static void
test_many_trials(void **state ASSAY_UNUSED)
{
    struct driver driver = driver_new(&assay_algorithm_auto, branches, 1, "{}", 6);
    struct assay_random random = test_random(9);
    int64_t start;

    for (int64_t number = 1; number <= 10000; number++) {
        double point[4] = {0.0, assay_random_unit(&random), assay_random_unit(&random), NAN};
        double value = point[1] + point[2];

        driver_tell(&driver, number, ASSAY_PLUGIN_SUCCEEDED, point, &value);
    }
    start = assay_monotonic_us();
    for (int64_t number = 10001; number <= 10200; number++) {
        double point[8], value;

        assert_int_equal(driver_ask(&driver, number, 1, point), 1);
        value = point[1] + point[2];
        driver_tell(&driver, number, ASSAY_PLUGIN_SUCCEEDED, point, &value);
    }
    print_message("%.0f us per ask and tell at 10,000 trials\n",
                  (double)(assay_monotonic_us() - start) / 200.0);
    driver_done(&driver);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regime_follows_the_space),
        cmocka_unit_test(test_shares_move_and_keep_a_floor),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_shares_change_between_blocks),
        cmocka_unit_test(test_beats_random),
        cmocka_unit_test(test_same_answer_however_told),
        cmocka_unit_test(test_a_batch_has_no_point_twice),
        cmocka_unit_test(test_improvements),
        cmocka_unit_test(test_several_objectives),
        cmocka_unit_test(test_why),
        cmocka_unit_test(test_budgets),
        cmocka_unit_test(test_many_trials),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

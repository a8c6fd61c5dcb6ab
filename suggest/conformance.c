#include "suggest/conformance.h"

#include <malloc.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/memory.h"
#include "common/random.h"
#include "schemas/point.h"
#include "suggest/host.h"
#include "suggest/proposer.h"
#include "suggest/registry.h"

#define BATCH_MAX 50
#define TIMED_ASKS 41
/* Telling an algorithm to stop must help within this. */
#define STOP_US (2 * ASSAY_SECOND_US)
/* Small enough to be caches that fill up once. */
#define LEAK_BYTES (INT64_C(1) << 20)

const struct assay_conformance_limits assay_conformance_standard = {
    .trials = 150,
    .long_trials = 2000,
    .time_us = 20 * ASSAY_SECOND_US,
    .ask_us = 10 * ASSAY_SECOND_US,
    .own_lattice = true,
};

/* --- what is played --- */

enum outcomes {
    MIXED,       /* values, some missing, every final state, some trials stay pending */
    CONSTANT,    /* always the same value */
    NOT_FINITE,  /* nan, inf, -inf among the values of succeeded trials */
    REGIONS,     /* half of the space is infeasible */
    ALL_FAILED,
    SMOOTH,      /* all succeed; two objectives disagree; constraints cut a part off */
};

struct scenario {
    const char *name;
    const char *parameters; /* JSON with ' for "; NULL: `wide` mixed ones */
    enum outcomes outcomes;
    size_t wide;
    size_t objectives, constraints; /* 0 = one, none */
    uint64_t cap;                   /* refused without it */
    bool is_long;
};

#define MIXED_SPACE                                                      \
    "[{'name':'lr','type':'double','min':1e-5,'max':1,'scale':'log'},"   \
    "{'name':'units','type':'int','min':8,'max':512,'scale':'log'},"     \
    "{'name':'drop','type':'double','min':0,'max':0.6,'step':0.1},"      \
    "{'name':'batch','type':'discrete','values':[16,32,64,128]},"        \
    "{'name':'opt','type':'categorical','values':['sgd','adam','lion']}," \
    "{'name':'flag','type':'bool'}]"

static const struct scenario scenarios[] = {
    {.name = "one double", .parameters = "[{'name':'x','type':'double','min':0,'max':1}]"},
    {.name = "one int", .parameters = "[{'name':'x','type':'int','min':-3,'max':9}]"},
    {.name = "all categorical",
     .parameters =
         "[{'name':'a','type':'categorical','values':['p','q','r']},{'name':'b','type':'bool'},"
         "{'name':'c','type':'categorical','values':[1,'one',true,2.5]}]"},
    {.name = "deep conditions",
     .parameters =
         "[{'name':'g','type':'int','min':1,'max':3,'when':{'f':[2]}},"
         "{'name':'a','type':'bool'},"
         "{'name':'b','type':'categorical','values':['p','q'],'when':{'a':[true]}},"
         "{'name':'c','type':'int','min':0,'max':4,'when':{'b':['q']}},"
         "{'name':'d','type':'double','min':0,'max':0.6,'step':0.1,'when':{'c':{'min':2,'max':3}}},"
         "{'name':'e','type':'discrete','values':[16,32,64],'when':{'d':[0.3,0.6]}},"
         "{'name':'f','type':'int','min':1,'max':2,'when':{'e':[32],'a':[true]}}]",
     .cap = ASSAY_PLUGIN_CAP_CONDITIONS},
    {.name = "single value", .parameters = "[{'name':'x','type':'double','min':3,'max':3}]"},
    {.name = "several fixed",
     .parameters = "[{'name':'x','type':'int','min':3,'max':3},"
                   "{'name':'y','type':'categorical','values':['z']}]"},
    {.name = "huge range",
     .parameters = "[{'name':'a','type':'double','min':-8e307,'max':8e307},"
                   "{'name':'b','type':'double','min':1e-300,'max':1e300,'scale':'log'},"
                   "{'name':'c','type':'int','min':1,'max':9007199254740000,'scale':'log'}]"},
    {.name = "scales",
     .parameters = "[{'name':'a','type':'double','min':1e-5,'max':1,'scale':'log'},"
                   "{'name':'b','type':'double','min':0.1,'max':0.999,'scale':'reverse_log'},"
                   "{'name':'c','type':'int','min':8,'max':512,'scale':'log'},"
                   "{'name':'d','type':'double','min':0.05,'max':1,'step':0.05,'scale':'log'}]"},
    {.name = "finite branch",
     .parameters = "[{'name':'a','type':'categorical','values':['s','t']},"
                   "{'name':'x','type':'double','min':0,'max':1,'when':{'a':['s']}}]",
     .cap = ASSAY_PLUGIN_CAP_CONDITIONS},
    {.name = "steps that do not divide",
     .parameters = "[{'name':'x','type':'double','min':0.1,'max':1.05,'step':0.3},"
                   "{'name':'y','type':'int','min':-5,'max':5,'step':4}]"},
    {.name = "200 parameters", .wide = 200, .cap = ASSAY_PLUGIN_CAP_CONDITIONS},
    {.name = "a constant objective", .parameters = MIXED_SPACE, .outcomes = CONSTANT},
    {.name = "values nan and infinite", .parameters = MIXED_SPACE, .outcomes = NOT_FINITE},
    {.name = "infeasible regions", .parameters = MIXED_SPACE, .outcomes = REGIONS},
    {.name = "every trial fails", .parameters = MIXED_SPACE, .outcomes = ALL_FAILED},
    {.name = "two objectives", .parameters = MIXED_SPACE, .outcomes = SMOOTH, .objectives = 2,
     .cap = ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE},
    {.name = "four objectives", .parameters = MIXED_SPACE, .outcomes = SMOOTH, .objectives = 4,
     .cap = ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE},
    {.name = "constraints", .parameters = MIXED_SPACE, .outcomes = SMOOTH, .constraints = 2,
     .cap = ASSAY_PLUGIN_CAP_CONSTRAINTS},
    {.name = "a long study", .parameters = MIXED_SPACE, .outcomes = MIXED, .is_long = true},
};

/* One check under way. */
struct check {
    const struct assay_plugin_algorithm *algorithm;
    const struct assay_conformance_limits *limits;
    struct assay_conformance_result *result;
    int64_t start_us;
};

/* Always false. */
static bool ASSAY_PRINTF(2, 3)
fail(struct check *check, const char *format, ...)
{
    va_list args;

    if (check->result->outcome == ASSAY_CONFORMANCE_FAILED)
        return false; /* the first fault counts */
    check->result->outcome = ASSAY_CONFORMANCE_FAILED;
    va_start(args, format);
    vsnprintf(check->result->sentence, sizeof check->result->sentence, format, args);
    va_end(args);
    return false;
}

static bool ASSAY_PRINTF(2, 3)
refuse(struct check *check, const char *format, ...)
{
    va_list args;

    check->result->outcome = ASSAY_CONFORMANCE_REFUSED;
    va_start(args, format);
    vsnprintf(check->result->sentence, sizeof check->result->sentence, format, args);
    va_end(args);
    return false;
}

static bool
is_late(const struct check *check)
{
    return check->limits->time_us > 0 &&
           assay_monotonic_us() - check->start_us > check->limits->time_us;
}

/* --- specifications --- */

/* JSON written with ' for "; our own texts, so it is well-formed. */
static json_t *
json_of(const char *text)
{
    assay_auto_free char *copy = assay_strdup(text);
    json_t *json;

    for (char *c = copy; *c != '\0'; c++) {
        if (*c == '\'')
            *c = '"';
    }
    json = json_loads(copy, 0, NULL);
    ASSAY_ASSERT(json != NULL);
    return json;
}

/* Mixed parameters by the hundred, some of them conditional. */
static json_t *
wide_space(size_t n)
{
    static const char *const kinds[] = {
        "{'type':'double','min':0,'max':1}",
        "{'type':'double','min':1e-6,'max':1,'scale':'log'}",
        "{'type':'int','min':1,'max':100}",
        "{'type':'categorical','values':['a','b','c']}",
        "{'type':'bool'}",
    };
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *parameter = json_of(kinds[i % ASSAY_COUNT(kinds)]);
        assay_auto_free char *name = assay_format("p%zu", i);

        json_object_set_new(parameter, "name", json_string(name));
        if (i % 10 == 9 && n > 20) {
            assay_auto_free char *parent = assay_format("p%zu", i - 1);

            json_object_set_new(parameter, "when", json_pack("{s:[s,s]}", parent, "a", "b"));
        }
        json_array_append_new(list, parameter);
    }
    return list;
}

static json_t *
spec_of(const struct check *check, const struct scenario *scenario, uint64_t seed)
{
    json_t *objectives = json_array();
    json_t *spec = json_pack("{s:o, s:o, s:{s:s, s:{}}, s:I}", "parameters",
                             scenario->parameters != NULL ? json_of(scenario->parameters)
                                                          : wide_space(scenario->wide),
                             "objectives", objectives, "algorithm", "name",
                             check->algorithm->name, "settings", "seed", (json_int_t)seed);

    for (size_t i = 0; i < ASSAY_MAX(scenario->objectives, (size_t)1); i++)
        json_array_append_new(objectives, i % 2 == 0
                                              ? json_of("{'metric':'loss','goal':'minimize'}")
                                              : json_of("{'metric':'gain','goal':'maximize'}"));
    if (scenario->constraints > 0) {
        json_t *constraints = json_array();

        for (size_t i = 0; i < scenario->constraints; i++)
            json_array_append_new(constraints, i % 2 == 0 ? json_of("{'metric':'ms','max':0.8}")
                                                          : json_of("{'metric':'acc','min':0.1}"));
        json_object_set_new(spec, "constraints", constraints);
    }
    return spec;
}

/* NULL, with the check refused or failed, when the algorithm does not start. */
static struct assay_proposer *
open_study(struct check *check, json_t *spec)
{
    struct assay_error err = {0};
    struct assay_proposer *proposer;

    if (assay_proposer_new(spec, NULL, &proposer, &err) == ASSAY_OK)
        return proposer;
    /* One that decides on budgets may need some, and trials that keep checkpoints. */
    for (int more = 0; (check->algorithm->caps & ASSAY_PLUGIN_CAP_BUDGET) && more < 2; more++) {
        if (more == 0)
            json_object_set_new(spec, "budget",
                                json_of("{'name':'epochs','min':1,'max':9,'eta':3}"));
        else
            json_object_set_new(spec, "trial", json_of("{'checkpoints':true}"));
        err = (struct assay_error){0};
        if (assay_proposer_new(spec, NULL, &proposer, &err) == ASSAY_OK)
            return proposer;
    }
    (void)refuse(check, "%s", err.message);
    return NULL;
}

static struct assay_space *
space_of(const json_t *spec)
{
    struct assay_faults faults = {0};
    struct assay_space *space =
        assay_space_decode(json_object_get(spec, "parameters"), "", &faults);

    ASSAY_ASSERT(space != NULL);
    assay_faults_done(&faults);
    return space;
}

/* --- asking and telling --- */

static bool
tell(struct check *check, struct assay_proposer *proposer, const json_t *trials)
{
    struct assay_error err = {0};

    if (assay_proposer_tell(proposer, trials, &err) == ASSAY_OK)
        return true;
    return fail(check, "%s", err.message);
}

static bool
tell_one(struct check *check, struct assay_proposer *proposer, json_t *trial)
{
    json_auto_t *list = json_pack("[O]", trial);

    return tell(check, proposer, list);
}

/* The suggestions for `n` numbers from `first` on; NULL when it failed. */
static json_t *
ask(struct check *check, struct assay_proposer *proposer, int64_t first, size_t n,
    bool *ret_exhausted)
{
    int64_t numbers[BATCH_MAX], start_us = assay_monotonic_us(), took_us;
    struct assay_error err = {0};
    json_t *trials;

    for (size_t i = 0; i < n; i++)
        numbers[i] = first + (int64_t)i;
    if (assay_proposer_ask(proposer, numbers, n, &trials, ret_exhausted, &err) != ASSAY_OK) {
        (void)fail(check, "%s", err.message);
        return NULL;
    }
    took_us = assay_monotonic_us() - start_us;
    check->result->ask_max_us = fmax(check->result->ask_max_us, (double)took_us);
    if (check->limits->ask_us > 0 && took_us > check->limits->ask_us) {
        (void)fail(check, "the ask for trial %lld took %.3g s", (long long)first,
                   (double)took_us / ASSAY_SECOND_US);
        json_decref(trials);
        return NULL;
    }
    return trials;
}

/* Takes both. */
static bool
check_same(struct check *check, json_t *one, json_t *other, const char *when)
{
    bool same = one != NULL && other != NULL && json_equal(one, other);

    if (!same && one != NULL && other != NULL) {
        assay_auto_free char *a = json_dumps(one, JSON_SORT_KEYS | JSON_COMPACT);
        assay_auto_free char *b = json_dumps(other, JSON_SORT_KEYS | JSON_COMPACT);

        (void)fail(check, "%s it answers otherwise: %.160s, and then %.160s", when, a, b);
    }
    json_decref(one);
    json_decref(other);
    return same;
}

/* A point of the space by the decoder of studies, and the same after encoding. */
static bool
check_point(struct check *check, const struct assay_space *space, const json_t *parameters)
{
    assay_auto_free double *point = assay_alloc(space->n_parameters, sizeof *point);
    struct assay_faults faults = {0};
    bool fine = assay_point_decode(space, parameters, "", false, &faults, point);

    if (!fine) {
        (void)fail(check, "a point outside of the space: %s %s", faults.items[0].pointer,
                   faults.items[0].message);
    } else {
        json_auto_t *again = assay_point_encode(space, point);

        fine = json_equal(again, parameters) || fail(check, "a point that is not written exactly");
    }
    assay_faults_done(&faults);
    return fine;
}

static bool
check_new(struct check *check, json_t *seen, const json_t *parameters)
{
    assay_auto_free char *text = json_dumps(parameters, JSON_SORT_KEYS);

    if (json_object_get(seen, text) != NULL)
        return fail(check, "%.300s was proposed twice while other points were left", text);
    json_object_set_new(seen, text, json_true());
    return true;
}

static bool
check_budget(struct check *check, const json_t *spec, const json_t *trial)
{
    const json_t *budget = json_object_get(spec, "budget");
    const json_t *given = json_object_get(trial, "budget");
    double value = json_number_value(given);

    if (given == NULL)
        return true;
    if (budget == NULL)
        return fail(check, "it gave a budget of %g in a study that has none", value);
    if (!(value >= json_number_value(json_object_get(budget, "min")) &&
          value <= json_number_value(json_object_get(budget, "max"))))
        return fail(check, "it gave a budget of %g, outside of the study's", value);
    return true;
}

/* --- what becomes of a trial --- */

/* A number in [0, 1) that depends on the point and `k` alone: a rough landscape. */
static double
landscape(const json_t *parameters, uint64_t k)
{
    const char *name;
    json_t *value;
    double sum = 0.0;

    json_object_foreach((json_t *)(uintptr_t)parameters, name, value)
    {
        double x = json_is_number(value)    ? json_number_value(value)
                   : json_is_true(value)    ? 1.0
                   : json_string_value(value) != NULL ? (double)json_string_value(value)[0]
                                                      : 0.0;

        /* Bounded whatever the range: the arctangent of the size. */
        sum += sin((double)(k + 1) + 3.0 * atan(x)) + 0.1 * sin(40.0 * atan(x));
    }
    return 0.5 + 0.5 * sin(sum);
}

static json_t *
value_of(enum outcomes outcomes, const json_t *parameters, int64_t number, size_t k)
{
    static const char *const odd[] = {"nan", "inf", "-inf"};

    if (outcomes == CONSTANT)
        return json_real(0.25);
    if (outcomes == NOT_FINITE && number % 4 != 0)
        return number % 4 == 3 && number % 8 == 3 ? json_real(1e308)
                                                  : json_string(odd[number % 3]);
    if (outcomes == MIXED && number % 3 == 1)
        return json_null();
    return json_real(landscape(parameters, k));
}

static const char *
state_of(enum outcomes outcomes, const json_t *parameters, int64_t number)
{
    static const char *const states[] = {"succeeded", "stopped", "infeasible", "failed",
                                         "cancelled"};

    if (outcomes == MIXED)
        return states[(size_t)number % ASSAY_COUNT(states)];
    if (outcomes == ALL_FAILED)
        return "failed";
    if (outcomes == REGIONS && landscape(parameters, 7) < 0.5)
        return "infeasible";
    return "succeeded";
}

/* Adds what the trial ended with to the suggestion. */
static void
end_trial(const struct scenario *scenario, json_t *trial)
{
    const json_t *parameters = json_object_get(trial, "parameters");
    int64_t number = json_integer_value(json_object_get(trial, "number"));
    const char *state = state_of(scenario->outcomes, parameters, number);

    json_object_set_new(trial, "state", json_string(state));
    if (strcmp(state, "succeeded") == 0 || strcmp(state, "stopped") == 0) {
        json_t *values = json_array();

        for (size_t k = 0; k < ASSAY_MAX(scenario->objectives, (size_t)1); k++)
            json_array_append_new(values, value_of(scenario->outcomes, parameters, number, k));
        json_object_set_new(trial, "values", values);
    }
    if (scenario->constraints > 0) {
        json_t *constraints = json_array();

        for (size_t k = 0; k < scenario->constraints; k++)
            json_array_append_new(constraints, number % 9 == 8
                                                   ? json_null()
                                                   : json_real(landscape(parameters, 20 + k)));
        json_object_set_new(trial, "constraints", constraints);
    }
}

static void
set_state(json_t *trial, const char *state)
{
    json_object_set_new(trial, "state", json_string(state));
}

/* --- one study, from the first trial to the last --- */

/* Tells the history in pieces of another size to a new instance, which must then
 * answer like the one that has lived through it. */
static bool
check_replay(struct check *check, json_t *spec, const json_t *history, int64_t number,
             json_t *expected, size_t piece)
{
    struct assay_proposer *fresh = open_study(check, spec);
    size_t count = json_array_size(history);
    bool exhausted, fine = fresh != NULL || fail(check, "it started once, and then did not");

    for (size_t i = 0; fine && i < count; i += piece) {
        json_auto_t *part = json_array();

        for (size_t k = i; k < ASSAY_MIN(count, i + piece); k++)
            json_array_append(part, json_array_get(history, k));
        fine = tell(check, fresh, part);
    }
    if (fine)
        fine = check_same(check, json_incref(expected), ask(check, fresh, number, 1, &exhausted),
                          piece == 1 ? "told the history again, one trial at a time,"
                                     : "told the history again, ten trials at a time,");
    assay_proposer_free(fresh);
    return fine;
}

struct study {
    struct check *check;
    const struct scenario *scenario;
    json_t *spec;
    struct assay_space *space;
    struct assay_proposer *proposer;
    json_t *seen, *history;
    size_t made, resumed;
    bool exhausted;
};

/* A paused trial is to go on to a larger budget, in place of a new one. */
static bool
resume_one(struct study *study, const json_t *suggestion)
{
    json_int_t number = json_integer_value(json_object_get(suggestion, "resume"));
    json_t *trial = json_array_get(study->history, (size_t)number - 1);

    if (number < 1 || trial == NULL)
        return fail(study->check, "it would resume trial %lld, which there is not",
                    (long long)number);
    if (++study->resumed > 10 * (study->made + 1))
        return fail(study->check, "it resumes trials and never ends");
    json_object_set(trial, "budget", json_object_get(suggestion, "budget"));
    end_trial(study->scenario, trial);
    return check_budget(study->check, study->spec, suggestion) &&
           tell_one(study->check, study->proposer, trial);
}

/* The next trial of the study; `ret_end` when there is none. */
static bool
play_one(struct study *study, size_t limit, bool *ret_end)
{
    struct check *check = study->check;
    int64_t number = (int64_t)study->made + 1;
    bool again_exhausted;
    json_auto_t *trials = ask(check, study->proposer, number, 1, &study->exhausted);
    json_t *trial = json_array_get(trials, 0);
    const json_t *parameters = json_object_get(trial, "parameters");
    size_t every = limit < 1000 ? 37 : 499;

    *ret_end = trials != NULL && trial == NULL;
    if (trial == NULL)
        return trials != NULL;
    if (!check_same(check, json_incref(trials),
                    ask(check, study->proposer, number, 1, &again_exhausted), "asked again"))
        return false;
    if (study->made % every == 11 &&
        !check_replay(check, study->spec, study->history, number, trials,
                      study->made % 2 == 0 ? 10 : 1))
        return false;
    if (json_object_get(trial, "resume") != NULL)
        return resume_one(study, trial);
    if (!check_point(check, study->space, parameters) ||
        !check_new(check, study->seen, parameters) || !check_budget(check, study->spec, trial))
        return false;
    set_state(trial, "pending");
    if (!tell_one(check, study->proposer, trial))
        return false;
    if (study->scenario->outcomes == MIXED && study->made % 4 == 3)
        set_state(trial, "running"); /* and stays so */
    else
        end_trial(study->scenario, trial);
    json_array_append(study->history, trial);
    study->made++;
    return tell_one(check, study->proposer, trial);
}

/* One that decides on budgets may wait for running trials, with points left. */
static bool
may_wait(const struct check *check)
{
    return (check->algorithm->caps & ASSAY_PLUGIN_CAP_BUDGET) != 0;
}

/* There is no new trial in the answer, which is its right. */
static bool
is_waiting(const struct check *check, const json_t *trial)
{
    return may_wait(check) && (trial == NULL || json_object_get(trial, "resume") != NULL);
}

/* Ends the trials that run; whether there were any. */
static bool
end_running(struct study *study)
{
    bool some = false;

    for (size_t i = 0; i < json_array_size(study->history); i++) {
        json_t *trial = json_array_get(study->history, i);

        if (strcmp(json_string_value(json_object_get(trial, "state")), "running") == 0) {
            set_state(trial, "cancelled");
            some = tell_one(study->check, study->proposer, trial);
        }
    }
    return some;
}

static bool
check_end(struct study *study, size_t limit)
{
    double points = assay_space_cardinality(study->space);
    struct check *check = study->check;

    if (study->made == limit)
        return true;
    if (!study->exhausted && may_wait(check))
        return true;
    if (!study->exhausted)
        return fail(check, "no point after %zu trials, and no word that the space is used up",
                    study->made);
    if ((double)study->made < points && !(isinf(points) && check->limits->own_lattice))
        return fail(check, "it said that the space is used up after %zu of %g points",
                    study->made, points);
    return true;
}

static bool
play(struct check *check, const struct scenario *scenario, uint64_t seed, size_t limit)
{
    struct study study = {.check = check,
                          .scenario = scenario,
                          .spec = spec_of(check, scenario, seed),
                          .seen = json_object(),
                          .history = json_array()};
    bool end = false, fine;

    study.space = space_of(study.spec);
    study.proposer = open_study(check, study.spec);
    fine = study.proposer != NULL;
    while (fine && !end && study.made < limit && !is_late(check)) {
        fine = play_one(&study, limit, &end);
        if (fine && end && !study.exhausted && may_wait(check))
            end = !end_running(&study);
    }
    if (fine && end)
        fine = check_end(&study, limit);
    check->result->trials += study.made;
    json_decref(study.seen);
    json_decref(study.history);
    json_decref(study.spec);
    assay_space_free(study.space);
    assay_proposer_free(study.proposer);
    return fine;
}

/* --- checks of another make --- */

static const struct scenario small_space = {
    .parameters = "[{'name':'a','type':'int','min':1,'max':4},"
                  "{'name':'b','type':'categorical','values':['p','q','r']}]"};

/* Points that a user queued or imported are not proposed again; numbers have gaps, and
 * one point several trials. */
static bool
check_users_points(struct check *check)
{
    json_auto_t *spec = spec_of(check, &small_space, 9);
    json_auto_t *users =
        json_of("[{'number':1,'state':'queued','parameters':{'a':1,'b':'p'}},"
                "{'number':2,'state':'succeeded','parameters':{'a':2,'b':'q'},'values':[0.5]},"
                "{'number':3,'state':'queued','parameters':{'a':1,'b':'p'}},"
                "{'number':7,'state':'succeeded','parameters':{'a':2,'b':'q'},'values':[0.25]},"
                "{'number':9,'state':'running','parameters':{'a':4,'b':'r'},'values':[null]}]");
    json_auto_t *seen = json_of("{'{\\\"a\\\": 1, \\\"b\\\": \\\"p\\\"}':true,"
                                "'{\\\"a\\\": 2, \\\"b\\\": \\\"q\\\"}':true,"
                                "'{\\\"a\\\": 4, \\\"b\\\": \\\"r\\\"}':true}");
    struct assay_proposer *proposer = open_study(check, spec);
    bool exhausted, fine = proposer != NULL && tell(check, proposer, users);
    json_auto_t *trials = fine ? ask(check, proposer, 10, 12, &exhausted) : NULL;

    fine = trials != NULL;
    for (size_t i = 0; fine && i < json_array_size(trials); i++)
        fine = check_new(check, seen, json_object_get(json_array_get(trials, i), "parameters"));
    if (fine && !may_wait(check) && (json_array_size(trials) != 9 || !exhausted))
        fine = fail(check, "%zu points for 12 trials where 9 were left%s", json_array_size(trials),
                    exhausted ? "" : ", and no word that the space is used up");
    assay_proposer_free(proposer);
    return fine;
}

/* Asks for many at once, before anything is told, get different points. */
static bool
check_batches(struct check *check)
{
    json_auto_t *spec = spec_of(check, &small_space, 4), *seen = json_object();
    struct assay_proposer *proposer = open_study(check, spec);
    bool exhausted, fine = proposer != NULL;
    json_auto_t *trials = fine ? ask(check, proposer, 1, 12, &exhausted) : NULL;
    json_auto_t *more = trials != NULL ? ask(check, proposer, 1, 13, &exhausted) : NULL;

    fine = more != NULL;
    if (fine && !may_wait(check) && json_array_size(trials) != 12)
        fine = fail(check, "%zu points for 12 trials in a space of 12", json_array_size(trials));
    for (size_t i = 0; fine && i < json_array_size(trials); i++)
        fine = check_new(check, seen, json_object_get(json_array_get(trials, i), "parameters"));
    if (fine && !may_wait(check) && (json_array_size(more) != 12 || !exhausted))
        fine = fail(check, "%zu points for 13 trials in a space of 12%s", json_array_size(more),
                    exhausted ? "" : ", and no word that it is used up");
    assay_proposer_free(proposer);
    return fine;
}

static const struct scenario ordinary = {.parameters = MIXED_SPACE, .outcomes = SMOOTH};

/* Trials that run side by side end in any order; a restart tells them by number. */
static bool
check_order(struct check *check)
{
    json_auto_t *spec = spec_of(check, &ordinary, 3), *history = json_array();
    struct assay_proposer *proposer = open_study(check, spec);
    struct assay_random random;
    bool exhausted, fine = proposer != NULL;

    assay_random_init(&random, 5, 0, 1);
    for (int64_t number = 1; fine && number <= 60 && !is_late(check); number++) {
        json_auto_t *trials = ask(check, proposer, number, 1, &exhausted);
        json_t *trial = json_array_get(trials, 0);

        if (trials != NULL && is_waiting(check, trial))
            break;
        fine = trial != NULL || (trials != NULL && fail(check, "no point for trial %lld",
                                                        (long long)number));
        if (fine && number % 10 == 5)
            fine = check_replay(check, spec, history, number, trials, 10);
        if (!fine)
            break;
        set_state(trial, "running");
        json_array_append(history, trial);
        fine = tell_one(check, proposer, trial);
        if (fine && number > 6) { /* one of those that run ends */
            size_t i = (size_t)assay_random_below(&random, (uint64_t)number);
            json_t *ended = json_array_get(history, i);

            end_trial(&ordinary, ended);
            fine = tell_one(check, proposer, ended);
        }
        check->result->trials++;
    }
    assay_proposer_free(proposer);
    return fine;
}

/* Plays `n` trials of two instances in turns or one after the other. */
static bool
play_two(struct check *check, bool in_turns, size_t n, json_t *points)
{
    struct assay_proposer *proposers[2] = {NULL, NULL};
    bool exhausted, fine = true;

    for (size_t p = 0; fine && p < 2; p++) {
        json_auto_t *spec = spec_of(check, &ordinary, 20 + p);

        proposers[p] = open_study(check, spec);
        fine = proposers[p] != NULL;
    }
    for (size_t k = 0; fine && k < 2 * n; k++) {
        size_t p = in_turns ? k % 2 : k / n, i = in_turns ? k / 2 : k % n;
        json_auto_t *trials = ask(check, proposers[p], (int64_t)i + 1, 1, &exhausted);
        json_t *trial = json_array_get(trials, 0);
        assay_auto_free char *key = assay_format("%zu/%zu", p, i);

        if (trials != NULL && is_waiting(check, trial))
            continue;
        fine = trial != NULL ||
               (trials != NULL && fail(check, "no point for trial %zu", i + 1));
        if (fine) {
            json_object_set(points, key, json_object_get(trial, "parameters"));
            end_trial(&ordinary, trial);
            fine = tell_one(check, proposers[p], trial);
        }
    }
    for (size_t p = 0; p < 2; p++)
        assay_proposer_free(proposers[p]);
    return fine;
}

/* Nothing is shared between instances. */
static bool
check_two_studies(struct check *check)
{
    json_auto_t *in_turns = json_object(), *in_a_row = json_object();

    return play_two(check, true, 30, in_turns) && play_two(check, false, 30, in_a_row) &&
           check_same(check, json_incref(in_a_row), json_incref(in_turns),
                      "with another study beside it");
}

/* A history of so many ended trials at random points, as one array. */
static json_t *
random_history(const struct scenario *scenario, const json_t *spec, size_t n)
{
    struct assay_proposer *proposer;
    json_auto_t *random = json_pack("{s:O, s:O, s:{s:s, s:{}}, s:i}", "parameters",
                                    json_object_get(spec, "parameters"), "objectives",
                                    json_object_get(spec, "objectives"), "algorithm", "name",
                                    "random", "settings", "seed", 99);
    json_t *history = json_array();
    bool exhausted;

    ASSAY_ASSERT(assay_proposer_new(random, NULL, &proposer, NULL) == ASSAY_OK);
    for (size_t i = 0; i < n; i++) {
        int64_t number = (int64_t)i + 1;
        json_t *trials;

        ASSAY_ASSERT(assay_proposer_ask(proposer, &number, 1, &trials, &exhausted, NULL) ==
                     ASSAY_OK);
        end_trial(scenario, json_array_get(trials, 0));
        json_array_append(history, json_array_get(trials, 0));
        json_decref(trials);
    }
    assay_proposer_free(proposer);
    return history;
}

static const struct scenario twenty = {.wide = 20, .outcomes = SMOOTH};

/* With the flag of should_stop() up, an ask must not go on for long.  Either answer
 * will do: a quick one has no need to look at the flag. */
static bool
check_stop(struct check *check)
{
    json_auto_t *spec = spec_of(check, &twenty, 2);
    struct assay_proposer *proposer = open_study(check, spec);
    json_auto_t *history = random_history(&twenty, spec, 300);
    bool exhausted, fine = proposer != NULL && tell(check, proposer, history);
    int64_t numbers[ASSAY_PROPOSER_ASK_MAX], start_us, computed_us, took_us;
    struct assay_error err = {0};
    json_t *trials = NULL;

    if (!fine) {
        assay_proposer_free(proposer);
        return false;
    }
    for (size_t i = 0; i < ASSAY_COUNT(numbers); i++)
        numbers[i] = 301 + (int64_t)i;
    assay_host_set_stop(true);
    start_us = assay_monotonic_us();
    computed_us = assay_processor_us();
    if (assay_proposer_ask(proposer, numbers, ASSAY_COUNT(numbers), &trials, &exhausted, &err) !=
            ASSAY_OK &&
        err.status != ASSAY_E_UNAVAILABLE)
        fine = fail(check, "told to stop it failed otherwise: %s", err.message);
    computed_us = assay_processor_us() - computed_us;
    took_us = assay_monotonic_us() - start_us;
    assay_host_set_stop(false);
    json_decref(trials);
    /* A busy machine makes nobody deaf; one that sleeps is given longer. */
    if (fine && (computed_us > STOP_US || took_us > 10 * STOP_US))
        fine = fail(check, "it went on for %.3g s after should_stop() said to stop",
                    (double)took_us / ASSAY_SECOND_US);
    assay_proposer_free(proposer);
    return fine;
}

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* What an ask costs with 20 mixed parameters and 1,000 trials. */
static bool
check_time(struct check *check)
{
    json_auto_t *spec = spec_of(check, &twenty, 2);
    struct assay_proposer *proposer = open_study(check, spec);
    json_auto_t *history = random_history(&twenty, spec, 1000);
    bool exhausted, fine = proposer != NULL && tell(check, proposer, history);
    double took[TIMED_ASKS];
    size_t n = 0;

    while (fine && n < TIMED_ASKS && !is_late(check)) {
        int64_t start_us = assay_monotonic_us();
        json_auto_t *trials = ask(check, proposer, 1001 + (int64_t)n, 1, &exhausted);

        took[n++] = (double)(assay_monotonic_us() - start_us);
        fine = trials != NULL;
        if (fine && json_array_size(trials) == 1) {
            end_trial(&twenty, json_array_get(trials, 0));
            fine = tell(check, proposer, trials);
        }
    }
    assay_proposer_free(proposer);
    if (!fine)
        return false;
    check->result->trials = 1000 + n;
    qsort(took, n, sizeof *took, compare_doubles);
    check->result->ask_us = n > 0 ? took[n / 2] : NAN;
    return true;
}

/* What is allocated now.  Sanitizers have a heap of their own and leave this at 0. */
static int64_t
heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return (int64_t)(info.uordblks + info.hblkhd);
}

/* One instance from birth to death, with a history and asks. */
static bool
live_and_die(struct check *check, json_t *spec, const json_t *history, size_t asks)
{
    struct assay_proposer *proposer = open_study(check, spec);
    bool exhausted, fine = proposer != NULL && tell(check, proposer, history);

    for (size_t i = 0; fine && i < asks; i++) {
        json_auto_t *trials = ask(check, proposer, 101 + (int64_t)(i % 4), 1, &exhausted);

        fine = trials != NULL;
    }
    assay_proposer_free(proposer);
    return fine;
}

/* Instances that are destroyed and asks that are repeated leave nothing behind. */
static bool
check_memory(struct check *check)
{
    json_auto_t *spec = spec_of(check, &ordinary, 2);
    json_auto_t *history = random_history(&ordinary, spec, 100);
    bool fine = true;
    size_t rounds = 0;
    int64_t before, grown;

    for (size_t i = 0; fine && i < 5; i++)
        fine = live_and_die(check, spec, history, 20);
    before = heap_bytes();
    for (; fine && rounds < 100 && !is_late(check); rounds++)
        fine = live_and_die(check, spec, history, 20);
    grown = heap_bytes() - before;
    if (fine && grown > LEAK_BYTES)
        fine = fail(check, "%zu instances that lived and died left %.1f MiB behind", rounds,
                    (double)grown / (1 << 20));
    return fine;
}

static const struct {
    const char *name;
    bool (*run)(struct check *check);
} others[] = {
    {"points of users", check_users_points},
    {"batches", check_batches},
    {"trials end in any order", check_order},
    {"two studies at once", check_two_studies},
    {"told to stop", check_stop},
    {"time per ask, 1,000 trials", check_time},
    {"memory", check_memory},
};

/* --- the list --- */

size_t
assay_conformance_count(void)
{
    return ASSAY_COUNT(scenarios) + ASSAY_COUNT(others);
}

const char *
assay_conformance_name(size_t check)
{
    return check < ASSAY_COUNT(scenarios) ? scenarios[check].name
                                          : others[check - ASSAY_COUNT(scenarios)].name;
}

void
assay_conformance_run(const struct assay_plugin_algorithm *algorithm, size_t index,
                      const struct assay_conformance_limits *limits,
                      struct assay_conformance_result *ret_result)
{
    struct check check = {.algorithm = algorithm,
                          .limits = limits,
                          .result = ret_result,
                          .start_us = assay_monotonic_us()};
    const struct scenario *scenario = index < ASSAY_COUNT(scenarios) ? &scenarios[index] : NULL;

    *ret_result = (struct assay_conformance_result){.outcome = ASSAY_CONFORMANCE_PASSED,
                                                    .ask_us = NAN};
    if (scenario == NULL) {
        (void)others[index - ASSAY_COUNT(scenarios)].run(&check);
    } else if (scenario->cap != 0 && !(algorithm->caps & scenario->cap)) {
        (void)refuse(&check, "its capabilities leave this out");
    } else {
        size_t limit = scenario->is_long ? limits->long_trials
                       : scenario->wide > 0 ? ASSAY_MIN(limits->trials, (size_t)60)
                                            : limits->trials;

        if (play(&check, scenario, 1, limit) && !scenario->is_long && scenario->wide == 0)
            (void)play(&check, scenario, 2, limit);
        if (ret_result->outcome == ASSAY_CONFORMANCE_PASSED && is_late(&check))
            snprintf(ret_result->sentence, sizeof ret_result->sentence,
                     "cut short after %zu trials: it is slow", ret_result->trials);
    }
}

/* The list of checks, and the check that most of them are: one study of a kind, from the first
 * trial to the last. */
#include "suggest/conformance.h"

#include <math.h>
#include <stdio.h>

#include "common/memory.h"
#include "suggest/conformance_internal.h"

const struct assay_conformance_limits assay_conformance_standard = {
    .trials = 150,
    .long_trials = 2000,
    .time_us = 20 * ASSAY_SECOND_US,
    .ask_us = 10 * ASSAY_SECOND_US,
    .own_lattice = true,
};

static const struct assay__scenario scenarios[] = {
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
    {.name = "a constant objective",
     .parameters = ASSAY__MIXED_SPACE,
     .outcomes = ASSAY__OUTCOMES_CONSTANT},
    {.name = "values nan and infinite",
     .parameters = ASSAY__MIXED_SPACE,
     .outcomes = ASSAY__OUTCOMES_NOT_FINITE},
    {.name = "infeasible regions",
     .parameters = ASSAY__MIXED_SPACE,
     .outcomes = ASSAY__OUTCOMES_REGIONS},
    {.name = "every trial fails",
     .parameters = ASSAY__MIXED_SPACE,
     .outcomes = ASSAY__OUTCOMES_ALL_FAILED},
    {.name = "two objectives",
     .parameters = ASSAY__MIXED_SPACE,
     .outcomes = ASSAY__OUTCOMES_SMOOTH,
     .objectives = 2,
     .cap = ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE},
    {.name = "four objectives",
     .parameters = ASSAY__MIXED_SPACE,
     .outcomes = ASSAY__OUTCOMES_SMOOTH,
     .objectives = 4,
     .cap = ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE},
    {.name = "constraints",
     .parameters = ASSAY__MIXED_SPACE,
     .outcomes = ASSAY__OUTCOMES_SMOOTH,
     .constraints = 2,
     .cap = ASSAY_PLUGIN_CAP_CONSTRAINTS},
    {.name = "a long study",
     .parameters = ASSAY__MIXED_SPACE,
     .outcomes = ASSAY__OUTCOMES_MIXED,
     .is_long = true},
};

struct study {
    struct assay__check *check;
    const struct assay__scenario *scenario;
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
        return assay__check_fail(study->check, "it would resume trial %lld, which there is not",
                                 (long long)number);
    if (++study->resumed > 10 * (study->made + 1))
        return assay__check_fail(study->check, "it resumes trials and never ends");
    json_object_set(trial, "budget", json_object_get(suggestion, "budget"));
    assay__check_end_trial(study->scenario, trial);
    return assay__check_budget(study->check, study->spec, suggestion) &&
           assay__check_tell_one(study->check, study->proposer, trial);
}

/* The next trial of the study; `ret_end` when there is none. */
static bool
play_one(struct study *study, size_t limit, bool *ret_end)
{
    struct assay__check *check = study->check;
    int64_t number = (int64_t)study->made + 1;
    bool again_exhausted;
    json_auto_t *trials = assay__check_ask(check, study->proposer, number, 1, &study->exhausted);
    json_t *trial = json_array_get(trials, 0);
    const json_t *parameters = json_object_get(trial, "parameters");
    size_t every = limit < 1000 ? 37 : 499;

    *ret_end = trials != NULL && trial == NULL;
    if (trial == NULL)
        return trials != NULL;
    if (!assay__check_same(check, json_incref(trials),
                           assay__check_ask(check, study->proposer, number, 1, &again_exhausted),
                           "asked again"))
        return false;
    if (study->made % every == 11 &&
        !assay__check_replay(check, study->spec, study->history, number, trials,
                             study->made % 2 == 0 ? 10 : 1))
        return false;
    if (json_object_get(trial, "resume") != NULL)
        return resume_one(study, trial);
    if (!assay__check_point(check, study->space, parameters) ||
        !assay__check_unseen(check, study->seen, parameters) ||
        !assay__check_budget(check, study->spec, trial))
        return false;
    assay__check_set_state(trial, "pending");
    if (!assay__check_tell_one(check, study->proposer, trial))
        return false;
    if (study->scenario->outcomes == ASSAY__OUTCOMES_MIXED && study->made % 4 == 3)
        assay__check_set_state(trial, "running"); /* and stays so */
    else
        assay__check_end_trial(study->scenario, trial);
    json_array_append(study->history, trial);
    study->made++;
    return assay__check_tell_one(check, study->proposer, trial);
}

/* Ends the trials that run; whether there were any. */
static bool
end_running(struct study *study)
{
    bool some = false;

    for (size_t i = 0; i < json_array_size(study->history); i++) {
        json_t *trial = json_array_get(study->history, i);

        if (strcmp(json_string_value(json_object_get(trial, "state")), "running") == 0) {
            assay__check_set_state(trial, "cancelled");
            some = assay__check_tell_one(study->check, study->proposer, trial);
        }
    }
    return some;
}

static bool
check_end(struct study *study, size_t limit)
{
    double points = assay_space_cardinality(study->space);
    struct assay__check *check = study->check;

    if (study->made == limit)
        return true;
    if (!study->exhausted && assay__check_may_wait(check))
        return true;
    if (!study->exhausted)
        return assay__check_fail(
            check, "no point after %zu trials, and no word that the space is used up", study->made);
    if ((double)study->made < points && !(isinf(points) && check->limits->own_lattice))
        return assay__check_fail(check, "it said that the space is used up after %zu of %g points",
                                 study->made, points);
    return true;
}

static bool
play(struct assay__check *check, const struct assay__scenario *scenario, uint64_t seed,
     size_t limit)
{
    struct study study = {.check = check,
                          .scenario = scenario,
                          .spec = assay__check_spec(check, scenario, seed),
                          .seen = json_object(),
                          .history = json_array()};
    bool end = false, fine;

    study.space = assay__check_space(study.spec);
    study.proposer = assay__check_open(check, study.spec);
    fine = study.proposer != NULL;
    while (fine && !end && study.made < limit && !assay__check_is_late(check)) {
        fine = play_one(&study, limit, &end);
        if (fine && end && !study.exhausted && assay__check_may_wait(check))
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

static const struct {
    const char *name;
    bool (*run)(struct assay__check *check);
} others[] = {
    {"points of users", assay__check_users_points},
    {"batches", assay__check_batches},
    {"trials end in any order", assay__check_order},
    {"two studies at once", assay__check_two_studies},
    {"told to stop", assay__check_stop},
    {"time per ask, 1,000 trials", assay__check_time},
    {"memory", assay__check_memory},
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
    struct assay__check check = {.algorithm = algorithm,
                                 .limits = limits,
                                 .result = ret_result,
                                 .start_us = assay_monotonic_us()};
    const struct assay__scenario *scenario =
        index < ASSAY_COUNT(scenarios) ? &scenarios[index] : NULL;

    *ret_result =
        (struct assay_conformance_result){.outcome = ASSAY_CONFORMANCE_PASSED, .ask_us = NAN};
    if (scenario == NULL) {
        (void)others[index - ASSAY_COUNT(scenarios)].run(&check);
    } else if (scenario->cap != 0 && !(algorithm->caps & scenario->cap)) {
        (void)assay__check_refuse(&check, "its capabilities leave this out");
    } else {
        size_t limit = scenario->is_long    ? limits->long_trials
                       : scenario->wide > 0 ? ASSAY_MIN(limits->trials, (size_t)60)
                                            : limits->trials;

        if (play(&check, scenario, 1, limit) && !scenario->is_long && scenario->wide == 0)
            (void)play(&check, scenario, 2, limit);
        if (ret_result->outcome == ASSAY_CONFORMANCE_PASSED && assay__check_is_late(&check))
            snprintf(ret_result->sentence, sizeof ret_result->sentence,
                     "cut short after %zu trials: it is slow", ret_result->trials);
    }
}

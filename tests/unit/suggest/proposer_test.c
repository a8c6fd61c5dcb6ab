/* Constraints, sources and priors on their way from JSON to an algorithm. */
#include "tests/unit/suggest/support.h"

#include "suggest/history.h"
#include "suggest/proposer.h"

static const char two_bounds[] =
    "{'objective':{'metric':'loss','goal':'minimize'},'seed':1,'algorithm':{'name':'sobol'},"
    "'constraints':[{'metric':'ms','max':20},{'metric':'recall','min':0.5,'max':1}],"
    "'parameters':[{'name':'x','type':'double','min':0,'max':1}]}";

static assay_status
open_with(const char *spec_text, const char *sources_text, struct assay_proposer **ret_proposer,
          struct assay_error *err)
{
    json_t *spec = json_of(spec_text);
    json_t *sources = sources_text != NULL ? json_of(sources_text) : NULL;
    assay_status status = assay_proposer_new(spec, sources, ret_proposer, err);

    json_decref(sources);
    json_decref(spec);
    return status;
}

static void
test_constraints_told(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *trials;
        assay_status status;
        const char *message;
    } cases[] = {
        {"[{'number':1,'state':'succeeded','parameters':{'x':0.5},'values':[1],"
         "'constraints':[30,0.7]}]",
         ASSAY_OK, NULL},
        {"[{'number':1,'state':'succeeded','parameters':{'x':0.5},'values':[1],"
         "'constraints':[null,'nan']}]",
         ASSAY_OK, NULL},
        {"[{'number':2,'state':'pending','parameters':{'x':0.5},'values':null,"
         "'constraints':null}]",
         ASSAY_OK, NULL},
        {"[{'number':1,'state':'succeeded','parameters':{'x':0.5},'values':[1],"
         "'constraints':[30]}]",
         ASSAY_E_INVALID_VALUE, "constraints is not an array of 2 items"},
        {"[{'number':1,'state':'succeeded','parameters':{'x':0.5},'values':[1],"
         "'constraints':[30,'much']}]",
         ASSAY_E_INVALID_VALUE, "constraint 1 is not a number"},
    };
    struct assay_proposer *proposer;

    assert_int_equal(open_with(two_bounds, NULL, &proposer, NULL), ASSAY_OK);
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        json_t *trials = json_of(cases[i].trials);
        struct assay_error err = {0};

        assert_int_equal(assay_proposer_tell(proposer, trials, &err), cases[i].status);
        if (cases[i].message != NULL)
            assert_non_null(strstr(err.message, cases[i].message));
        json_decref(trials);
    }
    assay_proposer_free(proposer);
}

static void
test_sources_checked(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *sources;
        assay_status status;
        const char *message;
    } cases[] = {
        {"[]", ASSAY_OK, NULL},
        {"[{'name':'a','trials':[{'number':1,'state':'succeeded','parameters':{'x':0.5},"
         "'values':[1],'constraints':[1,1]},{'number':2,'state':'failed',"
         "'parameters':{'x':0.1}}]}]",
         ASSAY_OK, NULL},
        {"[{'name':'a','trials':[]}]", ASSAY_E_INVALID_STUDY, "lacks name or trials"},
        {"[{'trials':[{'number':1,'state':'failed','parameters':{'x':0.5}}]}]",
         ASSAY_E_INVALID_STUDY, "lacks name or trials"},
        {"[{'name':'a','trials':[{'number':1,'state':'succeeded','parameters':{'x':7}}]}]",
         ASSAY_E_INVALID_VALUE, "trial 1"},
        {"[{'name':'a','trials':7}]", ASSAY_E_INVALID_VALUE, "not an array"},
    };

    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct assay_proposer *proposer = NULL;
        struct assay_error err = {0};

        assert_int_equal(open_with(two_bounds, cases[i].sources, &proposer, &err), cases[i].status);
        if (cases[i].message != NULL)
            assert_non_null(strstr(err.message, cases[i].message));
        assay_proposer_free(proposer);
    }
}

/* Twenty trials; every second one was stopped, with or without a forecast, or went on to
 * what the forecast says. */
static json_t *
twenty_trials(const char *state, bool foretold)
{
    json_t *trials = json_array();

    for (int64_t i = 1; i <= 20; i++) {
        double x = (double)i / 21.0, end = 1.0 - (x - 0.4) * (x - 0.4);
        bool whole = i % 2 == 0;
        json_t *trial = json_pack(
            "{s:I, s:s, s:{s:f, s:f}, s:[f], s:I}", "number", (json_int_t)i, "state",
            whole ? "succeeded" : state, "parameters", "x", x, "y", 0.7 * x, "values",
            whole || strcmp(state, "succeeded") == 0 ? end : end - 0.5 * x, "steps", (json_int_t)3);

        if (!whole && foretold)
            json_object_set_new(trial, "forecast", json_real(end));
        json_array_append_new(trials, trial);
    }
    return trials;
}

static json_t *
next_four(const char *algorithm, const char *state, bool foretold)
{
    char spec[400];
    struct assay_proposer *proposer;
    json_t *trials = twenty_trials(state, foretold), *answer, *points = json_array(), *trial;
    static const int64_t numbers[] = {21, 22, 23, 24};
    bool exhausted;
    size_t i;

    snprintf(spec, sizeof spec,
             "{'objective':{'metric':'acc','goal':'maximize'},'seed':3,'algorithm':{'name':'%s'},"
             "'parameters':[{'name':'x','type':'double','min':0,'max':1},"
             "{'name':'y','type':'double','min':0,'max':1}]}",
             algorithm);
    assert_int_equal(open_with(spec, NULL, &proposer, NULL), ASSAY_OK);
    assert_int_equal(assay_proposer_tell(proposer, trials, NULL), ASSAY_OK);
    assert_int_equal(assay_proposer_ask(proposer, numbers, 4, &answer, &exhausted, NULL), ASSAY_OK);
    json_array_foreach(answer, i, trial)
        json_array_append(points, json_object_get(trial, "parameters"));
    json_decref(answer);
    json_decref(trials);
    assay_proposer_free(proposer);
    return points;
}

/* A trial that was stopped teaches what is foretold of it as if it had been measured. */
static void
test_forecasts_teach(void **state ASSAY_UNUSED)
{
    static const char *const algorithms[] = {"bayesian", "tpe", "cmaes", "nsga2", "auto"};

    for (size_t i = 0; i < ASSAY_COUNT(algorithms); i++) {
        json_t *whole = next_four(algorithms[i], "succeeded", false);
        json_t *foretold = next_four(algorithms[i], "stopped", true);
        json_t *stopped = next_four(algorithms[i], "stopped", false);

        if (!json_equal(whole, foretold) || json_equal(whole, stopped))
            fail_msg("%s: whole %s, foretold %s, stopped %s", algorithms[i], json_dumps(whole, 0),
                     json_dumps(foretold, 0), json_dumps(stopped, 0));
        json_decref(whole);
        json_decref(foretold);
        json_decref(stopped);
    }
}

static void
test_history_knows_feasible(void **state ASSAY_UNUSED)
{
    static const struct {
        uint32_t state;
        double value, constraints[2], violation;
        bool measured, usable;
    } cases[] = {
        {ASSAY_PLUGIN_SUCCEEDED, 1.0, {-0.5, 0.0}, 0.0, true, true},
        {ASSAY_PLUGIN_SUCCEEDED, 1.0, {0.25, 0.5}, 0.75, true, false},
        {ASSAY_PLUGIN_STOPPED, 1.0, {-1.0, NAN}, INFINITY, true, false},
        {ASSAY_PLUGIN_SUCCEEDED, NAN, {-1.0, -1.0}, 0.0, false, false},
        {ASSAY_PLUGIN_FAILED, 1.0, {-1.0, -1.0}, 0.0, false, false},
    };
    struct assay_space *space = space_of("[{'name':'x','type':'double','min':0,'max':1}]");
    struct assay_view *view = assay_view_new(space);
    struct assay_history *history = assay_history_new(assay_view_space(view), 1, 2, 0);
    double point = 0.5;

    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        const struct assay_history_trial *trial;

        assay_history_tell(history, &(struct assay_plugin_trial){
                                        .number = 1,
                                        .state = cases[i].state,
                                        .point = &point,
                                        .values = &cases[i].value,
                                        .constraints = cases[i].constraints,
                                        .budget = NAN,
                                        .steps = -1,
                                    });
        trial = assay_history_find(history, 1);
        assert_true(trial->violation == cases[i].violation);
        assert_int_equal(trial->measured, cases[i].measured);
        assert_int_equal(trial->usable, cases[i].usable);
    }
    assay_history_free(history);
    assay_view_free(view);
    assay_space_free(space);
}

static void
test_priors_shown(void **state ASSAY_UNUSED)
{
    struct assay_space *space =
        space_of("[{'name':'lr','type':'double','min':0.001,'max':1,'scale':'log',"
                 "'prior':{'value':0.01,'confidence':'high'}},"
                 "{'name':'opt','type':'categorical','values':['a','b'],'prior':{'value':'b'}},"
                 "{'name':'n','type':'discrete','values':[1,2,4],"
                 "'prior':{'value':4,'confidence':'low'}},"
                 "{'name':'free','type':'bool'}]");
    struct assay_view *view = assay_view_new(space);
    const struct assay_plugin_parameter *const *shown = assay_view_space(view)->parameters;

    assert_near(shown[0]->prior_value, 0.01, 0.0);
    assert_near(shown[0]->prior_spread, 0.125, 0.0);
    assert_true(isnan(shown[0]->prior_weight));
    assert_near(shown[1]->prior_value, 1.0, 0.0);
    assert_near(shown[1]->prior_weight, 4.0, 0.0);
    assert_true(isnan(shown[1]->prior_spread));
    assert_near(shown[2]->prior_value, 2.0, 0.0);
    assert_near(shown[2]->prior_spread, 0.5, 0.0);
    assert_true(isnan(shown[3]->prior_value));
    assay_view_free(view);
    assay_space_free(space);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constraints_told), cmocka_unit_test(test_sources_checked),
        cmocka_unit_test(test_forecasts_teach),  cmocka_unit_test(test_history_knows_feasible),
        cmocka_unit_test(test_priors_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

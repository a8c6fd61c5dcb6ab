/* Studies in simulated time against what can be worked out by hand. */
#include "tests/unit/suggest/support.h"

#include <stdlib.h>
#include <string.h>

#include "suggest/simulate/request.h"

static json_t *
request_of(const char *algorithm, const char *settings, bool checkpoints)
{
    json_t *request = json_object(), *study;

    study = json_of("{'name':'sim','objective':{'metric':'loss','goal':'minimize'},"
                    "'parameters':[{'name':'x','type':'double','min':0,'max':1},"
                    "{'name':'k','type':'categorical','values':['a','b']}],"
                    "'budget':{'name':'epochs','min':1,'max':9,'eta':3},'seed':3}");
    json_object_set_new(study, "algorithm",
                        json_pack("{s:s, s:o}", "name", algorithm, "settings", json_of(settings)));
    json_object_set_new(study, "trial",
                        json_pack("{s:[s], s:b}", "command", "true", "checkpoints", checkpoints));
    json_object_set_new(request, "study", study);
    return request;
}

static json_t *
answer_of(json_t *request)
{
    json_t *answer = assay_simulate_answer(request);
    const char *error = json_string_value(json_object_get(answer, "error"));

    if (error != NULL) {
        assay_auto_free char *faults =
            json_dumps(json_object_get(answer, "faults"), JSON_ENCODE_ANY);

        fail_msg("%s %s", error, faults);
    }
    json_decref(request);
    return answer;
}

static double
figure(const json_t *answer, const char *section, const char *member)
{
    const json_t *run = json_array_get(json_object_get(answer, "runs"), 0);

    return json_number_value(json_object_get(json_object_get(run, section), member));
}

/* Six whole trials of nine seconds on two workers. */
static void
test_times_add_up(void **state ASSAY_UNUSED)
{
    json_t *request = request_of("random", "{}", true), *answer;
    const json_t *progress;

    json_object_update_new(request, json_of("{'workers':2,'trials':6,'start_seconds':1,"
                                            "'curves':[{'parameters':{'x':0.5,'k':'a'},"
                                            "'values':[9,8,7,6,5,4,3,2,1],'seconds':18}]}"));
    answer = answer_of(request);
    assert_near(figure(answer, "trials", "succeeded"), 6.0, 0.0);
    assert_near(figure(answer, "steps", "used"), 54.0, 1e-9);
    assert_near(figure(answer, "steps", "saved_percent"), 0.0, 1e-9);
    assert_near(figure(answer, "time", "seconds"), 3.0 * 19.0, 1e-6);
    assert_near(figure(answer, "time", "worker_seconds"), 6.0 * 19.0, 1e-6);
    assert_near(figure(answer, "time", "idle_percent_worst"), 0.0, 1e-9);
    assert_near(figure(answer, "best", "value"), 1.0, 0.0);
    assert_near(figure(answer, "best", "at_step"), 9.0, 0.0);
    /* The first to start gets every improvement: 3, 5, … seconds. */
    progress = json_object_get(json_array_get(json_object_get(answer, "runs"), 0), "progress");
    assert_int_equal(json_array_size(progress), 9);
    assert_near(json_number_value(json_object_get(json_array_get(progress, 1), "seconds")), 5.0,
                1e-6);
    json_decref(answer);
}

/* Three of nine go on from epoch 1 to 3, one of these to 9: 9 + 3 * 2 + 6 epochs. */
static void
test_promotion_pays_the_difference(void **state ASSAY_UNUSED)
{
    for (int checkpoints = 0; checkpoints < 2; checkpoints++) {
        json_t *request =
            request_of("asha", "{'type':'promotion','sampler':'random'}", checkpoints);
        json_t *answer, *curves = json_array();

        for (int i = 0; i < 9; i++)
            json_array_append_new(curves, json_pack("{s:{s:f,s:s},s:[i,i,i,i,i,i,i,i,i]}",
                                                    "parameters", "x", i / 9.0, "k", "b", "values",
                                                    i, i, i, i, i, i, i, i, i));
        json_object_set_new(request, "curves", curves);
        json_object_set_new(request, "trials", json_integer(9));
        json_object_set_new(request, "list", json_true());
        answer = answer_of(request);
        assert_near(figure(answer, "trials", "begun"), 9.0, 0.0);
        assert_near(figure(answer, "trials", "succeeded"), 1.0, 0.0);
        assert_near(figure(answer, "trials", "paused"), 8.0, 0.0);
        /* One worker: whom it promotes early on may have to be made up for. */
        assert_in_range((uint64_t)figure(answer, "trials", "resumed"), 3, 6);
        if (checkpoints && figure(answer, "trials", "resumed") <= 4.0)
            assert_near(figure(answer, "steps", "used"), 9.0 + 3.0 * 2.0 + 6.0, 1e-9);
        assert_near(figure(answer, "best", "value"), 0.0, 0.0);
        json_decref(answer);
    }
}

/* The rule comes with the algorithm where trials can not be resumed. */
static void
test_stopping_type_brings_its_rule(void **state ASSAY_UNUSED)
{
    json_t *request = request_of("asha", "{'sampler':'random'}", false), *answer;
    const json_t *run;

    json_object_set_new(request, "trials", json_integer(60));
    answer = answer_of(request);
    run = json_array_get(json_object_get(answer, "runs"), 0);
    assert_string_equal(json_string_value(json_object_get(run, "rule")), "asha");
    assert_near(figure(answer, "trials", "paused"), 0.0, 0.0);
    assert_true(figure(answer, "trials", "stopped") > 20.0);
    assert_true(figure(answer, "steps", "saved_percent") > 20.0);
    assert_int_equal(json_array_size(json_object_get(answer, "warnings")), 2);
    json_decref(answer);
}

/* Curves that crash, end early or are not finite. */
static void
test_bad_curves(void **state ASSAY_UNUSED)
{
    static const char *const algorithms[] = {"random", "asha", "hyperband", "bohb", "pbt"};

    for (size_t a = 0; a < ASSAY_COUNT(algorithms); a++) {
        json_t *request = request_of(algorithms[a], "{}", true), *answer;

        json_object_update_new(
            request, json_of("{'workers':3,'trials':40,'curves':["
                             "{'parameters':{'x':0.1,'k':'a'},'values':[3,2],'state':'failed'},"
                             "{'parameters':{'x':0.2,'k':'a'},'values':[null,'nan','inf']},"
                             "{'parameters':{'x':0.3,'k':'b'},'values':[3,2,1]},"
                             "{'parameters':{'x':0.4,'k':'b'},'values':[5,4],'steps':[2,7.5]}]}"));
        answer = answer_of(request);
        assert_near(figure(answer, "trials", "running"), 0.0, 0.0);
        assert_true(figure(answer, "trials", "failed") > 0.0);
        assert_near(figure(answer, "best", "value"), 1.0, 0.0);
        json_decref(answer);
    }
}

static void
test_the_same_again(void **state ASSAY_UNUSED)
{
    static const char *const algorithms[] = {"asha", "hyperband", "bohb", "pbt", "tpe"};

    for (size_t a = 0; a < ASSAY_COUNT(algorithms); a++) {
        json_t *answers[2];

        for (size_t i = 0; i < 2; i++) {
            json_t *request = request_of(algorithms[a], "{}", true);

            json_object_update_new(request,
                                   json_of("{'workers':5,'trials':50,'runs':2,'list':true}"));
            answers[i] = answer_of(request);
        }
        assert_true(json_equal(answers[0], answers[1]));
        /* Another seed, another run. */
        assert_false(json_equal(json_array_get(json_object_get(answers[0], "runs"), 0),
                                json_array_get(json_object_get(answers[0], "runs"), 1)));
        json_decref(answers[0]);
        json_decref(answers[1]);
    }
}

/* With 64 workers of different pace none waits. */
static void
test_nobody_waits(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *name, *settings;
        int trials;
    } plans[] = {
        {"asha", "{'sampler':'random'}", 3000},
        {"asha", "{'sampler':'tpe','brackets':3}", 1500},
        {"asha", "{}", 150},
        {"asha", "{'type':'stopping','sampler':'random'}", 1500},
        {"hyperband", "{}", 3000},
        {"bohb", "{}", 1500},
    };

    for (size_t i = 0; i < ASSAY_COUNT(plans); i++) {
        json_t *request = request_of(plans[i].name, plans[i].settings, true), *answer;

        json_object_set_new(json_object_get(request, "study"), "budget",
                            json_of("{'name':'epochs','min':1,'max':81,'eta':3}"));
        json_object_set_new(request, "workers", json_integer(64));
        json_object_set_new(request, "trials", json_integer(plans[i].trials));
        json_object_set_new(request, "seconds_spread", json_real(1.0));
        answer = answer_of(request);
        assert_near(figure(answer, "trials", "begun"), plans[i].trials, 0.0);
        assert_true(figure(answer, "time", "idle_percent_worst") <= 1.0);
        json_decref(answer);
    }
}

static void
test_limit_of_steps(void **state ASSAY_UNUSED)
{
    json_t *request = request_of("random", "{}", true), *answer;

    json_object_update_new(request, json_of("{'workers':4,'trials':100,'max_steps':50}"));
    answer = answer_of(request);
    assert_in_range((uint64_t)figure(answer, "steps", "used"), 50, 51);
    assert_near(figure(answer, "trials", "running"), 4.0, 0.0);
    json_decref(answer);
}

static void
test_what_is_wrong_is_said(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *change, *sentence;
    } wrongs[] = {
        {"{'workers':0}", "workers is not a number from 1 to 100000"},
        {"{'runs':'many'}", "runs is not a number"},
        {"{'curves':[]}", "curves is not an array"},
        {"{'curves':[{'parameters':{'x':0.1,'k':'a'},'values':[]}]}", "curve 1: values"},
        {"{'curves':[{'parameters':{'x':7,'k':'a'},'values':[1]}]}", "curve 1"},
        {"{'curves':[{'parameters':{'x':0.1,'k':'a'},'values':[1,2],'steps':[2,2]}]}",
         "curve 1: steps are not above 0 and increasing at item 1"},
        {"{'curves':[{'parameters':{'x':0.1,'k':'a'},'values':[1,{}]}]}", "value 1 is not"},
        {"{'curves':[{'parameters':{'x':0.1,'k':'a'},'values':[1],'seconds':-1}]}", "seconds"},
        {"{'study':7}", "the request has no study"},
        {"{'study':{'name':'x'}}", "the study file has faults"},
    };

    for (size_t i = 0; i < ASSAY_COUNT(wrongs); i++) {
        json_t *request = request_of("random", "{}", true), *answer;
        const char *error;

        json_object_update_new(request, json_of(wrongs[i].change));
        answer = assay_simulate_answer(request);
        error = json_string_value(json_object_get(answer, "error"));
        assert_non_null(error);
        if (strstr(error, wrongs[i].sentence) == NULL)
            fail_msg("\"%s\" instead of \"%s\"", error, wrongs[i].sentence);
        json_decref(answer);
        json_decref(request);
    }
}

/* Thousands of trials a second; printed, and not tested where others share the machine. */
static void
test_speed(void **state ASSAY_UNUSED)
{
    json_t *request = request_of("hyperband", "{}", true), *answer;
    int64_t begun_us = assay_monotonic_us();

    json_object_update_new(request, json_of("{'workers':64,'trials':20000}"));
    answer = answer_of(request);
    print_message("%.0f trials a second\n", figure(answer, "trials", "begun") /
                                                ((double)(assay_monotonic_us() - begun_us) / 1e6));
    json_decref(answer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_add_up),
        cmocka_unit_test(test_promotion_pays_the_difference),
        cmocka_unit_test(test_stopping_type_brings_its_rule),
        cmocka_unit_test(test_bad_curves),
        cmocka_unit_test(test_the_same_again),
        cmocka_unit_test(test_nobody_waits),
        cmocka_unit_test(test_limit_of_steps),
        cmocka_unit_test(test_what_is_wrong_is_said),
        cmocka_unit_test(test_speed),
    };

    return cmocka_run_group_tests_name("simulate", tests, NULL, NULL);
}

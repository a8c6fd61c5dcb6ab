/* A study's section early_stopping at work: rules joined, trials held back, the record. */
#include "tests/unit/suggest/support.h"

#include "schemas/study.h"
#include "suggest/registry.h"
#include "suggest/stopping.h"

static struct assay_stopping *
stopping_of(const char *section, const char *goal)
{
    struct assay_faults faults = {0};
    struct assay_error err = {0};
    json_t *file = json_of("{'parameters':[{'name':'x','type':'double','min':0,'max':1}]}");
    struct assay_study_spec *spec, *again;
    struct assay_stopping *stopping;

    json_object_set_new(file, "objective", json_pack("{s:s, s:s}", "metric", "loss", "goal", goal));
    json_object_set_new(file, "early_stopping", json_of(section));
    spec = assay_study_decode(file, NULL, assay_registry_checks(), &faults);
    if (spec == NULL)
        fail_msg("%s %s", faults.items[0].pointer, faults.items[0].message);
    /* The normalised file says the same. */
    again = assay_study_decode(spec->document, NULL, assay_registry_checks(), &faults);
    assert_non_null(again);
    assert_true(json_equal(spec->document, again->document));
    assert_int_equal(assay_stopping_new(again, &stopping, &err), ASSAY_OK);
    assay_study_free(spec);
    assay_study_free(again);
    json_decref(file);
    return stopping;
}

static struct assay_decision
report(struct assay_stopping *stopping, int64_t number, int64_t step, double value)
{
    struct assay_decision decision;

    assay_stopping_report(stopping, number, step, value, &decision);
    assert_string_equal(decision.metric, "loss");
    return decision;
}

static void
test_any(void **state ASSAY_UNUSED)
{
    struct assay_stopping *stopping =
        stopping_of("{'name':'any','rules':[{'name':'patience','settings':{'patience':3}},"
                    "{'name':'threshold','settings':{'max':10}}]}",
                    "minimize");
    struct assay_decision decision;

    assert_string_equal(assay_stopping_name(stopping), "any");
    assert_false(report(stopping, 1, 1, 5.0).stop);
    decision = report(stopping, 1, 2, 11.0);
    assert_true(decision.stop);
    assert_string_equal(decision.rule, "threshold");
    assert_true(decision.value == 11.0 && decision.threshold == 10.0 && decision.step == 2);
    assert_non_null(strstr(decision.sentence, "above 10"));
    /* The other rule has heard of all of it. */
    (void)report(stopping, 1, 3, 6.0);
    decision = report(stopping, 1, 4, 6.0);
    assert_true(decision.stop);
    assert_string_equal(decision.rule, "patience");
    assay_stopping_free(stopping);
}

static void
test_all(void **state ASSAY_UNUSED)
{
    struct assay_stopping *stopping =
        stopping_of("{'name':'all','rules':[{'name':'patience','settings':{'patience':2}},"
                    "{'name':'any','rules':[{'name':'threshold','settings':{'max':4}}]}]}",
                    "minimize");
    struct assay_decision decision;

    for (int64_t s = 1; s <= 3; s++)
        decision = report(stopping, 1, s, 3.0);
    assert_false(decision.stop);                    /* patience alone */
    assert_false(report(stopping, 2, 1, 9.0).stop); /* threshold alone */
    (void)report(stopping, 2, 2, 9.0);
    decision = report(stopping, 2, 3, 9.0);
    assert_true(decision.stop);
    assert_string_equal(decision.rule, "patience");
    assert_non_null(strstr(decision.sentence, "not improved"));
    assert_non_null(strstr(decision.sentence, "; and "));
    assert_non_null(strstr(decision.sentence, "above 4"));
    assay_stopping_free(stopping);
}

static void
complete(struct assay_stopping *stopping, int64_t number, double value, int64_t n)
{
    for (int64_t s = 1; s <= n; s++)
        (void)report(stopping, number, s, value);
    assay_stopping_finish(stopping, number, ASSAY_TRIAL_SUCCEEDED);
}

static void
test_protect_best(void **state ASSAY_UNUSED)
{
    for (int maximize = 0; maximize < 2; maximize++) {
        double sign = maximize ? -1.0 : 1.0;
        struct assay_stopping *stopping =
            stopping_of("{'name':'threshold','settings':{'min':-0.5,'max':0.5},'protect_best':3}",
                        maximize ? "maximize" : "minimize");

        for (int64_t n = 1; n <= 5; n++)
            complete(stopping, n, sign * (double)n, 4);
        assert_false(report(stopping, 6, 1, sign * 2.5).stop); /* the third */
        assert_true(report(stopping, 7, 1, sign * 3.5).stop);  /* the fourth */
        assert_false(report(stopping, 7, 2, sign * 1.5).stop);
        assay_stopping_free(stopping);
    }
}

static void
test_checks(void **state ASSAY_UNUSED)
{
    struct assay_stopping *stopping =
        stopping_of("{'name':'threshold','settings':{'max':1},'checks':3}", "minimize");

    assert_false(report(stopping, 1, 1, 2.0).stop);
    assert_false(report(stopping, 1, 2, 2.0).stop);
    assert_false(report(stopping, 1, 2, 2.0).stop); /* the same step again */
    assert_false(report(stopping, 1, 3, 0.5).stop); /* from the start */
    assert_false(report(stopping, 1, 4, 2.0).stop);
    assert_false(report(stopping, 1, 5, 2.0).stop);
    assert_true(report(stopping, 1, 6, 2.0).stop);
    assay_stopping_free(stopping);
}

static void
test_warmup(void **state ASSAY_UNUSED)
{
    struct assay_stopping *stopping =
        stopping_of("{'name':'threshold','settings':{'max':1},'warmup_steps':3}", "minimize");

    assert_false(report(stopping, 1, 2, 2.0).stop);
    assert_true(report(stopping, 1, 3, 2.0).stop);
    assay_stopping_free(stopping);
    stopping =
        stopping_of("{'name':'threshold','settings':{'max':1},'warmup_share':0.25}", "minimize");
    assert_false(report(stopping, 1, 90, 2.0).stop); /* nothing is known of lengths */
    complete(stopping, 2, 0.5, 40);
    assert_false(report(stopping, 3, 9, 2.0).stop);
    assert_true(report(stopping, 3, 10, 2.0).stop);
    assay_stopping_free(stopping);
}

static void
test_faults(void **state ASSAY_UNUSED)
{
    struct assay_faults faults = {0};
    json_t *file = json_of("{'objective':{'metric':'a','goal':'minimize'},"
                           "'parameters':[{'name':'x','type':'bool'}],'early_stopping':"
                           "{'name':'any','rules':[{'name':'asha','settings':{'eta':1}},"
                           "{'name':'mean'},{'name':'threshold','settings':{'mix':1}}]}}");

    assert_null(assay_study_decode(file, NULL, assay_registry_checks(), &faults));
    assert_int_equal(faults.count, 3);
    assert_string_equal(faults.items[0].pointer, "/early_stopping/rules/0/settings/eta");
    assert_string_equal(faults.items[1].pointer, "/early_stopping/rules/1/name");
    assert_string_equal(faults.items[2].pointer, "/early_stopping/rules/2/settings/mix");
    assay_faults_done(&faults);
    json_decref(file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any),          cmocka_unit_test(test_all),
        cmocka_unit_test(test_protect_best), cmocka_unit_test(test_checks),
        cmocka_unit_test(test_warmup),       cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

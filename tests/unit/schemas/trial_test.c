/* Trials and events as JSON, measurements and metrics from JSON. */

#include "tests/unit/schemas/help.h"

#include "schemas/trial.h"

static void
a_new_trial_is_written(void **state)
{
    struct assay_trial trial = {
        .number = 3,
        .state = ASSAY_TRIAL_QUEUED,
        .parameters = json_of("{'lr': 0.1}"),
        .metrics = json_object(),
        .value = NAN,
        .budget = NAN,
        .why = json_of("{'proposed_by': 'sobol'}"),
        .lease_expires_us = ASSAY_TIME_NONE,
        .last_step = -1,
        .created_us = INT64_C(1767323045123456),
        .started_us = ASSAY_TIME_NONE,
        .finished_us = ASSAY_TIME_NONE,
    };
    json_auto_t *json = assay_trial_encode(&trial, "default", "digits");
    json_auto_t *wanted = json_of(
        "{'number':3,'study':'digits','project':'default','state':'queued','reason':null,"
        "'message':null,'parameters':{'lr':0.1},'metrics':{},'value':null,'budget':null,"
        "'attempts':[],'why':{'proposed_by':'sobol'},'client':null,'lease_expires':null,"
        "'steps':null,'created_at':'2026-01-02T03:04:05.123456Z','started_at':null,"
        "'finished_at':null}");

    (void)state;
    assert_true(json_equal(json, wanted));
    assay_trial_done(&trial);
    assert_null(trial.parameters);
}

static void
an_ended_trial_is_written(void **state)
{
    struct assay_attempt *attempts = assay_zalloc(1, sizeof *attempts);
    struct assay_trial trial = {
        .number = 3,
        .state = ASSAY_TRIAL_FAILED,
        .reason = ASSAY_TRIAL_REASON_SIGNAL,
        .message = assay_strdup("killed"),
        .parameters = json_object(),
        .metrics = json_of("{'loss': 'nan'}"),
        .value = INFINITY,
        .budget = 9.0,
        .why = json_object(),
        .client = assay_strdup("w1"),
        .lease_expires_us = 0,
        .last_step = 0,
        .created_us = 0,
        .started_us = 1,
        .finished_us = 1500000,
        .attempts = attempts,
        .n_attempts = 1,
    };
    json_auto_t *json = NULL;
    json_auto_t *wanted = json_of(
        "{'number':3,'study':'s','project':'p','state':'failed','reason':'signal',"
        "'message':'killed','parameters':{},'metrics':{'loss':'nan'},'value':null,'budget':9.0,"
        "'attempts':[{'number':1,'state':'exited','exit_code':null,'signal':9,'reason':'signal',"
        "'message':null,'pid':4711,'gpus':[0],'started_at':'1970-01-01T00:00:00.000000Z',"
        "'finished_at':null}],'why':{},'client':'w1',"
        "'lease_expires':'1970-01-01T00:00:00.000000Z','steps':0,"
        "'created_at':'1970-01-01T00:00:00.000000Z','started_at':'1970-01-01T00:00:00.000001Z',"
        "'finished_at':'1970-01-01T00:00:01.500000Z'}");

    (void)state;
    attempts[0] = (struct assay_attempt){.number = 1,
                                         .state = ASSAY_ATTEMPT_EXITED,
                                         .reason = ASSAY_TRIAL_REASON_SIGNAL,
                                         .exit_code = -1,
                                         .signal = 9,
                                         .pid = 4711,
                                         .gpus = json_of("[0]"),
                                         .finished_us = ASSAY_TIME_NONE};
    json = assay_trial_encode(&trial, "p", "s");
    if (!json_equal(json, wanted))
        fail_msg("%s", json_dumps(json, JSON_INDENT(1)));
    assay_trial_done(&trial);
}

static void
events_are_written(void **state)
{
    const struct assay_event event = {.id = 5, .time_us = 0, .type = "study_state"};
    json_auto_t *json = assay_event_encode(&event);
    json_auto_t *wanted = json_of("{'id':5,'time':'1970-01-01T00:00:00.000000Z',"
                                  "'type':'study_state','trial':null,'message':'','data':{}}");

    (void)state;
    assert_true(json_equal(json, wanted));
}

static void
measurements_are_read(void **state)
{
    json_auto_t *json = json_of("[{'metrics': {'a': 1}}, {'step': 7, 'time': "
                                "'2026-01-02T03:04:05Z', 'metrics': {'a': 'NaN', 'b c': '-inf'}},"
                                " {'metrics': {'a': 2.5}}, {'metrics': {}}]");
    struct assay_measurements list = {0};
    struct assay_faults faults = {0};

    (void)state;
    assert_true(assay_measurements_decode(json, "/m", 3, 99, &faults, &list));
    assert_int_equal(list.count, 4);
    assert_int_equal(list.items[0].step, 3);
    assert_int_equal(list.items[0].time_us, 99);
    assert_true(list.items[0].value == 1.0);
    assert_int_equal(list.items[1].step, 7);
    assert_int_equal(list.items[1].time_us, INT64_C(1767323045000000));
    assert_true(isnan(list.items[1].value));
    assert_string_equal(list.items[2].metric, "b c");
    assert_true(list.items[2].value == -INFINITY);
    assert_int_equal(list.items[3].step, 8);
    assay_measurements_done(&list);
    assert_int_equal(list.count, 0);
}

static void
bad_measurements_add_nothing(void **state)
{
    static const struct {
        const char *json, *pointer, *message;
    } rows[] = {
        {"{}", "/m", "must be an array of measurements, not an object"},
        {"[3]", "/m/0", "must be an object, not a number"},
        {"[{}]", "/m/0/metrics", "metrics is missing"},
        {"[{'metrics': 3}]", "/m/0/metrics", "must be an object of metric values, not a number"},
        {"[{'metrics': {'a': 1}}, {'metrics': {'a': true}}]", "/m/1/metrics/a",
         "the value of a metric must be a number"},
        {"[{'metrics': {'a': '0.3'}}]", "/m/0/metrics/a", "the value of a metric must be a number"},
        {"[{'metrics': {'': 1}}]", "/m/0/metrics/", "not a valid metric name"},
        {"[{'step': -1, 'metrics': {}}]", "/m/0/step", "step is out of range"},
        {"[{'step': 1.5, 'metrics': {}}]", "/m/0/step", "step must be a whole number"},
        {"[{'step': '1', 'metrics': {}}]", "/m/0/step", "step must be an integer, not a string"},
        {"[{'time': 'now', 'metrics': {}}]", "/m/0/time", "time is malformed"},
        {"[{'time': 3, 'metrics': {}}]", "/m/0/time", "time is malformed"},
        {"[{'steps': 3, 'metrics': {}}]", "/m/0/steps",
         "unknown key \"steps\"; did you mean \"step\"?"},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        json_auto_t *json = json_of(rows[i].json);
        struct assay_measurements list = {0};
        struct assay_faults faults = {0};

        assay_measurements_add(&list, 1, 2, "before", 3.0);
        assert_false(assay_measurements_decode(json, "/m", 0, 0, &faults, &list));
        if (find_fault(&faults, rows[i].pointer, rows[i].message) == NULL) {
            print_faults(&faults);
            fail_msg("%s", rows[i].json);
        }
        assert_int_equal(list.count, 1);
        assay_measurements_done(&list);
        assay_faults_done(&faults);
    }
}

static void
calls_are_bounded(void **state)
{
    json_auto_t *json = json_array();
    struct assay_measurements list = {0};
    struct assay_faults faults = {0};

    (void)state;
    for (int i = 0; i < ASSAY_MEASUREMENTS_PER_CALL_MAX; i++)
        json_array_append_new(json, json_pack("{s:{s:i}}", "metrics", "a", i));
    assert_true(assay_measurements_decode(json, "", 0, 0, &faults, &list));
    assert_int_equal(list.count, ASSAY_MEASUREMENTS_PER_CALL_MAX);
    json_array_append_new(json, json_pack("{s:{}}", "metrics"));
    assert_false(assay_measurements_decode(json, "", 0, 0, &faults, &list));
    assay_measurements_done(&list);
    assay_faults_done(&faults);
}

static void
final_metrics_are_read(void **state)
{
    json_auto_t *json = json_of("{'a': 1, 'b': 'Infinity', 'c': '-INF', 'd': 0.25}");
    json_auto_t *bad = json_of("{'a': null, 'b': 1}");
    json_auto_t *wanted = json_of("{'a': 1.0, 'b': 'inf', 'c': '-inf', 'd': 0.25}");
    json_auto_t *metrics = NULL;
    struct assay_faults faults = {0};

    (void)state;
    assert_true(assay_metrics_decode(json, "/metrics", &faults, &metrics));
    assert_true(json_equal(metrics, wanted));
    assert_false(assay_metrics_decode(bad, "/metrics", &faults, &metrics));
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.items[0].pointer, "/metrics/a");
    assay_faults_done(&faults);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_trial_is_written),
        cmocka_unit_test(an_ended_trial_is_written),
        cmocka_unit_test(events_are_written),
        cmocka_unit_test(measurements_are_read),
        cmocka_unit_test(bad_measurements_add_nothing),
        cmocka_unit_test(calls_are_bounded),
        cmocka_unit_test(final_metrics_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

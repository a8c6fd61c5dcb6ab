/* What a good study file becomes, and that it reads back as the same. */

#include "schemas/decode.h"
#include "tests/unit/schemas/help.h"

#include "schemas/filter.h"
#include "schemas/point.h"

static const char full[] =
    "name: digits-mlp\n"
    "project: default\n"
    "objectives:\n"
    "  - {metric: val_accuracy, goal: maximize, target: 0.985}\n"
    "  - {metric: seconds, goal: minimize}\n"
    "constraints: [{metric: latency_ms, max: 20}, {metric: size, min: 1, max: 2}]\n"
    "parameters:\n"
    "  - {name: lr,        type: double, min: 1.0e-5, max: 1.0, scale: log, default: 0.01}\n"
    "  - {name: units,     type: int, min: 8, max: 512, scale: log}\n"
    "  - {name: dropout,   type: double, min: 0, max: 0.6, step: 0.1}\n"
    "  - {name: batch,     type: discrete, values: [128, 16, 32, 64]}\n"
    "  - {name: optimizer, type: categorical, values: [sgd, adam]}\n"
    "  - {name: momentum,  type: double, min: 0, max: 0.99, when: {optimizer: [sgd]}}\n"
    "  - {name: nesterov,  type: bool, when: {optimizer: sgd, momentum: {min: 0.5}}}\n"
    "algorithm: {name: auto}\n"
    "early_stopping: {name: median, settings: {min_trials: 5, warmup_steps: 3}}\n"
    "budget: {name: epochs, min: 1, max: 81, eta: 3}\n"
    "limits: {trials: 50, parallel: 4, failed_trials: 5, time: 2h, gpu_hours: 20}\n"
    "start_with: [{lr: 0.01, units: 64}]\n"
    "warm_start: [{study: digits-mlp-v1}]\n"
    "seed: 7\n"
    "trial:\n"
    "  command: [python3, train.py, --lr, \"${lr}\", 20, \"$${HOME}\"]\n"
    "  environment: {OMP_NUM_THREADS: 1, FLAG: true, TEXT: on}\n"
    "  code: {git: \"https://git.example/x\", revision: abc123}\n"
    "  metrics: {from: stdout, filter: '([\\w|-]+)\\s*=\\s*([+-]?\\d*(\\.\\d+)?([Ee][+-]?\\d+)?)'}\n"
    "  resources: {gpus: 1, cpus: 2.5, memory: 4Gi}\n"
    "  retries: 2\n"
    "  timeout: 30m\n"
    "  kubernetes: {image: x, affinity: {spec: {a: \"${units}\"}}}\n";

static struct assay_study_spec *
decode(const char *text)
{
    json_auto_t *json = yaml_of(text, NULL);
    struct assay_faults faults = {0};
    struct assay_study_spec *spec = assay_study_decode(json, "default", NULL, &faults);

    if (spec == NULL) {
        print_faults(&faults);
        fail_msg("%s", text);
    }
    assay_faults_done(&faults);
    return spec;
}

static void
a_full_file_is_read(void **state)
{
    struct assay_study_spec *spec = decode(full);

    (void)state;
    assert_string_equal(spec->name, "digits-mlp");
    assert_int_equal(spec->n_objectives, 2);
    assert_int_equal(spec->objectives[0].goal, ASSAY_GOAL_MAXIMIZE);
    assert_true(spec->objectives[0].target == 0.985);
    assert_true(isnan(spec->objectives[1].target));
    assert_int_equal(spec->n_constraints, 2);
    assert_true(spec->constraints[0].min == -INFINITY && spec->constraints[0].max == 20.0);
    assert_int_equal(spec->space->n_parameters, 7);
    assert_string_equal(spec->early_stopping.name, "median");
    assert_string_equal(spec->budget.name, "epochs");
    assert_true(spec->budget.max == 81.0);
    assert_int_equal(spec->limits.trials, 50);
    assert_int_equal(spec->limits.time_us, INT64_C(7200000000));
    assert_int_equal(spec->n_start_with, 1);
    assert_true(spec->has_seed && spec->seed == 7);
    assert_int_equal(spec->lease_us, 300 * INT64_C(1000000));
    assert_int_equal(spec->trial->n_command, 6);
    assert_string_equal(spec->trial->command[4], "20");
    assert_null(spec->trial->command[6]);
    assert_string_equal(json_string_value(json_object_get(spec->trial->environment, "FLAG")),
                        "true");
    assert_string_equal(json_string_value(json_object_get(spec->trial->environment, "TEXT")), "on");
    assert_string_equal(spec->trial->metrics_filter, ASSAY_FILTER_KATIB);
    assert_int_equal(spec->trial->memory_bytes, INT64_C(4) << 30);
    assert_int_equal(spec->trial->timeout_us, INT64_C(1800000000));
    assert_int_equal(spec->trial->grace_us, 30000000);
    assert_int_equal(spec->trial->infrastructure_retries, 3);
    assay_study_free(spec);
}

static void
the_normalised_file_reads_back_the_same(void **state)
{
    static const char *const files[] = {
        full,
        "objective: {metric: a, goal: minimize}\nparameters: [{name: a, type: bool}]\n",
        "objective: {metric: a, goal: minimize}\n"
        "parameters: [{name: a, type: int, min: 3, max: 3}, {name: b, type: double, min: -1e-7, "
        "max: 1e300}, {name: c, type: categorical, values: [1, true, \"1\", 0.1]}]\n"
        "limits: {time: 90.5, gpu_hours: 0.1}\nlease: 1d\n"
        "trial: {command: [x], code: {directory: /x}, grace: 1500us, timeout: 250ms,"
        " metrics: {from: prometheus, url: 'http://localhost/'}}\n",
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(files); i++) {
        struct assay_study_spec *spec = decode(files[i]), *again;
        struct assay_faults faults = {0};
        assay_auto_free char *text = json_dumps(spec->document, 0);
        json_auto_t *parsed = json_loads(text, 0, NULL);

        again = assay_study_decode(parsed, "default", NULL, &faults);
        if (again == NULL)
            print_faults(&faults);
        assert_non_null(again);
        assert_true(json_equal(spec->document, again->document));
        assert_int_equal(spec->seed, again->seed);
        assert_int_equal(spec->limits.time_us, again->limits.time_us);
        assert_true(spec->lease_us == again->lease_us);
        for (size_t k = 0; k < spec->n_start_with; k++)
            assert_true(assay_point_equal(spec->space, spec->start_with[k], again->start_with[k]));
        assay_study_free(again);
        assay_study_free(spec);
    }
}

static void
what_is_left_out_has_defaults(void **state)
{
    struct assay_study_spec *spec = decode("objective: {metric: a, goal: minimize}\n"
                                           "parameters: [{name: a, type: bool}]\n"
                                           "limits:\nalgorithm: ~\n");

    (void)state;
    assert_true(assay_name_valid(spec->name));
    assert_string_equal(spec->project, "default");
    assert_string_equal(spec->algorithm.name, "auto");
    assert_null(spec->early_stopping.name);
    assert_null(spec->budget.name);
    assert_int_equal(spec->limits.trials, 0);
    assert_int_equal(spec->limits.parallel, 0); /* ask and tell */
    assert_int_equal(spec->limits.failed_trials, -1);
    assert_false(spec->has_seed);
    assert_true(spec->seed < UINT64_C(1) << 31);
    assert_null(spec->trial);
    assay_study_free(spec);
    spec = decode("objective: {metric: a, goal: minimize}\nparameters: [{name: a, type: bool}]\n"
                  "trial: {command: [x]}\n");
    assert_int_equal(spec->limits.parallel, 1);
    assert_int_equal(spec->trial->metrics_from, ASSAY_METRICS_STDOUT);
    assay_study_free(spec);
}

static void
names_and_seeds_are_fresh(void **state)
{
    static const char text[] =
        "objective: {metric: a, goal: minimize}\nparameters: [{name: a, type: bool}]\n";
    struct assay_study_spec *a = decode(text), *b = decode(text);

    (void)state;
    assert_string_not_equal(a->name, b->name);
    assert_int_not_equal(a->seed, b->seed);
    assay_study_free(a);
    assay_study_free(b);
}

static void
start_with_is_completed(void **state)
{
    struct assay_study_spec *spec = decode(full);
    json_auto_t *point = assay_point_encode(spec->space, spec->start_with[0]);
    json_auto_t *wanted = json_of("{'lr': 0.01, 'units': 64, 'dropout': 0.3, 'batch': 16, "
                                  "'optimizer': 'sgd', 'momentum': 0.495}");

    (void)state;
    if (!json_equal(point, wanted))
        fail_msg("%s", json_dumps(point, 0));
    assay_study_free(spec);
}

static void
names_are_checked(void **state)
{
    static const char *const good[] = {"a", "0", "a.b_c-d", "digits-mlp-v1"};
    static const char *const bad[] = {"", "-a", ".a", "_a", "A", "a b", "a/b", "ä"};
    char longest[65];

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(good); i++)
        assert_true(assay_name_valid(good[i]));
    for (size_t i = 0; i < ASSAY_COUNT(bad); i++)
        assert_false(assay_name_valid(bad[i]));
    memset(longest, 'a', sizeof longest);
    longest[63] = '\0';
    assert_true(assay_name_valid(longest));
    longest[63] = 'a';
    longest[64] = '\0';
    assert_false(assay_name_valid(longest));
}

static void
grids_are_counted_with_their_conditions(void **state)
{
    /* 2 * 3 where a is true, 1 where it is false: 7 is not above the limit. */
    struct assay_study_spec *spec =
        decode("objective: {metric: a, goal: minimize}\nalgorithm: {name: grid}\n"
               "parameters: [{name: a, type: categorical, values: [x, y, z]},\n"
               " {name: b, type: int, min: 1, max: 3, when: {a: [x, y]}}]\nlimits: {trials: 7}\n");

    (void)state;
    assay_study_free(spec);
    /* The algorithm decides how finely it takes a continuous range. */
    spec = decode("objective: {metric: a, goal: minimize}\nalgorithm: {name: grid}\n"
                  "parameters: [{name: a, type: double, min: 0, max: 1}]\nlimits: {trials: 7}\n");
    assay_study_free(spec);
}

/* --- the callers' own checks --- */

static void
refuse_algorithm(const struct assay_study_spec *spec, const char *pointer,
                 struct assay_faults *faults)
{
    assert_string_equal(pointer, "/algorithm");
    assay_fault_add(faults, "/algorithm/name", NULL, NULL, "no %s here", spec->algorithm.name);
}

static void
refuse_rule(const struct assay_study_spec *spec, const char *pointer, struct assay_faults *faults)
{
    assert_string_equal(pointer, "/early_stopping");
    assay_fault_add(faults, "/early_stopping/name", NULL, NULL, "no %s here",
                    spec->early_stopping.name);
}

static void
checks_of_the_caller_add_faults(void **state)
{
    static const struct assay_study_checks checks = {refuse_algorithm, refuse_rule};
    json_auto_t *json = yaml_of("objective: {metric: a, goal: minimize}\nparameters: 3\n"
                                "early_stopping: {name: x}\n",
                                NULL);
    struct assay_faults faults = {0};

    (void)state;
    assert_null(assay_study_decode(json, "default", &checks, &faults));
    assert_int_equal(faults.count, 3);
    assert_non_null(find_fault(&faults, "/algorithm/name", "no auto here"));
    assert_non_null(find_fault(&faults, "/early_stopping/name", "no x here"));
    assay_faults_done(&faults);
}

/* --- limits --- */

static void
limits_are_patched(void **state)
{
    const struct assay_limits old = {
        .trials = 50, .parallel = 4, .failed_trials = 5, .time_us = 7200000000, .gpu_hours = 20.0};
    json_auto_t *patch = json_of("{'limits': {'trials': 80, 'time': null, 'failed_trials': 0}}");
    struct assay_faults faults = {0};
    struct assay_limits limits;

    (void)state;
    assert_true(assay_limits_patch(&old, patch, true, &faults, &limits));
    assert_int_equal(limits.trials, 80);
    assert_int_equal(limits.parallel, 4);
    assert_int_equal(limits.failed_trials, 0);
    assert_int_equal(limits.time_us, 0);
    assert_true(limits.gpu_hours == 20.0);
}

static void
bad_patches_are_refused(void **state)
{
    static const struct {
        const char *patch, *pointer;
    } rows[] = {
        {"[]", ""},
        {"{}", "/limits"},
        {"{'limits': 3}", "/limits"},
        {"{'limits': {}, 'name': 'x'}", "/name"},
        {"{'limits': {'trials': 0}}", "/limits/trials"},
        {"{'limits': {'trails': 9}}", "/limits/trails"},
    };
    const struct assay_limits old = {.parallel = 1, .failed_trials = -1};

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        json_auto_t *patch = json_of(rows[i].patch);
        struct assay_faults faults = {0};
        struct assay_limits limits = {.trials = 12345};

        assert_false(assay_limits_patch(&old, patch, true, &faults, &limits));
        assert_non_null(find_fault(&faults, rows[i].pointer, NULL));
        assert_int_equal(limits.trials, 12345);
        assay_faults_done(&faults);
    }
}

static void
limits_are_written(void **state)
{
    const struct assay_limits limits = {
        .trials = 50, .parallel = 4, .failed_trials = 0, .time_us = 5400000000};
    const struct assay_limits none = {.failed_trials = -1};
    json_auto_t *json = assay_limits_encode(&limits, true);
    json_auto_t *wanted = json_of("{'trials': 50, 'parallel': 4, 'failed_trials': 0, "
                                  "'time': '1h30m', 'gpu_hours': null}");
    json_auto_t *empty = assay_limits_encode(&none, false);

    (void)state;
    assert_true(json_equal(json, wanted));
    assert_true(json_is_null(json_object_get(empty, "parallel")));
    assert_true(json_is_null(json_object_get(empty, "failed_trials")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_file_is_read),
        cmocka_unit_test(the_normalised_file_reads_back_the_same),
        cmocka_unit_test(what_is_left_out_has_defaults),
        cmocka_unit_test(names_and_seeds_are_fresh),
        cmocka_unit_test(start_with_is_completed),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(grids_are_counted_with_their_conditions),
        cmocka_unit_test(checks_of_the_caller_add_faults),
        cmocka_unit_test(limits_are_patched),
        cmocka_unit_test(bad_patches_are_refused),
        cmocka_unit_test(limits_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

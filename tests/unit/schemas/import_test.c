/* Files of W&B and Determined as study files, and study files as YAML. */
#include "tests/unit/schemas/import_support.h"

static void
check_yaml(const char *text, enum assay_import_kind kind, const struct expected *expected)
{
    json_auto_t *file = yaml_of(text, NULL);
    assay_auto_import struct assay_import import = {0};
    struct assay_study_spec *spec;

    assert_int_equal(assay_import_recognise(file), kind);
    spec = study_of(file, &import);
    check_members(spec->document, expected);
    assay_study_free(spec);
}

static const char sweep[] =
    "program: train.py\n"
    "name: My Sweep\n"
    "project: somewhere\n"
    "method: bayes\n"
    "metric: {name: val_loss, goal: minimize, target: 0.1}\n"
    "parameters:\n"
    "  lr: {distribution: log_uniform_values, min: 0.001, max: 0.1}\n"
    "  wd: {distribution: log_uniform, min: -9.210340371976182, max: 0}\n"
    "  layers: {min: 2, max: 8}\n"
    "  dropout: {distribution: q_uniform, min: 0, max: 0.5, q: 0.1}\n"
    "  batch: {values: [64, 16, 32]}\n"
    "  optimizer:\n"
    "    parameters:\n"
    "      kind: {values: [adam, sgd], probabilities: [0.9, 0.1]}\n"
    "  epochs: {value: 10}\n"
    "early_terminate: {type: hyperband, min_iter: 3, eta: 2}\n"
    "run_cap: 40\n";

static void
sweeps_are_translated(void **state)
{
    static const struct expected expected[] = {
        {"/name", "'my-sweep'"},
        {"/algorithm/name", "'bayesian'"},
        {"/objectives", "[{'metric': 'val_loss', 'goal': 'minimize', 'target': 0.1}]"},
        {"/parameters/0/scale", "'log'"},
        {"/parameters/2/type", "'int'"},
        {"/parameters/3/step", "0.1"},
        {"/parameters/4/values", "[16, 32, 64]"},
        {"/parameters/5/name", "'optimizer.kind'"},
        {"/parameters/6/values", "[10]"},
        {"/early_stopping/name", "'asha'"},
        {"/early_stopping/settings", "{'min_steps': 3, 'eta': 2}"},
        {"/limits/trials", "40"},
        {"/trial/command",
         "['/usr/bin/env', 'python3', 'train.py', '--lr=${lr}', '--wd=${wd}', '--layers=${layers}',"
         " '--dropout=${dropout}', '--batch=${batch}', '--optimizer.kind=${optimizer.kind}',"
         " '--epochs=${epochs}']"},
        {NULL, NULL}};

    (void)state;
    check_yaml(sweep, ASSAY_IMPORT_WANDB, expected);
}

static const char experiment[] =
    "name: mnist_search\n"
    "entrypoint: python3 train.py\n"
    "hyperparameters:\n"
    "  global_batch_size: 64\n"
    "  lr: {type: log, base: 10, minval: -4, maxval: -1}\n"
    "  model:\n"
    "    layers: {type: int, minval: 1, maxval: 4}\n"
    "    act: {type: categorical, vals: [relu, gelu]}\n"
    "  dropout: {type: double, minval: 0, maxval: 0.5}\n"
    "searcher:\n"
    "  name: adaptive_asha\n"
    "  metric: accuracy\n"
    "  smaller_is_better: false\n"
    "  time_metric: batches\n"
    "  max_time: 1024\n"
    "  max_trials: 20\n"
    "resources: {slots_per_trial: 2}\n"
    "environment: {environment_variables: [A=1]}\n"
    "max_restarts: 1\n";

static void
determineds_are_translated(void **state)
{
    static const struct expected expected[] = {
        {"/name", "'mnist_search'"},
        {"/objectives", "[{'metric': 'accuracy', 'goal': 'maximize'}]"},
        {"/parameters/0", "{'name': 'global_batch_size', 'type': 'discrete', 'values': [64]}"},
        {"/parameters/1/min", "0.0001"},
        {"/parameters/1/scale", "'log'"},
        {"/parameters/2/name", "'model.layers'"},
        {"/budget", "{'name': 'batches', 'min': 4, 'max': 1024, 'eta': 4}"},
        {"/algorithm/name", "'asha'"},
        {"/limits/trials", "20"},
        {"/limits/parallel", "16"},
        {"/trial/command", "['sh', '-c', 'python3 train.py']"},
        {"/trial/environment", "{'A': '1'}"},
        {"/trial/retries", "1"},
        {"/trial/resources/gpus", "2"},
        {NULL, NULL}};
    static const char grid[] =
        "searcher: {name: grid, metric: loss}\n"
        "hyperparameters:\n"
        "  a: {type: double, minval: 0, maxval: 1, count: 5}\n"
        "  b: {type: log, minval: -2, maxval: 0, count: 3}\n";
    static const struct expected of_grid[] = {
        {"/parameters/0/values", "[0, 0.25, 0.5, 0.75, 1]"},
        {"/algorithm/name", "'grid'"},
        {NULL, NULL}};

    (void)state;
    check_yaml(experiment, ASSAY_IMPORT_DETERMINED, expected);
    check_yaml(grid, ASSAY_IMPORT_DETERMINED, of_grid);
}

static void
others_faults(void **state)
{
    static const struct {
        const char *text, *pointer;
    } table[] = {
        {"method: custom\nmetric: {name: a}\nparameters: {x: {min: 0, max: 1}}\n", "/method"},
        {"method: random\nparameters: {x: {min: 0, max: 1}}\n", "/metric"},
        {"method: random\nmetric: {name: a, goal: down}\nparameters: {x: {min: 0, max: 1}}\n",
         "/metric/goal"},
        {"method: random\nmetric: {name: a}\nparameters: {x: {distribution: beta}}\n",
         "/parameters/x/distribution"},
        {"method: random\nmetric: {name: a}\nparameters: {x: {min: 3, max: 1}}\n",
         "/parameters/x"},
        {"method: random\nmetric: {name: a}\nparameters: {x: {values: [[1]]}}\n",
         "/parameters/x/values/0"},
        {"method: random\nmetric: {name: a}\nparameters: {x: {min: 0, max: 1}}\n"
         "early_terminate: {type: other}\n", "/early_terminate/type"},
        {"method: random\nmetric: {name: a}\nparameters: {x: {min: 0, max: 1}}\n"
         "command: [\"${program}\", \"${args_json_file}\"]\n", "/command/1"},
        {"searcher: {name: pbt, metric: a}\nhyperparameters: {x: 1}\n", "/searcher/name"},
        {"searcher: {name: random}\nhyperparameters: {x: 1}\n", "/searcher/metric"},
        {"searcher: {name: adaptive_asha, metric: a}\nhyperparameters: {x: 1}\n",
         "/searcher/max_time"},
        {"searcher: {name: grid, metric: a}\n"
         "hyperparameters: {x: {type: double, minval: 0, maxval: 1}}\n",
         "/hyperparameters/x/count"},
        {"searcher: {name: random, metric: a}\nhyperparameters: {x: {type: float}}\n",
         "/hyperparameters/x/type"},
        {"searcher: {name: random, metric: a}\nhyperparameters: {x: {type: int, minval: 0}}\n",
         "/hyperparameters/x/maxval"},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(table); i++) {
        json_auto_t *file = yaml_of(table[i].text, NULL);
        assay_auto_import struct assay_import import = {0};
        struct assay_faults faults = {0};

        assert_null(
            assay_import_decode(file, "default", assay_registry_checks(), &import, &faults));
        if (find_fault(&faults, table[i].pointer, NULL) == NULL) {
            print_faults(&faults);
            fail_msg("%s: no fault at %s", table[i].text, table[i].pointer);
        }
        assay_faults_done(&faults);
    }
}

static void
yaml_reads_back(void **state)
{
    static const char *const texts[] = {
        "{'a': 'yes', 'b': '1', 'c': '', 'd': ' x', 'e': '- y', 'f': '\\n', 'g': null, 'h': 1.0}",
        "{'a': [], 'b': {}, 'c': [[1, [2]], {'x': [{'y': [1]}]}], 'd': [{'a': 1, 'b': {'c': 2}}]}",
        "{'list': ['a long and a longer text', 'a long and a longest text', 'no text at all']}",
        "{'1': true, 'a b': -0.5, 'null': 'null', '/a': '/b', '-': '-'}",
        "[1, {'a': 2}]",
        "{'~': '#', 'x': 'a: b', 'y': '${lr}', 'z': 'nan', 'u': '\\u00e4'}",
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(texts); i++) {
        assay_auto_buffer struct assay_buffer yaml = {0};
        json_auto_t *json = json_of(texts[i]);
        json_auto_t *back = NULL;

        assay_yaml_write(json, &yaml);
        back = yaml_of(yaml.data, NULL);
        if (!json_equal(json, back))
            fail_msg("%s\n%s", texts[i], yaml.data);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sweeps_are_translated),
        cmocka_unit_test(determineds_are_translated),
        cmocka_unit_test(others_faults),
        cmocka_unit_test(yaml_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

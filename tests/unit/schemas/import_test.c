/* Files of Katib, W&B and Determined as study files.  The Experiments are those of
 * tests/katib; the test skips when it is not run from the top of the tree. */
#include "tests/unit/schemas/help.h"

#include <dirent.h>

#include "common/file.h"
#include "schemas/import.h"
#include "schemas/katib/view.h"
#include "suggest/registry.h"

#define FOLDER "tests/katib"

static json_t *
read_experiment(const char *name)
{
    assay_auto_free char *path = assay_format(FOLDER "/%s.yaml", name);
    assay_auto_free char *text = NULL;
    struct assay_error err = {0};
    json_t *json = NULL;
    size_t length;

    if (assay_file_read(path, 1 << 20, &text, &length, &err) < 0) {
        print_message("%s\n", err.message);
        skip();
    }
    assert_int_equal(assay_yaml_read(text, length, &json, NULL, &err), ASSAY_OK);
    return json;
}

/* The study that a file becomes; fails with its faults. */
static struct assay_study_spec *
study_of(const json_t *file, struct assay_import *import)
{
    struct assay_faults faults = {0};
    struct assay_study_spec *spec =
        assay_import_decode(file, "default", assay_registry_checks(), import, &faults);

    if (spec == NULL) {
        print_faults(&faults);
        fail_msg("%zu faults", faults.count);
    }
    assert_int_equal(faults.count, 0);
    return spec;
}

static const json_t *
at(const json_t *json, const char *pointer)
{
    assay_auto_free char *rest = assay_strdup(pointer + 1);
    char *state = NULL;

    for (char *key = strtok_r(rest, "/", &state); key != NULL; key = strtok_r(NULL, "/", &state)) {
        for (char *c = key; *c != '\0'; c++) {
            if (*c == '~')
                *c = '/';
        }
        json = json_is_array(json) ? json_array_get(json, strtoul(key, NULL, 10))
                                   : json_object_get(json, key);
    }
    return json;
}

/* Members of the study ("~" in the pointer: "/"), as JSON with single quotes. */
struct expected {
    const char *pointer, *value;
};

static void
check_members(const json_t *document, const struct expected *expected)
{
    for (; expected->pointer != NULL; expected++) {
        json_auto_t *wanted = json_of(expected->value);
        const json_t *found = at(document, expected->pointer);

        if (!json_equal(found, wanted)) {
            assay_auto_free char *text =
                found != NULL ? json_dumps(found, JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;

            fail_msg("%s is %s, not %s", expected->pointer, text != NULL ? text : "missing",
                     expected->value);
        }
    }
}

static void
check_experiment(const char *name, const struct expected *expected)
{
    json_auto_t *file = read_experiment(name);
    assay_auto_import struct assay_import import = {0};
    struct assay_study_spec *spec = study_of(file, &import);

    check_members(spec->document, expected);
    assay_study_free(spec);
}

#define CHECK(name, ...) \
    check_experiment(name, (const struct expected[]){__VA_ARGS__, {NULL, NULL}})

/* --- Katib: what it accepts */

static bool
is_refused(const char *name)
{
    return strncmp(name, "27-", 3) == 0 || strncmp(name, "32", 2) == 0;
}

/* Every one is taken or refused, the study reads back as itself, from YAML too. */
static void
experiments_are_translated(void **state)
{
    DIR *files = opendir(FOLDER);
    const struct dirent *entry;
    size_t n = 0;

    (void)state;
    if (files == NULL)
        skip();
    while ((entry = readdir(files)) != NULL) {
        const char *dot = strstr(entry->d_name, ".yaml");
        assay_auto_free char *name = NULL;
        assay_auto_buffer struct assay_buffer yaml = {0};
        assay_auto_import struct assay_import import = {0};
        json_auto_t *file = NULL;
        json_auto_t *back = NULL;
        struct assay_faults faults = {0};
        struct assay_study_spec *spec, *again;
        struct assay_error err = {0};

        if (dot == NULL)
            continue;
        name = assay_strndup(entry->d_name, (size_t)(dot - entry->d_name));
        file = read_experiment(name);
        assert_int_equal(assay_import_recognise(file), ASSAY_IMPORT_KATIB);
        if (is_refused(name)) {
            spec = assay_import_decode(file, "default", assay_registry_checks(), &import, &faults);
            assert_null(spec);
            assert_true(faults.count > 0);
            assay_faults_done(&faults);
            continue;
        }
        spec = study_of(file, &import);
        assay_yaml_write(spec->document, &yaml);
        if (assay_yaml_read(yaml.data, yaml.length, &back, NULL, &err) < 0)
            fail_msg("%s: %s in\n%s", name, err.message, yaml.data);
        again = assay_study_decode(back, "default", assay_registry_checks(), &faults);
        assert_non_null(again);
        assert_true(json_equal(spec->document, again->document));
        assay_study_free(again);
        assay_study_free(spec);
        n++;
    }
    closedir(files);
    assert_int_equal(n, 28);
}

static void
katibs_algorithms(void **state)
{
    (void)state;
    CHECK("05-bayesian-optimization", {"/algorithm/name", "'bayesian'"}, {"/seed", "10"});
    CHECK("06-cma-es", {"/algorithm", "{'name': 'cmaes', 'settings': {}}"});
    CHECK("07-grid", {"/algorithm/settings", "{'order': 'shuffled', 'partial': true}"},
          {"/limits/trials", "12"});
    CHECK("08-hyperband", {"/algorithm/name", "'hyperband'"},
          {"/budget", "{'name': 'num-epochs', 'min': 1, 'max': 2, 'eta': 2}"},
          {"/trial/kubernetes/template/spec/template/spec/containers/0/command/4",
           "'--epochs=${budget}'"});
    CHECK("10-multivariate-tpe", {"/algorithm/name", "'tpe'"});
    CHECK("13-simple-pbt", {"/algorithm/name", "'pbt'"},
          {"/algorithm/settings", "{'population': 40, 'quantile': 0.2, 'resample': 0}"},
          {"/trial/checkpoints", "true"},
          {"/trial/kubernetes/checkpoint_path", "'/var/log/katib/checkpoints/'"});
    CHECK("14-sobol", {"/algorithm/name", "'sobol'"});
    CHECK("03-median-stop",
          {"/early_stopping/settings", "{'min_trials': 1, 'warmup_steps': 2}"},
          {"/early_stopping/name", "'median'"}, {"/trial/kubernetes/retain", "true"});
}

static void
katibs_parameters(void **state)
{
    (void)state;
    CHECK("09-hyperopt-distribution", {"/parameters/0/step", "0.01"},
          {"/parameters/2/scale", "'log'"}, {"/parameters/2/type", "'int'"},
          {"/parameters/3/scale", "'log'"});
    CHECK("11-optuna-distribution", {"/parameters/0/step", "0.1"},
          {"/parameters/1/scale", "'log'"}, {"/parameters/3/min", "32"});
}

static void
katibs_objectives(void **state)
{
    (void)state;
    CHECK("12-random",
          {"/objectives",
           "[{'metric': 'loss', 'goal': 'minimize', 'target': 0.001, 'summary': 'min'}]"},
          {"/limits/parallel", "3"}, {"/limits/trials", "12"}, {"/limits/failed_trials", "2"});
    CHECK("20-xgboostjob-lightgbm", {"/objectives/0/metric", "'valid_1 auc'"},
          {"/objectives/0/summary", "'max'"},
          {"/trial/metrics/filter", "'(\\\\w+\\\\s\\\\w+)\\\\s:\\\\s((-?\\\\d+)(\\\\.\\\\d+)?)'"});
    CHECK("24-metrics-collection-strategy", {"/objectives/0/summary", "'min'"});
    CHECK("01-argo-workflow", {"/limits/failed_trials", "0"});
}

static void
katibs_collectors(void **state)
{
    (void)state;
    CHECK("02-median-stop-with-json-format",
          {"/trial/metrics", "{'from': 'file', 'path': '/katib/mnist.json', 'names': ['loss'],"
                             " 'steps': 'counted'}"});
    CHECK("19-tfjob-mnist-with-summaries",
          {"/trial/metrics", "{'from': 'tensorboard', 'path': '/mnist-with-summaries-logs/test'}"});
    CHECK("21-custom-metrics-collector",
          {"/trial/metrics", "{'from': 'file', 'path': '/katib/mnist.log', 'steps': 'counted'}"});
    CHECK("23-file-metrics-collector", {"/trial/metrics/path", "'/katib/mnist.log'"});
    CHECK("12-random", {"/trial/metrics", "{'from': 'stdout', 'steps': 'counted'}"});
}

static void
katibs_templates(void **state)
{
    (void)state;
    CHECK("12-random", {"/trial/kubernetes/namespace", "'team'"},
          {"/trial/kubernetes/primary_container", "'training-container'"},
          {"/trial/kubernetes/template/kind", "'Job'"});
    CHECK("18-pytorchjob-mnist",
          {"/trial/kubernetes/primary_pod_labels",
           "{'training.kubeflow.org/job-role': 'master'}"});
    CHECK("19-tfjob-mnist-with-summaries",
          {"/trial/kubernetes/primary_pod_labels",
           "{'training.kubeflow.org/replica-type': 'worker'}"});
    CHECK("16-trainjob-pytorch",
          {"/trial/kubernetes/primary_pod_labels/batch.kubernetes.io~job-completion-index",
           "'0'"});
    /* What is not Katib's stays what it is. */
    CHECK("31-tekton-pipeline-run",
          {"/trial/kubernetes/template/spec/pipelineSpec/tasks/0/taskSpec/steps/0/args/0",
           "'lines=512; echo \\\"$${lines}\\\" > $(results.lines.path)'"},
          {"/trial/kubernetes/template/spec/params/0/value", "'${lr}'"});
    CHECK("33-trial-metadata-substitution",
          {"/trial/kubernetes/template/spec/template/spec/containers/0/env",
           "[{'name': 'TRIAL_NAME', 'value': '${trialSpec.Name}'},"
           " {'name': 'TRIAL_NAMESPACE', 'value': '${trialSpec.Namespace}'},"
           " {'name': 'JOB_KIND', 'value': 'Job'}, {'name': 'JOB_API_VERSION', 'value': 'batch/v1'},"
           " {'name': 'LABEL_CUSTOM_KEY', 'value': 'from-a-label'},"
           " {'name': 'ANNOTATION_CUSTOM_KEY', 'value': 'from-an-annotation'}]"});
}

/* --- Katib: what is refused, and where */

static void
set_at(json_t *json, const char *pointer, const char *value)
{
    assay_auto_free char *parent = assay_strdup(pointer);
    char *key = strrchr(parent, '/');
    json_t *to;

    *key++ = '\0';
    to = *parent != '\0' ? (json_t *)(uintptr_t)at(json, parent) : json;
    if (to == NULL)
        fail_msg("%s: no %s", pointer, parent);
    if (value == NULL)
        json_object_del(to, key);
    else if (json_is_array(to))
        json_array_set_new(to, strtoul(key, NULL, 10), json_of(value));
    else
        json_object_set_new(to, key, json_of(value));
}

/* One change of 12-random, and the fault it makes. */
static const struct {
    const char *pointer, *value, *fault, *message;
} refused[] = {
    {"/apiVersion", "'kubeflow.org/v1alpha3'", "/apiVersion",
     "this version of Katib's objects is not supported"},
    {"/kind", "'Trial'", "/kind", "of Katib's objects only an Experiment can be submitted"},
    {"/extra", "1", "/extra", NULL},
    {"/spec/extra", "1", "/spec/extra", NULL},
    {"/metadata", NULL, "/metadata", "metadata is missing"},
    {"/metadata/name", "'Random'", "/metadata/name", "not a valid name of an Experiment"},
    {"/metadata/name", "'a123456789a123456789a123456789a1234567890'", "/metadata/name", NULL},
    {"/metadata/labels", "{'a': 1}", "/metadata/labels/a", NULL},
    {"/spec/parallelTrialCount", "0", "/spec/parallelTrialCount", NULL},
    {"/spec/parallelTrialCount", "13", "/spec/parallelTrialCount",
     "parallelTrialCount is greater than maxTrialCount (12)"},
    {"/spec/maxTrialCount", "0", "/spec/maxTrialCount", NULL},
    {"/spec/maxFailedTrialCount", "-1", "/spec/maxFailedTrialCount", NULL},
    {"/spec/resumePolicy", "'Always'", "/spec/resumePolicy", NULL},
    {"/spec/objective", NULL, "/spec/objective", "objective is missing"},
    {"/spec/objective/type", "'min'", "/spec/objective/type", NULL},
    {"/spec/objective/objectiveMetricName", NULL, "/spec/objective/objectiveMetricName",
     "objectiveMetricName is missing"},
    {"/spec/objective/goal", "'a'", "/spec/objective/goal", NULL},
    {"/spec/objective/additionalMetricNames", "['loss']",
     "/spec/objective/additionalMetricNames/0",
     "loss is the objective; it can not be an additional metric too"},
    {"/spec/objective/metricStrategies", "[{'name': 'x', 'value': 'min'}]",
     "/spec/objective/metricStrategies/0/name", "x is no metric of this experiment"},
    {"/spec/objective/metricStrategies", "[{'name': 'loss', 'value': 'mean'}]",
     "/spec/objective/metricStrategies/0/value", NULL},
    {"/spec/algorithm", NULL, "/spec/algorithm", "algorithm is missing"},
    {"/spec/algorithm/algorithmName", "'darts'", "/spec/algorithm/algorithmName",
     "darts searches for neural architectures, which is not supported: Assay tunes parameters "
     "only"},
    {"/spec/algorithm/algorithmName", "'randm'", "/spec/algorithm/algorithmName",
     "unknown algorithm \"randm\"; did you mean \"random\"?"},
    {"/spec/algorithm/algorithmSettings", "[{'name': 'random_state', 'value': '-1'}]",
     "/spec/algorithm/algorithmSettings/0/value", "\"-1\" is not a value of random_state"},
    {"/spec/algorithm/algorithmSettings", "[{'name': 'gamma', 'value': '1'}]",
     "/spec/algorithm/algorithmSettings/0/name", NULL},
    {"/spec/algorithm", "{'algorithmName': 'hyperband'}", "/spec/algorithm/algorithmSettings",
     NULL},
    {"/spec/algorithm", "{'algorithmName': 'pbt'}", "/spec/algorithm/algorithmSettings", NULL},
    {"/spec/algorithm", "{'algorithmName': 'grid'}", "/spec/parameters/0/feasibleSpace/step",
     "a grid needs the step of a double parameter"},
    {"/spec/earlyStopping", "{'algorithmName': 'mean'}", "/spec/earlyStopping/algorithmName", NULL},
    {"/spec/earlyStopping",
     "{'algorithmName': 'medianstop', 'algorithmSettings': [{'name': 'start_step', 'value': '0'}]}",
     "/spec/earlyStopping/algorithmSettings/0/value", "\"0\" is not a value of start_step"},
    {"/spec/parameters", "[]", "/spec/parameters", "there are no parameters"},
    {"/spec/parameters/0/parameterType", "'float'", "/spec/parameters/0/parameterType", NULL},
    {"/spec/parameters/0/parameterType", "'unknown'", "/spec/parameters/0/parameterType",
     "a parameter of unknown type can not be tuned"},
    {"/spec/parameters/0/parameterType", "'categorical'",
     "/spec/parameters/0/feasibleSpace/min", "a list has no min"},
    {"/spec/parameters/0/parameterType", "'int'", "/spec/parameters/0/feasibleSpace/min",
     "min is not a whole number"},
    {"/spec/parameters/0/feasibleSpace/max", NULL, "/spec/parameters/0/feasibleSpace/max", NULL},
    {"/spec/parameters/0/feasibleSpace/min", "'0.06'", "/spec/parameters/0/feasibleSpace/min",
     "min is greater than max"},
    {"/spec/parameters/0/feasibleSpace/min", "'a'", "/spec/parameters/0/feasibleSpace/min",
     "min is not a number"},
    {"/spec/parameters/0/feasibleSpace/step", "'0'", "/spec/parameters/0/feasibleSpace/step",
     NULL},
    {"/spec/parameters/0/feasibleSpace/list", "['1']", "/spec/parameters/0/feasibleSpace/list",
     NULL},
    {"/spec/parameters/0/feasibleSpace",
     "{'min': '-1', 'max': '1', 'distribution': 'logUniform'}",
     "/spec/parameters/0/feasibleSpace/min",
     "min must be greater than 0 for a logarithmic distribution"},
    {"/spec/parameters/0/feasibleSpace/distribution", "'beta'",
     "/spec/parameters/0/feasibleSpace/distribution", NULL},
    {"/spec/parameters/1/name", "'lr'", "/spec/parameters/1/name", NULL},
    {"/spec/metricsCollectorSpec", "{'collector': {'kind': 'Other'}}",
     "/spec/metricsCollectorSpec/collector/kind", NULL},
    {"/spec/metricsCollectorSpec", "{'collector': {'kind': 'Custom'}}",
     "/spec/metricsCollectorSpec/collector/customCollector", NULL},
    {"/spec/metricsCollectorSpec",
     "{'collector': {'kind': 'File'}, 'source': {'fileSystemPath': {'path': 'a'}}}",
     "/spec/metricsCollectorSpec/source/fileSystemPath/path", "path is not absolute"},
    {"/spec/metricsCollectorSpec",
     "{'collector': {'kind': 'File'}, 'source': {'fileSystemPath': {'path': '/a', 'format': "
     "'JSON'}, 'filter': {'metricsFormat': ['(a)(b)']}}}",
     "/spec/metricsCollectorSpec/source/filter/metricsFormat", "the format JSON takes no filter"},
    {"/spec/metricsCollectorSpec",
     "{'collector': {'kind': 'TensorFlowEvent'}, 'source': {'fileSystemPath': {'path': '/a', "
     "'kind': 'File'}}}",
     "/spec/metricsCollectorSpec/source/fileSystemPath/kind", "this collector reads a Directory"},
    {"/spec/metricsCollectorSpec",
     "{'collector': {'kind': 'PrometheusMetric'}, 'source': {'httpGet': {'port': 0}}}",
     "/spec/metricsCollectorSpec/source/httpGet/port", "port is not the number of a port"},
    {"/spec/metricsCollectorSpec",
     "{'collector': {'kind': 'StdOut'}, 'source': {'filter': {'metricsFormat': ['(a)']}}}",
     "/spec/metricsCollectorSpec/source/filter/metricsFormat/0",
     "the expression has less than two groups"},
    {"/spec/metricsCollectorSpec",
     "{'collector': {'kind': 'StdOut'}, 'source': {'filter': {'metricsFormat': ['(a)([b)']}}}",
     "/spec/metricsCollectorSpec/source/filter/metricsFormat/0", NULL},
    {"/spec/trialTemplate", NULL, "/spec/trialTemplate", "trialTemplate is missing"},
    {"/spec/trialTemplate/primaryContainerName", NULL, "/spec/trialTemplate/primaryContainerName",
     NULL},
    {"/spec/trialTemplate/primaryContainerName", "'main'",
     "/spec/trialTemplate/primaryContainerName", "the Job has no container main"},
    {"/spec/trialTemplate/trialParameters", NULL, "/spec/trialTemplate/trialParameters", NULL},
    {"/spec/trialTemplate/trialParameters/0/name", "'a}'",
     "/spec/trialTemplate/trialParameters/0/name", "a name has no braces"},
    {"/spec/trialTemplate/trialParameters/0/reference", "'momentum'",
     "/spec/trialTemplate/trialParameters/1/reference", NULL},
    {"/spec/trialTemplate/trialParameters/0/reference", "'lrr'",
     "/spec/trialTemplate/trialParameters/0/reference", "there is no parameter lrr to refer to"},
    {"/spec/trialTemplate/trialParameters/0/reference", "'${trialSpec.Labels[a]}'",
     "/spec/trialTemplate/trialParameters/0/reference",
     "the template has no labels a in its metadata"},
    {"/spec/trialTemplate/trialParameters/0/reference", "'${trialSpec.Nam}'",
     "/spec/trialTemplate/trialParameters/0/reference", NULL},
    {"/spec/trialTemplate/trialSpec/kind", "'RayJob'", "/spec/trialTemplate/successCondition",
     "successCondition is missing: there is none by default for the kind RayJob"},
    {"/spec/trialTemplate/trialSpec/kind", NULL, "/spec/trialTemplate/trialSpec/kind",
     "kind is missing"},
    {"/spec/trialTemplate/trialSpec/metadata", "{'name': 'a'}",
     "/spec/trialTemplate/trialSpec/metadata/name", NULL},
    {"/spec/trialTemplate/trialSpec/spec/backofLimit", "1",
     "/spec/trialTemplate/trialSpec/spec/backofLimit",
     "unknown key \"backofLimit\"; did you mean \"backoffLimit\"?"},
    {"/spec/trialTemplate/configMap", "{}", "/spec/trialTemplate",
     "both trialSpec and configMap are given"},
    {"/spec/trialTemplate/trialSpec", NULL, "/spec/trialTemplate/trialSpec",
     "trialSpec is missing"},
    {"/spec/nasConfig", "{}", "/spec/nasConfig",
     "neural architecture search is not supported: Assay tunes parameters only"},
};

static void
faults_have_their_places(void **state)
{
    json_auto_t *file = read_experiment("12-random");

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(refused); i++) {
        json_auto_t *changed = json_deep_copy(file);
        assay_auto_import struct assay_import import = {0};
        struct assay_faults faults = {0};
        struct assay_study_spec *spec;

        set_at(changed, refused[i].pointer, refused[i].value);
        spec = assay_import_decode(changed, "default", assay_registry_checks(), &import, &faults);
        if (spec != NULL || find_fault(&faults, refused[i].fault, refused[i].message) == NULL) {
            print_faults(&faults);
            fail_msg("%s = %s: no fault at %s: %s", refused[i].pointer, refused[i].value,
                     refused[i].fault, refused[i].message);
        }
        assay_faults_done(&faults);
    }
}

static void
all_faults_at_once(void **state)
{
    static const char *const pointers[] = {
        "/metadata/name", "/spec/objective/type", "/spec/algorithm/algorithmName",
        "/spec/parameters/0/feasibleSpace/min", "/spec/parameters/1/name",
        "/spec/trialTemplate/primaryContainerName"};
    json_auto_t *file = read_experiment("12-random");
    assay_auto_import struct assay_import import = {0};
    struct assay_faults faults = {0};

    (void)state;
    set_at(file, "/metadata/name", "'A'");
    set_at(file, "/spec/objective/type", "'up'");
    set_at(file, "/spec/algorithm/algorithmName", "'x'");
    set_at(file, "/spec/parameters/0/feasibleSpace/min", "'x'");
    set_at(file, "/spec/parameters/1/name", "'my name'");
    set_at(file, "/spec/trialTemplate/trialParameters/1/reference", "'my name'");
    set_at(file, "/spec/trialTemplate/primaryContainerName", "'x'");
    assert_null(assay_import_decode(file, "default", assay_registry_checks(), &import, &faults));
    for (size_t i = 0; i < ASSAY_COUNT(pointers); i++) {
        if (find_fault(&faults, pointers[i], NULL) == NULL) {
            print_faults(&faults);
            fail_msg("no fault at %s", pointers[i]);
        }
    }
    assert_true(faults.count <= ASSAY_COUNT(pointers) + 1);
    assay_faults_done(&faults);
}

static void
more_of_katib(void **state)
{
    static const struct expected expected[] = {
        {"/trial/metrics", "{'from': 'prometheus', 'url': 'http://localhost:9090/m'}"},
        {"/parameters/0/values", "[0.1, 1, 10]"},
        {"/parameters/1/values", "['a', 'b']"},
        {"/limits", "{'trials': null, 'parallel': 3, 'failed_trials': null, 'time': null,"
                    " 'gpu_hours': null}"},
        {NULL, NULL}};
    json_auto_t *file = read_experiment("12-random");
    assay_auto_import struct assay_import import = {0};
    struct assay_study_spec *spec;

    (void)state;
    set_at(file, "/metadata", "{'generateName': 'tune-', 'uid': 'x', 'resourceVersion': '1'}");
    set_at(file, "/spec/parallelTrialCount", NULL);
    set_at(file, "/spec/maxTrialCount", NULL);
    set_at(file, "/spec/maxFailedTrialCount", NULL);
    set_at(file, "/spec/parameters/0/feasibleSpace", "{'list': ['10', '0.1', '1']}");
    set_at(file, "/spec/parameters/0/parameterType", "'discrete'");
    set_at(file, "/spec/parameters/1/feasibleSpace", "{'list': ['a', 'b'], 'min': ''}");
    set_at(file, "/spec/parameters/1/parameterType", "'categorical'");
    set_at(file, "/spec/metricsCollectorSpec",
           "{'collector': {'kind': 'PrometheusMetric'}, 'source': {'httpGet': {'port': 9090,"
           " 'path': '/m'}}}");
    spec = study_of(file, &import);
    assert_int_equal(strncmp(spec->name, "tune-", 5), 0);
    assert_int_equal(strlen(spec->name), 10);
    check_members(spec->document, expected);
    assay_study_free(spec);
}

/* --- the view */

static json_t *
view_of(const json_t *document, enum assay_study_state study_state,
        enum assay_study_reason reason)
{
    static const enum assay_trial_state states[] = {
        ASSAY_TRIAL_SUCCEEDED, ASSAY_TRIAL_STOPPED, ASSAY_TRIAL_FAILED, ASSAY_TRIAL_FAILED,
        ASSAY_TRIAL_CANCELLED, ASSAY_TRIAL_RUNNING, ASSAY_TRIAL_QUEUED};
    json_auto_t *best = json_of("{'number': 1, 'value': 0.25, 'metric': 'loss', 'parameters':"
                                " {'lr': 0.03, 'momentum': 0.5}, 'metrics': {'loss': 0.25}}");
    json_auto_t *first = json_of("{'loss': 0.5}");
    json_auto_t *second = json_of("{'loss': 0.25}");
    json_auto_t *third = json_of("{'loss': 0.3}");
    const struct assay_study_record record = {
        .name = (char *)(uintptr_t)"random", .project = (char *)(uintptr_t)"default",
        .state = study_state, .reason = reason, .document = (json_t *)(uintptr_t)document,
        .best = best, .created_us = 1767323045123456, .started_us = 1767323046000000,
        .finished_us = assay_study_state_is_final(study_state) ? 1767323047000000
                                                               : ASSAY_TIME_NONE};
    struct assay_katib_view *view = assay_katib_view_new(&record);

    for (size_t i = 0; i < ASSAY_COUNT(states); i++) {
        const struct assay_trial trial = {
            .number = (int64_t)i + 1, .state = states[i],
            .reason = i == 3 ? ASSAY_TRIAL_REASON_NO_OBJECTIVE : ASSAY_TRIAL_REASON_NONE,
            .created_us = record.created_us, .started_us = ASSAY_TIME_NONE,
            .finished_us = ASSAY_TIME_NONE};

        assay_katib_view_add_trial(view, &trial);
    }
    assert_int_equal(assay_katib_view_best(view), 1);
    assay_katib_view_add_measurement(view, first);
    assay_katib_view_add_measurement(view, second);
    assay_katib_view_add_measurement(view, third);
    return assay_katib_view_finish(view);
}

static void
katibs_view(void **state)
{
    static const struct expected expected[] = {
        {"/apiVersion", "'kubeflow.org/v1beta1'"},
        {"/metadata",
         "{'name': 'random', 'namespace': 'team', 'creationTimestamp': '2026-01-02T03:04:05Z'}"},
        {"/spec/maxFailedTrialCount", "3"},
        {"/spec/parallelTrialCount", "3"},
        {"/spec/resumePolicy", "'Never'"},
        {"/spec/objective/metricStrategies", "[{'name': 'loss', 'value': 'min'}]"},
        {"/spec/parameters/0/feasibleSpace", "{'min': '0.01', 'max': '0.05'}"},
        {"/status/startTime", "'2026-01-02T03:04:05Z'"},
        {"/status/completionTime", "'2026-01-02T03:04:07Z'"},
        {"/status/conditions/0/type", "'Created'"},
        {"/status/conditions/1/status", "'False'"},
        {"/status/conditions/2",
         "{'type': 'Succeeded', 'status': 'True', 'reason': 'ExperimentMaxTrialsReached',"
         " 'message': 'Experiment has succeeded because max trial count has reached',"
         " 'lastUpdateTime': '2026-01-02T03:04:07Z',"
         " 'lastTransitionTime': '2026-01-02T03:04:07Z'}"},
        {"/status/currentOptimalTrial",
         "{'bestTrialName': 'random-1', 'parameterAssignments': [{'name': 'lr', 'value': '0.03'},"
         " {'name': 'momentum', 'value': '0.5'}], 'observation': {'metrics': [{'name': 'loss',"
         " 'min': '0.25', 'max': '0.5', 'latest': '0.3'}]}}"},
        {"/status/trials", "7"},
        {"/status/trialsSucceeded", "1"},
        {"/status/succeededTrialList", "['random-1']"},
        {"/status/earlyStoppedTrialList", "['random-2']"},
        {"/status/failedTrialList", "['random-3']"},
        {"/status/metricsUnavailableTrialList", "['random-4']"},
        {"/status/trialMetricsUnavailable", "1"},
        {"/status/killedTrialList", "['random-5']"},
        {"/status/runningTrialList", "['random-6']"},
        {"/status/pendingTrialList", "['random-7']"},
        {NULL, NULL}};
    static const struct {
        enum assay_study_state state;
        enum assay_study_reason reason;
        const char *type, *katib;
    } ends[] = {
        {ASSAY_STUDY_SUCCEEDED, ASSAY_STUDY_REASON_TARGET_REACHED, "Succeeded",
         "ExperimentGoalReached"},
        {ASSAY_STUDY_SUCCEEDED, ASSAY_STUDY_REASON_SPACE_EXHAUSTED, "Succeeded",
         "ExperimentSuggestionEndReached"},
        {ASSAY_STUDY_FAILED, ASSAY_STUDY_REASON_FAILED_TRIALS_LIMIT, "Failed", "ExperimentFailed"},
        {ASSAY_STUDY_CANCELLED, ASSAY_STUDY_REASON_CANCELLED_BY_USER, "Failed",
         "ExperimentKilled"},
    };
    json_auto_t *file = read_experiment("12-random");
    assay_auto_import struct assay_import import = {0};
    struct assay_study_spec *spec = study_of(file, &import);
    json_auto_t *view =
        view_of(spec->document, ASSAY_STUDY_SUCCEEDED, ASSAY_STUDY_REASON_TRIALS_DONE);
    json_auto_t *live = view_of(spec->document, ASSAY_STUDY_RUNNING, ASSAY_STUDY_REASON_NONE);

    (void)state;
    check_members(view, expected);
    assert_null(at(live, "/status/completionTime"));
    assert_string_equal(json_string_value(at(live, "/status/conditions/1/status")), "True");
    assert_int_equal(json_array_size(at(live, "/status/conditions")), 2);
    for (size_t i = 0; i < ASSAY_COUNT(ends); i++) {
        json_auto_t *ended = view_of(spec->document, ends[i].state, ends[i].reason);

        assert_string_equal(json_string_value(at(ended, "/status/conditions/2/type")),
                            ends[i].type);
        assert_string_equal(json_string_value(at(ended, "/status/conditions/2/reason")),
                            ends[i].katib);
    }
    /* One that was no Experiment. */
    json_object_del(spec->document, "origin");
    {
        json_auto_t *own = view_of(spec->document, ASSAY_STUDY_RUNNING, ASSAY_STUDY_REASON_NONE);

        assert_string_equal(
            json_string_value(at(own, "/spec/parameters/0/feasibleSpace/min")), "0.01");
        assert_string_equal(json_string_value(at(own, "/spec/algorithm/algorithmName")),
                            "random");
        assert_int_equal(json_integer_value(at(own, "/spec/maxFailedTrialCount")), 3);
    }
    assay_study_free(spec);
}

/* --- W&B, Determined */

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

/* --- Katib: templates in ConfigMaps */

static const char *
text_in_config_map(const json_t *config_map, const char *key)
{
    return json_string_value(json_object_get(json_object_get(config_map, "data"), key));
}

/* As if the text had stood in the file. */
static void
config_maps_are_included(void **state)
{
    static const struct expected expected[] = {
        {"/trial/kubernetes/template/spec/template/spec/containers/0/command/3", "'--lr=${lr}'"},
        {"/trial/kubernetes/namespace", "'team'"},
        {"/origin/document/metadata/annotations/assay.dev~trial-template",
         "'kubeflow/trial-templates/defaultTrialTemplate.yaml@42'"},
        {"/origin/document/spec/trialTemplate/trialSpec/kind", "'Job'"},
        {NULL, NULL},
    };
    json_auto_t *file = read_experiment("32-trial-configmap-source");
    json_auto_t *before = json_deep_copy(file);
    json_auto_t *config_map = read_experiment("templates/trial-templates");
    assay_auto_import_source struct assay_import_source source = {0};
    assay_auto_import struct assay_import import = {0}, other = {0};
    struct assay_faults faults = {0};
    struct assay_study_spec *spec, *by_hand;
    json_auto_t *lines = NULL, *whole = NULL;
    const char *text;

    (void)state;
    assert_true(assay_import_refers(file, &source));
    assert_string_equal(source.namespace_, "kubeflow");
    assert_string_equal(source.name, "trial-templates");
    assert_string_equal(source.key, "defaultTrialTemplate.yaml");
    assert_string_equal(source.label, "katib.kubeflow.org/component");
    assert_string_equal(source.label_value, "trial-templates");
    text = text_in_config_map(config_map, source.key);
    whole = assay_import_include(file, &source, text, "42", &lines, &faults);
    assert_non_null(whole);
    assert_true(json_equal(file, before));
    spec = study_of(whole, &import);
    check_members(spec->document, expected);
    assert_null(at(spec->document, "/origin/document/spec/trialTemplate/configMap"));

    json_object_del(json_object_get(json_object_get(file, "spec"), "trialTemplate"), "configMap");
    json_object_set_new(json_object_get(json_object_get(file, "spec"), "trialTemplate"),
                        "trialSpec", yaml_of(text, NULL));
    by_hand = study_of(file, &other);
    for (size_t i = 0; i < 2; i++) { /* the seed is drawn */
        json_object_del(by_hand->document, i == 0 ? "origin" : "seed");
        json_object_del(spec->document, i == 0 ? "origin" : "seed");
    }
    assert_true(json_equal(spec->document, by_hand->document));
    assay_study_free(by_hand);
    assay_study_free(spec);
}

/* Katib replaces in the text, and reads what comes out. */
static void
references_without_quotes_are_values(void **state)
{
    static const char text[] =
        "apiVersion: batch/v1\n"
        "kind: Job # of ${trialParameters.nobody}\n"
        "spec:\n"
        "  parallelism: ${trialParameters.numberLayers}\n"
        "  completions: 1${trialParameters.numberLayers}\n"
        "  backoffLimit: -${trialParameters.numberLayers}\n"
        "  suspend: '${trialParameters.numberLayers}'\n"
        "  template: {spec: {containers: [{name: training-container, image: 100000000,\n"
        "    args: [--lr, ${trialParameters.learningRate},\"${trialParameters.optimizer}\",\n"
        "           a ${trialParameters.optimizer} b,!!str ${trialParameters.optimizer}]}]}}\n";
    static const struct expected expected[] = {
        {"/spec/parallelism", "'${{num-layers}}'"},
        {"/spec/completions", "'1${num-layers}'"},
        {"/spec/backoffLimit", "'-${num-layers}'"},
        {"/spec/suspend", "'${num-layers}'"},
        {"/spec/template/spec/containers/0/image", "100000000"},
        {"/spec/template/spec/containers/0/args/1", "'${{lr}}'"},
        {"/spec/template/spec/containers/0/args/2", "'${optimizer}'"},
        {"/spec/template/spec/containers/0/args/3", "'a ${optimizer} b'"},
        {"/spec/template/spec/containers/0/args/4", "'${optimizer}'"},
        {NULL, NULL},
    };
    json_auto_t *file = read_experiment("32-trial-configmap-source");
    assay_auto_import_source struct assay_import_source source = {0};
    assay_auto_import struct assay_import import = {0};
    struct assay_faults faults = {0};
    json_auto_t *lines = NULL, *whole = NULL;

    (void)state;
    assert_true(assay_import_refers(file, &source));
    whole = assay_import_include(file, &source, text, "1", &lines, &faults);
    if (whole == NULL)
        fail_msg("%s", faults.items[0].message);
    assay_import_translate(whole, &import, &faults);
    check_members(at(import.document, "/trial/kubernetes/template"), expected);
    assay_faults_done(&faults);
}

static void
references_are_checked(void **state)
{
    static const char config_map_at[] = "/spec/trialTemplate/configMap";
    static const struct {
        const char *pointer, *value, *fault, *message;
    } table[] = {
        {"/spec/trialTemplate/trialSpec", "{}", "/spec/trialTemplate",
         "both trialSpec and configMap are given"},
        {"/spec/trialTemplate/configMap/configMapName", NULL,
         "/spec/trialTemplate/configMap/configMapName", NULL},
        {"/spec/trialTemplate/configMap/configMapNamespace", NULL,
         "/spec/trialTemplate/configMap/configMapNamespace", NULL},
        {"/spec/trialTemplate/configMap/templatePath", NULL,
         "/spec/trialTemplate/configMap/templatePath", NULL},
        {"/spec/trialTemplate/configMap/templatePath", "''",
         "/spec/trialTemplate/configMap/templatePath", NULL},
        {"/spec/trialTemplate/configMap/configMapName", "'../secrets/a'",
         "/spec/trialTemplate/configMap/configMapName", "not the name of a ConfigMap"},
        {"/spec/trialTemplate/configMap/configMapNamespace", "'a?b'",
         "/spec/trialTemplate/configMap/configMapNamespace", "not the name of a namespace"},
        {"/spec/trialTemplate/configMap/key", "'a'", "/spec/trialTemplate/configMap/key", NULL},
        {"/spec/trialTemplate/configMap", "'a'", "/spec/trialTemplate/configMap", NULL},
    };
    json_auto_t *file = read_experiment("32-trial-configmap-source");
    assay_auto_import struct assay_import import = {0};
    struct assay_import_source source;
    struct assay_faults faults = {0};

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(table); i++) {
        json_auto_t *changed = json_deep_copy(file);
        assay_auto_import struct assay_import of_changed = {0};

        set_at(changed, table[i].pointer, table[i].value);
        assert_false(assay_import_refers(changed, &source));
        assert_null(assay_import_decode(changed, "default", assay_registry_checks(), &of_changed,
                                        &faults));
        if (find_fault(&faults, table[i].fault, table[i].message) == NULL) {
            print_faults(&faults);
            fail_msg("%s = %s", table[i].pointer, table[i].value);
        }
        assay_faults_done(&faults);
    }

    /* Without the text that is the only fault, or none where another says why. */
    assert_null(assay_import_decode(file, "default", assay_registry_checks(), &import, &faults));
    assert_int_equal(faults.count, 1);
    assert_non_null(find_fault(&faults, config_map_at,
                               "the template is in the ConfigMap trial-templates of the namespace "
                               "kubeflow, which only a service with that cluster can read"));
    assay_faults_done(&faults);
    assay_import_done(&import);
    assay_fault_add(&faults, config_map_at, NULL, NULL, "it was not read");
    set_at(file, "/spec/parameters/0/feasibleSpace/min", "'x'");
    set_at(file, "/spec/trialTemplate/trialParameters/1/reference", "'${trialSpec.Labels[a]}'");
    assert_null(assay_import_decode(file, "default", assay_registry_checks(), &import, &faults));
    assert_int_equal(faults.count, 2);
    assert_non_null(find_fault(&faults, "/spec/parameters/0/feasibleSpace/min", NULL));
    assay_faults_done(&faults);
}

static void
faults_in_texts_have_lines(void **state)
{
    static const char key_at[] = "/spec/trialTemplate/configMap/templatePath";
    json_auto_t *file = read_experiment("32-trial-configmap-source");
    json_auto_t *config_map = read_experiment("templates/trial-templates");
    assay_auto_import_source struct assay_import_source source = {0};
    assay_auto_import struct assay_import import = {0};
    struct assay_faults faults = {0};
    json_auto_t *lines = NULL, *whole = NULL;

    (void)state;
    set_at(file, key_at, "'misspelt.yaml'");
    assert_true(assay_import_refers(file, &source));
    assert_null(assay_import_include(file, &source, text_in_config_map(config_map, "notYaml"), "1",
                                     &lines, &faults));
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.items[0].pointer, key_at);
    assert_non_null(strstr(faults.items[0].message, "misspelt.yaml is not YAML: line 3"));
    assay_faults_done(&faults);
    assert_null(assay_import_include(file, &source, text_in_config_map(config_map, "aList"), "1",
                                     &lines, &faults));
    assert_non_null(find_fault(&faults, key_at, "misspelt.yaml is an array"));
    assay_faults_done(&faults);

    whole = assay_import_include(file, &source, text_in_config_map(config_map, source.key), "1",
                                 &lines, &faults);
    assert_non_null(whole);
    assert_null(assay_import_decode(whole, "default", assay_registry_checks(), &import, &faults));
    assay_import_faults_outside(&faults, &source, lines);
    if (find_fault(&faults, key_at,
                   "misspelt.yaml, line 4, /spec/backofLimit: unknown key \"backofLimit\"; did you "
                   "mean \"backoffLimit\"?") == NULL ||
        find_fault(&faults, key_at,
                   "misspelt.yaml, line 12, /spec/template/spec/containers/0/args/1: "
                   "${trialParameters.optimiser} is not declared in trialParameters") == NULL ||
        find_fault(&faults, "/spec/trialTemplate/trialParameters/2/name", NULL) == NULL ||
        faults.count != 3) {
        print_faults(&faults);
        fail();
    }
    assay_faults_done(&faults);
}

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
        cmocka_unit_test(experiments_are_translated), cmocka_unit_test(katibs_algorithms),
        cmocka_unit_test(katibs_parameters),          cmocka_unit_test(katibs_objectives),
        cmocka_unit_test(katibs_collectors),          cmocka_unit_test(katibs_templates),
        cmocka_unit_test(faults_have_their_places),   cmocka_unit_test(all_faults_at_once),
        cmocka_unit_test(more_of_katib),              cmocka_unit_test(katibs_view),
        cmocka_unit_test(sweeps_are_translated),      cmocka_unit_test(determineds_are_translated),
        cmocka_unit_test(config_maps_are_included),
        cmocka_unit_test(references_without_quotes_are_values),
        cmocka_unit_test(references_are_checked),
        cmocka_unit_test(faults_in_texts_have_lines),
        cmocka_unit_test(others_faults),              cmocka_unit_test(yaml_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

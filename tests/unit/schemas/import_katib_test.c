/* Katib's Experiments as study files, and studies as Experiments. */
#include "tests/unit/schemas/import_support.h"

#include <dirent.h>

#include "schemas/katib/view.h"

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(experiments_are_translated),
        cmocka_unit_test(katibs_algorithms),
        cmocka_unit_test(katibs_parameters),
        cmocka_unit_test(katibs_objectives),
        cmocka_unit_test(katibs_collectors),
        cmocka_unit_test(katibs_templates),
        cmocka_unit_test(faults_have_their_places),
        cmocka_unit_test(all_faults_at_once),
        cmocka_unit_test(more_of_katib),
        cmocka_unit_test(katibs_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

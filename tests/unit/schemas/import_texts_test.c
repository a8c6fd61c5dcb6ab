/* Experiments of Katib whose template stands in a ConfigMap. */
#include "tests/unit/schemas/import_support.h"

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_maps_are_included),
        cmocka_unit_test(references_without_quotes_are_values),
        cmocka_unit_test(references_are_checked),
        cmocka_unit_test(faults_in_texts_have_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

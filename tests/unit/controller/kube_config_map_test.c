/* What a ConfigMap's answer becomes: a text, or a fault where the file refers to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "controller/kubernetes/config_map.h"

static char namespace_[] = "kubeflow", name[] = "trial-templates", key[] = "job.yaml";
static const struct assay_import_source source = {
    .namespace_ = namespace_,
    .name = name,
    .key = key,
    .label = "katib.kubeflow.org/component",
    .label_value = "trial-templates",
    .pointer = "/map",
    .namespace_at = "/map/namespace",
    .name_at = "/map/name",
    .key_at = "/map/key",
};

#define LABELLED "'metadata':{'resourceVersion':'17','labels':{" \
    "'katib.kubeflow.org/component':'trial-templates'}}"

static const struct {
    long code;
    const char *json, *message;
    assay_status status;
    const char *pointer, *fault;
} table[] = {
    {403, "{}", "configmaps \"trial-templates\" is forbidden", ASSAY_E_INVALID_STUDY, "/map",
     "the service may not read ConfigMaps in the namespace kubeflow; deploy/kinds/katib-templates "
     "gives it the right: configmaps \"trial-templates\" is forbidden (403)"},
    {404, "{}", "configmaps \"trial-templates\" not found", ASSAY_E_INVALID_STUDY, "/map/name",
     "there is no ConfigMap trial-templates in the namespace kubeflow: configmaps "
     "\"trial-templates\" not found (404)"},
    {401, "{}", "Unauthorized", ASSAY_E_UNAVAILABLE, "/map",
     "the ConfigMap trial-templates in the namespace kubeflow can not be read now: Unauthorized "
     "(401)"},
    {0, "null", "no answer in time", ASSAY_E_UNAVAILABLE, "/map",
     "the ConfigMap trial-templates in the namespace kubeflow can not be read now: no answer in "
     "time"},
    {200, "{'metadata':{},'data':{'job.yaml':'secret'}}", "", ASSAY_E_INVALID_STUDY, "/map/name",
     "the ConfigMap trial-templates in the namespace kubeflow does not carry the label "
     "katib.kubeflow.org/component: trial-templates, which says that it holds templates"},
    {200, "{'metadata':{'labels':{'katib.kubeflow.org/component':'x'}},'data':{'job.yaml':'a'}}",
     "", ASSAY_E_INVALID_STUDY, "/map/name", NULL},
    {200, "null", "", ASSAY_E_INVALID_STUDY, "/map/name", NULL},
    {200, "[]", "", ASSAY_E_INVALID_STUDY, "/map/name", NULL},
    {200, "{" LABELLED ",'data':{'a':'','b.yaml':''}}", "", ASSAY_E_INVALID_STUDY, "/map/key",
     "the data of the ConfigMap trial-templates has no job.yaml; its keys: a, b.yaml"},
    {200, "{" LABELLED "}", "", ASSAY_E_INVALID_STUDY, "/map/key",
     "the data of the ConfigMap trial-templates has no job.yaml; its keys: none"},
    {200, "{" LABELLED ",'data':{'job.yaml':1}}", "", ASSAY_E_INVALID_STUDY, "/map/key", NULL},
};

static json_t *
json_of(const char *text)
{
    assay_auto_free char *quoted = assay_strdup(text);

    for (char *c = quoted; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    return json_loads(quoted, JSON_DECODE_ANY, NULL);
}

static void
refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(table); i++) {
        json_auto_t *json = json_of(table[i].json);
        struct assay_kube_answer answer = {
            .code = table[i].code, .json = json, .reason = "", .message = table[i].message};
        struct assay_faults faults = {0};
        char *text = NULL, *version = NULL;

        assert_non_null(json);
        assert_int_equal(assay_kube_config_map_text(&source, &answer, &text, &version, &faults),
                         table[i].status);
        assert_null(text);
        assert_null(version);
        assert_int_equal(faults.count, 1);
        assert_string_equal(faults.items[0].pointer, table[i].pointer);
        if (table[i].fault != NULL)
            assert_string_equal(faults.items[0].message, table[i].fault);
        assay_faults_done(&faults);
    }
}

static void
a_text(void **state)
{
    json_auto_t *json = json_of("{" LABELLED ",'data':{'job.yaml':'kind: Job\\n'}}");
    struct assay_kube_answer answer = {.code = 200, .json = json, .reason = "", .message = ""};
    struct assay_faults faults = {0};
    assay_auto_free char *text = NULL, *version = NULL, *path = NULL;

    (void)state;
    assert_int_equal(assay_kube_config_map_text(&source, &answer, &text, &version, &faults),
                     ASSAY_OK);
    assert_int_equal(faults.count, 0);
    assert_string_equal(text, "kind: Job\n");
    assert_string_equal(version, "17");
    path = assay_kube_config_map_path(&source);
    assert_string_equal(path, "/api/v1/namespaces/kubeflow/configmaps/trial-templates");
}

static void
many_keys(void **state)
{
    json_auto_t *json = json_of("{" LABELLED ",'data':{}}");
    struct assay_kube_answer answer = {.code = 200, .json = json, .reason = "", .message = ""};
    struct assay_faults faults = {0};
    char *text = NULL, *version = NULL;

    (void)state;
    for (int i = 0; i < 25; i++) {
        assay_auto_free char *more = assay_format("k%d", i);

        json_object_set_new(json_object_get(json, "data"), more, json_string(""));
    }
    assert_int_equal(assay_kube_config_map_text(&source, &answer, &text, &version, &faults),
                     ASSAY_E_INVALID_STUDY);
    assert_non_null(strstr(faults.items[0].message, "k18, k19 and 5 more"));
    assay_faults_done(&faults);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_text),
        cmocka_unit_test(many_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A launch as an object of any kind, and what such an object's status means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "common/json.h"
#include "common/memory.h"
#include "controller/kubernetes/pod_manifest.h"
#include "controller/kubernetes/template.h"

/* JSON written with single quotes.  New reference. */
static json_t *
json_of(const char *text)
{
    assay_auto_free char *quoted = assay_strdup(text);
    json_t *json;

    for (char *c = quoted; *c != '\0'; c++) {
        if (*c == '\'')
            *c = '"';
    }
    json = json_loads(quoted, JSON_DECODE_ANY, NULL);
    if (json == NULL)
        fail_msg("not JSON: %s", text);
    return json;
}

/* A study with this section kubernetes.  The caller frees. */
static struct assay_study_spec *
study_of(const char *section)
{
    struct assay_faults faults = {0};
    json_t *json = json_of("{'name':'s','objective':{'metric':'loss','goal':'minimize'},"
                           "'parameters':[{'name':'lr','type':'double','min':0,'max':1}],"
                           "'algorithm':{'name':'random'},'limits':{'trials':3},"
                           "'trial':{'environment':{'A':'trial ${trial}','B':'b'},"
                           "'grace':'5s'}}");
    struct assay_study_spec *spec;

    json_object_set_new(json_object_get(json, "trial"), "kubernetes", json_of(section));
    spec = assay_study_decode(json, "default", &(struct assay_study_checks){0}, &faults);
    if (spec == NULL)
        fail_msg("%s: %s", faults.items[0].pointer, faults.items[0].message);
    json_decref(json);
    return spec;
}

static int64_t parent; /* of the launch */

static assay_status
build(const struct assay_study_spec *spec, struct assay_kube_template **ret_template,
      struct assay_error *err)
{
    json_auto_t *parameters = json_pack("{s:f}", "lr", 0.25);
    struct assay_launch launch = {
        .key = {7, 12, 2},
        .project = "default",
        .study = "s",
        .spec = spec,
        .parameters = parameters,
        .budget = NAN,
        .token = "secret-token",
        .parent = parent,
    };
    struct assay_kube_template_options options = {
        "0a1b2c3d", "team", {.url = "http://assay:8080", .runner_image = "runner:1"}};
    json_t *secret = NULL;
    assay_status rc = assay_kube_template_build(&launch, &options, ret_template, &secret, err);

    json_decref(secret);
    return rc;
}

/* What stands at a pointer of a document. */
static const json_t *
at(const json_t *json, const char *pointer)
{
    assay_auto_free char *path = assay_strdup(pointer);
    char *rest = path, *key;

    while ((key = strsep(&rest, "/")) != NULL) {
        if (*key == '\0')
            continue;
        json = json_is_array(json) ? json_array_get(json, (size_t)(*key - '0')) /* one digit */
                                   : json_object_get(json, key);
    }
    return json;
}

static const char *
text_at(const json_t *json, const char *pointer)
{
    const char *text = json_string_value(at(json, pointer));

    return text != NULL ? text : "(nothing)";
}

static const char *
variable(const json_t *container, const char *name)
{
    const json_t *entry;
    size_t i;

    json_array_foreach (json_object_get(container, "env"), i, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "name")), name) == 0)
            return json_string_value(json_object_get(entry, "value"));
    }
    return "(nothing)";
}

static const char job[] =
    "{'labels':{'team':'x'},'checkpoint_claim':'kept','template':{'apiVersion':'batch/v1',"
    "'kind':'Job','metadata':{'labels':{'q':'v${trial}'}},'spec':{'parallelism':2,'template':{"
    "'spec':{'restartPolicy':'Never','containers':[{'name':'main','image':'i:${study}',"
    "'command':['t','${lr}','${trialParameters.lr}','${trialSpec.Name}','${trialSpec.Namespace}',"
    "'${trialSpec.Kind}','${trialSpec.APIVersion}','${trialSpec.Labels[q]}','$${HOME}'],"
    "'env':[{'name':'B','value':'own'}],'resources':{'limits':{'nvidia.com/gpu':'3'}}},"
    "{'name':'side','image':'j'}]}}}}}";

static void
a_job_is_made(void **state)
{
    static const char *const command[] = {"t",
                                          "0.25",
                                          "0.25",
                                          "assay-0a1b2c3d-7-12-2",
                                          "team",
                                          "Job",
                                          "batch/v1",
                                          "v12",
                                          "${HOME}"};
    struct assay_study_spec *spec = study_of(job);
    struct assay_kube_template *template = NULL;
    struct assay_error err = {0};
    const json_t *pod, *container;

    (void)state;
    if (build(spec, &template, &err) < 0)
        fail_msg("%s", err.message);
    pod = at(template->manifest, "/spec/template");
    container = at(pod, "/spec/containers/0");
    for (size_t i = 0; i < ASSAY_COUNT(command); i++)
        assert_string_equal(
            json_string_value(json_array_get(json_object_get(container, "command"), i)),
            command[i]);
    assert_string_equal(text_at(template->manifest, "/metadata/name"), "assay-0a1b2c3d-7-12-2");
    assert_string_equal(text_at(template->manifest, "/metadata/labels/team"), "x");
    assert_string_equal(text_at(container, "/image"), "i:s");
    for (size_t i = 0; i < 2; i++) {
        const json_t *labels = at(i == 0 ? template->manifest : pod, "/metadata/labels");

        assert_string_equal(json_string_value(json_object_get(labels, ASSAY_KUBE_LABEL_DAEMON)),
                            "0a1b2c3d");
        assert_string_equal(json_string_value(json_object_get(labels, ASSAY_KUBE_LABEL_TRIAL)),
                            "12");
    }
    assert_string_equal(variable(container, "A"), "trial 12");
    assert_string_equal(variable(container, "B"), "own");
    assert_null(variable(container, "ASSAY_TOKEN")); /* by reference */
    assert_string_equal(variable(container, "ASSAY_PARAM_LR"), "0.25");
    assert_string_equal(variable(container, "ASSAY_CHECKPOINT_DIR"), "/assay/checkpoint");
    assert_string_equal(text_at(container, "/volumeMounts/0/subPath"), "assay-0a1b2c3d/7/12");
    assert_string_equal(text_at(pod, "/spec/volumes/0/persistentVolumeClaim/claimName"), "kept");
    assert_null(at(pod, "/spec/containers/1/env"));
    assert_int_equal(json_integer_value(at(pod, "/spec/terminationGracePeriodSeconds")), 5);
    assert_int_equal(template->gpus, 6);
    assert_null(template->pod_label);
    assay_kube_template_free(template);
    assay_study_free(spec);
}

static void
a_bare_reference_is_the_value(void **state)
{
    struct assay_study_spec *spec = study_of(
        "{'template':{'apiVersion':'batch/v1','kind':'Job','metadata':{'labels':{'q':'no'}},"
        "'spec':{'parallelism':'${{trial}}','rate':'${{trialParameters.lr}}','name':'${{study}}',"
        "'label':'${{trialSpec.Labels[q]}}','text':'${trial}','template':{'spec':{'containers':["
        "{'name':'main','image':'i','resources':{'limits':{'nvidia.com/gpu':'1'}}}]}}}}}");
    struct assay_kube_template *template = NULL;
    struct assay_error err = {0};

    (void)state;
    if (build(spec, &template, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(json_is_integer(at(template->manifest, "/spec/parallelism")));
    assert_int_equal(json_integer_value(at(template->manifest, "/spec/parallelism")), 12);
    assert_true(json_real_value(at(template->manifest, "/spec/rate")) == 0.25);
    assert_string_equal(text_at(template->manifest, "/spec/name"), "s");
    assert_string_equal(text_at(template->manifest, "/spec/label"), "no");
    assert_string_equal(text_at(template->manifest, "/spec/text"), "12");
    assert_int_equal(template->gpus, 12);
    assay_kube_template_free(template);
    assay_study_free(spec);
}

static void
a_checkpoint_is_brought(void **state)
{
    struct assay_study_spec *spec = study_of(job);
    struct assay_kube_template *template = NULL;
    const json_t *init;

    (void)state;
    parent = 5;
    assert_int_equal(build(spec, &template, NULL), ASSAY_OK);
    parent = 0;
    init = at(template->manifest, "/spec/template/spec/initContainers/0");
    assert_string_equal(text_at(init, "/name"), ASSAY_KUBE_RUNNER_INIT);
    assert_string_equal(text_at(init, "/image"), "runner:1");
    init = at(template->manifest, "/spec/template/spec/initContainers/1");
    assert_string_equal(text_at(init, "/image"), "i:s");
    assert_string_equal(text_at(init, "/command/1"), "--bring");
    assert_string_equal(text_at(init, "/volumeMounts/1/subPath"), "assay-0a1b2c3d/7/5");
    assert_string_equal(text_at(init, "/volumeMounts/2/subPath"), "assay-0a1b2c3d/7/12");
    assay_kube_template_free(template);
    assay_study_free(spec);
}

static void
every_pod_template_is_found(void **state)
{
    struct assay_study_spec *spec = study_of(
        "{'retain':true,'template':{'apiVersion':'kubeflow.org/v1','kind':'PyTorchJob','spec':{"
        "'pytorchReplicaSpecs':{'Master':{'replicas':1,'template':{'spec':{'containers':[{"
        "'name':'pytorch','image':'i','resources':{'limits':{'nvidia.com/gpu':1}}}]}}},"
        "'Worker':{'replicas':3,'template':{'metadata':{'labels':{'a':'b'}},'spec':{'containers':["
        "{'name':'pytorch','image':'i','resources':{'limits':{'nvidia.com/gpu':1}}}]}}}}}}}");
    struct assay_kube_template *template = NULL;
    json_auto_t *master = json_of("{'metadata':{'labels':{'training.kubeflow.org/job-role':"
                                  "'master'}},'spec':{'containers':[{'name':'istio'},"
                                  "{'name':'pytorch'}]}}");
    json_auto_t *worker = json_of("{'metadata':{'labels':{}},'spec':{'containers':["
                                  "{'name':'pytorch'}]}}");
    json_auto_t *other = json_of("{'metadata':{'labels':{'training.kubeflow.org/job-role':"
                                 "'master'}},'spec':{'containers':[{'name':'x'}]}}");

    (void)state;
    assert_int_equal(build(spec, &template, NULL), ASSAY_OK);
    assert_string_equal(text_at(template->manifest, "/spec/pytorchReplicaSpecs/Worker/template/"
                                                    "metadata/labels/a"),
                        "b");
    assert_int_equal(json_object_size(at(template->manifest, "/spec/pytorchReplicaSpecs/Worker/"
                                                             "template/metadata/labels")),
                     6);
    assert_int_equal(template->gpus, 4);
    assert_non_null(json_object_get(at(template->manifest, "/metadata/annotations"),
                                    ASSAY_KUBE_RETAIN_SUCCESS));
    assert_string_equal(assay_kube_template_container(template, master), "pytorch");
    assert_null(assay_kube_template_container(template, worker));
    assert_null(assay_kube_template_container(template, other));
    assay_kube_template_free(template);
    assay_study_free(spec);
}

static void
kinds_have_their_own_ways(void **state)
{
    struct assay_study_spec *train = study_of(
        "{'template':{'apiVersion':'trainer.kubeflow.org/v1alpha1','kind':'TrainJob','spec':{"
        "'trainer':{'numNodes':2,'resourcesPerNode':{'limits':{'nvidia.com/gpu':4}}}}}}");
    struct assay_study_spec *ray = study_of(
        "{'template':{'apiVersion':'ray.io/v1','kind':'RayJob','spec':{'rayClusterSpec':{"
        "'headGroupSpec':{'template':{'spec':{'containers':[{'name':'ray-head','image':'i'}]}}}}}}}");
    struct assay_study_spec *argo = study_of(
        "{'template':{'apiVersion':'argoproj.io/v1alpha1','kind':'Workflow','spec':{"
        "'templates':[{'name':'m','container':{'image':'i'}}]}}}");
    struct assay_kube_template *template = NULL;

    (void)state;
    assert_int_equal(build(train, &template, NULL), ASSAY_OK);
    assert_int_equal(template->gpus, 8);
    assert_string_equal(template->pod_label, "jobset.sigs.k8s.io/jobset-name");
    assert_string_equal(variable(at(template->manifest, "/spec/trainer"), "ASSAY_PARAM_LR"),
                        "0.25");
    assay_kube_template_free(template);
    assert_int_equal(build(ray, &template, NULL), ASSAY_OK);
    assert_string_equal(json_string_value(json_object_get(template->primary_labels,
                                                          "batch.kubernetes.io/job-name")),
                        "assay-0a1b2c3d-7-12-2");
    assert_string_equal(template->container, "ray-job-submitter");
    assay_kube_template_free(template);
    assert_int_equal(build(argo, &template, NULL), ASSAY_OK);
    assert_int_equal(json_object_size(at(template->manifest, "/spec/podMetadata/labels")), 5);
    assay_kube_template_free(template);
    assay_study_free(train);
    assay_study_free(ray);
    assay_study_free(argo);
}

static void
faults_name_their_place(void **state)
{
    struct assay_study_spec *spec = study_of(
        "{'template':{'apiVersion':'batch/v1','kind':'Job','spec':{'a':[{'b':'${lr}'}]}}}");
    json_t *array = json_object_get(
        json_object_get(json_object_get(spec->trial->kubernetes, "template"), "spec"), "a");
    struct assay_kube_template *template = NULL;
    struct assay_error err = {0};

    (void)state;
    json_array_append_new(array, json_string("--x=${left.over}"));
    assert_int_equal(build(spec, &template, &err), ASSAY_E_INVALID_VALUE);
    assert_string_equal(err.message, "/trial/kubernetes/template/spec/a/1: ${left.over} is not "
                                     "declared");
    assay_study_free(spec);
}

static void
statuses_are_read(void **state)
{
    static const struct {
        const char *section, *object;
        enum assay_kube_object_phase phase;
        bool timeout;
        const char *sentence;
    } rows[] = {
        {"{'apiVersion':'batch/v1','kind':'Job'}", "{}", ASSAY_KUBE_OBJECT_RUNS, false, NULL},
        {"{'apiVersion':'batch/v1','kind':'Job'}",
         "{'status':{'conditions':[{'type':'Complete','status':'True'}]}}",
         ASSAY_KUBE_OBJECT_SUCCEEDED, false, NULL},
        {"{'apiVersion':'batch/v1','kind':'Job'}",
         "{'status':{'conditions':[{'type':'Failed','status':'True','reason':"
         "'BackoffLimitExceeded','message':'it was tried often'}]}}",
         ASSAY_KUBE_OBJECT_FAILED, false,
         "the Job failed: BackoffLimitExceeded: it was tried often"},
        {"{'apiVersion':'batch/v1','kind':'Job'}",
         "{'status':{'conditions':[{'type':'Failed','status':'True','reason':"
         "'DeadlineExceeded'}]}}",
         ASSAY_KUBE_OBJECT_FAILED, true, "the Job failed: DeadlineExceeded"},
        {"{'apiVersion':'batch/v1','kind':'Job'}",
         "{'metadata':{'labels':{'kueue.x-k8s.io/queue-name':'small'}},'spec':{'suspend':true}}",
         ASSAY_KUBE_OBJECT_WAITS, false, "Suspended: the Job waits in the queue small"},
        {"{'apiVersion':'kubeflow.org/v1','kind':'TFJob'}",
         "{'spec':{'runPolicy':{'suspend':true}},'status':{'conditions':[{'type':'Suspended',"
         "'status':'True','message':'no room'}]}}",
         ASSAY_KUBE_OBJECT_WAITS, false,
         "Suspended: the TFJob waits to be resumed, as queues do: no room"},
        {"{'apiVersion':'argoproj.io/v1alpha1','kind':'Workflow'}",
         "{'status':{'phase':'Error','message':'no such step'}}", ASSAY_KUBE_OBJECT_FAILED, false,
         "the Workflow failed: no such step"},
        {"{'apiVersion':'tekton.dev/v1beta1','kind':'PipelineRun'}",
         "{'status':{'conditions':[{'type':'Succeeded','status':'False','reason':"
         "'PipelineRunTimeout'}]}}",
         ASSAY_KUBE_OBJECT_FAILED, true, "the PipelineRun failed: PipelineRunTimeout"},
        {"{'apiVersion':'ray.io/v1','kind':'RayJob'}",
         "{'status':{'jobStatus':'FAILED','jobDeploymentStatus':'Retrying'}}",
         ASSAY_KUBE_OBJECT_RUNS, false, NULL},
        {"{'apiVersion':'ray.io/v1','kind':'RayJob'}",
         "{'status':{'jobStatus':'STOPPED','jobDeploymentStatus':'Complete'}}",
         ASSAY_KUBE_OBJECT_FAILED, false, "the RayJob failed"},
        {"{'apiVersion':'batch.volcano.sh/v1alpha1','kind':'Job'}",
         "{'status':{'state':{'phase':'Pending'}}}", ASSAY_KUBE_OBJECT_RUNS, false, NULL},
        {"{'apiVersion':'batch.volcano.sh/v1alpha1','kind':'Job'}",
         "{'status':{'state':{'phase':'Completed'}}}", ASSAY_KUBE_OBJECT_SUCCEEDED, false, NULL},
        {"{'apiVersion':'batch.volcano.sh/v1alpha1','kind':'Job'}",
         "{'status':{'state':{'phase':'Aborted','reason':'Queue'}}}", ASSAY_KUBE_OBJECT_FAILED,
         false, "the Job failed: Queue"},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        assay_auto_free char *section = assay_format("{'template':%s}", rows[i].section);
        struct assay_study_spec *spec = study_of(section);
        struct assay_kube_template *template = NULL;
        struct assay_kube_object_status status;
        json_auto_t *object = json_of(rows[i].object);

        assert_int_equal(build(spec, &template, NULL), ASSAY_OK);
        assay_kube_template_read(template, object, &status);
        if (status.phase != rows[i].phase || status.timeout != rows[i].timeout ||
            (status.sentence == NULL) != (rows[i].sentence == NULL) ||
            (status.sentence != NULL && strcmp(status.sentence, rows[i].sentence) != 0))
            fail_msg("row %zu: phase %d, %s", i, status.phase,
                     status.sentence != NULL ? status.sentence : "");
        assay_kube_object_status_done(&status);
        assay_kube_template_free(template);
        assay_study_free(spec);
    }
}

static void
kept_objects_are_told_apart(void **state)
{
    json_auto_t *object = json_of("{'metadata':{'annotations':{'assay.dev/success':'status.ok',"
                                  "'assay.dev/failure':'status.bad'}},'status':{}}");
    json_auto_t *ordinary = json_of("{'metadata':{},'status':{'ok':true}}");

    (void)state;
    assert_false(assay_kube_object_is_kept(object));
    json_object_set_new(json_object_get(object, "status"), "bad", json_true());
    assert_true(assay_kube_object_is_kept(object));
    assert_false(assay_kube_object_is_kept(ordinary));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_made),
        cmocka_unit_test(a_bare_reference_is_the_value),
        cmocka_unit_test(a_checkpoint_is_brought),
        cmocka_unit_test(every_pod_template_is_found),
        cmocka_unit_test(kinds_have_their_own_ways),
        cmocka_unit_test(faults_name_their_place),
        cmocka_unit_test(statuses_are_read),
        cmocka_unit_test(kept_objects_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

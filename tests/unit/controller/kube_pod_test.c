/* A launch as a manifest, and what a pod's status means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "common/memory.h"
#include "controller/kubernetes/pod_manifest.h"
#include "controller/kubernetes/pod_status.h"

static const char study_text[] =
    "{\"name\":\"s\",\"objective\":{\"metric\":\"loss\",\"goal\":\"minimize\"},"
    "\"parameters\":[{\"name\":\"lr\",\"type\":\"double\",\"min\":0,\"max\":1}],"
    "\"algorithm\":{\"name\":\"random\"},\"limits\":{\"trials\":3},\"trial\":{"
    "\"command\":[\"train\",\"--lr=${lr}\",\"$HOME $(X) $${y}\"],"
    "\"environment\":{\"A\":\"trial ${trial}\"},"
    "\"resources\":{\"gpus\":2,\"cpus\":1.5,\"memory\":\"4Gi\"},\"timeout\":\"90s\",\"grace\":\"5s\","
    "\"kubernetes\":{\"image\":\"train:${study}\",\"gpu\":{\"model\":\"A100\",\"memory\":\"40Gi\"},"
    "\"node_selector\":{\"zone\":\"a\"},\"tolerations\":[{\"operator\":\"Exists\"}],"
    "\"priority_class\":\"low\",\"runtime_class\":\"nvidia\",\"service_account\":\"trainer\","
    "\"image_pull_secrets\":[\"registry\"],\"secrets\":{\"KEY\":{\"secret\":\"wandb\",\"key\":\"k\"}},"
    "\"volumes\":[{\"path\":\"/data\",\"claim\":\"sets\",\"read_only\":true},"
    "{\"path\":\"/tmp\",\"empty_dir\":true,\"size\":\"1Gi\"}],\"checkpoint_claim\":\"kept\","
    "\"labels\":{\"team\":\"x\"}}}}";

/* What the first leaves out. */
static const char other_text[] =
    "{\"name\":\"s\",\"objective\":{\"metric\":\"loss\",\"goal\":\"minimize\"},"
    "\"parameters\":[{\"name\":\"lr\",\"type\":\"double\",\"min\":0,\"max\":1}],"
    "\"algorithm\":{\"name\":\"random\"},\"limits\":{\"trials\":3},\"trial\":{"
    "\"command\":[\"train\"],\"resources\":{\"gpus\":1},"
    "\"kubernetes\":{\"image\":\"train:1\",\"image_pull_policy\":\"Always\","
    "\"gpu\":{\"resource\":\"amd.com/gpu\",\"model\":\"MI300\"},\"scheduler\":\"volcano\","
    "\"affinity\":{\"podAntiAffinity\":{\"x\":1},\"nodeAffinity\":{"
    "\"requiredDuringSchedulingIgnoredDuringExecution\":{\"nodeSelectorTerms\":["
    "{\"matchExpressions\":[{\"key\":\"rack\",\"operator\":\"Exists\"}]},"
    "{\"matchFields\":[]}]}}},"
    "\"volumes\":[{\"path\":\"/keys\",\"secret\":\"keys\",\"read_only\":true},"
    "{\"path\":\"/conf/${study}\",\"config_map\":\"conf\",\"sub_path\":\"a\"}],"
    "\"security_context\":{\"readOnlyRootFilesystem\":true},"
    "\"annotations\":{\"note\":\"trial ${trial}\"}}}}";

struct fixture {
    struct assay_study_spec *spec;
    json_t *parameters;
    struct assay_launch launch;
};

static int
load(void **state, const char *study)
{
    struct fixture *f = ASSAY_NEW(struct fixture);
    struct assay_faults faults = {0};
    json_t *json = json_loads(study, 0, NULL);

    assert_non_null(json);
    f->spec = assay_study_decode(json, "default", &(struct assay_study_checks){0}, &faults);
    if (f->spec == NULL)
        fail_msg("%s: %s", faults.items[0].pointer, faults.items[0].message);
    json_decref(json);
    f->parameters = json_pack("{s:f}", "lr", 0.25);
    f->launch = (struct assay_launch){
        .key = {7, 12, 2},
        .project = "default",
        .study = "s",
        .spec = f->spec,
        .parameters = f->parameters,
        .budget = NAN,
        .token = "secret-token",
    };
    *state = f;
    return 0;
}

static int
setup(void **state)
{
    return load(state, study_text);
}

static int
setup_other(void **state)
{
    return load(state, other_text);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    assay_study_free(f->spec);
    json_decref(f->parameters);
    free(f);
    return 0;
}

/* A member by a path of keys and indexes, "spec/containers/0/name". */
static const json_t *
at(const json_t *json, const char *path)
{
    char key[256];
    size_t n;

    for (; *path != '\0' && json != NULL; path += n + (path[n] == '/')) {
        n = strcspn(path, "/");
        memcpy(key, path, n);
        key[n] = '\0';
        json = json_is_array(json) ? json_array_get(json, strtoul(key, NULL, 10))
                                   : json_object_get(json, key);
    }
    return json;
}

static void
expect(const json_t *pod, const char *path, const char *wanted)
{
    const json_t *found = at(pod, path);
    char *text = found != NULL ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS)
                               : NULL;

    if (text == NULL || strcmp(text, wanted) != 0)
        fail_msg("%s is %s, not %s", path, text != NULL ? text : "absent", wanted);
    free(text);
}

static json_t *
build(struct fixture *f, const char *url)
{
    struct assay_kube_pod_options options = {.owner = "abc", .reach.url = url};
    struct assay_error err = {0};
    json_t *pod = NULL, *secret = NULL;
    bool reports;

    if (assay_kube_pod_build(&f->launch, &options, &pod, &secret, &reports, &err) < 0)
        fail_msg("%s", err.message);
    assert_false(reports);
    assert_int_equal(secret != NULL, url != NULL);
    json_decref(secret);
    return pod;
}

static const json_t *
variable(const json_t *pod, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach(at(pod, "spec/containers/0/env"), i, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0)
            return item;
    }
    return NULL;
}

static void
manifest_has_all(void **state)
{
    json_t *pod = build(*state, NULL);
    const json_t *labels = at(pod, "metadata/labels");

    expect(pod, "metadata/name", "\"assay-abc-7-12-2\"");
    assert_string_equal(json_string_value(json_object_get(labels, "assay.dev/daemon")), "abc");
    assert_string_equal(json_string_value(json_object_get(labels, "assay.dev/trial")), "12");
    assert_string_equal(json_string_value(json_object_get(labels, "team")), "x");
    expect(pod, "spec/restartPolicy", "\"Never\"");
    expect(pod, "spec/terminationGracePeriodSeconds", "5");
    expect(pod, "spec/activeDeadlineSeconds", "90");
    expect(pod, "spec/containers/0/image", "\"train:s\"");
    /* The kubelet halves "$$"; what arrives is "$HOME $(X) ${y}". */
    expect(pod, "spec/containers/0/command",
           "[\"train\",\"--lr=0.25\",\"$$HOME $$(X) $${y}\"]");
    expect(pod, "spec/containers/0/resources/requests",
           "{\"cpu\":\"1500m\",\"memory\":\"4294967296\"}");
    assert_string_equal(
        json_string_value(json_object_get(at(pod, "spec/containers/0/resources/limits"),
                                          "nvidia.com/gpu")),
        "2");
    expect(pod, "spec/nodeSelector", "{\"zone\":\"a\"}");
    expect(pod, "spec/tolerations", "[{\"operator\":\"Exists\"}]");
    expect(pod,
           "spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/"
           "nodeSelectorTerms/0/matchExpressions",
           "[{\"key\":\"nvidia.com/gpu.product\",\"operator\":\"In\",\"values\":[\"A100\"]},"
           "{\"key\":\"nvidia.com/gpu.memory\",\"operator\":\"Gt\",\"values\":[\"40959\"]}]");
    expect(pod, "spec/priorityClassName", "\"low\"");
    expect(pod, "spec/runtimeClassName", "\"nvidia\"");
    expect(pod, "spec/serviceAccountName", "\"trainer\"");
    expect(pod, "spec/imagePullSecrets", "[{\"name\":\"registry\"}]");
    expect(pod, "spec/volumes/0",
           "{\"name\":\"volume-0\",\"persistentVolumeClaim\":{\"claimName\":\"sets\","
           "\"readOnly\":true}}");
    expect(pod, "spec/volumes/1", "{\"emptyDir\":{\"sizeLimit\":\"1073741824\"},"
                                  "\"name\":\"volume-1\"}");
    expect(pod, "spec/containers/0/volumeMounts/2",
           "{\"mountPath\":\"/assay/checkpoint\",\"name\":\"volume-2\",\"subPath\":"
           "\"assay-abc/7/12\"}");
    json_decref(pod);
}

static void
manifest_has_the_rest(void **state)
{
    static const char model[] = "{\"key\":\"nvidia.com/gpu.product\",\"operator\":\"In\",\"values\":"
                                "[\"MI300\"]}";
    char both[256], alone[256];
    json_t *pod = build(*state, NULL);

    snprintf(both, sizeof both, "[{\"key\":\"rack\",\"operator\":\"Exists\"},%s]", model);
    snprintf(alone, sizeof alone, "[%s]", model);
    expect(pod, "metadata/annotations/note", "\"trial 12\"");
    expect(pod, "spec/schedulerName", "\"volcano\"");
    expect(pod, "spec/containers/0/imagePullPolicy", "\"Always\"");
    expect(pod, "spec/affinity/podAntiAffinity", "{\"x\":1}");
    /* The model holds for each of the user's alternatives. */
    expect(pod,
           "spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/"
           "nodeSelectorTerms/0/matchExpressions",
           both);
    expect(pod,
           "spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/"
           "nodeSelectorTerms/1/matchExpressions",
           alone);
    assert_string_equal(
        json_string_value(json_object_get(at(pod, "spec/containers/0/resources/limits"),
                                          "amd.com/gpu")),
        "1");
    expect(pod, "spec/volumes/0", "{\"name\":\"volume-0\",\"secret\":{\"secretName\":\"keys\"}}");
    expect(pod, "spec/containers/0/volumeMounts/0",
           "{\"mountPath\":\"/keys\",\"name\":\"volume-0\",\"readOnly\":true}");
    expect(pod, "spec/volumes/1", "{\"configMap\":{\"name\":\"conf\"},\"name\":\"volume-1\"}");
    expect(pod, "spec/containers/0/volumeMounts/1",
           "{\"mountPath\":\"/conf/s\",\"name\":\"volume-1\",\"subPath\":\"a\"}");
    expect(pod, "spec/containers/0/securityContext",
           "{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":[\"ALL\"]},"
           "\"readOnlyRootFilesystem\":true}");
    assert_null(at(pod, "metadata/finalizers"));
    json_decref(pod);
}

static void
environment(void **state)
{
    json_t *pod = build(*state, NULL), *reachable;

    expect(variable(pod, "A"), "value", "\"trial 12\"");
    expect(variable(pod, "ASSAY_PARAM_LR"), "value", "\"0.25\"");
    expect(variable(pod, "ASSAY_ATTEMPT"), "value", "\"2\"");
    expect(variable(pod, "KEY"), "valueFrom", "{\"secretKeyRef\":{\"key\":\"k\",\"name\":"
                                              "\"wandb\"}}");
    assert_null(variable(pod, "ASSAY_URL"));
    assert_null(variable(pod, "ASSAY_TOKEN"));
    json_decref(pod);
    reachable = build(*state, "https://assay.example");
    expect(variable(reachable, "ASSAY_TOKEN"), "valueFrom",
           "{\"secretKeyRef\":{\"key\":\"token\",\"name\":\"assay-abc-7-12-2\"}}");
    json_decref(reachable);
}

static void
restricted_by_default(void **state)
{
    struct fixture *f = *state;
    json_t *pod = build(f, NULL);

    expect(pod, "spec/securityContext",
           "{\"runAsNonRoot\":true,\"seccompProfile\":{\"type\":\"RuntimeDefault\"}}");
    expect(pod, "spec/containers/0/securityContext",
           "{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":[\"ALL\"]}}");
    assert_null(at(pod, "spec/automountServiceAccountToken")); /* an account was named */
    json_decref(pod);
    json_object_del(f->spec->trial->kubernetes, "service_account");
    json_object_set_new(f->spec->trial->kubernetes, "pod_security_context",
                        json_pack("{s:b}", "runAsNonRoot", 0));
    pod = build(f, NULL);
    expect(pod, "spec/automountServiceAccountToken", "false");
    expect(pod, "spec/securityContext/runAsNonRoot", "false");
    json_decref(pod);
}

/* --- causes --- */

#define CONTAINER(state) "{\"containerStatuses\":[{\"name\":\"trial\",\"state\":{" state "}}],"
#define SIDECAR(state)                                                                         \
    "\"initContainerStatuses\":[{\"name\":\"assay-metrics\",\"state\":{" state "}}]"
#define EXITED(code, reason) \
    CONTAINER("\"terminated\":{\"exitCode\":" #code ",\"reason\":\"" reason "\"}")

static const struct {
    const char *status;
    enum assay_kube_phase phase;
    bool lost;
    enum assay_trial_reason reason;
    const char *sentence; /* what it holds; NULL = there is none */
} causes[] = {
    {"{\"phase\":\"Pending\"}", ASSAY_KUBE_PENDING, false, ASSAY_TRIAL_REASON_NONE, NULL},
    {"{\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\","
     "\"reason\":\"Unschedulable\",\"message\":\"0/3 nodes are available\"}]}",
     ASSAY_KUBE_PENDING, false, ASSAY_TRIAL_REASON_NONE, "Unschedulable: 0/3 nodes are available"},
    {CONTAINER("\"waiting\":{\"reason\":\"ImagePullBackOff\",\"message\":\"Back-off\"}")
     "\"phase\":\"Pending\"}",
     ASSAY_KUBE_STUCK, false, ASSAY_TRIAL_REASON_NONE, "ImagePullBackOff: Back-off"},
    {CONTAINER("\"running\":{}") "\"phase\":\"Running\"}", ASSAY_KUBE_RUNNING, false,
     ASSAY_TRIAL_REASON_NONE, NULL},
    {EXITED(0, "Completed") "\"phase\":\"Succeeded\"}", ASSAY_KUBE_ENDED, false,
     ASSAY_TRIAL_REASON_NONE, NULL},
    {EXITED(0, "Completed") "\"phase\":\"Running\"}", ASSAY_KUBE_ENDED, false,
     ASSAY_TRIAL_REASON_NONE, NULL}, /* a sidecar goes on */
    {EXITED(1, "Error") "\"phase\":\"Running\"}", ASSAY_KUBE_RUNNING, false,
     ASSAY_TRIAL_REASON_NONE, NULL}, /* the pod's own reason comes with its end */
    {EXITED(3, "Error") "\"phase\":\"Failed\"}", ASSAY_KUBE_ENDED, false,
     ASSAY_TRIAL_REASON_EXIT_CODE, "exit code 3"},
    {EXITED(139, "Error") "\"phase\":\"Failed\"}", ASSAY_KUBE_ENDED, false,
     ASSAY_TRIAL_REASON_SIGNAL, "signal 11"},
    {EXITED(137, "OOMKilled") "\"phase\":\"Failed\"}", ASSAY_KUBE_ENDED, false,
     ASSAY_TRIAL_REASON_OUT_OF_MEMORY, "OOMKilled"},
    {EXITED(128, "StartError") "\"phase\":\"Failed\"}", ASSAY_KUBE_ENDED, false,
     ASSAY_TRIAL_REASON_START_FAILED, "StartError"},
    {EXITED(137, "Error") "\"phase\":\"Failed\",\"reason\":\"Evicted\",\"message\":\"low on disk\"}",
     ASSAY_KUBE_ENDED, true, ASSAY_TRIAL_REASON_RUNNER_LOST, "Evicted: low on disk"},
    {EXITED(0, "Completed") "\"phase\":\"Failed\",\"reason\":\"Evicted\"}", ASSAY_KUBE_ENDED, false,
     ASSAY_TRIAL_REASON_NONE, NULL}, /* it had done its work */
    {EXITED(143, "Error") "\"phase\":\"Failed\",\"conditions\":[{\"type\":\"DisruptionTarget\","
     "\"status\":\"True\",\"reason\":\"PreemptionByScheduler\",\"message\":\"for a better one\"}]}",
     ASSAY_KUBE_ENDED, true, ASSAY_TRIAL_REASON_RUNNER_LOST,
     "PreemptionByScheduler: for a better one"},
    {CONTAINER("\"running\":{}") "\"phase\":\"Running\",\"reason\":\"NodeLost\"}",
     ASSAY_KUBE_ENDED, true, ASSAY_TRIAL_REASON_RUNNER_LOST, "NodeLost"},
    {"{\"phase\":\"Failed\",\"reason\":\"OutOfnvidia.com/gpu\"}", ASSAY_KUBE_ENDED, true,
     ASSAY_TRIAL_REASON_RUNNER_LOST, "OutOfnvidia.com/gpu"},
    {EXITED(137, "Error") "\"phase\":\"Failed\",\"reason\":\"DeadlineExceeded\"}", ASSAY_KUBE_ENDED,
     false, ASSAY_TRIAL_REASON_TIMEOUT, "DeadlineExceeded"},
    {"{\"phase\":\"Failed\",\"initContainerStatuses\":[{\"name\":\"setup\",\"state\":{\"terminated\":"
     "{\"exitCode\":2,\"reason\":\"Error\"}}}]}",
     ASSAY_KUBE_ENDED, false, ASSAY_TRIAL_REASON_START_FAILED, "container \"setup\""},
    {EXITED(0, "Completed") "\"phase\":\"Running\"," SIDECAR("\"running\":{}") "}",
     ASSAY_KUBE_RUNNING, false, ASSAY_TRIAL_REASON_NONE, NULL}, /* it tells the last metrics */
    {EXITED(3, "Error") "\"phase\":\"Running\"," SIDECAR("\"running\":{}") "}",
     ASSAY_KUBE_RUNNING, false, ASSAY_TRIAL_REASON_NONE, NULL},
    {EXITED(0, "Completed") "\"phase\":\"Succeeded\","
     SIDECAR("\"terminated\":{\"exitCode\":0}") "}",
     ASSAY_KUBE_ENDED, false, ASSAY_TRIAL_REASON_NONE, NULL},
    {EXITED(0, "Completed") "\"phase\":\"Succeeded\","
     SIDECAR("\"terminated\":{\"exitCode\":137}") "}",
     ASSAY_KUBE_ENDED, true, ASSAY_TRIAL_REASON_RUNNER_LOST, "MetricsUnavailable"},
    {EXITED(3, "Error") "\"phase\":\"Failed\"," SIDECAR("\"terminated\":{\"exitCode\":137}") "}",
     ASSAY_KUBE_ENDED, false, ASSAY_TRIAL_REASON_EXIT_CODE, "exit code 3"},
    {"{\"phase\":\"Failed\"}", ASSAY_KUBE_ENDED, true, ASSAY_TRIAL_REASON_RUNNER_LOST,
     "the pod failed"},
    {"{}", ASSAY_KUBE_PENDING, false, ASSAY_TRIAL_REASON_NONE, NULL},
};

static void
causes_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(causes); i++) {
        json_t *status = json_loads(causes[i].status, 0, NULL);
        json_t *pod = json_pack("{s:o}", "status", status);
        struct assay_kube_pod_status found;

        assert_non_null(status);
        assay_kube_pod_read(pod, "trial", &found);
        if (found.phase != causes[i].phase || found.lost != causes[i].lost ||
            found.reason != causes[i].reason ||
            (causes[i].sentence == NULL
                 ? found.sentence != NULL
                 : found.sentence == NULL || strstr(found.sentence, causes[i].sentence) == NULL))
            fail_msg("%s: phase %d, lost %d, reason %s, \"%s\"", causes[i].status,
                     (int)found.phase, found.lost, assay_trial_reason_name(found.reason),
                     found.sentence != NULL ? found.sentence : "");
        assay_kube_pod_status_done(&found);
        json_decref(pod);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(manifest_has_all, setup, teardown),
        cmocka_unit_test_setup_teardown(manifest_has_the_rest, setup_other, teardown),
        cmocka_unit_test_setup_teardown(environment, setup, teardown),
        cmocka_unit_test_setup_teardown(restricted_by_default, setup, teardown),
        cmocka_unit_test(causes_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

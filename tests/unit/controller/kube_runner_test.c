/* The runner round a command, beside one, and what its Secret says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "common/memory.h"
#include "controller/kubernetes/pod_manifest.h"

static const struct assay_kube_reach reach = {
    .url = "https://assayd.assay:7450", .ca = "PEM", .runner_image = "assay:1"};

struct fixture {
    struct assay_study_spec *spec;
    json_t *parameters;
    struct assay_launch launch;
};

/* A launch of a study with this trial section. */
static void
open_fixture(struct fixture *f, const char *trial)
{
    assay_auto_free char *text = assay_format(
        "{\"name\":\"s\",\"objective\":{\"metric\":\"loss\",\"goal\":\"minimize\"},"
        "\"parameters\":[{\"name\":\"lr\",\"type\":\"double\",\"min\":0,\"max\":1}],"
        "\"algorithm\":{\"name\":\"random\"},\"limits\":{\"trials\":3},\"trial\":{%s}}",
        trial);
    struct assay_faults faults = {0};
    json_error_t where;
    json_t *json = json_loads(text, 0, &where);

    if (json == NULL)
        fail_msg("%s: %s", text, where.text);
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
}

static void
close_fixture(struct fixture *f)
{
    assay_study_free(f->spec);
    json_decref(f->parameters);
}

/* A member by a path of keys, indexes and "@NAME", the item of a list with that name. */
static json_t *
at(json_t *json, const char *path)
{
    char key[256];
    size_t n, i;

    for (; *path != '\0' && json != NULL; path += n + (path[n] == '/')) {
        json_t *item, *found = NULL;

        n = strcspn(path, "/");
        memcpy(key, path, n);
        key[n] = '\0';
        if (key[0] != '@') {
            json = json_is_array(json) ? json_array_get(json, strtoul(key, NULL, 10))
                                       : json_object_get(json, key);
            continue;
        }
        json_array_foreach (json, i, item) {
            if (strcmp(json_string_value(json_object_get(item, "name")), key + 1) == 0)
                found = item;
        }
        json = found;
    }
    return json;
}

static void
expect(json_t *json, const char *path, const char *wanted)
{
    const json_t *found = at(json, path);
    char *text = found != NULL ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS)
                               : NULL;

    if (wanted == NULL ? text != NULL : text == NULL || strcmp(text, wanted) != 0)
        fail_msg("%s is %s, not %s", path, text != NULL ? text : "absent",
                 wanted != NULL ? wanted : "absent");
    free(text);
}

static json_t *
job_of(json_t *secret)
{
    const char *text = json_string_value(at(secret, "stringData/job.json"));
    json_t *job = text != NULL ? json_loads(text, 0, NULL) : NULL;

    assert_non_null(job);
    return job;
}

static void
round_a_command(void **state)
{
    struct fixture f;
    struct assay_kube_pod_options options = {.owner = "abc", .reach = reach};
    struct assay_error err = {0};
    json_t *pod, *secret, *job;
    bool reports;
    char *all;

    (void)state;
    open_fixture(&f, "\"command\":[\"train\",\"--lr=${lr}\",\"$HOME\"],\"environment\":{\"A\":\"1\"},"
                     "\"timeout\":\"90s\",\"grace\":\"5s\",\"metrics\":{\"from\":\"file\","
                     "\"path\":\"out/${trial}.log\"},\"kubernetes\":{\"image\":\"train\","
                     "\"checkpoint_claim\":\"kept\"}");
    f.launch.parent = 3;
    assert_int_equal(assay_kube_pod_build(&f.launch, &options, &pod, &secret, &reports, &err), 0);
    assert_true(reports);
    expect(pod, "spec/containers/@trial/command",
           "[\"/assay/run/assay-runner\",\"--job\",\"/assay/job/job.json\",\"--\",\"train\","
           "\"--lr=0.25\",\"$$HOME\"]");
    expect(pod, "spec/containers/@trial/env",
           "[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"PYTHONUNBUFFERED\",\"value\":\"1\"}]");
    expect(pod, "spec/initContainers/@assay-install/image", "\"assay:1\"");
    expect(pod, "spec/initContainers/@assay-install/command",
           "[\"/usr/local/libexec/assay/assay-runner\",\"--install\",\"/assay/run\",\"--job\","
           "\"/assay/job/job.json\"]");
    expect(pod, "spec/initContainers/@assay-install/env", NULL);
    expect(pod, "spec/initContainers/@assay-install/securityContext",
           "{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":[\"ALL\"]},"
           "\"readOnlyRootFilesystem\":true}");
    expect(pod, "spec/volumes/@assay-job/secret",
           "{\"items\":[{\"key\":\"job.json\",\"path\":\"job.json\"}],"
           "\"secretName\":\"assay-abc-7-12-2\"}");
    expect(pod, "spec/activeDeadlineSeconds", NULL);
    expect(pod, "spec/terminationGracePeriodSeconds", "10");
    expect(pod, "spec/shareProcessNamespace", NULL);
    expect(pod, "spec/initContainers/0/name", "\"assay-install\"");
    expect(pod, "spec/initContainers/1/name", "\"assay-checkpoint\"");
    expect(pod, "spec/initContainers/1/image", "\"train\"");
    expect(pod, "spec/initContainers/1/command",
           "[\"/assay/run/assay-runner\",\"--bring\",\"/assay/parent\",\"/assay/checkpoint\"]");
    expect(pod, "spec/initContainers/1/securityContext",
           "{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":[\"ALL\"]}}");
    expect(pod, "spec/initContainers/1/volumeMounts",
           "[{\"mountPath\":\"/assay/run\",\"name\":\"assay-run\",\"readOnly\":true},"
           "{\"mountPath\":\"/assay/parent\",\"name\":\"volume-0\",\"readOnly\":true,"
           "\"subPath\":\"assay-abc/7/3\"},"
           "{\"mountPath\":\"/assay/checkpoint\",\"name\":\"volume-0\","
           "\"subPath\":\"assay-abc/7/12\"}]");
    /* The token is in the Secret alone. */
    all = json_dumps(pod, 0);
    assert_null(strstr(all, "secret-token"));
    free(all);
    expect(secret, "kind", "\"Secret\"");
    expect(secret, "metadata/name", "\"assay-abc-7-12-2\"");
    expect(secret, "stringData/token", "\"secret-token\"");
    job = job_of(secret);
    expect(job, "metrics/path", "\"out/12.log\"");
    expect(job, "checkpoint_from", NULL);
    expect(job, "timeout_us", "90000000");
    expect(job, "pod",
           "{\"attempt_dir\":\"/assay/run\",\"ca\":\"PEM\",\"checkpoint_dir\":"
           "\"/assay/checkpoint\",\"output_dir\":\"/assay/output\","
           "\"url\":\"https://assayd.assay:7450\"}");
    expect(job, "command", NULL);
    json_decref(job);
    json_object_set_new(json_object_get(pod, "metadata"), "uid", json_string("u-1"));
    assay_kube_runner_set_owner(secret, "v1", "Pod", pod);
    expect(secret, "metadata/ownerReferences",
           "[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"assay-abc-7-12-2\",\"uid\":\"u-1\"}]");
    json_decref(pod);
    json_decref(secret);
    close_fixture(&f);
}

/* Without a runner it gets the token, the authorities and the parameters all the same. */
static void
a_command_alone(void **state)
{
    struct fixture f;
    struct assay_kube_pod_options options = {.owner = "abc", .reach = reach};
    struct assay_error err = {0};
    json_t *pod, *secret;
    bool reports;

    (void)state;
    open_fixture(&f, "\"command\":[\"train\"],\"kubernetes\":{\"image\":\"train\"}");
    assert_int_equal(assay_kube_pod_build(&f.launch, &options, &pod, &secret, &reports, &err), 0);
    assert_false(reports);
    expect(pod, "spec/initContainers", NULL);
    expect(pod, "spec/containers/0/env/@ASSAY_TOKEN/valueFrom",
           "{\"secretKeyRef\":{\"key\":\"token\",\"name\":\"assay-abc-7-12-2\"}}");
    expect(pod, "spec/containers/0/env/@ASSAY_CA_FILE/value", "\"/assay/ca/ca.pem\"");
    expect(pod, "spec/containers/0/env/@ASSAY_PARAMETERS_FILE/value",
           "\"/assay/parameters/parameters.json\"");
    expect(pod, "spec/volumes/2/downwardAPI/items/0/fieldRef/fieldPath",
           "\"metadata.annotations['assay.dev/parameters']\"");
    assert_string_equal(json_string_value(json_object_get(at(pod, "metadata/annotations"),
                                                          "assay.dev/parameters")),
                        "{\"lr\":0.25}");
    expect(pod, "spec/volumes/3/secret/secretName", "\"assay-abc-7-12-2\"");
    expect(secret, "stringData", "{\"ca.pem\":\"PEM\",\"token\":\"secret-token\"}");
    json_decref(pod);
    json_decref(secret);
    close_fixture(&f);
}

/* Git runs in the init container, with what the study gives to reach its server. */
static void
code_from_git(void **state)
{
    struct fixture f;
    struct assay_kube_pod_options options = {.owner = "abc", .reach = reach};
    struct assay_error err = {0};
    json_t *pod, *secret;
    bool reports;

    (void)state;
    open_fixture(&f, "\"command\":[\"train\"],\"code\":{\"git\":\"https://x.test/y\"},"
                     "\"environment\":{\"A\":\"1\"},\"kubernetes\":{\"image\":\"train\","
                     "\"volumes\":[{\"path\":\"/keys\",\"secret\":\"keys\"}]}");
    assert_int_equal(assay_kube_pod_build(&f.launch, &options, &pod, &secret, &reports, &err), 0);
    expect(pod, "spec/initContainers/@assay-install/env/0", "{\"name\":\"A\",\"value\":\"1\"}");
    expect(pod, "spec/initContainers/@assay-install/env/2",
           "{\"name\":\"HOME\",\"value\":\"/assay/run\"}");
    expect(pod, "spec/initContainers/@assay-install/volumeMounts/2",
           "{\"mountPath\":\"/keys\",\"name\":\"volume-0\"}");
    json_decref(pod);
    json_decref(secret);
    close_fixture(&f);
}

static void
only_where_needed(void **state)
{
    static const struct {
        const char *trial;
        bool wraps, wraps_without_image;
    } cases[] = {
        {"\"kubernetes\":{\"image\":\"i\"}", false, false},
        {"\"kubernetes\":{\"image\":\"i\",\"runner\":true}", true, true},
        {"\"kubernetes\":{\"image\":\"i\"},\"metrics\":{\"from\":\"push\"}", true, false},
        {"\"kubernetes\":{\"image\":\"i\"},\"metrics\":{\"from\":\"tensorboard\",\"path\":\"tb\"}",
         true, true},
    };
    struct assay_kube_reach no_image = {.url = reach.url};

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        assay_auto_free char *trial = assay_format("\"command\":[\"x\"],%s", cases[i].trial);
        struct assay_kubernetes_spec *spec;
        struct assay_faults faults = {0};
        struct fixture f;

        open_fixture(&f, trial);
        spec = assay_kubernetes_spec_decode(f.spec->trial->kubernetes, "", &faults);
        assert_int_equal(assay_kube_runner_wraps(f.spec->trial, spec, &reach), cases[i].wraps);
        assert_int_equal(assay_kube_runner_wraps(f.spec->trial, spec, &no_image),
                         cases[i].wraps_without_image);
        assay_kube_runner_check(f.spec->trial, spec, &reach, "/trial", &faults);
        assert_int_equal(faults.count, 0);
        assay_kube_runner_check(f.spec->trial, spec, &no_image, "/trial", &faults);
        assert_int_equal(faults.count, cases[i].wraps_without_image);
        if (faults.count > 0)
            assert_non_null(strstr(faults.items[0].message, "--kube-runner-image"));
        assay_faults_done(&faults);
        assay_kubernetes_spec_free(spec);
        close_fixture(&f);
    }
}

static void
a_checkpoint_needs_it(void **state)
{
    struct fixture f;
    struct assay_kube_pod_options options = {.owner = "abc"};
    struct assay_error err = {0};
    json_t *pod, *secret;
    bool reports;

    (void)state;
    open_fixture(&f, "\"command\":[\"x\"],\"kubernetes\":{\"image\":\"i\","
                     "\"checkpoint_claim\":\"c\"}");
    f.launch.parent = 3;
    assert_int_equal(assay_kube_pod_build(&f.launch, &options, &pod, &secret, &reports, &err),
                     ASSAY_E_INVALID_VALUE);
    assert_non_null(strstr(err.message, "to bring the checkpoint it goes on from"));
    close_fixture(&f);
}

/* Adds the sidecar to a pod of the given text; NULL: refused, with a sentence in err. */
static json_t *
with_sidecar(const char *trial, const char *pod_text, const char *container,
             struct assay_error *err)
{
    json_t *pod = json_loads(pod_text, 0, NULL);
    struct fixture f;
    assay_status rc;

    assert_non_null(pod);
    open_fixture(&f, trial);
    rc = assay_kube_runner_add_sidecar(&f.launch, "assay:1", "name", pod, container, err);
    close_fixture(&f);
    if (rc == ASSAY_OK)
        return pod;
    json_decref(pod);
    return NULL;
}

#define TEMPLATE "\"kubernetes\":{\"template\":{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\"}}"
#define FILE_AT(path) TEMPLATE ",\"metrics\":{\"from\":\"file\",\"path\":\"" path "\"}"

static void
beside_a_command(void **state)
{
    struct assay_error err = {0};
    json_t *pod;

    (void)state;
    pod = with_sidecar(FILE_AT("/var/log/katib/metrics.log"),
                       "{\"initContainers\":[{\"name\":\"fetch\"}],\"containers\":["
                       "{\"name\":\"other\"},{\"name\":\"main\",\"command\":[\"x\"]}]}",
                       "main", &err);
    assert_non_null(pod);
    expect(pod, "initContainers/0/name", "\"assay-metrics\"");
    expect(pod, "initContainers/0/restartPolicy", "\"Always\"");
    expect(pod, "initContainers/0/securityContext/runAsNonRoot", "true");
    expect(pod, "initContainers/1/name", "\"fetch\"");
    expect(pod, "initContainers/0/command",
           "[\"/usr/local/libexec/assay/assay-runner\",\"--watch\",\"--job\","
           "\"/assay/job/job.json\"]");
    expect(pod, "containers/@main/command", "[\"x\"]");
    expect(pod, "containers/@main/volumeMounts",
           "[{\"mountPath\":\"/var/log/katib\",\"name\":\"assay-metrics\"}]");
    expect(pod, "initContainers/0/volumeMounts/2",
           "{\"mountPath\":\"/var/log/katib\",\"name\":\"assay-metrics\",\"readOnly\":true}");
    expect(pod, "containers/@other/volumeMounts", NULL);
    json_decref(pod);

    /* A volume of the template's own is looked into where it is. */
    pod = with_sidecar(TEMPLATE ",\"metrics\":{\"from\":\"tensorboard\",\"path\":\"/data/run/tb\"}",
                       "{\"volumes\":[{\"name\":\"d\",\"emptyDir\":{}}],\"containers\":[{\"name\":"
                       "\"main\",\"volumeMounts\":[{\"name\":\"a\",\"mountPath\":\"/data/ru\"},"
                       "{\"name\":\"d\",\"mountPath\":\"/data/\",\"subPath\":\"s\"}]}]}",
                       NULL, &err);
    assert_non_null(pod);
    expect(pod, "initContainers/0/volumeMounts/2",
           "{\"mountPath\":\"/data/\",\"name\":\"d\",\"readOnly\":true,\"subPath\":\"s\"}");
    expect(pod, "volumes/@assay-metrics", NULL);
    json_decref(pod);

    pod = with_sidecar(TEMPLATE ",\"metrics\":{\"from\":\"prometheus\",\"url\":"
                                "\"http://127.0.0.1:8080/metrics\"}",
                       "{\"securityContext\":{\"runAsUser\":0},\"containers\":[{\"name\":"
                       "\"main\"}]}", NULL, &err);
    assert_non_null(pod);
    expect(pod, "containers/@main/volumeMounts", NULL);
    expect(pod, "initContainers/0/securityContext/runAsNonRoot", NULL);
    json_decref(pod);
}

static void
what_can_not_be_shared(void **state)
{
    static const char pod[] = "{\"containers\":[{\"name\":\"main\"}]}";
    struct assay_error err = {0};

    (void)state;
    assert_null(with_sidecar(FILE_AT("metrics.log"), pod, NULL, &err));
    assert_non_null(strstr(err.message, "must be absolute"));
    assert_null(with_sidecar(FILE_AT("/metrics.log"), pod, NULL, &err));
    assert_non_null(strstr(err.message, "in a folder of its own"));
    assert_null(with_sidecar(FILE_AT("/a/metrics.log"), pod, "nobody", &err));
    assert_non_null(strstr(err.message, "no container \"nobody\""));
    assert_null(with_sidecar(FILE_AT("/a/metrics.log"), "{}", NULL, &err));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_a_command),     cmocka_unit_test(a_command_alone),
        cmocka_unit_test(code_from_git),
        cmocka_unit_test(only_where_needed),   cmocka_unit_test(a_checkpoint_needs_it),
        cmocka_unit_test(beside_a_command),    cmocka_unit_test(what_can_not_be_shared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

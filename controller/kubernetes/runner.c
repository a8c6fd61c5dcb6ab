#include "controller/kubernetes/runner.h"

#include <string.h>

#include "common/json.h"
#include "common/memory.h"
#include "controller/job.h"
#include "controller/launch.h"
#include "schemas/decode.h"

/* Shared by the init container, the user's and the sidecar. */
#define RUN_VOLUME "assay-run"
#define RUN_PATH "/assay/run"
#define RUNNER_PATH RUN_PATH "/assay-runner"
#define CACHE_PATH RUN_PATH "/cache"
#define JOB_VOLUME "assay-job"
#define JOB_PATH "/assay/job"
#define JOB_FILE "job.json"
#define METRICS_VOLUME "assay-metrics"
/* Of the output, for the last lines in messages; the cluster keeps the log. */
#define LOG_BYTES 65536

/* --- which trials --- */

static bool
reads_beside_output(const struct assay_trial_spec *trial)
{
    return trial->metrics_from == ASSAY_METRICS_FILE ||
           trial->metrics_from == ASSAY_METRICS_TENSORBOARD ||
           trial->metrics_from == ASSAY_METRICS_PROMETHEUS;
}

bool
assay_kube_runner_wraps(const struct assay_trial_spec *trial,
                        const struct assay_kubernetes_spec *spec,
                        const struct assay_kube_reach *reach)
{
    bool can = reach->url != NULL && reach->runner_image != NULL;

    return reads_beside_output(trial) || trial->git_url != NULL || spec->runner ||
           (trial->metrics_from == ASSAY_METRICS_PUSH && can);
}

bool
assay_kube_runner_watches(const struct assay_trial_spec *trial)
{
    return reads_beside_output(trial);
}

void
assay_kube_runner_check(const struct assay_trial_spec *trial,
                        const struct assay_kubernetes_spec *spec,
                        const struct assay_kube_reach *reach, const char *pointer,
                        struct assay_faults *faults)
{
    const char *lacks = reach->runner_image == NULL ? "--kube-runner-image" : "--kube-url";
    const struct {
        bool asked;
        const char *member, *what;
    } rows[] = {
        {reads_beside_output(trial), "metrics",
         "metrics that are not printed are read in a pod by assay-runner"},
        {trial->git_url != NULL, "code", "code from git is brought into a pod by assay-runner"},
        {spec->runner, "kubernetes/runner", "there is no assay-runner for pods"},
    };

    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        assay_auto_free char *at = assay_format("%s/%s", pointer, rows[i].member);

        if (rows[i].asked && (reach->runner_image == NULL || reach->url == NULL))
            assay_fault_add(faults, at, NULL, NULL,
                            "%s; this service was started without the option %s", rows[i].what,
                            lacks);
    }
    if (trial->metrics_from == ASSAY_METRICS_PUSH && reach->url == NULL) {
        assay_auto_free char *at = assay_pointer_key(pointer, "metrics");

        assay_fault_add(faults, at, NULL, NULL,
                        "metrics can be pushed only when assayd has the option --kube-url");
    }
}

/* --- pieces --- */

static json_t *
list_of(json_t *object, const char *key)
{
    json_t *list = json_object_get(object, key);

    if (!json_is_array(list)) {
        list = json_array();
        json_object_set_new(object, key, list);
    }
    return list;
}

static void
add_mount(json_t *container, const char *volume, const char *path, bool read_only)
{
    json_t *mount = json_pack("{s:s, s:s}", "name", volume, "mountPath", path);

    if (read_only)
        json_object_set_new(mount, "readOnly", json_true());
    json_array_append_new(list_of(container, "volumeMounts"), mount);
}

static void
add_run_volume(json_t *pod_spec)
{
    json_t *volumes = list_of(pod_spec, "volumes");

    if (assay_json_named(volumes, RUN_VOLUME) == NULL)
        json_array_append_new(volumes, json_pack("{s:s, s:{}}", "name", RUN_VOLUME, "emptyDir"));
}

static void
add_volumes(json_t *pod_spec, const char *secret)
{
    json_t *volumes = list_of(pod_spec, "volumes");

    add_run_volume(pod_spec);
    json_array_append_new(volumes, json_pack("{s:s, s:{s:s, s:[{s:s, s:s}]}}", "name", JOB_VOLUME,
                                             "secret", "secretName", secret, "items", "key",
                                             JOB_FILE, "path", JOB_FILE));
}

/* A container of the runner's image: little, without rights. */
static json_t *
bare_container(const char *name, const char *runner_image, json_t *command_taken)
{
    return json_pack(
        "{s:s, s:s, s:o, s:s, s:{s:{s:s, s:s}}, s:{s:b, s:b, s:{s:[s]}}}", "name", name, "image",
        runner_image, "command", command_taken, "terminationMessagePolicy",
        "FallbackToLogsOnError", "resources", "requests", "cpu", "10m", "memory", "32Mi",
        "securityContext", "allowPrivilegeEscalation", 0, "readOnlyRootFilesystem", 1,
        "capabilities", "drop", "ALL");
}

/* With a job to do; nothing is written but below RUN_PATH. */
static json_t *
own_container(const char *name, const char *runner_image, json_t *command_taken)
{
    json_t *container = bare_container(name, runner_image, command_taken);

    add_mount(container, RUN_VOLUME, RUN_PATH, false);
    add_mount(container, JOB_VOLUME, JOB_PATH, true);
    return container;
}

/* --- round a command --- */

/* Git may need the variables and volumes of the study: keys, certificates, proxies. */
static void
give_for_git(json_t *init, const json_t *container)
{
    const json_t *mounts = json_object_get(container, "volumeMounts");
    json_t *env = json_object_get(container, "env");

    env = env != NULL ? json_deep_copy(env) : json_array();
    json_array_append_new(env, json_pack("{s:s, s:s}", "name", "HOME", "value", RUN_PATH));
    json_array_append_new(env, json_pack("{s:s, s:s}", "name", "TMPDIR", "value", RUN_PATH));
    json_object_set_new(init, "env", env);
    json_array_extend(list_of(init, "volumeMounts"), assay_json_unconst(mounts));
}

void
assay_kube_runner_wrap(const struct assay_launch *launch, const char *runner_image,
                       const char *secret, json_t *pod_spec, json_t *container)
{
    json_t *init = own_container(
        ASSAY_KUBE_RUNNER_INIT, runner_image,
        json_pack("[s, s, s, s, s]", ASSAY_KUBE_RUNNER_IN_IMAGE, "--install", RUN_PATH, "--job",
                  JOB_PATH "/" JOB_FILE));
    json_t *command =
        json_pack("[s, s, s, s]", RUNNER_PATH, "--job", JOB_PATH "/" JOB_FILE, "--");
    const struct assay_trial_spec *trial = launch->spec->trial;

    if (trial->git_url != NULL) {
        give_for_git(init, container);
        json_object_del(container, "workingDir"); /* it starts in its code */
    }
    json_array_append_new(list_of(pod_spec, "initContainers"), init);
    json_array_extend(command, json_object_get(container, "command"));
    json_object_set_new(container, "command", command);
    add_volumes(pod_spec, secret);
    add_mount(container, RUN_VOLUME, RUN_PATH, false);
    add_mount(container, JOB_VOLUME, JOB_PATH, true);
    /* The runner keeps the time of the command alone, as on a machine; images may be
     * pulled as long as that takes. */
    json_object_del(pod_spec, "activeDeadlineSeconds");
    json_object_set_new(
        pod_spec, "terminationGracePeriodSeconds",
        json_integer((trial->grace_us + ASSAY_KUBE_RUNNER_GRACE_MORE_US + ASSAY_SECOND_US - 1) /
                     ASSAY_SECOND_US));
}

/* --- beside one --- */

static json_t *
find_container(const json_t *pod_spec, const char *name)
{
    const json_t *containers = json_object_get(pod_spec, "containers");

    return name != NULL ? assay_json_named(containers, name) : json_array_get(containers, 0);
}

/* Whether `path` is `folder` or below it. */
static bool
is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    while (n > 0 && folder[n - 1] == '/')
        n--;
    return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* The mount of the container that holds the path: the one that is mounted deepest. */
static const json_t *
mount_of(const json_t *container, const char *path)
{
    const json_t *mount, *best = NULL;
    size_t i, length = 0;

    json_array_foreach (json_object_get(container, "volumeMounts"), i, mount) {
        const char *at = json_string_value(json_object_get(mount, "mountPath"));

        if (at != NULL && is_below(path, at) && strlen(at) > length) {
            best = mount;
            length = strlen(at);
        }
    }
    return best;
}

/* Lets the sidecar see what the container writes at the path. */
static assay_status
share_folder(const struct assay_trial_spec *trial, const char *path, json_t *pod_spec,
             json_t *container, json_t *sidecar, struct assay_error *err)
{
    const json_t *mount;
    json_t *copy;
    assay_auto_free char *folder = assay_strdup(path);

    if (path[0] != '/')
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "/trial/metrics/path: in a template's pod the path of metrics must be "
                          "absolute, and it is \"%s\"", path);
    mount = mount_of(container, path);
    if (mount != NULL) {
        copy = json_deep_copy(mount);
        json_object_set_new(copy, "readOnly", json_true());
        json_array_append_new(list_of(sidecar, "volumeMounts"), copy);
        return ASSAY_OK;
    }
    if (trial->metrics_from == ASSAY_METRICS_FILE)
        *strrchr(folder, '/') = '\0';
    for (size_t n = strlen(folder); n > 0 && folder[n - 1] == '/';)
        folder[--n] = '\0';
    if (folder[0] == '\0')
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "/trial/metrics/path: the root folder can not be shared with what reads "
                          "the metrics; let \"%s\" be in a folder of its own", path);
    json_array_append_new(list_of(pod_spec, "volumes"),
                          json_pack("{s:s, s:{}}", "name", METRICS_VOLUME, "emptyDir"));
    add_mount(container, METRICS_VOLUME, folder, false);
    add_mount(sidecar, METRICS_VOLUME, folder, true);
    return ASSAY_OK;
}

/* The template may leave to each container what the "restricted" standard asks for; in a
 * pod that is to be root's it would keep the sidecar from starting. */
static void
restrict_sidecar(const json_t *pod_spec, json_t *sidecar)
{
    const json_t *user =
        json_object_get(json_object_get(pod_spec, "securityContext"), "runAsUser");
    json_t *context = json_object_get(sidecar, "securityContext");

    if (user != NULL && json_integer_value(user) == 0)
        return;
    json_object_set_new(context, "runAsNonRoot", json_true());
    json_object_set_new(context, "seccompProfile", json_pack("{s:s}", "type", "RuntimeDefault"));
}

assay_status
assay_kube_runner_add_sidecar(const struct assay_launch *launch, const char *runner_image,
                              const char *secret, json_t *pod_spec, const char *container,
                              struct assay_error *err)
{
    const struct assay_trial_spec *trial = launch->spec->trial;
    json_t *beside = find_container(pod_spec, container), *sidecar, *values, *path = NULL;
    assay_status rc = ASSAY_OK;

    if (beside == NULL)
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "/trial/kubernetes/template: there is no container \"%s\" to read "
                          "metrics from", container != NULL ? container : "");
    sidecar = own_container(ASSAY_KUBE_RUNNER_SIDECAR, runner_image,
                            json_pack("[s, s, s, s]", ASSAY_KUBE_RUNNER_IN_IMAGE, "--watch",
                                      "--job", JOB_PATH "/" JOB_FILE));
    json_object_set_new(sidecar, "restartPolicy", json_string("Always"));
    restrict_sidecar(pod_spec, sidecar);
    if (trial->metrics_from != ASSAY_METRICS_PROMETHEUS && trial->metrics_path != NULL) {
        values = assay_launch_values(launch);
        rc = assay_launch_substitute(trial->metrics_path, values, "/trial/metrics/path", &path,
                                     err);
        json_decref(values);
        if (rc == ASSAY_OK)
            rc = share_folder(trial, json_string_value(path), pod_spec, beside, sidecar, err);
        json_decref(path);
    }
    if (rc < 0) {
        json_decref(sidecar);
        return rc;
    }
    add_volumes(pod_spec, secret);
    json_array_insert_new(list_of(pod_spec, "initContainers"), 0, sidecar);
    return ASSAY_OK;
}

/* --- checkpoints --- */

static void
copy_member(json_t *object, const json_t *from, const char *key)
{
    const json_t *value = json_object_get(from, key);

    if (value != NULL)
        json_object_set_new(object, key, json_deep_copy(value));
}

/* The place of the init container that installs the runner; one that has only that to do is
 * added where there is none. */
static size_t
place_of_installer(json_t *pod_spec, const char *runner_image)
{
    json_t *list = list_of(pod_spec, "initContainers"), *init;
    size_t i;

    json_array_foreach (list, i, init) {
        if (strcmp(assay_json_text_at(init, "name"), ASSAY_KUBE_RUNNER_INIT) == 0)
            return i;
    }
    init = bare_container(ASSAY_KUBE_RUNNER_INIT, runner_image,
                          json_pack("[s, s, s]", ASSAY_KUBE_RUNNER_IN_IMAGE, "--install",
                                    RUN_PATH));
    add_mount(init, RUN_VOLUME, RUN_PATH, false);
    json_array_insert_new(list, 0, init);
    add_run_volume(pod_spec);
    return 0;
}

assay_status
assay_kube_runner_bring(json_t *pod_spec, const json_t *container, const char *runner_image,
                        const char *path, const char *from, struct assay_error *err)
{
    const json_t *mount = mount_of(container, path);
    const char *volume = assay_json_text_at(mount, "name");
    json_t *init, *mounts;

    if (runner_image == NULL)
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "this trial needs assay-runner in its pod to bring the checkpoint it "
                          "goes on from; this service was started without the option "
                          "--kube-runner-image");
    init = bare_container(ASSAY_KUBE_RUNNER_BRING, assay_json_text_at(container, "image"),
                          json_pack("[s, s, s, s]", RUNNER_PATH, "--bring",
                                    ASSAY_KUBE_PARENT_PATH, ASSAY_KUBE_CHECKPOINT_PATH));
    json_object_del(init, "securityContext");
    copy_member(init, container, "securityContext");
    copy_member(init, container, "imagePullPolicy");
    add_mount(init, RUN_VOLUME, RUN_PATH, true);
    mounts = list_of(init, "volumeMounts");
    json_array_append_new(mounts, json_pack("{s:s, s:s, s:s, s:b}", "name", volume, "mountPath",
                                            ASSAY_KUBE_PARENT_PATH, "subPath", from, "readOnly",
                                            1));
    json_array_append_new(mounts, json_pack("{s:s, s:s, s:s}", "name", volume, "mountPath",
                                            ASSAY_KUBE_CHECKPOINT_PATH, "subPath",
                                            assay_json_text_at(mount, "subPath")));
    json_array_insert_new(list_of(pod_spec, "initContainers"),
                          place_of_installer(pod_spec, runner_image) + 1, init);
    return ASSAY_OK;
}

/* --- the Secret --- */

static assay_status
build_job(const struct assay_launch *launch, const char *name,
          const struct assay_kube_reach *reach, json_t **ret_job, struct assay_error *err)
{
    struct assay_job_options options = {
        .data_dir = CACHE_PATH, .marker = name, .log_bytes = LOG_BYTES};
    json_t *job, *pod;
    assay_status rc = assay_job_build(launch, &options, &job, err);

    if (rc < 0)
        return rc;
    /* They stand in the manifest. */
    json_object_del(job, "command");
    json_object_set_new(job, "environment", json_object());
    json_object_set_new(job, "memory_bytes", json_integer(0));
    json_object_del(job, "checkpoint_from"); /* brought by an init container */
    pod = json_pack("{s:s, s:s, s:s, s:s}", "attempt_dir", RUN_PATH, "checkpoint_dir",
                    ASSAY_KUBE_CHECKPOINT_PATH, "output_dir", ASSAY_KUBE_OUTPUT_PATH, "url",
                    reach->url);
    if (reach->ca != NULL)
        json_object_set_new(pod, "ca", json_string(reach->ca));
    json_object_set_new(job, "pod", pod);
    *ret_job = job;
    return ASSAY_OK;
}

assay_status
assay_kube_runner_secret(const struct assay_launch *launch, const char *name,
                         const json_t *labels, const struct assay_kube_reach *reach,
                         bool with_job, json_t **ret_secret, struct assay_error *err)
{
    json_t *data = json_pack("{s:s}", ASSAY_KUBE_TOKEN_KEY, launch->token), *job;
    assay_auto_buffer struct assay_buffer text = {0};

    if (with_job) {
        assay_status rc = build_job(launch, name, reach, &job, err);

        if (rc < 0) {
            json_decref(data);
            return rc;
        }
        assay_json_print(job, 0, &text);
        json_decref(job);
        json_object_set_new(data, JOB_FILE, json_string(text.data));
    }
    if (reach->ca != NULL)
        json_object_set_new(data, ASSAY_KUBE_CA_KEY, json_string(reach->ca));
    *ret_secret = json_pack("{s:s, s:s, s:s, s:{s:s, s:O?}, s:b, s:o}", "apiVersion", "v1",
                            "kind", "Secret", "type", "Opaque", "metadata", "name", name,
                            "labels", assay_json_unconst(labels), "immutable", 1, "stringData",
                            data);
    return ASSAY_OK;
}

void
assay_kube_runner_set_owner(json_t *secret, const char *api_version, const char *kind,
                            const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");

    json_object_set_new(
        json_object_get(secret, "metadata"), "ownerReferences",
        json_pack("[{s:s, s:s, s:O, s:O}]", "apiVersion", api_version, "kind", kind, "name",
                  json_object_get(metadata, "name"), "uid", json_object_get(metadata, "uid")));
}

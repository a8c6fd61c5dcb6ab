#include "controller/kubernetes/pod_manifest.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"
#include "controller/launch.h"
#include "schemas/decode.h"

#define PARAMETERS_ANNOTATION "assay.dev/parameters"
#define PARAMETERS_FILE "parameters.json"

char *
assay_kube_pod_name(const char *owner, const struct assay_attempt_key *key)
{
    return assay_format("assay-%s-%" PRId64 "-%" PRId64 "-%" PRId64, owner, key->study_id,
                        key->trial_number, key->attempt);
}

/* --- building: pieces --- */

static void
set_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL)
        json_object_set_new(object, key, json_string(text));
}

static void
set_copy(json_t *object, const char *key, const json_t *json)
{
    if (json != NULL)
        json_object_set_new(object, key, json_deep_copy(json));
}

/* The kubelet makes "$" of "$$" and expands $(NAME); so the text arrives as it is. */
static json_t *
literal(const char *text)
{
    struct assay_buffer doubled = {0};
    json_t *json;

    for (const char *p = text; *p != '\0'; p++)
        assay_buffer_add(&doubled, *p == '$' ? "$$" : p, *p == '$' ? 2 : 1);
    json = json_string(doubled.data != NULL ? doubled.data : "");
    assay_buffer_done(&doubled);
    return json;
}

static void
add_variable(json_t *env, const char *name, const char *value)
{
    json_array_append_new(env, json_pack("{s:s, s:o}", "name", name, "value", literal(value)));
}

static void
add_variable_taken(json_t *env, const char *name, char *value)
{
    add_variable(env, name, value);
    free(value);
}

void
assay_kube_add_labels(json_t *labels, const struct assay_launch *launch, const char *owner)
{
    set_text(labels, "app.kubernetes.io/managed-by", "assay");
    set_text(labels, ASSAY_KUBE_LABEL_DAEMON, owner);
    json_object_set_new(labels, ASSAY_KUBE_LABEL_STUDY,
                        json_sprintf("%" PRId64, launch->key.study_id));
    json_object_set_new(labels, ASSAY_KUBE_LABEL_TRIAL,
                        json_sprintf("%" PRId64, launch->key.trial_number));
    json_object_set_new(labels, ASSAY_KUBE_LABEL_ATTEMPT,
                        json_sprintf("%" PRId64, launch->key.attempt));
}

void
assay_kube_add_annotations(json_t *annotations, const struct assay_launch *launch)
{
    set_text(annotations, "assay.dev/project", launch->project);
    set_text(annotations, "assay.dev/study-name", launch->study);
}

static json_t *
copy_or_empty(const json_t *texts)
{
    return texts != NULL ? json_deep_copy(texts) : json_object();
}

static json_t *
build_labels(const struct assay_launch *launch, const char *owner,
             const struct assay_kubernetes_spec *spec)
{
    json_t *labels = copy_or_empty(spec->labels);

    assay_kube_add_labels(labels, launch, owner);
    return labels;
}

static json_t *
build_annotations(const struct assay_launch *launch, const struct assay_kubernetes_spec *spec,
                  bool wrapped)
{
    json_t *annotations = copy_or_empty(spec->annotations);
    struct assay_buffer parameters = {0};

    assay_kube_add_annotations(annotations, launch);
    if (!wrapped) { /* a volume makes a file of it */
        assay_json_print(launch->parameters, 0, &parameters);
        set_text(annotations, PARAMETERS_ANNOTATION, parameters.data);
        assay_buffer_done(&parameters);
    }
    return annotations;
}

static assay_status
build_command(const struct assay_trial_spec *trial, const json_t *values, json_t **ret_command,
              struct assay_error *err)
{
    json_t *command = json_array();

    for (size_t i = 0; i < trial->n_command; i++) {
        json_t *text;
        assay_status rc =
            assay_launch_substitute(trial->command[i], values, "command", &text, err);

        if (rc < 0) {
            json_decref(command);
            return rc;
        }
        json_array_append_new(command, literal(json_string_value(text)));
        json_decref(text);
    }
    *ret_command = command;
    return ASSAY_OK;
}

static void
add_parameters(json_t *env, const struct assay_launch *launch)
{
    json_t *texts = assay_space_texts(launch->spec->space, launch->parameters);
    struct assay_buffer all = {0};
    const char *name;
    json_t *value;

    assay_json_print(launch->parameters, 0, &all);
    add_variable(env, "ASSAY_PARAMETERS", all.data);
    assay_buffer_done(&all);
    json_object_foreach(texts, name, value)
    {
        assay_auto_free char *variable = assay_format("ASSAY_PARAM_%s", name);

        if (json_object_get(launch->parameters, name) == NULL)
            continue; /* not active */
        for (char *p = variable; *p != '\0'; p++)
            *p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
        add_variable(env, variable, json_string_value(value));
    }
    json_decref(texts);
}

static void
add_ours(json_t *env, const struct assay_launch *launch, const struct assay_kube_places *places)
{
    char budget[ASSAY_DOUBLE_TEXT];

    add_parameters(env, launch);
    if (places->url != NULL) {
        add_variable(env, "ASSAY_URL", places->url);
        json_array_append_new(
            env, json_pack("{s:s, s:{s:{s:s, s:s}}}", "name", "ASSAY_TOKEN", "valueFrom",
                           "secretKeyRef", "name", places->secret, "key", ASSAY_KUBE_TOKEN_KEY));
    }
    add_variable(env, "ASSAY_PROJECT", launch->project);
    add_variable(env, "ASSAY_STUDY", launch->study);
    add_variable_taken(env, "ASSAY_TRIAL", assay_format("%" PRId64, launch->key.trial_number));
    add_variable_taken(env, "ASSAY_ATTEMPT", assay_format("%" PRId64, launch->key.attempt));
    if (!isnan(launch->budget)) {
        assay_print_double(launch->budget, budget);
        add_variable(env, "ASSAY_BUDGET", budget);
    }
    if (places->checkpoints != NULL)
        add_variable(env, "ASSAY_CHECKPOINT_DIR", places->checkpoints);
    if (places->output != NULL)
        add_variable(env, "ASSAY_OUTPUT_DIR", places->output);
    if (places->parameters != NULL)
        add_variable(env, "ASSAY_PARAMETERS_FILE", places->parameters);
    if (places->ca != NULL)
        add_variable(env, "ASSAY_CA_FILE", places->ca);
}

assay_status
assay_kube_environment(const struct assay_launch *launch, const json_t *values,
                       const struct assay_kube_places *places, json_t **ret_env,
                       struct assay_error *err)
{
    const json_t *environment = launch->spec->trial->environment;
    json_t *env = json_array(), *item, *text;
    const char *name;

    assay_json_each (environment, name, item) {
        assay_auto_free char *at = assay_pointer_key("/trial/environment", name);
        assay_status rc =
            assay_launch_substitute(json_string_value(item), values, at, &text, err);

        if (rc < 0) {
            json_decref(env);
            return rc;
        }
        add_variable(env, name, json_string_value(text));
        json_decref(text);
    }
    if (json_object_get(environment, "PYTHONUNBUFFERED") == NULL)
        add_variable(env, "PYTHONUNBUFFERED", "1");
    if (places != NULL)
        add_ours(env, launch, places);
    *ret_env = env;
    return ASSAY_OK;
}

static void
add_secrets(json_t *env, const json_t *secrets)
{
    const char *name;
    json_t *item;

    assay_json_each (secrets, name, item) {
        json_array_append_new(
            env, json_pack("{s:s, s:{s:{s:O, s:O}}}", "name", name, "valueFrom", "secretKeyRef",
                           "name", json_object_get(item, "secret"), "key",
                           json_object_get(item, "key")));
    }
}

static json_t *
build_resources(const struct assay_trial_spec *trial, const struct assay_kubernetes_spec *spec)
{
    json_t *requests = json_object(), *limits = json_object();

    if (trial->cpus > 0.0)
        json_object_set_new(requests, "cpu",
                            json_sprintf("%" PRId64 "m", (int64_t)ceil(trial->cpus * 1000.0)));
    if (trial->memory_bytes > 0) {
        json_object_set_new(requests, "memory", json_sprintf("%" PRId64, trial->memory_bytes));
        json_object_set_new(limits, "memory", json_sprintf("%" PRId64, trial->memory_bytes));
    }
    if (trial->gpus > 0) /* extended resources: the request is the limit */
        json_object_set_new(limits, spec->gpu_resource, json_sprintf("%" PRId64, trial->gpus));
    return json_pack("{s:o, s:o}", "requests", requests, "limits", limits);
}

/* --- volumes --- */

static void
add_volume(json_t *volumes, json_t *mounts, const char *path, json_t *source_taken,
           const char *sub_path, bool read_only)
{
    assay_auto_free char *name = assay_format("volume-%zu", json_array_size(volumes));
    json_t *mount = json_pack("{s:s, s:s}", "name", name, "mountPath", path);

    json_object_set_new(source_taken, "name", json_string(name));
    json_array_append_new(volumes, source_taken);
    set_text(mount, "subPath", sub_path);
    if (read_only)
        json_object_set_new(mount, "readOnly", json_true());
    json_array_append_new(mounts, mount);
}

static json_t *
claim_source(const char *claim, bool read_only)
{
    json_t *source = json_pack("{s:{s:s}}", "persistentVolumeClaim", "claimName", claim);

    if (read_only)
        json_object_set_new(json_object_get(source, "persistentVolumeClaim"), "readOnly",
                            json_true());
    return source;
}

static json_t *
volume_source(const struct assay_kubernetes_volume *volume)
{
    json_t *source;

    if (volume->claim != NULL)
        return claim_source(volume->claim, volume->read_only);
    if (volume->secret != NULL)
        return json_pack("{s:{s:s}}", "secret", "secretName", volume->secret);
    if (volume->config_map != NULL)
        return json_pack("{s:{s:s}}", "configMap", "name", volume->config_map);
    source = json_object();
    if (volume->size_bytes > 0)
        json_object_set_new(source, "sizeLimit", json_sprintf("%" PRId64, volume->size_bytes));
    return json_pack("{s:o}", "emptyDir", source);
}

char *
assay_kube_checkpoint_folder(const char *owner, const struct assay_launch *launch, int64_t trial)
{
    return assay_format("assay-%s/%" PRId64 "/%" PRId64, owner, launch->key.study_id, trial);
}

static json_t *
parameters_source(void)
{
    return json_pack("{s:{s:[{s:s, s:{s:s}}]}}", "downwardAPI", "items", "path", PARAMETERS_FILE,
                     "fieldRef", "fieldPath",
                     "metadata.annotations['" PARAMETERS_ANNOTATION "']");
}

static json_t *
ca_source(const char *secret)
{
    return json_pack("{s:{s:s, s:[{s:s, s:s}]}}", "secret", "secretName", secret, "items", "key",
                     ASSAY_KUBE_CA_KEY, "path", ASSAY_KUBE_CA_KEY);
}

/* What the container has without a runner, which would bring it. */
static void
add_own_files(json_t *volumes, json_t *mounts, const struct assay_kube_places *places)
{
    add_volume(volumes, mounts, ASSAY_KUBE_PARAMETERS_PATH, parameters_source(), NULL, true);
    if (places->ca != NULL)
        add_volume(volumes, mounts, ASSAY_KUBE_CA_PATH, ca_source(places->secret), NULL, true);
}

static void
add_volumes(json_t *pod_spec, json_t *container, const struct assay_launch *launch,
            const char *owner, const struct assay_kubernetes_spec *spec,
            const struct assay_kube_places *places)
{
    json_t *volumes = json_array(), *mounts = json_array();

    for (size_t i = 0; i < spec->n_volumes; i++)
        add_volume(volumes, mounts, spec->volumes[i].path, volume_source(&spec->volumes[i]),
                   spec->volumes[i].sub_path, spec->volumes[i].read_only);
    if (spec->checkpoint_claim != NULL) {
        assay_auto_free char *folder =
            assay_kube_checkpoint_folder(owner, launch, launch->key.trial_number);

        add_volume(volumes, mounts, ASSAY_KUBE_CHECKPOINT_PATH,
                   claim_source(spec->checkpoint_claim, false), folder, false);
    } else {
        add_volume(volumes, mounts, ASSAY_KUBE_CHECKPOINT_PATH, json_pack("{s:{}}", "emptyDir"),
                   NULL, false);
    }
    add_volume(volumes, mounts, ASSAY_KUBE_OUTPUT_PATH, json_pack("{s:{}}", "emptyDir"), NULL,
               false);
    if (places != NULL)
        add_own_files(volumes, mounts, places);
    json_object_set_new(pod_spec, "volumes", volumes);
    json_object_set_new(container, "volumeMounts", mounts);
}

/* --- where it runs, and as whom --- */

/* The user's affinity, with the GPU's model and memory added to every node term. */
static json_t *
build_affinity(const struct assay_kubernetes_spec *spec)
{
    static const char required[] = "requiredDuringSchedulingIgnoredDuringExecution";
    json_t *affinity = spec->affinity != NULL ? json_deep_copy(spec->affinity) : json_object();
    json_t *expressions = json_array(), *node, *selector, *terms, *term;
    size_t i;

    if (spec->gpu_model != NULL)
        json_array_append_new(expressions,
                              json_pack("{s:s, s:s, s:[s]}", "key", "nvidia.com/gpu.product",
                                        "operator", "In", "values", spec->gpu_model));
    if (spec->gpu_memory_bytes > 0) { /* the label is in MiB; Gt is "more than" */
        int64_t mib = (spec->gpu_memory_bytes + (1 << 20) - 1) >> 20;

        json_array_append_new(
            expressions, json_pack("{s:s, s:s, s:[o]}", "key", "nvidia.com/gpu.memory", "operator",
                                   "Gt", "values", json_sprintf("%" PRId64, mib - 1)));
    }
    if (json_array_size(expressions) > 0) {
        node = json_object_get(affinity, "nodeAffinity");
        if (!json_is_object(node)) {
            node = json_object();
            json_object_set_new(affinity, "nodeAffinity", node);
        }
        selector = json_object_get(node, required);
        if (!json_is_object(selector)) {
            selector = json_pack("{s:[{}]}", "nodeSelectorTerms");
            json_object_set_new(node, required, selector);
        }
        terms = json_object_get(selector, "nodeSelectorTerms");
        json_array_foreach(terms, i, term)
        {
            json_t *list = json_object_get(term, "matchExpressions");

            if (json_is_array(list))
                json_array_extend(list, expressions);
            else
                json_object_set_new(term, "matchExpressions", json_deep_copy(expressions));
        }
    }
    json_decref(expressions);
    return affinity;
}

static json_t *
names_of(const json_t *texts)
{
    json_t *list = json_array(), *text;
    size_t i;

    json_array_foreach(texts, i, text)
        json_array_append_new(list, json_pack("{s:O}", "name", text));
    return list;
}

/* What the "restricted" pod security standard asks for, unless the study says otherwise. */
static void
set_security(json_t *pod_spec, json_t *container, const struct assay_kubernetes_spec *spec)
{
    json_t *pod = json_pack("{s:b, s:{s:s}}", "runAsNonRoot", 1, "seccompProfile", "type",
                            "RuntimeDefault");
    json_t *own = json_pack("{s:b, s:{s:[s]}}", "allowPrivilegeEscalation", 0, "capabilities",
                            "drop", "ALL");

    if (spec->pod_security_context != NULL)
        json_object_update(pod, assay_json_unconst(spec->pod_security_context));
    if (spec->security_context != NULL)
        json_object_update(own, assay_json_unconst(spec->security_context));
    json_object_set_new(pod_spec, "securityContext", pod);
    json_object_set_new(container, "securityContext", own);
}

static json_t *
build_pod_spec(const struct assay_launch *launch, const char *owner,
               const struct assay_kubernetes_spec *spec, json_t *container_taken,
               const struct assay_kube_places *places)
{
    const struct assay_trial_spec *trial = launch->spec->trial;
    json_t *affinity = build_affinity(spec);
    json_t *pod_spec = json_pack("{s:s, s:b, s:I}", "restartPolicy", "Never",
                                 "enableServiceLinks", 0, "terminationGracePeriodSeconds",
                                 (json_int_t)((trial->grace_us + ASSAY_SECOND_US - 1) /
                                              ASSAY_SECOND_US));

    if (trial->timeout_us > 0)
        json_object_set_new(pod_spec, "activeDeadlineSeconds",
                            json_integer((trial->timeout_us + ASSAY_SECOND_US - 1) /
                                         ASSAY_SECOND_US));
    add_volumes(pod_spec, container_taken, launch, owner, spec, places);
    set_security(pod_spec, container_taken, spec);
    json_object_set_new(pod_spec, "containers", json_pack("[o]", container_taken));
    set_copy(pod_spec, "nodeSelector", spec->node_selector);
    set_copy(pod_spec, "tolerations", spec->tolerations);
    if (json_object_size(affinity) > 0)
        json_object_set(pod_spec, "affinity", affinity);
    json_decref(affinity);
    set_text(pod_spec, "priorityClassName", spec->priority_class);
    set_text(pod_spec, "runtimeClassName", spec->runtime_class);
    set_text(pod_spec, "schedulerName", spec->scheduler);
    set_text(pod_spec, "serviceAccountName", spec->service_account);
    /* A command that tunes parameters has no business with the API. */
    if (spec->service_account == NULL)
        json_object_set_new(pod_spec, "automountServiceAccountToken", json_false());
    if (spec->image_pull_secrets != NULL)
        json_object_set_new(pod_spec, "imagePullSecrets", names_of(spec->image_pull_secrets));
    return pod_spec;
}

/* What comes out; see assay_kube_pod_build. */
struct built {
    json_t *pod, *secret;
    bool reports;
};

/* The container that runs the command as it is. */
static assay_status
build_container(const struct assay_launch *launch, const struct assay_kubernetes_spec *spec,
                const struct assay_kube_places *places, const json_t *values,
                json_t **ret_container, struct assay_error *err)
{
    const struct assay_trial_spec *trial = launch->spec->trial;
    json_t *command = NULL, *env = NULL, *container;
    assay_status rc = build_command(trial, values, &command, err);

    if (rc == ASSAY_OK)
        rc = assay_kube_environment(launch, values, places, &env, err);
    if (rc < 0) {
        json_decref(command);
        return rc;
    }
    add_secrets(env, spec->secrets);
    container = json_pack("{s:s, s:s, s:o, s:o, s:o}", "name", ASSAY_KUBE_CONTAINER, "image",
                          spec->image, "command", command, "env", env, "resources",
                          build_resources(trial, spec));
    set_text(container, "imagePullPolicy", spec->image_pull_policy);
    set_text(container, "workingDir", trial->directory);
    *ret_container = container;
    return ASSAY_OK;
}

static assay_status
build_from(const struct assay_launch *launch, const struct assay_kubernetes_spec *spec,
           const struct assay_kube_pod_options *options, const json_t *values,
           struct built *ret_built, struct assay_error *err)
{
    const struct assay_kube_reach *reach = &options->reach;
    assay_auto_free char *name = assay_kube_pod_name(options->owner, &launch->key);
    struct assay_kube_places places = {
        .url = reach->url,
        .checkpoints = ASSAY_KUBE_CHECKPOINT_PATH,
        .output = ASSAY_KUBE_OUTPUT_PATH,
        .secret = name,
        .parameters = ASSAY_KUBE_PARAMETERS_PATH "/" PARAMETERS_FILE,
        .ca = reach->ca != NULL ? ASSAY_KUBE_CA_PATH "/" ASSAY_KUBE_CA_KEY : NULL,
    };
    bool wraps = assay_kube_runner_wraps(launch->spec->trial, spec, reach);
    json_t *container, *labels, *pod_spec, *secret = NULL;
    assay_status rc;

    if (wraps && (reach->url == NULL || reach->runner_image == NULL))
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "this trial needs assay-runner in its pod; this service was started "
                          "without the option %s",
                          reach->runner_image == NULL ? "--kube-runner-image" : "--kube-url");
    rc = build_container(launch, spec, wraps ? NULL : &places, values, &container, err);
    if (rc < 0)
        return rc;
    labels = build_labels(launch, options->owner, spec);
    if (reach->url != NULL)
        rc = assay_kube_runner_secret(launch, name, labels, reach, wraps, &secret, err);
    if (rc < 0) {
        json_decref(container);
        json_decref(labels);
        return rc;
    }
    pod_spec = build_pod_spec(launch, options->owner, spec, container, wraps ? NULL : &places);
    if (wraps)
        assay_kube_runner_wrap(launch, reach->runner_image, name, pod_spec, container);
    if (launch->parent > 0 && spec->checkpoint_claim != NULL) {
        assay_auto_free char *from =
            assay_kube_checkpoint_folder(options->owner, launch, launch->parent);

        rc = assay_kube_runner_bring(pod_spec, container, reach->runner_image,
                                     ASSAY_KUBE_CHECKPOINT_PATH, from, err);
    }
    if (rc < 0) {
        json_decref(pod_spec);
        json_decref(labels);
        json_decref(secret);
        return rc;
    }
    ret_built->secret = secret;
    ret_built->reports = wraps;
    ret_built->pod = json_pack("{s:s, s:s, s:{s:s, s:o, s:o}, s:o}", "apiVersion", "v1", "kind",
                               "Pod", "metadata", "name", name, "labels", labels, "annotations",
                               build_annotations(launch, spec, wraps), "spec", pod_spec);
    return ASSAY_OK;
}

assay_status
assay_kube_pod_build(const struct assay_launch *launch,
                     const struct assay_kube_pod_options *options, json_t **ret_pod,
                     json_t **ret_secret, bool *ret_reports, struct assay_error *err)
{
    json_t *values = assay_launch_values(launch);
    json_t *section = NULL;
    struct assay_kubernetes_spec *spec = NULL;
    struct assay_faults faults = {0};
    struct built built = {0};
    assay_status rc = assay_launch_substitute_tree(launch->spec->trial->kubernetes, values,
                                                   "/trial/kubernetes", &section, err);

    if (rc == ASSAY_OK) {
        spec = assay_kubernetes_spec_decode(section, "/trial/kubernetes", &faults);
        if (spec == NULL)
            rc = assay_fail(err, ASSAY_E_INVALID_VALUE, "%s: %s", faults.items[0].pointer,
                            faults.items[0].message);
        else
            rc = build_from(launch, spec, options, values, &built, err);
    }
    assay_faults_done(&faults);
    assay_kubernetes_spec_free(spec);
    json_decref(section);
    json_decref(values);
    if (rc < 0)
        return rc;
    *ret_pod = built.pod;
    *ret_secret = built.secret;
    *ret_reports = built.reports;
    return ASSAY_OK;
}

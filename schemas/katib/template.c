/* spec.trialTemplate of an Experiment as trial.kubernetes. */
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/katib/katib_internal.h"

#define TEMPLATE "/spec/trialTemplate"
#define TRIAL_SPEC TEMPLATE "/trialSpec"
#define PARAMETERS_MAX 1000
#define DEPTH_MAX 90
#define CONDITION_BYTES_MAX 4096

static const char of_parameters[] = "${trialParameters.";
static const char of_spec[] = "${trialSpec.";

const struct assay_kubernetes_kind *
assay__katib_kind(const char *api_version, const char *kind)
{
    const struct assay_kubernetes_kind *known =
        api_version != NULL && kind != NULL ? assay_kubernetes_kind(api_version, kind) : NULL;

    return known != NULL && known->katib ? known : NULL;
}

struct template_file {
    bool retain;
    const json_t *spec, *config_map, *parameters, *labels;
    char *container, *success, *failure;
};

static const struct assay_field template_fields[] = {
    {.key = "retain", .kind = ASSAY_FIELD_BOOL, .offset = offsetof(struct template_file, retain)},
    {.key = "trialSpec", .kind = ASSAY_FIELD_OBJECT, .offset = offsetof(struct template_file, spec)},
    {.key = "configMap", .kind = ASSAY_FIELD_OBJECT,
     .offset = offsetof(struct template_file, config_map)},
    {.key = "trialParameters", .kind = ASSAY_FIELD_ARRAY, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct template_file, parameters)},
    {.key = "primaryPodLabels", .kind = ASSAY_FIELD_OBJECT,
     .offset = offsetof(struct template_file, labels)},
    {.key = "primaryContainerName", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED,
     .min = 1.0, .max = 253.0, .offset = offsetof(struct template_file, container)},
    {.key = "successCondition", .kind = ASSAY_FIELD_STRING, .min = 0.0, .max = CONDITION_BYTES_MAX,
     .offset = offsetof(struct template_file, success)},
    {.key = "failureCondition", .kind = ASSAY_FIELD_STRING, .min = 0.0, .max = CONDITION_BYTES_MAX,
     .offset = offsetof(struct template_file, failure)},
};

/* --- trialParameters: name in the template -> what it is replaced by */

struct references {
    struct assay_katib *k;
    const json_t *spec;  /* the template as given */
    json_t *values;      /* name -> text in our notation */
    json_t *used;        /* names that the template has */
};

static bool
is_parameter(const struct assay_katib *k, const char *name)
{
    for (size_t i = 0; i < json_array_size(k->spec.parameters); i++) {
        const json_t *json =
            json_object_get(json_array_get(k->spec.parameters, i), "name");

        if (json_is_string(json) && strcmp(json_string_value(json), name) == 0)
            return true;
    }
    return false;
}

/* ${trialSpec.Labels[key]}: the text there, or NULL with a fault.  Caller frees. */
static char *
meta_of_map(const struct references *refs, const char *name, const char *map, const char *pointer,
            const json_t *found)
{
    size_t length = strlen(name);
    const char *open = strchr(name, '[');
    const json_t *texts = json_object_get(json_object_get(refs->spec, "metadata"), map);
    assay_auto_free char *key = NULL;
    const json_t *value;

    if (open == NULL || length < 2 || name[length - 1] != ']' || open + 2 > name + length - 1) {
        assay_fault_add(refs->k->t->faults, pointer, found, "such as ${trialSpec.Labels[app]}",
                        "the reference does not say which of the %s it means", map);
        return NULL;
    }
    key = assay_strndup(open + 1, (size_t)(name + length - 1 - open - 1));
    value = json_object_get(texts, key);
    if (json_is_string(value))
        return assay__literal(json_string_value(value));
    if (refs->spec == NULL)
        return NULL; /* which is a fault of its own */
    assay_fault_add(refs->k->t->faults, pointer, found, NULL,
                    "the template has no %.10s %.100s in its metadata", map, key);
    return NULL;
}

/* What a reference ${trialSpec.…} stands for, in our notation; NULL with a fault.  Name and
 * Namespace are known when the object is made only.  Caller frees. */
static char *
meta_value(const struct references *refs, const char *reference, const char *pointer,
           const json_t *found)
{
    static const char *const known[] = {"Name",           "Namespace",         "Kind", "APIVersion",
                                        "Labels[key]",    "Annotations[key]", NULL};
    assay_auto_free char *name = assay_strndup(reference + strlen(of_spec),
                                               strlen(reference) - strlen(of_spec) - 1);
    const char *text;

    if (strcmp(name, "Name") == 0 || strcmp(name, "Namespace") == 0)
        return assay_strdup(reference);
    if (strcmp(name, "Kind") == 0 || strcmp(name, "APIVersion") == 0) {
        text = json_string_value(
            json_object_get(refs->spec, name[0] == 'K' ? "kind" : "apiVersion"));
        return assay__literal(text != NULL ? text : "");
    }
    if (strncmp(name, "Labels", 6) == 0)
        return meta_of_map(refs, name, "labels", pointer, found);
    if (strncmp(name, "Annotations", 11) == 0)
        return meta_of_map(refs, name, "annotations", pointer, found);
    assay_fault_unknown(refs->k->t->faults, pointer, found, "reference to the trialSpec:", name,
                        known);
    return NULL;
}

static bool
is_meta(const char *reference)
{
    size_t length = strlen(reference);

    return strncmp(reference, of_spec, strlen(of_spec)) == 0 && length > strlen(of_spec) + 1 &&
           reference[length - 1] == '}';
}

/* In our notation; NULL with a fault.  Caller frees. */
static char *
reference_value(const struct references *refs, const char *reference, const char *pointer,
                const json_t *found)
{
    if (is_meta(reference))
        return meta_value(refs, reference, pointer, found);
    if (refs->k->spec.nas != NULL)
        return NULL; /* refused already */
    if (!is_parameter(refs->k, reference)) {
        assay_fault_add(refs->k->t->faults, pointer, found,
                        "the name of a parameter of the experiment, or ${trialSpec.…}",
                        "there is no parameter %.100s to refer to", reference);
        return NULL;
    }
    if (refs->k->resource != NULL && strcmp(refs->k->resource, reference) == 0)
        return assay_strdup("${budget}");
    return assay_format("${%s}", reference);
}

struct parameter_file {
    char *name, *description, *reference;
};

static const struct assay_field parameter_fields[] = {
    {.key = "name", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED, .min = 1.0,
     .max = 253.0, .offset = offsetof(struct parameter_file, name)},
    {.key = "description", .kind = ASSAY_FIELD_STRING, .min = 0.0, .max = 10000.0,
     .offset = offsetof(struct parameter_file, description)},
    {.key = "reference", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED, .min = 1.0,
     .max = 1000.0, .offset = offsetof(struct parameter_file, reference)},
};

static void
read_parameter(struct references *refs, const json_t *json, const char *pointer, json_t *seen)
{
    struct assay_translation *t = refs->k->t;
    struct parameter_file file = {0};
    bool fine = assay_decode_object(json, pointer, parameter_fields, ASSAY_COUNT(parameter_fields),
                                    &file, t->faults);

    if (file.name != NULL && strpbrk(file.name, "{}") != NULL) {
        assay__fault_at(t, pointer, "name", json_object_get(json, "name"), NULL,
                        "a name has no braces");
        fine = false;
    } else if (file.name != NULL && json_object_get(refs->values, file.name) != NULL) {
        assay__fault_at(t, pointer, "name", json_object_get(json, "name"), NULL,
                        "another of the trialParameters has this name already");
        fine = false;
    }
    if (file.reference != NULL && json_object_get(seen, file.reference) != NULL)
        assay__fault_at(t, pointer, "reference", json_object_get(json, "reference"), NULL,
                        "another of the trialParameters has this reference already");
    if (file.reference != NULL)
        json_object_set_new(seen, file.reference, json_true());
    if (fine) {
        assay_auto_free char *at = assay_pointer_key(pointer, "reference");
        assay_auto_free char *value =
            reference_value(refs, file.reference, at, json_object_get(json, "reference"));

        /* One with a fault is declared all the same. */
        json_object_set_new(refs->values, file.name, json_string(value != NULL ? value : ""));
    }
    free(file.name);
    free(file.description);
    free(file.reference);
}

static void
read_parameters(struct references *refs, const json_t *list)
{
    json_auto_t *seen = json_object();

    if (json_array_size(list) > PARAMETERS_MAX) {
        assay_fault_add(refs->k->t->faults, TEMPLATE "/trialParameters", NULL, "at most 1000",
                        "there are too many trialParameters");
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        assay_auto_free char *at = assay_pointer_index(TEMPLATE "/trialParameters", i);

        read_parameter(refs, json_array_get(list, i), at, seen);
    }
}

static void
check_used(const struct references *refs, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));
        assay_auto_free char *at = assay_pointer_index(TEMPLATE "/trialParameters", i);

        if (name != NULL && json_object_get(refs->values, name) != NULL &&
            json_object_get(refs->used, name) == NULL)
            assay__fault_at(refs->k->t, at, "name", json_object_get(json_array_get(list, i), "name"),
                            NULL, "the trialSpec has no ${trialParameters.%s}", name);
    }
}

/* --- the manifest */

/* ${trialParameters.NAME} in our notation, NULL with a fault. */
static const char *
translate_reference(struct references *refs, const char *name, const char *pointer)
{
    const json_t *value = json_object_get(refs->values, name);

    if (value == NULL)
        assay_fault_add(refs->k->t->faults, pointer, NULL, "a name of trialParameters",
                        "${trialParameters.%.100s} is not declared in trialParameters", name);
    json_object_set_new(refs->used, name, json_true());
    return json_string_value(value);
}

/* ${{trialParameters.NAME}}; see text.c.  A new reference, NULL: it is none. */
static json_t *
translate_bare(struct references *refs, const char *text, const char *pointer)
{
    size_t skip = strlen(of_parameters) - 2; /* without "${" */
    assay_auto_free char *bare = assay_bare_reference(text);
    const char *value;
    size_t length;

    if (bare == NULL || strncmp(bare, of_parameters + 2, skip) != 0 || bare[skip] == '\0')
        return NULL;
    value = translate_reference(refs, bare + skip, pointer);
    length = value != NULL ? strlen(value) : 0;
    if (length < 3 || strncmp(value, "${", 2) != 0 || strchr(value, '}') != value + length - 1)
        return json_string(value != NULL ? value : ""); /* what it refers to is a text */
    return json_sprintf("${{%.*s}}", (int)length - 3, value + 2);
}

/* A text of the manifest in our notation.  New reference. */
static json_t *
translate_text(struct references *refs, const char *text, const char *pointer)
{
    assay_auto_buffer struct assay_buffer out = {0};
    json_t *bare = translate_bare(refs, text, pointer);
    const char *start, *end;

    if (bare != NULL)
        return bare;
    for (; (start = strstr(text, "${")) != NULL; text = end + 1) {
        size_t skip = strlen(of_parameters);
        assay_auto_free char *name = NULL;
        const char *value;

        assay_buffer_add(&out, text, (size_t)(start - text));
        end = start + 1;
        if (strncmp(start, of_parameters, skip) != 0 || strchr(start + skip, '}') == NULL ||
            start[skip] == '}') {
            assay_buffer_puts(&out, "$${"); /* not Katib's: the shell's, perhaps */
            continue;
        }
        end = strchr(start + skip, '}');
        name = assay_strndup(start + skip, (size_t)(end - start) - skip);
        value = translate_reference(refs, name, pointer);
        if (value != NULL && start > text && start[-1] == '$')
            assay_fault_add(refs->k->t->faults, pointer, NULL, NULL,
                            "a \"$\" right before ${trialParameters.%.100s} would hide it", name);
        else if (value != NULL)
            assay_buffer_puts(&out, value);
    }
    assay_buffer_puts(&out, text);
    return json_string(out.data != NULL ? out.data : "");
}

static json_t *
translate_tree(struct references *refs, const json_t *json, const char *pointer, int depth)
{
    const char *key;
    json_t *value, *copy;
    size_t i;

    if (json_is_string(json))
        return translate_text(refs, json_string_value(json), pointer);
    if (!json_is_object(json) && !json_is_array(json))
        return json_incref(assay_json_unconst(json));
    if (depth > DEPTH_MAX) {
        if (depth == DEPTH_MAX + 1)
            assay_fault_add(refs->k->t->faults, TRIAL_SPEC, NULL, "at most 90 levels",
                            "the trialSpec is nested too deeply");
        return json_null();
    }
    if (json_is_array(json)) {
        copy = json_array();
        json_array_foreach (json, i, value) {
            assay_auto_free char *at = assay_pointer_index(pointer, i);

            json_array_append_new(copy, translate_tree(refs, value, at, depth + 1));
        }
        return copy;
    }
    copy = json_object();
    assay_json_each (json, key, value) {
        assay_auto_free char *at = assay_pointer_key(pointer, key);

        if (strstr(key, of_parameters) != NULL)
            assay_fault_add(refs->k->t->faults, at, NULL, "references in values",
                            "a key can not be a reference");
        json_object_set_new(copy, key, translate_tree(refs, value, at, depth + 1));
    }
    return copy;
}

/* --- what is known of a Job */

#define KEYS(...) {__VA_ARGS__, NULL}
static const char *const job_keys[] =
    KEYS("parallelism", "completions", "activeDeadlineSeconds", "podFailurePolicy",
         "successPolicy", "backoffLimit", "backoffLimitPerIndex", "maxFailedIndexes", "selector",
         "manualSelector", "template", "ttlSecondsAfterFinished", "completionMode", "suspend",
         "podReplacementPolicy", "managedBy");
static const char *const pod_keys[] =
    KEYS("volumes", "initContainers", "containers", "ephemeralContainers", "restartPolicy",
         "terminationGracePeriodSeconds", "activeDeadlineSeconds", "dnsPolicy", "nodeSelector",
         "serviceAccountName", "serviceAccount", "automountServiceAccountToken", "nodeName",
         "hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "securityContext",
         "imagePullSecrets", "hostname", "subdomain", "affinity", "schedulerName", "tolerations",
         "hostAliases", "priorityClassName", "priority", "dnsConfig", "readinessGates",
         "runtimeClassName", "enableServiceLinks", "preemptionPolicy", "overhead",
         "topologySpreadConstraints", "setHostnameAsFQDN", "os", "hostUsers", "schedulingGates",
         "resourceClaims", "resources", "hostnameOverride");
static const char *const container_keys[] =
    KEYS("name", "image", "command", "args", "workingDir", "ports", "envFrom", "env", "resources",
         "resizePolicy", "restartPolicy", "restartPolicyRules", "volumeMounts", "volumeDevices",
         "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "terminationMessagePath",
         "terminationMessagePolicy", "imagePullPolicy", "securityContext", "stdin", "stdinOnce",
         "tty");

static void
check_keys(struct assay_translation *t, const json_t *object, const char *pointer,
           const char *const *known)
{
    const char *key;
    json_t *value;

    assay_json_each (object, key, value) {
        assay_auto_free char *at = assay_pointer_key(pointer, key);
        size_t i = 0;

        while (known[i] != NULL && strcmp(known[i], key) != 0)
            i++;
        if (known[i] == NULL)
            assay_fault_unknown(t->faults, at, NULL, "key", key, known);
    }
}

static bool
check_containers(struct assay_translation *t, const json_t *list, const char *pointer,
                 const char *primary)
{
    bool found = false;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *container = json_array_get(list, i);
        const json_t *name = json_object_get(container, "name");
        assay_auto_free char *at = assay_pointer_index(pointer, i);

        if (!json_is_object(container)) {
            assay_fault_type(t->faults, at, container, "a container");
            continue;
        }
        check_keys(t, container, at, container_keys);
        if (!json_is_string(name))
            assay__fault_at(t, at, "name", name, "a string", "a container needs a name");
        else
            found |= primary != NULL && strcmp(json_string_value(name), primary) == 0;
        if (!json_is_string(json_object_get(container, "image")))
            assay__fault_at(t, at, "image", json_object_get(container, "image"), "a string",
                            "a container needs an image");
    }
    return found;
}

/* Katib reads a batch/v1 Job strictly; other kinds are their controllers' matter. */
static void
check_job(struct assay_translation *t, const json_t *job, const char *primary)
{
    static const char spec_at[] = TRIAL_SPEC "/spec";
    static const char pod_at[] = TRIAL_SPEC "/spec/template/spec";
    static const char *const keys[] = KEYS("apiVersion", "kind", "metadata", "spec", "status");
    static const char *const template_keys[] = KEYS("metadata", "spec");
    const json_t *spec = json_object_get(job, "spec");
    const json_t *template = json_object_get(spec, "template");
    const json_t *pod = json_object_get(template, "spec");
    const json_t *containers = json_object_get(pod, "containers");
    bool found;

    check_keys(t, job, TRIAL_SPEC, keys);
    check_keys(t, spec, spec_at, job_keys);
    check_keys(t, template, TRIAL_SPEC "/spec/template", template_keys);
    check_keys(t, pod, pod_at, pod_keys);
    if (json_array_size(containers) == 0) {
        assay__fault_at(t, pod_at, "containers", containers, "an array of containers",
                        "a Job needs containers in spec.template.spec");
        return;
    }
    found = check_containers(t, containers, TRIAL_SPEC "/spec/template/spec/containers", primary);
    found |= check_containers(t, json_object_get(pod, "initContainers"),
                              TRIAL_SPEC "/spec/template/spec/initContainers", primary);
    if (primary != NULL && !found)
        assay_fault_add(t->faults, TEMPLATE "/primaryContainerName",
                        NULL, "the name of one of its containers",
                        "the Job has no container %s", primary);
}

static void
check_manifest(struct assay_translation *t, const json_t *spec, const char *primary)
{
    static const char *const set_by_katib[] = {"name", "namespace"};
    const json_t *metadata = json_object_get(spec, "metadata");
    const char *version = json_string_value(json_object_get(spec, "apiVersion"));
    const char *kind = json_string_value(json_object_get(spec, "kind"));

    for (size_t i = 0; i < ASSAY_COUNT(set_by_katib); i++) {
        const json_t *value = json_object_get(metadata, set_by_katib[i]);

        if (value != NULL)
            assay__fault_at(t, TRIAL_SPEC "/metadata", set_by_katib[i], value, NULL,
                            "each trial has a %s of its own; leave it out", set_by_katib[i]);
    }
    if (metadata != NULL && !json_is_object(metadata))
        assay_fault_type(t->faults, TRIAL_SPEC "/metadata", metadata, "an object");
    if (version == NULL || *version == '\0')
        assay_fault_add(t->faults, TRIAL_SPEC "/apiVersion", NULL, "such as batch/v1",
                        "apiVersion is missing");
    if (kind == NULL || *kind == '\0')
        assay_fault_add(t->faults, TRIAL_SPEC "/kind", NULL, "such as Job", "kind is missing");
    if (version != NULL && kind != NULL && strcmp(version, "batch/v1") == 0 &&
        strcmp(kind, "Job") == 0)
        check_job(t, spec, primary);
}

/* --- the section */

static void
set_condition(struct assay_translation *t, json_t *kubernetes, const char *key, const char *ours,
              const char *given, const char *usual, const char *kind)
{
    const char *text = given != NULL && *given != '\0' ? given : usual;
    assay_auto_free char *literal = NULL;

    if (text == NULL) {
        assay__fault_at(t, TEMPLATE, key, NULL, "an expression in GJSON",
                        "%s is missing: there is none by default for the kind %.100s", key,
                        kind != NULL ? kind : "");
        return;
    }
    literal = assay__literal(text);
    json_object_set_new(kubernetes, ours, json_string(literal));
    assay__place_key(t, "/trial/kubernetes", ours, TEMPLATE, key);
}

static void
set_labels(struct assay_translation *t, json_t *kubernetes, const json_t *given,
           const struct assay_kubernetes_kind *kind)
{
    json_t *labels = json_object();
    const char *key;
    json_t *value;

    assay_json_each (given, key, value) {
        assay_auto_free char *at = assay_pointer_key(TEMPLATE "/primaryPodLabels", key);
        assay_auto_free char *literal = NULL;

        if (!json_is_string(value)) {
            assay_fault_type(t->faults, at, value, "a string");
            continue;
        }
        literal = assay__literal(json_string_value(value));
        json_object_set_new(labels, key, json_string(literal));
    }
    for (size_t i = 0; given == NULL && kind != NULL && i < 4 && kind->labels[i] != NULL; i += 2)
        json_object_set_new(labels, kind->labels[i], json_string(kind->labels[i + 1]));
    if (json_object_size(labels) > 0)
        json_object_set(kubernetes, "primary_pod_labels", labels);
    json_decref(labels);
    assay__place(t, "/trial/kubernetes/primary_pod_labels", TEMPLATE "/primaryPodLabels/*");
}

/* The template stands in the file itself or in a ConfigMap, not in both. */
static bool
check_source(struct assay_translation *t, const struct template_file *file)
{
    assay_auto_import_source struct assay_import_source source = {0};

    if (file->config_map != NULL && file->spec != NULL) {
        assay_fault_add(t->faults, TEMPLATE, NULL, "trialSpec or configMap",
                        "both trialSpec and configMap are given");
    } else if (file->config_map != NULL) {
        /* Not asked where it is told why it could not be read. */
        if (!assay__told(t->faults, t->faults->count, TEMPLATE "/configMap") &&
            assay__katib_source(file->config_map, &source, t->faults))
            assay_fault_add(t->faults, TEMPLATE "/configMap", NULL, "trialSpec",
                            "the template is in the ConfigMap %s of the namespace %s, which only a "
                            "service with that cluster can read",
                            source.name, source.namespace_);
    } else if (file->spec == NULL) {
        assay_fault_add(t->faults, TRIAL_SPEC, NULL, "an object of Kubernetes such as a Job",
                        "trialSpec is missing");
    }
    return file->spec != NULL;
}

static void
translate_template(struct assay_katib *k, const struct template_file *file)
{
    struct references refs = {
        .k = k, .spec = file->spec, .values = json_object(), .used = json_object()};
    struct assay_translation *t = k->t;
    json_t *kubernetes = assay__section(assay__section(t->study, "trial"), "kubernetes");
    const char *version = json_string_value(json_object_get(file->spec, "apiVersion"));
    const char *kind = json_string_value(json_object_get(file->spec, "kind"));
    const struct assay_kubernetes_kind *known =
        assay__katib_kind(version, kind);

    read_parameters(&refs, file->parameters);
    if (check_source(t, file)) {
        check_manifest(t, file->spec, file->container);
        json_object_set_new(kubernetes, "template",
                            translate_tree(&refs, file->spec, TRIAL_SPEC, 0));
        check_used(&refs, file->parameters);
        set_condition(t, kubernetes, "successCondition", "success", file->success,
                      known != NULL ? known->success : NULL, kind);
        set_condition(t, kubernetes, "failureCondition", "failure", file->failure,
                      known != NULL ? known->failure : NULL, kind);
    }
    set_labels(t, kubernetes, file->labels, known);
    if (file->container != NULL) {
        assay_auto_free char *literal = assay__literal(file->container);

        json_object_set_new(kubernetes, "primary_container", json_string(literal));
    }
    if (file->retain)
        json_object_set_new(kubernetes, "retain", json_true());
    json_decref(refs.values);
    json_decref(refs.used);
}

void
assay__katib_template(struct assay_katib *k)
{
    struct assay_translation *t = k->t;
    struct template_file file = {0};

    assay__place(t, "/trial/kubernetes", TEMPLATE);
    assay__place(t, "/trial/kubernetes/template", TRIAL_SPEC "/*");
    assay__place_key(t, "/trial/kubernetes", "primary_container", TEMPLATE,
                     "primaryContainerName");
    if (k->spec.template == NULL) {
        assay_fault_add(t->faults, TEMPLATE, NULL, "an object", "trialTemplate is missing");
        return;
    }
    assay_decode_object(k->spec.template, TEMPLATE, template_fields, ASSAY_COUNT(template_fields),
                        &file, t->faults);
    translate_template(k, &file);
    free(file.container);
    free(file.success);
    free(file.failure);
}

#include "schemas/kubernetes.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/decode.h"
#include "schemas/gjson.h"
#include "schemas/kubernetes_kind.h"

#define VOLUMES_MAX 100
#define NAME_LENGTH_MAX 253

bool
assay_kubernetes_name_valid(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < n; i++) {
        bool inner = name[i] == '-' || name[i] == '.';

        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
              (inner && i > 0 && i + 1 < n)))
            return false;
    }
    return n > 0 && n <= NAME_LENGTH_MAX;
}

/* --- volumes --- */

static const struct assay_field volume_fields[] = {
    {.key = "path", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct assay_kubernetes_volume, path)},
    {.key = "claim", .kind = ASSAY_FIELD_STRING,
     .offset = offsetof(struct assay_kubernetes_volume, claim)},
    {.key = "secret", .kind = ASSAY_FIELD_STRING,
     .offset = offsetof(struct assay_kubernetes_volume, secret)},
    {.key = "config_map", .kind = ASSAY_FIELD_STRING,
     .offset = offsetof(struct assay_kubernetes_volume, config_map)},
    {.key = "empty_dir", .kind = ASSAY_FIELD_BOOL,
     .offset = offsetof(struct assay_kubernetes_volume, empty_dir)},
    {.key = "size", .kind = ASSAY_FIELD_BYTES, .flags = ASSAY_FIELD_ABOVE_MIN, .max = 1e18,
     .offset = offsetof(struct assay_kubernetes_volume, size_bytes)},
    {.key = "sub_path", .kind = ASSAY_FIELD_STRING,
     .offset = offsetof(struct assay_kubernetes_volume, sub_path)},
    {.key = "read_only", .kind = ASSAY_FIELD_BOOL,
     .offset = offsetof(struct assay_kubernetes_volume, read_only)},
};

static void
decode_volume(struct assay_kubernetes_volume *volume, const json_t *json, const char *pointer,
              struct assay_faults *faults)
{
    int sources;

    if (!assay_decode_object(json, pointer, volume_fields, ASSAY_COUNT(volume_fields), volume,
                             faults))
        return;
    sources = (volume->claim != NULL) + (volume->secret != NULL) + (volume->config_map != NULL) +
              volume->empty_dir;
    if (sources != 1)
        assay_fault_add(faults, pointer, json, "one of claim, secret, config_map, empty_dir: true",
                        sources == 0 ? "the volume has no source" : "the volume has two sources");
    if (volume->path[0] != '/') {
        assay_auto_free char *at = assay_pointer_key(pointer, "path");

        assay_fault_add(faults, at, json_object_get(json, "path"), "an absolute path",
                        "where a volume is mounted must be absolute");
    }
    if (volume->size_bytes > 0 && !volume->empty_dir) {
        assay_auto_free char *at = assay_pointer_key(pointer, "size");

        assay_fault_add(faults, at, json_object_get(json, "size"), NULL,
                        "only empty_dir has a size");
    }
}

static void
decode_volumes(void *target, const json_t *value, const char *pointer,
               struct assay_faults *faults)
{
    struct assay_kubernetes_spec *spec = target;
    size_t n = json_array_size(value);

    if (!json_is_array(value) || n > VOLUMES_MAX) {
        assay_fault_type(faults, pointer, value, "an array of at most 100 volumes");
        return;
    }
    spec->volumes = assay_zalloc(n + 1, sizeof *spec->volumes);
    for (size_t i = 0; i < n; i++) {
        assay_auto_free char *at = assay_pointer_index(pointer, i);

        decode_volume(&spec->volumes[spec->n_volumes++], json_array_get(value, i), at, faults);
    }
}

/* --- secrets, GPUs --- */

static bool
is_text(const json_t *json)
{
    return json_is_string(json) && json_string_length(json) > 0;
}

static void
decode_secrets(void *target, const json_t *value, const char *pointer,
               struct assay_faults *faults)
{
    struct assay_kubernetes_spec *spec = target;
    const char *name;
    json_t *item;

    if (!json_is_object(value)) {
        assay_fault_type(faults, pointer, value, "an object of variables and {secret, key}");
        return;
    }
    assay_json_each (value, name, item) {
        assay_auto_free char *at = assay_pointer_key(pointer, name);

        if (!is_text(json_object_get(item, "secret")) || !is_text(json_object_get(item, "key")) ||
            json_object_size(item) != 2)
            assay_fault_add(faults, at, NULL, "{secret: NAME, key: KEY}",
                            "a secret is given by reference");
        if (strncmp(name, "ASSAY_", 6) == 0)
            assay_fault_add(faults, at, NULL, NULL, "the names ASSAY_… are set by Assay");
    }
    spec->secrets = value;
}

static void
decode_pull_secrets(void *target, const json_t *value, const char *pointer,
                    struct assay_faults *faults)
{
    struct assay_kubernetes_spec *spec = target;
    json_t *item;
    size_t i;

    if (!json_is_array(value)) {
        assay_fault_type(faults, pointer, value, "an array of names of secrets");
        return;
    }
    json_array_foreach (value, i, item) {
        assay_auto_free char *at = assay_pointer_index(pointer, i);

        if (!is_text(item))
            assay_fault_type(faults, at, item, "the name of a secret");
    }
    spec->image_pull_secrets = value;
}

static void
decode_texts(const json_t *value, const char *pointer, const json_t **ret_object,
             struct assay_faults *faults)
{
    const char *name;
    json_t *item;

    if (!json_is_object(value)) {
        assay_fault_type(faults, pointer, value, "an object of texts");
        return;
    }
    assay_json_each (value, name, item) {
        assay_auto_free char *at = assay_pointer_key(pointer, name);

        if (!json_is_string(item))
            assay_fault_type(faults, at, item, "a string");
    }
    *ret_object = value;
}

#define DECODE_TEXTS(member)                                                                    \
    static void decode_##member(void *target, const json_t *value, const char *pointer,         \
                                struct assay_faults *faults)                                    \
    {                                                                                           \
        decode_texts(value, pointer, &((struct assay_kubernetes_spec *)target)->member, faults); \
    }
DECODE_TEXTS(node_selector)
DECODE_TEXTS(labels)
DECODE_TEXTS(annotations)
DECODE_TEXTS(primary_pod_labels)

static const struct assay_field gpu_fields[] = {
    {.key = "resource", .kind = ASSAY_FIELD_STRING, .min = 1.0, .max = 253.0,
     .offset = offsetof(struct assay_kubernetes_spec, gpu_resource)},
    {.key = "model", .kind = ASSAY_FIELD_STRING, .min = 1.0, .max = 63.0,
     .offset = offsetof(struct assay_kubernetes_spec, gpu_model)},
    {.key = "memory", .kind = ASSAY_FIELD_BYTES, .flags = ASSAY_FIELD_ABOVE_MIN, .max = 1e15,
     .offset = offsetof(struct assay_kubernetes_spec, gpu_memory_bytes)},
};

static void
decode_gpu(void *target, const json_t *value, const char *pointer, struct assay_faults *faults)
{
    assay_decode_object(value, pointer, gpu_fields, ASSAY_COUNT(gpu_fields), target, faults);
}

/* --- the section --- */

#define AT(member) offsetof(struct assay_kubernetes_spec, member)

static const struct assay_field fields[] = {
    {.key = "image", .kind = ASSAY_FIELD_STRING, .min = 1.0, .max = 4096.0, .offset = AT(image)},
    {.key = "context", .kind = ASSAY_FIELD_STRING, .min = 1.0, .max = 253.0,
     .offset = AT(context)},
    {.key = "namespace", .kind = ASSAY_FIELD_STRING, .min = 1.0, .max = 63.0,
     .offset = AT(namespace_)},
    {.key = "image_pull_policy", .kind = ASSAY_FIELD_STRING, .offset = AT(image_pull_policy)},
    {.key = "image_pull_secrets", .kind = ASSAY_FIELD_CALL, .call = decode_pull_secrets},
    {.key = "node_selector", .kind = ASSAY_FIELD_CALL, .call = decode_node_selector},
    {.key = "affinity", .kind = ASSAY_FIELD_OBJECT, .offset = AT(affinity)},
    {.key = "tolerations", .kind = ASSAY_FIELD_ARRAY, .offset = AT(tolerations)},
    {.key = "priority_class", .kind = ASSAY_FIELD_STRING, .offset = AT(priority_class)},
    {.key = "runtime_class", .kind = ASSAY_FIELD_STRING, .offset = AT(runtime_class)},
    {.key = "scheduler", .kind = ASSAY_FIELD_STRING, .offset = AT(scheduler)},
    {.key = "service_account", .kind = ASSAY_FIELD_STRING, .offset = AT(service_account)},
    {.key = "gpu", .kind = ASSAY_FIELD_CALL, .call = decode_gpu},
    {.key = "volumes", .kind = ASSAY_FIELD_CALL, .call = decode_volumes},
    {.key = "secrets", .kind = ASSAY_FIELD_CALL, .call = decode_secrets},
    {.key = "runner", .kind = ASSAY_FIELD_BOOL, .offset = AT(runner)},
    {.key = "checkpoint_claim", .kind = ASSAY_FIELD_STRING, .offset = AT(checkpoint_claim)},
    {.key = "security_context", .kind = ASSAY_FIELD_OBJECT, .offset = AT(security_context)},
    {.key = "pod_security_context", .kind = ASSAY_FIELD_OBJECT,
     .offset = AT(pod_security_context)},
    {.key = "labels", .kind = ASSAY_FIELD_CALL, .call = decode_labels},
    {.key = "annotations", .kind = ASSAY_FIELD_CALL, .call = decode_annotations},
    {.key = "template", .kind = ASSAY_FIELD_OBJECT, .offset = AT(template_)},
    {.key = "primary_pod_labels", .kind = ASSAY_FIELD_CALL, .call = decode_primary_pod_labels},
    {.key = "primary_container", .kind = ASSAY_FIELD_STRING, .offset = AT(primary_container)},
    {.key = "success", .kind = ASSAY_FIELD_STRING, .offset = AT(success)},
    {.key = "failure", .kind = ASSAY_FIELD_STRING, .offset = AT(failure)},
    {.key = "checkpoint_path", .kind = ASSAY_FIELD_STRING, .offset = AT(checkpoint_path)},
    {.key = "retain", .kind = ASSAY_FIELD_BOOL, .offset = AT(retain)},
};

static void
fault_at(struct assay_faults *faults, const char *pointer, const char *key, const json_t *found,
         const char *allowed, const char *sentence)
{
    assay_auto_free char *at = assay_pointer_key(pointer, key);

    assay_fault_add(faults, at, found, allowed, "%s", sentence);
}

/* Members that only one of the two forms has. */
static void
check_form(const json_t *json, bool template, const char *pointer, struct assay_faults *faults)
{
    static const char *const of_template[] = {"primary_pod_labels", "primary_container", "success",
                                              "failure",            "checkpoint_path",   "retain"};
    static const char *const of_image[] = {
        "image_pull_policy", "image_pull_secrets", "node_selector",   "affinity",
        "tolerations",       "priority_class",     "runtime_class",   "scheduler",
        "service_account",   "volumes",            "secrets",         "security_context",
        "pod_security_context", "runner"};
    const char *const *keys = template ? of_image : of_template;
    size_t n = template ? ASSAY_COUNT(of_image) : ASSAY_COUNT(of_template);

    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(json, keys[i]);

        if (value != NULL && !json_is_null(value))
            fault_at(faults, pointer, keys[i], NULL, NULL,
                     template ? "a template says this itself, where its pods are described"
                              : "this belongs to a template, and there is none");
    }
}

static void
check_condition(const char *text, const char *key, const char *pointer,
                struct assay_faults *faults)
{
    struct assay_gjson *condition = NULL;
    struct assay_error err = {0};
    assay_auto_free char *at = assay_pointer_key(pointer, key);
    json_auto_t *found = json_string(text);

    if (text == NULL || strstr(text, "${") != NULL) /* read when it is replaced */
        return;
    if (assay_gjson_new(text, &condition, &err) < 0)
        assay_fault_add(faults, at, found,
                        "such as status.conditions.#(type==\"Complete\")#|#(status==\"True\")#",
                        "not a condition: %s", err.message);
    assay_gjson_free(condition);
}

static const char *
literal_member(const json_t *object, const char *key, const char *allowed, const char *pointer,
               struct assay_faults *faults)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text != NULL && *text != '\0' && strstr(text, "${") == NULL)
        return text;
    fault_at(faults, pointer, key, json_object_get(object, key), allowed,
             text == NULL ? "the template does not say it"
                          : "this must be the same for every trial");
    return NULL;
}

static void
check_template(const struct assay_kubernetes_spec *spec, const char *pointer,
               struct assay_faults *faults)
{
    static const char *const ours[] = {"name", "generateName", "namespace"};
    assay_auto_free char *at = assay_pointer_key(pointer, "template");
    assay_auto_free char *metadata_at = assay_pointer_key(at, "metadata");
    const json_t *metadata = json_object_get(spec->template_, "metadata");
    const char *version =
        literal_member(spec->template_, "apiVersion", "such as batch/v1", at, faults);
    const char *kind = literal_member(spec->template_, "kind", "such as Job", at, faults);
    const struct assay_kubernetes_kind *known =
        version != NULL && kind != NULL ? assay_kubernetes_kind(version, kind) : NULL;

    if (metadata != NULL && !json_is_object(metadata))
        assay_fault_type(faults, metadata_at, metadata, "an object");
    for (size_t i = 0; i < ASSAY_COUNT(ours); i++) {
        if (json_object_get(metadata, ours[i]) != NULL)
            fault_at(faults, metadata_at, ours[i], json_object_get(metadata, ours[i]), NULL,
                     i == 2 ? "the namespace is said beside the template"
                            : "each trial has a name of its own; leave it out");
    }
    if (version != NULL && kind != NULL && known == NULL && spec->success == NULL)
        fault_at(faults, pointer, "success", NULL, "a condition on the object",
                 "nothing is known of this kind: say when such an object has succeeded");
    if (version != NULL && kind != NULL && known == NULL && spec->failure == NULL)
        fault_at(faults, pointer, "failure", NULL, "a condition on the object",
                 "nothing is known of this kind: say when such an object has failed");
    check_condition(spec->success, "success", pointer, faults);
    check_condition(spec->failure, "failure", pointer, faults);
}

static void
check_together(const struct assay_kubernetes_spec *spec, const json_t *json, const char *pointer,
               struct assay_faults *faults)
{
    if (spec->image == NULL && spec->template_ == NULL)
        assay_fault_add(faults, pointer, NULL, "image, or template",
                        "there is neither an image nor a template");
    else if (spec->image != NULL && spec->template_ != NULL)
        assay_fault_add(faults, pointer, NULL, "image, or template",
                        "there are both an image and a template");
    else
        check_form(json, spec->template_ != NULL, pointer, faults);
    if (spec->template_ != NULL)
        check_template(spec, pointer, faults);
    if (spec->namespace_ != NULL && !assay_kubernetes_name_valid(spec->namespace_)) {
        json_auto_t *found = json_string(spec->namespace_);

        fault_at(faults, pointer, "namespace", found, "small letters, digits and '-'",
                 "not the name of a namespace");
    }
}

struct assay_kubernetes_spec *
assay_kubernetes_spec_decode(const json_t *json, const char *pointer, struct assay_faults *faults)
{
    struct assay_kubernetes_spec *spec = ASSAY_NEW(struct assay_kubernetes_spec);
    size_t before = faults->count;

    if (assay_decode_object(json, pointer, fields, ASSAY_COUNT(fields), spec, faults))
        check_together(spec, json, pointer, faults);
    if (spec->gpu_resource == NULL)
        spec->gpu_resource = assay_strdup("nvidia.com/gpu");
    return faults->count == before ? spec : assay_kubernetes_spec_free(spec);
}

struct assay_kubernetes_spec *
assay_kubernetes_spec_free(struct assay_kubernetes_spec *spec)
{
    if (spec == NULL)
        return NULL;
    for (size_t i = 0; i < spec->n_volumes; i++) {
        free(spec->volumes[i].path);
        free(spec->volumes[i].claim);
        free(spec->volumes[i].secret);
        free(spec->volumes[i].config_map);
        free(spec->volumes[i].sub_path);
    }
    free(spec->volumes);
    free(spec->image);
    free(spec->context);
    free(spec->namespace_);
    free(spec->image_pull_policy);
    free(spec->priority_class);
    free(spec->runtime_class);
    free(spec->scheduler);
    free(spec->service_account);
    free(spec->gpu_resource);
    free(spec->gpu_model);
    free(spec->checkpoint_claim);
    free(spec->primary_container);
    free(spec->success);
    free(spec->failure);
    free(spec->checkpoint_path);
    free(spec);
    return NULL;
}

/* trialTemplate.configMap of an Experiment: which text it means, and the Experiment with that
 * text in its place. */
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/katib/katib_internal.h"
#include "schemas/kubernetes.h"

#define TEMPLATE "/spec/trialTemplate"
#define CONFIG_MAP TEMPLATE "/configMap"
#define TRIAL_SPEC TEMPLATE "/trialSpec"
/* In the Experiment that is kept: where its trialSpec was read. */
#define READ_FROM "assay.dev/trial-template"
#define KEY_LENGTH_MAX 253.0

static const struct assay_field source_fields[] = {
    {.key = "configMapName", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED, .min = 1.0,
     .max = KEY_LENGTH_MAX, .offset = offsetof(struct assay_import_source, name)},
    {.key = "configMapNamespace", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED,
     .min = 1.0, .max = 63.0, .offset = offsetof(struct assay_import_source, namespace_)},
    {.key = "templatePath", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED, .min = 1.0,
     .max = KEY_LENGTH_MAX, .offset = offsetof(struct assay_import_source, key)},
};

void
assay_import_source_done(struct assay_import_source *source)
{
    free(source->namespace_);
    free(source->name);
    free(source->key);
    *source = (struct assay_import_source){0};
}

void
assay_import_source_copy(const struct assay_import_source *source,
                         struct assay_import_source *ret_copy)
{
    *ret_copy = *source;
    ret_copy->namespace_ = assay_strdup(source->namespace_);
    ret_copy->name = assay_strdup(source->name);
    ret_copy->key = assay_strdup(source->key);
}

static void
check_name(const char *name, const char *pointer, const char *what, struct assay_faults *faults)
{
    if (name != NULL && !assay_kubernetes_name_valid(name)) {
        json_auto_t *found = json_string(name);

        assay_fault_add(faults, pointer, found, "small letters, digits, '-' and '.'",
                        "not the name of a %s", what);
    }
}

bool
assay__katib_source(const json_t *config_map, struct assay_import_source *ret_source,
                    struct assay_faults *faults)
{
    size_t before = faults->count;

    *ret_source = (struct assay_import_source){
        .label = "katib.kubeflow.org/component",
        .label_value = "trial-templates",
        .pointer = CONFIG_MAP,
        .namespace_at = CONFIG_MAP "/configMapNamespace",
        .name_at = CONFIG_MAP "/configMapName",
        .key_at = CONFIG_MAP "/templatePath",
    };
    assay_decode_object(config_map, CONFIG_MAP, source_fields, ASSAY_COUNT(source_fields),
                        ret_source, faults);
    check_name(ret_source->namespace_, ret_source->namespace_at, "namespace", faults);
    check_name(ret_source->name, ret_source->name_at, "ConfigMap", faults);
    if (faults->count == before)
        return true;
    assay_import_source_done(ret_source);
    return false;
}

bool
assay_import_refers(const json_t *file, struct assay_import_source *ret_source)
{
    const json_t *template = json_object_get(json_object_get(file, "spec"), "trialTemplate");
    const json_t *config_map = json_object_get(template, "configMap");
    const json_t *spec = json_object_get(template, "trialSpec");
    struct assay_faults ignored = {0}; /* the translation tells them */
    bool refers;

    if (assay_import_recognise(file) != ASSAY_IMPORT_KATIB || !json_is_object(config_map) ||
        (spec != NULL && !json_is_null(spec)))
        return false;
    refers = assay__katib_source(config_map, ret_source, &ignored);
    assay_faults_done(&ignored);
    return refers;
}

/* The Experiment's members on the way to the template are copied, the rest is shared. */
static json_t *
with_trial_spec(const json_t *file, const struct assay_import_source *source, json_t *trial_spec,
                const char *version)
{
    json_t *copy = json_copy(assay_json_unconst(file));
    json_t *spec = json_copy(json_object_get(file, "spec"));
    json_t *template = json_copy(json_object_get(spec, "trialTemplate"));
    json_t *metadata = json_copy(json_object_get(file, "metadata"));
    json_t *annotations = json_object_get(metadata, "annotations");

    json_object_del(template, "configMap");
    json_object_set(template, "trialSpec", trial_spec);
    json_object_set_new(spec, "trialTemplate", template);
    json_object_set_new(copy, "spec", spec);
    if (json_is_object(metadata) &&
        (annotations == NULL || json_is_null(annotations) || json_is_object(annotations))) {
        assay_auto_free char *from =
            assay_format("%s/%s/%s@%s", source->namespace_, source->name, source->key, version);
        json_t *more = json_is_object(annotations) ? json_copy(annotations) : json_object();

        json_object_set_new(more, READ_FROM, json_string(from));
        json_object_set_new(metadata, "annotations", more);
        json_object_set(copy, "metadata", metadata);
    }
    json_decref(metadata);
    return copy;
}

json_t *
assay_import_include(const json_t *file, const struct assay_import_source *source,
                     const char *text, const char *version, json_t **ret_lines,
                     struct assay_faults *faults)
{
    json_auto_t *trial_spec = NULL;
    json_t *lines = NULL;
    struct assay_error err = {0};

    if (assay__katib_read_text(text, &trial_spec, &lines, &err) < 0) {
        assay_fault_add(faults, source->key_at, NULL, NULL, "%s is not YAML: %s", source->key,
                        err.message);
        return NULL;
    }
    if (!json_is_object(trial_spec)) {
        assay_fault_add(faults, source->key_at, NULL, "an object of Kubernetes such as a Job",
                        "%s is %s", source->key, assay_json_type_name(trial_spec));
        json_decref(lines);
        return NULL;
    }
    *ret_lines = lines;
    return with_trial_spec(file, source, trial_spec, version);
}

/* Of the nearest place above that has one. */
static int
line_of(const json_t *lines, const char *pointer)
{
    assay_auto_free char *at = assay_strdup(pointer);
    const json_t *line = json_object_get(lines, at);

    while (line == NULL && *at != '\0') {
        *strrchr(at, '/') = '\0';
        line = json_object_get(lines, at);
    }
    return (int)json_integer_value(line);
}

void
assay_import_faults_outside(struct assay_faults *faults, const struct assay_import_source *source,
                            const json_t *lines)
{
    static const size_t length = sizeof TRIAL_SPEC - 1;

    for (size_t i = 0; i < ASSAY_MIN(faults->count, (size_t)ASSAY_FAULTS_MAX); i++) {
        struct assay_fault *fault = &faults->items[i];
        const char *rest = fault->pointer + length;
        char *message;

        if (strncmp(fault->pointer, TRIAL_SPEC, length) != 0 || (*rest != '/' && *rest != '\0'))
            continue;
        message = assay_format("%s, line %d%s%s: %s", source->key, line_of(lines, rest),
                               *rest != '\0' ? ", " : "", rest, fault->message);
        free(fault->message);
        fault->message = message;
        free(fault->pointer);
        fault->pointer = assay_strdup(source->key_at);
    }
}

#include "controller/kubernetes/config_map.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/json.h"
#include "common/memory.h"
#include "schemas/kubernetes.h"

/* Named in a message. */
#define KEYS_MAX 20

char *
assay_kube_config_map_path(const struct assay_import_source *source)
{
    ASSAY_ASSERT(assay_kubernetes_name_valid(source->namespace_) &&
                 assay_kubernetes_name_valid(source->name));
    return assay_format("/api/v1/namespaces/%s/configmaps/%s", source->namespace_, source->name);
}

static assay_status
refuse_answer(const struct assay_import_source *source, const struct assay_kube_answer *answer,
              struct assay_faults *faults)
{
    assay_auto_free char *text = assay_kube_answer_text(answer);

    switch (answer->code) {
    case 404:
        assay_fault_add(faults, source->name_at, NULL, NULL,
                        "there is no ConfigMap %s in the namespace %s: %s", source->name,
                        source->namespace_, text);
        return ASSAY_E_INVALID_STUDY;
    case 403:
        assay_fault_add(faults, source->pointer, NULL, NULL,
                        "the service may not read ConfigMaps in the namespace %s; "
                        "deploy/kinds/katib-templates gives it the right: %s",
                        source->namespace_, text);
        return ASSAY_E_INVALID_STUDY;
    default:
        assay_fault_add(faults, source->pointer, NULL, NULL,
                        "the ConfigMap %s in the namespace %s can not be read now: %s",
                        source->name, source->namespace_, text);
        return ASSAY_E_UNAVAILABLE;
    }
}

/* "a, b and 3 more"; "none". */
static void
name_keys(const json_t *data, struct assay_buffer *text)
{
    const char *key;
    json_t *value;
    size_t n = 0;

    if (json_object_size(data) == 0)
        assay_buffer_puts(text, "none");
    assay_json_each (data, key, value) {
        if (n < KEYS_MAX)
            assay_buffer_printf(text, "%s%s", n > 0 ? ", " : "", key);
        n++;
    }
    if (n > KEYS_MAX)
        assay_buffer_printf(text, " and %zu more", n - KEYS_MAX);
}

assay_status
assay_kube_config_map_text(const struct assay_import_source *source,
                           const struct assay_kube_answer *answer, char **ret_text,
                           char **ret_version, struct assay_faults *faults)
{
    const json_t *metadata = json_object_get(answer->json, "metadata");
    const json_t *data = json_object_get(answer->json, "data");
    const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
    const char *label =
        json_string_value(json_object_get(json_object_get(metadata, "labels"), source->label));
    const char *text = json_string_value(json_object_get(data, source->key));

    if (answer->code != 200)
        return refuse_answer(source, answer, faults);
    if (label == NULL || strcmp(label, source->label_value) != 0) {
        assay_fault_add(faults, source->name_at, NULL, NULL,
                        "the ConfigMap %s in the namespace %s does not carry the label %s: %s, "
                        "which says that it holds templates",
                        source->name, source->namespace_, source->label, source->label_value);
        return ASSAY_E_INVALID_STUDY;
    }
    if (text == NULL) {
        assay_auto_buffer struct assay_buffer keys = {0};
        json_auto_t *found = json_string(source->key);

        name_keys(data, &keys);
        assay_fault_add(faults, source->key_at, found, keys.data,
                        "the data of the ConfigMap %s has no %s; its keys: %s", source->name,
                        source->key, keys.data);
        return ASSAY_E_INVALID_STUDY;
    }
    *ret_text = assay_strdup(text);
    *ret_version = assay_strdup(version != NULL ? version : "");
    return ASSAY_OK;
}

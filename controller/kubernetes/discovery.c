/* Where the API has the objects of a kind: asked of the server once for each kind. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/kubernetes/internal.h"

/* A kind that is not there may be installed; not asked for each trial anew. */
#define REFUSED_US (10 * ASSAY_SECOND_US)
#define AGAIN_US (3 * ASSAY_SECOND_US)

static void
set_fault(struct assay_kube_resource *resource, char *fault_taken)
{
    free(resource->fault);
    resource->fault = fault_taken;
}

static void
refuse(struct assay_kube_resource *resource, char *fault_taken)
{
    set_fault(resource, fault_taken);
    resource->state = ASSAY__KUBE_REFUSED;
    resource->until_us = assay_monotonic_us() + REFUSED_US;
    assay_log(ASSAY_LOG_WARNING, "%s", resource->fault);
}

/* The kind in the list of what its group and version have. */
static void
find_kind(struct assay_kube_resource *resource, const json_t *resources)
{
    const json_t *item;
    size_t i;

    json_array_foreach (resources, i, item) {
        const char *name = assay_json_text_at(item, "name");

        if (strcmp(assay_json_text_at(item, "kind"), resource->kind) != 0 ||
            strchr(name, '/') != NULL || *name == '\0')
            continue;
        if (!json_is_true(json_object_get(item, "namespaced"))) {
            refuse(resource, assay_format("objects of the kind %s (%s) belong to no namespace, so "
                                          "no trial can be one",
                                          resource->kind, resource->api_version));
            return;
        }
        resource->plural = assay_strdup(name);
        resource->state = ASSAY__KUBE_KNOWN;
        return;
    }
    refuse(resource, assay_format("the cluster has no kind %s in %s", resource->kind,
                                  resource->api_version));
}

static void
on_answer(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_resource *resource = arg;
    assay_auto_free char *text = NULL;

    resource->call = NULL;
    if (answer->code == 200) {
        find_kind(resource, json_object_get(answer->json, "resources"));
    } else {
        text = assay_kube_answer_text(answer);
        if (answer->code == 404) {
            refuse(resource, assay_format("the cluster has no kind %s: it does not serve %s: %s",
                                          resource->kind, resource->api_version, text));
        } else if (answer->code == 403) {
            refuse(resource, assay_format("the cluster does not say what it serves in %s: %s",
                                          resource->api_version, text));
        } else {
            set_fault(resource, assay_strdup(text));
            resource->state = ASSAY__KUBE_UNKNOWN;
            resource->until_us = assay_monotonic_us() + AGAIN_US;
        }
    }
    resource->executor->recall_due |= resource->state == ASSAY__KUBE_KNOWN;
    assay__kube_tick_soon(resource->executor);
}

static void
ask(struct assay_kube_resource *resource)
{
    bool core = strchr(resource->api_version, '/') == NULL;
    assay_auto_free char *path =
        assay_format("/%s/%s", core ? "api" : "apis", resource->api_version);

    resource->state = ASSAY__KUBE_ASKED;
    resource->call =
        assay_kube_send(resource->executor->client, &(struct assay_kube_request){
                                                        .path = path,
                                                        .timeout_us = ASSAY__KUBE_REQUEST_US,
                                                        .done = on_answer,
                                                        .arg = resource,
                                                    });
}

struct assay_kube_resource *
assay__kube_resource(struct assay_kube_executor *executor, const char *api_version,
                     const char *kind)
{
    assay_auto_free char *key = assay_format("%s %s", api_version, kind);
    struct assay_kube_resource *resource;

    HASH_FIND_STR(executor->resources, key, resource);
    if (resource == NULL) {
        resource = ASSAY_NEW(struct assay_kube_resource);
        resource->executor = executor;
        resource->key = assay_strdup(key);
        resource->api_version = assay_strdup(api_version);
        resource->kind = assay_strdup(kind);
        HASH_ADD_KEYPTR(hh, executor->resources, resource->key, strlen(resource->key), resource);
    }
    if ((resource->state == ASSAY__KUBE_UNKNOWN || resource->state == ASSAY__KUBE_REFUSED) &&
        resource->until_us <= assay_monotonic_us())
        ask(resource);
    return resource;
}

void
assay__kube_resources_close(struct assay_kube_executor *executor)
{
    struct assay_kube_resource *resource, *next;

    HASH_ITER(hh, executor->resources, resource, next)
    {
        HASH_DEL(executor->resources, resource);
        assay_kube_cancel(resource->call);
        free(resource->key);
        free(resource->api_version);
        free(resource->kind);
        free(resource->plural);
        free(resource->fault);
        free(resource);
    }
}

/* Reads what the API server tells of an object made from a template. */
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/memory.h"
#include "controller/kubernetes/template.h"

#define QUEUE_LABEL "kueue.x-k8s.io/queue-name"

static const json_t *
condition(const json_t *status, const char *type, const char *value)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(status, "conditions"), i, item)
    {
        if (strcmp(assay_json_text_at(item, "type"), type) == 0 &&
            strcmp(assay_json_text_at(item, "status"), value) == 0)
            return item;
    }
    return NULL;
}

/* Where an object of this kind says why it failed. */
static const json_t *
failure_of(const json_t *status)
{
    const json_t *found = condition(status, "Failed", "True");

    if (found == NULL)
        found = condition(status, "Succeeded", "False");
    if (found == NULL)
        found = json_object_get(status, "state"); /* Volcano's */
    return json_is_object(found) ? found : status;
}

static void
read_failure(const struct assay_kube_template *template, const json_t *status,
             struct assay_kube_object_status *ret)
{
    static const char *const timeouts[] = {"DeadlineExceeded", "PipelineRunTimeout",
                                           "TaskRunTimeout"};
    const json_t *why = failure_of(status);
    const char *reason = assay_json_text_at(why, "reason");
    const char *message = assay_json_text_at(why, "message");

    for (size_t i = 0; i < ASSAY_COUNT(timeouts); i++)
        ret->timeout |= strcmp(reason, timeouts[i]) == 0;
    ret->timeout |= strstr(message, "active longer than specified deadline") != NULL;
    ret->sentence =
        assay_format("the %s failed%s%s%s%s", template->kind, *reason != '\0' ? ": " : "", reason,
                     *message != '\0' ? ": " : "", message);
}

static bool
is_suspended(const json_t *spec)
{
    return json_is_true(json_object_get(spec, "suspend")) ||
           json_is_true(json_object_get(json_object_get(spec, "runPolicy"), "suspend"));
}

static void
read_waiting(const struct assay_kube_template *template, const json_t *object,
             struct assay_kube_object_status *ret)
{
    const json_t *status = json_object_get(object, "status");
    const json_t *suspended = condition(status, "Suspended", "True");
    const char *message = assay_json_text_at(suspended, "message");
    const char *queue = assay_json_text_at(
        json_object_get(json_object_get(object, "metadata"), "labels"), QUEUE_LABEL);

    if (!is_suspended(json_object_get(object, "spec")))
        return;
    ret->phase = ASSAY_KUBE_OBJECT_WAITS;
    ret->sentence =
        assay_format("Suspended: the %s waits%s%s%s%s", template->kind,
                     *queue != '\0' ? " in the queue " : " to be resumed, as queues do",
                     *queue != '\0' ? queue : "", *message != '\0' ? ": " : "", message);
}

void
assay_kube_template_read(const struct assay_kube_template *template, const json_t *object,
                         struct assay_kube_object_status *ret_status)
{
    struct assay_kube_object_status ret = {
        .phase = ASSAY_KUBE_OBJECT_RUNS,
        .deleting =
            json_object_get(json_object_get(object, "metadata"), "deletionTimestamp") != NULL,
    };

    if (assay_gjson_holds(template->failure, object)) {
        ret.phase = ASSAY_KUBE_OBJECT_FAILED;
        read_failure(template, json_object_get(object, "status"), &ret);
    } else if (assay_gjson_holds(template->success, object)) {
        ret.phase = ASSAY_KUBE_OBJECT_SUCCEEDED;
    } else {
        read_waiting(template, object, &ret);
    }
    *ret_status = ret;
}

void
assay_kube_object_status_done(struct assay_kube_object_status *status)
{
    free(status->sentence);
    status->sentence = NULL;
}

static bool
holds(const char *condition, const json_t *object)
{
    struct assay_gjson *gjson = NULL;
    bool found = condition != NULL && assay_gjson_new(condition, &gjson, NULL) == ASSAY_OK &&
                 assay_gjson_holds(gjson, object);

    assay_gjson_free(gjson);
    return found;
}

bool
assay_kube_object_is_kept(const json_t *object)
{
    const json_t *annotations = json_object_get(json_object_get(object, "metadata"), "annotations");

    return holds(json_string_value(json_object_get(annotations, ASSAY_KUBE_RETAIN_SUCCESS)),
                 object) ||
           holds(json_string_value(json_object_get(annotations, ASSAY_KUBE_RETAIN_FAILURE)),
                 object);
}

const char *
assay_kube_template_container(const struct assay_kube_template *template, const json_t *pod)
{
    const json_t *labels = json_object_get(json_object_get(pod, "metadata"), "labels");
    const json_t *containers = json_object_get(json_object_get(pod, "spec"), "containers");
    const json_t *container;
    const char *key;
    json_t *value;
    size_t i;

    json_object_foreach(template->primary_labels, key, value)
    {
        if (strcmp(assay_json_text_at(labels, key), json_string_value(value)) != 0)
            return NULL;
    }
    json_array_foreach(containers, i, container)
    {
        const char *name = json_string_value(json_object_get(container, "name"));

        if (template->container == NULL || (name != NULL && strcmp(name, template->container) == 0))
            return name;
    }
    return NULL;
}

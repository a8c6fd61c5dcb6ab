/* What is watched in a namespace, and what is left over there. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/kubernetes_internal.h"

static void
on_leftover_deleted(void *arg, const struct assay_kube_answer *answer)
{
    (void)arg;
    (void)answer; /* if it failed, the next list brings it again */
}

static void
delete_leftover(struct assay_kube_space *space, const json_t *pod, const char *name)
{
    assay_auto_free char *path = assay_format("/api/v1/namespaces/%s/pods/%s", space->name, name);

    if (json_object_get(json_object_get(pod, "metadata"), "deletionTimestamp") != NULL)
        return;
    assay_log(ASSAY_LOG_INFO, "pod %s/%s is left over: no attempt is its own", space->name, name);
    assay_kube_send(space->executor->client, &(struct assay_kube_request){
                                                 .method = "DELETE",
                                                 .path = path,
                                                 .timeout_us = ASSAY__KUBE_REQUEST_US,
                                                 .done = on_leftover_deleted,
                                             });
}

static void
on_put(void *arg, const json_t *pod)
{
    struct assay_kube_space *space = arg;
    const char *name = json_string_value(json_object_get(json_object_get(pod, "metadata"), "name"));
    struct assay_kube_attempt *attempt = assay__kube_find_named(space->executor, name);

    if (attempt == NULL)
        delete_leftover(space, pod, name);
    else if (attempt->space == space)
        assay__kube_pod_seen(attempt, pod);
}

static void
on_gone(void *arg, const char *name)
{
    struct assay_kube_space *space = arg;
    struct assay_kube_attempt *attempt = assay__kube_find_named(space->executor, name);

    if (attempt != NULL && attempt->space == space)
        assay__kube_pod_gone(attempt);
}

static void
on_synced(void *arg)
{
    struct assay_kube_space *space = arg;
    struct assay_kube_attempt *attempt, *next;

    space->synced = true;
    HASH_ITER(hh, space->executor->attempts, attempt, next)
    {
        if (attempt->space == space && attempt->adopted && attempt->call == NULL)
            assay__kube_pod_missing(attempt);
    }
}

static void
on_watch_failed(void *arg, const char *sentence)
{
    struct assay_kube_space *space = arg;
    struct assay_kube_attempt *attempt, *next;

    assay_log(ASSAY_LOG_WARNING, "pods of namespace %s can not be listed: %s", space->name,
              sentence);
    HASH_ITER(hh, space->executor->attempts, attempt, next)
    {
        if (attempt->space == space && !attempt->started)
            assay__kube_set_waits(attempt, sentence, false);
    }
}

struct assay_kube_space *
assay__kube_space(struct assay_kube_executor *executor, const char *name)
{
    assay_auto_free char *path = assay_format("/api/v1/namespaces/%s/pods", name);
    struct assay_kube_space *space;

    HASH_FIND_STR(executor->spaces, name, space);
    if (space != NULL)
        return space;
    space = ASSAY_NEW(struct assay_kube_space);
    space->executor = executor;
    space->name = assay_strdup(name);
    HASH_ADD_KEYPTR(hh, executor->spaces, space->name, strlen(space->name), space);
    space->watch = assay_kube_watch_new(&(struct assay_kube_watch_options){
        .client = executor->client,
        .loop = executor->loop,
        .path = path,
        .selector = executor->selector,
        .events = {.put = on_put,
                   .gone = on_gone,
                   .synced = on_synced,
                   .failed = on_watch_failed,
                   .arg = space},
    });
    return space;
}

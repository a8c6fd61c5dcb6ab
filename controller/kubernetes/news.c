/* What is heard of the cluster, and which attempt it concerns; what concerns none and is ours
 * is left over, and deleted. */
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/number.h"
#include "controller/kubernetes/internal.h"

/* --- leftovers --- */

/* Whether it is an attempt's of any context: two of them may be of the same cluster. */
static bool
is_known(const struct assay_kube_executor *executor, const char *name)
{
    const struct assay_kube_executor *other;

    LIST_FOREACH(other, executor->all, beside)
    {
        if (assay__kube_find_named(other, name) != NULL)
            return true;
    }
    return false;
}

static void
on_leftover_deleted(void *arg, const struct assay_kube_answer *answer)
{
    (void)arg;
    (void)answer; /* if it failed, the next list brings it again */
}

/* An object that no attempt calls its own.  Pods that belong to something go with it. */
static void
delete_leftover(struct assay_kube_space *space, const json_t *object, const char *name)
{
    const json_t *metadata = json_object_get(object, "metadata");
    assay_auto_free char *path = assay_format("%s/%s", space->path, name);

    if (json_object_get(metadata, "deletionTimestamp") != NULL ||
        json_array_size(json_object_get(metadata, "ownerReferences")) > 0 ||
        assay_kube_object_is_kept(object) || is_known(space->executor, name))
        return;
    assay_log(ASSAY_LOG_INFO, "%s %s/%s is left over: no attempt is its own", space->what,
              space->name, name);
    assay_kube_send(space->executor->client,
                    &(struct assay_kube_request){
                        .method = "DELETE",
                        .path = path,
                        .body = json_pack("{s:s, s:s, s:s}", "apiVersion", "v1", "kind",
                                          "DeleteOptions", "propagationPolicy", "Background"),
                        .timeout_us = ASSAY__KUBE_REQUEST_US,
                        .done = on_leftover_deleted,
                    });
}

/* --- whose it is --- */

static int64_t
number_of(const json_t *labels, const char *label)
{
    int64_t n = 0;

    return assay_parse_int(assay_json_text_at(labels, label), 0, INT64_MAX, &n) ? n : 0;
}

/* The attempt in whose template the pod was described; NULL: none. */
static struct assay_kube_attempt *
attempt_of_pod(const struct assay_kube_space *space, const json_t *pod)
{
    const json_t *labels = json_object_get(json_object_get(pod, "metadata"), "labels");
    struct assay_kube_attempt *attempt;

    if (space->role == ASSAY__KUBE_LABELLED) {
        attempt =
            assay__kube_find_named(space->executor, assay_json_text_at(labels, space->pod_label));
    } else {
        struct assay_attempt_key key = {number_of(labels, ASSAY_KUBE_LABEL_STUDY),
                                        number_of(labels, ASSAY_KUBE_LABEL_TRIAL),
                                        number_of(labels, ASSAY_KUBE_LABEL_ATTEMPT)};
        assay_auto_free char *name = assay_kube_pod_name(space->executor->owner, &key);

        attempt = assay__kube_find_named(space->executor, name);
    }
    return attempt != NULL && attempt->template != NULL &&
                   strcmp(attempt->namespace_, space->name) == 0
               ? attempt
               : NULL;
}

/* --- what is heard --- */

static void
on_put(struct assay_kube_space *space, const json_t *object)
{
    const char *name = assay_json_text_at(json_object_get(object, "metadata"), "name");
    struct assay_kube_attempt *attempt = NULL;

    if (space->role != ASSAY__KUBE_OBJECTS) {
        attempt = attempt_of_pod(space, object);
        if (attempt != NULL)
            assay__kube_object_pod(attempt, object);
    }
    if (space->role == ASSAY__KUBE_LABELLED)
        return;
    attempt = assay__kube_find_named(space->executor, name);
    if (attempt == NULL)
        delete_leftover(space, object, name);
    else if (attempt->space == space)
        assay__kube_seen(attempt, object);
}

static void
on_gone(struct assay_kube_space *space, const char *name)
{
    struct assay_kube_attempt *attempt = assay__kube_find_named(space->executor, name), *next;

    if (attempt != NULL && attempt->space == space) {
        assay__kube_gone(attempt);
        return;
    }
    if (space->role == ASSAY__KUBE_OBJECTS)
        return;
    HASH_ITER(hh, space->executor->attempts, attempt, next)
    {
        if (attempt->pod != NULL && strcmp(attempt->pod, name) == 0 &&
            assay__kube_space_concerns(space, attempt))
            assay__kube_object_pod_gone(attempt);
    }
}

static void
on_synced(struct assay_kube_space *space)
{
    struct assay_kube_attempt *attempt, *next;

    HASH_ITER(hh, space->executor->attempts, attempt, next)
    {
        if (attempt->space == space && attempt->adopted && attempt->call == NULL)
            assay__kube_missing(attempt);
    }
    assay__kube_tick_soon(space->executor);
}

static void
on_failed(struct assay_kube_space *space, const char *sentence)
{
    struct assay_kube_attempt *attempt, *next;

    HASH_ITER(hh, space->executor->attempts, attempt, next)
    {
        if (!assay__kube_space_concerns(space, attempt) || attempt->started || attempt->done ||
            attempt->ending)
            continue;
        if (space->hopeless && attempt->template != NULL && !attempt->asked)
            assay__kube_end_soon(attempt, false, ASSAY_TRIAL_REASON_START_FAILED,
                                 assay_strdup(sentence));
        else
            assay__kube_set_waits(attempt, sentence, false);
    }
    assay__kube_tick_soon(space->executor);
}

const struct assay_kube_news assay__kube_news = {
    .put = on_put,
    .gone = on_gone,
    .synced = on_synced,
    .failed = on_failed,
};

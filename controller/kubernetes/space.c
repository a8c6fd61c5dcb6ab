/* What is watched in a namespace, by this daemon and by those before it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/kubernetes/internal.h"

#define MEMORY_MAX 1000

char *
assay__kube_escape(const char *selector)
{
    struct assay_buffer out = {0};

    for (const char *c = selector; *c != '\0'; c++) {
        if (isalnum((unsigned char)*c) || strchr("-._~", *c) != NULL)
            assay_buffer_add(&out, c, 1);
        else
            assay_buffer_printf(&out, "%%%02X", (unsigned)(unsigned char)*c);
    }
    return out.data != NULL ? assay_buffer_steal(&out) : assay_strdup("");
}

/* --- what a later daemon should look at --- */

static void
remember(struct assay_kube_space *space)
{
    struct assay_kube_executor *executor = space->executor;
    json_t *entry = json_pack("{s:s, s:s, s:s}", "namespace", space->name, "apiVersion",
                              space->api_version != NULL ? space->api_version : "v1", "kind",
                              space->kind != NULL ? space->kind : "Pod");
    assay_auto_buffer struct assay_buffer text = {0};
    struct assay_error err = {0};
    json_t *known;
    size_t i;
    bool there = space->role == ASSAY__KUBE_LABELLED ||
                 json_array_size(executor->remembered) >= MEMORY_MAX;

    json_array_foreach (executor->remembered, i, known)
        there |= json_equal(known, entry) == 1;
    if (!there) {
        json_array_append(executor->remembered, entry);
        assay_json_print(executor->remembered, 0, &text);
        if (assay_file_replace(executor->watched_path, text.data, text.length, 0600, &err) < 0)
            assay_log(ASSAY_LOG_WARNING, "%s", err.message);
    }
    json_decref(entry);
}

/* --- what is heard of it --- */

static void
on_put(void *arg, const json_t *object)
{
    struct assay_kube_space *space = arg;

    space->executor->news->put(space, object);
}

static void
on_gone(void *arg, const char *name)
{
    struct assay_kube_space *space = arg;

    space->executor->news->gone(space, name);
}

static void
on_synced(void *arg)
{
    struct assay_kube_space *space = arg;

    if (!space->synced && space->executor->remembered != NULL)
        remember(space);
    space->synced = true;
    space->hopeless = false;
    space->executor->news->synced(space);
}

static void
on_failed(void *arg, const char *sentence)
{
    struct assay_kube_space *space = arg;
    long code = assay_kube_watch_code(space->watch);

    assay_log(ASSAY_LOG_WARNING, "%s of namespace %s can not be listed: %s", space->what,
              space->name, sentence);
    space->hopeless = !space->synced && (code == 403 || code == 404);
    space->executor->news->failed(space, sentence);
}

/* --- opening and closing --- */

struct space_options {
    enum assay_kube_space_role role;
    const char *namespace_;
    const char *path;     /* of the collection */
    const char *what, *pod_label, *api_version, *kind;
    const char *selector; /* escaped */
};

static struct assay_kube_space *
open_space(struct assay_kube_executor *executor, const struct space_options *options)
{
    assay_auto_free char *key = assay_format("%s?%s", options->path, options->selector);
    struct assay_kube_space *space;

    HASH_FIND_STR(executor->spaces, key, space);
    if (space != NULL)
        return space;
    space = ASSAY_NEW(struct assay_kube_space);
    space->executor = executor;
    space->role = options->role;
    space->key = assay_strdup(key);
    space->name = assay_strdup(options->namespace_);
    space->path = assay_strdup(options->path);
    space->what = assay_strdup(options->what);
    space->pod_label = options->pod_label;
    space->api_version = assay_strdup(options->api_version);
    space->kind = assay_strdup(options->kind);
    HASH_ADD_KEYPTR(hh, executor->spaces, space->key, strlen(space->key), space);
    space->watch = assay_kube_watch_new(&(struct assay_kube_watch_options){
        .client = executor->client,
        .loop = executor->loop,
        .path = options->path,
        .selector = options->selector,
        .events = {.put = on_put,
                   .gone = on_gone,
                   .synced = on_synced,
                   .failed = on_failed,
                   .arg = space},
    });
    return space;
}

struct assay_kube_space *
assay__kube_space_pods(struct assay_kube_executor *executor, const char *namespace_)
{
    assay_auto_free char *path = assay_format("/api/v1/namespaces/%s/pods", namespace_);

    return open_space(executor, &(struct space_options){.role = ASSAY__KUBE_PODS,
                                                        .namespace_ = namespace_,
                                                        .path = path,
                                                        .what = "pods",
                                                        .selector = executor->selector});
}

struct assay_kube_space *
assay__kube_space_labelled(struct assay_kube_executor *executor, const char *namespace_,
                           const char *pod_label)
{
    assay_auto_free char *path = assay_format("/api/v1/namespaces/%s/pods", namespace_);
    assay_auto_free char *selector = assay__kube_escape(pod_label);

    return open_space(executor, &(struct space_options){.role = ASSAY__KUBE_LABELLED,
                                                        .namespace_ = namespace_,
                                                        .path = path,
                                                        .what = "pods",
                                                        .pod_label = pod_label,
                                                        .selector = selector});
}

struct assay_kube_space *
assay__kube_space_objects(struct assay_kube_executor *executor, const char *namespace_,
                          const struct assay_kube_resource *resource)
{
    const char *slash = strchr(resource->api_version, '/');
    size_t group = slash != NULL ? (size_t)(slash - resource->api_version) : 0;
    assay_auto_free char *path =
        assay_format("/%s/%s/namespaces/%s/%s", slash != NULL ? "apis" : "api",
                     resource->api_version, namespace_, resource->plural);
    assay_auto_free char *what = assay_format("%s%s%.*s", resource->plural, group > 0 ? "." : "",
                                              (int)group, resource->api_version);

    if (slash == NULL && strcmp(resource->kind, "Pod") == 0)
        return assay__kube_space_pods(executor, namespace_);
    return open_space(executor, &(struct space_options){.role = ASSAY__KUBE_OBJECTS,
                                                        .namespace_ = namespace_,
                                                        .path = path,
                                                        .what = what,
                                                        .api_version = resource->api_version,
                                                        .kind = resource->kind,
                                                        .selector = executor->selector});
}

static void
close_space(struct assay_kube_space *space)
{
    HASH_DEL(space->executor->spaces, space);
    assay_kube_watch_end(space->watch);
    free(space->key);
    free(space->name);
    free(space->path);
    free(space->what);
    free(space->api_version);
    free(space->kind);
    free(space);
}

void
assay__kube_spaces_close(struct assay_kube_executor *executor)
{
    struct assay_kube_space *space, *next;

    HASH_ITER(hh, executor->spaces, space, next)
        close_space(space);
    json_decref(executor->remembered);
    executor->remembered = NULL;
}

bool
assay__kube_space_concerns(const struct assay_kube_space *space,
                           const struct assay_kube_attempt *attempt)
{
    return attempt->space == space || attempt->pods == space || attempt->labelled == space;
}

void
assay__kube_spaces_tidy(struct assay_kube_executor *executor)
{
    struct assay_kube_space *space, *next;
    struct assay_kube_attempt *attempt;

    HASH_ITER(hh, executor->spaces, space, next)
    {
        bool needed = space->recalled;

        for (attempt = executor->attempts; space->hopeless && !needed && attempt != NULL;
             attempt = attempt->hh.next)
            needed = assay__kube_space_concerns(space, attempt);
        if (!space->hopeless || needed)
            continue;
        assay_log(ASSAY_LOG_INFO, "%s of namespace %s are not asked for any more", space->what,
                  space->name);
        close_space(space);
    }
}

/* --- what a former daemon watched --- */

static json_t *
read_memory(const struct assay_kube_executor *executor)
{
    json_t *json = json_load_file(executor->watched_path, 0, NULL);

    if (json_is_array(json))
        return json;
    json_decref(json);
    return json_array();
}

/* Where attempts of a former daemon may be, not only this one's. */
static void
recall(struct assay_kube_space *space)
{
    space->recalled = true;
}

void
assay__kube_spaces_recall(struct assay_kube_executor *executor)
{
    const json_t *entry;
    size_t i;

    executor->recall_due = false;
    json_array_foreach (executor->remembered, i, entry) {
        const char *namespace_ = assay_json_text_at(entry, "namespace");
        const char *api_version = assay_json_text_at(entry, "apiVersion");
        const char *kind = assay_json_text_at(entry, "kind");
        struct assay_kube_resource *resource;

        if (!assay_kubernetes_name_valid(namespace_) || *api_version == '\0' || *kind == '\0')
            continue;
        if (strcmp(api_version, "v1") == 0 && strcmp(kind, "Pod") == 0) {
            recall(assay__kube_space_pods(executor, namespace_));
            continue;
        }
        resource = assay__kube_resource(executor, api_version, kind);
        if (resource->state == ASSAY__KUBE_KNOWN) /* else when it is */
            recall(assay__kube_space_objects(executor, namespace_, resource));
    }
}

void
assay__kube_spaces_open(struct assay_kube_executor *executor, bool own)
{
    executor->remembered = read_memory(executor);
    if (own && !assay__kube_is_by_project(executor))
        recall(assay__kube_space_pods(executor, executor->namespace_));
    assay__kube_spaces_recall(executor);
}

/* What the engine calls: an executor for each context of the kubeconfig that a study names,
 * beside the service's own.  See internal.h.
 *
 * A context is opened when its first study starts, and again at once by later daemons: what
 * was left there is swept up whether or not a study still names it. */
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/kubernetes/internal.h"
#include "schemas/decode.h"

/* In the data directory: the names of those that were opened. */
#define MEMORY_FILE "kubernetes-contexts.json"
#define MEMORY_MAX 100

struct context {
    char *name;
    struct assay_kube_executor *executor;
    UT_hash_handle hh;
};

struct assay_kube_contexts {
    struct assay_executor_options options;
    struct assay_kube_executors all;
    struct assay_kube_executor *own; /* of the service's own context */
    struct context *others;          /* by name; on the loop's thread only */
};

static struct assay_kube_contexts *
mine(struct assay_executor *handle)
{
    return (struct assay_kube_contexts *)(void *)handle;
}

static const struct assay_kube_contexts *
mine_const(const struct assay_executor *handle)
{
    return (const struct assay_kube_contexts *)(const void *)handle;
}

/* The context that the trial names, unless it is the service's own. */
static const char *
other_context(const struct assay_kube_contexts *contexts, const struct assay_trial_spec *trial)
{
    const char *name = json_string_value(json_object_get(trial->kubernetes, "context"));
    const struct assay_kube_config *own = contexts->own->config;

    return name == NULL || (own != NULL && own->context != NULL && strcmp(own->context, name) == 0)
               ? NULL
               : name;
}

static void
remember(const struct assay_kube_contexts *contexts)
{
    assay_auto_free char *path = assay_format("%s/" MEMORY_FILE, contexts->options.data_dir);
    assay_auto_buffer struct assay_buffer text = {0};
    json_t *names = json_array();
    struct assay_error err = {0};

    for (const struct context *context = contexts->others; context != NULL;
         context = context->hh.next)
        json_array_append_new(names, json_string(context->name));
    assay_json_print(names, 0, &text);
    json_decref(names);
    if (assay_file_replace(path, text.data, text.length, 0600, &err) < 0)
        assay_log(ASSAY_LOG_WARNING, "%s", err.message);
}

/* Opens it unless it is open.  ASSAY_OK also when its cluster can not be reached: its
 * executor says why. */
static assay_status
open_context(struct assay_kube_contexts *contexts, const char *name,
             struct assay_kube_executor **ret_executor, struct assay_error *err)
{
    struct assay_executor_options options = contexts->options;
    struct context *context;
    assay_status rc;

    HASH_FIND_STR(contexts->others, name, context);
    if (context == NULL) {
        context = ASSAY_NEW(struct context);
        options.kubernetes.context = name;
        rc = assay__kube_open(&options, &contexts->all, name, &context->executor, err);
        if (rc < 0) {
            free(context);
            return rc;
        }
        context->name = assay_strdup(name);
        HASH_ADD_KEYPTR(hh, contexts->others, context->name, strlen(context->name), context);
        if (HASH_COUNT(contexts->others) <= MEMORY_MAX)
            remember(contexts);
    }
    *ret_executor = context->executor;
    return ASSAY_OK;
}

static void
recall(struct assay_kube_contexts *contexts)
{
    assay_auto_free char *path = assay_format("%s/" MEMORY_FILE, contexts->options.data_dir);
    json_t *names = json_load_file(path, 0, NULL), *item;
    struct assay_kube_executor *executor;
    struct assay_error err = {0};
    size_t i;

    json_array_foreach(names, i, item)
    {
        if (json_is_string(item) &&
            open_context(contexts, json_string_value(item), &executor, &err) < 0)
            assay_log(ASSAY_LOG_WARNING, "%s", err.message);
    }
    json_decref(names);
}

/* --- the type --- */

static assay_status
contexts_open(const struct assay_executor_options *options, struct assay_executor **ret_executor,
              struct assay_error *err)
{
    struct assay_kube_contexts *contexts = ASSAY_NEW(struct assay_kube_contexts);
    assay_status rc;

    contexts->options = *options;
    rc = assay__kube_open(options, &contexts->all, NULL, &contexts->own, err);
    if (rc < 0) {
        free(contexts);
        return rc;
    }
    recall(contexts);
    *ret_executor = (struct assay_executor *)(void *)contexts;
    return ASSAY_OK;
}

static void
contexts_check(const struct assay_executor *handle, const char *project,
               const struct assay_trial_spec *trial, const char *pointer,
               struct assay_faults *faults)
{
    const struct assay_kube_contexts *contexts = mine_const(handle);
    const char *name = other_context(contexts, trial);
    assay_auto_free char *at = assay_format("%s/kubernetes/context", pointer);
    struct assay_kube_config *config = NULL;
    struct assay_error err = {0};

    if (name != NULL) {
        if (assay_kube_config_read(contexts->options.kubernetes.kubeconfig, name, &config, &err) <
            0) {
            json_auto_t *found = json_string(name);

            assay_fault_add(faults, at, found, "a context of the service's kubeconfig", "%s",
                            err.message);
        }
        assay_kube_config_free(config);
    }
    assay__kube_check(contexts->own, project, trial, pointer, faults);
}

static char *
contexts_unable(const struct assay_executor *handle, const struct assay_trial_spec *trial)
{
    const struct assay_kube_contexts *contexts = mine_const(handle);

    if (other_context(contexts, trial) != NULL || contexts->own->config != NULL)
        return NULL;
    return assay_format("this service has no cluster to run trials on: %s", contexts->own->fault);
}

static bool
contexts_fits(const struct assay_executor *handle, const struct assay_trial_spec *trial,
              const struct assay_promised *promised)
{
    const struct assay_kube_contexts *contexts = mine_const(handle);

    (void)promised; /* the clusters' schedulers have the queue */
    return other_context(contexts, trial) != NULL || contexts->own->config != NULL;
}

static struct assay_kube_executor *
executor_for(struct assay_kube_contexts *contexts, const struct assay_trial_spec *trial)
{
    const char *name = other_context(contexts, trial);
    struct assay_kube_executor *executor = contexts->own;
    struct assay_error err = {0};

    /* What fails here is the owner's file in the data directory, and has worked before. */
    if (name != NULL && open_context(contexts, name, &executor, &err) < 0)
        assay_log(ASSAY_LOG_ERROR, "context %s: %s", name, err.message);
    return executor;
}

static void
contexts_start(struct assay_executor *handle, const struct assay_launch *launch)
{
    assay__kube_start(executor_for(mine(handle), launch->spec->trial), launch);
}

static void
contexts_adopt(struct assay_executor *handle, const struct assay_launch *launch, const json_t *gpus)
{
    (void)gpus; /* the cluster's own to count */
    assay__kube_adopt(executor_for(mine(handle), launch->spec->trial), launch);
}

static void
contexts_stop(struct assay_executor *handle, const struct assay_attempt_key *key, int64_t grace_us)
{
    struct assay_kube_contexts *contexts = mine(handle);

    assay__kube_stop(contexts->own, key, grace_us);
    for (struct context *context = contexts->others; context != NULL; context = context->hh.next)
        assay__kube_stop(context->executor, key, grace_us);
}

static void
contexts_stored(struct assay_executor *handle, const struct assay_attempt_key *key)
{
    struct assay_kube_contexts *contexts = mine(handle);

    assay__kube_stored(contexts->own, key);
    for (struct context *context = contexts->others; context != NULL; context = context->hh.next)
        assay__kube_stored(context->executor, key);
}

/* From the service's own cluster: a file that refers to a text names no context. */
static void
contexts_read_text(struct assay_executor *handle, const char *project,
                   const struct assay_import_source *source, assay_executor_text_fn done,
                   void *arg)
{
    assay__kube_read_text(mine(handle)->own, project, source, done, arg);
}

static void
contexts_stop_reading(struct assay_executor *handle)
{
    assay__kube_stop_reading(mine(handle)->own);
}

static void
contexts_release(struct assay_executor *handle, const struct assay_attempt_key *key)
{
    (void)handle;
    (void)key; /* the cluster counts */
}

static void
contexts_forget(struct assay_executor *handle, int64_t study_id)
{
    (void)handle;
    (void)study_id; /* the local executor removes the folder; pods are leftovers by now */
}

static void
contexts_close(struct assay_executor *handle)
{
    struct assay_kube_contexts *contexts = mine(handle);
    struct context *context, *next;

    assay__kube_close(contexts->own);
    HASH_ITER(hh, contexts->others, context, next)
    {
        HASH_DEL(contexts->others, context);
        assay__kube_close(context->executor);
        free(context->name);
        free(context);
    }
    free(contexts);
}

const struct assay_executor_type assay_executor_kubernetes = {
    .name = "kubernetes",
    .goes_on = true,
    .open = contexts_open,
    .check = contexts_check,
    .unable = contexts_unable,
    .fits = contexts_fits,
    .start = contexts_start,
    .adopt = contexts_adopt,
    .stop = contexts_stop,
    .read_text = contexts_read_text,
    .stop_reading = contexts_stop_reading,
    .release = contexts_release,
    .stored = contexts_stored,
    .forget = contexts_forget,
    .close = contexts_close,
};

/* The Kubernetes executor: attempts as pods, or as objects made of a template, one each, with
 * names that are the same after a crash.
 *
 * What there is in the cluster is the truth: objects are followed by list and watch, and every
 * decision is made from one as it is, not from what happened to it.  A create that is
 * answered 409 has found its own object.  An object that carries this service's label and
 * belongs to no attempt is a leftover and is deleted.
 *
 * Metrics are read from the log, from its beginning again after a restart: their steps
 * come out the same, so nothing counts twice.  An object is kept for a while after its end
 * was told, so that a daemon killed before the commit finds it again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"
#include "common/random.h"
#include "controller/kubernetes_internal.h"
#include "schemas/decode.h"

#define TICK_MS 100
#define CA_BYTES_MAX ((size_t)256 * 1024) /* it goes with every trial */
#define OWNER_FILE "kubernetes-owner"
#define OWNER_LENGTH_MAX 20

static struct assay_kube_executor *
mine(struct assay_executor *handle)
{
    return (struct assay_kube_executor *)(void *)handle;
}

static const struct assay_kube_executor *
mine_const(const struct assay_executor *handle)
{
    return (const struct assay_kube_executor *)(const void *)handle;
}

static void
on_tick(uv_timer_t *timer)
{
    struct assay_kube_executor *executor = timer->data;
    int64_t now_us = assay_monotonic_us();
    struct assay_kube_attempt *attempt, *next;

    HASH_ITER(hh, executor->attempts, attempt, next)
    assay__kube_look_at(attempt, now_us);
    if (executor->attempts == NULL)
        uv_timer_stop(&executor->tick);
}

void
assay__kube_tick_soon(struct assay_kube_executor *executor)
{
    if (!executor->closing)
        uv_timer_start(&executor->tick, on_tick, 0, TICK_MS);
}

static struct assay_kube_attempt *
find(const struct assay_kube_executor *executor, const struct assay_attempt_key *key)
{
    assay_auto_free char *name = assay_kube_pod_name(executor->owner, key);

    return assay__kube_find_named(executor, name);
}

/* --- opening and closing --- */

/* Who we are in the cluster: given, or drawn once. */
static assay_status
read_owner(struct assay_kube_executor *executor, const char *given, struct assay_error *err)
{
    assay_auto_free char *path = assay_format("%s/" OWNER_FILE, executor->data_dir);
    struct assay_random random;
    assay_status rc;

    if (given != NULL) {
        if (!assay_kubernetes_name_valid(given) || strlen(given) > OWNER_LENGTH_MAX)
            return assay_fail(err, ASSAY_E_INVALID_VALUE,
                              "kube-owner must be at most 20 small letters, digits and '-'");
        executor->owner = assay_strdup(given);
        return ASSAY_OK;
    }
    rc = assay_file_read_line(path, &executor->owner, err);
    if (rc == ASSAY_OK || rc != ASSAY_E_NOT_FOUND)
        return rc;
    assay_random_init(&random, assay_random_seed(), 0, 0);
    executor->owner = assay_format("%08" PRIx32, assay_random_u32(&random));
    return assay_file_replace(path, executor->owner, strlen(executor->owner), 0600, err);
}

static void
free_executor(struct assay_kube_executor *executor)
{
    assay_kube_client_free(executor->client);
    assay_kube_config_free(executor->config);
    assay_metric_line_done(&executor->line);
    free(executor->data_dir);
    free(executor->owner);
    free(executor->url);
    free(executor->url_ca);
    free(executor->runner_image);
    free(executor->namespace_);
    free(executor->selector);
    free(executor->fault);
    free(executor);
}

/* The client is freed after what it closed is closed: some turns of the loop later. */
static void
on_tick_closed(uv_handle_t *handle)
{
    struct assay_kube_executor *executor = handle->data;

    if (++executor->rounds < 3) {
        uv_timer_init(executor->loop, &executor->tick);
        executor->tick.data = executor;
        uv_close((uv_handle_t *)&executor->tick, on_tick_closed);
        return;
    }
    free_executor(executor);
}

static void
kubernetes_close(struct assay_executor *handle)
{
    struct assay_kube_executor *executor = mine(handle);
    struct assay_kube_attempt *attempt, *next;

    executor->closing = true;
    HASH_ITER(hh, executor->attempts, attempt, next)
    assay__kube_attempt_free(attempt);
    assay__kube_resources_close(executor);
    assay__kube_spaces_close(executor);
    if (executor->client != NULL)
        assay_kube_client_close(executor->client);
    uv_close((uv_handle_t *)&executor->tick, on_tick_closed);
}

static assay_status
open_cluster(struct assay_kube_executor *executor, const struct assay_kubernetes_options *options)
{
    struct assay_error err = {0};
    assay_status rc =
        assay_kube_config_read(options->kubeconfig, options->context, &executor->config, &err);

    if (rc == ASSAY_OK)
        rc = assay_kube_client_new(
            &(struct assay_kube_client_options){
                .loop = executor->loop,
                .config = executor->config,
                .qps = (double)options->qps,
                .burst = (double)options->burst,
            },
            &executor->client, &err);
    if (rc < 0) {
        executor->fault = assay_strdup(err.message);
        executor->config = assay_kube_config_free(executor->config);
        return rc;
    }
    executor->namespace_ = assay_strdup(options->namespace_ != NULL ? options->namespace_
                                                                    : executor->config->namespace_);
    return ASSAY_OK;
}

static assay_status
kubernetes_open(const struct assay_executor_options *options, struct assay_executor **ret_executor,
                struct assay_error *err)
{
    struct assay_kube_executor *executor = ASSAY_NEW(struct assay_kube_executor);
    assay_status rc;

    executor->events = options->events;
    executor->loop = options->loop;
    executor->data_dir = assay_strdup(options->data_dir);
    executor->log_bytes = options->trial_log_bytes;
    executor->url = assay_strdup(options->kubernetes.url);
    executor->runner_image = assay_strdup(options->kubernetes.runner_image);
    rc = read_owner(executor, options->kubernetes.owner, err);
    if (rc == ASSAY_OK && options->kubernetes.url_ca != NULL)
        rc = assay_file_read(options->kubernetes.url_ca, CA_BYTES_MAX, &executor->url_ca, NULL,
                             err);
    if (rc < 0) {
        free_executor(executor);
        return rc;
    }
    executor->selector = assay_format("assay.dev%%2Fdaemon%%3D%s", executor->owner);
    uv_timer_init(executor->loop, &executor->tick);
    executor->tick.data = executor;
    if (open_cluster(executor, &options->kubernetes) == ASSAY_OK) {
        /* What a former daemon left there is looked for at once. */
        if (options->kubernetes.kubeconfig != NULL)
            assay__kube_space_pods(executor, executor->namespace_);
        assay__kube_spaces_recall(executor);
    }
    *ret_executor = (struct assay_executor *)(void *)executor;
    return ASSAY_OK;
}

/* --- what the engine calls --- */

static void
refuse(const char *pointer, const char *member, struct assay_faults *faults, const char *allowed,
       const char *sentence)
{
    assay_auto_free char *at = assay_format("%s/%s", pointer, member);

    assay_fault_add(faults, at, NULL, allowed, "%s", sentence);
}

static void
check_runner(const struct assay_kube_executor *executor, const struct assay_trial_spec *trial,
             const char *pointer, struct assay_faults *faults)
{
    struct assay_kube_reach reach = assay__kube_reach(executor);
    struct assay_faults ignored = {0}; /* it was decoded before, and found to be fine */
    struct assay_kubernetes_spec *spec =
        assay_kubernetes_spec_decode(trial->kubernetes, "", &ignored);

    if (spec != NULL)
        assay_kube_runner_check(trial, spec, &reach, pointer, faults);
    assay_kubernetes_spec_free(spec);
    assay_faults_done(&ignored);
}

static void
kubernetes_check(const struct assay_executor *handle, const struct assay_trial_spec *trial,
                 const char *pointer, struct assay_faults *faults)
{
    const struct assay_kube_executor *executor = mine_const(handle);

    if (executor->config == NULL && trial->n_command == 0)
        return; /* valid; kubernetes_unable says that it can not be run */
    check_runner(executor, trial, pointer, faults);
    if (trial->n_command == 0 && trial->metrics_from != ASSAY_METRICS_PUSH &&
        !assay_kube_template_has_pods(trial->kubernetes, assay_kube_runner_watches(trial)))
        refuse(pointer, "kubernetes/template", faults,
               "an object with spec.containers somewhere in it",
               "no pod is described in the template, so its metrics can not be read there; push "
               "them");
}

static char *
kubernetes_unable(const struct assay_executor *handle)
{
    const struct assay_kube_executor *executor = mine_const(handle);

    return executor->config != NULL
               ? NULL
               : assay_format("this service has no cluster to run trials on: %s", executor->fault);
}

static bool
kubernetes_fits(const struct assay_executor *handle, const struct assay_trial_spec *trial,
                const struct assay_promised *promised)
{
    (void)trial;
    (void)promised;
    return mine_const(handle)->config != NULL; /* the cluster's scheduler has the queue */
}

static assay_status
build(struct assay_kube_attempt *attempt, const struct assay_launch *launch,
      struct assay_error *err)
{
    struct assay_kube_executor *executor = attempt->executor;
    struct assay_kube_pod_options options = {.owner = executor->owner,
                                             .reach = assay__kube_reach(executor)};
    struct assay_kube_template_options of_template = {executor->owner, attempt->namespace_,
                                                      assay__kube_reach(executor)};
    assay_status rc;

    if (json_object_get(launch->spec->trial->kubernetes, "template") == NULL)
        return assay_kube_pod_build(launch, &options, &attempt->manifest, &attempt->secret,
                                    &attempt->reports, err);
    rc = assay_kube_template_build(launch, &of_template, &attempt->template, &attempt->secret,
                                   err);
    if (rc < 0)
        return rc;
    attempt->manifest = attempt->template->manifest;
    attempt->template->manifest = NULL;
    attempt->gpus = attempt->template->gpus;
    attempt->reports = assay_kube_runner_watches(launch->spec->trial);
    attempt->timeout_us = launch->spec->trial->timeout_us;
    return ASSAY_OK;
}

static struct assay_kube_attempt *
prepare(struct assay_kube_executor *executor, const struct assay_launch *launch)
{
    struct assay_kube_attempt *attempt = ASSAY_NEW(struct assay_kube_attempt);
    struct assay_error err = {0};
    const char *namespace_ =
        json_string_value(json_object_get(launch->spec->trial->kubernetes, "namespace"));
    assay_status rc;

    attempt->executor = executor;
    attempt->key = launch->key;
    attempt->name = assay_kube_pod_name(executor->owner, &launch->key);
    attempt->namespace_ = assay_strdup(namespace_ != NULL ? namespace_ : executor->namespace_);
    attempt->gpus = launch->spec->trial->gpus;
    attempt->grace_us = launch->spec->trial->grace_us;
    HASH_ADD_KEYPTR(hh, executor->attempts, attempt->name, strlen(attempt->name), attempt);
    if (executor->config == NULL) {
        assay__kube_end_soon(attempt, true, ASSAY_TRIAL_REASON_RUNNER_LOST,
                             assay_strdup(executor->fault));
        return attempt;
    }
    rc = build(attempt, launch, &err);
    if (rc == ASSAY_OK)
        rc = assay__kube_reading_prepare(attempt, launch->spec, &err);
    if (rc < 0)
        assay__kube_end_soon(attempt, false, ASSAY_TRIAL_REASON_START_FAILED,
                             assay_strdup(err.message));
    else if (attempt->template == NULL)
        attempt->space = assay__kube_space_pods(executor, attempt->namespace_);
    return attempt;
}

static void
kubernetes_start(struct assay_executor *handle, const struct assay_launch *launch)
{
    struct assay_kube_attempt *attempt = prepare(mine(handle), launch);

    if (attempt->ending) {
        assay__kube_tick_soon(mine(handle));
        return;
    }
    if (attempt->template == NULL || assay__kube_object_ready(attempt))
        assay__kube_send_create(attempt);
    else
        attempt->create_at_us = assay_monotonic_us(); /* once it is */
    assay__kube_tick_soon(mine(handle));
}

static void
kubernetes_adopt(struct assay_executor *handle, const struct assay_launch *launch,
                 const json_t *gpus)
{
    struct assay_kube_executor *executor = mine(handle);
    struct assay_kube_attempt *attempt = find(executor, &launch->key);

    (void)gpus;          /* the cluster's own to count */
    if (attempt != NULL) /* the engine loaded its study afresh */
        assay__kube_attempt_free(attempt);
    attempt = prepare(executor, launch);
    attempt->was_started = launch->started;
    assay__kube_tick_soon(executor);
    if (attempt->ending)
        return;
    attempt->adopted = true;
    attempt->asked = true;
    if (attempt->template != NULL)
        attempt->create_at_us = assay_monotonic_us();
    else if (attempt->space->synced)
        assay__kube_send_get(attempt);
}

static void
kubernetes_stop(struct assay_executor *handle, const struct assay_attempt_key *key,
                int64_t grace_us)
{
    struct assay_kube_attempt *attempt = find(mine(handle), key);

    if (attempt == NULL || attempt->done || attempt->ending || attempt->stopping)
        return;
    attempt->stopping = true;
    attempt->grace_us = grace_us;
    if (!attempt->asked) {
        assay__kube_end_soon(attempt, false, ASSAY_TRIAL_REASON_SIGNAL,
                             assay_strdup("asked to end before it was started"));
        return;
    }
    if (attempt->space != NULL && (attempt->call == NULL || attempt->seen))
        assay__kube_send_delete(attempt); /* else when it is known whether the object is there */
}

static void
kubernetes_release(struct assay_executor *handle, const struct assay_attempt_key *key)
{
    (void)handle;
    (void)key; /* the cluster counts */
}

static void
kubernetes_forget(struct assay_executor *handle, int64_t study_id)
{
    (void)handle;
    (void)study_id; /* the local executor removes the folder; pods are leftovers by now */
}

const struct assay_executor_type assay_executor_kubernetes = {
    .name = "kubernetes",
    .goes_on = true,
    .open = kubernetes_open,
    .check = kubernetes_check,
    .unable = kubernetes_unable,
    .fits = kubernetes_fits,
    .start = kubernetes_start,
    .adopt = kubernetes_adopt,
    .stop = kubernetes_stop,
    .release = kubernetes_release,
    .forget = kubernetes_forget,
    .close = kubernetes_close,
};

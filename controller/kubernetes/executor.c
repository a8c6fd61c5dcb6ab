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
#include "controller/kubernetes/internal.h"
#include "schemas/decode.h"

#define TICK_MS 100
#define CA_BYTES_MAX ((size_t)256 * 1024) /* it goes with every trial */
#define OWNER_FILE "kubernetes-owner"
#define OWNER_LENGTH_MAX 20
/* Of kube-namespace: each project's trials run in a namespace of its own. */
#define PROJECT "${project}"
#define NAMESPACE_LENGTH_MAX 63

static void
on_tick(uv_timer_t *timer)
{
    struct assay_kube_executor *executor = timer->data;
    int64_t now_us = assay_monotonic_us();
    struct assay_kube_attempt *attempt, *next;

    HASH_ITER(hh, executor->attempts, attempt, next)
    {
        assay__kube_look_at(attempt, now_us);
    }
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
    free(executor->watched_path);
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

void
assay__kube_close(struct assay_kube_executor *executor)
{
    struct assay_kube_attempt *attempt, *next;

    executor->closing = true;
    HASH_ITER(hh, executor->attempts, attempt, next)
    {
        assay__kube_attempt_free(attempt);
    }
    assay__kube_stop_reading(executor);
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

/* The namespace of a project's trials, unless their study names one. */
static char *
own_namespace(const struct assay_kube_executor *executor, const char *project)
{
    const char *at = strstr(executor->namespace_, PROJECT);
    char *name;

    if (at == NULL)
        return assay_strdup(executor->namespace_);
    name = assay_format("%.*s%s%s", (int)(at - executor->namespace_), executor->namespace_, project,
                        at + strlen(PROJECT));
    for (char *c = name; *c != '\0'; c++) { /* names of projects may have what labels may not */
        if (*c == '.' || *c == '_')
            *c = '-';
    }
    return name;
}

assay_status
assay__kube_open(const struct assay_executor_options *options,
                 const struct assay_kube_contexts *contexts, const char *context,
                 struct assay_kube_executor **ret_executor, struct assay_error *err)
{
    struct assay_kube_executor *executor = ASSAY_NEW(struct assay_kube_executor);
    assay_status rc;

    executor->contexts = contexts;
    assay_random_init(&executor->random, assay_random_seed(), 0, 0);
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
    if (context == NULL) {
        executor->watched_path = assay_format("%s/kubernetes-watched.json", options->data_dir);
    } else {
        assay_auto_free char *escaped = assay__kube_escape(context);

        executor->watched_path =
            assay_format("%s/kubernetes-watched-%s.json", options->data_dir, escaped);
    }
    executor->selector = assay_format("assay.dev%%2Fdaemon%%3D%s", executor->owner);
    uv_timer_init(executor->loop, &executor->tick);
    executor->tick.data = executor;
    if (open_cluster(executor, &options->kubernetes) == ASSAY_OK) {
        /* What a former daemon left there is looked for at once. */
        if (options->kubernetes.kubeconfig != NULL &&
            strstr(executor->namespace_, PROJECT) == NULL)
            assay__kube_space_pods(executor, executor->namespace_);
        assay__kube_spaces_recall(executor);
    }
    *ret_executor = executor;
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

/* A project that has a namespace of its own has no other; `wanted` NULL: that one. */
void
assay__kube_check_namespace(const struct assay_kube_executor *executor, const char *project,
                            const char *wanted, const char *pointer, struct assay_faults *faults)
{
    assay_auto_free char *own = NULL;

    if (executor->namespace_ == NULL || strstr(executor->namespace_, PROJECT) == NULL)
        return;
    own = own_namespace(executor, project);
    if (strlen(own) > NAMESPACE_LENGTH_MAX || !assay_kubernetes_name_valid(own))
        assay_fault_add(faults, pointer, NULL, NULL,
                        "the trials of this project would run in the namespace \"%s\", which can "
                        "not be the name of one", own);
    else if (wanted != NULL && strcmp(wanted, own) != 0) {
        json_auto_t *found = json_string(wanted);

        assay_fault_add(faults, pointer, found, own,
                        "the trials of this project run in the namespace \"%s\"", own);
    }
}

void
assay__kube_check(const struct assay_kube_executor *executor, const char *project,
                  const struct assay_trial_spec *trial, const char *pointer,
                  struct assay_faults *faults)
{
    const char *wanted = json_string_value(json_object_get(trial->kubernetes, "namespace"));
    assay_auto_free char *at = assay_format("%s/kubernetes/namespace", pointer);

    assay__kube_check_namespace(executor, project, wanted, at, faults);
    if (executor->config == NULL && trial->n_command == 0)
        return; /* valid; contexts.c says that it can not be run */
    check_runner(executor, trial, pointer, faults);
    if (trial->n_command == 0 && trial->metrics_from != ASSAY_METRICS_PUSH &&
        !assay_kube_template_has_pods(trial->kubernetes, assay_kube_runner_watches(trial)))
        refuse(pointer, "kubernetes/template", faults,
               "an object with spec.containers somewhere in it",
               "no pod is described in the template, so its metrics can not be read there; push "
               "them");
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
    attempt->gpus = launch->spec->trial->gpus;
    attempt->grace_us = launch->spec->trial->grace_us;
    HASH_ADD_KEYPTR(hh, executor->attempts, attempt->name, strlen(attempt->name), attempt);
    if (executor->config == NULL) {
        assay__kube_end_soon(attempt, true, ASSAY_TRIAL_REASON_RUNNER_LOST,
                             assay_strdup(executor->fault));
        return attempt;
    }
    attempt->namespace_ = namespace_ != NULL ? assay_strdup(namespace_)
                                             : own_namespace(executor, launch->project);
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

void
assay__kube_start(struct assay_kube_executor *executor, const struct assay_launch *launch)
{
    struct assay_kube_attempt *attempt = prepare(executor, launch);

    assay__kube_tick_soon(executor);
    if (attempt->ending)
        return;
    if (attempt->template == NULL || assay__kube_object_ready(attempt))
        assay__kube_send_create(attempt);
    else
        attempt->create_at_us = assay_monotonic_us(); /* once it is */
}

void
assay__kube_adopt(struct assay_kube_executor *executor, const struct assay_launch *launch)
{
    struct assay_kube_attempt *attempt = find(executor, &launch->key);

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

void
assay__kube_stop(struct assay_kube_executor *executor, const struct assay_attempt_key *key,
                 int64_t grace_us)
{
    struct assay_kube_attempt *attempt = find(executor, key);

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

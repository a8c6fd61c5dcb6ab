/* The Kubernetes executor: attempts as pods, or as objects made of a template, one each, with
 * names that are the same after a crash.
 *
 * What there is in the cluster is the truth: objects are followed by list and watch, and every
 * decision is made from one as it is, not from what happened to it.  A create that is
 * answered 409 has found its own object.  An object that carries this service's label and
 * belongs to no attempt is a leftover and is deleted.
 *
 * Metrics are read from the log, from its beginning again after a restart: their steps
 * come out the same, so nothing counts twice.  An object is kept until its end, which was
 * told, is stored and a while longer: a daemon that is killed before, or whose database is
 * away, finds it again. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/memory.h"
#include "common/random.h"
#include "controller/kubernetes/internal.h"
#include "schemas/decode.h"

static void
on_tick(uv_timer_t *timer)
{
    struct assay_kube_executor *executor = timer->data;
    int64_t now_us = assay_monotonic_us();
    struct assay_kube_attempt *attempt, *next;

    if (executor->recall_due)
        assay__kube_spaces_recall(executor);
    HASH_ITER(hh, executor->attempts, attempt, next)
    {
        assay__kube_look_at(attempt, now_us);
    }
    assay__kube_spaces_tidy(executor);
    if (executor->attempts == NULL)
        uv_timer_stop(&executor->tick);
}

static struct assay_kube_attempt *
find(const struct assay_kube_executor *executor, const struct assay_attempt_key *key)
{
    assay_auto_free char *name = assay_kube_pod_name(executor->owner, key);

    return assay__kube_find_named(executor, name);
}

/* --- opening and closing --- */

static void
free_executor(struct assay_kube_executor *executor)
{
    assay__kube_cluster_done(executor);
    assay_metric_line_done(&executor->line);
    free(executor->data_dir);
    free(executor->watched_path);
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
    LIST_REMOVE(executor, beside);
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

assay_status
assay__kube_open(const struct assay_executor_options *options, struct assay_kube_executors *all,
                 const char *context, struct assay_kube_executor **ret_executor,
                 struct assay_error *err)
{
    struct assay_kube_executor *executor = ASSAY_NEW(struct assay_kube_executor);
    assay_status rc;

    assay_random_init(&executor->random, assay_random_seed(), 0, 0);
    executor->events = options->events;
    executor->news = &assay__kube_news;
    executor->loop = options->loop;
    executor->on_tick = on_tick;
    executor->data_dir = assay_strdup(options->data_dir);
    executor->log_bytes = options->trial_log_bytes;
    rc = assay__kube_cluster_open(executor, &options->kubernetes, err);
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
    uv_timer_init(executor->loop, &executor->tick);
    executor->tick.data = executor;
    executor->all = all;
    LIST_INSERT_HEAD(all, executor, beside);
    /* What a former daemon left there is looked for at once. */
    if (executor->config != NULL)
        assay__kube_spaces_open(executor, options->kubernetes.kubeconfig != NULL);
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
                                             : assay__kube_own_namespace(executor, launch->project);
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
assay__kube_stored(struct assay_kube_executor *executor, const struct assay_attempt_key *key)
{
    struct assay_kube_attempt *attempt = find(executor, key);

    if (attempt != NULL)
        attempt->stored = true;
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

/* Texts of the cluster that study files refer to: asked for when one is submitted, whether or not
 * trials run.  What is asked for in vain is given up after a while, so that nobody who submits a
 * study waits for a cluster that is silent. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/kubernetes/config_map.h"
#include "controller/kubernetes/internal.h"

/* For all tries; the client says what was wrong with the last. */
#define READ_US (10 * ASSAY_SECOND_US)
/* The client's queue may be longer than that. */
#define GIVE_UP_MS 11000

struct assay_kube_text {
    struct assay_kube_executor *executor;
    char *project;
    struct assay_import_source source;
    struct assay_kube_call *call;
    uv_timer_t timer;
    assay_executor_text_fn done;
    void *arg;
    LIST_ENTRY(assay_kube_text) link;
};

static void
on_closed(uv_handle_t *handle)
{
    struct assay_kube_text *read = handle->data;

    assay_import_source_done(&read->source);
    free(read->project);
    free(read);
}

/* Takes the text out of what the server says, tells, and frees. */
static void
finish(struct assay_kube_text *read, const struct assay_kube_answer *answer)
{
    struct assay_executor_text result = {0};
    struct assay_faults faults = {0};
    char *text = NULL, *version = NULL;

    assay_kube_cancel(read->call);
    result.status =
        assay_kube_config_map_text(&read->source, answer, &text, &version, &faults);
    result.text = text;
    result.version = version;
    result.faults = &faults;
    if (result.status == ASSAY_OK)
        assay_log(ASSAY_LOG_INFO, "project=%s read %s of the ConfigMap %s/%s (%s)", read->project,
                  read->source.key, read->source.namespace_, read->source.name, version);
    LIST_REMOVE(read, link);
    read->done(read->arg, &result);
    free(text);
    free(version);
    assay_faults_done(&faults);
    uv_close((uv_handle_t *)&read->timer, on_closed);
}

static void
on_answer(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_text *read = arg;

    read->call = NULL;
    finish(read, answer);
}

static void
on_timer(uv_timer_t *timer)
{
    struct assay_kube_text *read = timer->data;
    assay_auto_free char *message =
        assay_format("%s: no answer in time", read->executor->config->server);

    finish(read, &(struct assay_kube_answer){.reason = "", .message = message});
}

void
assay__kube_read_text(struct assay_kube_executor *executor, const char *project,
                      const struct assay_import_source *source, assay_executor_text_fn done,
                      void *arg)
{
    struct assay_kube_text *read;
    struct assay_faults faults = {0};
    assay_auto_free char *path = NULL;

    if (executor->config == NULL)
        assay_fault_add(&faults, source->pointer, NULL, NULL,
                        "this service has no cluster to read the ConfigMap %s from: %s",
                        source->name, executor->fault);
    else
        assay__kube_check_namespace(executor, project, source->namespace_, source->namespace_at,
                                    &faults);
    if (faults.count > 0) {
        done(arg, &(struct assay_executor_text){.status = ASSAY_E_INVALID_STUDY,
                                                .faults = &faults});
        assay_faults_done(&faults);
        return;
    }
    path = assay_kube_config_map_path(source);
    read = ASSAY_NEW(struct assay_kube_text);
    read->executor = executor;
    read->project = assay_strdup(project);
    assay_import_source_copy(source, &read->source);
    read->done = done;
    read->arg = arg;
    LIST_INSERT_HEAD(&executor->texts, read, link);
    uv_timer_init(executor->loop, &read->timer);
    read->timer.data = read;
    uv_timer_start(&read->timer, on_timer, GIVE_UP_MS, 0);
    read->call = assay_kube_send(executor->client,
                                 &(struct assay_kube_request){
                                     .path = path,
                                     .timeout_us = READ_US,
                                     .bytes_max = ASSAY_KUBE_CONFIG_MAP_BYTES_MAX,
                                     .done = on_answer,
                                     .arg = read,
                                 });
}

void
assay__kube_stop_reading(struct assay_kube_executor *executor)
{
    struct assay_kube_text *read;

    while ((read = LIST_FIRST(&executor->texts)) != NULL)
        finish(read,
               &(struct assay_kube_answer){.reason = "", .message = "the daemon is stopping"});
}

/* One cluster: who this service is there, how it and its pods reach each other, where trials
 * may run, and the clock. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/memory.h"
#include "common/random.h"
#include "controller/kubernetes/internal.h"

#define TICK_MS 100
#define CA_BYTES_MAX ((size_t)256 * 1024) /* it goes with every trial */
#define OWNER_FILE "kubernetes-owner"
#define OWNER_LENGTH_MAX 20
/* Of kube-namespace: each project's trials run in a namespace of its own. */
#define PROJECT "${project}"
#define NAMESPACE_LENGTH_MAX 63

void
assay__kube_tick_soon(struct assay_kube_executor *executor)
{
    if (!executor->closing)
        uv_timer_start(&executor->tick, executor->on_tick, 0, TICK_MS);
}

struct assay_kube_reach
assay__kube_reach(const struct assay_kube_executor *executor)
{
    return (struct assay_kube_reach){.url = executor->url,
                                     .ca = executor->url_ca,
                                     .runner_image = executor->runner_image};
}

/* --- namespaces --- */

bool
assay__kube_is_by_project(const struct assay_kube_executor *executor)
{
    return executor->namespace_ != NULL && strstr(executor->namespace_, PROJECT) != NULL;
}

char *
assay__kube_own_namespace(const struct assay_kube_executor *executor, const char *project)
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

void
assay__kube_check_namespace(const struct assay_kube_executor *executor, const char *project,
                            const char *wanted, const char *pointer, struct assay_faults *faults)
{
    assay_auto_free char *own = NULL;

    if (!assay__kube_is_by_project(executor))
        return;
    own = assay__kube_own_namespace(executor, project);
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

/* --- opening --- */

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

/* A cluster that can not be reached by what is said of it is no reason not to serve. */
static void
reach_cluster(struct assay_kube_executor *executor, const struct assay_kubernetes_options *options)
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
        return;
    }
    executor->namespace_ = assay_strdup(options->namespace_ != NULL ? options->namespace_
                                                                    : executor->config->namespace_);
}

assay_status
assay__kube_cluster_open(struct assay_kube_executor *executor,
                         const struct assay_kubernetes_options *options, struct assay_error *err)
{
    assay_status rc = read_owner(executor, options->owner, err);

    if (rc == ASSAY_OK && options->url_ca != NULL)
        rc = assay_file_read(options->url_ca, CA_BYTES_MAX, &executor->url_ca, NULL, err);
    if (rc < 0)
        return rc;
    executor->url = assay_strdup(options->url);
    executor->runner_image = assay_strdup(options->runner_image);
    executor->selector = assay_format("assay.dev%%2Fdaemon%%3D%s", executor->owner);
    reach_cluster(executor, options);
    return ASSAY_OK;
}

void
assay__kube_cluster_done(struct assay_kube_executor *executor)
{
    assay_kube_client_free(executor->client);
    assay_kube_config_free(executor->config);
    free(executor->owner);
    free(executor->selector);
    free(executor->namespace_);
    free(executor->url);
    free(executor->url_ca);
    free(executor->runner_image);
    free(executor->fault);
}

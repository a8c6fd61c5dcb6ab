/* The section trial.kubernetes of a study: how a trial's pod is made.
 *
 * Members that are Kubernetes' own (tolerations, affinity, …) are kept as given; the
 * API server says what is wrong with them.  Pure; any thread. */
#ifndef ASSAY_SCHEMAS_KUBERNETES_H
#define ASSAY_SCHEMAS_KUBERNETES_H

#include <jansson.h>

#include "common/error.h"

/* One place in the container; exactly one of the sources is set. */
struct assay_kubernetes_volume {
    char *path;     /* in the container, absolute */
    char *claim;    /* name of a PersistentVolumeClaim */
    char *secret, *config_map;
    bool empty_dir; /* lives as long as the pod */
    int64_t size_bytes; /* of empty_dir; 0 = no limit */
    char *sub_path; /* NULL = all of it */
    bool read_only;
};

struct assay_kubernetes_spec {
    char *image;      /* NULL only with a template */
    char *context;    /* of the daemon's kubeconfig; NULL = the daemon's */
    char *namespace_; /* NULL = the daemon's */
    char *image_pull_policy, *priority_class, *runtime_class, *service_account, *scheduler;
    char *gpu_resource; /* default nvidia.com/gpu */
    char *gpu_model;    /* value of the node label nvidia.com/gpu.product; NULL = any */
    int64_t gpu_memory_bytes; /* at least; 0 = any */
    bool runner;              /* assay-runner round the command, whatever metrics need */
    char *checkpoint_claim;   /* where ASSAY_CHECKPOINT_DIR lives; NULL = in the pod */
    struct assay_kubernetes_volume *volumes;
    size_t n_volumes;
    /* As given, borrowed from the JSON read; NULL = absent. */
    const json_t *node_selector, *affinity, *tolerations, *security_context;
    const json_t *pod_security_context, *labels, *annotations;
    const json_t *secrets;            /* variable -> {"secret", "key"} */
    const json_t *image_pull_secrets; /* array of names */
    const json_t *template_;          /* a manifest of any kind */
    const json_t *primary_pod_labels;
    char *primary_container, *success, *failure;
    char *checkpoint_path; /* where the template's own containers look for checkpoints */
    bool retain;           /* a template's objects stay when the trial has ended */
};

/* `json` must outlive the result.  NULL with faults below `pointer`. */
struct assay_kubernetes_spec *assay_kubernetes_spec_decode(const json_t *json, const char *pointer,
                                                           struct assay_faults *faults);
struct assay_kubernetes_spec *assay_kubernetes_spec_free(struct assay_kubernetes_spec *spec);

/* What names of objects look like: letters, digits, '-' and '.', at most 253. */
bool assay_kubernetes_name_valid(const char *name);

#endif

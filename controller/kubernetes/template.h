/* Attempts as objects of any kind (trial.kubernetes.template): a launch as a manifest, an
 * object's status as what it means for the trial, and which of its pods is the one to read.
 * Pure: no network, no clock. */
#ifndef ASSAY_CONTROLLER_KUBERNETES_TEMPLATE_H
#define ASSAY_CONTROLLER_KUBERNETES_TEMPLATE_H

#include "controller/executor.h"
#include "controller/kubernetes/runner.h"
#include "schemas/gjson.h"

/* On objects that stay when their trial has ended (retain): how to see that they ended. */
#define ASSAY_KUBE_RETAIN_SUCCESS "assay.dev/success"
#define ASSAY_KUBE_RETAIN_FAILURE "assay.dev/failure"

struct assay_kube_template_options {
    const char *owner;      /* value of ASSAY_KUBE_LABEL_DAEMON */
    const char *namespace_; /* where it is made, unless the study says so */
    struct assay_kube_reach reach;
};

struct assay_kube_template {
    char *name, *api_version, *kind;
    json_t *manifest;
    struct assay_gjson *success, *failure;
    json_t *primary_labels; /* object of texts, perhaps empty */
    char *container;        /* in the primary pod; NULL = its first */
    const char *pod_label;  /* its pods carry the object's name here; NULL = they carry the
                               labels of ours (static) */
    int64_t gpus;           /* of all its pods */
    bool retain;
};

/* The manifest gets its name, the labels and annotations of ours and of the study's
 * (trial.kubernetes.labels), also in every pod template in it; its primary containers the
 * variables of ours that they do not set themselves, and the runner beside them where the
 * metrics are not printed; its pods the grace of the trial where they have none.  The name
 * is assay_kube_pod_name's.  `ret_secret`: to be made with the object, of the same name;
 * NULL: its pods do not reach the service.
 * ASSAY_E_INVALID_VALUE: a pointer into the study and what is wrong there. */
ASSAY_MUST_CHECK assay_status
assay_kube_template_build(const struct assay_launch *launch,
                          const struct assay_kube_template_options *options,
                          struct assay_kube_template **ret_template, json_t **ret_secret,
                          struct assay_error *err);
/* NULL allowed; returns NULL. */
struct assay_kube_template *assay_kube_template_free(struct assay_kube_template *template);

/* Whether pods can be told to be of an object of this section's template: it describes them,
 * or its kind is known to name them.  `described`: the first is asked for. */
bool assay_kube_template_has_pods(const json_t *section, bool described);

enum assay_kube_object_phase {
    ASSAY_KUBE_OBJECT_WAITS, /* suspended, as queues do */
    ASSAY_KUBE_OBJECT_RUNS,  /* or is about to */
    ASSAY_KUBE_OBJECT_SUCCEEDED,
    ASSAY_KUBE_OBJECT_FAILED,
};

/* What an object's status says. */
struct assay_kube_object_status {
    enum assay_kube_object_phase phase;
    bool deleting; /* it has a deletionTimestamp */
    bool timeout;  /* FAILED: it ran longer than its own deadline */
    char *sentence; /* why it waits or failed; NULL = nothing to say */
};
void assay_kube_template_read(const struct assay_kube_template *template, const json_t *object,
                              struct assay_kube_object_status *ret_status);
void assay_kube_object_status_done(struct assay_kube_object_status *status);

/* Whether the object belongs to nobody any more and stays all the same. */
bool assay_kube_object_is_kept(const json_t *object);

/* Whether the pod is one whose log is read, and the container in it; NULL: it is not.
 * Borrowed from the pod. */
const char *assay_kube_template_container(const struct assay_kube_template *template,
                                          const json_t *pod);

#endif

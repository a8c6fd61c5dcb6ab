/* How to reach a Kubernetes API server: from a kubeconfig or from inside a pod.
 *
 * kubeconfig as kubectl reads it: $KUBECONFIG (files separated by ':', the first that
 * says something holds), else ~/.kube/config; contexts; certificates and keys as files
 * or inline; bearer tokens, inline or in a file that is read again when it changes;
 * exec plug-ins (client.authentication.k8s.io/v1 and v1beta1).  In a pod: the service
 * account's rotating token, CA and namespace.
 *
 * Immutable once read.  Blocking file reads; any thread. */
#ifndef ASSAY_CONTROLLER_KUBE_API_CONFIG_H
#define ASSAY_CONTROLLER_KUBE_API_CONFIG_H

#include "common/error.h"

struct assay_kube_config {
    char *origin;      /* the file, or "the service account"; for messages */
    char *context;     /* its name; NULL in a pod */
    char *server;      /* https://… or http://…, without a final slash */
    char *namespace_;  /* of the context or the pod; "default" when there is none */
    char *ca;          /* PEM; NULL = the system's authorities */
    char *client_cert; /* PEM; NULL = none */
    char *client_key;  /* PEM */
    char *token;       /* NULL = none, or in the file */
    char *token_file;
    char *username, *password;
    char **exec;             /* argv, NULL-terminated; NULL = no plug-in */
    char **exec_environment; /* NAME=value, NULL-terminated */
    char *exec_version;      /* apiVersion the plug-in is asked in */
    char *tls_server_name;   /* expected in the certificate; NULL = the host */
    char *proxy_url;
    bool insecure; /* the certificate is not checked */
};

/* `path` NULL: $KUBECONFIG, ~/.kube/config, or else the pod's service account.
 * `context` NULL: the current one.  ASSAY_E_NOT_FOUND: nothing to read;
 * ASSAY_E_INVALID_VALUE: file, member and what is wrong with it. */
ASSAY_MUST_CHECK assay_status assay_kube_config_read(const char *path, const char *context,
                                                     struct assay_kube_config **ret_config,
                                                     struct assay_error *err);
struct assay_kube_config *assay_kube_config_free(struct assay_kube_config *config);

/* The token to send now: inline, or the file's content.  NULL with ASSAY_OK when there
 * is none.  Caller frees. */
ASSAY_MUST_CHECK assay_status assay_kube_config_token(const struct assay_kube_config *config,
                                                      char **ret_token, struct assay_error *err);

#endif

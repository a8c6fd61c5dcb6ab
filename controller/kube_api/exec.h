/* Credentials from a kubeconfig's exec plug-in: runs the program, reads the
 * ExecCredential it prints, and keeps it until it expires.
 *
 * On the libuv loop of its owner; one run at a time. */
#ifndef ASSAY_CONTROLLER_KUBE_API_EXEC_H
#define ASSAY_CONTROLLER_KUBE_API_EXEC_H

#include <uv.h>

#include "controller/kube_api/config.h"

struct assay_kube_exec;

struct assay_kube_credentials {
    char *token; /* NULL = none */
    char *client_cert, *client_key; /* PEM; NULL = none */
};

/* `ended` is called after each run: with NULL, or with a sentence why there are no
 * credentials. */
struct assay_kube_exec *assay_kube_exec_new(uv_loop_t *loop, const struct assay_kube_config *config,
                                            void (*ended)(void *arg, const char *fault),
                                            void *arg);
/* The credentials of the last good run; NULL = none yet. */
const struct assay_kube_credentials *assay_kube_exec_credentials(const struct assay_kube_exec *exec);
/* Whether they are there and good for a while. */
bool assay_kube_exec_ready(const struct assay_kube_exec *exec);
/* Starts the program unless it runs. */
void assay_kube_exec_run(struct assay_kube_exec *exec);
/* The server refused them. */
void assay_kube_exec_expire(struct assay_kube_exec *exec);
/* Ends a run; `ended` will not be called any more. */
void assay_kube_exec_close(struct assay_kube_exec *exec);
/* After the loop has run out.  NULL allowed; returns NULL. */
struct assay_kube_exec *assay_kube_exec_free(struct assay_kube_exec *exec);

#endif

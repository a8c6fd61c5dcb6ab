/* Follows the log of one container, stdout and stderr as they came, from its beginning:
 * every line once, over as many connections as it takes.
 *
 * The API resumes by whole seconds (sinceTime), so what was read is read again and told
 * apart by time stamp and text; lines that are alike to the nanosecond are counted.
 *
 * One thread (the client's loop), callbacks included. */
#ifndef ASSAY_CONTROLLER_KUBE_API_LOG_H
#define ASSAY_CONTROLLER_KUBE_API_LOG_H

#include "controller/kube_api/client.h"

struct assay_kube_log;

struct assay_kube_log_options {
    struct assay_kube_client *client;
    uv_loop_t *loop;
    const char *path; /* "/api/v1/namespaces/x/pods/y/log?container=z" (copied) */
    /* A line without its end; `time_us` is when the container printed it. */
    void (*line)(void *arg, int64_t time_us, const char *bytes, size_t length);
    /* What came together is told: a good moment to hand it on. */
    void (*pause)(void *arg);
    /* After assay_kube_log_finish: everything was told, or (a sentence) the rest can not
     * be had.  Once; never from inside assay_kube_log_finish. */
    void (*ended)(void *arg, const char *fault);
    void *arg;
};

/* Begins to follow. */
struct assay_kube_log *assay_kube_log_new(const struct assay_kube_log_options *options);
/* The container has ended: reads what is left. */
void assay_kube_log_finish(struct assay_kube_log *log);
/* No callback comes any more; frees itself on the loop.  NULL allowed; returns NULL.
 * Before the client is closed. */
struct assay_kube_log *assay_kube_log_end(struct assay_kube_log *log);

#endif

/* Requests to a Kubernetes API server, on the engine's libuv loop.
 *
 * Requests wait for the client's own rate limit, in order.  What a server or network in
 * trouble answers (429, 500, 502, 503, 504, no answer) is tried again with jittered
 * back-off, or after what Retry-After says, until the request's time is over.  So a
 * write may arrive twice: names are chosen such that the second is told apart (409).
 * A 401 has the credentials read again (token file) or renewed (exec plug-in), once.
 *
 * One thread, callbacks included. */
#ifndef ASSAY_CONTROLLER_KUBE_API_CLIENT_H
#define ASSAY_CONTROLLER_KUBE_API_CLIENT_H

#include <jansson.h>
#include <uv.h>

#include "controller/kube_api/config.h"

struct assay_kube_client;
struct assay_kube_call;

struct assay_kube_client_options {
    uv_loop_t *loop;
    const struct assay_kube_config *config; /* borrowed for the life of the client */
    double qps;                             /* requests a second; 0 = no limit */
    double burst;                           /* requests that may come at once */
};

/* How a request ended. */
struct assay_kube_answer {
    long code;           /* HTTP; 0 = no answer within the request's time */
    json_t *json;        /* body, borrowed; NULL when it is none or was a stream */
    const char *reason;  /* of a Status: "AlreadyExists", "Expired", …; "" = none */
    const char *message; /* of a Status, or what went wrong below HTTP; "" after success */
    int64_t retry_after_us; /* what the server asked to wait; 0 = nothing */
};

struct assay_kube_request {
    const char *method;       /* NULL = GET */
    const char *path;         /* "/api/v1/…?…", escaped */
    json_t *body;             /* taken; NULL = none */
    const char *content_type; /* of the body; NULL = application/json */
    int64_t timeout_us;       /* for all tries; of a stream: for its beginning */
    size_t bytes_max;         /* of the answer; 0 = 64 MiB */
    bool background;          /* waits for its turn behind all that are not */
    /* A stream (watch, log): its bytes as they come; never tried again by the client. */
    void (*data)(void *arg, const char *bytes, size_t length);
    /* Once, unless the call is cancelled.  Never from inside assay_kube_send. */
    void (*done)(void *arg, const struct assay_kube_answer *answer);
    void *arg;
};

ASSAY_MUST_CHECK assay_status assay_kube_client_new(const struct assay_kube_client_options *options,
                                                    struct assay_kube_client **ret_client,
                                                    struct assay_error *err);
/* Cancels every call and closes the handles; the loop must run until they are closed. */
void assay_kube_client_close(struct assay_kube_client *client);
/* After the loop has run out. */
struct assay_kube_client *assay_kube_client_free(struct assay_kube_client *client);

/* The handle is valid until `done` was called. */
struct assay_kube_call *assay_kube_send(struct assay_kube_client *client,
                                        const struct assay_kube_request *request);
/* `done` will not be called.  NULL allowed. */
void assay_kube_cancel(struct assay_kube_call *call);

/* "pods \"x\" is forbidden: … (403)": what a person should read of a failed answer.
 * Caller frees. */
char *assay_kube_answer_text(const struct assay_kube_answer *answer);

/* Requests sent so far (tries count), and those that wait or are under way. */
uint64_t assay_kube_client_sent(const struct assay_kube_client *client);
size_t assay_kube_client_open(const struct assay_kube_client *client);

#endif

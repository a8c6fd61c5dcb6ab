/* The server's inside, shared by the files that move requests along; handlers of
 * routes include api/request.h and what they need of this. */
#ifndef ASSAY_API_SERVER_INTERNAL_H
#define ASSAY_API_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "api/analysis_cache.h"
#include "api/dashboard.h"
#include "api/http_metrics.h"
#include "api/idempotency.h"
#include "api/server.h"
#include "api/study_names.h"

/* An open connection, for the sweep. */
struct assay__client {
    int fd;
    int64_t quiet_since_us; /* monotonic; 0 while a whole request is being answered */
    bool of_trials;         /* came by the port that is for trials on this machine */
    TAILQ_ENTRY(assay__client) link;
};

struct assay_server {
    struct MHD_Daemon *daemon;
    struct MHD_Daemon *trials; /* the port for trials on this machine; NULL without TLS */
    char *url, *trials_url;
    size_t body_bytes_max;
    int read_threads;
    int64_t idle_us;
    bool tls;
    struct assay_auth *auth;
    struct assay_study_names *names;
    struct assay_http_metrics *metrics;
    struct assay_keys *keys;
    struct assay_analysis_cache *analyses;
    struct assay_dashboard *dashboard;
    struct assay_read_pool *pool; /* made by assay_server_serve */
    _Atomic(const struct assay_service *) service; /* NULL = not ready */
    atomic_bool stopping;
    atomic_long suspended; /* connections in others' hands */
    atomic_long requests;  /* begun, their answers not sent whole */
    atomic_long streams;
    atomic_uint_fast64_t request_ids;
    int64_t started_us;
    pthread_mutex_t lock; /* guards cause, clients and what is held */
    char *cause;
    bool holding; /* requests that need the service wait for it instead of being refused */
    struct assay_request *held;
    TAILQ_HEAD(assay__clients, assay__client) clients;
    size_t n_clients;
};

/* The callback of MHD for everything about a request. */
enum MHD_Result assay__exchange(void *server, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **request);
/* MHD's first sign of a request: makes it. */
void *assay__exchange_begin(void *server, const char *target, struct MHD_Connection *connection);
void assay__exchange_end(void *server, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code);

/* As assay_request_continue; false when the queue is full, which an urgent one does not mind. */
ASSAY_MUST_CHECK bool
assay__request_submit(struct assay_request *request,
                      enum assay_step (*next)(struct assay_request *request), bool urgent);

/* Suspends the connection; from an HTTP thread, before the request is handed on. */
void assay__suspend(struct assay_server *server, struct MHD_Connection *connection);
/* Hands it back to its HTTP thread. */
void assay__resume(struct assay_server *server, struct MHD_Connection *connection);

/* Text of the answer's JSON and, for GET, its entity tag.  Idempotent. */
void assay__answer_print(struct assay_request *request);

#endif

/* The HTTP server: listens, reads requests within their limits, finds who asks,
 * runs the route's handler where it may block or not, and sends the answer.
 *
 * No handler blocks an HTTP thread: what waits for the database, the engine or a
 * change suspends its connection.  Until assay_server_serve the routes that need
 * the daemon answer 503 with the cause. */
#ifndef ASSAY_API_SERVER_H
#define ASSAY_API_SERVER_H

#include "api/request.h"

struct assay_server_options {
    const char *listen;          /* "127.0.0.1:8470", "[::1]:0"; port 0 picks one */
    const char *certificate_pem; /* text; both NULL = no TLS */
    const char *key_pem;
    const char *admin_token;
    const char *dashboard_dir; /* NULL = none */
    int threads;               /* that speak HTTP */
    int read_threads;          /* that may block, each with a database connection */
    unsigned connections_max;
    size_t body_bytes_max;
    unsigned idle_s; /* a connection without a whole request for so long is closed */
};

ASSAY_MUST_CHECK assay_status assay_server_start(const struct assay_server_options *options,
                                                 struct assay_server **ret_server,
                                                 struct assay_error *err);
/* "http://127.0.0.1:8470"; borrowed. */
const char *assay_server_url(const struct assay_server *server);
/* Where trials on this machine report; borrowed.  With TLS a port of its own on loopback,
 * without, so that they need no certificate to trust: it takes tokens of trials only. */
const char *assay_server_trials_url(const struct assay_server *server);
/* Why the daemon is not ready, a sentence; copied. */
void assay_server_set_cause(struct assay_server *server, const char *cause);
/* From now until assay_server_serve, which must come within moments, requests that
 * need the daemon wait for it. */
void assay_server_hold(struct assay_server *server);
/* Ready: `service` is borrowed until assay_server_drain has returned. */
void assay_server_serve(struct assay_server *server, const struct assay_service *service);
/* Closes connections that take too long to send a request; call every second or so. */
void assay_server_sweep(struct assay_server *server);
/* Accepts no more, ends waits and streams, returns when no request uses the
 * service any more. */
void assay_server_drain(struct assay_server *server);
/* After drain.  NULL allowed. */
struct assay_server *assay_server_stop(struct assay_server *server);

#endif

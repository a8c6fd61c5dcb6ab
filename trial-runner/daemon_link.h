/* The runner's way to its daemon: where it is now (DIR/url changes when the
 * daemon comes back on another port) and by which client it is reached.
 *
 * A daemon on this machine's loopback is spoken to by plain_http.h; any other
 * through far_http.h.  One thread; calls block until the answer or the timeout. */
#ifndef ASSAY_TRIAL_RUNNER_DAEMON_LINK_H
#define ASSAY_TRIAL_RUNNER_DAEMON_LINK_H

#include <jansson.h>

#include "common/buffer.h"
#include "common/error.h"

struct assay_daemon_link;

struct assay_daemon_address {
    const char *url_file; /* holds the address; NULL = none */
    const char *url;      /* where there is no such file; NULL = the environment's ASSAY_URL */
    const char *ca_file;  /* of the authorities to trust; NULL = ASSAY_CA_FILE, the machine's */
};

/* All copied. */
struct assay_daemon_link *assay_daemon_link_new(const struct assay_daemon_address *address,
                                                const char *token);
struct assay_daemon_link *assay_daemon_link_free(struct assay_daemon_link *link);

/* POSTs `json`, or GETs when it is NULL.  ASSAY_OK for any answer of the daemon,
 * with its HTTP status and the parsed body (NULL when it is no JSON; new
 * reference).  Otherwise nothing was heard, and the address is read again before
 * the next request. */
ASSAY_MUST_CHECK assay_status assay_daemon_link_send(struct assay_daemon_link *link,
                                                     const char *path,
                                                     const struct assay_buffer *json,
                                                     int64_t timeout_us, int *ret_code,
                                                     json_t **ret_answer, struct assay_error *err);

/* Gives the connection up; the next request makes another. */
void assay_daemon_link_rest(struct assay_daemon_link *link);

#endif

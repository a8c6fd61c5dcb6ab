/* The least HTTP/1.1 client that can talk to a daemon on this machine: requests
 * with a JSON body over one kept connection, no TLS, no proxy, no redirects.
 *
 * A runner is started for every trial and lives as long; without libcurl it
 * starts 3 ms sooner and is 7 MB smaller.  trial-runner/daemon.h decides when
 * libcurl is needed all the same.  One thread. */
#ifndef ASSAY_TRIAL_RUNNER_PLAIN_HTTP_H
#define ASSAY_TRIAL_RUNNER_PLAIN_HTTP_H

#include "common/buffer.h"
#include "common/error.h"

struct assay_plain_http;

#define ASSAY_PLAIN_HTTP_ANSWER_BYTES_MAX ((size_t)4 << 20)

/* Whether this client can be used: "http://" to 127.0.0.0/8, [::1] or localhost. */
bool assay_plain_http_can(const char *url);
/* Nothing is sent yet; `url` and `token` (NULL = none) are copied. */
struct assay_plain_http *assay_plain_http_open(const char *url, const char *token);
struct assay_plain_http *assay_plain_http_close(struct assay_plain_http *http);

/* Sends and waits for the whole answer; the request may arrive twice.  `json` may
 * be NULL (no body).  ASSAY_E_UNAVAILABLE or ASSAY_E_TIMEOUT when there was no
 * answer, ASSAY_E_IO when it was broken; any answer at all is ASSAY_OK with its
 * status code. */
ASSAY_MUST_CHECK assay_status assay_plain_http_send(struct assay_plain_http *http,
                                                    const char *method, const char *path,
                                                    const struct assay_buffer *json,
                                                    int64_t timeout_us, int *ret_code,
                                                    struct assay_buffer *body,
                                                    struct assay_error *err);

#endif

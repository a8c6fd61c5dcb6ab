/* The least HTTP/1.1 client that can talk to a daemon: requests with a JSON body over
 * one kept connection, no proxy, no redirects.
 *
 * A runner is started for every trial and lives as long; without libcurl it
 * starts 3 ms sooner and is 7 MB smaller.  By itself this client knows the way to
 * this machine's loopback; to other addresses and through TLS with what the caller
 * gives it (the bundle does, see bundle/reach.h).  One thread. */
#ifndef ASSAY_TRIAL_RUNNER_PLAIN_HTTP_H
#define ASSAY_TRIAL_RUNNER_PLAIN_HTTP_H

#include <sys/socket.h>

#include "common/buffer.h"
#include "common/error.h"

struct assay_plain_http;

#define ASSAY_PLAIN_HTTP_ANSWER_BYTES_MAX ((size_t)4 << 20)

/* Instead of a count of bytes. */
#define ASSAY_PLAIN_HTTP_WANTS_READ (-1)
#define ASSAY_PLAIN_HTTP_WANTS_WRITE (-2)
#define ASSAY_PLAIN_HTTP_FAILED (-3)
#define ASSAY_PLAIN_HTTP_ADDRESSES_MAX 16

struct assay_plain_http_address {
    struct sockaddr_storage bytes;
    socklen_t length;
};

/* The way to other machines. */
struct assay_plain_http_reach {
    /* Fills at most ASSAY_PLAIN_HTTP_ADDRESSES_MAX; at least one with ASSAY_OK.  The ports
     * in them are set by the caller. */
    assay_status (*resolve)(const char *host, struct assay_plain_http_address *addresses,
                            size_t *ret_count, struct assay_error *err);
    /* TLS over `fd` (connected, non-blocking, borrowed) with a server that proves to be
     * `host`.  NULL with an error when it can not even be tried. */
    void *(*tls_new)(void *arg, const char *host, int fd, struct assay_error *err);
    /* 1 when done, or one of the above. */
    int (*tls_handshake)(void *tls);
    /* Bytes, 0 at the end of the stream, or one of the above. */
    int (*tls_send)(void *tls, const void *bytes, size_t length);
    int (*tls_receive)(void *tls, void *bytes, size_t size);
    const char *(*tls_trouble)(void *tls); /* after FAILED: a sentence, borrowed */
    void (*tls_free)(void *tls);
    void *arg; /* of tls_new */
};

/* Whether this client can be used alone: "http://" to 127.0.0.0/8, [::1] or localhost. */
bool assay_plain_http_can(const char *url);
/* Nothing is sent yet; `url` and `token` (NULL = none) are copied.  `reach` (borrowed) may
 * be NULL for an address that assay_plain_http_can take.  NULL: no http or https address. */
struct assay_plain_http *assay_plain_http_open(const char *url, const char *token,
                                               const struct assay_plain_http_reach *reach);
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

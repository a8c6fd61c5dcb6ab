/* The C client of the HTTP contract: one connection, requests with JSON or raw
 * bodies, answers as parsed JSON, problem documents as errors, retries.
 *
 * Not for: the words of the contract (studies, trials); callers build paths and
 * bodies and read the answers.
 *
 * A handle keeps its connection open between requests and belongs to one thread
 * at a time; several handles may live in several threads.  Calls block until
 * the answer, the timeout or `cancelled`. */
#ifndef ASSAY_CLIENT_HTTP_H
#define ASSAY_CLIENT_HTTP_H

#include <jansson.h>

#include "common/buffer.h"
#include "common/error.h"

struct assay_http;

/* An answer longer than this is refused unless the request says otherwise; a
 * list page of 1,000 trials is about 1 MiB. */
#define ASSAY_HTTP_ANSWER_BYTES_MAX ((size_t)64 << 20)
#define ASSAY_HTTP_TIMEOUT_MS INT64_C(30000)
#define ASSAY_HTTP_CONNECT_MS INT64_C(10000)

/* Prepares a handle; nothing is sent yet.  `url` is the server's root
 * ("http://127.0.0.1:4040"; a path in front of /v1 is kept), `token` may be NULL,
 * `ca_file` (PEM) replaces the system's authorities when not NULL.  All copied.
 * Proxies of the environment are used except for loopback addresses.
 * ASSAY_E_INVALID_VALUE when the URL is not http or https. */
ASSAY_MUST_CHECK assay_status assay_http_open(const char *url, const char *token,
                                              const char *ca_file, struct assay_http **ret_http,
                                              struct assay_error *err);
struct assay_http *assay_http_close(struct assay_http *http); /* NULL allowed; returns NULL */
void assay_http_close_pointer(struct assay_http **http);
#define assay_auto_http ASSAY_CLEANUP(assay_http_close_pointer)

/* The root without a final slash; borrowed. */
const char *assay_http_url(const struct assay_http *http);

/* Called between pieces of work of a request and during the waits of a retry;
 * true ends the call with ASSAY_E_TIMEOUT and `cancelled` set in the answer.
 * A signal that interrupts the wait gets here at once, else it takes up to 1 s. */
void assay_http_set_cancelled(struct assay_http *http, bool (*cancelled)(void *arg), void *arg);

struct assay_http_request {
    const char *method; /* NULL = GET */
    const char *path;   /* "/v1/…", escaped (assay_http_escape) */
    const char *query;  /* "a=b&c=d" without "?", escaped; NULL = none */

    const json_t *json; /* body as JSON; borrowed */
    const void *body;   /* body as bytes, when json is NULL; borrowed */
    size_t length;
    const char *content_type; /* of `body` */

    const char *accept;          /* NULL = application/json */
    const char *if_none_match;   /* an ETag as it was received; NULL = none */
    const char *idempotency_key; /* NULL = none */
    const char *last_event_id;   /* NULL = none */

    int64_t timeout_ms; /* whole request; 0 = ASSAY_HTTP_TIMEOUT_MS, < 0 = none */
    size_t max_bytes;   /* of the answer; 0 = ASSAY_HTTP_ANSWER_BYTES_MAX */

    /* Takes the body of a 2xx answer in pieces as they arrive, for logs and
     * event streams; the answer then has no body.  False ends the request, which
     * counts as success. */
    bool (*on_data)(void *arg, const char *bytes, size_t length);
    void *arg;
};

/* Initialise with {0}; an answer may be used again, each request clears it. */
struct assay_http_answer {
    long status;              /* 0 when there was no answer */
    bool cancelled;           /* `cancelled` said so */
    char *etag;               /* NULL = none; with its quotes */
    char *location;           /* NULL = none */
    int64_t retry_after_ms;   /* -1 = none */
    json_t *json;             /* parsed body of a JSON answer, also of a problem; NULL = none */
    struct assay_buffer body; /* bytes of any other answer */
};
void assay_http_answer_done(struct assay_http_answer *answer);
#define assay_auto_http_answer ASSAY_CLEANUP(assay_http_answer_done)

/* Sends one request.  ASSAY_OK for 2xx and 304.  Otherwise the status of the
 * problem's code (or of the HTTP status when it is no problem document), its
 * sentence as message and its first pointer; `answer->json` keeps the whole
 * problem.  No answer at all: ASSAY_E_UNAVAILABLE (can not connect, connection
 * lost) or ASSAY_E_TIMEOUT, with answer->status 0.  An answer that is too long is
 * ASSAY_E_TOO_LARGE, one that is broken ASSAY_E_IO. */
ASSAY_MUST_CHECK assay_status assay_http_send(struct assay_http *http,
                                              const struct assay_http_request *request,
                                              struct assay_http_answer *answer,
                                              struct assay_error *err);

/* When to try again: connection errors, time-outs, 429, 502, 503 and 504.  The
 * wait is drawn from [0, min(cap, base * 2^n)] (full jitter), but is at least what
 * Retry-After asks for. */
struct assay_http_retry {
    int64_t deadline_ms; /* no try starts later than this after the first */
    int64_t base_ms;     /* 0 = 100 */
    int64_t cap_ms;      /* 0 = 10,000 */
};

/* assay_http_send with retries.  Only for requests that may arrive twice: reads,
 * verbs, tells, reports with steps, asks with a client, posts with a key. */
ASSAY_MUST_CHECK assay_status assay_http_send_retry(struct assay_http *http,
                                                    const struct assay_http_request *request,
                                                    const struct assay_http_retry *retry,
                                                    struct assay_http_answer *answer,
                                                    struct assay_error *err);

/* Whether an answer with this error is worth another try. */
bool assay_http_may_retry(const struct assay_http_answer *answer, assay_status status);
/* The wait before try `n` + 1 (n = 0, 1, …), in ms; `unit` is a draw from [0, 1). */
int64_t assay_http_retry_wait_ms(const struct assay_http_retry *retry, unsigned n, double unit,
                                 int64_t retry_after_ms);

/* Whether the URL's host is this machine itself. */
bool assay_http_is_loopback(const char *url);

/* Percent-encodes all but letters, digits and "-._~".  Caller frees. */
char *assay_http_escape(const char *text);
/* Adds "key=value" with "&" where needed; both are escaped. */
void assay_http_query_add(struct assay_buffer *query, const char *key, const char *value);

#endif

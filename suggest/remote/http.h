/* JSON over HTTP to the service of a remote algorithm; the only code of suggest/ that
 * knows libcurl, and linked into assay-suggest alone.
 *
 * No redirects, no proxies, nothing but http and https, answers up to
 * ASSAY_REMOTE_ANSWER_BYTES_MAX; the address a name stands for is checked when the
 * connection is made.  One thread at a time; blocks. */
#ifndef ASSAY_SUGGEST_REMOTE_HTTP_H
#define ASSAY_SUGGEST_REMOTE_HTTP_H

#include <jansson.h>

#include "common/error.h"

#define ASSAY_REMOTE_ANSWER_BYTES_MAX (16u << 20)

struct assay_remote_http;

/* `url` has passed assay_remote_check_url; `token` NULL = none. */
struct assay_remote_http *assay_remote_http_new(const char *url, const char *token);
struct assay_remote_http *assay_remote_http_free(struct assay_remote_http *http); /* NULL */

struct assay_remote_answer {
    long status;  /* 0: there was none */
    json_t *json; /* an object, or NULL; owned by the caller */
    bool again;   /* the same request may go well later: no connection, time-out, 429, 502 to 504 */
};

/* Posts the message.  ASSAY_OK: the service answered 2xx with a JSON object.  Else
 * ASSAY_E_UNAVAILABLE (`again`) or ASSAY_E_PLUGIN, with a sentence that begins with what
 * the service did; `ret_answer` is filled in either case. */
ASSAY_MUST_CHECK assay_status assay_remote_http_post(struct assay_remote_http *http,
                                                     const json_t *message, int64_t timeout_us,
                                                     struct assay_remote_answer *ret_answer,
                                                     struct assay_error *err);

#endif

/* HTTP to other machines than this, with TLS where the address says so.
 *
 * Two implementations, one in each program: far_http_curl.c is client/http.h and
 * libcurl, loaded at the first use (curl_loader.h); bundle/far_http.c is plain_http.h
 * with a resolver and TLS linked in, for assay-runner as one static file.
 *
 * One thread; calls block until the answer or the timeout. */
#ifndef ASSAY_TRIAL_RUNNER_FAR_HTTP_H
#define ASSAY_TRIAL_RUNNER_FAR_HTTP_H

#include "common/buffer.h"
#include "common/error.h"

struct assay_far_http;

/* Nothing is sent yet.  `token` NULL = none; `ca_file` (PEM) NULL = the authorities that
 * this machine trusts.  All copied. */
ASSAY_MUST_CHECK assay_status assay_far_http_open(const char *url, const char *token,
                                                  const char *ca_file,
                                                  struct assay_far_http **ret_http,
                                                  struct assay_error *err);
struct assay_far_http *assay_far_http_close(struct assay_far_http *http); /* NULL allowed */

/* As assay_plain_http_send: POSTs `json`, or GETs when it is NULL; any answer is ASSAY_OK
 * with its status code and body. */
ASSAY_MUST_CHECK assay_status assay_far_http_send(struct assay_far_http *http, const char *path,
                                                  const struct assay_buffer *json,
                                                  int64_t timeout_us, int *ret_code,
                                                  struct assay_buffer *body,
                                                  struct assay_error *err);

#endif

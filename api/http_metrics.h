/* Counts and latencies of requests by route and status class, for /metrics.
 * Any thread; lock-free. */
#ifndef ASSAY_API_HTTP_METRICS_H
#define ASSAY_API_HTTP_METRICS_H

#include "common/buffer.h"

struct assay_http_metrics;

struct assay_http_metrics *assay_http_metrics_new(void);
struct assay_http_metrics *assay_http_metrics_free(struct assay_http_metrics *metrics);

/* `route` is an index in assay_routes, or assay_n_routes for requests that found none. */
void assay_http_metrics_add(struct assay_http_metrics *metrics, size_t route, int status,
                            int64_t elapsed_us);
/* A remembered answer was given again. */
void assay_http_metrics_replayed(struct assay_http_metrics *metrics);
/* Appends them in Prometheus' text format. */
void assay_http_metrics_print(const struct assay_http_metrics *metrics,
                              struct assay_buffer *buffer);

#endif

#include "api/http_metrics.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "api/route.h"
#include "common/memory.h"

/* Upper bounds of the buckets; the last, without bound, is the total. */
static const int64_t bounds_us[] = {500,    1000,   2500,   5000,    10000,   25000,
                                    50000, 100000, 250000, 1000000, 5000000, 60000000};
static const char *const bound_names[] = {"0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025",
                                          "0.05",   "0.1",   "0.25",   "1",     "5",    "60"};

#define CLASSES 5 /* 1xx to 5xx */

struct row {
    atomic_uint_fast64_t by_class[CLASSES];
    atomic_uint_fast64_t buckets[ASSAY_COUNT(bounds_us)];
    atomic_uint_fast64_t count, sum_us;
};

struct assay_http_metrics {
    atomic_uint_fast64_t replayed;
    size_t n_rows; /* assay_n_routes and one */
    struct row rows[];
};

struct assay_http_metrics *
assay_http_metrics_new(void)
{
    size_t n_rows = assay_n_routes + 1;
    struct assay_http_metrics *metrics =
        assay_zalloc(1, sizeof(struct assay_http_metrics) + n_rows * sizeof(struct row));

    metrics->n_rows = n_rows;
    return metrics;
}

struct assay_http_metrics *
assay_http_metrics_free(struct assay_http_metrics *metrics)
{
    free(metrics);
    return NULL;
}

static void
count(atomic_uint_fast64_t *counter, uint64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

void
assay_http_metrics_add(struct assay_http_metrics *metrics, size_t route, int status,
                       int64_t elapsed_us)
{
    struct row *row = &metrics->rows[route];
    int class = status / 100 - 1;

    ASSAY_ASSERT(route < metrics->n_rows);
    if (class >= 0 && class < CLASSES)
        count(&row->by_class[class], 1);
    count(&row->count, 1);
    count(&row->sum_us, (uint64_t)ASSAY_MAX(elapsed_us, 0));
    for (size_t i = 0; i < ASSAY_COUNT(bounds_us); i++) {
        if (elapsed_us <= bounds_us[i]) {
            count(&row->buckets[i], 1);
            return;
        }
    }
}

void
assay_http_metrics_replayed(struct assay_http_metrics *metrics)
{
    count(&metrics->replayed, 1);
}

static uint64_t
read_counter(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void
print_row(const struct row *row, const char *labels, struct assay_buffer *buffer)
{
    uint64_t below = 0;

    for (size_t i = 0; i < ASSAY_COUNT(bounds_us); i++) {
        below += read_counter(&row->buckets[i]);
        assay_buffer_printf(buffer,
                            "assay_http_request_seconds_bucket{%s,le=\"%s\"} %" PRIu64 "\n", labels,
                            bound_names[i], below);
    }
    assay_buffer_printf(buffer,
                        "assay_http_request_seconds_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n"
                        "assay_http_request_seconds_sum{%s} %.6f\n"
                        "assay_http_request_seconds_count{%s} %" PRIu64 "\n",
                        labels, read_counter(&row->count), labels,
                        (double)read_counter(&row->sum_us) / 1e6, labels,
                        read_counter(&row->count));
}

void
assay_http_metrics_print(const struct assay_http_metrics *metrics, struct assay_buffer *buffer)
{
    assay_buffer_puts(buffer,
                      "# HELP assay_http_requests_total Requests answered, by route and status.\n"
                      "# TYPE assay_http_requests_total counter\n");
    for (size_t i = 0; i < metrics->n_rows; i++) {
        const char *method = i < assay_n_routes ? assay_routes[i].method : "";
        const char *path = i < assay_n_routes ? assay_routes[i].path : "";

        for (int class = 0; class < CLASSES; class++) {
            uint64_t n = read_counter(&metrics->rows[i].by_class[class]);

            if (n > 0)
                assay_buffer_printf(buffer,
                                    "assay_http_requests_total{method=\"%s\",route=\"%s\","
                                    "status=\"%dxx\"} %" PRIu64 "\n",
                                    method, path, class + 1, n);
        }
    }
    assay_buffer_puts(buffer, "# HELP assay_http_request_seconds Time from a request's first byte "
                              "to its answer, waits included.\n"
                              "# TYPE assay_http_request_seconds histogram\n");
    for (size_t i = 0; i < metrics->n_rows; i++) {
        assay_auto_free char *labels = NULL;

        if (read_counter(&metrics->rows[i].count) == 0)
            continue;
        labels = assay_format("method=\"%s\",route=\"%s\"",
                              i < assay_n_routes ? assay_routes[i].method : "",
                              i < assay_n_routes ? assay_routes[i].path : "");
        print_row(&metrics->rows[i], labels, buffer);
    }
    assay_buffer_printf(buffer,
                        "# HELP assay_http_replayed_total Remembered answers given again for an "
                        "Idempotency-Key.\n"
                        "# TYPE assay_http_replayed_total counter\n"
                        "assay_http_replayed_total %" PRIu64 "\n",
                        read_counter(&metrics->replayed));
}

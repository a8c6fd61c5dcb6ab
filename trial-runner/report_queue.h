/* Measurements on their way to the daemon, first in, first out: up to
 * ASSAY_REPORT_QUEUE_MEMORY in memory, the others in a file of the attempt.
 *
 * Not thread-safe; the reporter holds its lock.  File operations are appends and
 * small reads; a disk that fails loses the newest measurements and counts them. */
#ifndef ASSAY_TRIAL_RUNNER_REPORT_QUEUE_H
#define ASSAY_TRIAL_RUNNER_REPORT_QUEUE_H

#include "common/base.h"

#define ASSAY_REPORT_QUEUE_MEMORY 16384
#define ASSAY_REPORT_QUEUE_FILE_BYTES_MAX (INT64_C(256) << 20)

struct assay_report {
    int64_t step;
    int64_t time_us;
    double value;
    const char *name; /* no control characters; outlives the queue */
};

struct assay_report_queue;

/* Measurements in `path` (of a runner that died) come first.  The path is copied. */
struct assay_report_queue *assay_report_queue_new(const char *path);
struct assay_report_queue *assay_report_queue_free(struct assay_report_queue *queue);

void assay_report_queue_push(struct assay_report_queue *queue, const struct assay_report *report);
/* Copies the oldest, at most `max`; their number. */
size_t assay_report_queue_peek(struct assay_report_queue *queue, size_t max,
                               struct assay_report *ret_reports);
/* Removes the oldest `count` of those that were peeked at. */
void assay_report_queue_pop(struct assay_report_queue *queue, size_t count);
bool assay_report_queue_is_empty(const struct assay_report_queue *queue);
/* Whether the oldest `count`, which were peeked at, are all there are. */
bool assay_report_queue_is_only(const struct assay_report_queue *queue, size_t count);
/* Measurements that were lost for want of space. */
int64_t assay_report_queue_lost(const struct assay_report_queue *queue);

/* Writes all that is not popped to the file, for a runner that may come after us.
 * Removes the file when there is nothing. */
void assay_report_queue_save(struct assay_report_queue *queue);

#endif

/* The log of one attempt's output, bounded: what is kept is the head and the
 * newest part.
 *
 * Two files: output.log grows; when it has three eighths of the bound it is moved
 * to output.log.1 and a new one is begun.  From the second time on the old
 * output.log.1 gives up all but its head (a quarter of the bound), and a line in
 * its place says how many bytes were left out.  Read in the order output.log.1,
 * output.log they are the output in its order; a reader that follows output.log
 * and sees another file under that name reads the old one to its end and goes on
 * with the new one from its start.  One thread. */
#ifndef ASSAY_COMMON_OUTPUT_LOG_H
#define ASSAY_COMMON_OUTPUT_LOG_H

#include "common/buffer.h"
#include "common/error.h"

struct assay_output_log;

/* `limit_bytes` <= 0: no limit.  An output.log that is there is continued. */
ASSAY_MUST_CHECK assay_status assay_output_log_open(const char *directory, int64_t limit_bytes,
                                                    struct assay_output_log **ret_log,
                                                    struct assay_error *err);
struct assay_output_log *assay_output_log_close(struct assay_output_log *log);

/* Failures (a full disk) are swallowed: a trial does not fail for its log.  The
 * first one is told through assay_output_log_trouble (errno, 0 = none). */
void assay_output_log_write(struct assay_output_log *log, const char *bytes, size_t length);
int assay_output_log_trouble(const struct assay_output_log *log);

/* The last lines written (at most `n_lines`, and about 2 KiB), joined by " | ",
 * unprintable bytes replaced so that it is valid UTF-8.  "" when nothing was
 * written.  Caller frees. */
char *assay_output_log_last_lines(const struct assay_output_log *log, size_t n_lines);

#endif

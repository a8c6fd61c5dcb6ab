/* Cuts a stream of bytes into lines: at "\n" and at "\r", which progress bars use.
 * A line longer than ASSAY_METRIC_LINE_BYTES_MAX is handed over cut, its rest is
 * skipped.  One thread. */
#ifndef ASSAY_TRIAL_RUNNER_LINE_FEED_H
#define ASSAY_TRIAL_RUNNER_LINE_FEED_H

#include "common/buffer.h"

struct assay_line_feed {
    struct assay_buffer partial; /* of the line that has not ended */
    bool skipping;               /* its rest */
    void (*on_line)(void *arg, const char *bytes, size_t length);
    void *arg;
};

void assay_line_feed_add(struct assay_line_feed *feed, const char *bytes, size_t length);
/* The stream has ended: hands over what has no line end. */
void assay_line_feed_end(struct assay_line_feed *feed);
void assay_line_feed_done(struct assay_line_feed *feed);

#endif

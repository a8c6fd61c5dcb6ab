/* Where metrics come from besides the output: a growing file, a folder of
 * TensorBoard event files, a Prometheus endpoint.  Looked at every so often from
 * the runner's loop; nothing here blocks.  One thread. */
#ifndef ASSAY_TRIAL_RUNNER_METRIC_SOURCE_H
#define ASSAY_TRIAL_RUNNER_METRIC_SOURCE_H

#include "trial-runner/job.h"
#include "schemas/metric_line.h"

struct assay_metric_source;

/* What a source hands over. */
struct assay_metric_sink {
    /* A line to be read as output is. */
    void (*on_line)(void *arg, const char *bytes, size_t length);
    /* One value; `step` < 0 and `time_us` ASSAY_TIME_NONE where the source has none. */
    void (*on_value)(void *arg, const char *name, int64_t step, int64_t time_us, double value);
    void *arg;
};

#define ASSAY_METRIC_SOURCE_POLL_US INT64_C(200000)

/* NULL when the job's metrics come from the output or are pushed.  A relative path
 * is one below `directory`, the command's.  `known` is borrowed. */
struct assay_metric_source *assay_metric_source_new(const struct assay_job *job,
                                                    const char *directory,
                                                    const struct assay_metric_sink *sink,
                                                    const struct assay_metric_pattern *known);
struct assay_metric_source *assay_metric_source_free(struct assay_metric_source *source);
/* Reads what is new.  `last`: the command has ended, what is there is all. */
void assay_metric_source_poll(struct assay_metric_source *source, bool last);

#endif

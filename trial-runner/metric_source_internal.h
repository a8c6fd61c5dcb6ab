/* One kind of metric source: a table of functions, filled once in its file. */
#ifndef ASSAY_TRIAL_RUNNER_METRIC_SOURCE_INTERNAL_H
#define ASSAY_TRIAL_RUNNER_METRIC_SOURCE_INTERNAL_H

#include "schemas/metric_line.h"
#include "trial-runner/metric_source.h"

struct assay__metric_source_type {
    bool is_path; /* else a URL */
    /* `path` and what `sink` points to are copied; `known` (the names) is borrowed. */
    void *(*open)(const char *path, const struct assay_metric_sink *sink,
                  const struct assay_metric_pattern *known);
    void (*poll)(void *state, bool last);
    void (*close)(void *state);
};

extern const struct assay__metric_source_type assay__metric_source_file;
extern const struct assay__metric_source_type assay__metric_source_tensorboard;
extern const struct assay__metric_source_type assay__metric_source_prometheus;

#endif

#include "trial-runner/metric_source.h"

#include "common/memory.h"
#include "trial-runner/metric_source_internal.h"

struct assay_metric_source {
    const struct assay__metric_source_type *type;
    void *state;
};

struct assay_metric_source *
assay_metric_source_new(const struct assay_job *job, const char *directory,
                        const struct assay_metric_sink *sink,
                        const struct assay_metric_pattern *known)
{
    struct assay_metric_source *source;
    assay_auto_free char *path = NULL;
    const struct assay__metric_source_type *type;

    switch (job->metrics_from) {
    case ASSAY_JOB_METRICS_FILE:
        type = &assay__metric_source_file;
        break;
    case ASSAY_JOB_METRICS_TENSORBOARD:
        type = &assay__metric_source_tensorboard;
        break;
    case ASSAY_JOB_METRICS_PROMETHEUS:
        type = &assay__metric_source_prometheus;
        break;
    case ASSAY_JOB_METRICS_STDOUT:
    case ASSAY_JOB_METRICS_PUSH:
        return NULL;
    default:
        ASSAY_BUG("metrics source");
    }
    if (job->metrics_path == NULL)
        return NULL;
    path = type->is_path && job->metrics_path[0] != '/'
               ? assay_format("%s/%s", directory, job->metrics_path)
               : assay_strdup(job->metrics_path);
    source = ASSAY_NEW(struct assay_metric_source);
    source->type = type;
    source->state = type->open(path, sink, known);
    return source;
}

struct assay_metric_source *
assay_metric_source_free(struct assay_metric_source *source)
{
    if (source != NULL) {
        source->type->close(source->state);
        free(source);
    }
    return NULL;
}

void
assay_metric_source_poll(struct assay_metric_source *source, bool last)
{
    source->type->poll(source->state, last);
}

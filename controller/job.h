/* job.json: all that assay-runner needs to run one attempt. */
#ifndef ASSAY_CONTROLLER_JOB_H
#define ASSAY_CONTROLLER_JOB_H

#include "controller/executor.h"

struct assay_job_options {
    const char *data_dir;
    const char *marker; /* see assay__local_marker */
    const json_t *gpus; /* names; NULL = this machine's GPUs are not managed */
    int64_t log_bytes;
};

/* Builds the document, with ${…} replaced in command, environment and metrics
 * path.  ASSAY_E_INVALID_VALUE when something there can not be replaced. */
ASSAY_MUST_CHECK assay_status assay_job_build(const struct assay_launch *launch,
                                              const struct assay_job_options *options,
                                              json_t **ret_job, struct assay_error *err);

#endif

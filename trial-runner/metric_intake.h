/* From metrics as they are written to measurements on their way: lines and values are
 * checked, named and given steps here, and handed to the reporter in batches.  One
 * thread. */
#ifndef ASSAY_TRIAL_RUNNER_METRIC_INTAKE_H
#define ASSAY_TRIAL_RUNNER_METRIC_INTAKE_H

#include <jansson.h>

#include "schemas/metric_line.h"
#include "trial-runner/job.h"
#include "trial-runner/metric_source.h"
#include "trial-runner/reporter.h"

struct assay_metric_intake;

/* The job is borrowed.  ASSAY_E_INVALID_VALUE: its filter can not be used. */
ASSAY_MUST_CHECK assay_status assay_metric_intake_new(const struct assay_job *job,
                                                      struct assay_metric_intake **ret_intake,
                                                      struct assay_error *err);
struct assay_metric_intake *assay_metric_intake_free(struct assay_metric_intake *intake);
/* Before anything is taken in; borrowed. */
void assay_metric_intake_set_reporter(struct assay_metric_intake *intake,
                                      struct assay_reporter *reporter);

/* A line of output. */
void assay_metric_intake_line(struct assay_metric_intake *intake, const char *bytes,
                              size_t length);
/* The source that the job names beside the output, handing over to this intake; NULL when
 * it names none.  A relative path is one below `directory`. */
struct assay_metric_source *assay_metric_intake_source(struct assay_metric_intake *intake,
                                                       const char *directory);
/* Hands on what came in: to be called when a turn is over. */
void assay_metric_intake_flush(struct assay_metric_intake *intake);

/* Whether a value of every objective was seen, and the last values by name (new
 * reference). */
bool assay_metric_intake_has_objectives(const struct assay_metric_intake *intake);
json_t *assay_metric_intake_last(const struct assay_metric_intake *intake);

#endif

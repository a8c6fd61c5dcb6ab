/* What a trial's command finds in its environment (docs/reference/trials.md). */
#ifndef ASSAY_TRIAL_RUNNER_ENVIRONMENT_H
#define ASSAY_TRIAL_RUNNER_ENVIRONMENT_H

#include "common/buffer.h"
#include "trial-runner/job.h"

/* The environment for execve: ours, then the study's, then ASSAY_…; the mark comes
 * first so that a look at the first bytes of /proc/PID/environ finds it.  `url` is
 * the daemon's address now (NULL = not known).  Free with assay_environment_free. */
char **assay_environment_build(const struct assay_job *job, const char *url);
char **assay_environment_free(char **environment);
/* The value of a variable, NULL when it is not there. */
const char *assay_environment_get(char *const *environment, const char *name);

#endif

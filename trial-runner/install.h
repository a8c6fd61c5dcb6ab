/* assay-runner brings itself to a folder that the containers of a pod share. */
#ifndef ASSAY_TRIAL_RUNNER_INSTALL_H
#define ASSAY_TRIAL_RUNNER_INSTALL_H

#include "trial-runner/job.h"

/* Copies this program to DIRECTORY/assay-runner, for everybody to run, and fetches the code
 * of `job` (NULL = none) to where it looks for it, for everybody to change: the container
 * that uses it may run as another user.  `self` is how this program was called.  Returns
 * the exit code; its reason is the last line on stderr.  Changes the umask. */
int assay_install_run(const char *directory, const char *self, const struct assay_job *job);

#endif

/* Runs one attempt from its job.json to its delivered result; see README.md. */
#ifndef ASSAY_TRIAL_RUNNER_RUNNER_H
#define ASSAY_TRIAL_RUNNER_RUNNER_H

#include "trial-runner/job.h"

/* Runs the command, or, when there is a result already, only delivers it.  Signals
 * SIGTERM and SIGINT ask the command to end; SIGTERM may carry its grace time in
 * ms (sigqueue).  `start_fd` (-1 = none) gets the line "started PID\n" when the
 * command runs, and is closed.  Returns the exit code of the runner: 0 when there
 * is a result, in a pod the command's (128 and its signal, 127 when it could not be
 * started).  Call once, on the main thread, before any other was started. */
int assay_runner_run(const struct assay_job *job, int start_fd);

#endif

/* The runner beside a command that somebody else started: a sidecar that reads its metrics
 * from a folder both see, and reports them.  It starts nothing, ends nothing, and tells no
 * result; see README.md. */
#ifndef ASSAY_TRIAL_RUNNER_WATCH_H
#define ASSAY_TRIAL_RUNNER_WATCH_H

#include "trial-runner/job.h"

/* Until SIGTERM, which comes when the command has ended; then what is left is read and
 * told.  Returns the exit code: 0 when the daemon has everything.  Call once, on the main
 * thread, before any other was started. */
int assay_watch_run(const struct assay_job *job);

#endif

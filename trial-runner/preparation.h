/* What must be there before the command starts: the checkpoint of the trial that this
 * one goes on from, and the code of a study with `code: {git: …}`. */
#ifndef ASSAY_TRIAL_RUNNER_PREPARATION_H
#define ASSAY_TRIAL_RUNNER_PREPARATION_H

#include "trial-runner/command.h"
#include "trial-runner/job.h"

/* Copies the checkpoint folder `from` into the folder `to`, unless there is something in it
 * already; what goes wrong is told on standard error.  May be interrupted and done again. */
ASSAY_MUST_CHECK bool assay_preparation_bring(const char *from, const char *to);

/* Whether there is anything to prepare. */
bool assay_preparation_needed(const struct assay_job *job);

/* Starts a process that copies the checkpoint (unless the trial has one of its own by
 * now) and makes `directory` hold the code; it exits with 0, or with 1 and the reason
 * as its last output. */
ASSAY_MUST_CHECK assay_status assay_preparation_start(const struct assay_job *job,
                                                      const char *directory,
                                                      struct assay_command_process *ret_process,
                                                      struct assay_error *err);

#endif

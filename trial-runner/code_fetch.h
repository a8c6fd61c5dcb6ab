/* The code of a study with `code: {git: …}`: fetched with git(1) into a cache that
 * all trials share (data_dir/code/<hash of the URL>), checked out for the attempt. */
#ifndef ASSAY_TRIAL_RUNNER_CODE_FETCH_H
#define ASSAY_TRIAL_RUNNER_CODE_FETCH_H

#include "trial-runner/command.h"
#include "trial-runner/job.h"

/* Starts a process that makes `directory` hold the files of the job's revision
 * (without a .git); it exits with 0, or with 1 and git's words as its last output.
 * A commit that the cache has is not fetched again; a branch or tag is. */
ASSAY_MUST_CHECK assay_status assay_code_fetch_start(const struct assay_job *job,
                                                     const char *directory,
                                                     struct assay_command_process *ret_process,
                                                     struct assay_error *err);

#endif

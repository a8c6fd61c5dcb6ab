/* The code of a study with `code: {git: …}`: fetched with git(1) into a cache that
 * all trials share (data_dir/code/<hash of the URL>), checked out for the attempt. */
#ifndef ASSAY_TRIAL_RUNNER_CODE_FETCH_H
#define ASSAY_TRIAL_RUNNER_CODE_FETCH_H

#include "trial-runner/job.h"

/* Makes `directory` hold the files of the job's revision (without a .git), or returns
 * false with git's words as the last output.  A commit that the cache has is not
 * fetched again; a branch or tag is.  Blocks, and changes the environment: for a
 * process of its own. */
ASSAY_MUST_CHECK bool assay_code_fetch(const struct assay_job *job, const char *directory);

#endif

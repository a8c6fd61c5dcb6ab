/* The processes below the runner: it is their subreaper, so that whoever loses
 * its parent becomes the runner's child and none is out of reach while the
 * runner lives.  One thread. */
#ifndef ASSAY_TRIAL_RUNNER_PROCESS_TREE_H
#define ASSAY_TRIAL_RUNNER_PROCESS_TREE_H

#include <sys/types.h>

#include "common/base.h"

/* Makes this process the subreaper. */
void assay_process_tree_adopt(void);
/* Sends `signal` to the process groups and to each of our descendants; their number. */
size_t assay_process_tree_signal(int signal);
/* Memory of all descendants: resident bytes (shared pages counted for each), and
 * with `exact` the proportional share, which needs a slower look. */
int64_t assay_process_tree_memory_bytes(bool exact);
/* Kills every descendant and reaps it; false when some are left after `limit_us`
 * (they can not be killed, or fork faster than they are found). */
bool assay_process_tree_end(int64_t limit_us);

#endif

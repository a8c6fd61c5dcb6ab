/* The algorithm `remote`: one study's conversation with an HTTP service.
 *
 * The service is told with the next ask what the daemon has told since the last; it
 * may forget a study at any time and say so (unknown_study), and hears it again from
 * the start.  Nothing of the history is kept here.  docs/plugin-abi.md has the
 * messages.  One thread at a time; ask blocks. */
#ifndef ASSAY_SUGGEST_REMOTE_REMOTE_H
#define ASSAY_SUGGEST_REMOTE_REMOTE_H

#include "suggest/worker.h"

/* For assay_worker_new.  `deadline_us` is the daemon's for one ask: what can't be had
 * within it is answered as unavailable before it is over. */
const struct assay_worker_server *assay_remote_server(int64_t deadline_us);

#endif

/* How a worker's process ended, in words.  Any thread. */
#ifndef ASSAY_SUGGEST_WORKER_END_H
#define ASSAY_SUGGEST_WORKER_END_H

#include "common/base.h"

/* "its process …", "it needed …".  `signal` 0: it ended with the exit code.
 * `memory_bytes`: its limit, 0 = none is known.  Caller frees. */
char *assay_worker_describe_end(int64_t exit_code, int signal, int64_t memory_bytes);

#endif

/* The worker's side of the protocol: holds the open studies and answers messages.
 * No input or output here.  One thread. */
#ifndef ASSAY_SUGGEST_WORKER_H
#define ASSAY_SUGGEST_WORKER_H

#include <jansson.h>

#include "common/base.h"

struct assay_worker;

#define ASSAY_WORKER_ID_BYTES_MAX 255 /* of a study's ID that is a string */

/* Exit code of a worker that crashed for want of memory (--memory-limit). */
#define ASSAY_WORKER_EXIT_MEMORY 112

struct assay_worker *assay_worker_new(void);
struct assay_worker *assay_worker_free(struct assay_worker *worker); /* returns NULL */

/* Does what the message says.  The reply (a new reference), or NULL when there is
 * none to send. */
ASSAY_MUST_CHECK json_t *assay_worker_handle(struct assay_worker *worker, const json_t *message);

#endif

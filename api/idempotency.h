/* Idempotency-Key: requests of one key come one after the other, so that the
 * second finds the first one's remembered answer.  Any thread. */
#ifndef ASSAY_API_IDEMPOTENCY_H
#define ASSAY_API_IDEMPOTENCY_H

#include "common/base.h"

#define ASSAY_KEY_BYTES_MAX 255

struct assay_keys;
struct assay_request;

struct assay_keys *assay_keys_new(void);
struct assay_keys *assay_keys_free(struct assay_keys *keys);

/* True: the request may go on and calls assay_keys_leave in the end.  False: it
 * is parked until the one before it leaves. */
ASSAY_MUST_CHECK bool assay_keys_enter(struct assay_keys *keys, struct assay_request *request);
/* Returns the requests that waited, linked by key_next; each tries again. */
struct assay_request *assay_keys_leave(struct assay_keys *keys,
                                       const struct assay_request *request);

#endif

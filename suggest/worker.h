/* The worker's side of the protocol: holds the open studies and answers messages.
 * No input or output here.  One thread. */
#ifndef ASSAY_SUGGEST_WORKER_H
#define ASSAY_SUGGEST_WORKER_H

#include <jansson.h>

#include "common/error.h"

struct assay_worker;

/* Serves the studies of one algorithm in another way than by its table of
 * suggest/plugin.h.  As assay_proposer_new, _tell, _ask and _free;
 * ASSAY_E_NOT_FOUND of `tell` and `ask`: what was told is lost, the study must be
 * opened and told again. */
struct assay_worker_server {
    const char *algorithm; /* its name; NULL: of every algorithm */
    assay_status (*open)(const json_t *spec, const json_t *sources, void **ret_instance,
                         struct assay_error *err);
    assay_status (*tell)(void *instance, const json_t *trials, struct assay_error *err);
    assay_status (*ask)(void *instance, const int64_t *numbers, size_t n, json_t **ret_trials,
                        bool *ret_exhausted, struct assay_error *err);
    void (*free)(void *instance);
};

#define ASSAY_WORKER_ID_BYTES_MAX 255 /* of a study's ID that is a string */

/* Exit code of a worker that crashed for want of memory (--memory-limit). */
#define ASSAY_WORKER_EXIT_MEMORY 112

/* `other` (NULL allowed) serves the studies of its algorithm; borrowed. */
struct assay_worker *assay_worker_new(const struct assay_worker_server *other);
struct assay_worker *assay_worker_free(struct assay_worker *worker); /* returns NULL */

/* Does what the message says.  The reply (a new reference), or NULL when there is
 * none to send. */
ASSAY_MUST_CHECK json_t *assay_worker_handle(struct assay_worker *worker, const json_t *message);

#endif

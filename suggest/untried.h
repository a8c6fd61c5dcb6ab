/* Points that no trial has yet: what keeps any algorithm from proposing the same
 * point twice, and tells it when a finite space is used up.
 *
 * Pure: depends on the history, the batch and the stream alone. */
#ifndef ASSAY_SUGGEST_UNTRIED_H
#define ASSAY_SUGGEST_UNTRIED_H

#include "common/random.h"
#include "suggest/history.h"
#include "suggest/transform.h"

/* What has been proposed already in the same call of `suggest`. */
struct assay_batch {
    const struct assay_plugin_suggestion *const *given;
    size_t n_given;
};

/* Whether neither a trial nor the batch has the point. */
bool assay_untried(const struct assay_history *history, const struct assay_batch *batch,
                   const struct assay_plugin_space *space, const double *point);

/* Whether every point of a countable space has been tried or is in the batch. */
bool assay_exhausted(const struct assay_history *history, const struct assay_batch *batch,
                     const struct assay_plugin_space *space);

/* A random untried point: uniform in the unit cube, drawn again while it has been
 * tried; where that goes on for long, the next untried point after the last draw
 * in the order of an odometer (its continuous parameters drawn at random).  False
 * when there is none.  At most as many steps as there are trials. */
ASSAY_MUST_CHECK bool assay_untried_draw(const struct assay_transform *transform,
                                         const struct assay_history *history,
                                         const struct assay_batch *batch,
                                         struct assay_random *random, double *ret_point);

#endif

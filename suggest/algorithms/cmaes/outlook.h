/* Where a strategy's draws are taken from: its normal distribution, moved and narrowed
 * while many trials run.
 *
 * With several generations of trials pending the strategy is as old as these are many
 * when its draws end: each generation would start anew from where the best were that
 * long ago.  So draws are taken from nearer to the best of the latest trials, and with a
 * smaller sigma, which would else shrink too late.  What ended is folded into the
 * strategy as ever.
 *
 * Pure.  One thread at a time. */
#ifndef ASSAY_SUGGEST_CMAES_OUTLOOK_H
#define ASSAY_SUGGEST_CMAES_OUTLOOK_H

#include "suggest/algorithms/cmaes/strategy.h"

struct assay_cmaes_outlook {
    double *mean; /* owned, n_numbers items */
    double sigma;
};

void assay_cmaes_outlook_init(const struct assay_cmaes_layout *layout,
                              struct assay_cmaes_outlook *outlook);
void assay_cmaes_outlook_done(struct assay_cmaes_outlook *outlook);

/* That of the strategy itself. */
void assay_cmaes_outlook_set(const struct assay_cmaes_layout *layout,
                             const struct assay_cmaes_strategy *strategy,
                             struct assay_cmaes_outlook *outlook);

/* Moves it towards the weighted mean of the best of the latest n trials (sorted by
 * assay_cmaes_compare; as many as a generation and the pending have, or all there are), by
 * how many generations are pending. */
void assay_cmaes_outlook_advance(const struct assay_cmaes_layout *layout,
                                 const struct assay_cmaes_strategy *strategy,
                                 const struct assay_cmaes_trial *const *sorted, size_t n,
                                 size_t pending, struct assay_cmaes_outlook *outlook);

#endif

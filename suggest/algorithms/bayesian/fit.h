/* Fits hyperparameters and chooses the output warping.
 *
 * theta: maximum a posteriori by L-BFGS with analytic gradients, from the given start
 * or the prior's mode, whichever explains the data better.  Warping: hill climbing over the
 * strengths, theta fitted anew at each, by the leave-one-out log density in the
 * original units (densities of warped values times the slope of the warp).  A value
 * counts the less the more others are near it, or the points that search heaps up
 * round the best would ask for ever more strength there.
 *
 * Pure: the result depends on the arguments alone. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_FIT_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_FIT_H

#include "suggest/algorithms/bayesian/features.h"
#include "suggest/algorithms/bayesian/warp.h"

struct assay_gp_fit {
    double *theta; /* n_groups + 2 items, owned by the caller */
    size_t warp;   /* strength's index */
    double score;  /* mean leave-one-out log density of the values in their own units */
};

/* What is fitted to; all borrowed. */
struct assay_gp_sample {
    const struct assay_gp_features *features;
    enum assay_gp_values kind;
    size_t n;            /* >= 2 */
    const double *rows;  /* n x columns */
    const double *y;     /* finite */
    double middle;       /* see warp.h */
    const double *trend; /* n items: what the warped values are expected to be; NULL: 0 */
};

/* `start` may be NULL.  `explore`: tries other strengths than the start's.  False when
 * interrupted. */
ASSAY_MUST_CHECK bool assay_gp_fit_make(const struct assay_gp_sample *sample,
                                        const struct assay_gp_fit *start, bool explore,
                                        struct assay_gp_fit *ret_fit);

#endif

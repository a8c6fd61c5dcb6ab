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

struct assay_gp_fit {
    double *theta; /* n_groups + 2 items, owned by the caller */
    size_t warp;   /* strength's index */
};

/* `rows` (n x columns) and `y` (finite, n >= 2) are the data, `middle` as in warp.h.  `start` may
 * be NULL. `explore`: tries other strengths than the start's.  False when interrupted. */
ASSAY_MUST_CHECK bool assay_gp_fit_make(const struct assay_gp_features *features,
                                        const double *rows, const double *y, size_t n,
                                        double middle, const struct assay_gp_fit *start,
                                        bool explore, struct assay_gp_fit *ret_fit);

#endif

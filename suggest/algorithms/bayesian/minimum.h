/* The minimum of a smooth function in a box, by NLopt: LD_LBFGS, a limited-memory
 * quasi-Newton method (D. C. Liu, J. Nocedal, Mathematical Programming 45, 1989; L.
 * Luksan, J. Vlcek; S. G. Johnson, "The NLopt nonlinear-optimization package").
 *
 * Of what was evaluated the best point counts, whatever NLopt says in the end: a line
 * search that fails has found something all the same.
 *
 * For one search at a time; for many that advance in lockstep there is lbfgs.h.  Deterministic.
 * Any number of threads, each with its own context. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_MINIMUM_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_MINIMUM_H

#include "common/base.h"

/* The value at x, and its gradient; a value that is not finite counts as a high wall. */
typedef double assay_gp_function(void *context, const double *x, double *ret_gradient);

struct assay_gp_limits {
    double least_gain;    /* ends when a step gains less */
    unsigned evaluations; /* ends after as many, or a few more */
};

/* Starts at `x` in the box [low, high] (n >= 1 items each) and leaves the best point there;
 * `x` as it was when the function is not finite anywhere.  False when the host wants the
 * work given up. */
ASSAY_MUST_CHECK bool assay_gp_minimise(assay_gp_function *function, void *context, size_t n,
                                        const double *low, const double *high,
                                        const struct assay_gp_limits *limits, double *x);

#endif

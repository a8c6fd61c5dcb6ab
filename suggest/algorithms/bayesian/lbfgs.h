/* Minimisation of a smooth function in a box by projected L-BFGS, driven from
 * outside: the caller evaluates the trial point and tells the result, so that many
 * searches can advance in lockstep and be evaluated in one batch.
 *
 * Direction: the two-loop recursion on the variables that are free (not held at a
 * bound by the gradient); backtracking along the projected ray until the Armijo
 * condition holds.  R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, SIAM J. Sci. Comput. 16,
 * 1995 (the problem); D. P. Bertsekas, SIAM J. Control Optim. 20, 1982 (projection).
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_LBFGS_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_LBFGS_H

#include "common/base.h"

#define ASSAY_LBFGS_MEMORY 8

struct assay_lbfgs_limits {
    double tolerance;     /* ends when no component of the projected gradient is larger */
    double least_gain;    /* ends when two steps together gain less */
    double first_step;    /* length of the first step at most */
    unsigned evaluations; /* ends after as many */
};

struct assay_lbfgs {
    size_t n;
    struct assay_lbfgs_limits limits;
    const double *low, *high; /* borrowed */
    double *x, *trial;        /* best so far; what is to be evaluated next */
    double value;             /* at x; infinite before the first tell */
    bool done;
    /* inner state */
    double *gradient, *direction, *steps, *changes;
    double curvature[ASSAY_LBFGS_MEMORY];
    size_t stored, next;
    double length, last_gain;
    unsigned evaluated, backtracks;
};

/* Starts at `from`, moved into the box [low, high] (n items each; the bounds are
 * borrowed until done). */
void assay_lbfgs_init(struct assay_lbfgs *search, size_t n, const double *from, const double *low,
                      const double *high, const struct assay_lbfgs_limits *limits);
void assay_lbfgs_done(struct assay_lbfgs *search);

/* The function's value and gradient at `trial`.  A value that is not finite counts as
 * a step too long.  Sets the next trial, or done. */
void assay_lbfgs_tell(struct assay_lbfgs *search, double value, const double *gradient);

#endif

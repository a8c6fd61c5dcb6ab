/* What the user expects of the best point (parameter.prior_*), as a density on the space
 * to which the search leans: acquisition + (10 / t) ln pi(x) after t trials (C. Hvarfner
 * et al., "piBO: augmenting acquisition functions with user beliefs for Bayesian
 * optimization", ICLR 2022, arXiv 2204.11051).
 *
 * pi is a product over the parameters that are active: numbers normal, cut off at the
 * ends; choices as likely as their weights; 1 on average over the space, and 1 where
 * nothing is expected.
 *
 * Immutable once made; any number of threads. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_BELIEF_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_BELIEF_H

#include "suggest/algorithms/bayesian/features.h"

/* What is expected of one dimension. */
struct assay_gp_expectation {
    size_t dimension;
    ptrdiff_t set;        /* column that is not 0 where it is active; -1: always is */
    double place, spread; /* numbers, in [0, 1] */
    double *choice;       /* choices: the columns of the expected one */
    double low, high;     /* numbers: Phi at the ends */
    double constant;      /* ln density at `place`; choices: at the expected one, */
    double other;         /* and at the others */
};

struct assay_gp_belief {
    const struct assay_gp_features *features;
    size_t n; /* 0: nothing is expected */
    struct assay_gp_expectation *expectations;
};

/* `features` is borrowed. */
void assay_gp_belief_init(struct assay_gp_belief *belief, const struct assay_gp_features *features);
void assay_gp_belief_done(struct assay_gp_belief *belief);

/* By how much to multiply ln pi after `trials`. */
double assay_gp_belief_strength(uint64_t trials);

/* ln pi at a row times `roots`, for each column (as in posterior.h).  With `ret_gradient`
 * (n_columns items) adds `strength` times the derivatives by it. */
double assay_gp_belief_at(const struct assay_gp_belief *belief, const double *roots,
                          const double *scaled, double strength, double *ret_gradient);

/* Bends a place of the unit cube (n_dimensions items), uniform at random, to one drawn
 * from pi. */
void assay_gp_belief_draw(const struct assay_gp_belief *belief, double *unit);

/* Where pi is largest, in `point`, which is a point of the space already. */
void assay_gp_belief_mode(const struct assay_gp_belief *belief, double *point);

#endif

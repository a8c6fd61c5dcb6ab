/* What the user expects of the best point (parameter.prior_*), as a density on the space
 * to which the search leans: acquisition + (10 / t) ln pi(x) after t trials (C. Hvarfner
 * et al., "piBO: augmenting acquisition functions with user beliefs for Bayesian
 * optimization", ICLR 2022, arXiv 2204.11051).
 *
 * pi is that of expectation.h over the parameters that are active: 1 on average over the
 * space, and 1 where nothing is expected.
 *
 * Immutable once made; any number of threads. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_BELIEF_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_BELIEF_H

#include "suggest/algorithms/bayesian/features.h"
#include "suggest/algorithms/expectation.h"

/* What the rows of the model need beside the expectation itself, for each of them. */
struct assay_gp_expectation {
    ptrdiff_t set;  /* column that is not 0 where it is active; -1: always is */
    double *choice; /* choices: the columns of the expected one; else NULL */
};

struct assay_gp_belief {
    const struct assay_gp_features *features;
    struct assay_expectations expectations;
    struct assay_gp_expectation *rows; /* expectations.n items */
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

#endif

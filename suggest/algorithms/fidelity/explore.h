/* How a member of a population that takes over a better one's checkpoint changes its
 * parameters.
 *
 *   perturbed   each parameter: with a chance drawn anew, else numbers times 1.2 or 0.8
 *               (a tenth of the range up or down where the range is not above 0; at
 *               least one step), discrete ones to a neighbour, choices as they are
 *   bandit      the point at which a Gaussian process expects the fastest improvement
 *               from here on, optimistically: mean - 1.8 sd of the improvement per unit
 *               of budget, over parameters and time (J. Parker-Holder, V. Nguyen, S.
 *               Roberts, "Provably efficient online hyperparameter optimization with
 *               population-based bandits", NeurIPS 2020).  Time is one more dimension
 *               with a lengthscale of its own, and the members that run are pending.
 *               It learns from what each trial gained between the rungs of the study.
 *
 * A function of seed, history and number; one thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_EXPLORE_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_EXPLORE_H

#include "suggest/algorithms/base.h"

/* `parent` perturbed to a point of the space. */
void assay_explore_perturb(const struct assay_transform *transform, const double *parent,
                           double resample, struct assay_random *random, double *ret_point);

struct assay_bandit;

/* `rungs` and `base` are borrowed until free. */
struct assay_bandit *assay_bandit_new(const struct assay_algorithm_base *base, const double *rungs,
                                      size_t n_rungs);
struct assay_bandit *assay_bandit_free(struct assay_bandit *bandit); /* NULL allowed */

/* Trials have been told. */
void assay_bandit_forget(struct assay_bandit *bandit);

enum assay_bandit_answer {
    ASSAY_BANDIT_CHOSE,
    ASSAY_BANDIT_TOO_EARLY, /* too few gains have been measured */
    ASSAY_BANDIT_INTERRUPTED,
};

/* The point to go on with from `parent` at budget `from`. */
enum assay_bandit_answer assay_bandit_choose(struct assay_bandit *bandit, const double *parent,
                                             double from, struct assay_random *random,
                                             double *ret_point);

#endif

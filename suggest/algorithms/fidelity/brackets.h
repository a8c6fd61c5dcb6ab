/* Brackets of successive halving: a trial of bracket s starts at rung s, so that some
 * configurations are judged late and none is lost for being slow to start.
 *
 * Which bracket a trial is in follows from its number alone.  Pure; any number of
 * threads.
 *
 * L. Li et al., "Hyperband: a novel bandit-based approach to hyperparameter
 * optimization", JMLR 18, 2018. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_BRACKETS_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_BRACKETS_H

#include "common/base.h"

/* Share of the new trials that bracket s of `n_brackets` (at most one per rung) gets,
 * in proportion to Hyperband's n_s = (rungs / (rungs - s)) * max / rung_s: each bracket
 * then uses about the same budget.  `rungs`: budgets, increasing. */
void assay_bracket_shares(const double *rungs, size_t n_rungs, size_t n_brackets,
                          double *ret_shares);

/* The bracket of a trial number >= 1: the shares are kept in any stretch of numbers
 * to within a few trials. */
size_t assay_bracket_of(const double *shares, size_t n_brackets, int64_t number);

#endif

/* fANOVA: how much of the variance of the objective over the whole space each
 * parameter explains by itself, and pairs of them beyond that.
 *
 * F. Hutter, H. Hoos, K. Leyton-Brown, "An efficient approach for assessing
 * hyperparameter importance", ICML 2014: a random forest is fitted to the trials, and
 * the marginals of its trees, which are piecewise constant, are integrated exactly.
 * README.md says how parameters that are not always active are taken in.
 *
 * Bounded: at most ASSAY_FANOVA_TRIALS_MAX trials, fewer in spaces of more than 200
 * parameters.  Deterministic.  Pure; any thread. */
#ifndef ASSAY_SUGGEST_ANALYSIS_FANOVA_H
#define ASSAY_SUGGEST_ANALYSIS_FANOVA_H

#include "suggest/analysis/forest.h"
#include "suggest/analysis/importance.h"

#define ASSAY_FANOVA_TREES 64
#define ASSAY_FANOVA_TRIALS_MAX 1000
/* Interactions are looked for among so many parameters, those that the trees split at
 * to most effect. */
#define ASSAY_FANOVA_PARAMETERS_MAX 20

/* Of the first objective; trials without a finite value of it are left out.  Caller:
 * assay_importance_done. */
void assay_fanova(const struct assay_analysis_trials *trials, bool interactions,
                  struct assay_importance *ret_importance);

/* --- for tests: the decomposition of one tree */

struct assay_fanova_shape {
    size_t n_features;
    const struct assay_forest_feature *features;
    const double *const *weights; /* by feature: measure of each choice, sum 1; NULL = number */
};
/* Variance of the tree's values over the space, of the marginal of each feature
 * (n_features items), and, when `pairs` is not NULL, for each of the n_pairs pairs of
 * features the variance of their joint marginal beyond those of the two. */
void assay_fanova_tree(const struct assay_fanova_shape *shape, const struct assay_forest_tree *tree,
                       double *ret_total, double *ret_main, const uint32_t (*pairs)[2],
                       size_t n_pairs, double *ret_pairs);

#endif

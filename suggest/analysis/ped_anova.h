/* PED-ANOVA: how differently the best tenth of the trials is spread over each
 * parameter than all of them.
 *
 * S. Watanabe, A. Bansal, F. Hutter, "PED-ANOVA: efficiently quantifying
 * hyperparameter importance in arbitrary subspaces", IJCAI 2023 (arXiv 2304.10255),
 * with parameters that are not always active by "conditional PED-ANOVA" (arXiv
 * 2601.20800).  README.md has the formulas.
 *
 * Costs O(n d + 50^2 d) and allocates O(n + choices).  Pure; any thread. */
#ifndef ASSAY_SUGGEST_ANALYSIS_PED_ANOVA_H
#define ASSAY_SUGGEST_ANALYSIS_PED_ANOVA_H

#include "suggest/analysis/importance.h"

/* The best of the trials: this share of them, and no fewer than so many. */
#define ASSAY_PED_TOP_SHARE 0.1
#define ASSAY_PED_TOP_MIN 5

/* Caller: assay_importance_done. */
void assay_ped_anova(const struct assay_analysis_trials *trials,
                     struct assay_importance *ret_importance);

/* --- for tests */

#define ASSAY_PED_STEPS_MAX 50

/* Cells of the grid for an ordered parameter. */
size_t assay_ped_steps(const struct assay_plugin_parameter *parameter);
/* Density on the grid (sums to 1) of `counts` trials per cell, smoothed by Scott's
 * rule; `n_steps` items each, at least one trial. */
void assay_ped_numeric_density(const double *counts, size_t n_steps, double *ret_density);
/* The same for choices. */
void assay_ped_choice_density(const double *counts, size_t n_choices, double *ret_density);

#endif

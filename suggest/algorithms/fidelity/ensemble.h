/* New configurations from Gaussian processes, one per rung, weighted by how well each
 * ranks the trials of the highest rung that has enough of them.
 *
 *   Y. Li et al., "Hyper-Tune: towards efficient hyper-parameter tuning at scale", VLDB
 *   2022; Y. Li et al., "MFES-HB", AAAI 2021
 *
 *   weight of a model   the share of 50 joint draws in which its predictions of the
 *                       target rung's trials, with noise as it claims, have the fewest
 *                       pairs in the wrong order; the target's own model predicts each
 *                       trial from the others
 *   mean, variance      sum of w_r mean_r and of w_r^2 variance_r, on values that each
 *                       model has warped and standardised for itself
 *   worth               logEI against the lowest mean at a trial of the target rung;
 *                       trials that run narrow the deviations where they are
 *
 * Each model has at most 500 trials: of more, the best and a random rest of those up to
 * a number that grows by steps, and the newest after it, so that hyperparameters need
 * not be fitted anew with every trial.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_ENSEMBLE_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_ENSEMBLE_H

#include "suggest/algorithms/fidelity/sampler.h"
#include "suggest/sobol.h"

struct assay_ensemble;

/* All borrowed until free; `sequence` has as many dimensions as the transform. */
struct assay_ensemble *assay_ensemble_new(const struct assay_algorithm_base *base,
                                          const struct assay_ladder *ladder,
                                          const struct assay_sobol *sequence);
struct assay_ensemble *assay_ensemble_free(struct assay_ensemble *ensemble); /* NULL allowed */

/* Trials have been told: the models are made anew when next asked. */
void assay_ensemble_forget(struct assay_ensemble *ensemble);

/* `sign`: -1 where values are those of a maximised metric, turned; for `why`. */
enum assay_model_answer assay_ensemble_propose(struct assay_ensemble *ensemble, const char *name,
                                               double sign, const struct assay_batch *batch,
                                               struct assay_random *random,
                                               const struct assay_plugin_suggestion *suggestion);

#endif

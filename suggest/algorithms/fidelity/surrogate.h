/* New configurations from one Gaussian process over configurations and rungs.
 *
 *   values      the scores of scores.h, one row per trial and rung it was judged at
 *   kernel      Matern 5/2 over the parameters (bayesian/features.h) and one number more,
 *               which says the rung: neighbours are as far apart there as makes their
 *               correlation the link of the two, so rungs that say little of each other
 *               teach each other little
 *   worth       logEI at the target, the highest rung with results, against the lowest
 *               mean there of a trial; trials that run narrow the deviations where they are
 *
 * It learns from all trials of all rungs at once, as those do of K. Swersky, J. Snoek, R. P.
 * Adams, "Freeze-thaw Bayesian optimization", arXiv 1406.3896, and A. Klein et al.,
 * "Model-based asynchronous hyperparameter and neural architecture search" (MOBSTER), arXiv
 * 2003.10865: models of one rung each would know of a high one only what was
 * promoted there, and nothing of where the bad ones are.
 *
 * At most 300 rows: those of the highest rungs first, at each random ones.
 * Hyperparameters are fitted to at most 80 of them, spread over the rungs, from the
 * prior's mode each time: nothing of a model outlives the history it was made from.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_SURROGATE_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_SURROGATE_H

#include "suggest/algorithms/base.h"
#include "suggest/algorithms/fidelity/evidence.h"
#include "suggest/sobol.h"

struct assay_surrogate;

/* All borrowed until free; `sequence` has as many dimensions as the transform. */
struct assay_surrogate *assay_surrogate_new(const struct assay_algorithm_base *base,
                                            const struct assay_ladder *ladder,
                                            const struct assay_sobol *sequence);
struct assay_surrogate *assay_surrogate_free(struct assay_surrogate *surrogate); /* NULL allowed */

/* Trials have been told: the model is made anew when next asked. */
void assay_surrogate_forget(struct assay_surrogate *surrogate);

/* `sign`: -1 where values are those of a maximised metric, turned; for `why`. */
enum assay_model_answer assay_surrogate_propose(struct assay_surrogate *surrogate, const char *name,
                                                double sign, const struct assay_batch *batch,
                                                struct assay_random *random,
                                                const struct assay_plugin_suggestion *suggestion);

#endif

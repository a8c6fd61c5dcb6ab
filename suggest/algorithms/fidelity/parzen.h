/* New configurations from two densities (suggest/algorithms/tpe/density.h): of the good
 * and of the bad trials at the highest rung where enough have been judged.
 *
 * S. Falkner, A. Klein, F. Hutter, "BOHB: robust and efficient hyperparameter
 * optimization at scale", ICML 2018.  Kernels and weights are those of `tpe` here,
 * which cover conditional parameters; the paper imputes them.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_PARZEN_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_PARZEN_H

#include "suggest/algorithms/base.h"
#include "suggest/algorithms/fidelity/evidence.h"

struct assay_parzen;

/* Both are borrowed until free. */
struct assay_parzen *assay_parzen_new(const struct assay_algorithm_base *base,
                                      const struct assay_ladder *ladder);
struct assay_parzen *
assay_parzen_free(struct assay_parzen *parzen); /* NULL allowed; returns NULL */

/* Trials have been told: the densities are made anew when next asked for. */
void assay_parzen_forget(struct assay_parzen *parzen);

enum assay_model_answer assay_parzen_propose(struct assay_parzen *parzen, const char *name,
                                             const struct assay_batch *batch,
                                             struct assay_random *random,
                                             const struct assay_plugin_suggestion *suggestion);

#endif

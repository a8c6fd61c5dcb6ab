/* Where the new configurations of a multi-fidelity study come from: at random, from
 * densities of good and bad trials (parzen.h), or from a Gaussian process over all rungs
 * (surrogate.h).  A share is random whatever the model says.
 *
 * A function of seed, history and trial number; one thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_SAMPLER_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_SAMPLER_H

#include "suggest/algorithms/fidelity/ladder.h"
#include "suggest/algorithms/start.h"

enum assay_sampler_kind {
    ASSAY_SAMPLER_RANDOM,
    ASSAY_SAMPLER_TPE,
    ASSAY_SAMPLER_MODEL,
};

struct assay_parzen;
struct assay_surrogate;

struct assay_sampler {
    enum assay_sampler_kind kind;
    double random_share;
    const char *name; /* of the algorithm, for `why` */
    double sign;      /* -1: values are those of a maximised metric, turned */
    const struct assay_algorithm_base *base;
    const struct assay_ladder *ladder;
    struct assay_start start;
    struct assay_parzen *parzen;       /* of its kind, else NULL */
    struct assay_surrogate *surrogate; /* likewise */
};

/* `name`, `base` and `ladder` are borrowed until done. */
void assay_sampler_init(struct assay_sampler *sampler, enum assay_sampler_kind kind,
                        double random_share, const char *name, double sign,
                        const struct assay_algorithm_base *base, const struct assay_ladder *ladder);
void assay_sampler_done(struct assay_sampler *sampler);

/* Trials have been told. */
void assay_sampler_forget(struct assay_sampler *sampler);

/* Point and `why` of a new trial.  ASSAY_PLUGIN_OK, _EXHAUSTED or _INTERRUPTED. */
int32_t assay_sampler_propose(struct assay_sampler *sampler, int64_t number,
                              const struct assay_batch *batch,
                              const struct assay_plugin_suggestion *suggestion);

#endif

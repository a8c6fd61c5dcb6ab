/* What models of configurations (parzen.h, surrogate.h) learn from, and what they answer.
 *
 * Functions of the history; one thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_EVIDENCE_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_EVIDENCE_H

#include "suggest/algorithms/fidelity/ladder.h"

/* What a model has to say when asked for a new configuration. */
enum assay_model_answer {
    ASSAY_MODEL_PROPOSED,
    ASSAY_MODEL_NOT_READY,    /* too few results */
    ASSAY_MODEL_NONE_UNTRIED, /* everything looked at has been tried */
    ASSAY_MODEL_INTERRUPTED,
};

/* A trial judged at a rung, in any bracket. */
struct assay_judged {
    const struct assay_history_trial *trial; /* borrowed until the next tell */
    double value;                            /* +inf: bad */
};

/* Trials judged at a rung, best first, in memory that the caller frees; `ret_valued`: the
 * first so many have a value. */
struct assay_judged *assay_evidence_judged(const struct assay_ladder *ladder,
                                           const struct assay_history *history, size_t rung,
                                           size_t *ret_n, size_t *ret_valued);
/* Points of the trials that run, the newest `max` of them in the order of their
 * numbers; memory of the caller. */
const double **assay_evidence_pending(const struct assay_history *history, size_t max,
                                      size_t *ret_n);

#endif

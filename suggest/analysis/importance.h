/* How much each parameter mattered: what both methods (ped_anova.h, fanova.h) answer. */
#ifndef ASSAY_SUGGEST_ANALYSIS_IMPORTANCE_H
#define ASSAY_SUGGEST_ANALYSIS_IMPORTANCE_H

#include "suggest/analysis/trials.h"

#define ASSAY_IMPORTANCE_MESSAGE_BYTES 200

struct assay_interaction {
    size_t a, b;  /* parameters, a < b */
    double share; /* of the whole variance */
};

struct assay_importance {
    size_t n_parameters;
    double *shares; /* by parameter, >= 0, sum 1; all 0 when nothing can be said */
    struct assay_interaction *interactions; /* the largest first; NULL when not asked for */
    size_t n_interactions;
    double explained; /* share of the whole variance that the parameters explain each for
                       * itself; NaN when the method does not say */
    size_t n_trials;  /* the answer comes from */
    char message[ASSAY_IMPORTANCE_MESSAGE_BYTES]; /* a sentence: why there is nothing, or from
                                                   * what sample it comes; "" = none */
};

void assay_importance_done(struct assay_importance *importance);

/* For the methods: an empty answer; shares from raw figures >= 0 (false with a message
 * when all are 0). */
void assay_importance_init(struct assay_importance *importance,
                           const struct assay_analysis_trials *trials);
ASSAY_MUST_CHECK bool assay_importance_set(struct assay_importance *importance, const double *raw);

#endif

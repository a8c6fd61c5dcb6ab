/* What is said of a point that the model found: the `why` of a trial. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_EXPLAIN_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_EXPLAIN_H

#include "suggest/algorithms/bayesian/model.h"

struct assay_gp_explanation {
    struct assay_gp_model *model; /* its worth is that which found the point */
    const double *signs;          /* per objective: -1 where the metric was turned */
    const double *scaled;         /* the point's row */
    double worth;
    size_t n_pending;
};

/* Writes `why`: phase, prediction (in the metrics' own directions; a list of them with
 * several objectives), acquisition, probability that bounds hold, incumbent. */
void assay_gp_explain(const struct assay_gp_explanation *explanation,
                      const struct assay_plugin_suggestion *suggestion);

#endif

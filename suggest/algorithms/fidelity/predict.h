/* Means and standard deviations of a Gaussian process at many rows at once. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_PREDICT_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_PREDICT_H

#include "suggest/algorithms/bayesian/posterior.h"

/* At any number of rows of features (not scaled), of the posterior's one mean, on the
 * scale of its warped values.  `ret_sds` may be NULL: then a row costs O(n) and not O(n^2). */
void assay_predict(struct assay_gp_posterior *posterior, const double *rows, size_t k,
                   double *ret_means, double *ret_sds);

#endif

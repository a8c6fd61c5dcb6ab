/* How far the word of others on what is good can be trusted: what earlier studies predict,
 * what users expect.  Measured by the study's own trials.  Pure; any number of threads. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_TRUST_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_TRUST_H

#include "common/base.h"

/* From 1 (of any two trials it always named the better one) to 0 (as often as not, or less):
 * `said` and `found` have n items each, both smaller is better.  Before trials say otherwise
 * it is right in the share `believed` of the pairs, which counts as much as a few trials do.
 * O(n^2). */
double assay_gp_trust(const double *said, const double *found, size_t n, double believed);

#endif

/* How far the word of others on what is good can be trusted: users' expectations, earlier
 * studies.  Measured by the study's own trials.  Pure. */
#ifndef ASSAY_SUGGEST_TPE_TRUST_H
#define ASSAY_SUGGEST_TPE_TRUST_H

#include "suggest/algorithms/tpe/ranking.h"

/* Gives each of n points a number, the better the larger. */
typedef void assay_tpe_judge_fn(const void *judge, const float *const *points, size_t n,
                                float *ret_verdicts);

/* From 1 (of a good trial and a bad one the judge always likes the good one better) to 0
 * (as often as not, or less).  Before trials say otherwise it is right in the share
 * `believed` of the pairs, which counts as much as a few trials do.  O(1) verdicts. */
double assay_tpe_trust(assay_tpe_judge_fn *judge_fn, const void *judge,
                       const struct assay_tpe_side *good, const struct assay_tpe_side *bad,
                       size_t n_trials, double believed);

#endif

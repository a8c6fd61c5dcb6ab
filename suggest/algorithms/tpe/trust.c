#include "suggest/algorithms/tpe/trust.h"

#include <math.h>

/* What is believed at first counts as so many trials. */
#define BELIEF_TRIALS 6.0
/* Trials of either side that are compared. */
#define COMPARED_MAX 32

/* Verdicts on up to COMPARED_MAX of the points, evenly picked. */
static size_t
judge_some(assay_tpe_judge_fn *judge_fn, const void *judge, const struct assay_tpe_side *side,
           float *ret_verdicts)
{
    const float *points[COMPARED_MAX];
    size_t n = ASSAY_MIN(side->n, (size_t)COMPARED_MAX);

    for (size_t i = 0; i < n; i++)
        points[i] = side->points[i * side->n / n];
    judge_fn(judge, points, n, ret_verdicts);
    return n;
}

double
assay_tpe_trust(assay_tpe_judge_fn *judge_fn, const void *judge, const struct assay_tpe_side *good,
                const struct assay_tpe_side *bad, size_t n_trials, double believed)
{
    float of_good[COMPARED_MAX], of_bad[COMPARED_MAX];
    size_t n_good = judge_some(judge_fn, judge, good, of_good);
    size_t n_bad = judge_some(judge_fn, judge, bad, of_bad);
    double right = 0.0, n = (double)n_trials, share = believed;

    for (size_t i = 0; i < n_good; i++) {
        for (size_t k = 0; k < n_bad; k++)
            right += of_good[i] > of_bad[k] ? 1.0 : of_good[i] < of_bad[k] ? 0.0 : 0.5;
    }
    if (n_good > 0 && n_bad > 0)
        share = (right / (double)(n_good * n_bad) * n + believed * BELIEF_TRIALS) /
                (n + BELIEF_TRIALS);
    return fmax(2.0 * share - 1.0, 0.0);
}

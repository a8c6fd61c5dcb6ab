#include "suggest/algorithms/bayesian/trust.h"

#include <math.h>

/* What is believed at first counts as so many trials. */
#define BELIEF_TRIALS 6.0

double
assay_gp_trust(const double *said, const double *found, size_t n, double believed)
{
    double right = 0.0, pairs = 0.0, trials = (double)n, share = believed;

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (found[i] == found[k])
                continue;
            pairs += 1.0;
            if (said[i] == said[k])
                right += 0.5;
            else
                right += (said[i] < said[k]) == (found[i] < found[k]) ? 1.0 : 0.0;
        }
    }
    if (pairs > 0.0)
        share = (right / pairs * trials + believed * BELIEF_TRIALS) / (trials + BELIEF_TRIALS);
    return fmax(2.0 * share - 1.0, 0.0);
}

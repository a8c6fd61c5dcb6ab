#include "suggest/algorithms/fidelity/brackets.h"

#include <math.h>

/* The golden ratio's fraction: its multiples are spread over [0, 1) as evenly as can
 * be, however many there are. */
#define GOLDEN 0.61803398874989484820

void
assay_bracket_shares(const double *rungs, size_t n_rungs, size_t n_brackets, double *ret_shares)
{
    double sum = 0.0;

    ASSAY_ASSERT(n_brackets >= 1 && n_brackets <= n_rungs);
    for (size_t s = 0; s < n_brackets; s++) {
        ret_shares[s] = (double)n_rungs / (double)(n_rungs - s) * (rungs[n_rungs - 1] / rungs[s]);
        sum += ret_shares[s];
    }
    for (size_t s = 0; s < n_brackets; s++)
        ret_shares[s] /= sum;
}

size_t
assay_bracket_of(const double *shares, size_t n_brackets, int64_t number)
{
    double place = fmod((double)number * GOLDEN, 1.0);
    size_t s = 0;

    while (s + 1 < n_brackets && place >= shares[s])
        place -= shares[s++];
    return s;
}

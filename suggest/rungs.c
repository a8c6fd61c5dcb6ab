#include "suggest/rungs.h"

#include <math.h>
#include <stdbool.h>

size_t
assay_rungs(double min, double max, double eta, double ret_rungs[ASSAY_RUNGS_MAX])
{
    bool whole = floor(min) >= min && floor(max) >= max;
    double steps = floor(log(max / min / sqrt(eta)) / log(eta) + 1e-9);
    double first = fmax(0.0, steps - (ASSAY_RUNGS_MAX - 2)), last = 0.0;
    size_t n = 0;

    for (double k = first; k <= steps; k++) {
        double rung = min * pow(eta, k);

        rung = whole ? round(rung) : rung;
        if (rung > last && rung < max) /* with a small eta whole numbers repeat */
            ret_rungs[n++] = last = rung;
    }
    ret_rungs[n++] = max;
    return n;
}

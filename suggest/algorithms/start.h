/* How algorithms that learn begin: the middle of the space (or the defaults), then
 * scrambled Sobol' points (suggest/sobol.h), by trial number, so that workers that
 * ask at the same time need no counter.  One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_START_H
#define ASSAY_SUGGEST_ALGORITHMS_START_H

#include "suggest/algorithms/base.h"
#include "suggest/sobol.h"

struct assay_start {
    struct assay_sobol sequence;
    uint64_t scrambling;
    double *unit;
};

void assay_start_init(struct assay_start *start, const struct assay_algorithm_base *base);
void assay_start_done(struct assay_start *start);

/* The point of a trial number: 1 has the middle, n the point n - 2 of the sequence. */
void assay_start_point(struct assay_start *start, const struct assay_algorithm_base *base,
                       int64_t number, double *ret_point);

#endif

/* The learning curve of one live trial, in bounded memory: its measurements by
 * step, smaller values better.
 *
 * Exact while there are no more steps than the limit; then neighbouring steps are
 * merged in pairs, and a measurement that comes late or again within merged steps
 * counts as one more.  One thread at a time. */
#ifndef ASSAY_SUGGEST_RULES_CURVE_H
#define ASSAY_SUGGEST_RULES_CURVE_H

#include "common/base.h"

struct assay_segment {
    int64_t last;    /* its steps are those after the segment before, up to this one */
    double sum;      /* of the finite values */
    double best;     /* the smallest of them; +inf when there is none */
    uint32_t finite; /* number of finite values */
    uint32_t steps;  /* 1 until merged */
};

struct assay_curve {
    struct assay_segment *segments; /* by step */
    size_t count, capacity;
    double best;       /* over all segments */
    int64_t last_step; /* -1 = nothing measured */
};

void assay_curve_init(struct assay_curve *curve);
void assay_curve_done(struct assay_curve *curve);

/* Takes a measurement in; the last one of a step holds.  Values that are not finite
 * count as a step without a value.  O(1) for the newest step, O(limit) for a late
 * one; `limit` >= 2 segments are kept at most. */
void assay_curve_add(struct assay_curve *curve, int64_t step, double value, size_t limit);

#endif

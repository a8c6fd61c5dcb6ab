/* A curve in memory, and thinning it out for drawing.  Pure; for this room. */
#ifndef ASSAY_SQL_CURVE_H
#define ASSAY_SQL_CURVE_H

#include "common/base.h"

/* Points in increasing order of step.  Initialise with {0}. */
struct assay__curve {
    int64_t *steps;
    double *values;
    size_t n, capacity;
};

/* `step` is above those that are there; an equal one is dropped. */
void assay__curve_add(struct assay__curve *curve, int64_t step, double value);
void assay__curve_clear(struct assay__curve *curve); /* keeps the memory */
void assay__curve_done(struct assay__curve *curve);

/* Leaves at most `points` (>= 1): the curve is cut into equal buckets, of each
 * the first, the lowest, the highest and the last point stay.  NaN is neither
 * lowest nor highest. */
void assay__curve_thin(struct assay__curve *curve, size_t points);

#endif

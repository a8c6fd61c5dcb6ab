/* Reading one curve, thinned out, from its points or from their summary. */
#ifndef ASSAY_SQL_STORE_CURVE_H
#define ASSAY_SQL_STORE_CURVE_H

#include "sql/curve.h"
#include "sql/store_internal.h"

/* Points that one row of curve_segment sums up, and that it gives at most. */
#define ASSAY__SEGMENT_POINTS 128
#define ASSAY__SEGMENT_GIVES 4

/* Whether `segments` rows are enough to draw `points` from. */
bool assay__curve_from_segments(int64_t segments, size_t points);

/* Replaces what is in `curve` by at most `points` points. */
ASSAY_MUST_CHECK assay_status assay__curve_read(struct assay_store *store, int64_t study_id,
                                                int64_t trial, int64_t metric_id, size_t points,
                                                struct assay__curve *curve,
                                                struct assay_error *err);

#endif

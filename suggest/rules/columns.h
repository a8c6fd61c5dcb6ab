/* What completed trials had reached, by step: for each step at which any of them
 * measured, the sorted figures that all of them stood at.
 *
 * A trial's figure is carried on past its last step, so a column holds every trial
 * that had measured by then, and a new column starts as a copy of the one before.
 *
 * Memory has a bound: ASSAY_COLUMNS_MAX columns of ASSAY_COLUMN_VALUES_MAX values
 * (4 MiB).  With more different steps than that, columns stand only at multiples of
 * a stride that doubles; with more trials, a column keeps every second value, then
 * takes in every second trial, and so on.  Up to there everything is exact.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_RULES_COLUMNS_H
#define ASSAY_SUGGEST_RULES_COLUMNS_H

#include "common/base.h"

#define ASSAY_COLUMNS_MAX 512
#define ASSAY_COLUMN_VALUES_MAX 1024

struct assay_column {
    int64_t step;
    double *values; /* ascending */
    size_t count, capacity;
    uint64_t trials; /* that had measured by this step */
    uint64_t weight; /* trials per value kept; a power of two */
};

struct assay_columns {
    struct assay_column *items; /* by step */
    size_t count, capacity;
    int64_t stride; /* all steps are multiples of it */
};

void assay_columns_init(struct assay_columns *columns);
void assay_columns_done(struct assay_columns *columns);

/* Takes in a completed trial: figures[i] is what it stood at from steps[i] on, steps
 * ascending and >= 0, no figure NaN.  O(columns * log values + copies). */
void assay_columns_add(struct assay_columns *columns, const int64_t *steps, const double *figures,
                       size_t n);

/* The column of the latest step that is not after `step`; NULL when there is none.
 * O(log columns). */
const struct assay_column *assay_columns_find(const struct assay_columns *columns, int64_t step);

/* The median of a column's values, the mean of the middle two when they are even
 * in number.  O(1). */
double assay_column_median(const struct assay_column *column);

#endif

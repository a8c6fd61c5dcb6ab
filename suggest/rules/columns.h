/* What ended trials had reached, by step: for each step at which any of them
 * measured, the sorted figures that all of them stood at.
 *
 * A trial's figure is carried on past its last step, so a column holds every trial
 * that had measured by then, and a new column starts as a copy of the one before.
 *
 * Memory has a bound: ASSAY_COLUMNS_MAX columns of ASSAY_COLUMN_VALUES_MAX values
 * (6 MiB).  With more different steps than that, columns stand only at multiples of
 * a stride that doubles; with more trials, a column keeps those of every second
 * trial, then of every fourth, and so on, drawn by the trials' numbers.  Up to there
 * everything is exact; and whatever the order in which trials are added, the columns
 * are the same in the end.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_RULES_COLUMNS_H
#define ASSAY_SUGGEST_RULES_COLUMNS_H

#include "common/base.h"

#define ASSAY_COLUMNS_MAX 512
#define ASSAY_COLUMN_VALUES_MAX 1024

struct assay_column {
    int64_t step;
    double *values;  /* ascending */
    uint32_t *marks; /* of the trials they are of: what decides who is kept */
    size_t count, capacity;
    uint64_t trials; /* that had measured by this step */
    uint32_t weight; /* trials per value kept; a power of two */
};

struct assay_columns {
    struct assay_column *items; /* by step */
    size_t count, capacity;
    int64_t stride; /* all steps are multiples of it */
};

void assay_columns_init(struct assay_columns *columns);
void assay_columns_done(struct assay_columns *columns);

/* Takes in an ended trial, once: figures[i] is what it stood at from steps[i] on,
 * steps ascending and >= 0, no figure NaN.  O(columns * log values + copies). */
void assay_columns_add(struct assay_columns *columns, int64_t number, const int64_t *steps,
                       const double *figures, size_t n);

/* The column of the latest step that is not after `step`; NULL when there is none.
 * O(log columns). */
const struct assay_column *assay_columns_find(const struct assay_columns *columns, int64_t step);

/* The quantile of a column's values, `share` in [0, 1], interpolated between the two
 * nearest; the median is that of 0.5.  The column has values.  O(1). */
double assay_column_quantile(const struct assay_column *column, double share);

/* How many of its values are smaller than `value`, and how many are equal.
 * O(log values). */
void assay_column_rank(const struct assay_column *column, double value, size_t *ret_smaller,
                       size_t *ret_equal);

/* A column by itself: zeroed, with weight 1.  A trial's value in (the trial not in
 * yet), or out again. */
void assay_column_insert(struct assay_column *column, int64_t number, double value);
void assay_column_remove(struct assay_column *column, int64_t number, double value);
void assay_column_done(struct assay_column *column);

/* The bits of a trial's number, mixed (the finaliser of MurmurHash3): those with the lowest
 * marks, or any residue of them, are a fair draw of the trials. */
uint32_t assay_trial_mark(int64_t number);

#endif

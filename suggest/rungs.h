/* The budgets at which the trials of a multi-fidelity study are compared: min,
 * min * eta, min * eta^2, ... and max.  A rung nearer to max than the square root of
 * eta is left out: it would cost almost as much as the whole.  Whole numbers when
 * both ends are (epochs, steps). */
#ifndef ASSAY_SUGGEST_RUNGS_H
#define ASSAY_SUGGEST_RUNGS_H

#include <stddef.h>

#define ASSAY_RUNGS_MAX 64

/* 0 < min <= max, eta > 1, finite.  Writes the budgets in increasing order, the last
 * being max, and returns how many: 1 to ASSAY_RUNGS_MAX.  With more rungs than that
 * the lowest are left out. */
size_t assay_rungs(double min, double max, double eta, double ret_rungs[ASSAY_RUNGS_MAX]);

#endif

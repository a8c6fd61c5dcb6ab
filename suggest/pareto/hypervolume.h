/* The volume that rows of several objectives dominate, up to a reference point.
 *
 * Tables as in domination.h.  Rows that are not below the reference in every objective
 * add nothing.  Numbers whose products overflow make the volume infinite: scale first.
 * Pure; any number of threads. */
#ifndef ASSAY_SUGGEST_PARETO_HYPERVOLUME_H
#define ASSAY_SUGGEST_PARETO_HYPERVOLUME_H

#include <stddef.h>

/* A reference point for the rows: a tenth of the range behind the worst in each
 * objective (where all are equal a tenth of their size, or of 1), above it in any case.
 * n >= 1. */
void assay_pareto_reference(const double *values, size_t n, size_t m, double *ret_reference);

/* m <= 3 O(n log n) comparisons (N. Beume et al., "On the complexity of computing the
 * hypervolume indicator", 2009); beyond by exclusive volumes of limited sets, slice by
 * slice (L. While, L. Bradstreet, L. Barone, "A fast way of calculating exact
 * hypervolumes", 2012). */
double assay_pareto_hypervolume(const double *values, size_t n, size_t m, const double *reference);

/* What would be lost without each row.  n times the volume of a set limited to a row. */
void assay_pareto_contributions(const double *values, size_t n, size_t m, const double *reference,
                                double *ret_contributions);

#endif

/* The non-dominated points of a set.  Pure; any thread. */
#ifndef ASSAY_API_PARETO_H
#define ASSAY_API_PARETO_H

#include "common/base.h"

/* `costs` holds n rows of m finite numbers, smaller is better.  Marks the rows
 * that no other row is better than or equal to in everything and better in
 * something; of equal rows all are marked when one is.  O(n log n) for m <= 2,
 * else O(n times the front's length). */
void assay_pareto_front(const double *costs, size_t n, size_t m, bool *ret_chosen);

#endif

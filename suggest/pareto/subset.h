/* Which k of the rows dominate much together (hypervolume subset selection).
 *
 * Tables as in domination.h.  Pure; any number of threads. */
#ifndef ASSAY_SUGGEST_PARETO_SUBSET_H
#define ASSAY_SUGGEST_PARETO_SUBSET_H

#include <stddef.h>

/* Chooses k <= n rows, all different, for the volume up to the reference.
 *
 * m <= 2: the best subset, by dynamic programming over the sorted front (T. Kuhn et al.,
 * "Hypervolume subset selection in two dimensions: formulations and algorithms", 2016),
 * O(k * front + n log n); in the order of the first objective.  Beyond: greedy, at least
 * 1 - 1/e of the best, looking at a row again only when it may be the next; in the order
 * of gain.  Rows that add nothing to those fill up what is left, by index. */
void assay_pareto_subset(const double *values, size_t n, size_t m, const double *reference,
                         size_t k, size_t *ret_rows);

#endif

/* Which rows of several objectives are better than others.
 *
 * A table is n rows of m objectives, row after row; smaller is better; every number is
 * finite.  A row dominates another when it is nowhere worse and better once; equal rows
 * do not dominate each other.  Pure; any number of threads. */
#ifndef ASSAY_SUGGEST_PARETO_DOMINATION_H
#define ASSAY_SUGGEST_PARETO_DOMINATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool assay_pareto_dominates(const double *a, const double *b, size_t m);

/* The rows that no other dominates, in lexicographic order, and of equal rows the first
 * alone.  Returns how many; `ret_rows` has room for n.  O(n log n) for m <= 2, else
 * O(n * front * m). */
size_t assay_pareto_front_rows(const double *values, size_t n, size_t m, size_t *ret_rows);

/* A row that was not looked at because better ones were enough. */
#define ASSAY_PARETO_UNRANKED SIZE_MAX

/* Sorts into fronts: 0 for rows that none dominates, 1 for those that only rows of rank
 * 0 dominate, and so on; equal rows share a rank.  Returns the number of ranks given.
 *
 * `violations`, where not NULL, has for each row by how much it passes its bounds (0:
 * not at all; may be infinite).  Rows without violation come first; those with follow
 * by violation alone, equal ones in one rank (K. Deb et al., "A fast and elitist
 * multiobjective genetic algorithm: NSGA-II", 2002).
 *
 * The front in which the number of ranked rows reaches `enough` is the last; rows
 * behind it get ASSAY_PARETO_UNRANKED.  O(n log n) for m <= 2, else front by front,
 * each O(n * front * m). */
size_t assay_pareto_ranks(const double *values, const double *violations, size_t n, size_t m,
                          size_t enough, size_t *ret_ranks);

/* The same without violations for rows that stand in lexicographic order already: no
 * sorting. */
size_t assay_pareto_ranks_of_sorted(const double *values, size_t n, size_t m, size_t enough,
                                    size_t *ret_ranks);

/* Crowding distance of the rows named by `rows`, as if they were the table: the sum over
 * the objectives of the gap between a row's neighbours, as a share of the range; infinite
 * for the ends of each objective (Deb et al., as above).  Of rows that are equal in an
 * objective the earlier in `rows` stands first.  O(m n log n). */
void assay_pareto_crowding(const double *values, size_t m, const size_t *rows, size_t n,
                           double *ret_crowding);

#endif

/* The region that no row dominates, below a reference point, as boxes that do not
 * overlap: what expected hypervolume improvement is summed over.
 *
 * Two objectives: strips.  More: the local upper bounds of the rows, and the boxes of
 * what these leave (R. Lacour, K. Klamroth, C. Fonseca, "A box decomposition algorithm
 * to compute the hypervolume indicator", Computers & Operations Research 79, 2017).
 * For three objectives there are at most three times as many boxes as rows in the front,
 * made in the square of that; for four up to its square, in up to its fourth power.
 *
 * Tables as in domination.h.  Immutable once made; any number of threads. */
#ifndef ASSAY_SUGGEST_PARETO_BOXES_H
#define ASSAY_SUGGEST_PARETO_BOXES_H

#include <stddef.h>

struct assay_pareto_boxes {
    size_t n, m;
    double *lower; /* n rows of m; -inf where a box is open */
    double *upper; /* n rows of m; above lower, at most the reference */
};

/* Rows that do not dominate the reference strictly are left out; with none left there is
 * one box, all below the reference.  m >= 1. */
void assay_pareto_boxes_init(struct assay_pareto_boxes *boxes, const double *values, size_t n,
                             size_t m, const double *reference);
void assay_pareto_boxes_done(struct assay_pareto_boxes *boxes);

/* By how much the dominated volume would grow with one more row.  O(boxes * m). */
double assay_pareto_boxes_improvement(const struct assay_pareto_boxes *boxes, const double *row);

#endif

/* The expected improvement of hypervolume: several objectives, each a normal variable of
 * its own, all minimised.
 *
 * To four objectives: the region that the front does not dominate is cut into boxes
 * (suggest/pareto/boxes.h), and as the objectives are independent
 *
 *   E = sum over boxes of prod_j [psi_j(upper_j) - psi_j(lower_j)]
 *   psi_j(b) = E max(b - Y_j, 0) = sd_j h((b - mean_j) / sd_j),  h as in acquisition.h
 *
 * which is exact, with exact gradients (M. Emmerich, K. Yang, A. Deutz, H. Wang, C. M.
 * Fonseca, 2016; K. Yang et al., "Efficient computation of expected hypervolume
 * improvement using box decomposition algorithms", J. Global Optimization 75, 2019).
 * The logarithm is taken term by term where the sum would vanish (S. Ament et al., NeurIPS
 * 2023).  O(cuts + boxes) a point, cuts being the coordinates that differ.
 *
 * Beyond: hypervolume scalarisations (R. Zhang, D. Golovin, "Random hypervolume
 * scalarizations for provable multi-objective black box optimization", ICML 2020) of
 * mean - 1.8 sd in 128 directions.  With s(y) = min_j (reference_j - y_j) / w_j the
 * logarithm of the mean of s(y)^m - best^m, made smooth below 0.  The cost does not
 * depend on the front.
 *
 * Immutable once made; any number of threads. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_IMPROVEMENT_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_IMPROVEMENT_H

#include "common/base.h"

#define ASSAY_GP_BOXES_OBJECTIVES_MAX 4

struct assay_gp_front {
    size_t m; /* objectives, >= 2 */
    size_t n_cuts[ASSAY_GP_BOXES_OBJECTIVES_MAX];
    double *cuts[ASSAY_GP_BOXES_OBJECTIVES_MAX]; /* increasing; the last is the reference */
    size_t n_boxes;
    uint32_t *lower, *upper; /* per box and objective: 1 + index of the cut, 0 = open */
    size_t n_directions;
    double *reference, *directions, *bests; /* bests: best^m of each direction */
    double scale;                           /* mean of bests */
};

/* `values`: n rows of m finite numbers, none of which need be on the front. */
void assay_gp_front_init(struct assay_gp_front *front, const double *values, size_t n, size_t m,
                         const double *reference);
void assay_gp_front_done(struct assay_gp_front *front);

/* Items of scratch that assay_gp_front_worth needs. */
size_t assay_gp_front_scratch(const struct assay_gp_front *front);

/* The logarithm of the expected improvement at means[m] and sds[m] > 0; its derivatives
 * by each unless NULL (both or none). */
double assay_gp_front_worth(const struct assay_gp_front *front, const double *means,
                            const double *sds, double *scratch, double *ret_by_means,
                            double *ret_by_sds);

#endif

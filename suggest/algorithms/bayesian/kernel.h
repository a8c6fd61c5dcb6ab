/* The Matern 5/2 kernel on scaled rows, correlation only (1 at distance 0):
 *
 *   m(r2) = e^-a (1 + a + a^2 / 3),  a = sqrt(5 r2)
 *   m'(r2) = -(5/6) e^-a (1 + a)
 *
 * A derivative by r2, not by r, is finite at 0.  M. L. Stein, "Interpolation of
 * Spatial Data", 1999; C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes
 * for Machine Learning", 2006, section 4.2.
 *
 * Matrices are column-major.  Pure; any number of threads. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_KERNEL_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_KERNEL_H

#include "suggest/algorithms/bayesian/features.h"

/* To be called before any sum is made here: sums are made in one order, on one thread, so
 * that suggestions are the same each time, and GSL reports a matrix without a factor in place
 * of ending the process.  Any number of times. */
void assay_gp_prepare(void);

/* Rows times the square roots of the weights of their columns' groups, given as
 * logarithms. */
void assay_gp_scale(const struct assay_gp_features *features, const double *log_weights,
                    const double *rows, size_t n, double *ret_scaled);

/* Squared distances: ret_squares[i + j * ld] of row i of `a` and row j of `b`.  The
 * norms are scratch of n_a and n_b items. */
void assay_gp_squares(const double *a, size_t n_a, const double *b, size_t n_b, size_t n_columns,
                      double *norms_a, double *norms_b, double *ret_squares, size_t ld);

/* In place: squared distances to correlations; `ret_slopes`, if not NULL, takes the
 * derivatives by the squared distance. */
void assay_gp_matern(double *squares, size_t n, double *ret_slopes);

/* One correlation from the differences themselves. */
double assay_gp_correlation(const double *a, const double *b, size_t n_columns);

#endif

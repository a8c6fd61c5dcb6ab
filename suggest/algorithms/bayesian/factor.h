/* A Cholesky factor C = U'U that grows by a row at a time; by GSL on the CBLAS of OpenBLAS.
 *
 * U is upper triangular, column-major, so that the columns of a grown matrix are
 * appended behind the old ones and truncating is only counting.  A row appended
 * costs O(n^2), the whole O(n^3).  One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_FACTOR_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_FACTOR_H

#include "common/base.h"

struct assay_gp_factor {
    double *upper;
    size_t n, ld; /* rows; room for rows, the leading dimension */
};

/* Makes room for n rows; what was held is lost unless there was room. */
void assay_gp_factor_reserve(struct assay_gp_factor *factor, size_t n);
void assay_gp_factor_done(struct assay_gp_factor *factor);

/* Factors the upper triangle that stands in `upper`; what is below it is lost.  False when
 * it is not positive definite: all of `upper` is spoilt then. */
ASSAY_MUST_CHECK bool assay_gp_factor_make(struct assay_gp_factor *factor, size_t n);

/* Appends a row: `column` are its n covariances with those before and is
 * overwritten; `diagonal` its own variance.  A row that adds nothing within
 * rounding gets the smallest pivot `least` > 0. */
void assay_gp_factor_append(struct assay_gp_factor *factor, double *column, double diagonal,
                            double least);

/* In place, for k right-hand sides of n items: U'^-1 B and U^-1 B. */
void assay_gp_factor_forward(const struct assay_gp_factor *factor, double *b, size_t k);
void assay_gp_factor_back(const struct assay_gp_factor *factor, double *b, size_t k);

/* The inverse of C into `ret_inverse` (n x n).  False when it can not be had. */
ASSAY_MUST_CHECK bool assay_gp_factor_invert(const struct assay_gp_factor *factor,
                                             double *ret_inverse);

#endif

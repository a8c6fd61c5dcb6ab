/* Sobol' points with nested uniform (Owen) scrambling, in up to 1,000 dimensions.
 *
 * I. M. Sobol', "On the distribution of points in a cube and the approximate
 * evaluation of integrals", 1967; P. Bratley and B. L. Fox, ACM TOMS 659, 1988
 * (construction); S. Joe and F. Y. Kuo, SIAM J. Sci. Comput. 30, 2008 (choosing
 * initial numbers by two-dimensional projections); A. B. Owen, "Randomly permuted
 * (t,m,s)-nets and (t,s)-sequences", 1995, done by hashing the digits above as in
 * B. Burley, "Practical hash-based Owen scrambling", JCGT 9(4), 2020, but with one
 * full hash per digit, which makes the permutations of different digits independent.
 *
 * No table is stored: primitive polynomials over GF(2) are enumerated, and for each
 * dimension the initial direction numbers are those, among a number of candidates,
 * whose projections with the dimensions before have the smallest t-values for 4,
 * 16, 64, 256 and 1,024 points.  The first d dimensions do not depend on how many are made.
 *
 * Immutable once made; any number of threads. */
#ifndef ASSAY_SUGGEST_SOBOL_H
#define ASSAY_SUGGEST_SOBOL_H

#include "common/base.h"

#define ASSAY_SOBOL_DIMENSIONS_MAX 1000
#define ASSAY_SOBOL_BITS 32

struct assay_sobol {
    size_t n_dimensions;
    uint32_t (*directions)[ASSAY_SOBOL_BITS];
};

/* Takes about 1 ms for 20 dimensions and 100 ms for 1,000. */
void assay_sobol_init(struct assay_sobol *sobol, size_t n_dimensions);
void assay_sobol_done(struct assay_sobol *sobol);

/* Coordinate of point `index` without scrambling: a binary fraction, times 2^32. */
uint32_t assay_sobol_digits(const struct assay_sobol *sobol, size_t dimension, uint32_t index);

/* The coordinate scrambled by `seed`, in [0, 1), filled up with random digits past
 * the 32nd. */
double assay_sobol_unit(const struct assay_sobol *sobol, uint64_t seed, size_t dimension,
                        uint32_t index);

/* The t-value of the first 2^m points (m <= 10) projected on two dimensions: the
 * points are evenly spread over all boxes of 2^(t-m) with binary edges; 0 is best. */
unsigned assay_sobol_t_value(const struct assay_sobol *sobol, size_t a, size_t b, unsigned m);

#endif

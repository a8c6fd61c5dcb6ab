/* Points of a space as rows of numbers for the Gaussian process, in which squared
 * distances mean what the kernel needs.
 *
 *   double, int, discrete  one column: the place in [0, 1] of the value after
 *                          rounding to its step
 *   bool, two choices      one column of 0 or h
 *   more choices           one column each, 0 or h / sqrt(2): any two different
 *                          choices are at distance h (Hamming)
 *   very many choices      64 columns (fewer where there are many parameters) of
 *                          +-h / sqrt(128) by a hash of the choice: at distance h on
 *                          average
 *   conditions             for each distinct set of conditions one more column, h
 *                          where it holds; the parameters below it stand in the
 *                          middle where it does not
 *
 * h^2 = 1/3, so that under the same prior a choice is no farther off than a number:
 * two random places in [0, 1] are at a squared distance of 1/6, two random choices of
 * two at one of h^2 / 2.
 *
 * Columns are gathered in groups that share a weight (inverse squared lengthscale):
 * one for each parameter and one for each set of conditions.  The kernel of two
 * points is thus a product over blocks: a block inactive in both adds no distance,
 * active in both its own, active in one a constant that is learned plus the way to
 * the middle.  Distances are Euclidean, so the kernel is positive definite on any
 * mixture of active and inactive blocks.
 *
 * Immutable once made; any number of threads. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_FEATURES_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_FEATURES_H

#include "suggest/transform.h"

#define ASSAY_GP_HAMMING 0.57735026918962576451 /* h */

enum assay_gp_kind {
    ASSAY_GP_CONTINUOUS,
    ASSAY_GP_STEPPED, /* numbers with a finite number of values */
    ASSAY_GP_CHOICE,
};

struct assay_gp_dimension {
    enum assay_gp_kind kind;
    size_t parameter;
    size_t first, count; /* columns */
    bool hashed;         /* a choice of very many */
    double values;       /* cardinality */
    bool is_parent;      /* a condition looks at it */
};

struct assay_gp_features {
    const struct assay_transform *transform;
    size_t n_dimensions, n_columns, n_groups;
    struct assay_gp_dimension *dimensions; /* as in the transform; group i belongs to i */
    size_t *group_of;                      /* per column */
    size_t n_sets;                         /* columns of conditions come last, in this order */
    size_t *sets;                          /* a parameter that has these conditions */
    double typical;                        /* mean number of active dimensions, at least 1 */
};

/* `transform` is borrowed. */
void assay_gp_features_init(struct assay_gp_features *features,
                            const struct assay_transform *transform);
void assay_gp_features_done(struct assay_gp_features *features);

/* The row (n_columns items) of a point. */
void assay_gp_features_of_point(const struct assay_gp_features *features, const double *point,
                                double *ret_row);
/* The row of a place in the unit cube, the same as that of the point it decodes to.
 * `point` is scratch of n_parameters items. */
void assay_gp_features_of_unit(const struct assay_gp_features *features, const double *unit,
                               double *point, double *ret_row);

/* The columns of one choice (of a dimension of that kind) within a row. */
void assay_gp_features_of_choice(const struct assay_gp_features *features, size_t dimension,
                                 double choice, double *ret_row);
/* The column that is 0 where a dimension is not active; -1 where it always is. */
ptrdiff_t assay_gp_features_set(const struct assay_gp_features *features, size_t dimension);

#endif

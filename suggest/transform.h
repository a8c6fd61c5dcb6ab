/* Between points of the space and the unit cube in which algorithms work
 * (ALGORITHMS 2.0 of the design).
 *
 *   double        linear, or linear in the logarithm, or in the logarithm of
 *                 max + min - value
 *   int, step     the same with the range widened by half a step at both ends,
 *                 then rounded to the step: every value has its share
 *   choices       index by inverse distribution function, equal shares
 *   one value     no dimension at all
 *
 * A parameter's dimension is there whether or not the parameter is active.
 * Immutable; any number of threads. */
#ifndef ASSAY_SUGGEST_TRANSFORM_H
#define ASSAY_SUGGEST_TRANSFORM_H

#include "suggest/view.h"

struct assay_transform_dimension {
    size_t parameter;  /* index in the space */
    double low, high;  /* edges after widening, on the inner (possibly logarithmic) scale */
};

struct assay_transform {
    const struct assay_plugin_space *space;
    size_t n_dimensions; /* parameters with more than one value */
    struct assay_transform_dimension *dimensions;
    ptrdiff_t *of_parameter; /* dimension of each parameter, or -1 */
};

/* `space` is borrowed for the life of the transform. */
void assay_transform_init(struct assay_transform *transform,
                          const struct assay_plugin_space *space);
void assay_transform_done(struct assay_transform *transform);

/* The value of the dimension's parameter at `unit` (clamped to [0, 1]). */
double assay_transform_value(const struct assay_transform *transform, size_t dimension,
                             double unit);
/* Where in [0, 1] a value of the dimension's parameter lies; a value with a step
 * or a choice lies in the middle of its share. */
double assay_transform_unit(const struct assay_transform *transform, size_t dimension,
                            double value);

/* unit[n_dimensions] to point[n_parameters]: parents first, NaN where inactive. */
void assay_transform_decode(const struct assay_transform *transform, const double *unit,
                            double *ret_point);
/* point to unit; 0.5 where inactive. */
void assay_transform_encode(const struct assay_transform *transform, const double *point,
                            double *ret_unit);

/* The middle of the space: each active parameter's default, or else its middle. */
void assay_transform_centre(const struct assay_transform *transform, double *ret_point);

#endif

/* A point of a search space: one double per parameter, in the order of the space.
 *
 *   double, int           the value itself
 *   discrete, categorical,
 *   bool                  the index of the choice (0, 1, …; bool: 0 false, 1 true)
 *   inactive              NaN: its condition does not hold
 *
 * Compact, comparable, and what algorithms and the plugin ABI see.  JSON exists
 * only at the edge. */
#ifndef ASSAY_SCHEMAS_POINT_H
#define ASSAY_SCHEMAS_POINT_H

#include "common/error.h"
#include "schemas/space.h"

/* Checks `parameters` ({"lr": 0.1, …}) against the space: every active
 * parameter present (a default stands in for a missing one when
 * `defaults_allowed`), none unknown, none that is inactive, each in range and
 * on its step.  Faults go to `faults` below `pointer`; false if there are any.
 * `ret_point` has space->n_parameters items and is written only on success. */
ASSAY_MUST_CHECK bool assay_point_decode(const struct assay_space *space, const json_t *parameters,
                                         const char *pointer, bool defaults_allowed,
                                         struct assay_faults *faults, double *ret_point);

/* As assay_point_decode for a point given in part: what is left out takes its
 * default, or else the middle of its range (assay_parameter_middle). */
ASSAY_MUST_CHECK bool assay_point_decode_part(const struct assay_space *space,
                                              const json_t *parameters, const char *pointer,
                                              struct assay_faults *faults, double *ret_point);

/* {"lr": 0.1, …} of the active parameters.  New reference. */
json_t *assay_point_encode(const struct assay_space *space, const double *point);

/* The value of parameter i as JSON; NULL when inactive.  New reference. */
json_t *assay_point_value(const struct assay_space *space, const double *point, size_t i);

/* Whether parameter i is active given the values of its parents in `point`.
 * Parents come first in the space's `order`, so decide in that order. */
bool assay_point_active(const struct assay_space *space, const double *point, size_t i);

/* Same values: inactive equals inactive, and values with a step are the same
 * when they are the same number of steps from min. */
bool assay_point_equal(const struct assay_space *space, const double *a, const double *b);
/* Equal points have equal hashes. */
uint64_t assay_point_hash(const struct assay_space *space, const double *point);

#endif

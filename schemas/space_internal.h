/* What the files of the search space share.  Other rooms do not include this. */
#ifndef ASSAY_SCHEMAS_SPACE_INTERNAL_H
#define ASSAY_SCHEMAS_SPACE_INTERNAL_H

#include "schemas/space.h"

extern const char *const assay__parameter_types[]; /* by enum assay_parameter_type, then NULL */
extern const char *const assay__scales[];
extern const char *const assay__confidences[];

void assay__parameter_done(struct assay_parameter *parameter);
/* Discrete, categorical, bool: its points hold a choice's index. */
bool assay__parameter_is_choice(const struct assay_parameter *parameter);
/* Equal choices get the same key; a string never that of a number.  NULL when it can not be a
 * choice.  Caller frees. */
char *assay__choice_key(const json_t *choice);
/* Step of double and int; 1 for an int without one; 0 = continuous. */
double assay__parameter_step(const struct assay_parameter *parameter);
/* Value number `index` of a stepped range, and the number nearest to a value. */
double assay__parameter_grid_value(const struct assay_parameter *parameter, double index);
double assay__parameter_grid_index(const struct assay_parameter *parameter, double value);
/* A value as in a point as JSON.  New reference. */
json_t *assay__parameter_value_json(const struct assay_parameter *parameter, double value);

/* Reads the `when` objects (NULL where a parameter has none) once all parameters
 * are known; those not `usable` have faults already and are not looked into as
 * parents.  Fills in conditions and, without a cycle, space->order. */
void assay__space_decode_conditions(struct assay_space *space, const json_t *const *whens,
                                    const bool *usable, const char *pointer,
                                    struct assay_faults *faults);
/* Whether a condition holds for its parent's value (NaN: inactive, it does not). */
bool assay__condition_holds(const struct assay_condition *condition, double parent_value);

#endif

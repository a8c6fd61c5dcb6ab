/* The search space: typed parameters with ranges, scales, steps and conditions.
 *
 * A space is checked once (assay_space_decode) and immutable after; any number
 * of threads may read it. */
#ifndef ASSAY_SCHEMAS_SPACE_H
#define ASSAY_SCHEMAS_SPACE_H

#include <jansson.h>

#include "common/error.h"

enum assay_parameter_type {
    ASSAY_PARAMETER_DOUBLE,
    ASSAY_PARAMETER_INT,
    ASSAY_PARAMETER_DISCRETE,    /* numbers in increasing order; distance has a meaning */
    ASSAY_PARAMETER_CATEGORICAL, /* scalars without order */
    ASSAY_PARAMETER_BOOL,
    ASSAY_PARAMETER_TYPE_MAX_,
};

enum assay_scale { ASSAY_SCALE_LINEAR, ASSAY_SCALE_LOG, ASSAY_SCALE_REVERSE_LOG };

/* How sure the user is of a parameter's prior. */
enum assay_confidence { ASSAY_CONFIDENCE_LOW, ASSAY_CONFIDENCE_MEDIUM, ASSAY_CONFIDENCE_HIGH };

/* One condition: the parent must be active and have an allowed value.  A
 * choice-typed parent lists choice indices; a numeric one lists values or
 * gives a range. */
struct assay_condition {
    size_t parent;     /* index of the parameter */
    double *values;    /* n_values items, increasing; choice indices or numbers; NULL with a range */
    size_t n_values;
    double min, max;   /* inclusive range when n_values is 0 */
};

#define ASSAY_SPACE_PARAMETERS_MAX 1000
#define ASSAY_PARAMETER_CHOICES_MAX 10000

struct assay_parameter {
    char *name;              /* 1 to 128 letters, digits, '_', '-', '.', '/', ':' */
    enum assay_parameter_type type;
    enum assay_scale scale;  /* double, int */
    double min, max;         /* double, int: inclusive */
    double step;             /* double, int: distance from min; 0 = none (int: 1) */
    json_t *choices;         /* discrete, categorical, bool: array of n_choices scalars */
    double *numbers;         /* discrete: the choices as numbers, increasing; else NULL */
    size_t n_choices;        /* 0 for double, int */
    json_t *choice_numbers;  /* categorical: text of each choice -> its index; private */
    double default_value;    /* as in a point; NaN when there is none */
    double prior_value;      /* where the user expects the best, as in a point; NaN: nowhere */
    enum assay_confidence prior_confidence;
    struct assay_condition *conditions; /* all must hold */
    size_t n_conditions;
};

struct assay_space {
    struct assay_parameter *parameters;
    size_t n_parameters;
    size_t *order; /* indices, parents before children */
};

/* Decodes the array `parameters` of a study file.  Every fault is reported at
 * once below `pointer`: unknown key, missing or duplicate name, bad type, min
 * not below max (equal is allowed: a fixed value), log with min <= 0, step <= 0
 * or wider than the range, empty or duplicate choices, a default out of range,
 * `when` with an unknown parent, a value it can not take, itself, or a cycle.
 * NULL if there are faults.  Caller frees with assay_space_free. */
struct assay_space *assay_space_decode(const json_t *parameters, const char *pointer,
                                       struct assay_faults *faults);
/* The normalised array.  New reference. */
json_t *assay_space_encode(const struct assay_space *space);
struct assay_space *assay_space_free(struct assay_space *space); /* NULL allowed; returns NULL */

/* Index of the parameter, or -1. */
ptrdiff_t assay_space_find(const struct assay_space *space, const char *name);

/* Number of values on the parameter's grid: choices, int steps, stepped doubles;
 * +inf for a continuous range. */
double assay_parameter_cardinality(const struct assay_parameter *parameter);
/* Number of distinct points counting activation (children count only where they
 * are active); +inf when any reachable parameter is continuous, or when the
 * conditions are so entangled that counting would take too long. */
double assay_space_cardinality(const struct assay_space *space);

/* The nearest allowed value: inside the range, on the grid of the step (where
 * min + k * step is taken as the decimal it is meant to be: 0.3, not
 * 0.30000000000000004), whole for int, a choice index for choices.  `value` as
 * in a point, finite. */
double assay_parameter_snap(const struct assay_parameter *parameter, double value);
/* The declared default, or else the middle of the range on its scale (of the
 * choices: the first).  As in a point. */
double assay_parameter_middle(const struct assay_parameter *parameter);
/* Reads one JSON value of the parameter as in a point: range, step and choices
 * are checked.  False with a fault at `pointer`. */
ASSAY_MUST_CHECK bool assay_parameter_decode(const struct assay_parameter *parameter,
                                             const json_t *value, const char *pointer,
                                             struct assay_faults *faults, double *ret_value);

/* Text of each parameter for ${name}: {"lr": "0.1", "momentum": ""}, an inactive
 * one being the empty text.  `parameters` is the object of the active ones.  New
 * reference. */
json_t *assay_space_texts(const struct assay_space *space, const json_t *parameters);

const char *assay_parameter_type_name(enum assay_parameter_type type);
const char *assay_scale_name(enum assay_scale scale);

#endif

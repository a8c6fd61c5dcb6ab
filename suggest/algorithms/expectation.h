/* What the user expects of the best point (parameter.prior_*), as a density on the unit cube:
 * a product over the parameters of which something is expected.  Numbers: normal, cut off at
 * the ends; choices: by their weights.
 *
 * How far it is to be believed, and what is made of it, is each algorithm's business.
 * Immutable once made; any number of threads. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_EXPECTATION_H
#define ASSAY_SUGGEST_ALGORITHMS_EXPECTATION_H

#include "suggest/transform.h"

/* What is expected of one dimension of the transform. */
struct assay_expectation {
    size_t dimension;
    bool choice;
    double place, spread;     /* numbers: in the unit interval */
    double low, high;         /* numbers: the normal distribution function at the ends */
    double value, share;      /* choices: the expected one and its probability */
    double n_values;          /* choices */
    double at_best, at_other; /* logarithms of the density: at the place or choice; at other
                               * choices.  1 on average over the interval. */
};

struct assay_expectations {
    const struct assay_transform *transform;
    size_t n; /* 0: nothing is expected */
    struct assay_expectation *items;
};

/* `transform` is borrowed. */
void assay_expectations_init(struct assay_expectations *expectations,
                             const struct assay_transform *transform);
void assay_expectations_done(struct assay_expectations *expectations);

/* Bends a place of the unit cube (a number for each dimension), uniform at random, to one
 * drawn from the density. */
void assay_expectations_bend(const struct assay_expectations *expectations, double *unit);

/* Where the density is highest; what is not expected is in the middle. */
void assay_expectations_mode(const struct assay_expectations *expectations, double *ret_point);

#endif

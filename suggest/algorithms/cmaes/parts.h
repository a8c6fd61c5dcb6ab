/* What the files of a strategy share, and nobody else: layout.c, strategy.c and
 * generation.c.
 *
 * Pure.  One thread at a time. */
#ifndef ASSAY_SUGGEST_CMAES_PARTS_H
#define ASSAY_SUGGEST_CMAES_PARTS_H

#include <math.h>

#include "suggest/algorithms/cmaes/strategy.h"

/* Parts of the block of numbers. */
struct assay__cmaes_parts {
    double *mean, *sigma_path, *path, *covariance, *factor, *probabilities;
};

static inline struct assay__cmaes_parts
assay__cmaes_parts_of(const struct assay_cmaes_layout *layout,
                      struct assay_cmaes_strategy *strategy)
{
    size_t n = layout->n_numbers;
    double *at = strategy->numbers;

    return (struct assay__cmaes_parts){
        .mean = at,
        .sigma_path = at + n,
        .path = at + 2 * n,
        .covariance = at + 3 * n,
        .factor = at + 3 * n + n * n,
        .probabilities = at + 3 * n + 2 * n * n,
    };
}

/* Share of choices that a variable keeps for what it does not favour (CatCMAwM). */
static inline double
assay__cmaes_margin_of(const struct assay_cmaes_layout *layout)
{
    return 1.0 - pow(0.73, 1.0 / (double)ASSAY_MAX(layout->n_discrete, (size_t)1));
}

/* Choices other than categories are numbers with two values: the value that choice v of
 * dimension d stands for. */
double assay__cmaes_value_of_choice(const struct assay_transform *transform, size_t d, size_t v);

/* Factorises C, made a little rounder until that works. */
void assay__cmaes_refactorise(const struct assay__cmaes_parts *parts, size_t n);

/* Raises probabilities to the floor that their margin sets; the sum of a choice's stays 1. */
void assay__cmaes_lift_probabilities(const struct assay_cmaes_layout *layout,
                                     double *probabilities);

/* Positive weights of the better half of n, logarithmic in the rank, with sum 1.  Returns
 * how many there are, max(n / 2, 1); `ret_effective`: their effective mass. */
size_t assay__cmaes_positive_weights(size_t n, double *ret_weights, double *ret_effective);

#endif

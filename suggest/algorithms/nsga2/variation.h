/* Children of two parents: crossover and mutation on the unit cube.
 *
 * Numbers: simulated binary crossover and polynomial mutation (K. Deb, R. B. Agrawal,
 * "Simulated binary crossover for continuous search space", 1995; K. Deb, "An efficient
 * constraint handling method for genetic algorithms", 2000, for the bounded forms); one
 * with few values moves by at least one of them.  Choices: from either parent, and
 * mutated to any other.  A parameter that only one parent has comes from that one; one
 * that neither has is drawn.
 *
 * Pure, given the stream.  Any number of threads. */
#ifndef ASSAY_SUGGEST_NSGA2_VARIATION_H
#define ASSAY_SUGGEST_NSGA2_VARIATION_H

#include "common/random.h"
#include "suggest/transform.h"

struct assay_nsga2_variation {
    const struct assay_transform *transform; /* borrowed */
    double crossover;       /* probability that the parents mix at all */
    double mutation;        /* probability per parameter */
    double crossover_index; /* the larger, the closer a child stays to its parents */
    double mutation_index;
};

/* Coordinates: those of the unit cube, NaN where inactive. */
void assay_nsga2_encode(const struct assay_transform *transform, const double *point,
                        double *ret_coordinates);

/* `strength` >= 1 multiplies the probability of mutation.  Each item of `ret_child` is in
 * [0, 1]. */
void assay_nsga2_cross(const struct assay_nsga2_variation *variation, const double *mother,
                       const double *father, double strength, struct assay_random *random,
                       double *ret_child);

#endif

/* What trials measured at the rungs, on one scale, and what one rung says of the next.
 *
 * Values of a rung are ranked and put on the scale of a standard normal variable of all
 * the trials there have been (lower is better), so that neither outliers nor the units of
 * a rung matter.  The scores at two rungs next to each other are taken for normal with a
 * correlation R, their link.  Only the best of the lower rung come to the higher one,
 * which has to be undone: where those have scores at the lower rung of mean m and standard
 * deviation s, and a correlation r among them,
 *
 *   R = (r / s) / sqrt(1 - r^2 + r^2 / s^2)
 *     (R. L. Thorndike, "Personnel selection", 1949, case 2)
 *   score at the higher rung = R m + sqrt(R^2 s^2 + 1 - R^2) * normal score among them
 *
 * r being drawn to what R = 0.8 would give by a few pairs' worth.
 *
 * A function of the set of trials. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_SCORES_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_SCORES_H

#include "suggest/algorithms/fidelity/evidence.h"

/* A trial at a rung. */
struct assay_score {
    const struct assay_history_trial *trial; /* borrowed until the next tell */
    size_t rung;
    double value; /* +inf: bad */
    double z;     /* score */
    bool last;    /* it was judged at no higher rung up to the target */
};

struct assay_scores {
    struct assay_score *items; /* from the highest rung down; at each in a random order */
    size_t n;
    size_t target; /* the highest rung with values of at least three trials */
    double *links; /* of each rung below the target with the next */
};

/* False, with nothing made, when there is no target, or it is the lowest rung and has
 * fewer values than `least`. */
ASSAY_MUST_CHECK bool assay_scores_init(struct assay_scores *scores,
                                        const struct assay_ladder *ladder,
                                        const struct assay_history *history, size_t least);
void assay_scores_done(struct assay_scores *scores);

/* The value at the target that a score stands for, between those of its trials; NaN where
 * there is none. */
double assay_scores_value(const struct assay_scores *scores, double z);

/* The lowest rung whose link with the next is not known to be weak; never one of the
 * last two, of which there are at least three. */
size_t assay_scores_lowest(const struct assay_ladder *ladder, const struct assay_history *history);

#endif

/* A population read from a history: who is in it, who waits, who should give way.
 *
 * Members are the trials that run or are paused, and those that have had the whole
 * budget.  A member that is given up stays paused: of more members than the population
 * has places, the worst are out, those without a value yet excepted.  So the population
 * follows from the set of trials alone, whatever way it came.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_POPULATION_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_POPULATION_H

#include "suggest/history.h"

struct assay_member {
    const struct assay_history_trial *trial; /* borrowed until the next tell */
    double value;                            /* the last; +inf: bad, NaN: none yet */
    bool waits;                              /* paused and not taken */
};

struct assay_population {
    /* Best first, those without a value last; then by number. */
    struct assay_member *members;
    size_t n, n_valued;
    size_t n_free;                   /* places without a member */
    size_t n_begun;                  /* trials that were ever begun */
    size_t n_live;                   /* running, and in the call that is answered */
    size_t n_newborn;                /* of these, without a value yet */
    const struct assay_member *next; /* the waiting one with the smallest budget, of these
                                      * the best; NULL: none waits */
};

/* `n_places` >= 1.  `resumed` (n_resumed numbers) and `n_added` new trials were given in
 * the same call. */
void assay_population_init(struct assay_population *population, const struct assay_history *history,
                           size_t n_constraints, size_t n_places, const int64_t *resumed,
                           size_t n_resumed, size_t n_added);
void assay_population_done(struct assay_population *population);

/* The member that is to be copied now, and the one that gives way to the copy: the
 * first is `next` and in the best `quantile` of those with a value, the second the worst
 * of all and in the worst.  False when there is no such pair, or as many copies as the
 * quantile has members have yet to show a value. */
ASSAY_MUST_CHECK bool assay_population_pair(const struct assay_population *population,
                                            double quantile, const struct assay_member **ret_parent,
                                            const struct assay_member **ret_loser);

#endif

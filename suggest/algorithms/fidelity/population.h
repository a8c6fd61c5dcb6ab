/* A population read from a history: who is in it, who lags behind, who waits.
 *
 * Members are the trials that run or are paused, and those that have had the whole
 * budget.  A member that is given up stays paused: of more members than the population
 * has places, the ones at the smallest budget, and of these the worst, are out.  So the
 * population follows from the set of trials alone, whatever way it came.
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
    /* Members that wait first: by budget, then the worst first, then number. */
    struct assay_member *members;
    size_t n, n_waiting;
    size_t n_free;  /* places without a member */
    size_t n_begun; /* trials that were ever begun */
    size_t n_live;  /* running, and in the call that is answered */
};

/* `n_places` >= 1.  `resumed` (n_resumed numbers) and `n_added` new trials were given in
 * the same call. */
void assay_population_init(struct assay_population *population, const struct assay_history *history,
                           size_t n_constraints, size_t n_places, const int64_t *resumed,
                           size_t n_resumed, size_t n_added);
void assay_population_done(struct assay_population *population);

/* Whether a member is in the lowest `quantile` of those with a value; `ret_parents`
 * (room for n): paused members of the highest `quantile`, of which one may be copied;
 * `ret_n_parents`: how many, 0 when the member is to go on by itself. */
void assay_population_rank(const struct assay_population *population,
                           const struct assay_member *member, double quantile,
                           const struct assay_member **ret_parents, size_t *ret_n_parents);

#endif

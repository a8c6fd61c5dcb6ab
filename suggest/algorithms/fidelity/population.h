/* A population read from a history: who is in it, who waits, who should give way.
 *
 * Members are the trials that run or are paused, and those that have had the whole
 * budget.  Two are compared by what they had at the smaller of their budgets: the one that
 * is further is looked up there, between the rungs and the last value it has measured.
 * The fewer a member loses to, the better it stands.  A member that is given up stays paused: of
 * more members than the population has places, the worst are out, those without a value yet
 * excepted.  So the population follows from the set of trials alone, whatever way it came.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_POPULATION_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_POPULATION_H

#include "suggest/history.h"

struct assay_member {
    const struct assay_history_trial *trial; /* borrowed until the next tell */
    double value;                            /* the last; +inf: bad, NaN: none yet */
    double at;                               /* budget that it has used */
    size_t losses;                           /* members that were better at their budgets */
    bool waits;                              /* paused and not taken */
};

/* What a population is read with: the study's rungs, 1 <= n_places, and what was given in
 * the same call already: the numbers of trials that were resumed, and new ones. */
struct assay_population_plan {
    const double *rungs;
    size_t n_rungs, n_constraints, n_places;
    const int64_t *resumed;
    size_t n_resumed, n_added;
};

struct assay_population {
    const struct assay_population_plan *plan; /* borrowed until done */
    /* Best first, those without a value last; then by number. */
    struct assay_member *members;
    size_t n, n_valued;
    size_t n_free;                   /* places without a member */
    size_t n_begun;                  /* trials that were ever begun */
    size_t n_live;                   /* running, and in the call that is answered */
    size_t n_imports;                /* trials that do not count against a limit (ladder.h) */
    size_t n_newborn;                /* of these, without a value yet */
    const struct assay_member *next; /* the waiting one with the smallest budget, of these
                                      * the best; NULL: none waits */
};

void assay_population_init(struct assay_population *population, const struct assay_history *history,
                           const struct assay_population_plan *plan);
void assay_population_done(struct assay_population *population);

/* The member that is to be copied now, and the one that gives way to the copy: the
 * first is `next` and in the best `quantile` of those with a value, the second the worst
 * of all and in the worst.  False when there is no such pair, or as many copies as the
 * quantile has members have yet to show a value. */
ASSAY_MUST_CHECK bool assay_population_pair(const struct assay_population *population,
                                            double quantile, const struct assay_member **ret_parent,
                                            const struct assay_member **ret_loser);

#endif

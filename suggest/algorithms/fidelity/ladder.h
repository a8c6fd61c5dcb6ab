/* Asynchronous successive halving: who has reached which rung with what value, and who
 * may go on to the next.
 *
 * A trial may go on from a rung when it waits there and is among the best
 * floor(n / eta) of the n trials of its bracket that were judged there.  A trial that
 * ended on the way to a rung, or has no finite value there, is judged too: as the worst.
 * Ties go to the lower number.
 *
 *   L. Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020
 *
 * A function of the set of trials alone, whatever way it came.  Adding or removing a
 * trial costs O(log n) comparisons and moving 16 bytes per trial above it, a question
 * O(rungs log n).  One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_LADDER_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_LADDER_H

#include "suggest/history.h"

struct assay_ladder_entry {
    double value; /* +inf: bad */
    int64_t number;
};

/* Increasing by value, then number. */
struct assay_ladder_list {
    struct assay_ladder_entry *entries;
    size_t n, capacity;
};

struct assay_ladder {
    size_t n_rungs, n_brackets, n_constraints;
    double eta;
    double *rungs, *shares;
    struct assay_ladder_list *judged, *waiting; /* [bracket][rung] */
    size_t *n_beyond;                           /* likewise: those given more than it */
    size_t n_whole;                             /* trials judged at the last rung with a value */
    size_t n_pending;
};

struct assay_promotion {
    int64_t number;
    size_t bracket, from; /* rung that it waits at */
    double value;
    size_t rank, judged; /* `rank`-th best (from 1) of so many */
};

/* `rungs` increasing; 1 <= n_brackets <= n_rungs; eta > 1. */
void assay_ladder_init(struct assay_ladder *ladder, const double *rungs, size_t n_rungs, double eta,
                       size_t n_brackets, size_t n_constraints);
void assay_ladder_done(struct assay_ladder *ladder);

/* Takes in a trial; before it is told again with other contents, `remove` it with what
 * it was. */
void assay_ladder_add(struct assay_ladder *ladder, const struct assay_history_trial *trial);
void assay_ladder_remove(struct assay_ladder *ladder, const struct assay_history_trial *trial);

/* The best trial that may go on, from the highest rung that has one; none of the
 * `taken` numbers.  `sparing`: only where fewer than floor(n / eta) have gone on from its
 * rung, unless it is the best there has been: where trials get better as a model learns,
 * each would else be among the best for a while.  False when there is none. */
ASSAY_MUST_CHECK bool assay_ladder_next(const struct assay_ladder *ladder, bool sparing,
                                        const int64_t *taken, size_t n_taken,
                                        struct assay_promotion *ret_promotion);
/* The best that waits at the highest rung where any does, among the best or not. */
ASSAY_MUST_CHECK bool assay_ladder_highest(const struct assay_ladder *ladder, const int64_t *taken,
                                           size_t n_taken, struct assay_promotion *ret_promotion);

/* The rung of a budget: the highest that is not above it; NaN: the last. */
size_t assay_ladder_rung_of(const struct assay_ladder *ladder, double budget);

/* The value a trial is judged by at a rung: +inf when it is not finite or a constraint
 * is known to be violated; NaN: none there. */
double assay_ladder_value(const struct assay_ladder *ladder,
                          const struct assay_history_trial *trial, size_t rung);

/* Whether the trial ended without having measured anything, as those do that a user
 * imports: a study's limit does not count them. */
bool assay_ladder_is_import(const struct assay_history_trial *trial, size_t n_rungs);

#endif

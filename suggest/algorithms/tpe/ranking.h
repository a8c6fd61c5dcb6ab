/* The trials in the order of how good they are, and which of them teach the model
 * what is good and what is bad.
 *
 * Order: succeeded, and stopped early with a forecast, by value; what else was stopped by
 * how far it got, then value; what passes bounds on other metrics, by how much, then value;
 * then what failed, was infeasible or has no finite value.  Cancelled trials say nothing.
 * With several objectives those that succeeded go by fronts of non-dominated trials, and of
 * the last front that is good those that dominate most together.
 *
 * A function of the set of trials alone, whatever way it came.  Telling costs
 * O(log trials) comparisons and moving pointers.  One thread at a time. */
#ifndef ASSAY_SUGGEST_TPE_RANKING_H
#define ASSAY_SUGGEST_TPE_RANKING_H

#include "suggest/history.h"

/* Never more good trials than this, nor bad ones, nor pending ones among those. */
#define ASSAY_TPE_GOOD_MAX 100
#define ASSAY_TPE_BAD_MAX 192
#define ASSAY_TPE_PENDING_MAX 32

struct assay_tpe_trial;

struct assay_tpe_ranking {
    size_t n_objectives, n_dimensions;
    uint64_t seed;
    /* All by pointer; `drawn` has the trials of `ranked` in a random order. */
    struct assay_tpe_trial **ranked, **drawn, **pending;
    size_t n_ranked, n_drawn, n_pending;
    size_t ranked_capacity, drawn_capacity, pending_capacity;
    size_t n_succeeded; /* the first of `ranked`: within the bounds, with finite values */
    size_t n_learning;  /* the first of `ranked`: all but what failed */
    uint64_t n_splits;
};

void assay_tpe_ranking_init(struct assay_tpe_ranking *ranking, size_t n_objectives,
                            size_t n_dimensions, uint64_t seed);
void assay_tpe_ranking_done(struct assay_tpe_ranking *ranking);

/* Takes in a trial with its encoded point (copied); before a trial is told again with
 * other contents, `remove` it with what it was. */
void assay_tpe_ranking_add(struct assay_tpe_ranking *ranking,
                           const struct assay_history_trial *trial, const float *coordinates);
void assay_tpe_ranking_remove(struct assay_tpe_ranking *ranking,
                              const struct assay_history_trial *trial);

/* Points and weights; room for the maxima above. */
struct assay_tpe_side {
    const float **points; /* borrowed until the next add or remove */
    double *weights;
    size_t n;
    size_t n_pending; /* the last of them */
};

void assay_tpe_side_init(struct assay_tpe_side *side, size_t n_max);
void assay_tpe_side_done(struct assay_tpe_side *side);

/* What a pending trial weighs as a bad one: it has to be kept off, and may be good. */
#define ASSAY_TPE_PENDING_WEIGHT 0.3

/* Splits the trials: the best ceil(fraction * ended), at most GOOD_MAX, to `good`, the
 * better the heavier; the rest and the pending ones to `bad`.  Of many bad ones those
 * next to the good are all there, and a random choice stands for the others; the
 * pending ones come last. */
void assay_tpe_ranking_split(struct assay_tpe_ranking *ranking, double fraction,
                             struct assay_tpe_side *good, struct assay_tpe_side *bad);

#endif

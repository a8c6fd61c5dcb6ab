/* The live trials of a study as a rule keeps them: number and learning curve, in
 * bounded memory, smaller values better.
 *
 * There may be ASSAY_LIVE_MAX; those past that are not kept, and the rule leaves them
 * alone.  A curve is exact up to 1,024 steps while there are no more than 64 live
 * trials, up to 65,536 / n while there are n, and always up to 16 (rules/curve.h).
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_RULES_LIVE_H
#define ASSAY_SUGGEST_RULES_LIVE_H

#include "suggest/rules/curve.h"

#define ASSAY_LIVE_MAX 16384
#define ASSAY_LIVE_BUCKETS 1024

struct assay_live {
    struct assay_live *next; /* of the same bucket */
    int64_t number;
    struct assay_curve curve;
    int64_t mark;  /* the rule's own; 0 at first */
    double figure; /* the rule's own; NaN at first */
    void *own;     /* the rule's own, freed with the trial; NULL at first */
};

struct assay_live_set {
    struct assay_live *buckets[ASSAY_LIVE_BUCKETS];
    size_t count;
    double sign; /* -1: the metric is maximised, values are turned */
};

void assay_live_init(struct assay_live_set *set, bool maximize);
void assay_live_done(struct assay_live_set *set);

/* The trial, with nothing measured when it is new; NULL when it can not be kept. */
struct assay_live *assay_live_add(struct assay_live_set *set, int64_t number);
/* Takes a measurement in; the trial, or NULL when it can not be kept.  O(1) for the
 * newest step. */
struct assay_live *assay_live_report(struct assay_live_set *set, int64_t number, int64_t step,
                                     double value);
/* NULL: no such trial. */
struct assay_live *assay_live_find(struct assay_live_set *set, int64_t number);
void assay_live_drop(struct assay_live_set *set, struct assay_live *live);

/* A figure in the metric's own direction, NaN for an infinite one. */
double assay_live_shown(const struct assay_live_set *set, double figure);

#endif

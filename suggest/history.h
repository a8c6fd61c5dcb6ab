/* What an algorithm has been told of a study: trials by number, which points have
 * been tried, and values fit for a model.
 *
 * Incremental: telling a trial costs O(parameters).  One thread at a time. */
#ifndef ASSAY_SUGGEST_HISTORY_H
#define ASSAY_SUGGEST_HISTORY_H

#include "suggest/view.h"

struct assay_history_trial {
    int64_t number;
    uint32_t state; /* ASSAY_PLUGIN_PENDING, ... */
    bool measured;  /* succeeded or stopped, and every value is finite */
    bool usable;    /* measured, and no constraint is violated: may be the best */
    double violation; /* sum of what passes the bounds: 0 = none, +inf = not measured */
    double budget;  /* NaN = none */
    int64_t steps;  /* -1 = none */
    double *point;  /* owned by the history, n_parameters items */
    bool foretold;  /* stopped early, and values[0] is what it would probably have ended with */
    double *values; /* owned, n_objectives items, smaller is better; NaN = none */
    double *rung_values; /* owned, n_rungs items; NaN = not reached */
    double *constraints; /* owned, n_constraints items, <= 0 holds; NaN = not measured */
};

/* Whether its values are those of its end: it succeeded, or they are foretold. */
static inline bool
assay_history_is_whole(const struct assay_history_trial *trial)
{
    return trial->state == ASSAY_PLUGIN_SUCCEEDED || trial->foretold;
}

struct assay_history;

/* `space` is borrowed for the life of the history. */
struct assay_history *assay_history_new(const struct assay_plugin_space *space,
                                        size_t n_objectives, size_t n_constraints,
                                        size_t n_rungs);
struct assay_history *assay_history_free(struct assay_history *history); /* returns NULL */

/* Takes the trial in, in place of what was known of its number. */
void assay_history_tell(struct assay_history *history, const struct assay_plugin_trial *trial);

/* Number of trials, and the i-th in the order in which they were first told.  The
 * pointer is good until the next tell. */
size_t assay_history_count(const struct assay_history *history);
const struct assay_history_trial *assay_history_at(const struct assay_history *history, size_t i);
/* NULL when the number has not been told. */
const struct assay_history_trial *assay_history_find(const struct assay_history *history,
                                                     int64_t number);

/* Trials whose numbers are in [1, number): the rest of them were handed out and
 * not told yet, or never will be.  O(1) when numbers were told without gaps. */
size_t assay_history_count_before(const struct assay_history *history, int64_t number);

/* Whether some trial, pending or ended in any way, has this point. */
bool assay_history_tried(const struct assay_history *history, const double *point);
/* Number of different points tried. */
size_t assay_history_distinct(const struct assay_history *history);

#endif

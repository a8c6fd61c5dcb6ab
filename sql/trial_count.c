/* How many trials of each study move from state to state.  A set notes it, and the writer
 * sums it up over a batch, so that a study's row of trial_count is written once in it. */
#include <stdlib.h>

#include "common/memory.h"
#include "sql/changes_internal.h"

/* The columns stand in the order of enum assay_trial_state; sql/check_states.py compares. */
const struct assay__pg_statement assay__trial_count = {
    .name = "trial_count",
    .sql = "UPDATE trial_count SET queued = queued + $2, running = running + $3,"
           " paused = paused + $4, stopping = stopping + $5, succeeded = succeeded + $6,"
           " stopped = stopped + $7, infeasible = infeasible + $8, failed = failed + $9,"
           " cancelled = cancelled + $10 WHERE study_id = $1",
    .in = "qqqqqqqqqq",
};
_Static_assert(ASSAY_TRIAL_STATE_MAX_ == 9, "a column of trial_count for each state");

struct assay__moves *
assay__moves_of(struct assay__all_moves *all, int64_t study_id)
{
    for (size_t i = all->n; i > 0; i--) {
        if (all->studies[i - 1].study_id == study_id)
            return &all->studies[i - 1];
    }
    ASSAY_GROW(all->studies, all->n, all->capacity);
    all->studies[all->n] = (struct assay__moves){.study_id = study_id};
    return &all->studies[all->n++];
}

void
assay__moves_add(struct assay__all_moves *all, const struct assay__all_moves *more)
{
    for (size_t i = 0; i < more->n; i++) {
        struct assay__moves *sum = assay__moves_of(all, more->studies[i].study_id);

        for (int state = 0; state < ASSAY_TRIAL_STATE_MAX_; state++)
            sum->by[state] += more->studies[i].by[state];
    }
}

bool
assay__moves_none(const struct assay__moves *moves)
{
    for (int state = 0; state < ASSAY_TRIAL_STATE_MAX_; state++) {
        if (moves->by[state] != 0)
            return false;
    }
    return true;
}

void
assay__moves_args(struct assay__pg_args *args, const struct assay__moves *moves)
{
    assay__pg_add_int64(args, moves->study_id);
    for (int state = 0; state < ASSAY_TRIAL_STATE_MAX_; state++)
        assay__pg_add_int64(args, moves->by[state]);
}

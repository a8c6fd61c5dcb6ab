/* Asynchronous successive halving as an algorithm: what `asha`, `hyperband` and `bohb`
 * have in common.  They differ in brackets and in where new configurations come from.
 *
 * Of type promotion: a trial gets the budget of the first rung of its bracket, waits, and
 * is resumed with the next rung's budget when it is among the best (ladder.h); else a new
 * one is begun.  Nobody ever waits for a rung to fill.  When no new trial may be begun
 * and none runs, the best one goes on alone until one has had the whole budget.  Where the
 * plan learns, promotions are sparing (ladder.h), the first eight trials get the second
 * rung's budget at once, and later ones that of the lowest rung which says something of the
 * next (scores.h).
 *
 * Of type stopping: each trial gets the whole budget, and the stopping rule `asha` ends it
 * at the rung where it falls behind.  For trials that can not be resumed: one that keeps
 * no checkpoints starts over when it is promoted. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_HALVING_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_HALVING_H

#include "suggest/algorithms/fidelity/sampler.h"

#define ASSAY_ALL_BRACKETS SIZE_MAX

struct assay_halving_plan {
    const char *name;
    bool promotes;   /* else of type stopping */
    size_t brackets; /* capped by the number of rungs */
    enum assay_sampler_kind sampler;
    double random_share;
    bool learns; /* which rungs say something, and how many may go on: see above */
};

int32_t assay_halving_create(const struct assay_plugin_study *study,
                             const struct assay_halving_plan *plan, void **ret_instance,
                             char *error, uint64_t error_size);

/* Slots of the table. */
int32_t assay_halving_check(const struct assay_plugin_study *study, char *error,
                            uint64_t error_size);
int32_t assay_halving_update(void *instance, const struct assay_plugin_trial *const *trials,
                             uint64_t n_trials, char *error, uint64_t error_size);
int32_t assay_halving_suggest(void *instance, const int64_t *numbers, uint64_t n,
                              const struct assay_plugin_suggestion *const *suggestions,
                              uint64_t *ret_count, char *error, uint64_t error_size);
void assay_halving_destroy(void *instance);

#define ASSAY_HALVING_CAPS                                                                         \
    (ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_BUDGET | ASSAY_PLUGIN_CAP_CONSTRAINTS |        \
     ASSAY_PLUGIN_CAP_PARALLEL)

#endif

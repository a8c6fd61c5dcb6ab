/* What every built-in algorithm's instance starts with: the unit cube and the
 * history.  Made and filled here so that each algorithm's file holds only how it
 * chooses. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BASE_H
#define ASSAY_SUGGEST_ALGORITHMS_BASE_H

#include <jansson.h>

#include "suggest/algorithms/algorithms.h"
#include "suggest/untried.h"

struct assay_algorithm_base {
    const struct assay_plugin_space *space; /* borrowed from the study */
    uint64_t seed;
    size_t n_objectives, n_constraints;
    struct assay_transform transform;
    struct assay_history *history;
};

void assay_algorithm_base_init(struct assay_algorithm_base *base,
                               const struct assay_plugin_study *study);
void assay_algorithm_base_done(struct assay_algorithm_base *base);

/* An `update` slot for instances that begin with the base. */
int32_t assay_algorithm_base_update(void *instance, const struct assay_plugin_trial *const *trials,
                                    uint64_t n_trials, char *error, uint64_t error_size);

/* A random untried point, or ASSAY_PLUGIN_EXHAUSTED. */
int32_t assay_algorithm_suggest_untried(const struct assay_algorithm_base *base,
                                        const struct assay_batch *batch,
                                        struct assay_random *random,
                                        const struct assay_plugin_suggestion *suggestion);

/* A `suggest` slot's work, a suggestion at a time; `one` knows of those before it by the batch.
 * Ends at the first for which it does not answer ASSAY_PLUGIN_OK, with its answer. */
typedef int32_t assay_algorithm_suggest_one(void *instance, int64_t number,
                                            const struct assay_batch *batch,
                                            const struct assay_plugin_suggestion *suggestion);
int32_t assay_algorithm_suggest_each(void *instance, assay_algorithm_suggest_one *one,
                                     const int64_t *numbers, uint64_t n,
                                     const struct assay_plugin_suggestion *const *suggestions,
                                     uint64_t *ret_count);

/* The settings as JSON; the host has checked them and filled in the defaults.  New
 * reference. */
json_t *assay_algorithm_settings(const struct assay_plugin_study *study);

#define ASSAY_NO_SETTINGS                                                                          \
    "{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}"

#endif

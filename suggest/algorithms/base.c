#include "suggest/algorithms/base.h"

void
assay_algorithm_base_init(struct assay_algorithm_base *base, const struct assay_plugin_study *study)
{
    base->space = study->space;
    base->seed = study->seed;
    assay_transform_init(&base->transform, study->space);
    base->n_objectives = (size_t)study->n_objectives;
    base->n_constraints = (size_t)study->n_constraints;
    base->history = assay_history_new(study->space, base->n_objectives, base->n_constraints,
                                      (size_t)study->n_rungs);
}

void
assay_algorithm_base_done(struct assay_algorithm_base *base)
{
    assay_transform_done(&base->transform);
    base->history = assay_history_free(base->history);
}

int32_t
assay_algorithm_base_update(void *instance, const struct assay_plugin_trial *const *trials,
                            uint64_t n_trials, char *error ASSAY_UNUSED,
                            uint64_t error_size ASSAY_UNUSED)
{
    struct assay_algorithm_base *base = instance;

    for (uint64_t i = 0; i < n_trials; i++)
        assay_history_tell(base->history, trials[i]);
    return ASSAY_PLUGIN_OK;
}

int32_t
assay_algorithm_suggest_untried(const struct assay_algorithm_base *base,
                                const struct assay_batch *batch, struct assay_random *random,
                                const struct assay_plugin_suggestion *suggestion)
{
    return assay_untried_draw(&base->transform, base->history, batch, random, suggestion->point)
               ? ASSAY_PLUGIN_OK
               : ASSAY_PLUGIN_EXHAUSTED;
}

int32_t
assay_algorithm_suggest_each(void *instance, assay_algorithm_suggest_one *one,
                             const int64_t *numbers, uint64_t n,
                             const struct assay_plugin_suggestion *const *suggestions,
                             uint64_t *ret_count)
{
    for (uint64_t i = 0; i < n; i++) {
        struct assay_batch batch = {.given = suggestions, .n_given = i};
        int32_t result = one(instance, numbers[i], &batch, suggestions[i]);

        *ret_count = i;
        if (result != ASSAY_PLUGIN_OK)
            return result;
    }
    *ret_count = n;
    return ASSAY_PLUGIN_OK;
}

json_t *
assay_algorithm_settings(const struct assay_plugin_study *study)
{
    json_t *settings = json_loads(study->settings, 0, NULL);

    return settings != NULL ? settings : json_object();
}

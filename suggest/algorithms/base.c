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

json_t *
assay_algorithm_settings(const struct assay_plugin_study *study)
{
    json_t *settings = json_loads(study->settings, 0, NULL);

    return settings != NULL ? settings : json_object();
}

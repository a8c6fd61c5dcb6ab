/* Hyperband, asynchronous: successive halving in brackets that start at every rung, each
 * filled in its proportion, with configurations at random.
 *
 * L. Li et al., "Hyperband: a novel bandit-based approach to hyperparameter
 * optimization", JMLR 18, 2018.  The paper's brackets run one after the other and wait
 * for each rung; here a trial goes on when it is among the best so far (ladder.h), so
 * that a failed trial is one bad trial and any number of workers is busy.  Trials that keep
 * no checkpoints start over at each rung, as in the paper. */
#include "suggest/algorithms/fidelity/halving.h"

static int32_t
hyperband_create(const struct assay_plugin_study *study, void **ret_instance, char *error,
                 uint64_t error_size)
{
    static const struct assay_halving_plan plan = {
        .name = "hyperband",
        .promotes = true,
        .brackets = ASSAY_ALL_BRACKETS,
        .sampler = ASSAY_SAMPLER_RANDOM,
        .random_share = 1.0,
    };

    return assay_halving_create(study, &plan, ret_instance, error, error_size);
}

const struct assay_plugin_algorithm assay_algorithm_hyperband = {
    .struct_size = sizeof assay_algorithm_hyperband,
    .name = "hyperband",
    .description =
        "Hyperband without waiting: random configurations in brackets that begin with small, "
        "larger and the whole budget, the best of each bracket promoted. Safe where early "
        "results mislead; asha is quicker where they do not.",
    .caps = ASSAY_HALVING_CAPS,
    .settings_schema = ASSAY_NO_SETTINGS,
    .check = assay_halving_check,
    .create = hyperband_create,
    .update = assay_halving_update,
    .suggest = assay_halving_suggest,
    .destroy = assay_halving_destroy,
};

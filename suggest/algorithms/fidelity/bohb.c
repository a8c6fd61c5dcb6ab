/* BOHB: Hyperband's brackets with configurations from densities of the good and the bad
 * trials at the highest budget that has enough of them.
 *
 * S. Falkner, A. Klein, F. Hutter, "BOHB: robust and efficient hyperparameter
 * optimization at scale", ICML 2018. */
#include "suggest/algorithms/fidelity/halving.h"

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": "
    "{"
    "\"random_share\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 1,"
    " \"default\": 0.3333333333333333, \"description\": \"Share of the new configurations that is"
    " random whatever the densities say.\"}}}";

static int32_t
bohb_create(const struct assay_plugin_study *study, void **ret_instance, char *error,
            uint64_t error_size)
{
    json_t *settings = assay_algorithm_settings(study);
    const struct assay_halving_plan plan = {
        .name = "bohb",
        .promotes = true,
        .brackets = ASSAY_ALL_BRACKETS,
        .sampler = ASSAY_SAMPLER_TPE,
        .random_share = json_number_value(json_object_get(settings, "random_share")),
    };

    json_decref(settings);
    return assay_halving_create(study, &plan, ret_instance, error, error_size);
}

const struct assay_plugin_algorithm assay_algorithm_bohb = {
    .struct_size = sizeof assay_algorithm_bohb,
    .name = "bohb",
    .description =
        "BOHB: Hyperband's brackets, with new configurations drawn where good trials lie at the "
        "highest budget that has enough of them. For many short trials, and for conditional "
        "spaces.",
    .caps = ASSAY_HALVING_CAPS,
    .settings_schema = settings_schema,
    .check = assay_halving_check,
    .create = bohb_create,
    .update = assay_halving_update,
    .suggest = assay_halving_suggest,
    .destroy = assay_halving_destroy,
};

/* ASHA with configurations from a model: asynchronous successive halving in which new
 * trials come from a Gaussian process over configurations and rungs (surrogate.h).
 *
 * L. Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020; that
 * the rungs choose where new trials begin, and that promotions are held back, is after Y. Li
 * et al., "Hyper-Tune: towards efficient hyper-parameter tuning at scale", VLDB 2022.
 * README.md here says what is done otherwise and why. */
#include <string.h>

#include "suggest/algorithms/fidelity/asha.h"
#include "suggest/algorithms/fidelity/halving.h"

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": "
    "{"
    "\"type\": {\"type\": \"string\", \"enum\": [\"auto\", \"promotion\", \"stopping\"],"
    " \"default\": \"auto\", \"description\": \"promotion: trials pause at each rung and the best"
    " are resumed with a larger budget. stopping: trials get the whole budget and the rule asha"
    " stops those that fall behind. auto: promotion when the trial keeps checkpoints"
    " (trial.checkpoints), else stopping.\"},"
    "\"brackets\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 64, \"default\": 1,"
    " \"description\": \"Trials of bracket s start at rung s; more brackets than rungs count as"
    " many as there are rungs, and type stopping has one. More than one is for configurations that "
    "are slow to show what they"
    " are worth.\"},"
    "\"sampler\": {\"type\": \"string\", \"enum\": [\"model\", \"tpe\", \"random\"],"
    " \"default\": \"model\", \"description\": \"Where new configurations come from: a Gaussian"
    " process over all rungs, densities of good and bad trials (microseconds, where trials are"
    " many and short), or chance.\"},"
    "\"random_share\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 1, \"default\": 0.1,"
    " \"description\": \"Share of the new configurations that is random whatever the model"
    " says.\"}}}";

static enum assay_sampler_kind
sampler_of(const char *name)
{
    if (name != NULL && strcmp(name, "random") == 0)
        return ASSAY_SAMPLER_RANDOM;
    return name != NULL && strcmp(name, "tpe") == 0 ? ASSAY_SAMPLER_TPE : ASSAY_SAMPLER_MODEL;
}

bool
assay_asha_promotes(const json_t *settings, bool resumable)
{
    const char *type = json_string_value(json_object_get(settings, "type"));

    if (type == NULL || strcmp(type, "auto") == 0)
        return resumable;
    return strcmp(type, "promotion") == 0;
}

static int32_t
asha_create(const struct assay_plugin_study *study, void **ret_instance, char *error,
            uint64_t error_size)
{
    json_t *settings = assay_algorithm_settings(study);
    json_int_t brackets = json_integer_value(json_object_get(settings, "brackets"));
    bool promotes = assay_asha_promotes(settings, study->resumable != 0);
    const struct assay_halving_plan plan = {
        .name = "asha",
        .promotes = promotes,
        .brackets = promotes && brackets > 0 ? (size_t)brackets : 1,
        .sampler = sampler_of(json_string_value(json_object_get(settings, "sampler"))),
        .random_share = json_number_value(json_object_get(settings, "random_share")),
        .learns = sampler_of(json_string_value(json_object_get(settings, "sampler"))) !=
                  ASSAY_SAMPLER_RANDOM,
    };

    json_decref(settings);
    return assay_halving_create(study, &plan, ret_instance, error, error_size);
}

const struct assay_plugin_algorithm assay_algorithm_asha = {
    .struct_size = sizeof assay_algorithm_asha,
    .name = "asha",
    .description =
        "Asynchronous successive halving: many configurations get a small budget, the best of "
        "them more and more, and no worker ever waits. New configurations come from a Gaussian "
        "process that learns from every rung, and begin at the lowest rung that says something of "
        "the next. The first choice when trials are long and their "
        "early results say something about the late ones.",
    .caps = ASSAY_HALVING_CAPS,
    .settings_schema = settings_schema,
    .check = assay_halving_check,
    .create = asha_create,
    .update = assay_halving_update,
    .suggest = assay_halving_suggest,
    .destroy = assay_halving_destroy,
};

#include "suggest/needed_rule.h"

#include <math.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/fidelity/asha.h"
#include "suggest/registry.h"
#include "suggest/settings.h"

static bool
runs_asha(const struct assay_study_spec *spec)
{
    return spec->budget.name != NULL &&
           (strcmp(spec->algorithm.name, "asha") == 0 ||
            (strcmp(spec->algorithm.name, "auto") == 0 && spec->n_objectives == 1));
}

char *
assay_budget_note(const struct assay_study_spec *spec)
{
    const char *name = spec->algorithm.name;
    const struct assay_plugin_algorithm *algorithm = assay_registry_algorithm(name);

    if (spec->budget.name == NULL || algorithm == NULL)
        return NULL;
    if (strcmp(name, "auto") == 0 && spec->n_objectives > 1)
        return assay_format("auto makes no use of a budget with several objectives: every trial "
                            "gets all %.10g %s",
                            spec->budget.max, spec->budget.name);
    if (!(algorithm->caps & ASSAY_PLUGIN_CAP_BUDGET))
        return assay_format("%s makes no use of a budget: every trial gets all %.10g %s; auto, "
                            "asha, hyperband and bohb begin with less of it and go on with the "
                            "best",
                            name, spec->budget.max, spec->budget.name);
    if (strcmp(name, "auto") == 0)
        return assay_format("auto does as asha does in a study with a budget%s",
                            spec->trial != NULL && spec->trial->checkpoints
                                ? ""
                                : ": without trial.checkpoints every trial may get all of it, and "
                                  "the rule asha stops those that fall behind");
    return NULL;
}

json_t *
assay_needed_rule(const struct assay_study_spec *spec)
{
    bool resumable = spec->trial != NULL && spec->trial->checkpoints, promotes;
    json_t *schema, *settings;

    if (spec->early_stopping.name != NULL || !runs_asha(spec) ||
        assay_registry_rule("asha") == NULL)
        return NULL;
    schema = json_loads(assay_registry_algorithm("asha")->settings_schema, 0, NULL);
    settings = assay_settings_fill(
        schema, strcmp(spec->algorithm.name, "asha") == 0 ? spec->algorithm.settings : NULL);
    promotes = assay_asha_promotes(settings, resumable);
    json_decref(settings);
    json_decref(schema);
    if (promotes)
        return NULL;
    return json_pack("{s:s, s:{s:I, s:f}}", "name", "asha", "settings", "min_steps",
                     (json_int_t)fmax(ceil(spec->budget.min), 1.0), "eta", spec->budget.eta);
}

assay_status
assay_stopping_for(const struct assay_study_spec *spec, struct assay_stopping **ret_stopping,
                   struct assay_error *err)
{
    struct assay_study_spec own = *spec;
    json_t *needed = assay_needed_rule(spec);
    assay_auto_free char *name = NULL;
    assay_status status = ASSAY_OK;

    if (needed != NULL) {
        name = assay_strdup(json_string_value(json_object_get(needed, "name")));
        own.early_stopping = (struct assay_stopping_choice){
            .name = name, .settings = json_object_get(needed, "settings"), .checks = 1};
    }
    if (own.early_stopping.name != NULL)
        status = assay_stopping_new(&own, ret_stopping, err);
    else
        *ret_stopping = NULL;
    json_decref(needed);
    return status;
}

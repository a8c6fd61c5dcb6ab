#include "suggest/needed_rule.h"

#include <math.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/fidelity/asha.h"
#include "suggest/registry.h"
#include "suggest/settings.h"

json_t *
assay_needed_rule(const struct assay_study_spec *spec)
{
    bool resumable = spec->trial != NULL && spec->trial->checkpoints, promotes;
    json_t *schema, *settings;

    if (spec->early_stopping.name != NULL || spec->budget.name == NULL ||
        strcmp(spec->algorithm.name, "asha") != 0 || assay_registry_rule("asha") == NULL)
        return NULL;
    schema = json_loads(assay_registry_algorithm("asha")->settings_schema, 0, NULL);
    settings = assay_settings_fill(schema, spec->algorithm.settings);
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

#include "suggest/needed_rule.h"

#include <math.h>
#include <string.h>

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

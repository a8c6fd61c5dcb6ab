#include "suggest/needed_rule.h"

#include <string.h>

#include "suggest/algorithms/fidelity/halving.h"
#include "suggest/registry.h"
#include "suggest/settings.h"

#define RULE "asha"

/* Brackets of the algorithm by its settings; 0: it does not rely on the rule. */
static json_int_t
brackets_of(const struct assay_study_spec *spec, const json_t *settings)
{
    const char *name = spec->algorithm.name;

    if (strcmp(name, "asha") == 0)
        return json_integer_value(json_object_get(settings, "brackets"));
    return strcmp(name, "hyperband") == 0 || strcmp(name, "bohb") == 0 ? 64 : 0;
}

/* Those of `wanted` that the rule has. */
static json_t *
known_settings(const struct assay_plugin_rule *rule, json_t *wanted)
{
    json_t *schema = json_loads(rule->settings_schema, 0, NULL);
    json_t *properties = json_object_get(schema, "properties"), *known = json_object();
    const char *key;
    json_t *value;

    json_object_foreach(wanted, key, value)
    {
        if (json_object_get(properties, key) != NULL)
            json_object_set(known, key, value);
    }
    json_decref(wanted);
    json_decref(schema);
    return known;
}

json_t *
assay_needed_rule(const struct assay_study_spec *spec)
{
    const struct assay_plugin_algorithm *algorithm = assay_registry_algorithm(spec->algorithm.name);
    const struct assay_plugin_rule *rule = assay_registry_rule(RULE);
    json_t *schema, *settings, *needed = NULL;
    json_int_t brackets;

    if (spec->early_stopping.name != NULL || spec->budget.name == NULL || rule == NULL ||
        algorithm == NULL)
        return NULL;
    schema = json_loads(algorithm->settings_schema, 0, NULL);
    settings = assay_settings_fill(schema, spec->algorithm.settings);
    brackets = brackets_of(spec, settings);
    if (brackets > 0 &&
        !assay_halving_promotes(settings, spec->trial != NULL && spec->trial->checkpoints))
        needed = json_pack(
            "{s:s, s:o}", "name", RULE, "settings",
            known_settings(rule, json_pack("{s:f, s:f, s:f, s:I}", "min", spec->budget.min, "max",
                                           spec->budget.max, "eta", spec->budget.eta, "brackets",
                                           brackets)));
    json_decref(settings);
    json_decref(schema);
    return needed;
}

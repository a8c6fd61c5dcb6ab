#include "suggest/stopping.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/number.h"
#include "suggest/registry.h"
#include "suggest/settings.h"

struct assay_stopping {
    const struct assay_plugin_rule *rule;
    void *instance;
    char *metric;
};

uint32_t
assay_plugin_state(enum assay_trial_state state)
{
    switch (state) {
    case ASSAY_TRIAL_SUCCEEDED:
        return ASSAY_PLUGIN_SUCCEEDED;
    case ASSAY_TRIAL_STOPPED:
        return ASSAY_PLUGIN_STOPPED;
    case ASSAY_TRIAL_INFEASIBLE:
        return ASSAY_PLUGIN_INFEASIBLE;
    case ASSAY_TRIAL_FAILED:
        return ASSAY_PLUGIN_FAILED;
    case ASSAY_TRIAL_CANCELLED:
        return ASSAY_PLUGIN_CANCELLED;
    default:
        return ASSAY_PLUGIN_PENDING;
    }
}

assay_status
assay_stopping_new(const struct assay_study_spec *spec, struct assay_stopping **ret_stopping,
                   struct assay_error *err)
{
    const struct assay_plugin_rule *rule = assay_registry_rule(spec->early_stopping.name);
    const struct assay_objective *objective = &spec->objectives[0];
    assay_auto_free char *settings = NULL;
    char reason[256] = "no reason given";
    json_t *schema, *filled;
    void *instance;
    int32_t result;

    if (rule == NULL)
        return assay_fail(err, ASSAY_E_PLUGIN, "there is no stopping rule %s",
                          spec->early_stopping.name);
    schema = json_loads(rule->settings_schema, 0, NULL);
    filled = assay_settings_fill(schema, spec->early_stopping.settings);
    settings = json_dumps(filled, 0);
    json_decref(filled);
    json_decref(schema);
    result = rule->create(
        &(struct assay_plugin_rule_study){
            .metric = objective->metric,
            .maximize = objective->goal == ASSAY_GOAL_MAXIMIZE,
            .settings = settings,
            .seed = spec->seed,
        },
        &instance, reason, sizeof reason);
    if (result != ASSAY_PLUGIN_OK)
        return assay_fail(err, ASSAY_E_PLUGIN, "stopping rule %s: %s", rule->name, reason);
    *ret_stopping = ASSAY_NEW(struct assay_stopping);
    **ret_stopping = (struct assay_stopping){
        .rule = rule,
        .instance = instance,
        .metric = assay_strdup(objective->metric),
    };
    return ASSAY_OK;
}

struct assay_stopping *
assay_stopping_free(struct assay_stopping *stopping)
{
    if (stopping == NULL)
        return NULL;
    stopping->rule->destroy(stopping->instance);
    free(stopping->metric);
    free(stopping);
    return NULL;
}

void
assay_stopping_report(struct assay_stopping *stopping, int64_t number, int64_t step, double value,
                      struct assay_decision *ret_decision)
{
    struct assay_plugin_decision decision = {
        .value = NAN,
        .threshold = NAN,
        .step = step,
        .sentence = ret_decision->sentence,
        .sentence_size = sizeof ret_decision->sentence,
    };

    ret_decision->sentence[0] = '\0';
    stopping->rule->report(stopping->instance, number, step, value, &decision);
    ret_decision->sentence[sizeof ret_decision->sentence - 1] = '\0';
    ret_decision->stop = decision.stop != 0;
    ret_decision->rule = stopping->rule->name;
    ret_decision->metric = stopping->metric;
    ret_decision->value = decision.value;
    ret_decision->threshold = decision.threshold;
    ret_decision->step = decision.step;
    ret_decision->compared = decision.compared;
}

void
assay_stopping_finish(struct assay_stopping *stopping, int64_t number, enum assay_trial_state state)
{
    stopping->rule->finish(stopping->instance, number, assay_plugin_state(state));
}

json_t *
assay_decision_encode(const struct assay_decision *decision)
{
    json_t *record = json_object();

    json_object_set_new(record, "rule", json_string(decision->rule));
    json_object_set_new(record, "metric", json_string(decision->metric));
    json_object_set_new(record, "value", assay_json_real(decision->value));
    json_object_set_new(record, "threshold", assay_json_real(decision->threshold));
    json_object_set_new(record, "step", json_integer(decision->step));
    json_object_set_new(record, "compared", json_integer((json_int_t)decision->compared));
    return record;
}

/* Stops a trial that has ceased to improve: the best of its last `patience`
 * measurements is not better, by more than `min_delta`, than the best before them.
 *
 * Values that are not finite are no improvement.  Other trials play no part.  Cost:
 * O(patience) up to the 1,024 segments of a curve; memory about 1 KiB for each live
 * trial (rules/live.h).  Past 1,024 measurements neighbours are merged, and the window
 * may hold up to twice as many as asked for. */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/rules/live.h"
#include "suggest/rules/rules.h"
#include "suggest/rules/settings_of.h"

struct patience {
    char *metric;
    int64_t patience, warmup_steps;
    double min_delta;
    struct assay_live_set live;
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"patience\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 10,"
    " \"description\": \"Measurements that may pass without an improvement.\"},"
    "\"min_delta\": {\"type\": \"number\", \"minimum\": 0, \"default\": 0,"
    " \"description\": \"An improvement is better by more than this.\"},"
    "\"warmup_steps\": {\"type\": \"integer\", \"minimum\": 0, \"default\": 0,"
    " \"description\": \"No trial is stopped at a step below this.\"}}}";

static int32_t
patience_create(const struct assay_plugin_rule_study *study, void **ret_instance, char *error,
                uint64_t error_size)
{
    json_t *settings = assay_rule_settings(study, error, error_size);
    struct patience *rule;

    if (settings == NULL)
        return ASSAY_PLUGIN_ERROR;
    rule = ASSAY_NEW(struct patience);
    rule->metric = assay_strdup(study->metric);
    rule->patience = assay_rule_integer(settings, "patience");
    rule->min_delta = assay_rule_real(settings, "min_delta");
    rule->warmup_steps = assay_rule_integer(settings, "warmup_steps");
    assay_live_init(&rule->live, study->maximize != 0);
    json_decref(settings);
    *ret_instance = rule;
    return ASSAY_PLUGIN_OK;
}

static void
patience_report(void *instance, int64_t number, int64_t step, double value,
                struct assay_plugin_decision *decision)
{
    struct patience *rule = instance;
    struct assay_live *live = assay_live_report(&rule->live, number, step, value);
    double recent = INFINITY, before = INFINITY;
    int64_t measured = 0;
    size_t i;

    if (live == NULL || live->curve.last_step < rule->warmup_steps)
        return;
    for (i = live->curve.count; i > 0 && measured < rule->patience; i--) {
        recent = fmin(recent, live->curve.segments[i - 1].best);
        measured += live->curve.segments[i - 1].steps;
    }
    if (i == 0)
        return;
    while (i > 0)
        before = fmin(before, live->curve.segments[--i].best);
    decision->value = assay_live_shown(&rule->live, recent);
    decision->threshold = assay_live_shown(&rule->live, before - rule->min_delta);
    decision->step = live->curve.last_step;
    decision->stop = !(recent < before - rule->min_delta);
    if (!decision->stop)
        return;
    if (isinf(before))
        snprintf(decision->sentence, decision->sentence_size,
                 "%.80s has had no finite value in %lld measurements up to step %lld", rule->metric,
                 (long long)(measured + 1), (long long)decision->step);
    else
        snprintf(decision->sentence, decision->sentence_size,
                 "%.80s has not improved on %.6g%s in its last %lld measurements up to step %lld",
                 rule->metric, rule->live.sign * before,
                 rule->min_delta > 0.0 ? " by more than min_delta" : "", (long long)measured,
                 (long long)decision->step);
}

static void
patience_finish(void *instance, int64_t number, uint32_t state)
{
    struct patience *rule = instance;
    struct assay_live *live = assay_live_find(&rule->live, number);

    (void)state;
    if (live != NULL)
        assay_live_drop(&rule->live, live);
}

static void
patience_destroy(void *instance)
{
    struct patience *rule = instance;

    assay_live_done(&rule->live);
    free(rule->metric);
    free(rule);
}

const struct assay_plugin_rule assay_rule_patience = {
    .struct_size = sizeof assay_rule_patience,
    .name = "patience",
    .description = "Stops a trial that has not improved for so many measurements.",
    .settings_schema = settings_schema,
    .create = patience_create,
    .report = patience_report,
    .finish = patience_finish,
    .destroy = patience_destroy,
};

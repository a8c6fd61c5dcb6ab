/* Stops a trial whose metric leaves given bounds, is not finite, or diverges.
 *
 * `min`, `max`: in the metric's own direction and unit, both allowed.  `not_finite`: NaN
 * and the infinities.  `diverging`: the value is worse than the trial's best by more than
 * so many times the greater of |best| and |first|, the trial's first finite value.  Any of
 * them at the last `checks` measured steps stops it.
 *
 * Other trials play no part.  Cost: O(checks) and the 1,024 segments of a curve at most;
 * memory about 1 KiB for each live trial (rules/live.h). */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/rules/live.h"
#include "suggest/rules/rules.h"
#include "suggest/rules/settings_of.h"

struct threshold {
    char *metric;
    double min, max, diverging; /* NaN: not asked for */
    bool not_finite;
    int64_t checks, warmup_steps;
    struct assay_live_set live; /* figure: the first finite value */
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"min\": {\"type\": \"number\", \"description\": \"A trial that measures less is stopped.\"},"
    "\"max\": {\"type\": \"number\", \"description\": \"A trial that measures more is stopped.\"},"
    "\"not_finite\": {\"type\": \"boolean\", \"default\": true,"
    " \"description\": \"A trial that measures nan or inf is stopped.\"},"
    "\"diverging\": {\"type\": \"number\", \"minimum\": 0, \"description\": \"A trial is stopped"
    " when it is worse than its best by more than so many times the greater of its best and its"
    " first value.\"},"
    "\"checks\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 1000, \"default\": 1,"
    " \"description\": \"At so many measured steps in a row.\"},"
    "\"warmup_steps\": {\"type\": \"integer\", \"minimum\": 0, \"default\": 0,"
    " \"description\": \"No trial is stopped at a step below this.\"}}}";

static int32_t
threshold_create(const struct assay_plugin_rule_study *study, void **ret_instance, char *error,
                 uint64_t error_size)
{
    json_t *settings = assay_rule_settings(study, error, error_size);
    struct threshold *rule;

    if (settings == NULL)
        return ASSAY_PLUGIN_ERROR;
    rule = ASSAY_NEW(struct threshold);
    rule->metric = assay_strdup(study->metric);
    rule->min = assay_rule_real(settings, "min");
    rule->max = assay_rule_real(settings, "max");
    rule->diverging = assay_rule_real(settings, "diverging");
    rule->not_finite = assay_rule_flag(settings, "not_finite");
    rule->checks = assay_rule_integer(settings, "checks");
    rule->warmup_steps = assay_rule_integer(settings, "warmup_steps");
    assay_live_init(&rule->live, study->maximize != 0);
    json_decref(settings);
    *ret_instance = rule;
    return ASSAY_PLUGIN_OK;
}

/* From where on a value, minimised, counts as diverged; NaN: never. */
static double
divergence(const struct threshold *rule, const struct assay_live *live)
{
    return live->curve.best + rule->diverging * fmax(fabs(live->curve.best), fabs(live->figure));
}

/* Whether the segment is out of bounds, and of which. */
static bool
is_out(const struct threshold *rule, const struct assay_live *live,
       const struct assay_segment *segment, double *ret_value, double *ret_bound)
{
    double value = segment->sum / (double)segment->finite; /* minimised; NaN without one */
    double shown = rule->live.sign * value;

    *ret_value = shown;
    *ret_bound = NAN;
    if (segment->finite == 0)
        return rule->not_finite;
    *ret_bound = rule->min;
    if (shown < rule->min)
        return true;
    *ret_bound = rule->max;
    if (shown > rule->max)
        return true;
    *ret_bound = rule->live.sign * divergence(rule, live);
    return value > divergence(rule, live);
}

static void
explain(const struct threshold *rule, struct assay_plugin_decision *decision)
{
    if (isnan(decision->value))
        snprintf(decision->sentence, decision->sentence_size, "%.80s is not finite at step %lld",
                 rule->metric, (long long)decision->step);
    else
        snprintf(decision->sentence, decision->sentence_size,
                 "%.80s at step %lld, %.6g, is %s %.6g", rule->metric, (long long)decision->step,
                 decision->value, decision->value < decision->threshold ? "below" : "above",
                 decision->threshold);
}

static void
threshold_report(void *instance, int64_t number, int64_t step, double value,
                 struct assay_plugin_decision *decision)
{
    struct threshold *rule = instance;
    struct assay_live *live = assay_live_report(&rule->live, number, step, value);
    double found = NAN, bound = NAN;

    if (live == NULL)
        return;
    if (isnan(live->figure) && isfinite(value))
        live->figure = rule->live.sign * value;
    if (live->curve.last_step < rule->warmup_steps || live->curve.count < (size_t)rule->checks)
        return;
    for (size_t back = (size_t)rule->checks; back >= 1; back--) {
        if (!is_out(rule, live, &live->curve.segments[live->curve.count - back], &found, &bound))
            return;
    }
    decision->stop = 1;
    decision->value = found;
    decision->threshold = bound;
    decision->step = live->curve.last_step;
    explain(rule, decision);
}

static void
threshold_finish(void *instance, int64_t number, uint32_t state)
{
    struct threshold *rule = instance;
    struct assay_live *live = assay_live_find(&rule->live, number);

    (void)state;
    if (live != NULL)
        assay_live_drop(&rule->live, live);
}

static void
threshold_destroy(void *instance)
{
    struct threshold *rule = instance;

    assay_live_done(&rule->live);
    free(rule->metric);
    free(rule);
}

const struct assay_plugin_rule assay_rule_threshold = {
    .struct_size = sizeof assay_rule_threshold,
    .name = "threshold",
    .description = "Stops a trial whose metric leaves given bounds, is not finite, or diverges.",
    .settings_schema = settings_schema,
    .create = threshold_create,
    .report = threshold_report,
    .finish = threshold_finish,
    .destroy = threshold_destroy,
};

/* Rules that compare a trial's best value so far with a quantile of what the completed
 * trials had reached by the same step.
 *
 * `median`: the median stopping rule of Vizier (D. Golovin et al., "Google Vizier: a
 * service for black-box optimization", KDD 2017): at step s a trial is stopped when its
 * best value up to s is strictly worse than the median, over the completed trials, of
 * their running averages up to s.
 *
 * `best_median`: the median of the completed trials' best values up to s.  With steeply
 * falling curves the first steps dominate running averages and the paper's rule hardly
 * ever fires; this one does.
 *
 * `percentile`: any quantile, of best values, running averages or values at the step.
 *
 * The running average of a completed trial at s is the mean of its finite values at
 * steps up to s; every figure is carried on from one measurement to the next and past
 * the last, so trials may measure at different steps.  "Completed" is succeeded: trials
 * that were stopped are no measure for others.  Values that are not finite never
 * improve a trial; a trial with none but such is worse than any threshold.
 *
 * With running averages and best values the trial that is best so far is never stopped:
 * its best value is no worse than any completed trial's best, hence than any running
 * average, hence than a quantile of them.
 *
 * Decisions cost O(log columns); a newest-step report is O(1), the end of a trial
 * O(columns * log trials).  Memory: at most 6 MiB of columns (rules/columns.h) and about
 * 1 KiB for each live trial (rules/live.h). */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/rules/columns.h"
#include "suggest/rules/live.h"
#include "suggest/rules/rules.h"
#include "suggest/rules/settings_of.h"

enum figure { RUNNING_AVERAGE, BEST_SO_FAR, LAST_VALUE };

static const char *const figure_words[] = {"running averages", "best values", "values"};

struct percentile {
    char *metric;
    enum figure figure;
    double share; /* of the completed trials that a trial must not be worse than */
    int64_t min_trials, warmup_steps, interval;
    struct assay_live_set live; /* figure: unused; mark: 1 + step of the last decision */
    struct assay_columns columns;
};

#define COMMON_SETTINGS                                                                            \
    "\"min_trials\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 5,"                      \
    " \"description\": \"Completed trials that must have measured by a step before any trial is"   \
    " stopped there.\"},"                                                                          \
    "\"warmup_steps\": {\"type\": \"integer\", \"minimum\": 0, \"default\": 3,"                    \
    " \"description\": \"No trial is stopped at a step below this.\"},"                            \
    "\"interval\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 1,"                        \
    " \"description\": \"Steps between two decisions on a trial.\"}"

static const char median_settings[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {" COMMON_SETTINGS ","
    "\"compare\": {\"type\": \"string\", \"enum\": [\"running_average\", \"best_so_far\"],"
    " \"default\": \"running_average\", \"description\": \"Of which figure of the completed trials"
    " the median is taken; best_so_far is stricter where curves fall steeply.\"}}}";

static const char best_median_settings[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {" COMMON_SETTINGS
    "}}";

static const char percentile_settings[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {" COMMON_SETTINGS ","
    "\"percentile\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 100, \"default\": 50,"
    " \"description\": \"A trial goes on while it is among the best so many percent of the"
    " completed trials.\"},"
    "\"compare\": {\"type\": \"string\", \"enum\": [\"best_so_far\", \"running_average\","
    " \"last_value\"], \"default\": \"best_so_far\", \"description\": \"Which figure of the"
    " completed trials its best value so far is compared with.\"}}}";

static int32_t
create(const struct assay_plugin_rule_study *study, enum figure figure, void **ret_instance,
       char *error, uint64_t error_size)
{
    json_t *settings = assay_rule_settings(study, error, error_size);
    struct percentile *rule;

    if (settings == NULL)
        return ASSAY_PLUGIN_ERROR;
    rule = ASSAY_NEW(struct percentile);
    rule->metric = assay_strdup(study->metric);
    rule->figure = assay_rule_is(settings, "compare", "running_average") ? RUNNING_AVERAGE
                   : assay_rule_is(settings, "compare", "best_so_far")   ? BEST_SO_FAR
                   : assay_rule_is(settings, "compare", "last_value")    ? LAST_VALUE
                                                                         : figure;
    rule->share = assay_rule_real(settings, "percentile") / 100.0;
    if (isnan(rule->share))
        rule->share = 0.5;
    rule->min_trials = assay_rule_integer(settings, "min_trials");
    rule->warmup_steps = assay_rule_integer(settings, "warmup_steps");
    rule->interval = assay_rule_integer(settings, "interval");
    assay_live_init(&rule->live, study->maximize != 0);
    assay_columns_init(&rule->columns);
    json_decref(settings);
    *ret_instance = rule;
    return ASSAY_PLUGIN_OK;
}

static int32_t
median_create(const struct assay_plugin_rule_study *study, void **ret_instance, char *error,
              uint64_t error_size)
{
    return create(study, RUNNING_AVERAGE, ret_instance, error, error_size);
}

static int32_t
best_create(const struct assay_plugin_rule_study *study, void **ret_instance, char *error,
            uint64_t error_size)
{
    return create(study, BEST_SO_FAR, ret_instance, error, error_size);
}

static void
explain(const struct percentile *rule, struct assay_plugin_decision *decision)
{
    const char *figures = figure_words[rule->figure];
    char name[64];

    if (rule->share == 0.5)
        snprintf(name, sizeof name, "the median");
    else
        snprintf(name, sizeof name, "the best %.4g %% ends", 100.0 * rule->share);
    /* Six digits for the reader; the record has the exact figures. */
    if (isnan(decision->value))
        snprintf(decision->sentence, decision->sentence_size,
                 "%.80s had no finite value up to step %lld, while %s of the %s of %llu "
                 "completed trials is %.6g",
                 rule->metric, (long long)decision->step,
                 rule->share == 0.5 ? name : "the quantile", figures,
                 (unsigned long long)decision->compared, decision->threshold);
    else if (rule->share == 0.5)
        snprintf(decision->sentence, decision->sentence_size,
                 "the best %.80s up to step %lld, %.6g, is worse than %.6g, the median of the %s "
                 "of %llu completed trials",
                 rule->metric, (long long)decision->step, decision->value, decision->threshold,
                 figures, (unsigned long long)decision->compared);
    else
        snprintf(decision->sentence, decision->sentence_size,
                 "the best %.80s up to step %lld, %.6g, is worse than %.6g, where %s of the %s "
                 "of %llu completed trials",
                 rule->metric, (long long)decision->step, decision->value, decision->threshold,
                 name, figures, (unsigned long long)decision->compared);
}

static void
decide(const struct percentile *rule, struct assay_live *live,
       struct assay_plugin_decision *decision)
{
    int64_t step = live->curve.last_step;
    const struct assay_column *column = assay_columns_find(&rule->columns, step);
    double threshold;

    if (step < rule->warmup_steps)
        return;
    /* Again at the same step: its value may be another now. */
    if (live->mark > 0 && step != live->mark - 1 && step - (live->mark - 1) < rule->interval)
        return;
    live->mark = ASSAY_MIN(step, INT64_MAX - 1) + 1;
    if (column == NULL || column->trials < (uint64_t)rule->min_trials || column->count == 0)
        return;
    threshold = assay_column_quantile(column, rule->share);
    decision->value = assay_live_shown(&rule->live, live->curve.best);
    decision->threshold = rule->live.sign * threshold;
    decision->step = step;
    decision->compared = column->trials;
    decision->stop = live->curve.best > threshold;
    if (decision->stop)
        explain(rule, decision);
}

static void
report(void *instance, int64_t number, int64_t step, double value,
       struct assay_plugin_decision *decision)
{
    struct percentile *rule = instance;
    struct assay_live *live = assay_live_report(&rule->live, number, step, value);

    if (live != NULL)
        decide(rule, live, decision);
}

/* Takes a completed trial's curve into the columns. */
static void
compare_with(struct percentile *rule, int64_t number, const struct assay_curve *curve)
{
    assay_auto_free int64_t *steps = assay_alloc(curve->count + 1, sizeof *steps);
    assay_auto_free double *figures = assay_alloc(curve->count + 1, sizeof *figures);
    double sum = 0.0, best = INFINITY, last = INFINITY;
    uint64_t finite = 0;
    size_t n = 0;

    for (size_t i = 0; i < curve->count; i++) {
        const struct assay_segment *segment = &curve->segments[i];

        sum += segment->sum;
        finite += segment->finite;
        best = fmin(best, segment->best);
        if (segment->finite > 0)
            last = segment->sum / (double)segment->finite;
        if (finite == 0)
            continue;
        steps[n] = segment->last;
        /* A mean is no less than the smallest value, whatever rounding makes of it. */
        figures[n++] = rule->figure == BEST_SO_FAR  ? best
                       : rule->figure == LAST_VALUE ? last
                                                    : fmax(sum / (double)finite, best);
    }
    assay_columns_add(&rule->columns, number, steps, figures, n);
}

static void
finish(void *instance, int64_t number, uint32_t state)
{
    struct percentile *rule = instance;
    struct assay_live *live = assay_live_find(&rule->live, number);

    if (live == NULL)
        return;
    if (state == ASSAY_PLUGIN_SUCCEEDED)
        compare_with(rule, number, &live->curve);
    assay_live_drop(&rule->live, live);
}

static void
destroy(void *instance)
{
    struct percentile *rule = instance;

    assay_live_done(&rule->live);
    assay_columns_done(&rule->columns);
    free(rule->metric);
    free(rule);
}

const struct assay_plugin_rule assay_rule_median = {
    .struct_size = sizeof assay_rule_median,
    .name = "median",
    .description =
        "Stops a trial whose best value so far is worse than the median of the completed "
        "trials' running averages up to the same step.",
    .settings_schema = median_settings,
    .create = median_create,
    .report = report,
    .finish = finish,
    .destroy = destroy,
};

const struct assay_plugin_rule assay_rule_best_median = {
    .struct_size = sizeof assay_rule_best_median,
    .name = "best_median",
    .description =
        "Stops a trial whose best value so far is worse than the median of the completed "
        "trials' best values up to the same step; for curves that fall steeply.",
    .settings_schema = best_median_settings,
    .create = best_create,
    .report = report,
    .finish = finish,
    .destroy = destroy,
};

const struct assay_plugin_rule assay_rule_percentile = {
    .struct_size = sizeof assay_rule_percentile,
    .name = "percentile",
    .description = "Stops a trial whose best value so far is not among the best so many percent of "
                   "what the completed trials had reached by the same step.",
    .settings_schema = percentile_settings,
    .create = best_create,
    .report = report,
    .finish = finish,
    .destroy = destroy,
};

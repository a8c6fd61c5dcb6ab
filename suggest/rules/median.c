/* The median stopping rule of Vizier (D. Golovin et al., "Google Vizier: a service
 * for black-box optimization", KDD 2017): at step s a trial is stopped when its best
 * value up to s is strictly worse than the median, over the completed trials, of
 * their running averages up to s.
 *
 * The running average of a completed trial at s is the mean of its finite values at
 * steps up to s, carried on past its last step.  "Completed" is succeeded: trials
 * that were stopped are no measure for others.  Values that are not finite never
 * improve a trial; a trial with none but such is worse than any threshold.
 *
 * With steeply falling curves the first steps dominate running averages and the
 * rule hardly ever fires; `compare: best_so_far` takes the median of the completed
 * trials' best values up to s instead, which is stricter.
 *
 * The trial that is best so far is never stopped: its best value is no worse than
 * any completed trial's best, hence than any running average, hence than a median.
 *
 * Decisions cost O(log columns); a newest-step report is O(1), the end of a trial
 * O(columns * log trials).
 *
 * Memory: at most 4 MiB of columns (rules/columns.h) and about 1 KiB for each live
 * trial, of which there may be LIVE_MAX; those past that are left alone.  A live
 * curve is exact up to 1,024 steps while there are no more than 64 live trials, up
 * to 65,536 / n while there are n, and always up to 16 (rules/curve.h). */
#include <math.h>
#include <stdlib.h>

#include <jansson.h>

#include "common/memory.h"
#include "common/number.h"
#include "suggest/rules/columns.h"
#include "suggest/rules/curve.h"
#include "suggest/rules/rules.h"

#define LIVE_MAX 16384
#define SEGMENTS_TOTAL 65536 /* shared by the live trials, */
#define SEGMENTS_MIN 16      /* but each has so many */
#define SEGMENTS_MAX 1024
#define BUCKETS 1024

struct live {
    struct live *next; /* of the same bucket */
    int64_t number;
    int64_t decided_step; /* of the last decision; -1 = none */
    struct assay_curve curve;
};

struct median {
    char *metric;
    bool maximize;
    bool best_so_far;
    int64_t min_trials, warmup_steps, interval;
    struct live *buckets[BUCKETS];
    size_t n_live;
    struct assay_columns columns;
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"min_trials\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 5,"
    " \"description\": \"Completed trials that must have measured by a step before any trial is"
    " stopped there.\"},"
    "\"warmup_steps\": {\"type\": \"integer\", \"minimum\": 0, \"default\": 3,"
    " \"description\": \"No trial is stopped at a step below this.\"},"
    "\"interval\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 1,"
    " \"description\": \"Steps between two decisions on a trial.\"},"
    "\"compare\": {\"type\": \"string\", \"enum\": [\"running_average\", \"best_so_far\"],"
    " \"default\": \"running_average\", \"description\": \"Of which figure of the completed trials"
    " the median is taken; best_so_far is stricter where curves fall steeply.\"}}}";

static int32_t
median_create(const struct assay_plugin_rule_study *study, void **ret_instance, char *error,
              uint64_t error_size)
{
    json_t *settings = json_loads(study->settings, 0, NULL);
    const char *compare = json_string_value(json_object_get(settings, "compare"));
    struct median *median;

    if (settings == NULL) {
        snprintf(error, error_size, "the settings are not valid JSON");
        return ASSAY_PLUGIN_ERROR;
    }
    median = ASSAY_NEW(struct median);
    median->metric = assay_strdup(study->metric);
    median->maximize = study->maximize != 0;
    median->best_so_far = compare != NULL && strcmp(compare, "best_so_far") == 0;
    /* Integers may come written as reals (5.0). */
    median->min_trials = (int64_t)json_number_value(json_object_get(settings, "min_trials"));
    median->warmup_steps = (int64_t)json_number_value(json_object_get(settings, "warmup_steps"));
    median->interval = (int64_t)json_number_value(json_object_get(settings, "interval"));
    assay_columns_init(&median->columns);
    json_decref(settings);
    *ret_instance = median;
    return ASSAY_PLUGIN_OK;
}

static struct live **
find_live(struct median *median, int64_t number)
{
    struct live **at = &median->buckets[(uint64_t)number % BUCKETS];

    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

static void
drop_live(struct median *median, struct live **at)
{
    struct live *live = *at;

    *at = live->next;
    assay_curve_done(&live->curve);
    free(live);
    median->n_live--;
}

static void
explain(const struct median *median, struct assay_plugin_decision *decision)
{
    const char *figures = median->best_so_far ? "best values" : "running averages";
    char value[ASSAY_DOUBLE_TEXT], threshold[ASSAY_DOUBLE_TEXT];

    /* Six digits for the reader; the record has the exact figures. */
    snprintf(value, sizeof value, "%.6g", decision->value);
    snprintf(threshold, sizeof threshold, "%.6g", decision->threshold);
    if (isnan(decision->value))
        snprintf(decision->sentence, decision->sentence_size,
                 "%.80s had no finite value up to step %lld, while the median of the %s of %llu "
                 "completed trials is %s",
                 median->metric, (long long)decision->step, figures,
                 (unsigned long long)decision->compared, threshold);
    else
        snprintf(decision->sentence, decision->sentence_size,
                 "the best %.80s up to step %lld, %s, is worse than %s, the median of the %s of "
                 "%llu completed trials",
                 median->metric, (long long)decision->step, value, threshold, figures,
                 (unsigned long long)decision->compared);
}

static void
decide(const struct median *median, struct live *live, struct assay_plugin_decision *decision)
{
    int64_t step = live->curve.last_step;
    const struct assay_column *column = assay_columns_find(&median->columns, step);
    double sign = median->maximize ? -1.0 : 1.0, threshold;

    if (step < median->warmup_steps)
        return;
    /* Again at the same step: its value may be another now. */
    if (live->decided_step >= 0 && step != live->decided_step &&
        step - live->decided_step < median->interval)
        return;
    live->decided_step = step;
    if (column == NULL || column->trials < (uint64_t)median->min_trials || column->count == 0)
        return;
    threshold = assay_column_median(column);
    decision->value = isinf(live->curve.best) ? NAN : sign * live->curve.best;
    decision->threshold = sign * threshold;
    decision->step = step;
    decision->compared = column->trials;
    decision->stop = live->curve.best > threshold;
    if (decision->stop)
        explain(median, decision);
}

static void
median_report(void *instance, int64_t number, int64_t step, double value,
              struct assay_plugin_decision *decision)
{
    struct median *median = instance;
    struct live **at = find_live(median, number), *live = *at;
    size_t limit;

    if (step < 0 || (live == NULL && median->n_live >= LIVE_MAX))
        return;
    if (live == NULL) {
        live = ASSAY_NEW(struct live);
        live->number = number;
        live->decided_step = -1;
        assay_curve_init(&live->curve);
        *at = live;
        median->n_live++;
    }
    limit = ASSAY_MIN(SEGMENTS_TOTAL / median->n_live, (size_t)SEGMENTS_MAX);
    assay_curve_add(&live->curve, step, median->maximize ? -value : value,
                    ASSAY_MAX(limit, (size_t)SEGMENTS_MIN));
    decide(median, live, decision);
}

/* Takes a completed trial's curve into the columns. */
static void
compare_with(struct median *median, const struct assay_curve *curve)
{
    assay_auto_free int64_t *steps = assay_alloc(curve->count + 1, sizeof *steps);
    assay_auto_free double *figures = assay_alloc(curve->count + 1, sizeof *figures);
    double sum = 0.0, best = INFINITY;
    uint64_t finite = 0;
    size_t n = 0;

    for (size_t i = 0; i < curve->count; i++) {
        sum += curve->segments[i].sum;
        finite += curve->segments[i].finite;
        best = fmin(best, curve->segments[i].best);
        if (finite == 0)
            continue;
        steps[n] = curve->segments[i].last;
        /* A mean is no less than the smallest value, whatever rounding makes of it. */
        figures[n++] = median->best_so_far ? best : fmax(sum / (double)finite, best);
    }
    assay_columns_add(&median->columns, steps, figures, n);
}

static void
median_finish(void *instance, int64_t number, uint32_t state)
{
    struct median *median = instance;
    struct live **at = find_live(median, number);

    if (*at == NULL)
        return;
    if (state == ASSAY_PLUGIN_SUCCEEDED)
        compare_with(median, &(*at)->curve);
    drop_live(median, at);
}

static void
median_destroy(void *instance)
{
    struct median *median = instance;

    for (size_t b = 0; b < BUCKETS; b++) {
        while (median->buckets[b] != NULL)
            drop_live(median, &median->buckets[b]);
    }
    assay_columns_done(&median->columns);
    free(median->metric);
    free(median);
}

const struct assay_plugin_rule assay_rule_median = {
    .struct_size = sizeof assay_rule_median,
    .name = "median",
    .description =
        "Stops a trial whose best value so far is worse than the median of the completed "
        "trials' running averages up to the same step.",
    .settings_schema = settings_schema,
    .create = median_create,
    .report = median_report,
    .finish = median_finish,
    .destroy = median_destroy,
};

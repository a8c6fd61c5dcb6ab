/* Stops a trial that is significantly worse, fold by fold, than the best complete one:
 * for metrics measured once for each fold, data set or instance, where a step is the
 * fold's number and the trial's value is the mean over folds.
 *
 * Differences to the best trial at the folds both have measured go through Wilcoxon's
 * signed-rank test (F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics
 * Bulletin 1945), one-sided; the trial stops when p < `p`, unless its mean over these
 * folds is no worse.  Zero differences give half their ranks to either side, ties share
 * theirs.  The distribution is exact up to EXACT_MAX folds without zeros and ties, and
 * normal with the variance of the ranks otherwise.  "Best" is the succeeded trial with
 * the best mean; of trials with equal means the first.  A value that is not finite is
 * worse than any difference.
 *
 * Cost: O(folds log folds), with FOLDS_MAX of them kept; memory 32 KiB and about 1 KiB
 * for each live trial (rules/live.h). */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/rules/live.h"
#include "suggest/rules/rules.h"
#include "suggest/rules/settings_of.h"

#define FOLDS_MAX 1024
#define EXACT_MAX 25

struct wilcoxon {
    char *metric;
    double p;
    int64_t min_folds;
    struct assay_live_set live;
    int64_t best_number;
    double best_mean; /* NaN: no complete trial yet */
    int64_t folds[FOLDS_MAX];
    double values[FOLDS_MAX]; /* of the best trial */
    size_t n;
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"p\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 0.5, \"default\": 0.1,"
    " \"description\": \"A trial is stopped when chance would make it look as bad with a"
    " probability below this.\"},"
    "\"min_folds\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 2,"
    " \"description\": \"Folds measured by both before a trial is stopped.\"}}}";

static int32_t
wilcoxon_create(const struct assay_plugin_rule_study *study, void **ret_instance, char *error,
                uint64_t error_size)
{
    json_t *settings = assay_rule_settings(study, error, error_size);
    struct wilcoxon *rule;

    if (settings == NULL)
        return ASSAY_PLUGIN_ERROR;
    rule = ASSAY_NEW(struct wilcoxon);
    rule->metric = assay_strdup(study->metric);
    rule->p = assay_rule_real(settings, "p");
    rule->min_folds = assay_rule_integer(settings, "min_folds");
    rule->best_mean = NAN;
    assay_live_init(&rule->live, study->maximize != 0);
    json_decref(settings);
    *ret_instance = rule;
    return ASSAY_PLUGIN_OK;
}

struct difference {
    double size, value;
};

static int
compare_sizes(const void *a, const void *b)
{
    double x = ((const struct difference *)a)->size, y = ((const struct difference *)b)->size;

    return x < y ? -1 : x > y;
}

/* Probability of a rank sum of at least `sum` when each of the ranks 1..n is in it with
 * one half. */
static double
exact_tail(size_t n, double sum)
{
    double ways[EXACT_MAX * (EXACT_MAX + 1) / 2 + 1] = {1.0}, tail = 0.0;
    size_t end = n * (n + 1) / 2;

    for (size_t rank = 1; rank <= n; rank++) {
        for (size_t s = rank * (rank + 1) / 2; s >= rank; s--)
            ways[s] += ways[s - rank];
    }
    for (size_t s = (size_t)sum; s <= end; s++)
        tail += ways[s];
    return ldexp(tail, -(int)n);
}

/* For its test too. */
double
assay__signed_rank_p(const double *differences, size_t n)
{
    struct difference sorted[FOLDS_MAX];
    double sum = 0.0, squares = 0.0;
    bool tied = false;

    ASSAY_ASSERT(n >= 1 && n <= FOLDS_MAX);
    for (size_t i = 0; i < n; i++)
        sorted[i] = (struct difference){fabs(differences[i]), differences[i]};
    qsort(sorted, n, sizeof *sorted, compare_sizes);
    for (size_t i = 0, end; i < n; i = end) {
        double rank;

        for (end = i + 1; end < n && sorted[end].size == sorted[i].size;)
            end++;
        rank = (double)(i + 1 + end) / 2.0;
        tied = tied || end > i + 1 || sorted[i].size == 0.0;
        for (size_t k = i; k < end; k++) {
            sum += sorted[k].value > 0.0 ? rank : sorted[k].value < 0.0 ? 0.0 : rank / 2.0;
            squares += sorted[k].value == 0.0 ? 0.0 : rank * rank;
        }
    }
    if (!tied && n <= EXACT_MAX)
        return exact_tail(n, sum);
    if (squares == 0.0)
        return 1.0; /* nothing but zeros */
    return 0.5 * erfc((sum - (double)n * (double)(n + 1) / 4.0) / sqrt(squares / 4.0) * M_SQRT1_2);
}

static double
value_of(const struct assay_segment *segment)
{
    return segment->finite > 0 ? segment->sum / (double)segment->finite : INFINITY;
}

static void
wilcoxon_report(void *instance, int64_t number, int64_t step, double value,
                struct assay_plugin_decision *decision)
{
    struct wilcoxon *rule = instance;
    struct assay_live *live = assay_live_report(&rule->live, number, step, value);
    double differences[FOLDS_MAX], mean = 0.0, best = 0.0, p;
    size_t n = 0;

    if (live == NULL || isnan(rule->best_mean))
        return;
    for (size_t i = 0, k = 0; i < live->curve.count && k < rule->n; i++) {
        const struct assay_segment *segment = &live->curve.segments[i];

        while (k < rule->n && rule->folds[k] < segment->last)
            k++;
        if (k == rule->n || rule->folds[k] != segment->last)
            continue;
        differences[n++] = value_of(segment) - rule->values[k];
        mean += value_of(segment);
        best += rule->values[k];
    }
    if ((int64_t)n < rule->min_folds || mean <= best)
        return;
    p = assay__signed_rank_p(differences, n);
    decision->value = assay_live_shown(&rule->live, mean / (double)n);
    decision->threshold = rule->live.sign * best / (double)n;
    decision->step = live->curve.last_step;
    decision->compared = 1;
    decision->stop = p < rule->p;
    if (decision->stop)
        snprintf(decision->sentence, decision->sentence_size,
                 "the mean %.60s of %zu folds, %.6g, is worse than %.6g of trial %lld, the best "
                 "so far; by chance with p = %.3g",
                 rule->metric, n, decision->value, decision->threshold,
                 (long long)rule->best_number, p);
}

static void
wilcoxon_finish(void *instance, int64_t number, uint32_t state)
{
    struct wilcoxon *rule = instance;
    struct assay_live *live = assay_live_find(&rule->live, number);
    double mean = 0.0;

    if (live == NULL)
        return;
    for (size_t i = 0; i < live->curve.count; i++)
        mean += value_of(&live->curve.segments[i]) / (double)live->curve.count;
    if (state == ASSAY_PLUGIN_SUCCEEDED && isfinite(mean) &&
        (isnan(rule->best_mean) || mean < rule->best_mean ||
         (mean == rule->best_mean && number < rule->best_number))) {
        rule->best_mean = mean;
        rule->best_number = number;
        rule->n = ASSAY_MIN(live->curve.count, (size_t)FOLDS_MAX);
        for (size_t i = 0; i < rule->n; i++) {
            rule->folds[i] = live->curve.segments[i].last;
            rule->values[i] = value_of(&live->curve.segments[i]);
        }
    }
    assay_live_drop(&rule->live, live);
}

static void
wilcoxon_destroy(void *instance)
{
    struct wilcoxon *rule = instance;

    assay_live_done(&rule->live);
    free(rule->metric);
    free(rule);
}

const struct assay_plugin_rule assay_rule_wilcoxon = {
    .struct_size = sizeof assay_rule_wilcoxon,
    .name = "wilcoxon",
    .description = "Stops a trial that is significantly worse than the best one over the folds "
                   "both have measured (a step is a fold's number).",
    .settings_schema = settings_schema,
    .create = wilcoxon_create,
    .report = wilcoxon_report,
    .finish = wilcoxon_finish,
    .destroy = wilcoxon_destroy,
};

/* Extrapolates a trial's learning curve and stops the trial when it will hardly beat the
 * best one (T. Domhan et al., "Speeding up automatic hyperparameter optimization of deep
 * neural networks by extrapolation of learning curves", IJCAI 2015: stop when the
 * probability is below 0.05), with no model fitted and none trained.
 *
 * Candidates for the whole curve, in scaled values where larger is better:
 *   - PRIOR_CURVES curves drawn once from the prior of LC-PFN (S. Adriaensen et al.,
 *     "Efficient Bayesian learning curve extrapolation using prior-data fitted networks",
 *     NeurIPS 2023): a mixture, with weights uniform and then normalised, of
 *     pow3 c - a x^-alpha, ilog2 c - a / ln(x + 1) and Janoschek
 *     alpha - (alpha - beta) exp(-k x^delta), increasing and within [0, 1], each with a
 *     noise of its own;
 *   - the completed curves of this study, moved and stretched to fit the measurements,
 *     with the noise that is left then.
 * Each has the likelihood of the measurements so far as its weight; the weighted share of
 * candidates that end above the best value, counting noise, is the probability.  When
 * fewer than EFFECTIVE_MIN candidates carry the weight, the noise is widened until more do.
 *
 * Values are best-so-far, scaled so that 0 is the worst of what completed trials had
 * reached by a tenth of their length and SCALED_BEST the best value of the study; x runs
 * to 100 at `max_steps`, or else at the median of the completed trials' last steps.
 *
 * Cost: bounded by the numbers of candidates and points, about 0.1 ms, at most once in
 * each CHECK_SHARE of a trial.  Memory: 1 MiB of prior for the process, made at the first
 * use; 64 KiB of completed curves, about 1 KiB for each live trial (rules/live.h). */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/random.h"
#include "suggest/rules/live.h"
#include "suggest/rules/rules.h"
#include "suggest/rules/settings_of.h"

#define LENGTH 100 /* x of the last step */
#define PRIOR_CURVES 2048
#define COMPLETE_MAX 64 /* those of the highest numbers */
#define POINTS_MAX 16   /* measurements that are matched */
#define EFFECTIVE_MIN 50.0
#define CHECK_SHARE 0.04
#define SCALED_BEST 0.8
#define NOISE_LEAST 0.005
#define NEGLIGIBLE 20.0     /* nats below the greatest weight */
#define PURPOSE 0x43555256u /* names the random stream of the prior */

struct prior {
    float y[PRIOR_CURVES][LENGTH];
    float noise[PRIOR_CURVES], log_noise[PRIOR_CURVES];
};

static struct prior *prior;
static pthread_once_t prior_made = PTHREAD_ONCE_INIT;

struct complete {
    int64_t number, last_step;
    double y[LENGTH]; /* best so far at each hundredth of its own length, minimised */
};

struct curve_rule {
    char *metric;
    double chance, warmup_share;
    int64_t max_steps, min_trials;
    struct assay_live_set live; /* mark: 1 + step of the last check */
    struct complete *complete;  /* by number */
    size_t n_complete;
    uint64_t completed;
    double best; /* of the study, minimised */
    int64_t horizon;
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"chance\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 1, \"default\": 0.05,"
    " \"description\": \"A trial is stopped when the probability that it beats the best is below"
    " this.\"},"
    "\"min_trials\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 3,"
    " \"description\": \"Trials that must have run to their end before any trial is stopped.\"},"
    "\"warmup_share\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 1, \"default\": 0.2,"
    " \"description\": \"No trial is stopped in this first share of its length.\"},"
    "\"max_steps\": {\"type\": \"integer\", \"minimum\": 0, \"default\": 0,"
    " \"description\": \"The last step of a whole trial; 0: as the completed trials show.\"}}}";

/* --- the prior --- */

static double
draw_uniform(struct assay_random *random, double low, double high)
{
    return low + (high - low) * assay_random_unit(random);
}

static double
draw_log_normal(struct assay_random *random, double mean, double deviation)
{
    return exp(mean + deviation * assay_random_normal(random));
}

/* One draw; whether it is increasing and within [0, 1]. */
static bool
draw_curve(struct assay_random *random, float y[LENGTH])
{
    double w[3], sum = 0.0;
    double pow_a = draw_uniform(random, -0.6, 0.6), pow_c = draw_uniform(random, 0.0, 1.25);
    double pow_alpha = draw_log_normal(random, 0.0, 2.0);
    double log_c = draw_uniform(random, 0.0, 1.0), log_a = draw_uniform(random, -0.5, 0.5);
    double jan_a = draw_uniform(random, 0.0, 1.0), jan_b = draw_uniform(random, 0.0, 2.0);
    double jan_k = draw_log_normal(random, -2.0, 1.0), jan_d = draw_log_normal(random, 0.0, 0.5);

    for (size_t i = 0; i < 3; i++)
        sum += w[i] = assay_random_unit(random);
    if (sum == 0.0)
        return false;
    for (size_t t = 0; t < LENGTH; t++) {
        double x = (double)(t + 1);
        double value =
            (w[0] * (pow_c - pow_a * pow(x, -pow_alpha)) + w[1] * (log_c - log_a / log(x + 1.0)) +
             w[2] * (jan_a - (jan_a - jan_b) * exp(-jan_k * pow(x, jan_d)))) /
            sum;

        if (!(value >= 0.0 && value <= 1.0))
            return false;
        y[t] = (float)value;
    }
    return y[LENGTH - 1] > y[0];
}

static void
make_prior(void)
{
    struct assay_random random;
    struct prior *made = assay_alloc(1, sizeof *made);

    assay_random_init(&random, 0, 0, PURPOSE);
    for (size_t i = 0; i < PRIOR_CURVES; i++) {
        while (!draw_curve(&random, made->y[i]))
            ;
        made->noise[i] = (float)fmax(draw_log_normal(&random, -4.0, 1.0), NOISE_LEAST);
        made->log_noise[i] = (float)log((double)made->noise[i]);
    }
    prior = made;
}

/* --- the instance --- */

static int32_t
curve_create(const struct assay_plugin_rule_study *study, void **ret_instance, char *error,
             uint64_t error_size)
{
    json_t *settings = assay_rule_settings(study, error, error_size);
    struct curve_rule *rule;

    if (settings == NULL)
        return ASSAY_PLUGIN_ERROR;
    pthread_once(&prior_made, make_prior);
    rule = ASSAY_NEW(struct curve_rule);
    rule->metric = assay_strdup(study->metric);
    rule->chance = assay_rule_real(settings, "chance");
    rule->warmup_share = assay_rule_real(settings, "warmup_share");
    rule->max_steps = assay_rule_integer(settings, "max_steps");
    rule->min_trials = assay_rule_integer(settings, "min_trials");
    rule->horizon = rule->max_steps;
    rule->best = INFINITY;
    rule->complete = assay_zalloc(COMPLETE_MAX, sizeof *rule->complete);
    assay_live_init(&rule->live, study->maximize != 0);
    json_decref(settings);
    *ret_instance = rule;
    return ASSAY_PLUGIN_OK;
}

/* Measurements to match, evenly chosen: place 0..LENGTH-1 and scaled best so far. */
struct prefix {
    size_t n, place[POINTS_MAX];
    double y[POINTS_MAX];
};

static size_t
place_of(const struct curve_rule *rule, int64_t step)
{
    double x = (double)step / (double)rule->horizon * LENGTH;

    return (size_t)fmin(fmax(ceil(x), 1.0), LENGTH) - 1;
}

static double
scaled(double value, double worst, double best)
{
    return fmin(fmax(SCALED_BEST * (worst - value) / (worst - best), 0.0), 1.0);
}

static void
make_prefix(const struct curve_rule *rule, const struct assay_curve *curve, double worst,
            struct prefix *prefix)
{
    double best = INFINITY;
    size_t taken = 0;

    prefix->n = 0;
    for (size_t i = 0; i < curve->count; i++) {
        best = fmin(best, curve->segments[i].best);
        /* The last measurement is always one of them. */
        if ((i + 1) * POINTS_MAX < (taken + 1) * curve->count && curve->count > POINTS_MAX)
            continue;
        taken++;
        if (isinf(best))
            continue;
        prefix->place[prefix->n] = place_of(rule, curve->segments[i].last);
        prefix->y[prefix->n++] = scaled(best, worst, rule->best);
    }
}

struct candidate {
    double distance; /* sum of squared differences */
    double points_noise, log_noise;
    double end;
};

/* A completed curve moved and stretched (by a half to two) onto the prefix. */
static struct candidate
fit_complete(const struct curve_rule *rule, const struct complete *complete, double worst,
             const struct prefix *prefix)
{
    double y[POINTS_MAX], mean_y = 0.0, mean_p = 0.0, cross = 0.0, square = 0.0, stretch = 1.0;
    struct candidate candidate = {0};

    for (size_t i = 0; i < prefix->n; i++) {
        y[i] = scaled(complete->y[prefix->place[i]], worst, rule->best);
        mean_y += y[i] / (double)prefix->n;
        mean_p += prefix->y[i] / (double)prefix->n;
    }
    for (size_t i = 0; i < prefix->n; i++) {
        cross += (y[i] - mean_y) * (prefix->y[i] - mean_p);
        square += (y[i] - mean_y) * (y[i] - mean_y);
    }
    if (square > 1e-6)
        stretch = fmin(fmax(cross / square, 0.5), 2.0);
    for (size_t i = 0; i < prefix->n; i++) {
        double off = mean_p + stretch * (y[i] - mean_y) - prefix->y[i];

        candidate.distance += off * off;
    }
    candidate.points_noise =
        sqrt(candidate.distance / (double)prefix->n + NOISE_LEAST * NOISE_LEAST);
    candidate.log_noise = log(candidate.points_noise);
    candidate.end =
        mean_p + stretch * (scaled(complete->y[LENGTH - 1], worst, rule->best) - mean_y);
    return candidate;
}

static void
make_candidates(const struct curve_rule *rule, double worst, const struct prefix *prefix,
                struct candidate *candidates)
{
    for (size_t c = 0; c < PRIOR_CURVES; c++) {
        double distance = 0.0;

        for (size_t i = 0; i < prefix->n; i++) {
            double off = (double)prior->y[c][prefix->place[i]] - prefix->y[i];

            distance += off * off;
        }
        candidates[c] = (struct candidate){
            .distance = distance,
            .points_noise = (double)prior->noise[c],
            .log_noise = (double)prior->log_noise[c],
            .end = (double)prior->y[c][LENGTH - 1],
        };
    }
    for (size_t c = 0; c < rule->n_complete; c++)
        candidates[PRIOR_CURVES + c] = fit_complete(rule, &rule->complete[c], worst, prefix);
}

/* The probability to end above the best, with noise wider by `factor`; how many
 * candidates carry it. */
static double
probability(const struct curve_rule *rule, const struct candidate *candidates, size_t points,
            double factor, double *ret_effective)
{
    size_t n = PRIOR_CURVES + rule->n_complete;
    double greatest = -INFINITY, sum = 0.0, squares = 0.0, above = 0.0, log_factor = log(factor);
    /* The completed curves together weigh as much as the prior. */
    double bonus = log((double)PRIOR_CURVES / (double)ASSAY_MAX(rule->n_complete, (size_t)1));
    assay_auto_free double *logs = assay_alloc(n, sizeof *logs);

    for (size_t c = 0; c < n; c++) {
        double noise = candidates[c].points_noise * factor;

        logs[c] = -0.5 * candidates[c].distance / (noise * noise) -
                  (double)points * (candidates[c].log_noise + log_factor) +
                  (c >= PRIOR_CURVES ? bonus : 0.0);
        greatest = fmax(greatest, logs[c]);
    }
    for (size_t c = 0; c < n; c++) {
        double noise = candidates[c].points_noise * factor, weight;

        if (logs[c] < greatest - NEGLIGIBLE)
            continue;
        weight = exp(logs[c] - greatest);
        sum += weight;
        squares += weight * weight;
        above += weight * 0.5 * erfc((SCALED_BEST - candidates[c].end) / noise * M_SQRT1_2);
    }
    *ret_effective = sum * sum / squares;
    return above / sum;
}

static double
chance_of(const struct curve_rule *rule, const struct assay_curve *curve, double worst)
{
    assay_auto_free struct candidate *candidates =
        assay_alloc(PRIOR_CURVES + rule->n_complete, sizeof *candidates);
    struct prefix prefix;
    double effective, chance = 1.0, factor = 1.0;

    make_prefix(rule, curve, worst, &prefix);
    if (prefix.n == 0)
        return 0.0; /* nothing finite in all that time */
    make_candidates(rule, worst, &prefix, candidates);
    do {
        chance = probability(rule, candidates, prefix.n, factor, &effective);
        factor *= 2.0;
    } while (effective < EFFECTIVE_MIN && factor <= 16.0);
    return chance;
}

/* The worst of what completed trials had reached by a tenth of their length. */
static double
worst_start(const struct curve_rule *rule)
{
    double worst = -INFINITY;

    for (size_t c = 0; c < rule->n_complete; c++) {
        if (isfinite(rule->complete[c].y[LENGTH / 10]))
            worst = fmax(worst, rule->complete[c].y[LENGTH / 10]);
    }
    return worst;
}

static void
curve_report(void *instance, int64_t number, int64_t step, double value,
             struct assay_plugin_decision *decision)
{
    struct curve_rule *rule = instance;
    struct assay_live *live = assay_live_report(&rule->live, number, step, value);
    double worst, chance;
    int64_t last;

    if (live == NULL || rule->completed < (uint64_t)rule->min_trials || rule->horizon <= 0 ||
        live->curve.best <= rule->best)
        return;
    last = live->curve.last_step;
    if ((double)last < rule->warmup_share * (double)rule->horizon || last >= rule->horizon)
        return;
    if (live->mark > 0 && last != live->mark - 1 &&
        (double)(last - (live->mark - 1)) < CHECK_SHARE * (double)rule->horizon)
        return;
    worst = worst_start(rule);
    if (!(worst > rule->best))
        return; /* nothing to scale by */
    live->mark = last + 1;
    chance = chance_of(rule, &live->curve, worst);
    decision->value = assay_live_shown(&rule->live, live->curve.best);
    decision->threshold = assay_live_shown(&rule->live, rule->best);
    decision->step = last;
    decision->compared = rule->completed;
    decision->stop = chance < rule->chance;
    if (decision->stop)
        snprintf(decision->sentence, decision->sentence_size,
                 "the curve of %.60s, best %.6g up to step %lld, reaches %.6g by step %lld with a "
                 "probability of %.3g, less than %.3g",
                 rule->metric, decision->value, (long long)last, decision->threshold,
                 (long long)rule->horizon, chance, rule->chance);
}

/* --- what ended trials teach --- */

static int
compare_steps(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static void
set_horizon(struct curve_rule *rule)
{
    int64_t ends[COMPLETE_MAX];

    if (rule->max_steps > 0)
        return;
    for (size_t i = 0; i < rule->n_complete; i++)
        ends[i] = rule->complete[i].last_step;
    qsort(ends, rule->n_complete, sizeof *ends, compare_steps);
    rule->horizon = ends[rule->n_complete / 2];
}

static void
keep(struct curve_rule *rule, int64_t number, const struct assay_curve *curve)
{
    struct complete *slot;
    double best = INFINITY;
    size_t at = 0, i = 0;

    while (at < rule->n_complete && rule->complete[at].number < number)
        at++;
    if (rule->n_complete == COMPLETE_MAX) {
        if (at == 0)
            return; /* all that are kept have higher numbers */
        at--;
        memmove(&rule->complete[0], &rule->complete[1], at * sizeof *rule->complete);
    } else {
        memmove(&rule->complete[at + 1], &rule->complete[at],
                (rule->n_complete - at) * sizeof *rule->complete);
        rule->n_complete++;
    }
    slot = &rule->complete[at];
    slot->number = number;
    slot->last_step = curve->last_step;
    for (size_t t = 0; t < LENGTH; t++) {
        double step = (double)(t + 1) / LENGTH * (double)curve->last_step;

        while (i < curve->count && (i == 0 || (double)curve->segments[i].last <= step))
            best = fmin(best, curve->segments[i++].best);
        slot->y[t] = best;
    }
}

static void
curve_finish(void *instance, int64_t number, uint32_t state)
{
    struct curve_rule *rule = instance;
    struct assay_live *live = assay_live_find(&rule->live, number);

    if (live == NULL)
        return;
    if (isfinite(live->curve.best) &&
        (state == ASSAY_PLUGIN_SUCCEEDED || state == ASSAY_PLUGIN_STOPPED)) {
        rule->best = fmin(rule->best, live->curve.best);
        if (state == ASSAY_PLUGIN_SUCCEEDED) {
            keep(rule, number, &live->curve);
            rule->completed++;
            set_horizon(rule);
        }
    }
    assay_live_drop(&rule->live, live);
}

static void
curve_destroy(void *instance)
{
    struct curve_rule *rule = instance;

    assay_live_done(&rule->live);
    free(rule->complete);
    free(rule->metric);
    free(rule);
}

const struct assay_plugin_rule assay_rule_curve = {
    .struct_size = sizeof assay_rule_curve,
    .name = "curve",
    .description =
        "Extrapolates the learning curve from a prior and this study's completed curves, "
        "and stops a trial that will hardly beat the best one.",
    .settings_schema = settings_schema,
    .create = curve_create,
    .report = curve_report,
    .finish = curve_finish,
    .destroy = curve_destroy,
};

/* The default rule: stops a trial whose chance of becoming the best of the study has
 * fallen below a share of the chance that a fresh trial in its place would have.
 *
 * How far an early rank can be trusted differs from task to task: after a tenth of the
 * curve the eventual winner stands among the best three of a hundred on some, and
 * anywhere on others.  So the rule learns it from this study's complete trials, and
 * stops little where ranks change late.
 *
 * And it learns what parameters foretell (rules/outlook.h): before a trial has measured
 * anything its final score is normal with the mean and the variance that a Gaussian process
 * over the space tells from the ended trials, or with 0 and 1 where nothing is known.
 *
 * Model.  The best value so far of a trial at step s, ranked among those of all ended
 * trials by that step (carried on past their ends) and mapped to a normal score, is
 * z_s; its final one is z.  A trial on the rise goes on rising: TREND times what its
 * score has gained since half of its measurements is added to z_s, and makes m_s.  m_s
 * and z are bivariate normal with correlation r_s.  The prior of r_s is normal in
 * Fisher's transform atanh(r), on a grid over [0, 3], about a mean that rises with the
 * logarithm of the share s is of the usual length, and with a small weight exponential:
 * there are studies where early ranks tell nothing.  Each complete trial is an observation
 * of (m_s, z), which updates it.  A block of ties is an interval of scores: at step s it
 * enters by the mean and the variance of the truncated normal, at the end by its
 * probability.  By m_s alone z is normal with mean r m and variance 1 - r^2 + r^2 v; joined
 * with the outlook (product of normals, the N(0, 1) that both contain counted once) with a
 * mean c_r and a variance w_r, also where complete trials are observed: each has the
 * outlook that the others give it, so what parameters told already is not learned again.  Then
 *
 *     P(best) = sum over r of p(r) Phi((c_r - z*) / sqrt(w_r))
 *
 * with z* that of the best among n ended trials, which a fresh trial passes with probability
 * Phi(-z*) = 1 / (2 n).  The trial stops when P(best) <
 * chance * Phi(-z*), at this and the `checks` - 1 measured steps before; in the first
 * `early_share` of the usual length, and at the first EARLY_MEASUREMENTS measurements,
 * the bound is less by the square of how far it got: little is known then, and the next
 * measurement is cheap.  Both are stretched by sqrt(EARLY_TRIALS / n).  Averaging over r
 * keeps the rule cautious while there is little to learn from.
 *
 * Never stopped: the trial with the best value of all, one of the best `protect_best` at
 * its step, and anything before `min_trials` have run to their end.  A trial that had
 * finite values and then measures none three times running is stopped: it has diverged,
 * and what was best in it is measured already.
 *
 * A decision depends on what was measured, not on the order in which it was told, so it
 * is the same after a restart (but for what is said in rules/outlook.h of when it learns).
 * Cost: O(log trials) with the posterior of a step at hand;
 * making that again, after a trial has ended, is bounded by COMPLETE_MAX.  Memory: 6 MiB
 * of columns (rules/columns.h), 80 KiB of complete trials and posteriors, about 1 KiB for
 * each live trial (rules/live.h). */
#include <math.h>
#include <stdlib.h>

#include <gsl/gsl_cdf.h>

#include "common/memory.h"
#include "suggest/rules/columns.h"
#include "suggest/rules/live.h"
#include "suggest/rules/outlook.h"
#include "suggest/rules/rules.h"
#include "suggest/rules/settings_of.h"

#define GRID 25
#define GRID_END 3.0    /* of atanh(r) */
#define COMPLETE_MAX 64 /* trials kept: those of the highest numbers */
#define POINTS_MAX 64   /* points kept of a curve */
#define CACHE 128       /* posteriors kept */
#define DIVERGED_STEPS 3
#define EARLY_MEASUREMENTS 7
#define EARLY_TRIALS 50 /* ended: with fewer, longer caution; with more, at most ... */
#define EARLY_LESS 2.0  /* ... so many times shorter */
#define TREND 0.95
/* Of the prior of atanh(r): mean at the usual end, rise with each doubling, deviation; the
 * share of studies where early ranks may tell nothing. */
#define PRIOR_END 2.4
#define PRIOR_END_BLIND 2.0 /* where parameters foretell nothing */
#define PRIOR_RISE 0.25
#define PRIOR_DEVIATION 0.5
#define PRIOR_NONE 0.1
#define VARIANCE_MIN 1e-9
#define SHARE_MIN 0.01 /* the prior is the same before */
#define SCORE_END 8.0  /* past every normal score that can occur */

/* What is kept of a complete trial: where it stood. */
struct past {
    int64_t number, last_step;
    size_t n;
    int64_t steps[POINTS_MAX];
    double best[POINTS_MAX];      /* from steps[i] on */
    double *row;                  /* of its parameters; NULL = not known */
    uint64_t version;             /* of what was learned, ... */
    struct assay_outlook outlook; /* ... as the others foretell it */
};

/* Of a live trial whose parameters are known. */
struct foreseen {
    uint64_t version; /* of what was learned */
    struct assay_outlook outlook;
    double row[];
};

struct posterior {
    int64_t step; /* of the column */
    uint64_t version;
    float weights[GRID]; /* sum 1 */
};

struct rule {
    char *metric;
    double chance, early_share, prior_end;
    int64_t min_trials, warmup_steps, checks, protect_best;
    struct assay_live_set live;
    struct assay_columns columns;
    struct past *complete; /* by number */
    size_t n_complete, complete_capacity;
    uint64_t completed;
    int64_t horizon;  /* median of the complete trials' last steps */
    uint64_t version; /* counts ended trials */
    double r[GRID];
    struct posterior cache[CACHE];
    struct assay_outlooks *outlooks; /* NULL: parameters foretell nothing */
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"chance\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 1, \"default\": 0.3,"
    " \"description\": \"A trial is stopped when its chance of becoming the best is less than so"
    " many times that of a fresh trial. More saves more and risks more.\"},"
    "\"min_trials\": {\"type\": \"integer\", \"minimum\": 2, \"default\": 3,"
    " \"description\": \"Trials that must have run to their end before any trial is stopped.\"},"
    "\"warmup_steps\": {\"type\": \"integer\", \"minimum\": 0, \"default\": 0,"
    " \"description\": \"No trial is stopped at a step below this.\"},"
    "\"early_share\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 1, \"default\": 0.25,"
    " \"description\": \"In this first share of the usual length of a trial the rule is more"
    " cautious, the more so the earlier; it is shorter when many trials have ended.\"},"
    "\"checks\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 16, \"default\": 1,"
    " \"description\": \"At so many measured steps in a row the trial must look hopeless.\"},"
    "\"protect_best\": {\"type\": \"integer\", \"minimum\": 0, \"default\": 2,"
    " \"description\": \"The best so many at a step are not stopped there.\"}}}";

static int32_t
auto_create(const struct assay_plugin_rule_study *study, void **ret_instance, char *error,
            uint64_t error_size)
{
    json_t *settings = assay_rule_settings(study, error, error_size);
    struct rule *rule;

    if (settings == NULL)
        return ASSAY_PLUGIN_ERROR;
    rule = ASSAY_NEW(struct rule);
    rule->metric = assay_strdup(study->metric);
    rule->chance = assay_rule_real(settings, "chance");
    rule->early_share = assay_rule_real(settings, "early_share");
    rule->min_trials = assay_rule_integer(settings, "min_trials");
    rule->warmup_steps = assay_rule_integer(settings, "warmup_steps");
    rule->checks = assay_rule_integer(settings, "checks");
    rule->protect_best = assay_rule_integer(settings, "protect_best");
    assay_live_init(&rule->live, study->maximize != 0);
    assay_columns_init(&rule->columns);
    for (size_t g = 0; g < GRID; g++)
        rule->r[g] = tanh(GRID_END * (double)g / (GRID - 1));
    for (size_t i = 0; i < CACHE; i++)
        rule->cache[i].step = -1;
    rule->outlooks = assay_outlooks_new(study->space);
    rule->prior_end = rule->outlooks != NULL ? PRIOR_END : PRIOR_END_BLIND;
    json_decref(settings);
    *ret_instance = rule;
    return ASSAY_PLUGIN_OK;
}

/* --- normal scores --- */

static double
normal_cdf(double x)
{
    return 0.5 * erfc(-x * M_SQRT1_2);
}

static double
normal_pdf(double x)
{
    return exp(-0.5 * x * x) / sqrt(2.0 * M_PI);
}

/* The score of the ranks [first, first + width) of n, 0 the best: greater is better. */
struct score {
    double low, high; /* the interval */
    double mean, variance;
};

static struct score
score_of(size_t first, size_t width, size_t n)
{
    struct score score = {.low = -SCORE_END, .high = SCORE_END};
    double share = (double)width / (double)n, at_low, at_high;

    if (width <= 1) {
        score.mean = gsl_cdf_ugaussian_Qinv(((double)first + 0.5) / (double)n);
        return score;
    }
    if (first > 0)
        score.high = gsl_cdf_ugaussian_Qinv((double)first / (double)n);
    if (first + width < n)
        score.low = gsl_cdf_ugaussian_Qinv((double)(first + width) / (double)n);
    at_low = normal_pdf(score.low);
    at_high = normal_pdf(score.high);
    score.mean = (at_low - at_high) / share;
    score.variance =
        1.0 + (score.low * at_low - score.high * at_high) / share - score.mean * score.mean;
    score.variance = fmax(score.variance, 0.0);
    return score;
}

/* Of a value that is in the column, or (`more` 1) comes on top of it. */
static struct score
score_in(const struct assay_column *column, double value, size_t more)
{
    size_t smaller, equal;

    assay_column_rank(column, value, &smaller, &equal);
    return score_of(ASSAY_MIN(smaller, column->count + more - 1), ASSAY_MAX(equal + more, 1),
                    column->count + more);
}

/* Where a trial stands: its best figure now, and at half of its measurements. */
struct stand {
    double figure, half_figure;
    int64_t half_step; /* -1: it has not two measurements */
};

/* The score at the column, raised by the trend. */
static struct score
score_of_stand(const struct rule *rule, const struct assay_column *column,
               const struct stand *stand, size_t more)
{
    const struct assay_column *half =
        stand->half_step >= 0 ? assay_columns_find(&rule->columns, stand->half_step) : NULL;
    struct score score = score_in(column, stand->figure, more);

    if (half != NULL && half->count > 0)
        score.mean += TREND * fmax(score.mean - score_in(half, stand->half_figure, more).mean, 0.0);
    return score;
}

/* --- the posterior of the correlation --- */

/* Where it stood at the step; false when it began later. */
static bool
stand_at(const struct past *past, int64_t step, struct stand *ret_stand)
{
    size_t low = 0, high = past->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (past->steps[middle] <= step)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *ret_stand = (struct stand){.figure = past->best[low - 1], .half_step = -1};
    if (low >= 2) {
        ret_stand->half_figure = past->best[low / 2 - 1];
        ret_stand->half_step = past->steps[low / 2 - 1];
    }
    return true;
}

static const struct assay_column *
final_column(const struct rule *rule)
{
    return &rule->columns.items[rule->columns.count - 1];
}

/* --- what parameters foretell --- */

/* The normal score of an ended trial, where it stood last. */
static void
score_of_ended(void *context, const struct assay_outlook_trial *trial, double *ret_mean,
               double *ret_variance)
{
    const struct rule *rule = context;
    const struct assay_column *column = trial->completed
                                            ? final_column(rule)
                                            : assay_columns_find(&rule->columns, trial->last_step);
    struct score score = {.variance = 1.0};

    if (column != NULL && column->count > 0)
        score = score_in(column, trial->best, 0);
    *ret_mean = score.mean;
    *ret_variance = score.variance;
}

static bool
foretells(struct rule *rule)
{
    return rule->outlooks != NULL && assay_outlooks_learn(rule->outlooks, score_of_ended, rule);
}

/* As the others foretell a complete trial. */
static struct assay_outlook
outlook_of_past(struct rule *rule, struct past *past)
{
    uint64_t version = assay_outlooks_version(rule->outlooks);

    if (past->version != version) {
        past->version = version;
        past->outlook = assay_outlook_without(rule->outlooks, past->number, past->row);
    }
    return past->outlook;
}

static const struct assay_outlook unknown = {.mean = 0.0, .variance = 1.0};

static struct assay_outlook
outlook_of(struct rule *rule, const struct assay_live *live)
{
    struct foreseen *foreseen = live->own;

    if (foreseen == NULL || !foretells(rule))
        return unknown;
    if (foreseen->version != assay_outlooks_version(rule->outlooks)) {
        foreseen->version = assay_outlooks_version(rule->outlooks);
        foreseen->outlook = assay_outlook_at(rule->outlooks, foreseen->row);
    }
    return foreseen->outlook;
}

/* The final score by what parameters foretell and an early score with correlation r. */
static struct assay_outlook
join(const struct assay_outlook *outlook, const struct score *early, double r)
{
    double variance = fmax(1.0 - r * r + r * r * early->variance, VARIANCE_MIN);
    double precision = 1.0 / outlook->variance + 1.0 / variance - 1.0;

    return (struct assay_outlook){
        .mean = (outlook->mean / outlook->variance + r * early->mean / variance) / precision,
        .variance = 1.0 / precision,
    };
}

static void
observe(const struct rule *rule, const struct assay_outlook *outlook, const struct score *early,
        const struct score *final, double logs[GRID])
{
    for (size_t g = 0; g < GRID; g++) {
        struct assay_outlook joined = join(outlook, early, rule->r[g]);
        double variance = joined.variance, center = joined.mean;

        if (final->variance > 0.0) {
            double deviation = sqrt(variance);
            double mass = normal_cdf((final->high - center) / deviation) -
                          normal_cdf((final->low - center) / deviation);

            logs[g] += log(fmax(mass, 1e-12));
        } else {
            logs[g] -=
                0.5 * (log(variance) + (final->mean - center) * (final->mean - center) / variance);
        }
    }
}

static void
observe_all(struct rule *rule, const struct assay_column *column, double logs[GRID])
{
    bool foretold = foretells(rule);

    for (size_t i = 0; i < rule->n_complete; i++) {
        struct past *past = &rule->complete[i];
        struct assay_outlook outlook = unknown;
        struct score early, final;
        struct stand stand;

        if (!stand_at(past, column->step, &stand))
            continue;
        early = score_of_stand(rule, column, &stand, 0);
        final = score_in(final_column(rule), past->best[past->n - 1], 0);
        if (foretold && past->row != NULL)
            outlook = outlook_of_past(rule, past);
        observe(rule, &outlook, &early, &final, logs);
    }
}

/* Of the usual length, at most 1. */
static double
share_of(const struct rule *rule, int64_t step)
{
    return rule->horizon > 0 ? fmin((double)step / (double)rule->horizon, 1.0) : 1.0;
}

static const float *
weights_at(struct rule *rule, const struct assay_column *column)
{
    struct posterior *posterior = &rule->cache[(uint64_t)column->step % CACHE];
    double logs[GRID], greatest = -INFINITY, sum = 0.0, prior;

    if (posterior->step == column->step && posterior->version == rule->version)
        return posterior->weights;
    prior = rule->prior_end + PRIOR_RISE * log2(fmax(share_of(rule, column->step), SHARE_MIN));
    for (size_t g = 0; g < GRID; g++) {
        double at = GRID_END * (double)g / (GRID - 1);

        logs[g] =
            log((1.0 - PRIOR_NONE) * normal_pdf((at - prior) / PRIOR_DEVIATION) / PRIOR_DEVIATION +
                PRIOR_NONE * exp(-at));
    }
    observe_all(rule, column, logs);
    for (size_t g = 0; g < GRID; g++)
        greatest = fmax(greatest, logs[g]);
    for (size_t g = 0; g < GRID; g++)
        sum += logs[g] = exp(logs[g] - greatest);
    for (size_t g = 0; g < GRID; g++)
        posterior->weights[g] = (float)(logs[g] / sum);
    posterior->step = column->step;
    posterior->version = rule->version;
    return posterior->weights;
}

/* The chance that a trial standing there becomes the best, as a multiple of a fresh
 * trial's. */
static double
chance_of(struct rule *rule, const struct assay_column *column, const struct stand *stand,
          const struct assay_outlook *outlook)
{
    const float *weights = weights_at(rule, column);
    struct score score = score_of_stand(rule, column, stand, 1);
    double fresh = 0.5 / (double)final_column(rule)->count, chance = 0.0;
    double goal = gsl_cdf_ugaussian_Qinv(fresh);

    for (size_t g = 0; g < GRID; g++) {
        struct assay_outlook joined = join(outlook, &score, rule->r[g]);

        if (weights[g] > 1e-9f)
            chance += (double)weights[g] * normal_cdf((joined.mean - goal) / sqrt(joined.variance));
    }
    return chance / fresh;
}

/* --- decisions --- */

static double
bound_at(const struct rule *rule, int64_t step, size_t measured)
{
    double share = (double)measured / EARLY_MEASUREMENTS;
    double less = fmin(sqrt((double)final_column(rule)->trials / EARLY_TRIALS), EARLY_LESS);

    if (rule->early_share > 0.0)
        share = fmin(share, share_of(rule, step) / rule->early_share);
    share = fmin(share * less, 1.0);
    return rule->chance * share * share;
}

static bool
is_protected(const struct rule *rule, const struct assay_column *column, double figure)
{
    size_t smaller, equal;

    assay_column_rank(column, figure, &smaller, &equal);
    return smaller * column->weight < (size_t)rule->protect_best;
}

/* By its segments up to `last`. */
static struct stand
stand_of(const struct assay_curve *curve, size_t last)
{
    struct stand stand = {.figure = INFINITY, .half_figure = INFINITY, .half_step = -1};
    size_t half = (last + 1) / 2;

    for (size_t i = 0; i < half; i++)
        stand.half_figure = fmin(stand.half_figure, curve->segments[i].best);
    stand.figure = stand.half_figure;
    for (size_t i = half; i <= last; i++)
        stand.figure = fmin(stand.figure, curve->segments[i].best);
    if (half > 0)
        stand.half_step = curve->segments[half - 1].last;
    return stand;
}

/* Whether the trial would be stopped by its segments up to `last`. */
static bool
looks_hopeless(struct rule *rule, const struct assay_live *live, size_t last)
{
    const struct assay_curve *curve = &live->curve;
    struct assay_outlook outlook = outlook_of(rule, live);
    int64_t step = curve->segments[last].last;
    struct stand stand = stand_of(curve, last);
    const struct assay_column *column = assay_columns_find(&rule->columns, step);

    return step >= rule->warmup_steps && column != NULL && column->count > 0 &&
           !is_protected(rule, column, stand.figure) &&
           chance_of(rule, column, &stand, &outlook) < bound_at(rule, step, last + 1);
}

/* The worst figure of the column with which the trial would have gone on. */
static double
threshold_at(struct rule *rule, const struct assay_column *column, struct stand stand,
             const struct assay_outlook *outlook, double bound)
{
    size_t low = 0, high = column->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        stand.figure = column->values[middle];
        if (is_protected(rule, column, stand.figure) ||
            chance_of(rule, column, &stand, outlook) >= bound)
            low = middle + 1;
        else
            high = middle;
    }
    return column->values[low > 0 ? low - 1 : 0];
}

static void
explain(struct rule *rule, const struct assay_live *live, struct assay_plugin_decision *decision)
{
    const struct assay_column *column = assay_columns_find(&rule->columns, decision->step);
    const float *weights = weights_at(rule, column);
    struct stand stand = stand_of(&live->curve, live->curve.count - 1);
    struct assay_outlook outlook = outlook_of(rule, live);
    double bound = bound_at(rule, decision->step, live->curve.count), correlation = 0.0;
    char value[32] = "no finite value";
    size_t smaller, equal;

    assay_column_rank(column, stand.figure, &smaller, &equal);
    for (size_t g = 0; g < GRID; g++)
        correlation += (double)weights[g] * rule->r[g];
    decision->threshold =
        assay_live_shown(&rule->live, threshold_at(rule, column, stand, &outlook, bound));
    decision->compared = column->trials;
    if (!isnan(decision->value))
        snprintf(value, sizeof value, "%.6g", decision->value);
    /* Parameters are mentioned where it would go on without them. */
    if (chance_of(rule, column, &stand, &unknown) >= bound)
        snprintf(decision->sentence, decision->sentence_size,
                 "at step %lld the best %.40s, %s, is worse than that of %.0f %% of %llu trials; "
                 "trials with such parameters end where %.0f %% are better; it has %.2g of a fresh "
                 "trial's chance to become the best",
                 (long long)decision->step, rule->metric, value,
                 100.0 * (double)smaller / (double)column->count,
                 (unsigned long long)column->trials, 100.0 * normal_cdf(-outlook.mean),
                 chance_of(rule, column, &stand, &outlook));
    else
        snprintf(
            decision->sentence, decision->sentence_size,
            "the best %.60s up to step %lld, %s, is worse than that of %.0f %% of %llu trials; "
            "it has %.2g of a fresh trial's chance to become the best (rank correlation with the "
            "end: %.2f)",
            rule->metric, (long long)decision->step, value,
            100.0 * (double)smaller / (double)column->count, (unsigned long long)column->trials,
            chance_of(rule, column, &stand, &outlook), correlation);
}

/* Whether the last measurements are not finite, after one that was. */
static bool
has_diverged(const struct assay_curve *curve)
{
    size_t n = 0;

    while (n < curve->count && curve->segments[curve->count - 1 - n].finite == 0)
        n++;
    return n >= DIVERGED_STEPS && n < curve->count;
}

static bool
is_hopeless(struct rule *rule, const struct assay_live *live)
{
    const struct assay_curve *curve = &live->curve;

    if (rule->completed < (uint64_t)rule->min_trials ||
        curve->best <= final_column(rule)->values[0] || curve->count < (size_t)rule->checks)
        return false;
    for (size_t back = 1; back <= (size_t)rule->checks; back++) {
        if (!looks_hopeless(rule, live, curve->count - back))
            return false;
    }
    return true;
}

static void
auto_report(void *instance, int64_t number, int64_t step, double value,
            struct assay_plugin_decision *decision)
{
    struct rule *rule = instance;
    struct assay_live *live = assay_live_report(&rule->live, number, step, value);

    if (live == NULL)
        return;
    decision->step = live->curve.last_step;
    decision->value = assay_live_shown(&rule->live, live->curve.best);
    if (has_diverged(&live->curve)) {
        decision->stop = 1;
        snprintf(decision->sentence, decision->sentence_size,
                 "%.80s was not finite in the last %d measurements up to step %lld", rule->metric,
                 DIVERGED_STEPS, (long long)decision->step);
    } else if (is_hopeless(rule, live)) {
        decision->stop = 1;
        explain(rule, live, decision);
    }
}

/* --- what ended trials teach --- */

static int
compare_steps(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static void
keep(struct rule *rule, const struct assay_live *live, const int64_t *steps, const double *figures,
     size_t n)
{
    const struct foreseen *foreseen = live->own;
    int64_t number = live->number;
    struct past added = {.number = number, .last_step = steps[n - 1]};
    size_t stride = 1, at = 0;

    while ((n + stride - 1) / stride > POINTS_MAX)
        stride *= 2;
    for (size_t i = 0; i < n; i += stride) {
        /* Of those that fall together, the last knows all. */
        size_t last = ASSAY_MIN(i + stride, n) - 1;

        added.steps[added.n] = steps[last];
        added.best[added.n++] = figures[last];
    }
    while (at < rule->n_complete && rule->complete[at].number < number)
        at++;
    if (rule->n_complete == COMPLETE_MAX) {
        if (at == 0)
            return; /* all that are kept have higher numbers */
        at--;
        free(rule->complete[0].row);
        memmove(&rule->complete[0], &rule->complete[1], at * sizeof *rule->complete);
    } else {
        ASSAY_GROW(rule->complete, rule->n_complete, rule->complete_capacity);
        memmove(&rule->complete[at + 1], &rule->complete[at],
                (rule->n_complete - at) * sizeof *rule->complete);
        rule->n_complete++;
    }
    if (foreseen != NULL)
        added.row = assay_memdup(foreseen->row, assay_outlook_row_size(rule->outlooks));
    rule->complete[at] = added;
}

static void
set_horizon(struct rule *rule)
{
    int64_t ends[COMPLETE_MAX];

    for (size_t i = 0; i < rule->n_complete; i++)
        ends[i] = rule->complete[i].last_step;
    qsort(ends, rule->n_complete, sizeof *ends, compare_steps);
    rule->horizon = ends[rule->n_complete / 2];
}

static void
learn_from(struct rule *rule, const struct assay_live *live, bool completed, double best)
{
    const struct foreseen *foreseen = live->own;
    const struct assay_outlook_trial trial = {
        .number = live->number,
        .last_step = live->curve.segments[live->curve.count - 1].last,
        .best = best,
        .completed = completed,
    };

    assay_outlooks_add(rule->outlooks, &trial, foreseen->row);
}

static void
auto_start(void *instance, int64_t number, const double *point)
{
    struct rule *rule = instance;
    struct assay_live *live = rule->outlooks != NULL ? assay_live_add(&rule->live, number) : NULL;
    struct foreseen *foreseen;

    if (live == NULL || live->own != NULL)
        return;
    live->own = foreseen =
        assay_zalloc(1, sizeof *foreseen + assay_outlook_row_size(rule->outlooks));
    assay_outlook_row(rule->outlooks, point, foreseen->row);
}

static void
auto_finish(void *instance, int64_t number, uint32_t state)
{
    struct rule *rule = instance;
    struct assay_live *live = assay_live_find(&rule->live, number);
    const struct assay_curve *curve;
    assay_auto_free int64_t *steps = NULL;
    assay_auto_free double *figures = NULL;
    double best = INFINITY;

    if (live == NULL)
        return;
    curve = &live->curve;
    if ((state == ASSAY_PLUGIN_SUCCEEDED || state == ASSAY_PLUGIN_STOPPED) && curve->count > 0) {
        steps = assay_alloc(curve->count, sizeof *steps);
        figures = assay_alloc(curve->count, sizeof *figures);
        for (size_t i = 0; i < curve->count; i++) {
            best = fmin(best, curve->segments[i].best);
            steps[i] = curve->segments[i].last;
            figures[i] = best;
        }
        assay_columns_add(&rule->columns, number, steps, figures, curve->count);
        if (live->own != NULL)
            learn_from(rule, live, state == ASSAY_PLUGIN_SUCCEEDED, best);
        if (state == ASSAY_PLUGIN_SUCCEEDED) {
            keep(rule, live, steps, figures, curve->count);
            rule->completed++;
            set_horizon(rule);
        }
        rule->version++;
    }
    assay_live_drop(&rule->live, live);
}

static void
auto_destroy(void *instance)
{
    struct rule *rule = instance;

    assay_live_done(&rule->live);
    assay_columns_done(&rule->columns);
    for (size_t i = 0; i < rule->n_complete; i++)
        free(rule->complete[i].row);
    free(rule->complete);
    assay_outlooks_free(rule->outlooks);
    free(rule->metric);
    free(rule);
}

const struct assay_plugin_rule assay_rule_auto = {
    .struct_size = sizeof assay_rule_auto,
    .name = "auto",
    .description =
        "Stops a trial whose chance of becoming the best is a fraction of a fresh trial's, as far "
        "as early ranks foretell final ones in this study.",
    .settings_schema = settings_schema,
    .create = auto_create,
    .report = auto_report,
    .finish = auto_finish,
    .destroy = auto_destroy,
    .start = auto_start,
};

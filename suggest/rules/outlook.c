#include "suggest/rules/outlook.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/kernel.h"
#include "suggest/algorithms/bayesian/likelihood.h"
#include "suggest/algorithms/bayesian/minimum.h"
#include "suggest/rules/columns.h"

#define COLUMNS_MAX 128
#define FIT_MAX 96
#define FIT_GROWTH 1.4
#define FIT_EVALUATIONS 15
#define LEARN_GROWTH 1.03
#define LEARN_ALWAYS 30 /* below, each ended trial is learned from at once */
#define NOISE_MIN 0.15
#define TOP_SHARE 0.15
#define TOP_LEAST 3
#define SURPRISE 0.6 /* of the mean squared surprise of the best: what is above 1 counts */

struct item {
    struct assay_outlook_trial trial;
    uint32_t mark;
    double *row;
    bool learned; /* has a place in what was learned */
    struct assay_outlook without;
};

struct assay_outlooks {
    struct assay_transform transform;
    struct assay_gp_features features;
    struct item items[ASSAY_OUTLOOK_TRIALS]; /* by number */
    size_t n;
    uint64_t taken; /* changes of the set */
    /* What was learned. */
    bool ready;
    uint64_t version;
    size_t next;   /* learn again when so many changes have been */
    size_t fitted; /* rows that theta was fitted to; 0: not yet */
    double *theta, mean, surprise;
    struct assay_gp_likelihood likelihood; /* factor, scaled rows and alpha of n rows */
    double *rows, *z, *work;
};

struct assay_outlooks *
assay_outlooks_new(const struct assay_plugin_space *space)
{
    struct assay_outlooks *outlooks;

    if (space == NULL || space->n_parameters == 0)
        return NULL;
    outlooks = ASSAY_NEW(struct assay_outlooks);
    assay_transform_init(&outlooks->transform, space);
    assay_gp_features_init(&outlooks->features, &outlooks->transform);
    if (outlooks->features.n_columns == 0 || outlooks->features.n_columns > COLUMNS_MAX)
        return assay_outlooks_free(outlooks);
    return outlooks;
}

struct assay_outlooks *
assay_outlooks_free(struct assay_outlooks *outlooks)
{
    if (outlooks == NULL)
        return NULL;
    for (size_t i = 0; i < outlooks->n; i++)
        free(outlooks->items[i].row);
    assay_gp_likelihood_done(&outlooks->likelihood);
    free(outlooks->theta);
    free(outlooks->rows);
    free(outlooks->z);
    free(outlooks->work);
    assay_gp_features_done(&outlooks->features);
    assay_transform_done(&outlooks->transform);
    free(outlooks);
    return NULL;
}

size_t
assay_outlook_row_size(const struct assay_outlooks *outlooks)
{
    return outlooks->features.n_columns * sizeof(double);
}

void
assay_outlook_row(const struct assay_outlooks *outlooks, const double *point, double *ret_row)
{
    assay_gp_features_of_point(&outlooks->features, point, ret_row);
}

static void
drop(struct assay_outlooks *outlooks, size_t at)
{
    free(outlooks->items[at].row);
    outlooks->n--;
    memmove(&outlooks->items[at], &outlooks->items[at + 1],
            (outlooks->n - at) * sizeof *outlooks->items);
}

/* Makes room for a trial with this mark; false when it is itself the one to leave out. */
static bool
make_room(struct assay_outlooks *outlooks, uint32_t mark)
{
    size_t highest = 0;

    if (outlooks->n < ASSAY_OUTLOOK_TRIALS)
        return true;
    for (size_t i = 1; i < outlooks->n; i++) {
        if (outlooks->items[i].mark > outlooks->items[highest].mark)
            highest = i;
    }
    if (outlooks->items[highest].mark <= mark)
        return false;
    drop(outlooks, highest);
    return true;
}

void
assay_outlooks_add(struct assay_outlooks *outlooks, const struct assay_outlook_trial *trial,
                   const double *row)
{
    uint32_t mark = assay_trial_mark(trial->number);
    size_t at;

    if (!make_room(outlooks, mark))
        return;
    at = outlooks->n++;
    for (; at > 0 && outlooks->items[at - 1].trial.number > trial->number; at--)
        outlooks->items[at] = outlooks->items[at - 1];
    outlooks->items[at] = (struct item){
        .trial = *trial,
        .mark = mark,
        .row = assay_memdup(row, outlooks->features.n_columns * sizeof *row),
    };
    outlooks->taken++;
}

static void
reserve(struct assay_outlooks *outlooks)
{
    size_t n = ASSAY_OUTLOOK_TRIALS;

    if (outlooks->rows != NULL)
        return;
    assay_gp_prepare();
    assay_gp_likelihood_init(&outlooks->likelihood, &outlooks->features, n);
    outlooks->rows = assay_alloc(n * outlooks->features.n_columns, sizeof *outlooks->rows);
    outlooks->z = assay_alloc(n, sizeof *outlooks->z);
    outlooks->work = assay_alloc(ASSAY_MAX(n, outlooks->features.n_columns), sizeof(double));
    outlooks->theta = assay_alloc(outlooks->features.n_groups + 2, sizeof *outlooks->theta);
}

static double
likelihood_at(void *context, const double *theta, double *ret_gradient)
{
    return assay_gp_likelihood_at(context, theta, ret_gradient);
}

/* From what was found before, or the prior's mode, whichever explains the scores better. */
static void
fit(struct assay_outlooks *outlooks, size_t n, double noise_min)
{
    static const struct assay_gp_limits limits = {.least_gain = 0.01,
                                                  .evaluations = FIT_EVALUATIONS};
    struct assay_gp_likelihood *likelihood = &outlooks->likelihood;
    size_t t = outlooks->features.n_groups + 2;
    assay_auto_free double *work = assay_alloc(3 * t, sizeof *work);
    double *low = work, *high = work + t, *mode = work + 2 * t;
    size_t noise = t - 1;

    assay_gp_prior_box(&outlooks->features, low, high);
    assay_gp_prior_mode(&outlooks->features, mode);
    low[noise] = fmin(log(noise_min), high[noise]);
    mode[noise] = fmax(mode[noise], low[noise]);
    likelihood->n = n;
    if (outlooks->fitted > 0)
        outlooks->theta[noise] = fmax(outlooks->theta[noise], low[noise]);
    if (outlooks->fitted == 0 || assay_gp_likelihood_at(likelihood, mode, NULL) <
                                     assay_gp_likelihood_at(likelihood, outlooks->theta, NULL))
        memcpy(outlooks->theta, mode, t * sizeof *mode);
    /* Given up early, it is what was best so far. */
    (void)!assay_gp_minimise(likelihood_at, likelihood, t, low, high, &limits, outlooks->theta);
    outlooks->fitted = n;
}

/* The mean squared surprise of the best by what the others foretell of them. */
static double
surprise_of_best(const struct assay_outlooks *outlooks)
{
    size_t n = outlooks->n, top = (size_t)ceil(TOP_SHARE * (double)n);
    bool counted[ASSAY_OUTLOOK_TRIALS] = {false};
    double sum = 0.0;

    top = ASSAY_MIN(ASSAY_MAX(top, (size_t)TOP_LEAST), n);
    for (size_t k = 0; k < top; k++) {
        size_t best = n;
        double off;

        for (size_t i = 0; i < n; i++) {
            if (!counted[i] && (best == n || outlooks->z[i] > outlooks->z[best]))
                best = i;
        }
        counted[best] = true;
        off = outlooks->z[best] - outlooks->items[best].without.mean;
        sum += off * off / outlooks->items[best].without.variance;
    }
    return sum / (double)top;
}

/* What each is as the others foretell it (S. Sundararajan, S. S. Keerthi, 2001). */
static bool
predict_each(struct assay_outlooks *outlooks)
{
    struct assay_gp_likelihood *likelihood = &outlooks->likelihood;
    size_t n = outlooks->n;

    if (!assay_gp_likelihood_leave_one_out(likelihood, outlooks->theta, outlooks->work))
        return false;
    for (size_t i = 0; i < n; i++) {
        double precision = likelihood->inverse[i + i * n];

        outlooks->items[i].learned = true;
        outlooks->items[i].without = (struct assay_outlook){
            .mean = outlooks->z[i] - likelihood->alpha[i] / precision,
            .variance = 1.0 / precision,
        };
    }
    outlooks->surprise = fmax(SURPRISE * surprise_of_best(outlooks), 1.0);
    for (size_t i = 0; i < n; i++)
        outlooks->items[i].without.variance *= outlooks->surprise;
    outlooks->mean =
        assay_gp_mean(&likelihood->factor, outlooks->z, likelihood->ones, likelihood->alpha);
    return true;
}

static void
learn(struct assay_outlooks *outlooks, assay_outlook_score *score, void *context)
{
    size_t n = outlooks->n, columns = outlooks->features.n_columns;
    size_t n_fit = ASSAY_MIN(n, (size_t)FIT_MAX);
    double hidden = 0.0;

    reserve(outlooks);
    outlooks->likelihood.rows = outlooks->rows;
    outlooks->likelihood.z = outlooks->z;
    for (size_t i = 0; i < n; i++) {
        double variance;

        memcpy(&outlooks->rows[i * columns], outlooks->items[i].row,
               columns * sizeof *outlooks->rows);
        score(context, &outlooks->items[i].trial, &outlooks->z[i], &variance);
        hidden += variance / (double)n;
    }
    if (outlooks->fitted == 0 || (double)n_fit >= FIT_GROWTH * (double)outlooks->fitted ||
        (n_fit == FIT_MAX && outlooks->fitted < FIT_MAX))
        fit(outlooks, n_fit, fmax(NOISE_MIN, hidden));
    outlooks->likelihood.n = n;
    outlooks->ready = predict_each(outlooks);
    outlooks->version++;
}

bool
assay_outlooks_learn(struct assay_outlooks *outlooks, assay_outlook_score *score, void *context)
{
    if (outlooks->n < ASSAY_OUTLOOK_TRIALS_MIN)
        return false;
    if (outlooks->taken >= outlooks->next) {
        learn(outlooks, score, context);
        outlooks->next = outlooks->taken < LEARN_ALWAYS
                             ? outlooks->taken + 1
                             : (size_t)ceil(LEARN_GROWTH * (double)outlooks->taken);
    }
    return outlooks->ready;
}

uint64_t
assay_outlooks_version(const struct assay_outlooks *outlooks)
{
    return outlooks->version;
}

const double *
assay_outlooks_theta(const struct assay_outlooks *outlooks)
{
    return outlooks->theta;
}

struct assay_outlook
assay_outlook_at(struct assay_outlooks *outlooks, const double *row)
{
    struct assay_gp_likelihood *likelihood = &outlooks->likelihood;
    size_t n = likelihood->factor.n, columns = outlooks->features.n_columns;
    size_t g = outlooks->features.n_groups;
    double signal = exp(outlooks->theta[g]);
    double noise = ASSAY_GP_NOISE_MIN + exp(outlooks->theta[g + 1]);
    double scaled[COLUMNS_MAX], mean = outlooks->mean, variance = signal + noise;
    double *correlations = outlooks->work;

    assay_gp_scale(&outlooks->features, outlooks->theta, row, 1, scaled);
    for (size_t i = 0; i < n; i++) {
        correlations[i] =
            signal * assay_gp_correlation(scaled, &likelihood->scaled[i * columns], columns);
        mean += correlations[i] * likelihood->alpha[i];
    }
    assay_gp_factor_forward(&likelihood->factor, correlations, 1);
    for (size_t i = 0; i < n; i++)
        variance -= correlations[i] * correlations[i];
    return (struct assay_outlook){mean, outlooks->surprise * fmax(variance, noise)};
}

struct assay_outlook
assay_outlook_without(struct assay_outlooks *outlooks, int64_t number, const double *row)
{
    for (size_t i = 0; i < outlooks->n; i++) {
        if (outlooks->items[i].trial.number == number && outlooks->items[i].learned)
            return outlooks->items[i].without;
    }
    return assay_outlook_at(outlooks, row);
}

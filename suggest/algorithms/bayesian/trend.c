#include "suggest/algorithms/bayesian/trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/trust.h"

/* A source that nothing is known of is believed to be right in four pairs of five. */
#define BELIEVED 0.8
/* The spread of m at the first trials counts as little more than theirs: so many trials with
 * the spread 1 that a source's values have. */
#define SPREAD_TRIALS 3.0
/* Below it the spread is not divided by: what is nearly the same everywhere says little. */
#define SPREAD_LEAST 0.3
/* Trials by which sources are judged. */
#define JUDGED_MAX 100

static size_t
count(const struct assay_gp_trend *trend)
{
    return trend->sources != NULL ? trend->sources->n : 0;
}

static double
mean_of(const double *values, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return n > 0 ? sum / (double)n : 0.0;
}

static double
squares_of(const double *values, size_t n)
{
    double mean = mean_of(values, n), sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (values[i] - mean) * (values[i] - mean);
    return sum;
}

/* None in predictions that are the same for all. */
static double
trust_in(const double *said, const double *y, size_t n)
{
    return n > 1 && squares_of(said, n) < 1e-6 * (double)n ? 0.0
                                                           : assay_gp_trust(said, y, n, BELIEVED);
}

static void
judge(struct assay_gp_trend *trend, const double *rows, const double *y, size_t n)
{
    size_t n_sources = count(trend);
    assay_auto_free double *said = assay_alloc((n_sources + 1) * n + 1, sizeof *said);
    double *average = said + n_sources * n, total = 0.0, spread, slope;

    for (size_t s = 0; s < n_sources; s++) {
        assay_gp_source_predict(&trend->sources->items[s], trend->objective, NULL, rows, n,
                                &said[s * n], NULL);
        trend->trusts[s] = trust_in(&said[s * n], y, n);
        total += trend->trusts[s];
    }
    if (!(total > 0.0))
        return;
    for (size_t i = 0; i < n; i++) {
        average[i] = 0.0;
        for (size_t s = 0; s < n_sources; s++)
            average[i] += trend->trusts[s] / total * said[s * n + i];
    }
    trend->trust = trust_in(average, y, n);
    spread = sqrt((squares_of(average, n) + SPREAD_TRIALS) / ((double)n + SPREAD_TRIALS));
    slope = sin(M_PI_2 * trend->trust) / fmax(spread, SPREAD_LEAST);
    for (size_t s = 0; s < n_sources; s++)
        trend->slopes[s] = slope * trend->trusts[s] / total;
    trend->centre = slope * mean_of(average, n);
}

void
assay_gp_trend_drop(struct assay_gp_trend *trend)
{
    trend->trust = trend->centre = 0.0;
}

void
assay_gp_trend_judge(struct assay_gp_trend *trend, const struct assay_gp_data *data,
                     const double *y, size_t n)
{
    size_t judged = ASSAY_MIN(n, (size_t)JUDGED_MAX), found = 0;
    size_t columns = trend->sources != NULL ? trend->sources->features->n_columns : 0;
    assay_auto_free size_t *valued = assay_alloc(n + 1, sizeof *valued);
    assay_auto_free double *rows = assay_alloc(judged * columns + 1, sizeof *rows);
    double values[JUDGED_MAX];

    assay_gp_trend_drop(trend);
    if (trend->sources == NULL)
        return;
    for (size_t i = 0; i < data->n && found < n; i++) {
        if (!isnan(y[i]))
            valued[found++] = i;
    }
    for (size_t i = 0; i < judged; i++) {
        size_t row = valued[(i + 1) * n / judged - 1];

        memcpy(&rows[i * columns], &data->rows[row * columns], columns * sizeof *rows);
        values[i] = y[row];
    }
    judge(trend, rows, values, judged);
}

/* Where a batch is evaluated: predictions of a source are added up here. */
static void
add_up(double slope, const double *means, const double *sds, size_t k, double *values,
       double *doubts)
{
    for (size_t j = 0; j < k; j++) {
        values[j] += slope * means[j];
        if (doubts != NULL)
            doubts[j] += slope * sds[j];
    }
}

static void
evaluate(const struct assay_gp_trend *trend, const double *roots, const double *scaled, size_t k,
         bool prepare, double *ret_values, double *ret_doubts)
{
    size_t n_sources = trend->trust > 0.0 ? count(trend) : 0;
    assay_auto_free double *means = assay_alloc(2 * k + 1, sizeof *means);
    double *sds = ret_doubts != NULL ? means + k : NULL;

    for (size_t j = 0; j < k; j++) {
        ret_values[j] = -trend->centre;
        if (ret_doubts != NULL)
            ret_doubts[j] = 0.0;
    }
    for (size_t s = 0; s < n_sources; s++) {
        struct assay_gp_source *source = &trend->sources->items[s];

        if (!(trend->slopes[s] > 0.0))
            continue;
        if (prepare)
            assay_gp_source_prepare(source, trend->objective, roots, scaled, k, means, sds);
        else
            assay_gp_source_predict(source, trend->objective, roots, scaled, k, means, sds);
        add_up(trend->slopes[s], means, sds, k, ret_values, ret_doubts);
    }
}

void
assay_gp_trend_at(const struct assay_gp_trend *trend, const double *roots, const double *scaled,
                  size_t k, double *ret_values, double *ret_doubts)
{
    evaluate(trend, roots, scaled, k, false, ret_values, ret_doubts);
}

void
assay_gp_trend_prepare(const struct assay_gp_trend *trend, const double *roots,
                       const double *scaled, size_t k, double *ret_values, double *ret_doubts)
{
    evaluate(trend, roots, scaled, k, true, ret_values, ret_doubts);
}

void
assay_gp_trend_pull(const struct assay_gp_trend *trend, const double *roots, size_t k,
                    const double *by_values, const double *by_doubts, double *gradients)
{
    size_t n_sources = trend->trust > 0.0 ? count(trend) : 0;
    assay_auto_free double *by_means = assay_alloc(2 * k + 1, sizeof *by_means);
    double *by_sds = by_means + k;

    for (size_t s = 0; s < n_sources; s++) {
        double slope = trend->slopes[s];

        if (!(slope > 0.0))
            continue;
        for (size_t j = 0; j < k; j++) {
            by_means[j] = slope * by_values[j];
            by_sds[j] = slope * by_doubts[j];
        }
        assay_gp_source_pull(&trend->sources->items[s], trend->objective, roots, k, by_means,
                             by_sds, gradients);
    }
}

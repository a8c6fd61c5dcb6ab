#include "suggest/algorithms/bayesian/worth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

/* Standard deviation taken for all points where it is not worked out. */
#define SCREEN_SD 0.3

void
assay_gp_worth_init(struct assay_gp_worth *worth, const struct assay_gp_features *features)
{
    *worth = (struct assay_gp_worth){
        .features = features,
        .roots = assay_zalloc(features->n_columns + 1, sizeof(double)),
    };
}

static void
clear(struct assay_gp_worth *worth)
{
    for (size_t i = 0; i < worth->n_parts; i++) {
        free(worth->parts[i].ratios);
        free(worth->parts[i].own);
        free(worth->parts[i].trends);
    }
    free(worth->parts);
    free(worth->work);
    assay_gp_front_done(&worth->front);
    worth->parts = NULL;
    worth->work = NULL;
    worth->n_parts = worth->n_objectives = 0;
}

void
assay_gp_worth_done(struct assay_gp_worth *worth)
{
    clear(worth);
    free(worth->roots);
    *worth = (struct assay_gp_worth){0};
}

void
assay_gp_worth_begin(struct assay_gp_worth *worth, size_t n_objectives, size_t n_parts)
{
    clear(worth);
    worth->n_objectives = n_objectives;
    worth->n_parts = n_parts;
    worth->parts = assay_zalloc(n_parts, sizeof *worth->parts);
}

static void
set_roots(struct assay_gp_worth *worth)
{
    size_t columns = worth->features->n_columns;

    if (worth->n_parts == 1) { /* to the bit */
        memcpy(worth->roots, worth->parts[0].surface->posterior.roots,
               columns * sizeof *worth->roots);
        return;
    }
    for (size_t c = 0; c < columns; c++) {
        double sum = 0.0;

        for (size_t i = 0; i < worth->n_parts; i++) {
            double root = worth->parts[i].surface->posterior.roots[c];

            sum += root * root / (double)worth->n_parts;
        }
        worth->roots[c] = sqrt(sum);
    }
}

void
assay_gp_worth_ready(struct assay_gp_worth *worth)
{
    size_t columns = worth->features->n_columns, scratch = 0;

    set_roots(worth);
    for (size_t i = 0; i < worth->n_parts; i++) {
        struct assay_gp_part *part = &worth->parts[i];

        if (!(part->surface->trend.trust > 0.0))
            continue;
        part->trends = assay_alloc(3 * ASSAY_GP_BATCH, sizeof *part->trends);
    }
    for (size_t i = 0; i < worth->n_parts && worth->n_parts > 1; i++) {
        struct assay_gp_part *part = &worth->parts[i];

        part->ratios = assay_alloc(columns + 1, sizeof *part->ratios);
        part->own = assay_alloc(ASSAY_GP_BATCH * columns + 1, sizeof *part->own);
        for (size_t c = 0; c < columns; c++)
            part->ratios[c] = part->surface->posterior.roots[c] / worth->roots[c];
    }
    if (worth->rule == ASSAY_GP_LOG_EHVI)
        scratch = assay_gp_front_scratch(&worth->front);
    worth->work = assay_alloc(ASSAY_GP_BATCH * (columns + 1) + 4 * worth->n_objectives + scratch,
                              sizeof *worth->work);
    worth->n_rows = worth->parts[0].surface->posterior.factor.n;
    worth->n_pending = worth->parts[0].surface->n_pending;
}

static const double *
own_rows(const struct assay_gp_worth *worth, const struct assay_gp_part *part, const double *scaled,
         size_t k)
{
    size_t columns = worth->features->n_columns;

    if (part->ratios == NULL)
        return scaled;
    for (size_t j = 0; j < k; j++) {
        for (size_t c = 0; c < columns; c++)
            part->own[j * columns + c] = scaled[j * columns + c] * part->ratios[c];
    }
    return part->own;
}

/* What the sources say, on top of what is predicted of the rest. */
static void
add_trend(const struct assay_gp_worth *worth, struct assay_gp_part *part, const double *scaled,
          size_t k, enum assay_gp_detail detail)
{
    const struct assay_gp_trend *trend = &part->surface->trend;
    double *values = part->trends, *doubts, *factors;
    size_t n_means = part->moments.n_means;

    if (values == NULL)
        return;
    doubts = values + ASSAY_GP_BATCH;
    factors = doubts + ASSAY_GP_BATCH;
    if (detail == ASSAY_GP_SLOPES)
        assay_gp_trend_prepare(trend, worth->roots, scaled, k, values, doubts);
    else
        assay_gp_trend_at(trend, worth->roots, scaled, k, values,
                          detail == ASSAY_GP_MOMENTS ? doubts : NULL);
    for (size_t i = 0; i < k * n_means; i++)
        part->moments.means[i] += values[i / n_means];
    for (size_t j = 0; j < k && detail != ASSAY_GP_MEANS; j++) {
        factors[j] = sqrt(1.0 + doubts[j] * doubts[j] / part->surface->posterior.signal);
        part->moments.sds[j] *= factors[j];
    }
}

static void
predict(struct assay_gp_worth *worth, const double *scaled, size_t k, enum assay_gp_detail detail)
{
    for (size_t i = 0; i < worth->n_parts; i++) {
        struct assay_gp_part *part = &worth->parts[i];

        assay_gp_posterior_predict(&part->surface->posterior, own_rows(worth, part, scaled, k), k,
                                   detail, &part->moments);
        for (size_t j = 0; j < k && detail == ASSAY_GP_MEANS; j++)
            part->moments.sds[j] = SCREEN_SD;
        add_trend(worth, part, scaled, k, detail);
    }
}

/* Several objectives at point j; derivatives in place of the moments. */
static double
improvement_at(struct assay_gp_worth *worth, size_t j, bool slopes)
{
    size_t m = worth->n_objectives;
    double *means = worth->work, *sds = means + m, *by_means = sds + m, *by_sds = by_means + m;
    double value;

    for (size_t i = 0; i < m; i++) {
        means[i] = worth->parts[i].moments.means[j];
        sds[i] = worth->parts[i].moments.sds[j];
    }
    value = assay_gp_front_worth(&worth->front, means, sds, by_sds + m, slopes ? by_means : NULL,
                                 slopes ? by_sds : NULL);
    for (size_t i = 0; i < m && slopes; i++) {
        worth->parts[i].moments.means[j] = by_means[i];
        worth->parts[i].moments.by_sds[j] = by_sds[i];
    }
    return value;
}

/* While nothing holds the bounds the objectives do not count, but what is pending should
 * not be asked for again: that is where the first of them is known well. */
static double
distance_at(struct assay_gp_worth *worth, size_t j, bool slopes)
{
    double value = 0.0;

    for (size_t i = 0; i < worth->n_objectives; i++) {
        struct assay_gp_moments *moments = &worth->parts[i].moments;
        bool counts = i == 0 && worth->n_pending > 0;
        double sd = moments->sds[j];

        if (counts)
            value += log(sd);
        if (slopes) {
            for (size_t s = 0; s < moments->n_means; s++)
                moments->means[j * moments->n_means + s] = 0.0;
            moments->by_sds[j] = counts ? 1.0 / sd : 0.0;
        }
    }
    return value;
}

/* ln P(bound holds) at point j. */
static double
bound_at(struct assay_gp_part *part, size_t j, bool slopes)
{
    double *mean = &part->moments.means[j], sd = part->moments.sds[j], by_u, share;
    double u = (part->threshold - *mean) / sd, value = assay_gp_log_cdf(u, &by_u);

    if (part->doubt > 0.0) {
        share = (1.0 - part->doubt) * exp(value);
        value = log(share + 0.5 * part->doubt);
        by_u *= share / (share + 0.5 * part->doubt);
    }
    if (slopes) {
        *mean = -by_u / sd;
        part->moments.by_sds[j] = -by_u * u / sd;
    }
    return value;
}

static double
value_at(struct assay_gp_worth *worth, size_t j, bool slopes)
{
    struct assay_gp_moments *moments = &worth->parts[0].moments;
    double *means = &moments->means[j * moments->n_means], value;

    if (worth->rule == ASSAY_GP_FEASIBILITY)
        value = distance_at(worth, j, slopes);
    else if (worth->rule == ASSAY_GP_LOG_EHVI)
        value = improvement_at(worth, j, slopes);
    else
        value = assay_gp_acquisition_at(&worth->acquisition, means, moments->sds[j],
                                        slopes ? means : NULL, slopes ? &moments->by_sds[j] : NULL);
    for (size_t i = worth->n_objectives; i < worth->n_parts; i++)
        value += bound_at(&worth->parts[i], j, slopes);
    return value;
}

/* By the chain rule: from the derivatives by the moments of the whole to those by trend and
 * doubt, whose gradients are added, and to those by the moments of the rest. */
static void
pull_trend(const struct assay_gp_worth *worth, struct assay_gp_part *part, size_t k,
           double *gradients)
{
    double *by_values = part->trends, *doubts = by_values + ASSAY_GP_BATCH;
    const double *factors = doubts + ASSAY_GP_BATCH;
    size_t n_means = part->moments.n_means;

    for (size_t j = 0; j < k; j++) {
        double *sd = &part->moments.sds[j], *by_sd = &part->moments.by_sds[j];

        by_values[j] = 0.0;
        for (size_t s = 0; s < n_means; s++)
            by_values[j] += part->moments.means[j * n_means + s];
        *sd /= factors[j];
        doubts[j] *= *by_sd * *sd / (factors[j] * part->surface->posterior.signal);
        *by_sd *= factors[j];
    }
    assay_gp_trend_pull(&part->surface->trend, worth->roots, k, by_values, doubts, gradients);
}

/* The gradients of all surfaces, in the scale of the worth. */
static void
pull(struct assay_gp_worth *worth, const double *scaled, size_t k, double *ret_gradients)
{
    size_t columns = worth->features->n_columns;
    double *mine = worth->work;

    memset(ret_gradients, 0, k * columns * sizeof *ret_gradients);
    for (size_t i = 0; i < worth->n_parts; i++) {
        struct assay_gp_part *part = &worth->parts[i];

        if (part->trends != NULL)
            pull_trend(worth, part, k, ret_gradients);
        assay_gp_posterior_pull(&part->surface->posterior,
                                part->ratios != NULL ? part->own : scaled, k, true, mine);
        for (size_t j = 0; j < k; j++) {
            for (size_t c = 0; c < columns; c++)
                ret_gradients[j * columns + c] +=
                    (part->ratios != NULL ? part->ratios[c] : 1.0) * mine[j * columns + c];
        }
    }
}

static void
add_belief(const struct assay_gp_worth *worth, const double *scaled, size_t k, double *worths,
           double *gradients)
{
    size_t columns = worth->features->n_columns;

    if (worth->belief == NULL || worth->belief->expectations.n == 0)
        return;
    for (size_t j = 0; j < k; j++)
        worths[j] +=
            worth->strength *
            assay_gp_belief_at(worth->belief, worth->roots, &scaled[j * columns], worth->strength,
                               gradients != NULL ? &gradients[j * columns] : NULL);
}

void
assay_gp_worth_at(struct assay_gp_worth *worth, const double *scaled, size_t k, double *ret_worths,
                  double *ret_gradients)
{
    size_t columns = worth->features->n_columns;

    for (size_t from = 0; from < k; from += ASSAY_GP_BATCH) {
        size_t part = ASSAY_MIN(k - from, (size_t)ASSAY_GP_BATCH);
        const double *points = &scaled[from * columns];
        double *gradients = ret_gradients != NULL ? &ret_gradients[from * columns] : NULL;

        predict(worth, points, part, gradients != NULL ? ASSAY_GP_SLOPES : ASSAY_GP_MOMENTS);
        for (size_t j = 0; j < part; j++)
            ret_worths[from + j] = value_at(worth, j, gradients != NULL);
        if (gradients != NULL)
            pull(worth, points, part, gradients);
        add_belief(worth, points, part, &ret_worths[from], gradients);
    }
}

static double
average(const double *values, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

void
assay_gp_worth_screen(struct assay_gp_worth *worth, const double *scaled, size_t k,
                      double *ret_worths)
{
    size_t columns = worth->features->n_columns;

    for (size_t from = 0; from < k; from += ASSAY_GP_BATCH) {
        size_t part = ASSAY_MIN(k - from, (size_t)ASSAY_GP_BATCH);
        const struct assay_gp_moments *moments = &worth->parts[0].moments;

        predict(worth, &scaled[from * columns], part, ASSAY_GP_MEANS);
        for (size_t j = 0; j < part; j++)
            ret_worths[from + j] =
                worth->n_parts > 1
                    ? value_at(worth, j, false)
                    : -average(&moments->means[j * moments->n_means], moments->n_means);
        add_belief(worth, &scaled[from * columns], part, &ret_worths[from], NULL);
    }
}

void
assay_gp_worth_predict(struct assay_gp_worth *worth, const double *scaled, double *ret_means,
                       double *ret_sds, double *ret_feasible)
{
    double sum = 0.0;

    predict(worth, scaled, 1, ASSAY_GP_MOMENTS);
    for (size_t i = 0; i < worth->n_objectives; i++) {
        const struct assay_gp_moments *moments = &worth->parts[i].moments;

        ret_means[i] = average(moments->means, moments->n_means);
        ret_sds[i] = moments->sds[0];
    }
    for (size_t i = worth->n_objectives; i < worth->n_parts; i++)
        sum += bound_at(&worth->parts[i], 0, false);
    *ret_feasible = exp(sum);
}

#include "suggest/algorithms/cmaes/parts.h"

#include <math.h>

#include <gsl/gsl_cdf.h>

#include "common/memory.h"
#include "suggest/algorithms/algorithms.h"

/* How fast probabilities follow the better half. */
#define CHOICE_RATE 0.3
/* Of the usual damping of sigma: with few generations to come steps must change soon. */
#define DAMPING 0.45

/* --- the steps of trials --- */

static double
dot(const double *a, const double *b, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* z with L z = y. */
static void
solve(const double *factor, const double *y, size_t n, double *ret_z)
{
    for (size_t i = 0; i < n; i++) {
        double sum = y[i];

        for (size_t k = 0; k < i; k++)
            sum -= factor[i * n + k] * ret_z[k];
        ret_z[i] = sum / factor[i * n + i];
    }
}

/* Edges of the cell of a unit coordinate; the outermost cells go on for ever. */
static void
cell_of(const struct assay_cmaes_layout *layout, size_t d, double x, double *ret_low,
        double *ret_high)
{
    const struct assay_transform *transform = layout->transform;
    size_t i = transform->dimensions[d].parameter;
    const struct assay_plugin_parameter *parameter = transform->space->parameters[i];
    double value = assay_transform_value(transform, d, x);
    double centre = assay_transform_unit(transform, d, value);
    double below = assay_view_snap(transform->space, i, value - parameter->step);
    double above = assay_view_snap(transform->space, i, value + parameter->step);

    *ret_low = -INFINITY;
    *ret_high = INFINITY;
    if (below < value)
        *ret_low = (assay_transform_unit(transform, d, below) + centre) / 2.0;
    if (above > value)
        *ret_high = (assay_transform_unit(transform, d, above) + centre) / 2.0;
}

/* y = (x - m) / sigma of a trial.  Inside a cell the place is drawn from the
 * distribution, and so is a coordinate that is not active: neither says anything. */
static void
displace(const struct assay_cmaes_layout *layout, const struct assay_cmaes_strategy *strategy,
         const struct assay__cmaes_parts *parts, const struct assay_cmaes_trial *trial,
         double *ret_y)
{
    size_t n = layout->n_numbers;
    struct assay_random random;

    assay_random_init(&random, layout->seed, (uint64_t)trial->number, ASSAY_PURPOSE_CMAES_CELLS);
    for (size_t d = 0; d < layout->n_dimensions; d++) {
        const struct assay_cmaes_dimension *dimension = &layout->dimensions[d];
        size_t j = dimension->index;
        double x = trial->coordinates[d], low, high, deviation;

        if (dimension->choice)
            continue;
        deviation = strategy->sigma * sqrt(parts->covariance[j * n + j]);
        if (isnan(x)) {
            ret_y[j] = deviation / strategy->sigma * assay_random_normal(&random);
            continue;
        }
        if (dimension->n_values > 0) {
            double u = assay_random_unit(&random), a, b;

            cell_of(layout, d, x, &low, &high);
            a = gsl_cdf_ugaussian_P((low - parts->mean[j]) / deviation);
            b = gsl_cdf_ugaussian_P((high - parts->mean[j]) / deviation);
            if (b - a > 1e-9)
                x = parts->mean[j] +
                    deviation * gsl_cdf_ugaussian_Pinv(a + (0.001 + 0.998 * u) * (b - a));
        }
        ret_y[j] = (x - parts->mean[j]) / strategy->sigma;
    }
}

double
assay_cmaes_strategy_distance(const struct assay_cmaes_layout *layout,
                              struct assay_cmaes_strategy *strategy,
                              const struct assay_cmaes_trial *const *trials, size_t n_trials)
{
    struct assay__cmaes_parts parts = assay__cmaes_parts_of(layout, strategy);
    size_t n = layout->n_numbers;
    assay_auto_free double *y = assay_zalloc(n + 1, sizeof *y);
    assay_auto_free double *z = assay_zalloc(n + 1, sizeof *z);
    double total = 0.0;

    for (size_t i = 0; i < n_trials; i++) {
        displace(layout, strategy, &parts, trials[i], y);
        solve(parts.factor, y, n, z);
        total += dot(z, z, n) / (double)(ASSAY_MAX(n, (size_t)1) * n_trials);
    }
    return total;
}

/* Steps of the trials, and their squared lengths once C is taken out.  None is longer
 * than draws are: what others put in must not blow the distribution up. */
static void
take_steps(const struct assay_cmaes_layout *layout, const struct assay_cmaes_strategy *strategy,
           const struct assay__cmaes_parts *parts, const struct assay_cmaes_trial *const *trials,
           size_t n_trials, double *ret_steps, double *ret_lengths)
{
    size_t n = layout->n_numbers;
    double longest = sqrt((double)n) + 2.0 * (double)n / ((double)n + 2.0);
    assay_auto_free double *z = assay_alloc(n, sizeof *z);

    for (size_t i = 0; i < n_trials; i++) {
        double *y = &ret_steps[i * n];

        displace(layout, strategy, parts, trials[i], y);
        solve(parts->factor, y, n, z);
        ret_lengths[i] = dot(z, z, n);
        if (ret_lengths[i] > longest * longest) {
            for (size_t j = 0; j < n; j++)
                y[j] *= longest / sqrt(ret_lengths[i]);
            ret_lengths[i] = longest * longest;
        }
    }
}

/* --- updating --- */

/* The constants of one generation (arXiv 1604.00772, table 1). */
struct rates {
    double effective; /* mass of the positive weights */
    double c1, c_mu, c_sigma, d_sigma, c_c, chi;
};

static struct rates
rates_of(double n, double effective)
{
    struct rates rates = {.effective = effective};

    rates.c1 = 2.0 / ((n + 1.3) * (n + 1.3) + effective);
    rates.c_mu = fmin(1.0 - rates.c1 - 1e-8, 2.0 * (effective - 2.0 + 1.0 / effective) /
                                                 ((n + 2.0) * (n + 2.0) + effective));
    rates.c_sigma = (effective + 2.0) / (n + effective + 5.0);
    rates.d_sigma = DAMPING * (1.0 + rates.c_sigma +
                               2.0 * fmax(0.0, sqrt((effective - 1.0) / (n + 1.0)) - 1.0));
    rates.c_c = (4.0 + effective / n) / (n + 4.0 + 2.0 * effective / n);
    rates.chi = sqrt(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n));
    return rates;
}

/* The worse half's weights, below 0, so small that C stays positive definite. */
static void
negative_weights(const struct rates *rates, double n, size_t mu, size_t n_trials, double *weights)
{
    double sum = 0.0, squares = 0.0, effective, scale;

    for (size_t i = mu; i < n_trials; i++) {
        weights[i] =
            fmin(0.0, log(((double)n_trials + 1.0) / 2.0) - log((double)i + 1.0));
        sum -= weights[i];
        squares += weights[i] * weights[i];
    }
    if (!(squares > 0.0) || !(rates->c_mu > 0.0))
        return;
    effective = sum * sum / squares;
    scale = fmin(fmin(1.0 + rates->c1 / rates->c_mu,
                      1.0 + 2.0 * effective / (rates->effective + 2.0)),
                 (1.0 - rates->c1 - rates->c_mu) / (n * rates->c_mu));
    for (size_t i = mu; i < n_trials; i++)
        weights[i] *= scale / sum;
}

/* Moves the mean and both paths by the mean step; 1 unless sigma's path is so long that
 * the covariance path is held back (then 0). */
static double
move_mean(const struct assay_cmaes_layout *layout, struct assay_cmaes_strategy *strategy,
          const struct assay__cmaes_parts *parts, const struct rates *rates, double *step)
{
    size_t n = layout->n_numbers;
    double length, held;
    assay_auto_free double *z = assay_alloc(n, sizeof *z);

    /* The paths take the step that is left inside the range: one that is pushed against
     * its end for ever would make sigma grow. */
    for (size_t j = 0; j < n; j++) {
        double moved = fmin(fmax(parts->mean[j] + strategy->sigma * step[j], 0.0), 1.0);

        step[j] = (moved - parts->mean[j]) / strategy->sigma;
        parts->mean[j] = moved;
    }
    solve(parts->factor, step, n, z);
    for (size_t j = 0; j < n; j++) {
        parts->sigma_path[j] =
            (1.0 - rates->c_sigma) * parts->sigma_path[j] +
            sqrt(rates->c_sigma * (2.0 - rates->c_sigma) * rates->effective) * z[j];
    }
    length = sqrt(dot(parts->sigma_path, parts->sigma_path, n));
    held = length / sqrt(1.0 - pow(1.0 - rates->c_sigma, 2.0 * (double)strategy->generation)) <
                   (1.4 + 2.0 / ((double)n + 1.0)) * rates->chi
               ? 1.0
               : 0.0;
    for (size_t j = 0; j < n; j++)
        parts->path[j] = (1.0 - rates->c_c) * parts->path[j] +
                         held * sqrt(rates->c_c * (2.0 - rates->c_c) * rates->effective) * step[j];
    strategy->sigma *=
        exp(fmin(1.0, rates->c_sigma / rates->d_sigma * (length / rates->chi - 1.0)));
    strategy->sigma = fmin(strategy->sigma, 1.0);
    return held;
}

static void
update_covariance(const struct assay__cmaes_parts *parts, const struct rates *rates, size_t n,
                  double held, const double *steps, const double *lengths, double *weights,
                  size_t n_trials)
{
    double total = 0.0, kept;

    for (size_t i = 0; i < n_trials; i++) {
        total += weights[i];
        if (weights[i] < 0.0)
            weights[i] *= (double)n / fmax(lengths[i], 1e-12);
    }
    kept = 1.0 + rates->c1 * (1.0 - held) * rates->c_c * (2.0 - rates->c_c) - rates->c1 -
           rates->c_mu * total;
    for (size_t a = 0; a < n; a++) {
        for (size_t b = 0; b <= a; b++) {
            double ranks = 0.0;

            for (size_t i = 0; i < n_trials; i++)
                ranks += weights[i] * steps[i * n + a] * steps[i * n + b];
            parts->covariance[a * n + b] = parts->covariance[b * n + a] =
                kept * parts->covariance[a * n + b] +
                rates->c1 * parts->path[a] * parts->path[b] + rates->c_mu * ranks;
        }
    }
}

/* Widens a coordinate whose values are cells until the neighbours of the mean's cell
 * have the margin (after CMA-ES with margin). */
static void
keep_margins(const struct assay_cmaes_layout *layout, struct assay_cmaes_strategy *strategy,
             const struct assay__cmaes_parts *parts)
{
    size_t n = layout->n_numbers;
    double margin = assay__cmaes_margin_of(layout) / 2.0, reach = -gsl_cdf_ugaussian_Pinv(margin);

    for (size_t d = 0; d < layout->n_dimensions; d++) {
        const struct assay_cmaes_dimension *dimension = &layout->dimensions[d];
        size_t j = dimension->index;
        double low, high, nearest, deviation, factor;

        if (dimension->choice || dimension->n_values == 0)
            continue;
        parts->mean[j] = fmin(fmax(parts->mean[j], 0.0), 1.0);
        cell_of(layout, d, parts->mean[j], &low, &high);
        nearest = fmin(parts->mean[j] - low, high - parts->mean[j]);
        if (!isinf(low) && !isinf(high)) /* the neighbours on both sides together */
            nearest = (high - low) / 2.0;
        deviation = strategy->sigma * sqrt(parts->covariance[j * n + j]);
        factor = nearest / (reach * deviation);
        if (factor <= 1.0)
            continue;
        for (size_t k = 0; k < n; k++) {
            parts->covariance[j * n + k] *= factor;
            parts->covariance[k * n + j] *= factor;
        }
    }
}

static void
update_probabilities(const struct assay_cmaes_layout *layout, double *probabilities,
                     const struct assay_cmaes_trial *const *sorted, const double *weights,
                     size_t mu)
{
    for (size_t d = 0; d < layout->n_dimensions; d++) {
        const struct assay_cmaes_dimension *dimension = &layout->dimensions[d];
        double active = 0.0;

        if (!dimension->choice)
            continue;
        for (size_t i = 0; i < mu; i++)
            active += isnan(sorted[i]->coordinates[d]) ? 0.0 : weights[i];
        for (size_t v = 0; v < dimension->n_values; v++)
            probabilities[dimension->index + v] *= 1.0 - CHOICE_RATE * active;
        for (size_t i = 0; i < mu; i++) {
            double x = sorted[i]->coordinates[d];

            if (!isnan(x))
                probabilities[dimension->index + (size_t)x] += CHOICE_RATE * weights[i];
        }
    }
    assay__cmaes_lift_probabilities(layout, probabilities);
}

void
assay_cmaes_strategy_update(const struct assay_cmaes_layout *layout,
                            struct assay_cmaes_strategy *strategy,
                            const struct assay_cmaes_trial *const *sorted, size_t n_trials)
{
    struct assay__cmaes_parts parts = assay__cmaes_parts_of(layout, strategy);
    size_t n = layout->n_numbers, mu;
    assay_auto_free double *weights = assay_zalloc(n_trials + 1, sizeof *weights);
    assay_auto_free double *steps = assay_zalloc(n_trials * n + 1, sizeof *steps);
    assay_auto_free double *lengths = assay_zalloc(n_trials + 1, sizeof *lengths);
    assay_auto_free double *step = assay_zalloc(n + 1, sizeof *step);
    double effective, held;
    struct rates rates;

    mu = assay__cmaes_positive_weights(n_trials, weights, &effective);
    strategy->best[strategy->generation % ASSAY_CMAES_MEMORY] =
        sorted[0]->standing == ASSAY_CMAES_SUCCEEDED ? sorted[0]->first : INFINITY;
    strategy->generation++;
    if (n > 0) {
        take_steps(layout, strategy, &parts, sorted, n_trials, steps, lengths);
        rates = rates_of((double)n, effective);
        negative_weights(&rates, (double)n, mu, n_trials, weights);
        for (size_t i = 0; i < mu; i++) {
            for (size_t j = 0; j < n; j++)
                step[j] += weights[i] * steps[i * n + j];
        }
        held = move_mean(layout, strategy, &parts, &rates, step);
        update_covariance(&parts, &rates, n, held, steps, lengths, weights, n_trials);
        keep_margins(layout, strategy, &parts);
        assay__cmaes_refactorise(&parts, n);
        mu = assay__cmaes_positive_weights(n_trials, weights, &effective);
    }
    update_probabilities(layout, parts.probabilities, sorted, weights, mu);
}

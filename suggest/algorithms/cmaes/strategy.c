#include "suggest/algorithms/cmaes/strategy.h"

#include <math.h>

#include "common/memory.h"
#include "suggest/algorithms/algorithms.h"
#include "suggest/algorithms/cmaes/outlook.h"
#include "suggest/algorithms/cmaes/parts.h"

/* Step of a run that starts from nothing, in shares of the range. */
#define FIRST_SIGMA 0.2
/* A warm start from few trials or from many: the share taken for good and what is
 * added to the spread of those. */
#define MANY 40
#define FEW_GOOD 0.25
#define FEW_SPREAD 0.2
#define MANY_GOOD 0.1
#define MANY_SPREAD 0.1
/* Of a number of which nothing is expected. */
#define UNIFORM_SPREAD 0.29
#define CONDITION_MAX 1e14

/* --- starting --- */

static void
set_identity(double *matrix, size_t n)
{
    memset(matrix, 0, n * n * sizeof *matrix);
    for (size_t i = 0; i < n; i++)
        matrix[i * n + i] = 1.0;
}

static void
set_uniform(const struct assay_cmaes_layout *layout, double *probabilities)
{
    for (size_t d = 0; d < layout->n_dimensions; d++) {
        const struct assay_cmaes_dimension *dimension = &layout->dimensions[d];

        for (size_t v = 0; dimension->choice && v < dimension->n_values; v++)
            probabilities[dimension->index + v] = 1.0 / (double)dimension->n_values;
    }
}

static void
begin_run(const struct assay_cmaes_layout *layout, struct assay_cmaes_strategy *strategy)
{
    struct assay__cmaes_parts parts = assay__cmaes_parts_of(layout, strategy);
    size_t n = layout->n_numbers;

    strategy->generation = 0;
    memset(parts.sigma_path, 0, n * sizeof(double));
    memset(parts.path, 0, n * sizeof(double));
    set_identity(parts.covariance, n);
    set_identity(parts.factor, n);
    set_uniform(layout, parts.probabilities);
}

void
assay_cmaes_strategy_init(const struct assay_cmaes_layout *layout,
                          struct assay_cmaes_strategy *strategy)
{
    memset(strategy, 0, assay_cmaes_strategy_bytes(layout));
    strategy->n_population = strategy->n_large = layout->n_population;
    strategy->sigma = FIRST_SIGMA;
    begin_run(layout, strategy);
    for (size_t j = 0; j < layout->n_numbers; j++)
        assay__cmaes_parts_of(layout, strategy).mean[j] = 0.5;
}

/* The weighted mean of the best, and for choices their shares, counted on top of one
 * vote for each value. */
static void
warm_dimension(const struct assay_cmaes_dimension *dimension,
               const struct assay__cmaes_parts *parts, size_t d,
               const struct assay_cmaes_trial *const *best, const double *weights, size_t n)
{
    double *p = &parts->probabilities[dimension->index], total = 0.0, sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        double x = best[i]->coordinates[d];

        if (isnan(x))
            continue;
        total += weights[i];
        if (dimension->choice)
            p[(size_t)x] += weights[i] * (double)n;
        else
            sum += weights[i] * x;
    }
    if (!dimension->choice && total > 0.0)
        parts->mean[dimension->index] = sum / total;
    for (size_t v = 0; dimension->choice && v < dimension->n_values; v++)
        p[v] /= 1.0 + total * (double)n;
}

/* Spread of the best about the mean, and `spread` in every direction. */
static void
warm_covariance(const struct assay_cmaes_layout *layout, const struct assay__cmaes_parts *parts,
                const struct assay_cmaes_trial *const *best, const double *weights, size_t n,
                double spread)
{
    for (size_t a = 0; a < layout->n_dimensions; a++) {
        for (size_t b = 0; b < layout->n_dimensions; b++) {
            size_t i = layout->dimensions[a].index, j = layout->dimensions[b].index;
            double sum = a == b ? spread * spread : 0.0;

            if (layout->dimensions[a].choice || layout->dimensions[b].choice)
                continue;
            for (size_t k = 0; k < n; k++) {
                double product = (best[k]->coordinates[a] - parts->mean[i]) *
                                 (best[k]->coordinates[b] - parts->mean[j]);

                sum += isnan(product) ? 0.0 : weights[k] * product;
            }
            parts->covariance[i * layout->n_numbers + j] = sum;
        }
    }
}

/* The factor of C, and sigma such that sigma^(2n) is the determinant and C has determinant
 * 1. */
static void
scale(struct assay_cmaes_strategy *strategy, const struct assay__cmaes_parts *parts, size_t n)
{
    double logs = 0.0;

    assay__cmaes_refactorise(parts, n);
    for (size_t j = 0; j < n; j++)
        logs += log(parts->factor[j * n + j]) / (double)n;
    strategy->sigma = exp(logs);
    for (size_t j = 0; j < n * n; j++) {
        parts->covariance[j] /= strategy->sigma * strategy->sigma;
        parts->factor[j] /= strategy->sigma;
    }
}

void
assay_cmaes_strategy_warm(const struct assay_cmaes_layout *layout,
                          struct assay_cmaes_strategy *strategy,
                          const struct assay_cmaes_trial *const *sorted, size_t n_trials)
{
    struct assay__cmaes_parts parts = assay__cmaes_parts_of(layout, strategy);
    size_t n = layout->n_numbers, usable = 0, best;
    assay_auto_free double *weights = assay_alloc(n_trials + 1, sizeof *weights);
    double effective;

    begin_run(layout, strategy);
    while (usable < n_trials && sorted[usable]->standing < ASSAY_CMAES_USELESS)
        usable++;
    if (usable == 0)
        return;
    best = (size_t)ceil((n_trials > MANY ? MANY_GOOD : FEW_GOOD) * (double)usable);
    (void)assay__cmaes_positive_weights(2 * best, weights, &effective);
    for (size_t d = 0; d < layout->n_dimensions; d++)
        warm_dimension(&layout->dimensions[d], &parts, d, sorted, weights, best);
    assay__cmaes_lift_probabilities(layout, parts.probabilities);
    if (n == 0)
        return;
    warm_covariance(layout, &parts, sorted, weights, best,
                    n_trials > MANY ? MANY_SPREAD : FEW_SPREAD);
    scale(strategy, &parts, n);
}

void
assay_cmaes_strategy_expect(const struct assay_cmaes_layout *layout,
                            struct assay_cmaes_strategy *strategy,
                            const struct assay_expectations *expectations)
{
    struct assay__cmaes_parts parts = assay__cmaes_parts_of(layout, strategy);
    size_t n = layout->n_numbers;

    begin_run(layout, strategy);
    for (size_t j = 0; j < n; j++) {
        parts.mean[j] = 0.5;
        parts.covariance[j * n + j] = UNIFORM_SPREAD * UNIFORM_SPREAD;
    }
    for (size_t i = 0; i < expectations->n; i++) {
        const struct assay_expectation *expectation = &expectations->items[i];
        const struct assay_cmaes_dimension *dimension =
            &layout->dimensions[expectation->dimension];
        double *p = &parts.probabilities[dimension->index], spread;

        if (!expectation->choice && !dimension->choice) {
            spread = fmin(expectation->spread, UNIFORM_SPREAD);
            parts.mean[dimension->index] = expectation->place;
            parts.covariance[dimension->index * (n + 1)] = spread * spread;
        }
        for (size_t v = 0; expectation->choice && v < dimension->n_values; v++)
            p[v] = (double)v == expectation->value
                       ? expectation->share
                       : (1.0 - expectation->share) / (expectation->n_values - 1.0);
    }
    assay__cmaes_lift_probabilities(layout, parts.probabilities);
    if (n > 0)
        scale(strategy, &parts, n);
}

/* --- drawing --- */

/* Folds a coordinate back at the ends of the unit interval. */
static double
reflect(double x)
{
    x = fabs(fmod(x, 2.0));
    return x > 1.0 ? 2.0 - x : x;
}

static size_t
draw_choice(const struct assay_cmaes_dimension *dimension, const double *probabilities,
            struct assay_random *random)
{
    double u = assay_random_unit(random);
    size_t v = 0;

    while (v + 1 < dimension->n_values && u >= probabilities[dimension->index + v])
        u -= probabilities[dimension->index + v++];
    return v;
}

void
assay_cmaes_strategy_draw(const struct assay_cmaes_layout *layout,
                          const struct assay_cmaes_strategy *strategy,
                          const struct assay_cmaes_outlook *outlook, struct assay_random *random,
                          double *normals, double *ret_unit)
{
    size_t n = layout->n_numbers;
    const double *mean = outlook != NULL ? outlook->mean : strategy->numbers;
    const double *factor = strategy->numbers + 3 * n + n * n;
    double sigma = outlook != NULL ? outlook->sigma : strategy->sigma;
    const double *probabilities = factor + n * n;

    for (size_t j = 0; j < n; j++)
        normals[j] = assay_random_normal(random);
    for (size_t d = 0; d < layout->n_dimensions; d++) {
        const struct assay_cmaes_dimension *dimension = &layout->dimensions[d];
        size_t j = dimension->index;
        double y = 0.0;

        if (dimension->choice) {
            ret_unit[d] = assay_transform_unit(
                layout->transform, d,
                assay__cmaes_value_of_choice(layout->transform, d,
                                             draw_choice(dimension, probabilities, random)));
            continue;
        }
        for (size_t k = 0; k <= j; k++)
            y += factor[j * n + k] * normals[k];
        y = mean[j] + sigma * y;
        ret_unit[d] = dimension->n_values > 0 ? fmin(fmax(y, 0.0), 1.0) : reflect(y);
    }
}

/* --- restarting --- */

bool
assay_cmaes_strategy_ended(const struct assay_cmaes_layout *layout,
                           const struct assay_cmaes_strategy *strategy)
{
    size_t n = layout->n_numbers, back;
    const double *covariance = strategy->numbers + 3 * n, *factor = covariance + n * n;
    double widest = 0.0, least = INFINITY, most = 0.0, low = INFINITY, high = -INFINITY;

    back = 10 + (size_t)ceil(30.0 * (double)n / (double)strategy->n_population);
    back = ASSAY_MIN(back, (size_t)ASSAY_CMAES_MEMORY);
    if (strategy->generation >= back) {
        for (size_t g = 0; g < back; g++) {
            double value =
                strategy->best[(strategy->generation - 1 - g) % ASSAY_CMAES_MEMORY];

            low = fmin(low, value);
            high = fmax(high, value);
        }
        if (isfinite(low) && !(high - low > 1e-12 * fmax(1.0, fabs(low))))
            return true;
    }
    for (size_t j = 0; j < n; j++) {
        widest = fmax(widest, sqrt(covariance[j * n + j]));
        least = fmin(least, factor[j * n + j]);
        most = fmax(most, factor[j * n + j]);
    }
    return n > 0 && (strategy->sigma * widest < 1e-9 || most > least * sqrt(CONDITION_MAX));
}

void
assay_cmaes_strategy_restart(const struct assay_cmaes_layout *layout,
                             struct assay_cmaes_strategy *strategy)
{
    struct assay__cmaes_parts parts = assay__cmaes_parts_of(layout, strategy);
    struct assay_random random;

    strategy->restarts++;
    strategy->begun = strategy->consumed;
    assay_random_init(&random, layout->seed, strategy->restarts, ASSAY_PURPOSE_CMAES_RESTART);
    if (strategy->is_small)
        strategy->used_small += strategy->generation * strategy->n_population;
    else
        strategy->used_large += strategy->generation * strategy->n_population;
    strategy->is_small = strategy->used_small < strategy->used_large && strategy->restarts > 1;
    if (strategy->is_small) {
        double u = assay_random_unit(&random), v = assay_random_unit(&random);
        double ratio = 0.5 * (double)strategy->n_large / (double)layout->n_population;

        strategy->n_population =
            (size_t)((double)layout->n_population * pow(ratio, u * u) + 0.5);
        strategy->n_population = ASSAY_MAX(strategy->n_population, layout->n_population);
        strategy->sigma = FIRST_SIGMA * pow(10.0, -2.0 * v);
    } else {
        strategy->n_large = ASSAY_MIN(2 * strategy->n_large, (size_t)4096);
        strategy->n_population = strategy->n_large;
        strategy->sigma = FIRST_SIGMA;
    }
    begin_run(layout, strategy);
    for (size_t j = 0; j < layout->n_numbers; j++)
        parts.mean[j] = assay_random_unit(&random);
}

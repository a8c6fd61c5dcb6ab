#include "suggest/algorithms/cmaes/strategy.h"

#include <math.h>
#include <stdlib.h>

#include <gsl/gsl_cdf.h>

#include "common/memory.h"
#include "suggest/algorithms/algorithms.h"
#include "suggest/algorithms/cmaes/outlook.h"

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
/* How fast probabilities follow the better half. */
#define CHOICE_RATE 0.3
/* Of the usual damping of sigma: with few generations to come steps must change soon. */
#define DAMPING 0.45
#define CONDITION_MAX 1e14

/* Parts of the block of numbers. */
struct parts {
    double *mean, *sigma_path, *path, *covariance, *factor, *probabilities;
};

static struct parts
parts_of(const struct assay_cmaes_layout *layout, struct assay_cmaes_strategy *strategy)
{
    size_t n = layout->n_numbers;
    double *at = strategy->numbers;

    return (struct parts){
        .mean = at,
        .sigma_path = at + n,
        .path = at + 2 * n,
        .covariance = at + 3 * n,
        .factor = at + 3 * n + n * n,
        .probabilities = at + 3 * n + 2 * n * n,
    };
}

/* --- layout --- */

static bool
is_unordered(const struct assay_transform *transform, size_t d)
{
    uint32_t type = transform->space->parameters[transform->dimensions[d].parameter]->type;

    return type == ASSAY_PLUGIN_CATEGORICAL || type == ASSAY_PLUGIN_BOOL;
}

/* Choices other than categories are numbers with two values. */
static double
value_of_choice(const struct assay_transform *transform, size_t d, size_t v)
{
    size_t i = transform->dimensions[d].parameter;
    const struct assay_plugin_parameter *parameter = transform->space->parameters[i];

    return is_unordered(transform, d)
               ? (double)v
               : assay_view_snap(transform->space, i, v == 0 ? parameter->min : parameter->max);
}

void
assay_cmaes_layout_init(struct assay_cmaes_layout *layout, const struct assay_transform *transform,
                        uint64_t seed, size_t n_population)
{
    size_t n = transform->n_dimensions;

    *layout = (struct assay_cmaes_layout){
        .transform = transform,
        .seed = seed,
        .n_dimensions = n,
        .dimensions = assay_zalloc(n + 1, sizeof *layout->dimensions),
    };
    for (size_t d = 0; d < n; d++) {
        const struct assay_plugin_parameter *parameter =
            transform->space->parameters[transform->dimensions[d].parameter];
        struct assay_cmaes_dimension *dimension = &layout->dimensions[d];

        dimension->dimension = d;
        /* Two values have no order to speak of. */
        dimension->choice = is_unordered(transform, d) || parameter->cardinality <= 2.0;
        if (!isinf(parameter->cardinality) && parameter->cardinality < 1e9)
            dimension->n_values = (size_t)parameter->cardinality;
        if (dimension->choice) {
            dimension->index = layout->n_probabilities;
            layout->n_probabilities += dimension->n_values;
            layout->n_choices++;
        } else {
            dimension->index = layout->n_numbers++;
        }
        layout->n_discrete += dimension->n_values > 0;
    }
    layout->n_population = n_population;
    if (n_population == 0)
        layout->n_population =
            5 + (size_t)log(fmax(1.0, (double)(layout->n_numbers + layout->n_choices)));
}

void
assay_cmaes_layout_done(struct assay_cmaes_layout *layout)
{
    free(layout->dimensions);
    *layout = (struct assay_cmaes_layout){0};
}

size_t
assay_cmaes_strategy_bytes(const struct assay_cmaes_layout *layout)
{
    size_t n = layout->n_numbers;

    return sizeof(struct assay_cmaes_strategy) +
           (3 * n + 2 * n * n + layout->n_probabilities) * sizeof(double);
}

void
assay_cmaes_encode(const struct assay_cmaes_layout *layout, const double *point,
                   double *ret_coordinates)
{
    const struct assay_transform *transform = layout->transform;

    for (size_t d = 0; d < layout->n_dimensions; d++) {
        size_t i = transform->dimensions[d].parameter;

        if (isnan(point[i]))
            ret_coordinates[d] = NAN;
        else if (is_unordered(transform, d))
            ret_coordinates[d] = point[i];
        else if (layout->dimensions[d].choice)
            ret_coordinates[d] = point[i] == value_of_choice(transform, d, 0) ? 0.0 : 1.0;
        else
            ret_coordinates[d] = assay_transform_unit(transform, d, point[i]);
    }
}

int
assay_cmaes_compare(const struct assay_cmaes_trial *a, const struct assay_cmaes_trial *b)
{
    if (a->standing != b->standing)
        return a->standing < b->standing ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    if (a->second != b->second)
        return a->second < b->second ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

/* --- small things --- */

/* The lower factor L of C = L L'; false when C is not positive definite. */
static bool
factorise(const double *covariance, double *factor, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = covariance[i * n + j];

            for (size_t k = 0; k < j; k++)
                sum -= factor[i * n + k] * factor[j * n + k];
            if (i == j) {
                if (!(sum > 1e-300))
                    return false;
                factor[i * n + i] = sqrt(sum);
            } else {
                factor[i * n + j] = sum / factor[j * n + j];
            }
        }
    }
    return true;
}

/* Factorises C, made a little rounder until that works. */
static void
refactorise(const struct parts *parts, size_t n)
{
    while (!factorise(parts->covariance, parts->factor, n)) {
        double trace = 1e-300;

        for (size_t j = 0; j < n; j++)
            trace += fabs(parts->covariance[j * n + j]) / (double)n;
        for (size_t j = 0; j < n; j++)
            parts->covariance[j * n + j] = fabs(parts->covariance[j * n + j]) + 1e-3 * trace;
    }
}

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

static void
set_identity(double *matrix, size_t n)
{
    memset(matrix, 0, n * n * sizeof *matrix);
    for (size_t i = 0; i < n; i++)
        matrix[i * n + i] = 1.0;
}

/* Share of choices that a variable keeps for what it does not favour (CatCMAwM). */
static double
margin_of(const struct assay_cmaes_layout *layout)
{
    return 1.0 - pow(0.73, 1.0 / (double)ASSAY_MAX(layout->n_discrete, (size_t)1));
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
lift_probabilities(const struct assay_cmaes_layout *layout, double *probabilities)
{
    double margin = margin_of(layout);

    for (size_t d = 0; d < layout->n_dimensions; d++) {
        const struct assay_cmaes_dimension *dimension = &layout->dimensions[d];
        double *p = &probabilities[dimension->index], excess = 0.0, total = 0.0;
        double least = margin / (double)ASSAY_MAX(dimension->n_values - 1, (size_t)1);

        if (!dimension->choice)
            continue;
        least = fmin(least, 0.5 / (double)dimension->n_values);
        for (size_t v = 0; v < dimension->n_values; v++) {
            p[v] = fmax(p[v], least);
            total += p[v];
            excess += p[v] - least;
        }
        for (size_t v = 0; v < dimension->n_values && excess > 0.0; v++)
            p[v] -= (total - 1.0) * (p[v] - least) / excess;
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

/* --- starting --- */

static void
begin_run(const struct assay_cmaes_layout *layout, struct assay_cmaes_strategy *strategy)
{
    struct parts parts = parts_of(layout, strategy);
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
        parts_of(layout, strategy).mean[j] = 0.5;
}

/* Positive weights of the better half, logarithmic in the rank, with sum 1. */
static size_t
positive_weights(size_t n, double *ret_weights, double *ret_effective)
{
    size_t mu = ASSAY_MAX(n / 2, (size_t)1);
    double total = 0.0, squares = 0.0;

    for (size_t i = 0; i < mu; i++) {
        ret_weights[i] = log(((double)n + 1.0) / 2.0) - log((double)i + 1.0);
        if (n == 1)
            ret_weights[i] = 1.0;
        total += ret_weights[i];
    }
    for (size_t i = 0; i < mu; i++) {
        ret_weights[i] /= total;
        squares += ret_weights[i] * ret_weights[i];
    }
    *ret_effective = 1.0 / squares;
    return mu;
}

/* The weighted mean of the best, and for choices their shares, counted on top of one
 * vote for each value. */
static void
warm_dimension(const struct assay_cmaes_dimension *dimension, const struct parts *parts, size_t d,
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
warm_covariance(const struct assay_cmaes_layout *layout, const struct parts *parts,
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
scale(struct assay_cmaes_strategy *strategy, const struct parts *parts, size_t n)
{
    double logs = 0.0;

    refactorise(parts, n);
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
    struct parts parts = parts_of(layout, strategy);
    size_t n = layout->n_numbers, usable = 0, best;
    assay_auto_free double *weights = assay_alloc(n_trials + 1, sizeof *weights);
    double effective;

    begin_run(layout, strategy);
    while (usable < n_trials && sorted[usable]->standing < ASSAY_CMAES_USELESS)
        usable++;
    if (usable == 0)
        return;
    best = (size_t)ceil((n_trials > MANY ? MANY_GOOD : FEW_GOOD) * (double)usable);
    (void)positive_weights(2 * best, weights, &effective);
    for (size_t d = 0; d < layout->n_dimensions; d++)
        warm_dimension(&layout->dimensions[d], &parts, d, sorted, weights, best);
    lift_probabilities(layout, parts.probabilities);
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
    struct parts parts = parts_of(layout, strategy);
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
    lift_probabilities(layout, parts.probabilities);
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
                value_of_choice(layout->transform, d,
                                draw_choice(dimension, probabilities, random)));
            continue;
        }
        for (size_t k = 0; k <= j; k++)
            y += factor[j * n + k] * normals[k];
        y = mean[j] + sigma * y;
        ret_unit[d] = dimension->n_values > 0 ? fmin(fmax(y, 0.0), 1.0) : reflect(y);
    }
}

/* --- updating --- */

/* y = (x - m) / sigma of a trial.  Inside a cell the place is drawn from the
 * distribution, and so is a coordinate that is not active: neither says anything. */
static void
displace(const struct assay_cmaes_layout *layout, const struct assay_cmaes_strategy *strategy,
         const struct parts *parts, const struct assay_cmaes_trial *trial, double *ret_y)
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
    lift_probabilities(layout, probabilities);
}

/* Widens a coordinate whose values are cells until the neighbours of the mean's cell
 * have the margin (after CMA-ES with margin). */
static void
keep_margins(const struct assay_cmaes_layout *layout, struct assay_cmaes_strategy *strategy,
             const struct parts *parts)
{
    size_t n = layout->n_numbers;
    double margin = margin_of(layout) / 2.0, reach = -gsl_cdf_ugaussian_Pinv(margin);

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

double
assay_cmaes_strategy_distance(const struct assay_cmaes_layout *layout,
                              struct assay_cmaes_strategy *strategy,
                              const struct assay_cmaes_trial *const *trials, size_t n_trials)
{
    struct parts parts = parts_of(layout, strategy);
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

/* Steps of the trials, and their squared lengths once C is taken out.  None is longer
 * than draws are: what others put in must not blow the distribution up. */
static void
take_steps(const struct assay_cmaes_layout *layout, const struct assay_cmaes_strategy *strategy,
           const struct parts *parts, const struct assay_cmaes_trial *const *trials,
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

/* Moves the mean and both paths by the mean step; 1 unless sigma's path is so long that
 * the covariance path is held back (then 0). */
static double
move_mean(const struct assay_cmaes_layout *layout, struct assay_cmaes_strategy *strategy,
          const struct parts *parts, const struct rates *rates, double *step)
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
update_covariance(const struct parts *parts, const struct rates *rates, size_t n, double held,
                  const double *steps, const double *lengths, double *weights, size_t n_trials)
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

void
assay_cmaes_strategy_update(const struct assay_cmaes_layout *layout,
                            struct assay_cmaes_strategy *strategy,
                            const struct assay_cmaes_trial *const *sorted, size_t n_trials)
{
    struct parts parts = parts_of(layout, strategy);
    size_t n = layout->n_numbers, mu;
    assay_auto_free double *weights = assay_zalloc(n_trials + 1, sizeof *weights);
    assay_auto_free double *steps = assay_zalloc(n_trials * n + 1, sizeof *steps);
    assay_auto_free double *lengths = assay_zalloc(n_trials + 1, sizeof *lengths);
    assay_auto_free double *step = assay_zalloc(n + 1, sizeof *step);
    double effective, held;
    struct rates rates;

    mu = positive_weights(n_trials, weights, &effective);
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
        refactorise(&parts, n);
        mu = positive_weights(n_trials, weights, &effective);
    }
    update_probabilities(layout, parts.probabilities, sorted, weights, mu);
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
    struct parts parts = parts_of(layout, strategy);
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

#include "suggest/algorithms/bayesian/likelihood.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/kernel.h"

#define LENGTH_VARIANCE 3.0
#define NOISE_LOCATION (-5.0)
#define NOISE_VARIANCE 3.0
#define MEAN_PRECISION 4.0

void
assay_gp_likelihood_init(struct assay_gp_likelihood *likelihood,
                         const struct assay_gp_features *features, size_t n_max)
{
    size_t cells = n_max * n_max + 1, wide = n_max * features->n_columns + 1;

    *likelihood = (struct assay_gp_likelihood){
        .features = features,
        .n_theta = features->n_groups + 2,
        .scaled = assay_alloc(wide, sizeof(double)),
        .correlations = assay_alloc(cells, sizeof(double)),
        .slopes = assay_alloc(cells, sizeof(double)),
        .inverse = assay_alloc(cells, sizeof(double)),
        .product = assay_alloc(wide, sizeof(double)),
        .norms = assay_alloc(2 * n_max + 1, sizeof(double)),
        .alpha = assay_alloc(n_max + 1, sizeof(double)),
        .ones = assay_alloc(n_max + 1, sizeof(double)),
    };
    assay_gp_factor_reserve(&likelihood->factor, n_max);
}

void
assay_gp_likelihood_done(struct assay_gp_likelihood *likelihood)
{
    assay_gp_factor_done(&likelihood->factor);
    free(likelihood->scaled);
    free(likelihood->correlations);
    free(likelihood->slopes);
    free(likelihood->inverse);
    free(likelihood->product);
    free(likelihood->norms);
    free(likelihood->alpha);
    free(likelihood->ones);
    *likelihood = (struct assay_gp_likelihood){0};
}

static double
length_location(const struct assay_gp_features *features)
{
    return M_SQRT2 + 0.5 * log(features->typical);
}

void
assay_gp_prior_mode(const struct assay_gp_features *features, double *ret_theta)
{
    size_t g = features->n_groups;

    for (size_t k = 0; k < g; k++)
        ret_theta[k] = -2.0 * (length_location(features) - LENGTH_VARIANCE);
    ret_theta[g] = 0.0;
    ret_theta[g + 1] = NOISE_LOCATION - NOISE_VARIANCE;
}

void
assay_gp_prior_box(const struct assay_gp_features *features, double *ret_low, double *ret_high)
{
    size_t g = features->n_groups;

    for (size_t k = 0; k < g; k++) {
        ret_low[k] = -2.0 * log(300.0);
        ret_high[k] = -2.0 * log(0.01);
    }
    ret_low[g] = log(0.05);
    ret_high[g] = log(20.0);
    ret_low[g + 1] = log(ASSAY_GP_NOISE_MIN);
    ret_high[g + 1] = 0.0;
}

/* Minus the logarithm of the prior's density; adds its gradient. */
static double
prior_at(const struct assay_gp_features *features, const double *theta, double *gradient)
{
    size_t g = features->n_groups;
    double location = length_location(features), value = 0.0, signal = exp(theta[g]);
    double off = theta[g + 1] - NOISE_LOCATION;

    for (size_t k = 0; k < g; k++) {
        double length = -0.5 * theta[k], apart = length - location;

        value += length + 0.5 * apart * apart / LENGTH_VARIANCE;
        if (gradient != NULL)
            gradient[k] -= 0.5 * (1.0 + apart / LENGTH_VARIANCE);
    }
    value += signal - theta[g];
    value += theta[g + 1] + 0.5 * off * off / NOISE_VARIANCE;
    if (gradient != NULL) {
        gradient[g] += signal - 1.0;
        gradient[g + 1] += 1.0 + off / NOISE_VARIANCE;
    }
    return value;
}

double
assay_gp_mean(const struct assay_gp_factor *factor, const double *z, double *ones,
              double *ret_alpha)
{
    size_t n = factor->n;
    double above = 0.0, below = MEAN_PRECISION, mean;

    for (size_t i = 0; i < n; i++) {
        ones[i] = 1.0;
        ret_alpha[i] = z[i];
    }
    assay_gp_factor_forward(factor, ones, 1);
    assay_gp_factor_forward(factor, ret_alpha, 1);
    for (size_t i = 0; i < n; i++) {
        above += ones[i] * ret_alpha[i];
        below += ones[i] * ones[i];
    }
    mean = above / below;
    for (size_t i = 0; i < n; i++)
        ret_alpha[i] -= mean * ones[i];
    assay_gp_factor_back(factor, ret_alpha, 1);
    return mean;
}

/* Correlations, slopes and the factor of C; false when C has none. */
static bool
factor_at(struct assay_gp_likelihood *l, const double *theta)
{
    size_t n = l->n, g = l->features->n_groups, ld = l->factor.ld;
    double signal = exp(theta[g]), noise = ASSAY_GP_NOISE_MIN + exp(theta[g + 1]);

    assay_gp_scale(l->features, theta, l->rows, n, l->scaled);
    assay_gp_squares(l->scaled, n, l->scaled, n, l->features->n_columns, l->norms, l->norms + n,
                     l->correlations, n);
    for (size_t j = 0; j < n; j++) {
        assay_gp_matern(&l->correlations[j * n], j + 1, &l->slopes[j * n]);
        for (size_t i = 0; i < j; i++)
            l->factor.upper[i + j * ld] = signal * l->correlations[i + j * n];
        l->factor.upper[j + j * ld] = signal + noise;
    }
    return assay_gp_factor_make(&l->factor, n);
}

/* From the inverse of C and alpha: in place of `slopes`, T = s (C^-1 - alpha alpha') m';
 * then for each column of rows half of sum_ij T_ij (x_i - x_j)^2. */
static void
add_weight_gradient(struct assay_gp_likelihood *l, double signal, double *gradient)
{
    size_t n = l->n, n_columns = l->features->n_columns;
    double *sums = l->norms;

    for (size_t i = 0; i < n; i++)
        sums[i] = 0.0;
    for (size_t j = 0; j < n; j++) {
        for (size_t i = 0; i < j; i++) {
            double t =
                signal * (l->inverse[i + j * n] - l->alpha[i] * l->alpha[j]) * l->slopes[i + j * n];

            l->slopes[i + j * n] = t;
            sums[i] += t;
            sums[j] += t;
        }
        l->slopes[j + j * n] = 0.0; /* no distance there */
    }
    cblas_dsymm(CblasColMajor, CblasRight, CblasUpper, (int)n_columns, (int)n, 1.0, l->slopes,
                (int)n, l->scaled, (int)n_columns, 0.0, l->product, (int)n_columns);
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < n_columns; c++) {
            double x = l->scaled[i * n_columns + c];

            gradient[l->features->group_of[c]] += x * (sums[i] * x - l->product[i * n_columns + c]);
        }
    }
}

double
assay_gp_likelihood_at(struct assay_gp_likelihood *l, const double *theta, double *ret_gradient)
{
    size_t n = l->n, g = l->features->n_groups;
    double signal = exp(theta[g]), by_signal = 0.0, trace = 0.0, value, mean;

    if (!factor_at(l, theta))
        return INFINITY;
    mean = assay_gp_mean(&l->factor, l->z, l->ones, l->alpha);
    value = 0.5 * MEAN_PRECISION * mean * mean;
    for (size_t i = 0; i < n; i++)
        value += 0.5 * (l->z[i] - mean) * l->alpha[i] + log(l->factor.upper[i + i * l->factor.ld]);
    if (ret_gradient == NULL)
        return value + prior_at(l->features, theta, NULL);
    if (!assay_gp_factor_invert(&l->factor, l->inverse))
        return INFINITY;
    for (size_t k = 0; k < l->n_theta; k++)
        ret_gradient[k] = 0.0;
    for (size_t j = 0; j < n; j++) {
        double diagonal = l->inverse[j + j * n] - l->alpha[j] * l->alpha[j];

        for (size_t i = 0; i < j; i++)
            by_signal +=
                (l->inverse[i + j * n] - l->alpha[i] * l->alpha[j]) * l->correlations[i + j * n];
        by_signal += 0.5 * diagonal;
        trace += diagonal;
    }
    ret_gradient[g] = signal * by_signal;
    ret_gradient[g + 1] = 0.5 * exp(theta[g + 1]) * trace;
    add_weight_gradient(l, signal, ret_gradient);
    return value + prior_at(l->features, theta, ret_gradient);
}

void
assay_gp_likelihood_shares(const struct assay_gp_likelihood *l, double *ret_shares)
{
    double sum = 0.0;

    for (size_t i = 0; i < l->n; i++)
        ret_shares[i] = 1.0;
    for (size_t j = 0; j < l->n; j++) {
        for (size_t i = 0; i < j; i++) {
            ret_shares[i] += l->correlations[i + j * l->n];
            ret_shares[j] += l->correlations[i + j * l->n];
        }
    }
    for (size_t i = 0; i < l->n; i++) {
        ret_shares[i] = 1.0 / ret_shares[i];
        sum += ret_shares[i];
    }
    for (size_t i = 0; i < l->n; i++)
        ret_shares[i] /= sum;
}

bool
assay_gp_likelihood_leave_one_out(struct assay_gp_likelihood *l, const double *theta,
                                  double *ret_densities)
{
    if (!factor_at(l, theta))
        return false;
    (void)assay_gp_mean(&l->factor, l->z, l->ones, l->alpha);
    if (!assay_gp_factor_invert(&l->factor, l->inverse))
        return false;
    for (size_t i = 0; i < l->n; i++) {
        double precision = l->inverse[i + i * l->n];

        ret_densities[i] =
            0.5 * log(precision / (2.0 * M_PI)) - 0.5 * l->alpha[i] * l->alpha[i] / precision;
    }
    return true;
}

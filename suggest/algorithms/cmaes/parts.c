#include "suggest/algorithms/cmaes/parts.h"

#include <math.h>

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

void
assay__cmaes_refactorise(const struct assay__cmaes_parts *parts, size_t n)
{
    while (!factorise(parts->covariance, parts->factor, n)) {
        double trace = 1e-300;

        for (size_t j = 0; j < n; j++)
            trace += fabs(parts->covariance[j * n + j]) / (double)n;
        for (size_t j = 0; j < n; j++)
            parts->covariance[j * n + j] = fabs(parts->covariance[j * n + j]) + 1e-3 * trace;
    }
}

void
assay__cmaes_lift_probabilities(const struct assay_cmaes_layout *layout, double *probabilities)
{
    double margin = assay__cmaes_margin_of(layout);

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

size_t
assay__cmaes_positive_weights(size_t n, double *ret_weights, double *ret_effective)
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

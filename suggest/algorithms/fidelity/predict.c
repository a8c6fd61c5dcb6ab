#include "suggest/algorithms/fidelity/predict.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/kernel.h"

#define VARIANCE_MIN 1e-12

void
assay_predict(const struct assay_gp_posterior *posterior, const double *rows, size_t k,
              double *ret_means, double *ret_sds)
{
    size_t n = posterior->factor.n, columns = posterior->features->n_columns;
    assay_auto_free double *scaled = assay_alloc(k * columns + 1, sizeof *scaled);
    assay_auto_free double *norms = assay_alloc(n + k + 1, sizeof *norms);
    assay_auto_free double *covariances = assay_alloc(n * k + 1, sizeof *covariances);

    for (size_t i = 0; i < k; i++) {
        for (size_t c = 0; c < columns; c++)
            scaled[i * columns + c] = rows[i * columns + c] * posterior->roots[c];
        ret_means[i] = posterior->mean;
    }
    assay_gp_squares(posterior->scaled, n, scaled, k, columns, norms, norms + n, covariances, n);
    assay_gp_matern(covariances, n * k, NULL);
    for (size_t i = 0; i < n * k; i++)
        covariances[i] *= posterior->signal;
    cblas_dgemv(CblasColMajor, CblasTrans, (int)n, (int)k, 1.0, covariances, (int)n,
                posterior->alphas, 1, 1.0, ret_means, 1);
    if (ret_sds == NULL)
        return;
    assay_gp_factor_forward(&posterior->factor, covariances, k);
    for (size_t i = 0; i < k; i++) {
        const double *v = &covariances[i * n];
        double variance = posterior->signal - cblas_ddot((int)n, v, 1, v, 1);

        ret_sds[i] = sqrt(fmax(variance, VARIANCE_MIN));
    }
}

#include "suggest/algorithms/bayesian/factor.h"

#include <cblas.h>
#include <f77blas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

void
assay_gp_factor_reserve(struct assay_gp_factor *factor, size_t n)
{
    if (n <= factor->ld)
        return;
    free(factor->upper);
    factor->ld = (n + n / 4 + 15) / 16 * 16;
    factor->upper = assay_alloc(factor->ld * factor->ld, sizeof *factor->upper);
    factor->n = 0;
}

void
assay_gp_factor_done(struct assay_gp_factor *factor)
{
    free(factor->upper);
    *factor = (struct assay_gp_factor){0};
}

bool
assay_gp_factor_make(struct assay_gp_factor *factor, size_t n)
{
    int order = (int)n, ld = (int)factor->ld, info = 0;
    char upper = 'U';

    ASSAY_ASSERT(n <= factor->ld);
    if (n > 0)
        dpotrf_(&upper, &order, factor->upper, &ld, &info);
    factor->n = info == 0 ? n : 0;
    return info == 0;
}

void
assay_gp_factor_append(struct assay_gp_factor *factor, double *column, double diagonal,
                       double least)
{
    size_t n = factor->n;
    double *to = &factor->upper[n * factor->ld], pivot;

    ASSAY_ASSERT(n < factor->ld);
    if (n > 0)
        cblas_dtrsv(CblasColMajor, CblasUpper, CblasTrans, CblasNonUnit, (int)n, factor->upper,
                    (int)factor->ld, column, 1);
    memcpy(to, column, n * sizeof *to);
    pivot = diagonal - cblas_ddot((int)n, column, 1, column, 1);
    to[n] = sqrt(fmax(pivot, least));
    factor->n++;
}

static void
solve(const struct assay_gp_factor *factor, CBLAS_TRANSPOSE transpose, double *b, size_t k)
{
    if (factor->n == 0 || k == 0)
        return;
    if (k == 1)
        cblas_dtrsv(CblasColMajor, CblasUpper, transpose, CblasNonUnit, (int)factor->n,
                    factor->upper, (int)factor->ld, b, 1);
    else
        cblas_dtrsm(CblasColMajor, CblasLeft, CblasUpper, transpose, CblasNonUnit, (int)factor->n,
                    (int)k, 1.0, factor->upper, (int)factor->ld, b, (int)factor->n);
}

void
assay_gp_factor_forward(const struct assay_gp_factor *factor, double *b, size_t k)
{
    solve(factor, CblasTrans, b, k);
}

void
assay_gp_factor_back(const struct assay_gp_factor *factor, double *b, size_t k)
{
    solve(factor, CblasNoTrans, b, k);
}

bool
assay_gp_factor_invert(const struct assay_gp_factor *factor, double *ret_inverse)
{
    int order = (int)factor->n, info = 0;
    char upper = 'U';

    for (size_t j = 0; j < factor->n; j++)
        memcpy(&ret_inverse[j * factor->n], &factor->upper[j * factor->ld],
               (j + 1) * sizeof *ret_inverse);
    if (order > 0)
        dpotri_(&upper, &order, ret_inverse, &order, &info);
    return info == 0;
}

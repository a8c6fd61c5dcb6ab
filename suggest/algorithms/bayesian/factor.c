#include "suggest/algorithms/bayesian/factor.h"

/* OpenBLAS has a cblas.h too, which can not be had beside this one. */
#include <gsl/gsl_cblas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

/* The factor in GSL's eyes, whose matrices are stored by rows: lower triangular. */
static gsl_matrix_view
lower_view(double *upper, size_t n, size_t ld)
{
    return gsl_matrix_view_array_with_tda(upper, n, n, ld);
}

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
    gsl_matrix_view view;
    bool done = true;

    ASSAY_ASSERT(n <= factor->ld);
    if (n > 0) {
        view = lower_view(factor->upper, n, factor->ld);
        done = gsl_linalg_cholesky_decomp1(&view.matrix) == GSL_SUCCESS;
    }
    factor->n = done ? n : 0;
    return done;
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
solve(const struct assay_gp_factor *factor, CBLAS_TRANSPOSE_t transpose, double *b, size_t k)
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
    size_t n = factor->n;
    gsl_matrix_view view;

    if (n == 0)
        return true;
    for (size_t j = 0; j < n; j++)
        memcpy(&ret_inverse[j * n], &factor->upper[j * factor->ld], (j + 1) * sizeof *ret_inverse);
    view = lower_view(ret_inverse, n, n);
    return gsl_linalg_cholesky_invert(&view.matrix) == GSL_SUCCESS;
}

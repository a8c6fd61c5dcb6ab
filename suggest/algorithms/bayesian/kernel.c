#include "suggest/algorithms/bayesian/kernel.h"

#include <cblas.h>
#include <gsl/gsl_errno.h>
#include <math.h>

void
assay_gp_prepare(void)
{
    openblas_set_num_threads(1);
    (void)gsl_set_error_handler_off();
}

void
assay_gp_scale(const struct assay_gp_features *features, const double *log_weights,
               const double *rows, size_t n, double *ret_scaled)
{
    size_t n_columns = features->n_columns;

    for (size_t c = 0; c < n_columns; c++) {
        double root = exp(0.5 * log_weights[features->group_of[c]]);

        for (size_t i = 0; i < n; i++)
            ret_scaled[i * n_columns + c] = root * rows[i * n_columns + c];
    }
}

static void
norms_of(const double *rows, size_t n, size_t n_columns, double *ret_norms)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0.0;

        for (size_t c = 0; c < n_columns; c++)
            sum += rows[i * n_columns + c] * rows[i * n_columns + c];
        ret_norms[i] = sum;
    }
}

void
assay_gp_squares(const double *a, size_t n_a, const double *b, size_t n_b, size_t n_columns,
                 double *norms_a, double *norms_b, double *ret_squares, size_t ld)
{
    int columns = (int)n_columns;

    norms_of(a, n_a, n_columns, norms_a);
    norms_of(b, n_b, n_columns, norms_b);
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, (int)n_a, (int)n_b, columns, -2.0, a,
                columns, b, columns, 0.0, ret_squares, (int)ld);
    for (size_t j = 0; j < n_b; j++) {
        double *column = &ret_squares[j * ld];

        for (size_t i = 0; i < n_a; i++) {
            double square = column[i] + norms_a[i] + norms_b[j];

            column[i] = square > 0.0 ? square : 0.0; /* rounding */
        }
    }
}

void
assay_gp_matern(double *squares, size_t n, double *ret_slopes)
{
    for (size_t i = 0; i < n; i++) {
        double a = sqrt(5.0 * squares[i]), e = exp(-a);

        squares[i] = e * (1.0 + a + a * a / 3.0);
        if (ret_slopes != NULL)
            ret_slopes[i] = -5.0 / 6.0 * e * (1.0 + a);
    }
}

double
assay_gp_correlation(const double *a, const double *b, size_t n_columns)
{
    double square = 0.0;

    for (size_t c = 0; c < n_columns; c++)
        square += (a[c] - b[c]) * (a[c] - b[c]);
    assay_gp_matern(&square, 1, NULL);
    return square;
}

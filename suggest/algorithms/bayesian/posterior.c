#include "suggest/algorithms/bayesian/posterior.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/kernel.h"
#include "suggest/algorithms/bayesian/likelihood.h"

#define VARIANCE_MIN 1e-12

void
assay_gp_posterior_init(struct assay_gp_posterior *posterior,
                        const struct assay_gp_features *features)
{
    *posterior = (struct assay_gp_posterior){
        .features = features,
        .theta = assay_zalloc(features->n_groups + 2, sizeof(double)),
        .roots = assay_zalloc(features->n_columns + 1, sizeof(double)),
    };
}

static void
free_room(struct assay_gp_posterior *posterior)
{
    free(posterior->scaled);
    free(posterior->whitened);
    free(posterior->alphas);
    free(posterior->work);
}

void
assay_gp_posterior_done(struct assay_gp_posterior *posterior)
{
    assay_gp_factor_done(&posterior->factor);
    free_room(posterior);
    free(posterior->theta);
    free(posterior->roots);
    *posterior = (struct assay_gp_posterior){0};
}

/* Work holds, for a batch of points: covariances, slopes, solutions (each rows x
 * points), norms of both, deviations, sums, derivatives by deviations, and means. */
static void
make_room(struct assay_gp_posterior *posterior, size_t rows)
{
    size_t columns = posterior->features->n_columns;

    if (rows <= posterior->room)
        return;
    free_room(posterior);
    assay_gp_factor_reserve(&posterior->factor, rows);
    posterior->room = rows = posterior->factor.ld;
    posterior->scaled = assay_alloc(rows * columns + 1, sizeof(double));
    posterior->whitened = assay_alloc(rows + 1, sizeof(double));
    posterior->alphas = assay_alloc(rows * ASSAY_GP_FANTASIES_MAX + 1, sizeof(double));
    posterior->work = assay_alloc(3 * rows * ASSAY_GP_BATCH + rows +
                                      ASSAY_GP_BATCH * (4 + ASSAY_GP_FANTASIES_MAX),
                                  sizeof(double));
}

/* The upper triangle of C for the first n rows, with `extra` on the diagonal. */
static bool
factor_rows(struct assay_gp_posterior *posterior, size_t n, double extra)
{
    struct assay_gp_factor *factor = &posterior->factor;
    size_t columns = posterior->features->n_columns, ld = factor->ld;
    double *norms = posterior->work; /* 2 n <= the work of a batch */

    assay_gp_squares(posterior->scaled, n, posterior->scaled, n, columns, norms, norms + n,
                     factor->upper, ld);
    for (size_t j = 0; j < n; j++) {
        double *column = &factor->upper[j * ld];

        assay_gp_matern(column, j, NULL);
        for (size_t i = 0; i < j; i++)
            column[i] *= posterior->signal;
        column[j] = posterior->signal + posterior->noise + extra;
    }
    return assay_gp_factor_make(factor, n);
}

void
assay_gp_posterior_make(struct assay_gp_posterior *posterior, const double *theta,
                        const double *rows, size_t n, size_t room)
{
    const struct assay_gp_features *features = posterior->features;
    size_t g = features->n_groups;
    double extra = 0.0;

    make_room(posterior, room);
    memcpy(posterior->theta, theta, (g + 2) * sizeof *theta);
    posterior->signal = exp(theta[g]);
    posterior->noise = ASSAY_GP_NOISE_MIN + exp(theta[g + 1]);
    for (size_t c = 0; c < features->n_columns; c++)
        posterior->roots[c] = exp(0.5 * theta[features->group_of[c]]);
    assay_gp_scale(features, theta, rows, n, posterior->scaled);
    /* With as much on the diagonal as stands there, any kernel matrix has a factor. */
    while (!factor_rows(posterior, n, extra))
        extra = extra > 0.0 ? 10.0 * extra : 1e-8 * posterior->signal;
}

void
assay_gp_posterior_append(struct assay_gp_posterior *posterior, const double *row)
{
    size_t n = posterior->factor.n, columns = posterior->features->n_columns;
    double *mine = &posterior->scaled[n * columns], *column = posterior->work;

    ASSAY_ASSERT(n < posterior->room);
    for (size_t c = 0; c < columns; c++)
        mine[c] = posterior->roots[c] * row[c];
    for (size_t i = 0; i < n; i++)
        column[i] = posterior->signal *
                    assay_gp_correlation(&posterior->scaled[i * columns], mine, columns);
    assay_gp_factor_append(&posterior->factor, column, posterior->signal + posterior->noise,
                           0.5 * posterior->noise);
}

void
assay_gp_posterior_truncate(struct assay_gp_posterior *posterior, size_t n)
{
    ASSAY_ASSERT(n <= posterior->factor.n);
    posterior->factor.n = n;
}

/* The mean at data row i is z_i - noise alpha_i; that of a pending row's drawn value
 * likewise, the value being U' times the whitened ones. */
static void
set_row_means(const struct assay_gp_posterior *posterior, const double *z, size_t n,
              const double *whitened, const double *alpha, double *ret_means)
{
    const struct assay_gp_factor *factor = &posterior->factor;

    for (size_t i = 0; i < factor->n; i++) {
        double value =
            i < n ? z[i]
                  : posterior->mean +
                        cblas_ddot((int)i + 1, &factor->upper[i * factor->ld], 1, whitened, 1);

        ret_means[i] = value - posterior->noise * alpha[i];
    }
}

void
assay_gp_posterior_learn(struct assay_gp_posterior *posterior, const double *z, size_t n,
                         const double *draws, size_t n_draws, double *ret_row_means)
{
    size_t all = posterior->factor.n, pending = all - n;
    double *whitened = posterior->whitened, *alpha = posterior->alphas;

    ASSAY_ASSERT(n_draws <= ASSAY_GP_FANTASIES_MAX);
    posterior->factor.n = n;
    posterior->mean = assay_gp_mean(&posterior->factor, z, whitened, alpha);
    for (size_t i = 0; i < n; i++)
        whitened[i] = z[i] - posterior->mean;
    assay_gp_factor_forward(&posterior->factor, whitened, 1);
    posterior->factor.n = all;
    posterior->n_means = pending > 0 && draws != NULL ? n_draws : 1;
    for (size_t i = n; i < all; i++)
        alpha[i] = whitened[i] = 0.0;
    if (pending == 0 || draws == NULL) {
        set_row_means(posterior, z, n, whitened, alpha, ret_row_means);
        return;
    }
    for (size_t s = 0; s < n_draws; s++) {
        alpha = &posterior->alphas[s * all];
        memcpy(&whitened[n], &draws[s * pending], pending * sizeof *whitened);
        memcpy(alpha, whitened, all * sizeof *alpha);
        assay_gp_factor_back(&posterior->factor, alpha, 1);
        set_row_means(posterior, z, n, whitened, alpha, &ret_row_means[s * all]);
    }
}

/* Where the parts of the work are, for k points. */
struct parts {
    double *covariances, *slopes, *solutions, *norms, *point_norms, *means, *sds, *sums, *by_sds;
};

static struct parts
parts_of(const struct assay_gp_posterior *posterior, size_t k)
{
    size_t cells = posterior->room * ASSAY_GP_BATCH;
    double *rest = posterior->work + 3 * cells;

    ASSAY_ASSERT(k <= ASSAY_GP_BATCH);
    return (struct parts){
        .covariances = posterior->work,
        .slopes = posterior->work + cells,
        .solutions = posterior->work + 2 * cells,
        .norms = rest,
        .point_norms = rest + posterior->room,
        .sds = rest + posterior->room + k,
        .sums = rest + posterior->room + 2 * k,
        .by_sds = rest + posterior->room + 3 * k,
        .means = rest + posterior->room + 4 * k,
    };
}

static void
set_covariances(const struct assay_gp_posterior *posterior, const double *scaled, size_t k,
                bool slopes, const struct parts *parts)
{
    size_t n = posterior->factor.n;

    assay_gp_squares(posterior->scaled, n, scaled, k, posterior->features->n_columns, parts->norms,
                     parts->point_norms, parts->covariances, n);
    assay_gp_matern(parts->covariances, n * k, slopes ? parts->slopes : NULL);
    for (size_t i = 0; i < n * k; i++)
        parts->covariances[i] *= posterior->signal;
}

/* means[s + n_means * j] of point j. */
static void
set_means(const struct assay_gp_posterior *posterior, size_t k, const struct parts *parts)
{
    int n = (int)posterior->factor.n, m = (int)posterior->n_means;

    for (size_t i = 0; i < posterior->n_means * k; i++)
        parts->means[i] = posterior->mean;
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, m, (int)k, n, 1.0, posterior->alphas, n,
                parts->covariances, n, 1.0, parts->means, m);
}

static void
set_sds(const struct assay_gp_posterior *posterior, size_t k, const struct parts *parts)
{
    size_t n = posterior->factor.n;

    memcpy(parts->solutions, parts->covariances, n * k * sizeof(double));
    assay_gp_factor_forward(&posterior->factor, parts->solutions, k);
    for (size_t j = 0; j < k; j++) {
        const double *v = &parts->solutions[j * n];
        double variance = posterior->signal - cblas_ddot((int)n, v, 1, v, 1);

        parts->sds[j] = sqrt(fmax(variance, VARIANCE_MIN));
    }
}

void
assay_gp_posterior_predict(struct assay_gp_posterior *posterior, const double *scaled, size_t k,
                           enum assay_gp_detail detail, struct assay_gp_moments *ret_moments)
{
    struct parts parts = parts_of(posterior, k);

    set_covariances(posterior, scaled, k, detail == ASSAY_GP_SLOPES, &parts);
    set_means(posterior, k, &parts);
    if (detail != ASSAY_GP_MEANS)
        set_sds(posterior, k, &parts);
    *ret_moments = (struct assay_gp_moments){
        .n_means = posterior->n_means,
        .means = parts.means,
        .sds = parts.sds,
        .by_sds = parts.by_sds,
    };
}

/* In place of covariances: derivatives by squared distances, twice. */
static void
set_pulls(const struct assay_gp_posterior *posterior, size_t k, const struct parts *parts,
          bool by_sds)
{
    size_t n = posterior->factor.n;

    for (size_t j = 0; j < k; j++) {
        double share = by_sds ? -parts->by_sds[j] / parts->sds[j] : 0.0;

        parts->sums[j] = 0.0;
        for (size_t i = 0; i < n; i++) {
            double *q = &parts->covariances[i + j * n];

            *q = 2.0 * posterior->signal * parts->slopes[i + j * n] *
                 (by_sds ? *q + share * parts->solutions[i + j * n] : *q);
            parts->sums[j] += *q;
        }
    }
}

/* By the chain rule: from derivatives by means and sd to those by covariances (of
 * which sd has -solution / sd), by squared distances, by coordinates. */
void
assay_gp_posterior_pull(struct assay_gp_posterior *posterior, const double *scaled, size_t k,
                        bool by_sds, double *ret_gradients)
{
    size_t n = posterior->factor.n, columns = posterior->features->n_columns;
    size_t m = posterior->n_means;
    struct parts parts = parts_of(posterior, k);

    if (by_sds)
        assay_gp_factor_back(&posterior->factor, parts.solutions, k);
    /* In place of covariances: sum over means of derivative times alpha. */
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)k, (int)m, 1.0,
                posterior->alphas, (int)n, parts.means, (int)m, 0.0, parts.covariances, (int)n);
    set_pulls(posterior, k, &parts, by_sds);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (int)columns, (int)k, (int)n, -1.0,
                posterior->scaled, (int)columns, parts.covariances, (int)n, 0.0, ret_gradients,
                (int)columns);
    for (size_t j = 0; j < k; j++) {
        for (size_t c = 0; c < columns; c++)
            ret_gradients[j * columns + c] += parts.sums[j] * scaled[j * columns + c];
    }
}

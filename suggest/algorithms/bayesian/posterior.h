/* The Gaussian process given its hyperparameters and data: means and standard
 * deviations anywhere, with gradients, for many points at once.
 *
 * Rows come in two lots: those factored at once and those appended one by one after
 * them (late results, pending trials).  Which row is in which lot decides the last
 * bits of the result, so the caller cuts a history always in the same way.
 *
 * Work is kept between calls: one thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_POSTERIOR_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_POSTERIOR_H

#include "suggest/algorithms/bayesian/factor.h"
#include "suggest/algorithms/bayesian/features.h"

/* Points evaluated in one go, and joint draws of what is pending, at most. */
#define ASSAY_GP_BATCH 256
#define ASSAY_GP_FANTASIES_MAX 32

struct assay_gp_posterior {
    const struct assay_gp_features *features;
    double *theta;                 /* as in likelihood.h */
    double *roots;                 /* per column, the square root of its weight */
    double *scaled;                /* rows of the data times roots */
    struct assay_gp_factor factor; /* factor.n rows */
    double signal, noise, mean;
    double *whitened; /* U'^-1 (z - mean) */
    double *alphas;   /* n_means lots of factor.n items */
    size_t n_means, room;
    double *work; /* see posterior.c */
};

void assay_gp_posterior_init(struct assay_gp_posterior *posterior,
                             const struct assay_gp_features *features);
void assay_gp_posterior_done(struct assay_gp_posterior *posterior);

/* Makes room for `room` rows and factors the first n. */
void assay_gp_posterior_make(struct assay_gp_posterior *posterior, const double *theta,
                             const double *rows, size_t n, size_t room);
void assay_gp_posterior_append(struct assay_gp_posterior *posterior, const double *row);
void assay_gp_posterior_truncate(struct assay_gp_posterior *posterior, size_t n);

/* Takes the values of the first n rows.  The rest are pending: without `draws` they only
 * narrow the standard deviation; with them (n_draws lots of as many standard normal
 * numbers) there are n_draws means, one for each joint draw of their values.
 * `ret_row_means` (rows x means): the mean at each row, data rows first. */
void assay_gp_posterior_learn(struct assay_gp_posterior *posterior, const double *z, size_t n,
                              const double *draws, size_t n_draws, double *ret_row_means);

enum assay_gp_detail {
    ASSAY_GP_MEANS,   /* O(n) a point, not O(n^2) */
    ASSAY_GP_MOMENTS, /* and standard deviations */
    ASSAY_GP_SLOPES,  /* and what a pull needs */
};

/* What a prediction says of k points; in the posterior's memory until the next one. */
struct assay_gp_moments {
    size_t n_means;
    double *means;  /* n_means per point; a pull finds the derivatives by them here */
    double *sds;    /* one per point */
    double *by_sds; /* one per point, for the derivatives by them */
};

/* Predicts at k <= ASSAY_GP_BATCH scaled rows. */
void assay_gp_posterior_predict(struct assay_gp_posterior *posterior, const double *scaled,
                                size_t k, enum assay_gp_detail detail,
                                struct assay_gp_moments *ret_moments);

/* After a prediction with slopes of the same rows, of whose moments the caller has put
 * derivatives of something in place of `means` and into `by_sds`: the gradients of that
 * by the scaled rows (k x columns).  `by_sds` false: it does not depend on them. */
void assay_gp_posterior_pull(struct assay_gp_posterior *posterior, const double *scaled, size_t k,
                             bool by_sds, double *ret_gradients);

#endif

/* The Gaussian process given its hyperparameters and data: means and standard
 * deviations anywhere, worths with gradients for many points at once.
 *
 * Rows come in two lots: those factored at once and those appended one by one after
 * them (late results, pending trials).  Which row is in which lot decides the last
 * bits of the result, so the caller cuts a history always in the same way.
 *
 * Work is kept between calls: one thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_POSTERIOR_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_POSTERIOR_H

#include "suggest/algorithms/bayesian/acquisition.h"
#include "suggest/algorithms/bayesian/factor.h"
#include "suggest/algorithms/bayesian/features.h"

/* Points evaluated in one go, at most. */
#define ASSAY_GP_BATCH 256

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

/* Takes the warped values of the first n rows.  The rest are pending: without
 * `draws` they only narrow the standard deviation; with them (n_draws lots of as many
 * standard normal numbers) there are n_draws means, one for each joint draw of
 * their values.  `ret_lowest`: the lowest mean at any row, for each. */
void assay_gp_posterior_learn(struct assay_gp_posterior *posterior, const double *z, size_t n,
                              const double *draws, size_t n_draws, double *ret_lowest);

/* Mean (that of the draws, averaged) and standard deviation at one scaled row. */
void assay_gp_posterior_at(struct assay_gp_posterior *posterior, const double *scaled,
                           double *ret_mean, double *ret_sd);

/* Worths of `k` scaled rows; their gradients (k x columns) unless NULL. */
void assay_gp_posterior_worths(struct assay_gp_posterior *posterior,
                               const struct assay_gp_acquisition *acquisition, const double *scaled,
                               size_t k, double *ret_worths, double *ret_gradients);

/* Averaged means only, which costs O(n) and not O(n^2) a point. */
void assay_gp_posterior_means(struct assay_gp_posterior *posterior, const double *scaled, size_t k,
                              double *ret_means);

#endif

/* How well hyperparameters explain the data: the negative logarithm of the marginal
 * likelihood times the prior, with its gradient, and leave-one-out prediction.
 *
 *   z ~ N(mu, s M(w) + v I),  mu ~ N(0, 1/4) put at its best
 *   lengthscale w^-1/2 ~ LogNormal(sqrt 2 + ln(d) / 2, sqrt 3)
 *     (C. Hvarfner, E. O. Hellsten, L. Nardi, "Vanilla Bayesian optimization performs
 *     great in high dimensions", ICML 2024); d: dimensions that are active at once
 *   s ~ Gamma(2, 1),  v ~ LogNormal(-5, sqrt 3)
 *
 *   d/d theta = 1/2 tr((C^-1 - alpha alpha') dC/d theta), alpha = C^-1 (z - mu)
 *     (Rasmussen and Williams 2006, equation 5.9)
 *
 * One potrf, one potri and one n x n x columns product each.  One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_LIKELIHOOD_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_LIKELIHOOD_H

#include "suggest/algorithms/bayesian/factor.h"
#include "suggest/algorithms/bayesian/features.h"

#define ASSAY_GP_NOISE_MIN 1e-6 /* added to every variance, in units of the warped values */

/* theta: the logarithms of the groups' weights, of s, and of v. */
struct assay_gp_likelihood {
    const struct assay_gp_features *features;
    const double *rows; /* n x columns, borrowed */
    const double *z;    /* borrowed */
    size_t n, n_theta;
    /* work */
    struct assay_gp_factor factor;
    double *scaled, *correlations, *slopes, *inverse, *product, *norms, *alpha, *ones;
};

/* Room for up to n_max rows. */
void assay_gp_likelihood_init(struct assay_gp_likelihood *likelihood,
                              const struct assay_gp_features *features, size_t n_max);
void assay_gp_likelihood_done(struct assay_gp_likelihood *likelihood);

/* Where the prior is at its highest, and the box that theta stays in. */
void assay_gp_prior_mode(const struct assay_gp_features *features, double *ret_theta);
void assay_gp_prior_box(const struct assay_gp_features *features, double *ret_low,
                        double *ret_high);

/* Infinite where the matrix can not be factored; `ret_gradient` may be NULL. */
double assay_gp_likelihood_at(struct assay_gp_likelihood *likelihood, const double *theta,
                              double *ret_gradient);

/* The logarithm of the density of each z given all others, into n items (S.
 * Sundararajan, S. S. Keerthi, Neural Computation 13, 2001).  False where the matrix
 * can not be factored. */
ASSAY_MUST_CHECK bool assay_gp_likelihood_leave_one_out(struct assay_gp_likelihood *likelihood,
                                                        const double *theta, double *ret_densities);

/* Of the rows last factored, how much each counts: inversely to the sum of its
 * correlations with all; together 1. */
void assay_gp_likelihood_shares(const struct assay_gp_likelihood *likelihood, double *ret_shares);

/* The mean mu at its best given a factor of C: fills alpha and returns mu.  `ones` is
 * scratch of n items. */
double assay_gp_mean(const struct assay_gp_factor *factor, const double *z, double *ones,
                     double *ret_alpha);

#endif

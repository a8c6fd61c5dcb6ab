/* What a point is worth trying, from the posterior of one objective there.  Values are
 * minimised.
 *
 *   logEI   ln E max(f* - f, 0) = ln h((f* - m) / sd) + ln sd, h(u) = phi(u) + u Phi(u);
 *           in the log so that it has a slope where EI is nought to the computer (S.
 *           Ament et al., "Unexpected improvements to expected improvement", NeurIPS 2023).
 *           With pending trials, the logarithm of the mean of EI over fantasies: joint
 *           draws at the pending points, each with its own mean and f*, one sd (J.
 *           Snoek, H. Larochelle, R. P. Adams, NIPS 2012).  For each draw the
 *           expectation is exact.
 *   UCB     -(m - 1.8 sd), m without and sd with the pending trials; or with 3 in place of
 *           1.8 where all that promises much has been tried (`wide`).
 *
 * Bounds come as the logarithm of the probability that they hold, added to any of these
 * (M. A. Gelbart, J. Snoek, R. P. Adams, "Bayesian optimization with unknown
 * constraints", UAI 2014).
 *
 * Pure; any number of threads. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_ACQUISITION_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_ACQUISITION_H

#include "suggest/algorithms/bayesian/posterior.h"

enum assay_gp_rule {
    ASSAY_GP_LOG_EI,
    ASSAY_GP_UCB,
    ASSAY_GP_WIDE_UCB,
    ASSAY_GP_LOG_EHVI,    /* several objectives: improvement.h */
    ASSAY_GP_FEASIBILITY, /* while no trial holds every bound: their probability alone */
};

struct assay_gp_acquisition {
    enum assay_gp_rule rule;
    size_t n_means;                            /* 1, or fantasies with logEI */
    double thresholds[ASSAY_GP_FANTASIES_MAX]; /* logEI: f* of each */
};

const char *assay_gp_rule_name(enum assay_gp_rule rule); /* as in `why` */

/* ln h(u) for any finite u, accurate to some 1e-13 of its size. */
double assay_gp_log_h(double u);
/* The same with Phi(u) / h(u) and phi(u) / h(u). */
double assay_gp_log_h_ratios(double u, double *ret_cdf_ratio, double *ret_density_ratio);

/* ln Phi(u) for any u, accurate to some 1e-14 of its size, with its derivative. */
double assay_gp_log_cdf(double u, double *ret_slope);

/* The worth by a rule of one objective, larger is better, at means[n_means] and sd > 0. Derivatives
 * by each mean and by sd unless NULL. */
double assay_gp_acquisition_at(const struct assay_gp_acquisition *acquisition, const double *means,
                               double sd, double *ret_by_means, double *ret_by_sd);

#endif

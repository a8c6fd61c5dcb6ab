/* What earlier studies let one expect of this one's values: the mean function under which
 * its Gaussian process models what is left.
 *
 *   z(x) = T(x) + residual(x),   T(x) = c (m(x) - mean of m at the trials)
 *   m(x) = sum_s w_s m_s(x),     w_s as the trust in source s
 *   c = sin(pi t / 2) / (spread of m at the trials),   t the trust in m
 *
 * Trust (trust.h) is how often, of two trials of this study, the better one is named, from
 * counting for nothing at one pair in two: a source that ranks wrongly has none, and with no
 * trusted source T is 0 and the process is the one without sources.  sin(pi t / 2) is the
 * correlation of normal variables with the rank correlation t (W. H. Greiner, 1909), so T is
 * their regression, whatever the scale of the source's values.
 *
 *   stacked residuals   D. Golovin et al., "Google Vizier: a service for black-box
 *                       optimization", KDD 2017
 *   ranking as measure  M. Feurer, B. Letham, E. Bakshy, "Scalable meta-learning for Bayesian
 *                       optimization using ranking-weighted Gaussian process ensembles", 2018
 *
 * Where a source has no trials, its m_s says nothing, which has to stay known or search would
 * never look there: its standard deviations, c sum_s w_s sd_s(x), are the doubt q(x) about T,
 * and the residual is taken for as much more uncertain, sd(x) (1 + q(x)^2 / s)^(1/2), s its
 * variance before trials: all of q where the study has no trials either, nothing at its trials.
 *
 * Trust has a second judge: at each fit (fit.h) hyperparameters are fitted with T and
 * without, and where the values, each predicted from all others, are by more than e^2 less
 * probable with it, T is dropped.  Ranking alone is not enough: search goes where T points,
 * and what it finds there then seems to have been foretold.
 *
 * One level on the average of all sources and not a chain of them, in which one that
 * misleads would be a part of all that follow it.  One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_TREND_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_TREND_H

#include "suggest/algorithms/bayesian/source.h"

struct assay_gp_trend {
    const struct assay_gp_sources *sources; /* learned; NULL: none, T = 0 */
    size_t objective;
    double trust;                        /* in the average; 0: T = 0 */
    double slopes[ASSAY_GP_SOURCES_MAX]; /* by source: c w_s */
    double trusts[ASSAY_GP_SOURCES_MAX];
    double centre; /* to be taken off */
};

/* Sets trust and T by the first n trials of the study with a value in y (smaller is better),
 * or a hundred of them, evenly picked. */
void assay_gp_trend_judge(struct assay_gp_trend *trend, const struct assay_gp_data *data,
                          const double *y, size_t n);

/* No trust and T = 0. */
void assay_gp_trend_drop(struct assay_gp_trend *trend);

/* T at k rows scaled by `roots` (NULL: not scaled), and how unsure the sources are of it
 * unless NULL. */
void assay_gp_trend_at(const struct assay_gp_trend *trend, const double *roots,
                       const double *scaled, size_t k, double *ret_values, double *ret_doubts);

/* The same of at most ASSAY_GP_BATCH rows, for a pull: given the derivatives of something by
 * T and doubt, adds its gradients by the rows (k x columns) to `gradients`. */
void assay_gp_trend_prepare(const struct assay_gp_trend *trend, const double *roots,
                            const double *scaled, size_t k, double *ret_values, double *ret_doubts);
void assay_gp_trend_pull(const struct assay_gp_trend *trend, const double *roots, size_t k,
                         const double *by_values, const double *by_doubts, double *gradients);

#endif

/* Output warping: objective values as a Gaussian process can model them.
 *
 * With b the best (lowest) value and m the median of the first 20 (which search has not
 * crowded round the best yet), t = (y - b) / (m - b) is mapped to
 *
 *   g(t) = t                        strength 0
 *   g(t) = ln(1 + c t) / ln(1 + c)  strength c > 0
 *
 * and standardised.  The larger c, the finer the differences among the best values
 * and the coarser those among the worst.  The strength is chosen by how well the
 * process predicts each value from all others (fit.h).  The idea is that of the log
 * warp of X. Song et al., "The Vizier Gaussian process bandit algorithm",
 * arXiv 2408.11527, with its strength learned as in E. Snelson, C. E. Rasmussen, Z.
 * Ghahramani, "Warped Gaussian processes", NIPS 2003.
 *
 * Values of a bound (<= 0: it holds) keep their zero, on both sides of which
 *
 *   g(t) = sign(t) ln(1 + c |t|) / ln(1 + c),  t = y / (median of the first |y|)
 *
 * (with c = 1 the bilog of D. Eriksson, M. Poloczek, "Scalable constrained Bayesian
 * optimization", AISTATS 2021).
 *
 * Strictly increasing, so it has an inverse.  Immutable once made. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_WARP_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_WARP_H

#include "common/base.h"

#define ASSAY_GP_WARPS 7 /* strengths to choose from, by increasing index */

enum assay_gp_values {
    ASSAY_GP_OBJECTIVE,
    ASSAY_GP_BOUND,
    ASSAY_GP_LABEL, /* of two classes: as a bound, not warped */
};

struct assay_gp_warp {
    enum assay_gp_values kind;
    double best, unit;   /* b and m - b; of bounds 0 and the median */
    double strength;     /* c */
    double mean, spread; /* of the g(t) */
};

/* The strengths there are for a kind: 1 to ASSAY_GP_WARPS. */
size_t assay_gp_warp_count(enum assay_gp_values kind);

/* The median m of the first values of a study, in the order of trials; n >= 1. */
double assay_gp_warp_middle(enum assay_gp_values kind, const double *y, size_t n);

/* `y`: n >= 1 finite values; index < assay_gp_warp_count(kind); `middle`: m. */
void assay_gp_warp_init(struct assay_gp_warp *warp, enum assay_gp_values kind, size_t index,
                        double middle, const double *y, size_t n);

double assay_gp_warp_apply(const struct assay_gp_warp *warp, double y);
double assay_gp_warp_invert(const struct assay_gp_warp *warp, double z);
/* Logarithm of the derivative at y. */
double assay_gp_warp_log_slope(const struct assay_gp_warp *warp, double y);

#endif

/* The function that the search maximises: what all surfaces together say a point is worth.
 *
 *   rule of the objectives + sum over bounds of ln P(bound holds) + strength ln pi
 *
 * (acquisition.h, improvement.h, belief.h).  Rows are scaled by `roots`, the roots of the
 * columns' weights averaged over the surfaces, so that steps of the search are in units
 * of lengthscales; each surface has its own.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_WORTH_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_WORTH_H

#include "suggest/algorithms/bayesian/acquisition.h"
#include "suggest/algorithms/bayesian/belief.h"
#include "suggest/algorithms/bayesian/improvement.h"
#include "suggest/algorithms/bayesian/surface.h"

/* What a surface has to do with the worth. */
struct assay_gp_part {
    struct assay_gp_surface *surface; /* borrowed */
    double threshold;                 /* bounds: the largest value that holds it */
    double doubt; /* bounds: the probability never leaves [doubt / 2, 1 - doubt / 2] */
    /* inner state */
    double *ratios; /* its roots over those of the worth; NULL: all 1 */
    double *own;    /* rows in its own scale */
    double *trends; /* of a batch: trends, doubts, by what these stretch sds; NULL: none */
    struct assay_gp_moments moments;
};

struct assay_gp_worth {
    const struct assay_gp_features *features;
    enum assay_gp_rule rule;
    size_t n_objectives, n_parts;
    struct assay_gp_part *parts;             /* objectives, then bounds */
    struct assay_gp_acquisition acquisition; /* one objective */
    struct assay_gp_front front;             /* several */
    const struct assay_gp_belief *belief;    /* borrowed */
    double strength;                         /* of the belief */
    size_t n_rows, n_pending;                /* of the first objective */
    double *roots;                           /* n_columns items */
    double *work;
};

void assay_gp_worth_init(struct assay_gp_worth *worth, const struct assay_gp_features *features);
void assay_gp_worth_done(struct assay_gp_worth *worth);

/* Starts anew with room for n parts, of which the caller fills what is not inner state;
 * and ends it, once these, the rule and what it needs are there. */
void assay_gp_worth_begin(struct assay_gp_worth *worth, size_t n_objectives, size_t n_parts);
void assay_gp_worth_ready(struct assay_gp_worth *worth);

/* Worths of k scaled rows; their gradients (k x n_columns) unless NULL. */
void assay_gp_worth_at(struct assay_gp_worth *worth, const double *scaled, size_t k,
                       double *ret_worths, double *ret_gradients);

/* A rough idea of them from means alone, which costs O(n) and not O(n^2) a point. */
void assay_gp_worth_screen(struct assay_gp_worth *worth, const double *scaled, size_t k,
                           double *ret_worths);

/* What is predicted at one scaled row: mean and standard deviation of each objective, and
 * the probability that all bounds hold. */
void assay_gp_worth_predict(struct assay_gp_worth *worth, const double *scaled, double *ret_means,
                            double *ret_sds, double *ret_feasible);

#endif

/* One quantity that trials measure (an objective, a bound, whether they fail) as a
 * Gaussian process: which rows, which hyperparameters, how warped, what is pending.
 *
 * Everything here is a function of the history alone; what is kept between calls only
 * saves work.  To that end
 *
 *   fits     hyperparameters are fitted to the first m trials with values, m being the
 *            largest number of a fixed schedule (every trial up to 120, then every
 *            5 % more) that is there, and at most 400 of them.  A fit starts from that
 *            of the largest 8 * 2^j < m, and so on down: a short chain that a restart
 *            repeats in little more than the time of its last link.
 *   factor   the rows up to the m-th value are factored at once, later ones are
 *            appended one by one: O(n^2) each.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_SURFACE_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_SURFACE_H

#include "suggest/algorithms/bayesian/data.h"
#include "suggest/algorithms/bayesian/fit.h"
#include "suggest/algorithms/bayesian/posterior.h"
#include "suggest/algorithms/bayesian/trend.h"

#define ASSAY_GP_FIT_LEVELS 32

/* A fit with the hash of everything it was made from. */
struct assay_gp_known_fit {
    uint64_t key;
    struct assay_gp_fit fit; /* theta NULL: none yet */
    bool trended;            /* sources help to predict */
};

struct assay_gp_surface {
    const struct assay_gp_features *features;
    enum assay_gp_values kind;
    uint64_t seed;
    bool impute; /* rows without a value count as the worst there is (not in the fit) */
    struct assay_gp_trend trend; /* set `sources` and `objective` to learn from others too */
    struct assay_gp_known_fit levels[ASSAY_GP_FIT_LEVELS], last;
    struct assay_gp_posterior posterior;
    uint64_t base_key; /* of the fit and rows that the factor begins with; 0 = none */
    double *held;      /* the rows in the factor as they were given */
    size_t n_held;
    /* Of the history last learned: */
    size_t n_valued, n_fitted; /* values; those that hyperparameters were fitted to */
    size_t *chosen;            /* rows of the data in the posterior, in its order */
    size_t n_chosen, n_pending;
    double *z; /* the chosen rows' warped values, and their trend */
    double *trends;
    struct assay_gp_warp warp;
    double middle;     /* see warp.h */
    double *row_means; /* n_means lots: the means at the chosen and the pending rows */
};

/* `features` is borrowed. */
void assay_gp_surface_init(struct assay_gp_surface *surface,
                           const struct assay_gp_features *features, enum assay_gp_values kind,
                           uint64_t seed);
void assay_gp_surface_done(struct assay_gp_surface *surface);

/* Hyperparameters for an output of the data, of which at least two are values.  False
 * when interrupted: fit again. */
ASSAY_MUST_CHECK bool assay_gp_surface_fit(struct assay_gp_surface *surface,
                                           const struct assay_gp_data *data, const double *y);

/* Puts the rows with values into the posterior: those of `wanted` (increasing indices),
 * or all where it is NULL.  `room`: pending rows that are to follow at most. */
void assay_gp_surface_place(struct assay_gp_surface *surface, const struct assay_gp_data *data,
                            const double *y, const size_t *wanted, size_t n_wanted, size_t room);

/* Makes n rows (n x columns) pending in place of those of the last call; `draws` as in
 * posterior.h. */
void assay_gp_surface_pend(struct assay_gp_surface *surface, const double *rows, size_t n,
                           const double *draws, size_t n_draws);

#endif

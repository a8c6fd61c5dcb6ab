/* From a history to a posterior and an acquisition: which rows, which
 * hyperparameters, how warped, what is pending.
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
 *   large n  past 1,000 rows a local model of 1,000: the 500 nearest to the best point,
 *            the 200 best, and a random rest.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_MODEL_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_MODEL_H

#include "common/random.h"
#include "suggest/algorithms/bayesian/data.h"
#include "suggest/algorithms/bayesian/fit.h"
#include "suggest/algorithms/bayesian/posterior.h"
#include "suggest/algorithms/bayesian/warp.h"

#define ASSAY_GP_FIT_LEVELS 32

/* A fit with the hash of everything it was made from. */
struct assay_gp_known_fit {
    uint64_t key;
    struct assay_gp_fit fit; /* theta NULL: none yet */
};

struct assay_gp_model {
    const struct assay_gp_features *features;
    uint64_t seed;
    struct assay_gp_known_fit levels[ASSAY_GP_FIT_LEVELS], last;
    struct assay_gp_posterior posterior;
    uint64_t base_key; /* of the fit and rows that the factor begins with; 0 = none */
    size_t n_base;
    double *held; /* the rows in the factor as they were given */
    size_t n_held;
    /* Of the history last learned: */
    struct assay_gp_data data;
    size_t *chosen; /* rows of data in the posterior, in its order */
    size_t n_chosen;
    double *z; /* their warped values */
    struct assay_gp_warp warp;
    double middle; /* see warp.h */
};

void assay_gp_model_init(struct assay_gp_model *model, const struct assay_gp_features *features,
                         uint64_t seed);
void assay_gp_model_done(struct assay_gp_model *model);

/* Learns a history with at least two values.  False when interrupted: learn again. */
ASSAY_MUST_CHECK bool assay_gp_model_learn(struct assay_gp_model *model,
                                           const struct assay_history *history);

/* Trials that run, beyond which logEI over fantasies is not to be had. */
#define ASSAY_GP_FANTASY_PENDING_MAX 16

/* Makes the points of trials that run pending, in place of those of the last call,
 * and sets up a rule (its thresholds are the lowest mean). */
void assay_gp_model_pend(struct assay_gp_model *model, const double *const *points, size_t n,
                         enum assay_gp_rule rule, struct assay_random *random,
                         struct assay_gp_acquisition *ret_acquisition);

/* The rows with the best values, as indices into data, best first, at
 * most n of them; returns how many. */
size_t assay_gp_model_best(const struct assay_gp_model *model, size_t n, size_t *ret_rows);

#endif

/* What the process learns from: the ended trials of a history, in the order of their
 * numbers, so that it does not matter in which order they were told.
 *
 * Trials with values teach them.  Those that failed, were infeasible or have no
 * finite value teach that their place is as bad as the worst (they have no value of
 * their own: NaN).  Cancelled ones teach nothing. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_DATA_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_DATA_H

#include "suggest/algorithms/bayesian/features.h"
#include "suggest/history.h"

struct assay_gp_data {
    size_t n, n_valued;                        /* rows; those with a value */
    double *rows;                              /* n x columns */
    double *y;                                 /* NaN: none */
    const struct assay_history_trial **trials; /* borrowed until the next tell */
};

void assay_gp_data_init(struct assay_gp_data *data, const struct assay_gp_features *features,
                        const struct assay_history *history);
void assay_gp_data_done(struct assay_gp_data *data);

/* The rows that hyperparameters are fitted to, of those with a value among the first
 * n_valued: all, or when they are more than n_max the best quarter of n_max, the
 * latest quarter and a random rest.  Indices in increasing order into `ret_chosen`
 * (n_max items); returns their number. */
size_t assay_gp_data_sample(const struct assay_gp_data *data, size_t n_valued, size_t n_max,
                            uint64_t seed, size_t *ret_chosen);

/* The rows of a local model: of all, the n_near nearest to the best one in squared
 * distance weighted by the groups' `log_weights`, the n_best best and a random rest up
 * to n_max. */
size_t assay_gp_data_local(const struct assay_gp_data *data,
                           const struct assay_gp_features *features, const double *log_weights,
                           size_t n_near, size_t n_best, size_t n_max, uint64_t seed,
                           size_t *ret_chosen);

#endif

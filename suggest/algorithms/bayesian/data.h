/* What the model learns from: the ended trials of a history, in the order of their
 * numbers, so that it does not matter in which order they were told.
 *
 * Each trial has a row and a column of outputs: its objectives (all or none: those of a
 * trial without a finite value teach nothing), by how much it passes each bound (where
 * measured), and whether it failed.  Trials that violate a bound teach their objectives
 * like any other.  Cancelled ones teach nothing. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_DATA_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_DATA_H

#include "suggest/algorithms/bayesian/features.h"
#include "suggest/history.h"

struct assay_gp_data {
    size_t n;                  /* rows */
    size_t n_valued, n_usable; /* those with objectives; of these, that hold every bound */
    double *rows;              /* n x columns */
    size_t n_objectives, n_bounds;
    double *outputs; /* by output, n each: objectives, bounds, label (1: failed, else -1) */
    const struct assay_history_trial **trials; /* borrowed until the next tell */
};

void assay_gp_data_init(struct assay_gp_data *data, const struct assay_gp_features *features,
                        const struct assay_history *history, size_t n_objectives, size_t n_bounds);
void assay_gp_data_done(struct assay_gp_data *data);

/* The n values of an output (n_objectives + n_bounds is the label's); NaN: none. */
const double *assay_gp_data_output(const struct assay_gp_data *data, size_t output);

/* The rows that hyperparameters are fitted to, of the first n_valued with a value in `y`
 * (n items): all, or when they are more than n_max the quarter of n_max lowest in y (with
 * `near_zero` in |y|), the latest quarter and a random rest.  Indices in increasing order
 * into `ret_chosen` (n_max items); returns their number. */
size_t assay_gp_data_sample(const struct assay_gp_data *data, const double *y, bool near_zero,
                            size_t n_valued, size_t n_max, uint64_t seed, size_t *ret_chosen);

/* The n rows with the lowest values of an output, best first; returns how many there are. */
size_t assay_gp_data_best(const struct assay_gp_data *data, size_t output, size_t n,
                          size_t *ret_rows);

/* The rows of a local model: the n_near nearest to the best one in squared distance
 * weighted by the groups' `log_weights`, the n_best best and a random rest up to n_max.
 * Best: lowest in `order` (n items, NaN last). */
size_t assay_gp_data_local(const struct assay_gp_data *data, const double *order,
                           const struct assay_gp_features *features, const double *log_weights,
                           size_t n_near, size_t n_best, size_t n_max, uint64_t seed,
                           size_t *ret_chosen);

#endif

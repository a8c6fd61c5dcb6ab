/* An earlier study as Gaussian processes, one for each objective: what its trials let one
 * expect of a point.
 *
 * Its trials are thinned, so that what all sources together add to an ask has a bound:
 * ASSAY_GP_SOURCE_ROWS rows of all of them, the best quarter of each, its last and a random
 * rest.  Values are warped and standardised as those of the study itself, so predictions are
 * in units of the source's own spread: only their order and proportions say something.
 *
 * Immutable once learned, but for work: one thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_SOURCE_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_SOURCE_H

#include "suggest/algorithms/bayesian/data.h"
#include "suggest/algorithms/bayesian/posterior.h"

#define ASSAY_GP_SOURCE_ROWS 300
#define ASSAY_GP_SOURCES_MAX 8 /* the first ones; suggest/sources.h has five at most */

/* What a source says of one objective. */
struct assay_gp_source_output {
    struct assay_gp_posterior posterior; /* without rows until learned */
    /* inner state */
    double *own, *gradients; /* of a batch of rows, in the posterior's scale */
    struct assay_gp_moments moments;
};

struct assay_gp_source {
    struct assay_history *history;
    struct assay_gp_data data;
    struct assay_gp_source_output *outputs; /* by objective */
};

struct assay_gp_sources {
    const struct assay_gp_features *features;
    uint64_t seed;
    size_t n, n_objectives;
    size_t rows_max; /* of each */
    struct assay_gp_source *items;
};

/* Copies the trials of a study's sources that have at least three values; `features` is
 * borrowed. */
void assay_gp_sources_init(struct assay_gp_sources *sources,
                           const struct assay_gp_features *features,
                           const struct assay_plugin_study *study);
void assay_gp_sources_done(struct assay_gp_sources *sources);

/* Fits what has not been fitted yet.  False when interrupted: again. */
ASSAY_MUST_CHECK bool assay_gp_sources_learn(struct assay_gp_sources *sources);

/* What a source predicts of an objective at k rows scaled by `roots` (NULL: not scaled):
 * means, and standard deviations unless NULL. */
void assay_gp_source_predict(const struct assay_gp_source *source, size_t objective,
                             const double *roots, const double *scaled, size_t k, double *ret_means,
                             double *ret_sds);

/* The same of at most ASSAY_GP_BATCH rows, for a pull: given the derivatives of something by
 * the means and deviations, adds its gradients by the rows (k x columns) to `gradients`. */
void assay_gp_source_prepare(const struct assay_gp_source *source, size_t objective,
                             const double *roots, const double *scaled, size_t k, double *ret_means,
                             double *ret_sds);
void assay_gp_source_pull(const struct assay_gp_source *source, size_t objective,
                          const double *roots, size_t k, const double *by_means,
                          const double *by_sds, double *gradients);

#endif

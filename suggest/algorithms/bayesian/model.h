/* From a history to what the search maximises: a surface for each objective, each bound
 * and for failing; what is pending; the best so far.
 *
 * A function of the history alone (see surface.h).
 *
 *   bounds    independent of the objectives and of each other; their probabilities are
 *             multiplied.  The improvement counts from the best trial that holds them all.
 *             While there is none, the probability is all that counts.
 *   failing   trials that failed, were infeasible or have no finite value teach a surface
 *             of labels, whose probability is multiplied in like a bound's.  (Compared
 *             with taking them for as bad as the worst this ended at clearly better values
 *             where whole regions fail and where one trial in five fails at random.)
 *   several   the front and the believed values of what is pending (their means), at
 *   objectives  most 100 of them (60 of three, 30 of four objectives), chosen by
 *             hypervolume; reference a tenth of the front's range behind its ends.
 *   large n   past 1,000 rows (500 with several surfaces) a local model of as many: half of
 *             them nearest to the best point, a fifth the best, and a random rest.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_MODEL_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_MODEL_H

#include "common/random.h"
#include "suggest/algorithms/bayesian/worth.h"

struct assay_gp_model {
    const struct assay_gp_features *features;
    uint64_t seed;
    size_t n_objectives, n_bounds;
    struct assay_gp_surface *surfaces; /* objectives, bounds, failing */
    struct assay_gp_sources *sources;  /* borrowed; NULL: none */
    struct assay_gp_belief belief;
    double trust; /* in the belief */
    struct assay_gp_worth worth;
    /* Of the history last learned: */
    struct assay_gp_data data;
    double *order; /* per row of data: lower is better; NaN: worse than any */
};

/* `features` is borrowed.  For users of the objectives' surfaces alone: set `impute` in
 * these, and trials that failed count as the worst there. */
void assay_gp_model_init(struct assay_gp_model *model, const struct assay_gp_features *features,
                         size_t n_objectives, size_t n_bounds, uint64_t seed);
void assay_gp_model_done(struct assay_gp_model *model);

/* From now on learns from earlier studies as well, which are borrowed.  Before it learns
 * anything. */
void assay_gp_model_follow(struct assay_gp_model *model, struct assay_gp_sources *sources);

/* Learns a history with at least two values.  False when interrupted: learn again. */
ASSAY_MUST_CHECK bool assay_gp_model_learn(struct assay_gp_model *model,
                                           const struct assay_history *history);

/* Makes the points of trials that run pending (the last 64), in place of those of the last
 * call, and readies model->worth.  `rule` is for one objective and where some trial holds every
 * bound; else model->worth.rule is another.  `trials`: how many there are, for the
 * strength of beliefs. */
void assay_gp_model_pend(struct assay_gp_model *model, const double *const *points, size_t n,
                         enum assay_gp_rule rule, uint64_t trials, struct assay_random *random);

/* The best rows, as indices into data, best first, at most n of them; with several
 * objectives random ones of the front.  Returns how many. */
size_t assay_gp_model_best(const struct assay_gp_model *model, size_t n,
                           struct assay_random *random, size_t *ret_rows);

#endif

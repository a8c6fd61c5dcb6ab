/* The first trials, before there is enough for a model: points that fill the space, and in
 * between, as far as they can be trusted, what the user expects and what earlier studies
 * found.
 *
 *   numbers       without either: the middle of the space, then Sobol' points.  Else odd
 *                 numbers have what is expected (the mode of its density, then draws from it)
 *                 and the sources in turn, even ones the middle, if it has not been tried, and
 * Sobol' points a source's    its best trial, then of its best ones the farthest from all that was
 * tried how many      fewer, the more sources are trusted, as their model is there at once
 *
 * A function of history and number.  One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_STARTUP_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_STARTUP_H

#include "suggest/algorithms/bayesian/trend.h"
#include "suggest/algorithms/expectation.h"
#include "suggest/algorithms/start.h"

struct assay_gp_startup {
    const struct assay_algorithm_base *base;
    const struct assay_expectations *expectations;
    struct assay_gp_sources *sources;
    struct assay_start start;
    uint64_t trials; /* without sources */
    bool fixed;      /* by the user: sources do not shorten it */
};

/* `trials` as set by the user; 0: by the number of parameters.  The rest is borrowed. */
void assay_gp_startup_init(struct assay_gp_startup *startup,
                           const struct assay_algorithm_base *base,
                           const struct assay_expectations *expectations,
                           struct assay_gp_sources *sources, uint64_t trials);
void assay_gp_startup_done(struct assay_gp_startup *startup);

enum assay_gp_start {
    ASSAY_GP_STARTED, /* over */
    ASSAY_GP_STARTING,
    ASSAY_GP_START_INTERRUPTED,
};

/* Whether the first trials are still under way when so many have been told or given, of
 * which `valued` have a value; if so, what the sources say so far, for a proposal. */
enum assay_gp_start assay_gp_startup_judge(struct assay_gp_startup *startup, uint64_t trials,
                                           uint64_t valued, struct assay_gp_trend *ret_trend);

/* Point and `why` of a number. */
void assay_gp_startup_propose(struct assay_gp_startup *startup, const struct assay_gp_trend *trend,
                              int64_t number, const struct assay_batch *batch,
                              const struct assay_plugin_suggestion *suggestion);

/* A point that fills the space, whatever is known. */
void assay_gp_startup_spread(struct assay_gp_startup *startup, int64_t number,
                             const struct assay_plugin_suggestion *suggestion);

#endif

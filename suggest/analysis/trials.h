/* The ended trials of a study as the analyses of this room look at them: where in
 * the space, how good, whether allowed.
 *
 * Bounded: at most ASSAY_ANALYSIS_BYTES whatever is added; past that the set is a
 * uniform sample of what was added (reservoir sampling, J. S. Vitter, "Random
 * sampling with a reservoir", ACM TOMS 11(1), 1985), the same one each time the
 * same trials are added in the same order.  One thread at a time. */
#ifndef ASSAY_SUGGEST_ANALYSIS_TRIALS_H
#define ASSAY_SUGGEST_ANALYSIS_TRIALS_H

#include "common/random.h"
#include "suggest/transform.h"

#define ASSAY_ANALYSIS_BYTES ((size_t)16 << 20)
/* With several objectives, whose order costs more, no more than this. */
#define ASSAY_ANALYSIS_FRONTS_MAX 2000
/* Below this many trials with a value nothing is said. */
#define ASSAY_ANALYSIS_TRIALS_MIN 10

struct assay_analysis_trials {
    const struct assay_plugin_space *space;
    struct assay_transform transform;
    size_t n_objectives;
    size_t n;      /* trials kept */
    size_t n_seen; /* trials added */
    size_t n_max;
    /* n rows of n_parameters: the index of the choice (categorical, bool), else where
     * in [0, 1] the value lies; NaN = inactive. */
    float *units;
    /* n rows of n_objectives, smaller is better; NaN = not known (only where not allowed). */
    double *values;
    bool *feasible;
    size_t capacity;
    struct assay_random random;
};

/* `space` is borrowed for the life of the set; `n_max` 0: as many as fit. */
void assay_analysis_trials_init(struct assay_analysis_trials *trials,
                                const struct assay_plugin_space *space, size_t n_objectives,
                                size_t n_max);
void assay_analysis_trials_done(struct assay_analysis_trials *trials);

/* Adds an ended trial.  `point` has n_parameters items, `values` n_objectives,
 * smaller is better.  A feasible trial with a NaN value tells nothing and is left
 * out; an infeasible one may have none. */
void assay_analysis_trials_add(struct assay_analysis_trials *trials, const double *point,
                               const double *values, bool feasible);

/* Whether the parameter's values have no order, so that units hold their indices. */
bool assay_analysis_is_choice(const struct assay_plugin_parameter *parameter);

#endif

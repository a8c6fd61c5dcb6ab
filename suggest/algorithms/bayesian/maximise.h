/* Finds the untried point of the space that is worth most.
 *
 *   1. Candidates: shifted Sobol' points all over, and points near the best trials.
 *   2. Starts: the best candidates, drawn by their worth, and the best trials.
 *   3. Continuous parameters, and numbers with many values as if they were: L-BFGS in
 *      units of lengthscales, all starts in lockstep.
 *   4. Parameters with values: the best single change of any of them, again and again,
 *      from the best starts that differ.
 *   3 and 4 take turns.  What has been tried gives way to the next best.
 *
 * Where a parameter is rounded, worth is judged at the rounded value. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_MAXIMISE_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_MAXIMISE_H

#include "common/random.h"
#include "suggest/algorithms/bayesian/model.h"
#include "suggest/sobol.h"
#include "suggest/untried.h"

struct assay_gp_search {
    struct assay_gp_model *model;       /* its worth is ready */
    const struct assay_sobol *sequence; /* as many dimensions as the transform */
    const struct assay_history *history;
    const struct assay_batch *batch;
};

enum assay_gp_found {
    ASSAY_GP_FOUND,
    ASSAY_GP_NONE_UNTRIED, /* everything looked at has been tried: draw one */
    ASSAY_GP_INTERRUPTED,
};

/* The point with its worth and scaled row (n_columns items). */
enum assay_gp_found assay_gp_maximise(const struct assay_gp_search *search,
                                      struct assay_random *random, double *ret_point,
                                      double *ret_worth, double *ret_scaled);

#endif

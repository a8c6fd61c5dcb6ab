#include "suggest/algorithms/bayesian/minimum.h"

#include <math.h>
#include <nlopt.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/host.h"

/* How much higher than any value seen the wall is. */
#define WALL 1e3

struct search {
    nlopt_opt nlopt;
    assay_gp_function *function;
    void *context;
    double best, highest; /* of the finite values seen */
    double *best_at;
};

static double
evaluate(unsigned n, const double *x, double *ret_gradient, void *data)
{
    struct search *search = data;
    double value = search->function(search->context, x, ret_gradient);

    ASSAY_ASSERT(ret_gradient != NULL); /* LD_LBFGS always wants it */
    if (assay_host_table()->should_stop() != 0)
        (void)nlopt_force_stop(search->nlopt);
    if (!isfinite(value)) {
        for (unsigned i = 0; i < n; i++)
            ret_gradient[i] = 0.0;
        return isfinite(search->highest) ? search->highest + WALL : WALL;
    }
    search->highest = fmax(search->highest, value);
    if (value < search->best) {
        search->best = value;
        memcpy(search->best_at, x, n * sizeof *x);
    }
    return value;
}

bool
assay_gp_minimise(assay_gp_function *function, void *context, size_t n, const double *low,
                  const double *high, const struct assay_gp_limits *limits, double *x)
{
    assay_auto_free double *best_at = assay_memdup(x, n * sizeof *x);
    struct search search = {
        .nlopt = nlopt_create(NLOPT_LD_LBFGS, (unsigned)n),
        .function = function,
        .context = context,
        .best = INFINITY,
        .highest = -INFINITY,
        .best_at = best_at,
    };
    double value;
    bool stopped;

    ASSAY_ASSERT(search.nlopt != NULL); /* out of memory, or no dimension */
    (void)nlopt_set_lower_bounds(search.nlopt, low);
    (void)nlopt_set_upper_bounds(search.nlopt, high);
    (void)nlopt_set_min_objective(search.nlopt, evaluate, &search);
    (void)nlopt_set_ftol_abs(search.nlopt, limits->least_gain);
    (void)nlopt_set_maxeval(search.nlopt, (int)limits->evaluations);
    (void)nlopt_optimize(search.nlopt, x, &value);
    stopped = nlopt_get_force_stop(search.nlopt) != 0;
    nlopt_destroy(search.nlopt);
    memcpy(x, best_at, n * sizeof *x);
    return !stopped;
}

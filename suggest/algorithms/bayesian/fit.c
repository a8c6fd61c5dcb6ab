#include "suggest/algorithms/bayesian/fit.h"

#include <math.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/likelihood.h"
#include "suggest/algorithms/bayesian/minimum.h"

#define FIRST_WARP 1
#define EVALUATIONS 60
/* Gain in mean log density for which another strength is taken. */
#define WORTHWHILE 1e-3
/* Of labels, on a dimension of one; and the variance of their noise. */
#define LABEL_LENGTH_MIN 0.1
#define LABEL_NOISE_MIN 0.1

struct fitting {
    struct assay_gp_likelihood likelihood;
    const struct assay_gp_sample *sample;
    size_t n, n_theta;
    double *z, *densities, *low, *high, *mode, *shares;
    bool have_shares;
};

/* A strength with its theta and score. */
struct candidate {
    size_t warp;
    double *theta;
    double score;
};

static void
init_warp(const struct fitting *fitting, size_t index, struct assay_gp_warp *ret_warp)
{
    const struct assay_gp_sample *sample = fitting->sample;

    assay_gp_warp_init(ret_warp, sample->kind, index, sample->middle, sample->y, sample->n);
}

static void
set_warp(struct fitting *fitting, size_t index)
{
    const struct assay_gp_sample *sample = fitting->sample;
    struct assay_gp_warp warp;

    init_warp(fitting, index, &warp);
    for (size_t i = 0; i < fitting->n; i++) {
        fitting->z[i] = assay_gp_warp_apply(&warp, sample->y[i]);
        if (sample->trend != NULL)
            fitting->z[i] -= sample->trend[i];
    }
}

static double
score_of(struct fitting *fitting, size_t index, const double *theta)
{
    struct assay_gp_warp warp;
    double sum = 0.0;

    if (!assay_gp_likelihood_leave_one_out(&fitting->likelihood, theta, fitting->densities))
        return -INFINITY;
    init_warp(fitting, index, &warp);
    if (!fitting->have_shares) {
        assay_gp_likelihood_shares(&fitting->likelihood, fitting->shares);
        fitting->have_shares = true;
    }
    for (size_t i = 0; i < fitting->n; i++)
        sum += fitting->shares[i] *
               (fitting->densities[i] + assay_gp_warp_log_slope(&warp, fitting->sample->y[i]));
    return sum;
}

static double
likelihood_at(void *context, const double *theta, double *ret_gradient)
{
    struct fitting *fitting = context;

    return assay_gp_likelihood_at(&fitting->likelihood, theta, ret_gradient);
}

/* Fits theta, from the better of its start in `candidate` and the prior's mode. */
static bool
fit_theta(struct fitting *fitting, struct candidate *candidate)
{
    static const struct assay_gp_limits limits = {.least_gain = 0.01, .evaluations = EVALUATIONS};
    bool done;

    set_warp(fitting, candidate->warp);
    if (assay_gp_likelihood_at(&fitting->likelihood, fitting->mode, NULL) <
        assay_gp_likelihood_at(&fitting->likelihood, candidate->theta, NULL))
        memcpy(candidate->theta, fitting->mode, fitting->n_theta * sizeof *fitting->mode);
    done = assay_gp_minimise(likelihood_at, fitting, fitting->n_theta, fitting->low, fitting->high,
                             &limits, candidate->theta);
    candidate->score = score_of(fitting, candidate->warp, candidate->theta);
    return done;
}

/* Goes on in one direction of strengths while it pays. */
static bool
climb(struct fitting *fitting, int direction, struct candidate *best, struct candidate *spare)
{
    size_t count = assay_gp_warp_count(fitting->sample->kind);

    for (;;) {
        struct candidate other;

        if (direction < 0 ? best->warp == 0 : best->warp + 1 >= count)
            return true;
        spare->warp = direction < 0 ? best->warp - 1 : best->warp + 1;
        memcpy(spare->theta, best->theta, fitting->n_theta * sizeof *best->theta);
        if (!fit_theta(fitting, spare))
            return false;
        if (!(spare->score > best->score + WORTHWHILE))
            return true;
        other = *best;
        *best = *spare;
        *spare = other;
    }
}

/* Labels jump, which likelihood would have explained by ever shorter lengthscales, and
 * then what is next to a failure would seem as good as anything. */
static void
bound_labels(struct fitting *fitting, const struct assay_gp_features *features)
{
    for (size_t k = 0; k < features->n_groups; k++) {
        fitting->high[k] = -2.0 * log(LABEL_LENGTH_MIN * sqrt(features->typical));
        fitting->mode[k] = fmin(fitting->mode[k], fitting->high[k]);
    }
    fitting->low[fitting->n_theta - 1] = log(LABEL_NOISE_MIN);
    fitting->mode[fitting->n_theta - 1] =
        fmax(fitting->mode[fitting->n_theta - 1], fitting->low[fitting->n_theta - 1]);
}

bool
assay_gp_fit_make(const struct assay_gp_sample *sample, const struct assay_gp_fit *start,
                  bool explore, struct assay_gp_fit *ret_fit)
{
    const struct assay_gp_features *features = sample->features;
    size_t n = sample->n;
    size_t t = features->n_groups + 2;
    assay_auto_free double *work = assay_zalloc(3 * n + 5 * t, sizeof *work);
    struct fitting fitting = {
        .sample = sample,
        .shares = work + 2 * n + 5 * t,
        .n = n,
        .n_theta = t,
        .z = work,
        .densities = work + n,
        .low = work + 2 * n,
        .high = work + 2 * n + t,
        .mode = work + 2 * n + 2 * t,
    };
    struct candidate best = {.theta = work + 2 * n + 3 * t};
    struct candidate spare = {.theta = work + 2 * n + 4 * t};
    bool done;

    assay_gp_likelihood_init(&fitting.likelihood, features, n);
    fitting.likelihood.rows = sample->rows;
    fitting.likelihood.z = fitting.z;
    fitting.likelihood.n = n;
    assay_gp_prior_box(features, fitting.low, fitting.high);
    assay_gp_prior_mode(features, fitting.mode);
    if (sample->kind == ASSAY_GP_LABEL)
        bound_labels(&fitting, features);
    best.warp = start != NULL
                    ? start->warp
                    : ASSAY_MIN((size_t)FIRST_WARP, assay_gp_warp_count(sample->kind) - 1);
    memcpy(best.theta, start != NULL ? start->theta : fitting.mode, t * sizeof *best.theta);
    done = fit_theta(&fitting, &best);
    if (done && explore) {
        size_t before = best.warp;

        done = climb(&fitting, 1, &best, &spare);
        if (done && best.warp == before)
            done = climb(&fitting, -1, &best, &spare);
    }
    assay_gp_likelihood_done(&fitting.likelihood);
    if (done) {
        memcpy(ret_fit->theta, best.theta, t * sizeof *best.theta);
        ret_fit->warp = best.warp;
        ret_fit->score = best.score;
    }
    return done;
}

#include "suggest/algorithms/tpe/prior.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/algorithms/tpe/trust.h"

#define FADING 10.0

struct assay_tpe_expectation {
    size_t dimension;
    double place, spread; /* numbers, in the unit interval */
    double low, high;     /* numbers: the normal distribution function at the ends */
    double choice, share; /* choices: the expected one and its probability */
    double at_best, at_other; /* logarithms: at the place or choice; at other choices */
};

static const struct assay_plugin_parameter *
parameter_of(const struct assay_tpe_layout *layout, size_t d)
{
    return layout->transform->space->parameters[layout->transform->dimensions[d].parameter];
}

static struct assay_tpe_expectation
expect(const struct assay_tpe_layout *layout, size_t d)
{
    const struct assay_plugin_parameter *parameter = parameter_of(layout, d);
    struct assay_tpe_expectation expectation = {.dimension = d};

    if (layout->dimensions[d].choice) {
        double n = (double)layout->dimensions[d].n_values;

        expectation.choice = parameter->prior_value;
        expectation.share = parameter->prior_weight / (parameter->prior_weight + n - 1.0);
        expectation.at_best = log(expectation.share * n);
        expectation.at_other = log((1.0 - expectation.share) * n / (n - 1.0));
        return expectation;
    }
    expectation.place = assay_transform_unit(layout->transform, d, parameter->prior_value);
    expectation.spread = parameter->prior_spread;
    expectation.low = gsl_cdf_ugaussian_P(-expectation.place / expectation.spread);
    expectation.high = gsl_cdf_ugaussian_P((1.0 - expectation.place) / expectation.spread);
    expectation.at_best = -log(expectation.spread * (expectation.high - expectation.low) *
                               sqrt(2.0 * M_PI));
    return expectation;
}

void
assay_tpe_prior_init(struct assay_tpe_prior *prior, const struct assay_tpe_layout *layout)
{
    *prior = (struct assay_tpe_prior){
        .layout = layout,
        .strength = 1.0,
        .expectations = assay_zalloc(layout->n_dimensions + 1, sizeof *prior->expectations),
    };
    for (size_t d = 0; d < layout->n_dimensions; d++) {
        if (!isnan(parameter_of(layout, d)->prior_value))
            prior->expectations[prior->n++] = expect(layout, d);
    }
}

void
assay_tpe_prior_done(struct assay_tpe_prior *prior)
{
    free(prior->expectations);
    *prior = (struct assay_tpe_prior){0};
}

double
assay_tpe_prior_log(const struct assay_tpe_prior *prior, const float *coordinates)
{
    double sum = 0.0;

    for (size_t i = 0; i < prior->n; i++) {
        const struct assay_tpe_expectation *expectation = &prior->expectations[i];
        double x = (double)coordinates[expectation->dimension], off;

        if (isnan(x))
            continue;
        if (prior->layout->dimensions[expectation->dimension].choice) {
            sum += x == expectation->choice ? expectation->at_best : expectation->at_other;
            continue;
        }
        off = (x - expectation->place) / expectation->spread;
        sum += expectation->at_best - 0.5 * off * off;
    }
    return sum;
}

static void
judge(const void *prior, const float *const *points, size_t n, float *ret_verdicts)
{
    for (size_t i = 0; i < n; i++)
        ret_verdicts[i] = (float)assay_tpe_prior_log(prior, points[i]);
}

void
assay_tpe_prior_trust(struct assay_tpe_prior *prior, const struct assay_tpe_side *good,
                      const struct assay_tpe_side *bad, size_t n_trials)
{
    if (prior->n > 0)
        prior->strength = assay_tpe_trust(judge, prior, good, bad, n_trials, 1.0) * FADING /
                          (double)ASSAY_MAX(n_trials, (size_t)1);
}

/* From a place of the unit interval, uniform at random, to one drawn as expected. */
static double
bend(const struct assay_tpe_prior *prior, const struct assay_tpe_expectation *expectation,
     double unit)
{
    const struct assay_tpe_dimension *dimension =
        &prior->layout->dimensions[expectation->dimension];
    double n = (double)dimension->n_values, share, other;

    if (!dimension->choice) {
        share = expectation->low + unit * (expectation->high - expectation->low);
        share = fmin(fmax(share, 1e-15), 1.0 - 1e-15);
        share = expectation->place + expectation->spread * gsl_cdf_ugaussian_Pinv(share);
        return fmin(fmax(share, 0.0), 1.0);
    }
    if (unit < expectation->share)
        return (expectation->choice + 0.5) / n;
    other = floor((unit - expectation->share) / (1.0 - expectation->share) * (n - 1.0));
    other = fmin(other, n - 2.0);
    return (other + (other < expectation->choice ? 0.5 : 1.5)) / n;
}

void
assay_tpe_prior_draw(const struct assay_tpe_prior *prior, struct assay_random *random,
                     double *ret_point)
{
    size_t n = prior->layout->n_dimensions;
    assay_auto_free double *unit = assay_alloc(n + 1, sizeof *unit);

    for (size_t d = 0; d < n; d++)
        unit[d] = assay_random_unit(random);
    for (size_t i = 0; i < prior->n; i++) {
        const struct assay_tpe_expectation *expectation = &prior->expectations[i];

        unit[expectation->dimension] = bend(prior, expectation, unit[expectation->dimension]);
    }
    assay_transform_decode(prior->layout->transform, unit, ret_point);
}

void
assay_tpe_prior_mode(const struct assay_tpe_prior *prior, double *point)
{
    const struct assay_plugin_space *space = prior->layout->transform->space;

    for (size_t k = 0; k < space->n_parameters; k++) {
        size_t i = space->order[k];
        const struct assay_plugin_parameter *parameter = space->parameters[i];

        if (!assay_view_active(space, point, i))
            point[i] = NAN;
        else if (!isnan(parameter->prior_value))
            point[i] = assay_view_snap(space, i, parameter->prior_value);
        else if (isnan(point[i]))
            point[i] = parameter->middle;
    }
}

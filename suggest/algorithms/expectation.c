#include "suggest/algorithms/expectation.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

static const struct assay_plugin_parameter *
parameter_of(const struct assay_transform *transform, size_t d)
{
    return transform->space->parameters[transform->dimensions[d].parameter];
}

static struct assay_expectation
expect(const struct assay_transform *transform, size_t d)
{
    const struct assay_plugin_parameter *parameter = parameter_of(transform, d);
    struct assay_expectation expectation = {.dimension = d};

    expectation.choice =
        parameter->type == ASSAY_PLUGIN_CATEGORICAL || parameter->type == ASSAY_PLUGIN_BOOL;
    if (expectation.choice) {
        double n = parameter->cardinality;

        expectation.n_values = n;
        expectation.value = parameter->prior_value;
        expectation.share = parameter->prior_weight / (parameter->prior_weight + n - 1.0);
        expectation.at_best = log(expectation.share * n);
        expectation.at_other = log((1.0 - expectation.share) * n / (n - 1.0));
        return expectation;
    }
    expectation.place = assay_transform_unit(transform, d, parameter->prior_value);
    expectation.spread = parameter->prior_spread;
    expectation.low = gsl_cdf_ugaussian_P(-expectation.place / expectation.spread);
    expectation.high = gsl_cdf_ugaussian_P((1.0 - expectation.place) / expectation.spread);
    expectation.at_best =
        -log(expectation.spread * (expectation.high - expectation.low) * sqrt(2.0 * M_PI));
    return expectation;
}

void
assay_expectations_init(struct assay_expectations *expectations,
                        const struct assay_transform *transform)
{
    *expectations = (struct assay_expectations){
        .transform = transform,
        .items = assay_zalloc(transform->n_dimensions + 1, sizeof *expectations->items),
    };
    for (size_t d = 0; d < transform->n_dimensions; d++) {
        if (!isnan(parameter_of(transform, d)->prior_value))
            expectations->items[expectations->n++] = expect(transform, d);
    }
}

void
assay_expectations_done(struct assay_expectations *expectations)
{
    free(expectations->items);
    *expectations = (struct assay_expectations){0};
}

static double
bend(const struct assay_expectation *expectation, double unit)
{
    double n = expectation->n_values, share, other;

    if (!expectation->choice) {
        share = expectation->low + unit * (expectation->high - expectation->low);
        share = fmin(fmax(share, 1e-15), 1.0 - 1e-15);
        share = expectation->place + expectation->spread * gsl_cdf_ugaussian_Pinv(share);
        return fmin(fmax(share, 0.0), 1.0);
    }
    if (unit < expectation->share || n < 2.0)
        return (expectation->value + 0.5) / n;
    other = floor((unit - expectation->share) / (1.0 - expectation->share) * (n - 1.0));
    other = fmin(other, n - 2.0);
    return (other + (other < expectation->value ? 0.5 : 1.5)) / n;
}

void
assay_expectations_bend(const struct assay_expectations *expectations, double *unit)
{
    for (size_t i = 0; i < expectations->n; i++) {
        const struct assay_expectation *expectation = &expectations->items[i];

        unit[expectation->dimension] = bend(expectation, unit[expectation->dimension]);
    }
}

void
assay_expectations_mode(const struct assay_expectations *expectations, double *ret_point)
{
    const struct assay_plugin_space *space = expectations->transform->space;

    for (size_t k = 0; k < space->n_parameters; k++) {
        size_t i = space->order[k];
        const struct assay_plugin_parameter *parameter = space->parameters[i];

        if (!assay_view_active(space, ret_point, i))
            ret_point[i] = NAN;
        else if (!isnan(parameter->prior_value))
            ret_point[i] = assay_view_snap(space, i, parameter->prior_value);
        else
            ret_point[i] = parameter->middle;
    }
}

#include "suggest/algorithms/bayesian/belief.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define FADING 10.0 /* beta */

static const struct assay_plugin_parameter *
parameter_of(const struct assay_gp_features *features, size_t dimension)
{
    return features->transform->space->parameters[features->dimensions[dimension].parameter];
}

static void
expect_number(struct assay_gp_expectation *expectation, const struct assay_gp_features *features)
{
    const struct assay_plugin_parameter *parameter = parameter_of(features, expectation->dimension);

    expectation->place =
        assay_transform_unit(features->transform, expectation->dimension, parameter->prior_value);
    expectation->spread = parameter->prior_spread;
    expectation->low = gsl_cdf_ugaussian_P(-expectation->place / expectation->spread);
    expectation->high = gsl_cdf_ugaussian_P((1.0 - expectation->place) / expectation->spread);
    expectation->constant =
        -log(expectation->spread * (expectation->high - expectation->low)) - 0.5 * log(2.0 * M_PI);
}

static void
expect_choice(struct assay_gp_expectation *expectation, const struct assay_gp_features *features)
{
    const struct assay_gp_dimension *dimension = &features->dimensions[expectation->dimension];
    const struct assay_plugin_parameter *parameter = parameter_of(features, expectation->dimension);
    assay_auto_free double *row = assay_zalloc(features->n_columns + 1, sizeof *row);
    double others = dimension->values - 1.0;

    assay_gp_features_of_choice(features, expectation->dimension, parameter->prior_value, row);
    expectation->choice = assay_alloc(dimension->count, sizeof *expectation->choice);
    memcpy(expectation->choice, &row[dimension->first], dimension->count * sizeof *row);
    expectation->other = log(dimension->values / (parameter->prior_weight + others));
    expectation->constant = expectation->other + log(parameter->prior_weight);
    expectation->place = (parameter->prior_value + 0.5) / dimension->values;
    /* The share of the unit interval that goes to the expected choice. */
    expectation->high = parameter->prior_weight / (parameter->prior_weight + others);
}

void
assay_gp_belief_init(struct assay_gp_belief *belief, const struct assay_gp_features *features)
{
    *belief = (struct assay_gp_belief){
        .features = features,
        .expectations = assay_zalloc(features->n_dimensions + 1, sizeof *belief->expectations),
    };
    for (size_t d = 0; d < features->n_dimensions; d++) {
        struct assay_gp_expectation *expectation = &belief->expectations[belief->n];

        if (isnan(parameter_of(features, d)->prior_value))
            continue;
        expectation->dimension = d;
        expectation->set = assay_gp_features_set(features, d);
        if (features->dimensions[d].kind == ASSAY_GP_CHOICE)
            expect_choice(expectation, features);
        else
            expect_number(expectation, features);
        belief->n++;
    }
}

void
assay_gp_belief_done(struct assay_gp_belief *belief)
{
    for (size_t i = 0; i < belief->n; i++)
        free(belief->expectations[i].choice);
    free(belief->expectations);
    *belief = (struct assay_gp_belief){0};
}

double
assay_gp_belief_strength(uint64_t trials)
{
    return FADING / (double)ASSAY_MAX(trials, (uint64_t)1);
}

static bool
is_expected(const struct assay_gp_expectation *expectation, const double *roots,
            const double *scaled, size_t first, size_t count)
{
    double square = 0.0;

    for (size_t c = 0; c < count; c++) {
        double apart = scaled[first + c] / roots[first + c] - expectation->choice[c];

        square += apart * apart;
    }
    return square < 1e-12;
}

double
assay_gp_belief_at(const struct assay_gp_belief *belief, const double *roots, const double *scaled,
                   double strength, double *ret_gradient)
{
    double sum = 0.0;

    for (size_t i = 0; i < belief->n; i++) {
        const struct assay_gp_expectation *expectation = &belief->expectations[i];
        const struct assay_gp_dimension *dimension =
            &belief->features->dimensions[expectation->dimension];
        size_t first = dimension->first;
        double off;

        if (expectation->set >= 0 && !(scaled[expectation->set] > 0.0))
            continue;
        if (expectation->choice != NULL) {
            sum += is_expected(expectation, roots, scaled, first, dimension->count)
                       ? expectation->constant
                       : expectation->other;
            continue;
        }
        off = (scaled[first] / roots[first] - expectation->place) / expectation->spread;
        sum += expectation->constant - 0.5 * off * off;
        if (ret_gradient != NULL)
            ret_gradient[first] -= strength * off / (expectation->spread * roots[first]);
    }
    return sum;
}

/* A choice from the share of its own of the unit interval, to the middle of its part. */
static double
draw_choice(const struct assay_gp_expectation *expectation, double values, double unit)
{
    double expected = floor(expectation->place * values), other;

    if (unit < expectation->high || values < 2.0)
        return expectation->place;
    other = floor((unit - expectation->high) / (1.0 - expectation->high) * (values - 1.0));
    other = fmin(other, values - 2.0);
    return ((other < expected ? other : other + 1.0) + 0.5) / values;
}

void
assay_gp_belief_draw(const struct assay_gp_belief *belief, double *unit)
{
    for (size_t i = 0; i < belief->n; i++) {
        const struct assay_gp_expectation *expectation = &belief->expectations[i];
        size_t d = expectation->dimension;
        double share;

        if (expectation->choice != NULL) {
            unit[d] = draw_choice(expectation, belief->features->dimensions[d].values, unit[d]);
            continue;
        }
        share = expectation->low + unit[d] * (expectation->high - expectation->low);
        share = fmin(fmax(share, 1e-15), 1.0 - 1e-15);
        unit[d] = expectation->place + expectation->spread * gsl_cdf_ugaussian_Pinv(share);
        unit[d] = fmin(fmax(unit[d], 0.0), 1.0);
    }
}

void
assay_gp_belief_mode(const struct assay_gp_belief *belief, double *point)
{
    const struct assay_plugin_space *space = belief->features->transform->space;

    for (size_t k = 0; k < space->n_parameters; k++) {
        size_t i = space->order[k];
        const struct assay_plugin_parameter *parameter = space->parameters[i];

        if (!assay_view_active(space, point, i))
            point[i] = NAN;
        else if (!isnan(parameter->prior_value))
            point[i] = assay_view_snap(space, i, parameter->prior_value);
        else
            point[i] = parameter->middle;
    }
}

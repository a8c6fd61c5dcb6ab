#include "suggest/algorithms/bayesian/belief.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

#define FADING 10.0 /* beta */

void
assay_gp_belief_init(struct assay_gp_belief *belief, const struct assay_gp_features *features)
{
    assay_auto_free double *row = assay_alloc(features->n_columns + 1, sizeof *row);

    *belief = (struct assay_gp_belief){.features = features};
    assay_expectations_init(&belief->expectations, features->transform);
    belief->rows = assay_zalloc(belief->expectations.n + 1, sizeof *belief->rows);
    for (size_t i = 0; i < belief->expectations.n; i++) {
        const struct assay_expectation *expectation = &belief->expectations.items[i];
        const struct assay_gp_dimension *dimension = &features->dimensions[expectation->dimension];

        belief->rows[i].set = assay_gp_features_set(features, expectation->dimension);
        if (!expectation->choice)
            continue;
        assay_gp_features_of_choice(features, expectation->dimension, expectation->value, row);
        belief->rows[i].choice =
            assay_memdup(&row[dimension->first], dimension->count * sizeof *row);
    }
}

void
assay_gp_belief_done(struct assay_gp_belief *belief)
{
    for (size_t i = 0; i < belief->expectations.n; i++)
        free(belief->rows[i].choice);
    free(belief->rows);
    assay_expectations_done(&belief->expectations);
    *belief = (struct assay_gp_belief){0};
}

double
assay_gp_belief_strength(uint64_t trials)
{
    return FADING / (double)ASSAY_MAX(trials, (uint64_t)1);
}

static bool
is_expected(const double *choice, const double *roots, const double *scaled, size_t first,
            size_t count)
{
    double square = 0.0;

    for (size_t c = 0; c < count; c++) {
        double apart = scaled[first + c] / roots[first + c] - choice[c];

        square += apart * apart;
    }
    return square < 1e-12;
}

double
assay_gp_belief_at(const struct assay_gp_belief *belief, const double *roots, const double *scaled,
                   double strength, double *ret_gradient)
{
    double sum = 0.0;

    for (size_t i = 0; i < belief->expectations.n; i++) {
        const struct assay_expectation *expectation = &belief->expectations.items[i];
        const struct assay_gp_expectation *row = &belief->rows[i];
        const struct assay_gp_dimension *dimension =
            &belief->features->dimensions[expectation->dimension];
        size_t first = dimension->first;
        double off;

        if (row->set >= 0 && !(scaled[row->set] > 0.0))
            continue;
        if (row->choice != NULL) {
            sum += is_expected(row->choice, roots, scaled, first, dimension->count)
                       ? expectation->at_best
                       : expectation->at_other;
            continue;
        }
        off = (scaled[first] / roots[first] - expectation->place) / expectation->spread;
        sum += expectation->at_best - 0.5 * off * off;
        if (ret_gradient != NULL)
            ret_gradient[first] -= strength * off / (expectation->spread * roots[first]);
    }
    return sum;
}

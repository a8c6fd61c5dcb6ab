#include "suggest/algorithms/tpe/prior.h"

#include <math.h>

#include "common/memory.h"
#include "suggest/algorithms/tpe/trust.h"

#define FADING 10.0

void
assay_tpe_prior_init(struct assay_tpe_prior *prior, const struct assay_tpe_layout *layout)
{
    *prior = (struct assay_tpe_prior){.strength = 1.0};
    assay_expectations_init(&prior->expectations, layout->transform);
}

void
assay_tpe_prior_done(struct assay_tpe_prior *prior)
{
    assay_expectations_done(&prior->expectations);
}

double
assay_tpe_prior_log(const struct assay_tpe_prior *prior, const float *coordinates)
{
    double sum = 0.0;

    for (size_t i = 0; i < prior->expectations.n; i++) {
        const struct assay_expectation *expectation = &prior->expectations.items[i];
        double x = (double)coordinates[expectation->dimension], off;

        if (isnan(x))
            continue;
        if (expectation->choice) {
            sum += x == expectation->value ? expectation->at_best : expectation->at_other;
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
    if (prior->expectations.n > 0)
        prior->strength = assay_tpe_trust(judge, prior, good, bad, n_trials, 1.0) * FADING /
                          (double)ASSAY_MAX(n_trials, (size_t)1);
}

void
assay_tpe_prior_draw(const struct assay_tpe_prior *prior, struct assay_random *random,
                     double *ret_point)
{
    const struct assay_transform *transform = prior->expectations.transform;
    assay_auto_free double *unit = assay_alloc(transform->n_dimensions + 1, sizeof *unit);

    for (size_t d = 0; d < transform->n_dimensions; d++)
        unit[d] = assay_random_unit(random);
    assay_expectations_bend(&prior->expectations, unit);
    assay_transform_decode(transform, unit, ret_point);
}

#include "suggest/algorithms/cmaes/outlook.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

/* How far towards the latest best, with two generations pending or more. */
#define ADVANCE 0.67
/* What sigma is divided by: 1 and so much for each generation pending; at most. */
#define NARROWING 0.1
#define NARROWING_MAX 2.0

void
assay_cmaes_outlook_init(const struct assay_cmaes_layout *layout,
                         struct assay_cmaes_outlook *outlook)
{
    *outlook = (struct assay_cmaes_outlook){
        .mean = assay_zalloc(layout->n_numbers + 1, sizeof *outlook->mean),
    };
}

void
assay_cmaes_outlook_done(struct assay_cmaes_outlook *outlook)
{
    free(outlook->mean);
    *outlook = (struct assay_cmaes_outlook){0};
}

void
assay_cmaes_outlook_set(const struct assay_cmaes_layout *layout,
                        const struct assay_cmaes_strategy *strategy,
                        struct assay_cmaes_outlook *outlook)
{
    memcpy(outlook->mean, strategy->numbers, layout->n_numbers * sizeof *outlook->mean);
    outlook->sigma = strategy->sigma;
}

/* The mean of a coordinate over those of the best in which it is active, weighted as in an
 * update; NaN: in none. */
static double
mean_of_best(const struct assay_cmaes_trial *const *best, size_t n, size_t d)
{
    double total = 0.0, sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        double x = best[i]->coordinates[d];
        double weight = log((double)n + 0.5) - log((double)i + 1.0);

        total += isnan(x) ? 0.0 : weight;
        sum += isnan(x) ? 0.0 : weight * x;
    }
    return total > 0.0 ? sum / total : NAN;
}

void
assay_cmaes_outlook_advance(const struct assay_cmaes_layout *layout,
                            const struct assay_cmaes_strategy *strategy,
                            const struct assay_cmaes_trial *const *sorted, size_t n,
                            size_t pending, struct assay_cmaes_outlook *outlook)
{
    double generations = (double)pending / (double)strategy->n_population;
    double share = ADVANCE * fmin(1.0, generations / 2.0);
    size_t best = ASSAY_MIN(ASSAY_MAX(strategy->n_population / 2, (size_t)1), n);

    for (size_t d = 0; d < layout->n_dimensions; d++) {
        const struct assay_cmaes_dimension *dimension = &layout->dimensions[d];
        double mean;

        if (dimension->choice)
            continue;
        mean = mean_of_best(sorted, best, d);
        if (!isnan(mean))
            outlook->mean[dimension->index] += share * (mean - outlook->mean[dimension->index]);
    }
    outlook->sigma /= fmin(1.0 + NARROWING * generations, NARROWING_MAX);
}

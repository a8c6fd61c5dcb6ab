#include "suggest/algorithms/start.h"

#include <stdlib.h>

#include "common/memory.h"

void
assay_start_init(struct assay_start *start, const struct assay_algorithm_base *base)
{
    struct assay_random random;

    assay_sobol_init(&start->sequence, base->transform.n_dimensions);
    assay_random_init(&random, base->seed, 0, ASSAY_PURPOSE_SOBOL_SCRAMBLING);
    start->scrambling = assay_random_u64(&random);
    start->unit = assay_zalloc(base->transform.n_dimensions + 1, sizeof *start->unit);
}

void
assay_start_done(struct assay_start *start)
{
    assay_sobol_done(&start->sequence);
    free(start->unit);
}

void
assay_start_point(struct assay_start *start, const struct assay_algorithm_base *base,
                  int64_t number, double *ret_point)
{
    if (number <= 1) {
        assay_transform_centre(&base->transform, ret_point);
        return;
    }
    for (size_t d = 0; d < base->transform.n_dimensions; d++)
        start->unit[d] =
            assay_sobol_unit(&start->sequence, start->scrambling, d, (uint32_t)(number - 2));
    assay_transform_decode(&base->transform, start->unit, ret_point);
}

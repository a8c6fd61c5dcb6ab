/* Quasi-random search: the middle of the space, then scrambled Sobol' points (the
 * construction and its papers are in suggest/sobol.h).  Trial number n has point
 * n - 2 of the sequence, so workers that ask at the same time need no counter. */
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/algorithms/base.h"
#include "suggest/sobol.h"

struct sobol {
    struct assay_algorithm_base base; /* first */
    struct assay_sobol sequence;
    uint64_t scrambling;
    double *unit;
};

static int32_t
sobol_create(const struct assay_plugin_study *study, void **ret_instance, char *error ASSAY_UNUSED,
             uint64_t error_size ASSAY_UNUSED)
{
    struct sobol *sobol = ASSAY_NEW(struct sobol);
    struct assay_random random;

    assay_algorithm_base_init(&sobol->base, study);
    assay_sobol_init(&sobol->sequence, sobol->base.transform.n_dimensions);
    assay_random_init(&random, study->seed, 0, ASSAY_PURPOSE_SOBOL_SCRAMBLING);
    sobol->scrambling = assay_random_u64(&random);
    sobol->unit = assay_zalloc(sobol->base.transform.n_dimensions + 1, sizeof *sobol->unit);
    *ret_instance = sobol;
    return ASSAY_PLUGIN_OK;
}

static void
sequence_point(struct sobol *sobol, uint32_t index, double *ret_point)
{
    const struct assay_transform *transform = &sobol->base.transform;

    for (size_t d = 0; d < transform->n_dimensions; d++)
        sobol->unit[d] = assay_sobol_unit(&sobol->sequence, sobol->scrambling, d, index);
    assay_transform_decode(transform, sobol->unit, ret_point);
}

static int32_t
suggest_one(void *instance, int64_t number, const struct assay_batch *batch,
            const struct assay_plugin_suggestion *suggestion)
{
    struct sobol *sobol = instance;
    const struct assay_algorithm_base *base = &sobol->base;
    struct assay_random random;

    if (number == 1) {
        assay_transform_centre(&base->transform, suggestion->point);
        snprintf(suggestion->why, suggestion->why_size,
                 "{\"proposed_by\": \"sobol\", \"point\": \"centre\"}");
    } else {
        uint32_t index = (uint32_t)(number - 2);

        sequence_point(sobol, index, suggestion->point);
        snprintf(suggestion->why, suggestion->why_size,
                 "{\"proposed_by\": \"sobol\", \"point\": \"sequence\", \"index\": %lu}",
                 (unsigned long)index);
    }
    if (assay_untried(base->history, batch, base->space, suggestion->point))
        return ASSAY_PLUGIN_OK;
    assay_random_init(&random, base->seed, (uint64_t)number, ASSAY_PURPOSE_SOBOL_FALLBACK);
    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"sobol\", \"point\": \"random\", "
             "\"reason\": \"the point of the sequence was tried before\"}");
    return assay_algorithm_suggest_untried(base, batch, &random, suggestion);
}

static int32_t
sobol_suggest(void *instance, const int64_t *numbers, uint64_t n,
              const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
              char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    return assay_algorithm_suggest_each(instance, suggest_one, numbers, n, suggestions, ret_count);
}

static void
sobol_destroy(void *instance)
{
    struct sobol *sobol = instance;

    assay_algorithm_base_done(&sobol->base);
    assay_sobol_done(&sobol->sequence);
    free(sobol->unit);
    free(sobol);
}

const struct assay_plugin_algorithm assay_algorithm_sobol = {
    .struct_size = sizeof assay_algorithm_sobol,
    .name = "sobol",
    .description =
        "Quasi-random search: the middle of the space (or the parameters' defaults) "
        "first, then a scrambled Sobol sequence, which covers the space more evenly than "
        "random points.",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE |
            ASSAY_PLUGIN_CAP_CONSTRAINTS | ASSAY_PLUGIN_CAP_PARALLEL,
    .settings_schema = ASSAY_NO_SETTINGS,
    .create = sobol_create,
    .update = assay_algorithm_base_update,
    .suggest = sobol_suggest,
    .destroy = sobol_destroy,
};

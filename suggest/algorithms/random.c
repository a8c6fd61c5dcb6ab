/* Random search: uniform in the unit cube of the transform, never a point twice.
 *
 * J. Bergstra and Y. Bengio, "Random search for hyper-parameter optimization",
 * JMLR 13, 2012. */
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/algorithms/base.h"

static int32_t
random_create(const struct assay_plugin_study *study, void **ret_instance, char *error ASSAY_UNUSED,
              uint64_t error_size ASSAY_UNUSED)
{
    struct assay_algorithm_base *base = ASSAY_NEW(struct assay_algorithm_base);

    assay_algorithm_base_init(base, study);
    *ret_instance = base;
    return ASSAY_PLUGIN_OK;
}

static int32_t
suggest_one(void *instance, int64_t number, const struct assay_batch *batch,
            const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_algorithm_base *base = instance;
    struct assay_random random;

    assay_random_init(&random, base->seed, (uint64_t)number, ASSAY_PURPOSE_RANDOM);
    snprintf(suggestion->why, suggestion->why_size, "{\"proposed_by\": \"random\"}");
    return assay_algorithm_suggest_untried(base, batch, &random, suggestion);
}

static int32_t
random_suggest(void *instance, const int64_t *numbers, uint64_t n,
               const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
               char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    return assay_algorithm_suggest_each(instance, suggest_one, numbers, n, suggestions, ret_count);
}

static void
random_destroy(void *instance)
{
    assay_algorithm_base_done(instance);
    free(instance);
}

const struct assay_plugin_algorithm assay_algorithm_random = {
    .struct_size = sizeof assay_algorithm_random,
    .name = "random",
    .description = "Random search: each point is drawn uniformly, on the logarithmic scale where a "
                   "parameter has one. A point is never proposed twice while a finite space has "
                   "another.",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE |
            ASSAY_PLUGIN_CAP_CONSTRAINTS | ASSAY_PLUGIN_CAP_PARALLEL,
    .settings_schema = ASSAY_NO_SETTINGS,
    .create = random_create,
    .update = assay_algorithm_base_update,
    .suggest = random_suggest,
    .destroy = random_destroy,
};

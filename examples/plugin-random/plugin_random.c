/* An algorithm as a plugin, as small as it gets: random search.
 *
 *   cc -std=c99 -shared -fPIC -I/path/to/assay -o plugin-random.so plugin_random.c
 *   assay-suggest --plugin /absolute/path/plugin-random.so
 *
 * It reaches nothing but the host's table, keeps no global state but that table,
 * and learns nothing, so `update` has nothing to do.  A real algorithm would keep
 * what it is told, and not propose a point twice. */
#include <math.h>
#include <stdio.h>

#include "suggest/plugin.h"

static const struct assay_plugin_host *host;

struct instance {
    const struct assay_plugin_space *space;
    uint64_t seed;
};

static int32_t
example_create(const struct assay_plugin_study *study, void **ret_instance, char *error,
               uint64_t error_size)
{
    struct instance *instance = host->alloc(sizeof *instance);

    (void)error, (void)error_size;
    instance->space = study->space;
    instance->seed = study->seed;
    *ret_instance = instance;
    return ASSAY_PLUGIN_OK;
}

static int32_t
example_update(void *instance, const struct assay_plugin_trial *const *trials, uint64_t n_trials,
               char *error, uint64_t error_size)
{
    (void)instance, (void)trials, (void)n_trials, (void)error, (void)error_size;
    return ASSAY_PLUGIN_OK;
}

/* Uniform in the range, whatever its scale; the host rounds it to an allowed value. */
static double
draw(const struct instance *instance, int64_t number, uint64_t i)
{
    const struct assay_plugin_parameter *parameter = instance->space->parameters[i];
    double unit;

    host->random(instance->seed, (uint64_t)number, 0x80000000u, i, 1, &unit);
    if (parameter->type >= ASSAY_PLUGIN_DISCRETE)
        return floor(unit * parameter->cardinality);
    return host->snap(instance->space, i, (1.0 - unit) * parameter->min + unit * parameter->max);
}

static int32_t
example_suggest(void *cookie, const int64_t *numbers, uint64_t n,
                const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
                char *error, uint64_t error_size)
{
    const struct instance *instance = cookie;

    for (uint64_t k = 0; k < n; k++) {
        double *point = suggestions[k]->point;

        if (host->should_stop()) {
            snprintf(error, error_size, "stopped after %llu points", (unsigned long long)k);
            return ASSAY_PLUGIN_INTERRUPTED;
        }
        for (uint64_t o = 0; o < instance->space->n_parameters; o++) {
            uint64_t i = instance->space->order[o];

            point[i] =
                host->active(instance->space, point, i) ? draw(instance, numbers[k], i) : NAN;
        }
        snprintf(suggestions[k]->why, suggestions[k]->why_size, "{\"proposed_by\": \"example\"}");
    }
    *ret_count = n;
    return ASSAY_PLUGIN_OK;
}

static void
example_destroy(void *instance)
{
    host->free(instance);
}

static const struct assay_plugin_algorithm example = {
    .struct_size = sizeof example,
    .name = "example-random",
    .description = "Random search, as an example of a plugin.",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE,
    .settings_schema =
        "{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}",
    .create = example_create,
    .update = example_update,
    .suggest = example_suggest,
    .destroy = example_destroy,
};

static const struct assay_plugin_algorithm *const algorithms[] = {&example};

static const struct assay_plugin plugin = {
    .abi_major = ASSAY_PLUGIN_ABI_MAJOR,
    .abi_minor = ASSAY_PLUGIN_ABI_MINOR,
    .struct_size = sizeof plugin,
    .name = "plugin-random",
    .version = "1.0",
    .n_algorithms = 1,
    .algorithms = algorithms,
};

const struct assay_plugin *
assay_plugin_entry(const struct assay_plugin_host *given)
{
    if (given->abi_major != ASSAY_PLUGIN_ABI_MAJOR || given->struct_size < sizeof *given)
        return NULL;
    host = given;
    return &plugin;
}

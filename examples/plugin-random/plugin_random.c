/* An algorithm as a plugin: random search that never proposes a point twice.
 *
 *   cc -std=c99 -shared -fPIC -I/path/to/assay -o plugin-random.so plugin_random.c -lm
 *   assay plugin check ./plugin-random.so
 *   assayd --plugin /absolute/path/plugin-random.so
 *
 * To make another algorithm of it, change draw_point(): all else (what was tried,
 * the batch, the end of a finite space, being told to stop) stays as it is.  It
 * reaches nothing but the host's table and has no global state but that. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "suggest/plugin.h"

/* A purpose of the host's random streams; our own from 0x80000000 up. */
#define DRAW 0x80000000u
/* So many draws may hit points that were tried; then the next free one is taken. */
#define DRAWS_MAX 50

static const struct assay_plugin_host *host;

struct told {
    int64_t number; /* of the trial; 0: the slot is free */
    double *point;
};

struct instance {
    const struct assay_plugin_space *space; /* lives until destroy */
    uint64_t seed;
    struct told *trials; /* open addressing by number; capacity is a power of two */
    uint64_t count, capacity;
};

/* --- what was tried --- */

static struct told *
find(struct told *trials, uint64_t capacity, int64_t number)
{
    uint64_t i = (uint64_t)number * 0x9E3779B97F4A7C15u & (capacity - 1);

    while (trials[i].number != 0 && trials[i].number != number)
        i = (i + 1) & (capacity - 1);
    return &trials[i];
}

static void
grow(struct instance *instance)
{
    uint64_t capacity = instance->capacity == 0 ? 64 : 2 * instance->capacity;
    struct told *trials = host->alloc(capacity * sizeof *trials);

    for (uint64_t i = 0; i < instance->capacity; i++) {
        if (instance->trials[i].number != 0)
            *find(trials, capacity, instance->trials[i].number) = instance->trials[i];
    }
    host->free(instance->trials);
    instance->trials = trials;
    instance->capacity = capacity;
}

/* Inactive parameters are NaN in both or they differ. */
static int
equal(const struct assay_plugin_space *space, const double *a, const double *b)
{
    for (uint64_t i = 0; i < space->n_parameters; i++) {
        if (a[i] != b[i] && !(isnan(a[i]) && isnan(b[i])))
            return 0;
    }
    return 1;
}

/* Whether a trial has the point, or one of the first `n` suggestions. */
static int
taken(const struct instance *instance, const struct assay_plugin_suggestion *const *suggestions,
      uint64_t n, const double *point)
{
    for (uint64_t k = 0; k < n; k++) {
        if (equal(instance->space, suggestions[k]->point, point))
            return 1;
    }
    for (uint64_t i = 0; i < instance->capacity; i++) {
        if (instance->trials[i].number != 0 &&
            equal(instance->space, instance->trials[i].point, point))
            return 1;
    }
    return 0;
}

/* --- points --- */

/* Uniform on the parameter's scale: `unit` in [0, 1) to an allowed value. */
static double
value_at(const struct assay_plugin_space *space, uint64_t i, double unit)
{
    const struct assay_plugin_parameter *p = space->parameters[i];
    double value;

    if (isfinite(p->cardinality) && p->scale == ASSAY_PLUGIN_LINEAR)
        value = p->min + p->step * floor(unit * p->cardinality); /* each as likely */
    else if (p->scale == ASSAY_PLUGIN_LOG)
        value = p->min * exp(unit * (log(p->max) - log(p->min)));
    else if (p->scale == ASSAY_PLUGIN_REVERSE_LOG)
        value = p->max + p->min - p->max * exp(unit * (log(p->min) - log(p->max)));
    else
        value = (1.0 - unit) * p->min + unit * p->max;
    return host->snap(space, i, value);
}

/* The point of draw `draw` for a trial: parents first, inactive ones NaN. */
static void
draw_point(const struct instance *instance, int64_t number, uint64_t draw, double *ret_point)
{
    const struct assay_plugin_space *space = instance->space;

    for (uint64_t o = 0; o < space->n_parameters; o++) {
        uint64_t i = space->order[o];
        double unit;

        host->random(instance->seed, (uint64_t)number, DRAW, draw * space->n_parameters + i, 1,
                     &unit);
        ret_point[i] = host->active(space, ret_point, i) ? value_at(space, i, unit) : NAN;
    }
}

/* The point behind this one, counting as an odometer does; 0 after the last. */
static int
next_point(const struct assay_plugin_space *space, double *point)
{
    for (uint64_t o = space->n_parameters; o-- > 0;) {
        uint64_t i = space->order[o];
        double next = isnan(point[i]) || isinf(space->parameters[i]->cardinality)
                          ? NAN
                          : host->snap(space, i, point[i] + space->parameters[i]->step);

        if (!(next > point[i]))
            continue;
        point[i] = next;
        for (uint64_t behind = o + 1; behind < space->n_parameters; behind++) {
            uint64_t j = space->order[behind];

            point[j] = host->active(space, point, j) ? space->parameters[j]->min : NAN;
        }
        return 1;
    }
    return 0;
}

/* 0 when the space is used up. */
static int
find_point(const struct instance *instance, int64_t number,
           const struct assay_plugin_suggestion *const *suggestions, uint64_t n, double *ret_point)
{
    const struct assay_plugin_space *space = instance->space;
    int wrapped = 0;

    for (uint64_t draw = 0; draw < DRAWS_MAX; draw++) {
        draw_point(instance, number, draw, ret_point);
        if (!taken(instance, suggestions, n, ret_point))
            return 1;
    }
    while (!host->should_stop()) {
        if (!next_point(space, ret_point)) {
            if (wrapped)
                return 0;
            wrapped = 1; /* on from the first point */
            for (uint64_t o = 0; o < space->n_parameters; o++) {
                uint64_t i = space->order[o];

                ret_point[i] = host->active(space, ret_point, i) ? space->parameters[i]->min : NAN;
            }
        }
        if (!taken(instance, suggestions, n, ret_point))
            return 1;
    }
    return 0;
}

/* --- the slots --- */

static int32_t
example_create(const struct assay_plugin_study *study, void **ret_instance, char *error,
               uint64_t error_size)
{
    struct instance *instance = host->alloc(sizeof *instance);

    (void)error, (void)error_size;
    instance->space = study->space;
    instance->seed = study->seed;
    grow(instance);
    *ret_instance = instance;
    return ASSAY_PLUGIN_OK;
}

/* New trials and changed ones, pending and ended: here only their points matter.
 * An algorithm that learns looks at state and values (smaller is better, NaN: none). */
static int32_t
example_update(void *cookie, const struct assay_plugin_trial *const *trials, uint64_t n_trials,
               char *error, uint64_t error_size)
{
    struct instance *instance = cookie;
    size_t bytes = instance->space->n_parameters * sizeof(double);

    (void)error, (void)error_size;
    for (uint64_t k = 0; k < n_trials; k++) {
        struct told *told;

        if (2 * instance->count >= instance->capacity)
            grow(instance);
        told = find(instance->trials, instance->capacity, trials[k]->number);
        if (told->number == 0) {
            told->number = trials[k]->number;
            told->point = host->alloc(bytes);
            instance->count++;
        }
        memcpy(told->point, trials[k]->point, bytes); /* borrowed for this call */
    }
    return ASSAY_PLUGIN_OK;
}

static int32_t
example_suggest(void *cookie, const int64_t *numbers, uint64_t n,
                const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
                char *error, uint64_t error_size)
{
    const struct instance *instance = cookie;
    uint64_t k;

    for (k = 0; k < n; k++) {
        int found = find_point(instance, numbers[k], suggestions, k, suggestions[k]->point);

        if (host->should_stop()) {
            snprintf(error, error_size, "stopped after %llu points", (unsigned long long)k);
            return ASSAY_PLUGIN_INTERRUPTED;
        }
        if (!found)
            break;
        snprintf(suggestions[k]->why, suggestions[k]->why_size, "{\"tried\": %llu}",
                 (unsigned long long)instance->count);
    }
    *ret_count = k;
    return k < n ? ASSAY_PLUGIN_EXHAUSTED : ASSAY_PLUGIN_OK;
}

static void
example_destroy(void *cookie)
{
    struct instance *instance = cookie;

    for (uint64_t i = 0; i < instance->capacity; i++)
        host->free(instance->trials[i].point);
    host->free(instance->trials);
    host->free(instance);
}

/* --- the tables --- */

static const struct assay_plugin_algorithm example = {
    .struct_size = sizeof example,
    .name = "example-random",
    .description = "Random search that never proposes a point twice, as an example of a plugin.",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE |
            ASSAY_PLUGIN_CAP_CONSTRAINTS | ASSAY_PLUGIN_CAP_PARALLEL,
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
    .version = "1.1",
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

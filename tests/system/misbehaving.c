/* A plugin whose one algorithm does what its setting `how` says, for the tests of
 * what the service survives.  Until trial number `after` it behaves: points from
 * the host's random stream. */
#define _DEFAULT_SOURCE

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suggest/plugin.h"

static const struct assay_plugin_host *host;

struct instance {
    const struct assay_plugin_space *space;
    uint64_t seed;
    double budget_min, budget_max;
    int64_t after;
    uint64_t paused; /* a bit for each of the first trials */
    char how[32], gate[256];
};

static void
read_settings(const char *settings, struct instance *ret_instance)
{
    const char *how = strstr(settings, "\"how\": \""), *after = strstr(settings, "\"after\": ");
    const char *gate = strstr(settings, "\"gate\": \"");

    ret_instance->how[0] = '\0';
    if (how != NULL)
        sscanf(how, "\"how\": \"%31[a-z_]", ret_instance->how);
    ret_instance->gate[0] = '\0';
    if (gate != NULL)
        sscanf(gate, "\"gate\": \"%255[^\"]", ret_instance->gate);
    ret_instance->after = after != NULL ? strtoll(after + 9, NULL, 10) : 0;
}

static void
crash(void)
{
    volatile int *volatile nowhere = NULL;

    *nowhere = 1;
}

static void
loop(void)
{
    volatile int on = 1;

    while (on)
        continue;
}

static void
eat_memory(void)
{
    for (;;)
        memset(malloc(8u << 20), 1, 8u << 20);
}

static int
is(const struct instance *instance, const char *how)
{
    return strcmp(instance->how, how) == 0;
}

static int32_t
mis_check(const struct assay_plugin_study *study, char *error, uint64_t error_size)
{
    struct instance instance;

    read_settings(study->settings, &instance);
    if (is(&instance, "check_crash"))
        crash();
    if (is(&instance, "check_loop"))
        loop();
    if (is(&instance, "check_refuse")) {
        snprintf(error, error_size, "not with %llu parameters",
                 (unsigned long long)study->space->n_parameters);
        return ASSAY_PLUGIN_ERROR;
    }
    return ASSAY_PLUGIN_OK;
}

static int32_t
mis_create(const struct assay_plugin_study *study, void **ret_instance, char *error,
           uint64_t error_size)
{
    struct instance *instance = host->alloc(sizeof *instance);

    read_settings(study->settings, instance);
    instance->space = study->space;
    instance->seed = study->seed;
    instance->budget_min = study->budget_min;
    instance->budget_max = study->budget_max;
    instance->paused = 0;
    *ret_instance = instance;
    if (is(instance, "create_fail")) {
        snprintf(error, error_size, "the moon is in the wrong place");
        host->free(instance);
        return ASSAY_PLUGIN_ERROR;
    }
    return ASSAY_PLUGIN_OK;
}

static int32_t
mis_update(void *cookie, const struct assay_plugin_trial *const *trials, uint64_t n_trials,
           char *error, uint64_t error_size)
{
    struct instance *instance = cookie;

    (void)error, (void)error_size;
    for (uint64_t i = 0; i < n_trials; i++) {
        uint64_t bit = trials[i]->number < 64 ? (uint64_t)1 << trials[i]->number : 0;

        instance->paused &= ~bit;
        if (trials[i]->state == ASSAY_PLUGIN_PAUSED)
            instance->paused |= bit;
    }
    if (is(instance, "update_crash") && n_trials > 0)
        crash();
    return ASSAY_PLUGIN_OK;
}

static void
misbehave(const struct instance *instance, char *error, uint64_t error_size, int32_t *ret_result)
{
    if (is(instance, "crash"))
        crash();
    if (is(instance, "abort"))
        abort();
    if (is(instance, "exit"))
        _exit(3);
    if (is(instance, "loop"))
        loop();
    if (is(instance, "memory"))
        eat_memory();
    if (is(instance, "slow"))
        usleep(1500 * 1000);
    if (is(instance, "print")) { /* on what was the wire */
        printf("hello\n");
        fflush(stdout);
    }
    if (is(instance, "fail")) {
        snprintf(error, error_size, "no luck today");
        *ret_result = ASSAY_PLUGIN_ERROR;
    }
}

/* Makes GATE/asked and waits for GATE/go. */
static void
wait_at(const char *gate)
{
    char asked[300], go[300];
    FILE *file;

    snprintf(asked, sizeof asked, "%s/asked", gate);
    snprintf(go, sizeof go, "%s/go", gate);
    file = fopen(asked, "w");
    if (file != NULL)
        fclose(file);
    while (unlink(go) != 0)
        usleep(2000);
}

/* The trial that is to go on: the first that was paused when it was asked, or ("stray")
 * always the first; 0 = none. */
static int64_t
promoted(const struct instance *instance)
{
    int64_t first = 1;

    if (is(instance, "stray"))
        return 1;
    if (!is(instance, "promote") || instance->paused == 0)
        return 0;
    while ((instance->paused >> first & 1) == 0)
        first++;
    wait_at(instance->gate);
    return first;
}

static int32_t
mis_suggest(void *cookie, const int64_t *numbers, uint64_t n,
            const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
            char *error, uint64_t error_size)
{
    const struct instance *instance = cookie;
    const struct assay_plugin_space *space = instance->space;
    int32_t result = ASSAY_PLUGIN_OK;
    int now = numbers[n - 1] > instance->after;

    if (now)
        misbehave(instance, error, error_size, &result);
    for (uint64_t k = 0; k < n; k++) {
        double *point = suggestions[k]->point, unit;

        for (uint64_t o = 0; o < space->n_parameters; o++) {
            uint64_t i = space->order[o];
            const struct assay_plugin_parameter *parameter = space->parameters[i];

            host->random(instance->seed, (uint64_t)numbers[k], 0x80000000u, i, 1, &unit);
            point[i] = !host->active(space, point, i)
                           ? NAN
                           : host->snap(space, i,
                                        parameter->min + unit * (parameter->max - parameter->min));
            if (now && is(instance, "rubbish"))
                point[i] = 1e9;
            if (now && is(instance, "nan"))
                point[i] = NAN;
        }
        *suggestions[k]->budget = instance->budget_min;
        if (now && k == 0)
            *suggestions[k]->resume = promoted(instance);
        if (*suggestions[k]->resume > 0)
            *suggestions[k]->budget = instance->budget_max;
        if (now && is(instance, "why"))
            memset(suggestions[k]->why, 'x', suggestions[k]->why_size);
    }
    *ret_count = now && is(instance, "too_many") ? n + 1000000 : n;
    return result;
}

static void
mis_destroy(void *instance)
{
    host->free(instance);
}

static const struct assay_plugin_algorithm misbehaving = {
    .struct_size = sizeof misbehaving,
    .name = "misbehaving",
    .description = "Does what it must not, for tests.",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_BUDGET,
    .settings_schema = "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
                       "\"gate\": {\"type\": \"string\", \"default\": \"\"},"
                       "\"how\": {\"type\": \"string\", \"default\": \"not\"},"
                       "\"after\": {\"type\": \"integer\", \"minimum\": 0, \"default\": 0}}}",
    .check = mis_check,
    .create = mis_create,
    .update = mis_update,
    .suggest = mis_suggest,
    .destroy = mis_destroy,
};

static const struct assay_plugin_algorithm *const algorithms[] = {&misbehaving};

static const struct assay_plugin plugin = {
    .abi_major = ASSAY_PLUGIN_ABI_MAJOR,
    .abi_minor = ASSAY_PLUGIN_ABI_MINOR,
    .struct_size = sizeof plugin,
    .name = "mischief",
    .version = "0.3",
    .n_algorithms = 1,
    .algorithms = algorithms,
};

const struct assay_plugin *
assay_plugin_entry(const struct assay_plugin_host *given)
{
    host = given;
#ifdef CRASH_ON_LOAD
    crash();
#endif
    return &plugin;
}

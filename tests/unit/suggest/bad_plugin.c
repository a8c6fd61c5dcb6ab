/* A plugin that does everything wrong, one thing per build (-DFAULT=n): what the
 * host must survive. */
#include <stddef.h>
#include <stdio.h>

#include "suggest/plugin.h"

enum {
    RIGHT,
    OTHER_MAJOR,
    SHORT_TABLE,
    NO_SUGGEST,
    BAD_SCHEMA,
    TAKEN_NAME,
    REFUSES,
    OUT_OF_RANGE,
    TOO_MANY,
    BAD_WHY,
    FAILS,
    CRASHES,
    NEWER_MINOR,
    OLDER_MINOR,
};

#ifndef FAULT
#define FAULT RIGHT
#endif

static int32_t
bad_create(const struct assay_plugin_study *study, void **ret_instance, char *error,
           uint64_t error_size)
{
    (void)error, (void)error_size;
    *ret_instance = (void *)(uintptr_t)study->space;
    return ASSAY_PLUGIN_OK;
}

static int32_t
bad_update(void *instance, const struct assay_plugin_trial *const *trials, uint64_t n_trials,
           char *error, uint64_t error_size)
{
    (void)instance, (void)trials, (void)n_trials, (void)error, (void)error_size;
    return ASSAY_PLUGIN_OK;
}

static int32_t
bad_suggest(void *instance, const int64_t *numbers, uint64_t n,
            const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
            char *error, uint64_t error_size)
{
    const struct assay_plugin_space *space = (const struct assay_plugin_space *)instance;
    volatile int *nowhere = NULL;

    (void)numbers;
    for (uint64_t k = 0; k < n; k++)
        for (uint64_t i = 0; i < space->n_parameters; i++)
            suggestions[k]->point[i] = FAULT == OUT_OF_RANGE ? 1e9 : space->parameters[i]->middle;
    *ret_count = FAULT == TOO_MANY ? n + 1 : n;
    if (FAULT == BAD_WHY)
        snprintf(suggestions[0]->why, suggestions[0]->why_size, "not JSON");
    if (FAULT == CRASHES)
        *nowhere = 1;
    if (FAULT == FAILS) {
        snprintf(error, error_size, "no luck today");
        return ASSAY_PLUGIN_ERROR;
    }
    return ASSAY_PLUGIN_OK;
}

static void
bad_destroy(void *instance)
{
    (void)instance;
}

static const struct assay_plugin_algorithm algorithm = {
    .struct_size = sizeof algorithm,
    .name = FAULT == TAKEN_NAME ? "random" : "bad",
    .description = "For tests.",
    .settings_schema =
        FAULT == BAD_SCHEMA
            ? "{\"type\": \"object\", \"properties\": {\"x\": {\"type\": \"blob\"}},"
              " \"additionalProperties\": false}"
            : "{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}",
    .create = bad_create,
    .update = bad_update,
    .suggest = FAULT == NO_SUGGEST ? NULL : bad_suggest,
    .destroy = bad_destroy,
};

static const struct assay_plugin_algorithm *const algorithms[] = {&algorithm};

static const struct assay_plugin plugin = {
    .abi_major = ASSAY_PLUGIN_ABI_MAJOR + (FAULT == OTHER_MAJOR),
    .abi_minor = FAULT == OLDER_MINOR ? 0 : ASSAY_PLUGIN_ABI_MINOR + (FAULT == NEWER_MINOR),
    .struct_size = FAULT == SHORT_TABLE ? 16 : sizeof plugin,
    .name = "bad",
    .version = "0",
    .n_algorithms = 1,
    .algorithms = algorithms,
};

const struct assay_plugin *
assay_plugin_entry(const struct assay_plugin_host *host)
{
    (void)host;
    return FAULT == REFUSES ? NULL : &plugin;
}

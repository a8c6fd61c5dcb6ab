/* Reading the settings of a rule, which the host has checked and filled in. */
#ifndef ASSAY_SUGGEST_RULES_SETTINGS_OF_H
#define ASSAY_SUGGEST_RULES_SETTINGS_OF_H

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "suggest/plugin.h"

/* NULL with an error text when they are no JSON. */
static inline json_t *
assay_rule_settings(const struct assay_plugin_rule_study *study, char *error, uint64_t error_size)
{
    json_t *settings = json_loads(study->settings, 0, NULL);

    if (settings == NULL)
        snprintf(error, error_size, "the settings are not valid JSON");
    return settings;
}

/* NaN when left out. */
static inline double
assay_rule_real(const json_t *settings, const char *name)
{
    const json_t *value = json_object_get(settings, name);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Integers may come written as reals (5.0). */
static inline int64_t
assay_rule_integer(const json_t *settings, const char *name)
{
    const json_t *value = json_object_get(settings, name);

    return json_is_number(value) ? (int64_t)json_number_value(value) : 0;
}

static inline bool
assay_rule_is(const json_t *settings, const char *name, const char *word)
{
    const char *text = json_string_value(json_object_get(settings, name));

    return text != NULL && strcmp(text, word) == 0;
}

static inline bool
assay_rule_flag(const json_t *settings, const char *name)
{
    return json_is_true(json_object_get(settings, name));
}

#endif

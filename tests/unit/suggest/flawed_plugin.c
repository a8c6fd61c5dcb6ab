/* The example plugin with one flaw per algorithm: what the conformance checks must
 * find. */
#define assay_plugin_entry example_entry
#include "examples/plugin-random/plugin_random.c"
#undef assay_plugin_entry

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SUGGEST(name)                                                                        \
    static int32_t name(void *cookie, const int64_t *numbers, uint64_t n,                    \
                        const struct assay_plugin_suggestion *const *suggestions,            \
                        uint64_t *ret_count, char *error, uint64_t error_size)
#define UPDATE(name)                                                                         \
    static int32_t name(void *cookie, const struct assay_plugin_trial *const *trials,        \
                        uint64_t n_trials, char *error, uint64_t error_size)

/* Memory nobody frees. */
static void
leak(size_t bytes)
{
    volatile char *memory = malloc(bytes);

    for (size_t i = 0; i < bytes; i++)
        memory[i] = 1;
}

UPDATE(forget)
{
    (void)cookie, (void)trials, (void)n_trials, (void)error, (void)error_size;
    return ASSAY_PLUGIN_OK;
}

SUGGEST(suggest_otherwise_again)
{
    ((struct instance *)cookie)->seed++;
    return example_suggest(cookie, numbers, n, suggestions, ret_count, error, error_size);
}

UPDATE(update_by_calls)
{
    ((struct instance *)cookie)->seed++;
    return example_update(cookie, trials, n_trials, error, error_size);
}

UPDATE(update_by_order)
{
    struct instance *instance = cookie;

    for (uint64_t k = 0; k < n_trials; k++) {
        if (trials[k]->state != ASSAY_PLUGIN_PENDING)
            instance->seed = 31 * instance->seed + (uint64_t)trials[k]->number;
    }
    return example_update(cookie, trials, n_trials, error, error_size);
}

static uint64_t shared;

UPDATE(update_shared)
{
    for (uint64_t k = 0; k < n_trials; k++)
        shared = shared < (uint64_t)trials[k]->number ? (uint64_t)trials[k]->number : shared;
    ((struct instance *)cookie)->seed = shared;
    return example_update(cookie, trials, n_trials, error, error_size);
}

static int32_t
create_shared(const struct assay_plugin_study *study, void **ret_instance, char *error,
              uint64_t error_size)
{
    shared = 0;
    return example_create(study, ret_instance, error, error_size);
}

SUGGEST(suggest_without_end)
{
    int32_t result =
        example_suggest(cookie, numbers, n, suggestions, ret_count, error, error_size);

    return result == ASSAY_PLUGIN_EXHAUSTED ? ASSAY_PLUGIN_LATER : result;
}

SUGGEST(suggest_few)
{
    if (((struct instance *)cookie)->count >= 10) {
        *ret_count = 0;
        return ASSAY_PLUGIN_EXHAUSTED;
    }
    return example_suggest(cookie, numbers, n, suggestions, ret_count, error, error_size);
}

SUGGEST(suggest_outside)
{
    int32_t result =
        example_suggest(cookie, numbers, n, suggestions, ret_count, error, error_size);

    if (result == ASSAY_PLUGIN_OK && numbers[0] % 20 == 19)
        suggestions[0]->point[0] = 1e9;
    return result;
}

SUGGEST(suggest_deaf)
{
    clock_t end = clock() + 5 * CLOCKS_PER_SEC / 2;

    while (n > 100 && clock() < end)
        continue;
    return example_suggest(cookie, numbers, n, suggestions, ret_count, error, error_size);
}

static void
destroy_nothing(void *cookie)
{
    (void)cookie;
    leak(100000);
}

UPDATE(update_crashing)
{
    volatile int *volatile nowhere = NULL;

    for (uint64_t k = 0; k < n_trials; k++) {
        if (isinf(trials[k]->values[0]))
            *nowhere = 1;
    }
    return example_update(cookie, trials, n_trials, error, error_size);
}

UPDATE(update_looping)
{
    static double last = -1.0;
    static int64_t last_number = 0;
    for (uint64_t k = 0; k < n_trials; k++) {
        if (trials[k]->state != ASSAY_PLUGIN_SUCCEEDED || trials[k]->number <= 3)
            continue;
        while (trials[k]->values[0] == last && trials[k]->number != last_number)
            pause(); /* takes a constant for no progress, and nobody's processor */
        last = trials[k]->values[0];
        last_number = trials[k]->number;
    }
    return example_update(cookie, trials, n_trials, error, error_size);
}

#define SCHEMA "{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}"
#define FLAWED(variable, its_name, ...)                                                      \
    static const struct assay_plugin_algorithm variable = {                                  \
        .struct_size = sizeof variable,                                                      \
        .name = "flawed-" its_name,                                                          \
        .description = "For tests.",                                                         \
        .caps = ASSAY_PLUGIN_CAP_CONDITIONS,                                                 \
        .settings_schema = SCHEMA,                                                           \
        .destroy = example_destroy,                                                          \
        __VA_ARGS__                                                                          \
    }

FLAWED(repeats, "repeats", .create = example_create, .update = forget, .suggest = example_suggest);
FLAWED(again, "again", .create = example_create, .update = example_update,
       .suggest = suggest_otherwise_again);
FLAWED(calls, "calls", .create = example_create, .update = update_by_calls,
       .suggest = example_suggest);
FLAWED(order, "order", .create = example_create, .update = update_by_order,
       .suggest = example_suggest);
FLAWED(global, "shared", .create = create_shared, .update = update_shared,
       .suggest = example_suggest);
FLAWED(endless, "endless", .create = example_create, .update = example_update,
       .suggest = suggest_without_end);
FLAWED(few, "few", .create = example_create, .update = example_update, .suggest = suggest_few);
FLAWED(outside, "outside", .create = example_create, .update = example_update,
       .suggest = suggest_outside);
FLAWED(deaf, "deaf", .create = example_create, .update = example_update,
       .suggest = suggest_deaf);
FLAWED(crashing, "crashing", .create = example_create, .update = update_crashing,
       .suggest = example_suggest);
FLAWED(looping, "looping", .create = example_create, .update = update_looping,
       .suggest = example_suggest);

static const struct assay_plugin_algorithm leaking = {
    .struct_size = sizeof leaking,
    .name = "flawed-leaking",
    .description = "For tests.",
    .settings_schema = SCHEMA,
    .create = example_create,
    .update = example_update,
    .suggest = example_suggest,
    .destroy = destroy_nothing,
};

static const struct assay_plugin_algorithm *const flawed_algorithms[] = {
    &repeats, &again,   &calls, &order,    &global,  &endless,
    &few,     &outside, &deaf,  &crashing, &looping, &leaking};

/* --- rules --- */

static int32_t
rule_create(const struct assay_plugin_rule_study *study, void **ret_instance, char *error,
            uint64_t error_size)
{
    (void)study, (void)error, (void)error_size;
    *ret_instance = host->alloc(1);
    return ASSAY_PLUGIN_OK;
}

static void
report_silent(void *instance, int64_t number, int64_t step, double value,
              struct assay_plugin_decision *decision)
{
    (void)instance, (void)step, (void)value;
    decision->stop = number > 3;
}

static void
report_growing(void *instance, int64_t number, int64_t step, double value,
               struct assay_plugin_decision *decision)
{
    (void)instance, (void)number, (void)step, (void)value, (void)decision;
    leak(64);
}

static void
report_overflowing(void *instance, int64_t number, int64_t step, double value,
                   struct assay_plugin_decision *decision)
{
    (void)instance, (void)step, (void)value;
    if (number < 3)
        return;
    decision->stop = 1;
    memset(decision->sentence, 'x', decision->sentence_size + 4);
}

static void
rule_finish(void *instance, int64_t number, uint32_t state)
{
    (void)instance, (void)number, (void)state;
}

static void
rule_destroy(void *instance)
{
    host->free(instance);
}

#define FLAWED_RULE(variable, its_name, its_report)                                          \
    static const struct assay_plugin_rule variable = {                                       \
        .struct_size = sizeof variable,                                                      \
        .name = "flawed-" its_name,                                                          \
        .description = "For tests.",                                                         \
        .settings_schema = SCHEMA,                                                           \
        .create = rule_create,                                                               \
        .report = its_report,                                                                \
        .finish = rule_finish,                                                               \
        .destroy = rule_destroy,                                                             \
    }

FLAWED_RULE(silent, "silent", report_silent);
FLAWED_RULE(growing, "growing", report_growing);
FLAWED_RULE(overflowing, "overflowing", report_overflowing);

static const struct assay_plugin_rule *const flawed_rules[] = {&silent, &growing, &overflowing};

static const struct assay_plugin flawed = {
    .abi_major = ASSAY_PLUGIN_ABI_MAJOR,
    .abi_minor = ASSAY_PLUGIN_ABI_MINOR,
    .struct_size = sizeof flawed,
    .name = "flawed",
    .version = "1",
    .n_algorithms = sizeof flawed_algorithms / sizeof *flawed_algorithms,
    .algorithms = flawed_algorithms,
    .n_rules = sizeof flawed_rules / sizeof *flawed_rules,
    .rules = flawed_rules,
};

const struct assay_plugin *
assay_plugin_entry(const struct assay_plugin_host *given)
{
    return example_entry(given) != NULL ? &flawed : NULL;
}

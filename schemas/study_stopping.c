/* The section early_stopping of a study file. */
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/decode.h"
#include "schemas/study_internal.h"

struct stopping_file {
    char *name;
    const json_t *settings, *rules;
    int64_t protect_best, checks, warmup_steps;
    double warmup_share;
};

/* The first RULE_FIELDS are those of each rule within any and all too. */
#define RULE_FIELDS 3

static const struct assay_field fields[] = {
    {.key = "name", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED, .min = 1.0,
     .max = 100.0, .offset = offsetof(struct stopping_file, name)},
    {.key = "settings", .kind = ASSAY_FIELD_OBJECT,
     .offset = offsetof(struct stopping_file, settings)},
    {.key = "rules", .kind = ASSAY_FIELD_ARRAY, .offset = offsetof(struct stopping_file, rules)},
    {.key = "protect_best", .kind = ASSAY_FIELD_INT, .max = 1000.0,
     .offset = offsetof(struct stopping_file, protect_best)},
    {.key = "checks", .kind = ASSAY_FIELD_INT, .min = 1.0, .max = 1000.0,
     .offset = offsetof(struct stopping_file, checks)},
    {.key = "warmup_steps", .kind = ASSAY_FIELD_INT, .max = 1e15,
     .offset = offsetof(struct stopping_file, warmup_steps)},
    {.key = "warmup_share", .kind = ASSAY_FIELD_REAL, .max = 1.0,
     .offset = offsetof(struct stopping_file, warmup_share)},
};

static void decode(const json_t *json, const char *pointer, int depth,
                   struct assay_stopping_choice *choice, struct assay_faults *faults);

static void
decode_rules(const struct stopping_file *file, const char *pointer, int depth,
             struct assay_stopping_choice *choice, struct assay_faults *faults)
{
    assay_auto_free char *at = assay_pointer_key(pointer, "rules");
    bool joins = strcmp(file->name, "any") == 0 || strcmp(file->name, "all") == 0;
    size_t n = json_array_size(file->rules);

    if (!joins) {
        if (file->rules != NULL)
            assay_fault_add(faults, at, NULL, "rules only with the name any or all",
                            "%s is one rule and takes no others", file->name);
        return;
    }
    if (n < 1 || n > ASSAY_STOPPING_RULES_MAX || depth == ASSAY_STOPPING_DEPTH_MAX) {
        assay_fault_add(faults, at, NULL, "1 to 8 rules, 3 deep",
                        n < 1                             ? "%s needs rules to join"
                        : n > ASSAY_STOPPING_RULES_MAX ? "%s joins too many rules"
                                                       : "%s is too deep",
                        file->name);
        return;
    }
    if (json_object_size(file->settings) > 0) {
        assay_auto_free char *settings = assay_pointer_key(pointer, "settings");

        assay_fault_add(faults, settings, NULL, "no settings", "%s takes no settings", file->name);
    }
    choice->rules = assay_zalloc(n, sizeof *choice->rules);
    choice->n_rules = n;
    for (size_t i = 0; i < n; i++) {
        assay_auto_free char *item = assay_pointer_index(at, i);

        decode(json_array_get(file->rules, i), item, depth + 1, &choice->rules[i], faults);
    }
}

static void
decode(const json_t *json, const char *pointer, int depth, struct assay_stopping_choice *choice,
       struct assay_faults *faults)
{
    struct stopping_file file = {.checks = 1};

    assay_decode_object(json, pointer, fields, depth == 1 ? ASSAY_COUNT(fields) : RULE_FIELDS,
                        &file, faults);
    choice->name = file.name;
    choice->settings = file.settings != NULL ? json_deep_copy(file.settings) : json_object();
    choice->protect_best = file.protect_best;
    choice->checks = file.checks;
    choice->warmup_steps = file.warmup_steps;
    choice->warmup_share = file.warmup_share;
    if (file.name != NULL)
        decode_rules(&file, pointer, depth, choice, faults);
}

void
assay__stopping_decode(const json_t *json, struct assay_stopping_choice *choice,
                       struct assay_faults *faults)
{
    if (json != NULL)
        decode(json, "/early_stopping", 1, choice, faults);
}

json_t *
assay__stopping_encode(const struct assay_stopping_choice *choice)
{
    json_t *json = json_pack("{s:s, s:O}", "name", choice->name, "settings", choice->settings);
    json_t *rules;

    if (choice->n_rules > 0) {
        rules = json_array();
        for (size_t i = 0; i < choice->n_rules; i++)
            json_array_append_new(rules, assay__stopping_encode(&choice->rules[i]));
        json_object_set_new(json, "rules", rules);
    }
    if (choice->protect_best != 0)
        json_object_set_new(json, "protect_best", json_integer(choice->protect_best));
    if (choice->checks > 1)
        json_object_set_new(json, "checks", json_integer(choice->checks));
    if (choice->warmup_steps != 0)
        json_object_set_new(json, "warmup_steps", json_integer(choice->warmup_steps));
    if (choice->warmup_share > 0.0)
        json_object_set_new(json, "warmup_share", assay_json_number(choice->warmup_share));
    return json;
}

void
assay__stopping_done(struct assay_stopping_choice *choice)
{
    for (size_t i = 0; i < choice->n_rules; i++)
        assay__stopping_done(&choice->rules[i]);
    free(choice->rules);
    free(choice->name);
    json_decref(choice->settings);
}

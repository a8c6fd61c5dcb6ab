#include "schemas/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "common/random.h"
#include "schemas/decode.h"
#include "schemas/point.h"
#include "schemas/study_internal.h"

#define START_WITH_MAX 1000
#define WARM_START_MAX 100
#define BUDGET_MAX 1e15
/* A seed we draw is exact in every JSON reader, and short enough to type. */
#define SEED_BITS 31

/* The file's sections; NULL: not given. */
struct study_file {
    char *name, *project;
    const json_t *objective, *objectives, *constraints, *parameters, *algorithm, *early_stopping,
        *budget, *limits, *start_with, *warm_start, *trial, *origin;
    int64_t seed, lease_us;
};

#define SECTION(member, field_kind) \
    {.key = #member, .kind = field_kind, .offset = offsetof(struct study_file, member)}

static const struct assay_field study_fields[] = {
    {.key = "name", .kind = ASSAY_FIELD_NAME, .offset = offsetof(struct study_file, name)},
    {.key = "project", .kind = ASSAY_FIELD_NAME, .offset = offsetof(struct study_file, project)},
    SECTION(objective, ASSAY_FIELD_ANY),
    SECTION(objectives, ASSAY_FIELD_ANY),
    SECTION(constraints, ASSAY_FIELD_ARRAY),
    {.key = "parameters", .kind = ASSAY_FIELD_ARRAY, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct study_file, parameters)},
    SECTION(algorithm, ASSAY_FIELD_OBJECT),
    SECTION(early_stopping, ASSAY_FIELD_OBJECT),
    SECTION(budget, ASSAY_FIELD_OBJECT),
    SECTION(limits, ASSAY_FIELD_OBJECT),
    SECTION(start_with, ASSAY_FIELD_ARRAY),
    SECTION(warm_start, ASSAY_FIELD_ARRAY),
    {.key = "seed", .kind = ASSAY_FIELD_INT, .max = 9223372036854774784.0,
     .offset = offsetof(struct study_file, seed)},
    {.key = "lease", .kind = ASSAY_FIELD_DURATION, .min = 1e6, .max = 7 * 86400e6,
     .offset = offsetof(struct study_file, lease_us)},
    SECTION(trial, ASSAY_FIELD_OBJECT),
    SECTION(origin, ASSAY_FIELD_OBJECT),
};

const char *
assay_goal_name(enum assay_goal goal)
{
    ASSAY_ASSERT((size_t)goal <= ASSAY_GOAL_MAXIMIZE);
    return assay__goals[goal];
}

/* --- sections --- */

struct choice_file {
    char *name;
    const json_t *settings;
};

static const struct assay_field choice_fields[] = {
    {.key = "name", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED, .min = 1.0,
     .max = 100.0, .offset = offsetof(struct choice_file, name)},
    {.key = "settings", .kind = ASSAY_FIELD_OBJECT,
     .offset = offsetof(struct choice_file, settings)},
};

static void
decode_choice(const json_t *json, const char *pointer, const char *default_name,
              struct assay_choice *choice, struct assay_faults *faults)
{
    struct choice_file file = {0};

    if (json != NULL)
        assay_decode_object(json, pointer, choice_fields, ASSAY_COUNT(choice_fields), &file,
                            faults);
    else
        file.name = assay_strdup(default_name);
    choice->name = file.name;
    choice->settings = file.settings != NULL ? json_deep_copy(file.settings) : json_object();
}

static const struct assay_field budget_fields[] = {
    {.key = "name", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED, .min = 1.0,
     .max = 100.0, .offset = offsetof(struct assay_budget, name)},
    {.key = "min", .kind = ASSAY_FIELD_REAL, .flags = ASSAY_FIELD_ABOVE_MIN, .max = BUDGET_MAX,
     .offset = offsetof(struct assay_budget, min)},
    {.key = "max", .kind = ASSAY_FIELD_REAL, .flags = ASSAY_FIELD_REQUIRED | ASSAY_FIELD_ABOVE_MIN,
     .max = BUDGET_MAX, .offset = offsetof(struct assay_budget, max)},
    {.key = "eta", .kind = ASSAY_FIELD_REAL, .flags = ASSAY_FIELD_ABOVE_MIN, .min = 1.0,
     .max = 1000.0, .offset = offsetof(struct assay_budget, eta)},
};

static void
decode_budget(const json_t *json, struct assay_budget *budget, struct assay_faults *faults)
{
    *budget = (struct assay_budget){.min = 1.0, .max = NAN, .eta = 3.0};
    if (json == NULL)
        return;
    assay_decode_object(json, "/budget", budget_fields, ASSAY_COUNT(budget_fields), budget,
                        faults);
    if (budget->min > budget->max) {
        char max[ASSAY_DOUBLE_TEXT];
        assay_auto_free char *allowed = NULL;
        json_auto_t *found = assay_json_number(budget->min);

        assay_print_double(budget->max, max);
        allowed = assay_format("at most max (%s)", max);
        assay_fault_add(faults, "/budget/min", found, allowed, "min must be less than max");
    }
}

static void
decode_start_with(const json_t *json, struct assay_study_spec *spec, struct assay_faults *faults)
{
    size_t n = json_array_size(json);

    if (n > START_WITH_MAX) {
        assay_fault_add(faults, "/start_with", NULL, "at most 1000 points",
                        "there are too many points");
        return;
    }
    if (spec->space == NULL || n == 0)
        return;
    spec->start_with = assay_zalloc(n, sizeof *spec->start_with);
    for (size_t i = 0; i < n; i++) {
        assay_auto_free char *at = assay_pointer_index("/start_with", i);
        double *point = assay_alloc(spec->space->n_parameters, sizeof *point);

        if (assay_point_decode_part(spec->space, json_array_get(json, i), at, faults, point))
            spec->start_with[spec->n_start_with++] = point;
        else
            free(point);
    }
}

struct source_file {
    char *study, *project;
    bool try_best;
};

static const struct assay_field source_fields[] = {
    {.key = "study", .kind = ASSAY_FIELD_NAME, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct source_file, study)},
    {.key = "project", .kind = ASSAY_FIELD_NAME, .offset = offsetof(struct source_file, project)},
    {.key = "try_best", .kind = ASSAY_FIELD_BOOL, .offset = offsetof(struct source_file, try_best)},
};

static void
decode_warm_start(const json_t *json, struct assay_study_spec *spec, struct assay_faults *faults)
{
    spec->warm_start = json != NULL ? json_deep_copy(json) : json_array();
    if (json_array_size(json) > WARM_START_MAX)
        assay_fault_add(faults, "/warm_start", NULL, "at most 100 studies",
                        "there are too many studies");
    for (size_t i = 0; i < ASSAY_MIN(json_array_size(json), (size_t)WARM_START_MAX); i++) {
        assay_auto_free char *at = assay_pointer_index("/warm_start", i);
        struct source_file file = {0};

        assay_decode_object(json_array_get(json, i), at, source_fields, ASSAY_COUNT(source_fields),
                            &file, faults);
        free(file.study);
        free(file.project);
    }
}

struct origin_file {
    int kind;
    const json_t *document;
};

static void
decode_origin(const json_t *json, struct assay_study_spec *spec, struct assay_faults *faults)
{
    static const char *const systems[] = {"katib", NULL};
    static const struct assay_field fields[] = {
        {.key = "system", .kind = ASSAY_FIELD_ENUM, .flags = ASSAY_FIELD_REQUIRED,
         .names = systems, .offset = offsetof(struct origin_file, kind)},
        {.key = "document", .kind = ASSAY_FIELD_OBJECT, .flags = ASSAY_FIELD_REQUIRED,
         .offset = offsetof(struct origin_file, document)},
    };
    struct origin_file file = {0};

    if (json == NULL)
        return;
    assay_decode_object(json, "/origin", fields, ASSAY_COUNT(fields), &file, faults);
    spec->origin = json_deep_copy(json);
}

/* --- checks across sections --- */

/* "study-" and eight letters and digits that are not mistaken for each other. */
static char *
fresh_name(void)
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789";
    uint64_t seed = assay_random_seed();
    char name[] = "study-xxxxxxxx";

    for (size_t i = 6; name[i] != '\0'; i++) {
        name[i] = letters[seed % (sizeof letters - 1)];
        seed /= sizeof letters - 1;
    }
    return assay_strdup(name);
}

static void
check_project(struct assay_study_spec *spec, const char *project, struct assay_faults *faults)
{
    if (spec->project == NULL) {
        spec->project = assay_strdup(project != NULL ? project : "default");
    } else if (project != NULL && strcmp(spec->project, project) != 0) {
        json_auto_t *found = json_string(spec->project);

        assay_fault_add(faults, "/project", found, project, "the study is submitted to project %s",
                        project);
    }
}

/* A grid takes every value of these; from the other ranges it takes as many as
 * its settings say, which its own check counts. */
static bool
grid_takes_all(const struct assay_parameter *parameter)
{
    return !isinf(assay_parameter_cardinality(parameter)) &&
           (parameter->type != ASSAY_PARAMETER_INT || parameter->scale == ASSAY_SCALE_LINEAR);
}

static void
check_grid(const struct assay_study_spec *spec, struct assay_faults *faults)
{
    assay_auto_free char *allowed = NULL;
    json_auto_t *found = NULL;
    char text[ASSAY_DOUBLE_TEXT];
    double points;

    if (spec->space == NULL || spec->limits.trials == 0 || spec->algorithm.name == NULL ||
        strcmp(spec->algorithm.name, "grid") != 0 ||
        json_is_true(json_object_get(spec->algorithm.settings, "partial")))
        return;
    for (size_t i = 0; i < spec->space->n_parameters; i++) {
        if (!grid_takes_all(&spec->space->parameters[i]))
            return;
    }
    points = assay_space_cardinality(spec->space);
    if (points <= (double)spec->limits.trials)
        return;
    found = json_integer(spec->limits.trials);
    if (isinf(points)) {
        assay_fault_add(faults, "/limits/trials", found, NULL,
                        "the grid has too many points to count");
        return;
    }
    assay_print_double(points, text);
    allowed = assay_format("at least %s, or no limit", text);
    assay_fault_add(faults, "/limits/trials", found, allowed,
                    "the grid has %s points, more than limits.trials", text);
}

/* Names that ${…} can take, from the file as it stands: a parameter with a fault
 * is declared all the same. */
static json_t *
declared_names(const json_t *parameters, bool has_budget, struct assay_faults *faults)
{
    static const char *const own[] = {"trial", "study", "attempt", "budget"};
    json_t *names = json_object();

    for (size_t i = 0; i < ASSAY_COUNT(own); i++)
        json_object_set_new(names, own[i], json_true());
    for (size_t i = 0; i < json_array_size(parameters); i++) {
        const json_t *name = json_object_get(json_array_get(parameters, i), "name");

        if (!json_is_string(name))
            continue;
        for (size_t j = 0; j < ASSAY_COUNT(own); j++) {
            if (strcmp(json_string_value(name), own[j]) == 0) {
                assay_auto_free char *at = assay_format("/parameters/%zu/name", i);

                assay_fault_add(faults, at, name, NULL, "${%s} has a meaning of its own", own[j]);
            }
        }
        json_object_set_new(names, json_string_value(name), json_true());
    }
    if (!has_budget)
        json_object_del(names, "budget");
    return names;
}

static void
decode_trial(const struct study_file *file, struct assay_study_spec *spec,
             struct assay_faults *faults)
{
    json_auto_t *names = NULL;

    if (file->trial == NULL)
        return;
    spec->trial = assay__trial_spec_decode(file->trial, faults);
    names = declared_names(file->parameters, file->budget != NULL, faults);
    assay__trial_spec_check_references(spec->trial, names, faults);
    if (spec->space != NULL)
        assay__check_variables(spec->space, faults);
}

static void
run_checks(const struct assay_study_spec *spec, const struct assay_study_checks *checks,
           struct assay_faults *faults)
{
    if (checks == NULL)
        return;
    if (checks->algorithm != NULL && spec->algorithm.name != NULL)
        checks->algorithm(spec, "/algorithm", faults);
    if (checks->stopping_rule != NULL && spec->early_stopping.name != NULL)
        checks->stopping_rule(spec, "/early_stopping", faults);
}

/* --- the whole file --- */

static json_t *
encode_choice(const struct assay_choice *choice)
{
    return json_pack("{s:s, s:O}", "name", choice->name, "settings", choice->settings);
}

static json_t *
encode_budget(const struct assay_budget *budget)
{
    return json_pack("{s:s, s:o, s:o, s:o}", "name", budget->name, "min",
                     assay_json_number(budget->min), "max", assay_json_number(budget->max), "eta",
                     assay_json_number(budget->eta));
}

static json_t *
encode_start_with(const struct assay_study_spec *spec)
{
    json_t *list = json_array();

    for (size_t i = 0; i < spec->n_start_with; i++)
        json_array_append_new(list, assay_point_encode(spec->space, spec->start_with[i]));
    return list;
}

static json_t *
encode_study(const struct assay_study_spec *spec)
{
    json_t *json = json_object();

    json_object_set_new(json, "name", json_string(spec->name));
    json_object_set_new(json, "project", json_string(spec->project));
    json_object_set_new(json, "objectives", assay__objectives_encode(spec));
    if (spec->n_constraints > 0)
        json_object_set_new(json, "constraints", assay__constraints_encode(spec));
    json_object_set_new(json, "parameters", assay_space_encode(spec->space));
    json_object_set_new(json, "algorithm", encode_choice(&spec->algorithm));
    if (spec->early_stopping.name != NULL)
        json_object_set_new(json, "early_stopping",
                            assay__stopping_encode(&spec->early_stopping));
    if (spec->budget.name != NULL)
        json_object_set_new(json, "budget", encode_budget(&spec->budget));
    json_object_set_new(json, "limits", assay_limits_encode(&spec->limits, spec->trial != NULL));
    if (spec->n_start_with > 0)
        json_object_set_new(json, "start_with", encode_start_with(spec));
    if (json_array_size(spec->warm_start) > 0)
        json_object_set(json, "warm_start", spec->warm_start);
    json_object_set_new(json, "seed", json_integer((json_int_t)spec->seed));
    json_object_set_new(json, "lease", assay_json_duration(spec->lease_us));
    if (spec->trial != NULL)
        json_object_set_new(json, "trial", assay__trial_spec_encode(spec->trial));
    if (spec->origin != NULL)
        json_object_set(json, "origin", spec->origin);
    return json;
}

struct assay_study_spec *
assay_study_decode(const json_t *json, const char *project,
                   const struct assay_study_checks *checks, struct assay_faults *faults)
{
    struct study_file file = {.seed = -1, .lease_us = 5 * 60 * INT64_C(1000000)};
    struct assay_study_spec *spec;
    size_t before = faults->count;

    if (!json_is_object(json)) {
        assay_fault_type(faults, "", json, "an object");
        return NULL;
    }
    spec = ASSAY_NEW(struct assay_study_spec);
    assay_decode_object(json, "", study_fields, ASSAY_COUNT(study_fields), &file, faults);
    spec->name = file.name != NULL ? file.name : fresh_name();
    spec->project = file.project;
    check_project(spec, project, faults);
    assay__objectives_decode(file.objective, file.objectives, spec, faults);
    assay__constraints_decode(file.constraints, spec, faults);
    if (file.parameters != NULL)
        spec->space = assay_space_decode(file.parameters, "/parameters", faults);
    decode_choice(file.algorithm, "/algorithm", "auto", &spec->algorithm, faults);
    assay__stopping_decode(file.early_stopping, &spec->early_stopping, faults);
    decode_budget(file.budget, &spec->budget, faults);
    assay__limits_decode(file.limits, "/limits", file.trial != NULL, &spec->limits, faults);
    decode_start_with(file.start_with, spec, faults);
    decode_warm_start(file.warm_start, spec, faults);
    spec->has_seed = file.seed >= 0;
    spec->seed = spec->has_seed ? (uint64_t)file.seed : assay_random_seed() >> (64 - SEED_BITS);
    spec->lease_us = file.lease_us;
    decode_trial(&file, spec, faults);
    decode_origin(file.origin, spec, faults);
    check_grid(spec, faults);
    run_checks(spec, checks, faults);
    if (faults->count != before)
        return assay_study_free(spec);
    spec->document = encode_study(spec);
    return spec;
}

struct assay_study_spec *
assay_study_free(struct assay_study_spec *spec)
{
    if (spec == NULL)
        return NULL;
    free(spec->name);
    free(spec->project);
    for (size_t i = 0; i < spec->n_objectives; i++)
        free(spec->objectives[i].metric);
    free(spec->objectives);
    for (size_t i = 0; i < spec->n_constraints; i++)
        free(spec->constraints[i].metric);
    free(spec->constraints);
    assay_space_free(spec->space);
    free(spec->algorithm.name);
    json_decref(spec->algorithm.settings);
    assay__stopping_done(&spec->early_stopping);
    free(spec->budget.name);
    for (size_t i = 0; i < spec->n_start_with; i++)
        free(spec->start_with[i]);
    free(spec->start_with);
    json_decref(spec->warm_start);
    assay__trial_spec_free(spec->trial);
    json_decref(spec->origin);
    json_decref(spec->document);
    free(spec);
    return NULL;
}

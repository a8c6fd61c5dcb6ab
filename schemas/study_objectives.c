#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/decode.h"
#include "schemas/study_internal.h"

#define OBJECTIVES_MAX 16
#define CONSTRAINTS_MAX 100

const char *const assay__goals[] = {"minimize", "maximize", NULL};

static const char *const summaries[] = {"last", "min", "max", NULL};

static const struct assay_field objective_fields[] = {
    {.key = "metric", .kind = ASSAY_FIELD_METRIC, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct assay_objective, metric)},
    {.key = "goal", .kind = ASSAY_FIELD_ENUM, .flags = ASSAY_FIELD_REQUIRED,
     .names = assay__goals, .offset = offsetof(struct assay_objective, goal)},
    {.key = "target", .kind = ASSAY_FIELD_REAL,
     .offset = offsetof(struct assay_objective, target)},
    {.key = "summary", .kind = ASSAY_FIELD_ENUM, .names = summaries,
     .offset = offsetof(struct assay_objective, summary)},
};

bool
assay_summary_takes(enum assay_summary summary, double old, double value)
{
    if (summary == ASSAY_SUMMARY_LAST || !isfinite(old))
        return summary == ASSAY_SUMMARY_LAST || isfinite(value);
    return isfinite(value) && (summary == ASSAY_SUMMARY_MIN ? value < old : value > old);
}

static const struct assay_field constraint_fields[] = {
    {.key = "metric", .kind = ASSAY_FIELD_METRIC, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct assay_constraint, metric)},
    {.key = "min", .kind = ASSAY_FIELD_REAL, .offset = offsetof(struct assay_constraint, min)},
    {.key = "max", .kind = ASSAY_FIELD_REAL, .offset = offsetof(struct assay_constraint, max)},
};

static void
add_objective(const json_t *json, const char *pointer, struct assay_study_spec *spec,
              struct assay_faults *faults)
{
    struct assay_objective *objective = &spec->objectives[spec->n_objectives];

    objective->target = NAN;
    assay_decode_object(json, pointer, objective_fields, ASSAY_COUNT(objective_fields), objective,
                        faults);
    if (objective->metric == NULL)
        return;
    for (size_t i = 0; i < spec->n_objectives; i++) {
        if (strcmp(spec->objectives[i].metric, objective->metric) == 0) {
            assay_auto_free char *at = assay_pointer_key(pointer, "metric");

            assay_fault_add(faults, at, json_object_get(json, "metric"), NULL,
                            "objective %zu has this metric already", i);
            break;
        }
    }
    spec->n_objectives++;
}

void
assay__objectives_decode(const json_t *objective, const json_t *objectives,
                         struct assay_study_spec *spec, struct assay_faults *faults)
{
    size_t n = json_array_size(objectives);

    if (objective != NULL && objectives != NULL) {
        assay_fault_add(faults, "/objectives", NULL, "either objective or objectives",
                        "both objective and objectives are given");
        return;
    }
    if (objective == NULL && objectives == NULL) {
        assay_fault_add(faults, "/objective", NULL,
                        "an object such as {metric: loss, goal: minimize}",
                        "objective is missing");
        return;
    }
    if (objective != NULL) {
        spec->objectives = ASSAY_NEW(struct assay_objective);
        add_objective(objective, "/objective", spec, faults);
        return;
    }
    if (!json_is_array(objectives)) {
        assay_fault_type(faults, "/objectives", objectives, "an array of objectives");
        return;
    }
    if (n == 0 || n > OBJECTIVES_MAX) {
        assay_fault_add(faults, "/objectives", NULL, "1 to 16 objectives",
                        n == 0 ? "there are no objectives" : "there are too many objectives");
        return;
    }
    spec->objectives = assay_zalloc(n, sizeof *spec->objectives);
    for (size_t i = 0; i < n; i++) {
        assay_auto_free char *at = assay_pointer_index("/objectives", i);

        add_objective(json_array_get(objectives, i), at, spec, faults);
    }
}

static void
add_constraint(const json_t *json, const char *pointer, struct assay_study_spec *spec,
               struct assay_faults *faults)
{
    struct assay_constraint *constraint = &spec->constraints[spec->n_constraints];

    constraint->min = -INFINITY;
    constraint->max = INFINITY;
    if (assay_decode_object(json, pointer, constraint_fields, ASSAY_COUNT(constraint_fields),
                            constraint, faults)) {
        if (isinf(constraint->min) && isinf(constraint->max))
            assay_fault_add(faults, pointer, json, "min, max or both",
                            "a constraint needs a bound");
        else if (constraint->min > constraint->max)
            assay_fault_add(faults, pointer, json, NULL, "min must not be greater than max");
    }
    if (constraint->metric != NULL)
        spec->n_constraints++;
}

void
assay__constraints_decode(const json_t *constraints, struct assay_study_spec *spec,
                          struct assay_faults *faults)
{
    size_t n = json_array_size(constraints);

    if (n > CONSTRAINTS_MAX) {
        assay_fault_add(faults, "/constraints", NULL, "at most 100 constraints",
                        "there are too many constraints");
        return;
    }
    spec->constraints = assay_zalloc(n, sizeof *spec->constraints);
    for (size_t i = 0; i < n; i++) {
        assay_auto_free char *at = assay_pointer_index("/constraints", i);

        add_constraint(json_array_get(constraints, i), at, spec, faults);
    }
}

json_t *
assay__objectives_encode(const struct assay_study_spec *spec)
{
    json_t *list = json_array();

    for (size_t i = 0; i < spec->n_objectives; i++) {
        const struct assay_objective *objective = &spec->objectives[i];
        json_t *json = json_pack("{s:s, s:s}", "metric", objective->metric, "goal",
                                 assay__goals[objective->goal]);

        if (!isnan(objective->target))
            json_object_set_new(json, "target", json_real(objective->target));
        if (objective->summary != ASSAY_SUMMARY_LAST)
            json_object_set_new(json, "summary", json_string(summaries[objective->summary]));
        json_array_append_new(list, json);
    }
    return list;
}

json_t *
assay__constraints_encode(const struct assay_study_spec *spec)
{
    json_t *list = json_array();

    for (size_t i = 0; i < spec->n_constraints; i++) {
        const struct assay_constraint *constraint = &spec->constraints[i];
        json_t *json = json_pack("{s:s}", "metric", constraint->metric);

        if (!isinf(constraint->min))
            json_object_set_new(json, "min", json_real(constraint->min));
        if (!isinf(constraint->max))
            json_object_set_new(json, "max", json_real(constraint->max));
        json_array_append_new(list, json);
    }
    return list;
}

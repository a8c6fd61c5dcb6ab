#include "suggest/view.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

struct assay_view {
    struct assay_plugin_space base; /* first: a pointer to it is a pointer to the view */
    const struct assay_space *space;
    struct assay_plugin_parameter *parameters;
    const struct assay_plugin_parameter **parameter_pointers;
    struct assay_plugin_condition *conditions;
    const struct assay_plugin_condition **condition_pointers;
    uint64_t *order;
};

/* The figures stand in schemas/study.schema.yaml. */
static void
show_prior(const struct assay_parameter *from, struct assay_plugin_parameter *shown)
{
    static const double spreads[] = {0.5, 0.25, 0.125}, weights[] = {2.0, 4.0, 8.0};
    bool ordered = from->type != ASSAY_PARAMETER_CATEGORICAL && from->type != ASSAY_PARAMETER_BOOL;

    shown->prior_value = from->prior_value;
    shown->prior_spread = shown->prior_weight = NAN;
    if (!isnan(from->prior_value) && ordered)
        shown->prior_spread = spreads[from->prior_confidence];
    else if (!isnan(from->prior_value))
        shown->prior_weight = weights[from->prior_confidence];
}

static struct assay_plugin_parameter
show_parameter(const struct assay_parameter *from)
{
    struct assay_plugin_parameter shown = {
        .name = from->name,
        .type = (uint32_t)from->type,
        .scale = (uint32_t)from->scale,
        .min = from->min,
        .max = from->max,
        .step = from->step,
        .cardinality = assay_parameter_cardinality(from),
        .middle = assay_parameter_middle(from),
        .numbers = from->numbers,
        .n_conditions = from->n_conditions,
    };

    if (from->n_choices > 0) {
        shown.scale = ASSAY_PLUGIN_LINEAR;
        shown.min = 0.0;
        shown.max = (double)(from->n_choices - 1);
        shown.step = 1.0;
    } else if (from->type == ASSAY_PARAMETER_INT && from->step <= 0.0) {
        shown.step = 1.0;
    }
    show_prior(from, &shown);
    return shown;
}

struct assay_view *
assay_view_new(const struct assay_space *space)
{
    struct assay_view *view = ASSAY_NEW(struct assay_view);
    size_t n = space->n_parameters, n_conditions = 0, next = 0;

    for (size_t i = 0; i < n; i++)
        n_conditions += space->parameters[i].n_conditions;
    view->space = space;
    view->parameters = assay_zalloc(n + 1, sizeof *view->parameters);
    view->parameter_pointers = assay_zalloc(n + 1, sizeof *view->parameter_pointers);
    view->conditions = assay_zalloc(n_conditions + 1, sizeof *view->conditions);
    view->condition_pointers = assay_zalloc(n_conditions + 1, sizeof *view->condition_pointers);
    view->order = assay_zalloc(n + 1, sizeof *view->order);
    for (size_t i = 0; i < n; i++) {
        const struct assay_parameter *from = &space->parameters[i];

        view->parameters[i] = show_parameter(from);
        view->parameters[i].conditions = &view->condition_pointers[next];
        for (size_t k = 0; k < from->n_conditions; k++, next++) {
            view->conditions[next] = (struct assay_plugin_condition){
                .parent = from->conditions[k].parent,
                .values = from->conditions[k].n_values > 0 ? from->conditions[k].values : NULL,
                .n_values = from->conditions[k].n_values,
                .min = from->conditions[k].min,
                .max = from->conditions[k].max,
            };
            view->condition_pointers[next] = &view->conditions[next];
        }
        view->parameter_pointers[i] = &view->parameters[i];
        view->order[i] = space->order[i];
    }
    view->base = (struct assay_plugin_space){
        .n_parameters = n,
        .parameters = view->parameter_pointers,
        .order = view->order,
        .cardinality = assay_space_cardinality(space),
    };
    return view;
}

struct assay_view *
assay_view_free(struct assay_view *view)
{
    if (view == NULL)
        return NULL;
    free(view->parameters);
    free(view->parameter_pointers);
    free(view->conditions);
    free(view->condition_pointers);
    free(view->order);
    free(view);
    return NULL;
}

const struct assay_plugin_space *
assay_view_space(const struct assay_view *view)
{
    return &view->base;
}

double
assay_view_snap(const struct assay_plugin_space *space, size_t i, double value)
{
    const struct assay_view *view = (const struct assay_view *)space;

    return assay_parameter_snap(&view->space->parameters[i], value);
}

bool
assay_view_condition_holds(const struct assay_plugin_condition *condition, double parent_value)
{
    if (condition->n_values == 0)
        return parent_value >= condition->min && parent_value <= condition->max;
    for (size_t k = 0; k < condition->n_values; k++) {
        if (parent_value == condition->values[k])
            return true;
    }
    return false;
}

bool
assay_view_active(const struct assay_plugin_space *space, const double *point, size_t i)
{
    const struct assay_plugin_parameter *parameter = space->parameters[i];

    for (size_t k = 0; k < parameter->n_conditions; k++) {
        const struct assay_plugin_condition *condition = parameter->conditions[k];

        if (!assay_view_condition_holds(condition, point[condition->parent]))
            return false;
    }
    return true;
}

bool
assay_view_equal(const struct assay_plugin_space *space, const double *a, const double *b)
{
    for (size_t i = 0; i < space->n_parameters; i++) {
        if (!(a[i] == b[i] || (isnan(a[i]) && isnan(b[i]))))
            return false;
    }
    return true;
}

uint64_t
assay_view_hash(const struct assay_plugin_space *space, const double *point)
{
    uint64_t hash = space->n_parameters;

    for (size_t i = 0; i < space->n_parameters; i++) {
        double value = point[i] + 0.0; /* -0 hashes as 0 */
        uint64_t bits;

        memcpy(&bits, &value, sizeof bits);
        if (isnan(value))
            bits = UINT64_MAX;
        /* The finaliser of SplitMix64 (Steele, Lea, Flood 2014) between the items. */
        hash = (hash ^ bits) + UINT64_C(0x9E3779B97F4A7C15);
        hash = (hash ^ hash >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        hash = (hash ^ hash >> 27) * UINT64_C(0x94D049BB133111EB);
        hash ^= hash >> 31;
    }
    return hash;
}

assay_status
assay_view_check(const struct assay_plugin_space *space, const double *point,
                 struct assay_error *err)
{
    for (size_t k = 0; k < space->n_parameters; k++) {
        size_t i = space->order[k];
        const struct assay_plugin_parameter *parameter = space->parameters[i];
        double value = point[i];

        if (!assay_view_active(space, point, i)) {
            if (!isnan(value))
                return assay_fail(err, ASSAY_E_INVALID_VALUE,
                                  "parameter %s is %g where its condition does not hold",
                                  parameter->name, value);
            continue;
        }
        if (!(value >= parameter->min && value <= parameter->max))
            return assay_fail(err, ASSAY_E_INVALID_VALUE, "parameter %s is %g, outside of %g to %g",
                              parameter->name, value, parameter->min, parameter->max);
        if (parameter->step > 0.0 && assay_view_snap(space, i, value) != value)
            return assay_fail(err, ASSAY_E_INVALID_VALUE,
                              "parameter %s is %.17g, which is not on its step of %g",
                              parameter->name, value, parameter->step);
    }
    return ASSAY_OK;
}

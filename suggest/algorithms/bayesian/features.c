#include "suggest/algorithms/bayesian/features.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/random.h"

#define TYPICAL_DRAWS 64
/* Columns of one parameter at most, and of all together about. */
#define CHOICE_COLUMNS_MAX 64
#define COLUMNS_AIM 2048

static bool
same_condition(const struct assay_plugin_condition *a, const struct assay_plugin_condition *b)
{
    if (a->parent != b->parent || a->n_values != b->n_values)
        return false;
    if (a->n_values == 0)
        return a->min == b->min && a->max == b->max;
    for (size_t k = 0; k < a->n_values; k++) {
        if (a->values[k] != b->values[k])
            return false;
    }
    return true;
}

static bool
same_conditions(const struct assay_plugin_parameter *a, const struct assay_plugin_parameter *b)
{
    if (a->n_conditions != b->n_conditions)
        return false;
    for (size_t k = 0; k < a->n_conditions; k++) {
        if (!same_condition(a->conditions[k], b->conditions[k]))
            return false;
    }
    return true;
}

static void
add_set(struct assay_gp_features *features, size_t parameter)
{
    const struct assay_plugin_parameter *const *parameters = features->transform->space->parameters;

    if (parameters[parameter]->n_conditions == 0)
        return;
    for (size_t k = 0; k < features->n_sets; k++) {
        if (same_conditions(parameters[features->sets[k]], parameters[parameter]))
            return;
    }
    features->sets[features->n_sets++] = parameter;
}

static size_t
choice_columns(const struct assay_transform *transform)
{
    size_t each = COLUMNS_AIM / ASSAY_MAX(transform->n_dimensions, (size_t)1);

    return ASSAY_MIN(ASSAY_MAX(each, (size_t)4), (size_t)CHOICE_COLUMNS_MAX);
}

static struct assay_gp_dimension
dimension_of(const struct assay_transform *transform, size_t i, size_t first)
{
    const struct assay_plugin_space *space = transform->space;
    const struct assay_plugin_parameter *parameter = space->parameters[i];
    struct assay_gp_dimension dimension = {
        .kind = ASSAY_GP_CONTINUOUS,
        .parameter = i,
        .first = first,
        .count = 1,
        .values = parameter->cardinality,
    };

    if (parameter->type == ASSAY_PLUGIN_CATEGORICAL || parameter->type == ASSAY_PLUGIN_BOOL) {
        dimension.kind = ASSAY_GP_CHOICE;
        if (parameter->cardinality > 2.0)
            dimension.count = (size_t)parameter->cardinality;
        dimension.hashed = dimension.count > choice_columns(transform);
        if (dimension.hashed)
            dimension.count = choice_columns(transform);
    } else if (isfinite(parameter->cardinality)) {
        dimension.kind = ASSAY_GP_STEPPED;
    }
    for (size_t k = 0; k < space->n_parameters; k++) {
        for (size_t c = 0; c < space->parameters[k]->n_conditions; c++)
            dimension.is_parent =
                dimension.is_parent || space->parameters[k]->conditions[c]->parent == i;
    }
    return dimension;
}

/* How many dimensions are active in a random point, on average. */
static double
typical_dimensions(const struct assay_transform *transform)
{
    size_t n = transform->n_dimensions, active = 0;
    assay_auto_free double *unit = assay_alloc(n + 1, sizeof *unit);
    assay_auto_free double *point = assay_alloc(transform->space->n_parameters + 1, sizeof *point);
    struct assay_random random;

    assay_random_init(&random, 0, 0, 0);
    for (size_t draw = 0; draw < TYPICAL_DRAWS; draw++) {
        for (size_t d = 0; d < n; d++)
            unit[d] = assay_random_unit(&random);
        assay_transform_decode(transform, unit, point);
        for (size_t d = 0; d < n; d++)
            active += isnan(point[transform->dimensions[d].parameter]) ? 0 : 1;
    }
    return fmax(1.0, (double)active / TYPICAL_DRAWS);
}

void
assay_gp_features_init(struct assay_gp_features *features, const struct assay_transform *transform)
{
    size_t n = transform->n_dimensions;

    *features = (struct assay_gp_features){
        .transform = transform,
        .n_dimensions = n,
        .dimensions = assay_alloc(n + 1, sizeof *features->dimensions),
        .sets = assay_alloc(n + 1, sizeof *features->sets),
    };
    for (size_t d = 0; d < n; d++) {
        features->dimensions[d] =
            dimension_of(transform, transform->dimensions[d].parameter, features->n_columns);
        features->n_columns += features->dimensions[d].count;
        add_set(features, features->dimensions[d].parameter);
    }
    features->group_of =
        assay_alloc(features->n_columns + features->n_sets + 1, sizeof *features->group_of);
    for (size_t d = 0; d < n; d++) {
        for (size_t c = 0; c < features->dimensions[d].count; c++)
            features->group_of[features->dimensions[d].first + c] = d;
    }
    for (size_t k = 0; k < features->n_sets; k++)
        features->group_of[features->n_columns++] = n + k;
    features->n_groups = n + features->n_sets;
    features->typical = typical_dimensions(transform);
}

void
assay_gp_features_done(struct assay_gp_features *features)
{
    free(features->dimensions);
    free(features->group_of);
    free(features->sets);
    *features = (struct assay_gp_features){0};
}

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014): 64 bits like random ones. */
static uint64_t
signs_of(uint64_t choice)
{
    uint64_t bits = (choice + 1) * UINT64_C(0x9E3779B97F4A7C15);

    bits = (bits ^ bits >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    bits = (bits ^ bits >> 27) * UINT64_C(0x94D049BB133111EB);
    return bits ^ bits >> 31;
}

/* The columns of a choice; NaN: inactive, evenly far from every choice. */
static void
write_choice(const struct assay_gp_dimension *dimension, double value, double *row)
{
    double *columns = &row[dimension->first];

    if (dimension->count == 1) {
        columns[0] = ASSAY_GP_HAMMING * (isnan(value) ? 0.5 : value);
        return;
    }
    if (dimension->hashed) {
        double size = ASSAY_GP_HAMMING / sqrt(2.0 * (double)dimension->count);
        uint64_t signs = isnan(value) ? 0 : signs_of((uint64_t)value);

        for (size_t c = 0; c < dimension->count; c++)
            columns[c] = isnan(value) ? 0.0 : signs >> c & 1 ? size : -size;
        return;
    }
    for (size_t c = 0; c < dimension->count; c++)
        columns[c] = isnan(value) ? ASSAY_GP_HAMMING * M_SQRT1_2 / dimension->values : 0.0;
    if (!isnan(value))
        columns[(size_t)value] = ASSAY_GP_HAMMING * M_SQRT1_2;
}

static void
write_sets(const struct assay_gp_features *features, const double *point, double *row)
{
    for (size_t k = 0; k < features->n_sets; k++)
        row[features->n_columns - features->n_sets + k] =
            assay_view_active(features->transform->space, point, features->sets[k])
                ? ASSAY_GP_HAMMING
                : 0.0;
}

void
assay_gp_features_of_point(const struct assay_gp_features *features, const double *point,
                           double *ret_row)
{
    for (size_t d = 0; d < features->n_dimensions; d++) {
        const struct assay_gp_dimension *dimension = &features->dimensions[d];
        double value = point[dimension->parameter];

        if (dimension->kind == ASSAY_GP_CHOICE)
            write_choice(dimension, value, ret_row);
        else
            ret_row[dimension->first] =
                isnan(value) ? 0.5 : assay_transform_unit(features->transform, d, value);
    }
    write_sets(features, point, ret_row);
}

/* Values are worked out only where something depends on them: a continuous
 * parameter without children stands in `point` as a number that is not NaN. */
void
assay_gp_features_of_unit(const struct assay_gp_features *features, const double *unit,
                          double *point, double *ret_row)
{
    const struct assay_transform *transform = features->transform;
    const struct assay_plugin_space *space = transform->space;

    for (size_t k = 0; k < space->n_parameters; k++) {
        size_t i = space->order[k];
        ptrdiff_t at = transform->of_parameter[i];
        const struct assay_gp_dimension *dimension;

        if (!assay_view_active(space, point, i))
            point[i] = NAN;
        else if (at < 0)
            point[i] = space->parameters[i]->min;
        else if (features->dimensions[at].kind == ASSAY_GP_CONTINUOUS &&
                 !features->dimensions[at].is_parent)
            point[i] = unit[at];
        else
            point[i] = assay_transform_value(transform, (size_t)at, unit[at]);
        if (at < 0)
            continue;
        dimension = &features->dimensions[at];
        if (dimension->kind == ASSAY_GP_CHOICE)
            write_choice(dimension, point[i], ret_row);
        else if (isnan(point[i]))
            ret_row[dimension->first] = 0.5;
        else if (dimension->kind == ASSAY_GP_CONTINUOUS)
            ret_row[dimension->first] = unit[at];
        else
            ret_row[dimension->first] = assay_transform_unit(transform, (size_t)at, point[i]);
    }
    write_sets(features, point, ret_row);
}

void
assay_gp_features_of_choice(const struct assay_gp_features *features, size_t dimension,
                            double choice, double *ret_row)
{
    write_choice(&features->dimensions[dimension], choice, ret_row);
}

ptrdiff_t
assay_gp_features_set(const struct assay_gp_features *features, size_t dimension)
{
    const struct assay_plugin_parameter *const *parameters = features->transform->space->parameters;
    const struct assay_plugin_parameter *mine =
        parameters[features->dimensions[dimension].parameter];

    for (size_t k = 0; k < features->n_sets && mine->n_conditions > 0; k++) {
        if (same_conditions(parameters[features->sets[k]], mine))
            return (ptrdiff_t)(features->n_columns - features->n_sets + k);
    }
    return -1;
}

/* Conditions of parameters: reading `when`, finding cycles, ordering parents
 * before children. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "common/number.h"
#include "schemas/decode.h"
#include "schemas/space_internal.h"

bool
assay__condition_holds(const struct assay_condition *condition, double parent_value)
{
    /* min + k * step may differ from the decimal it stands for in the last bits. */
    double slack = fabs(parent_value) * 1e-13;
    size_t low = 0, high = condition->n_values;

    if (isnan(parent_value))
        return false;
    if (condition->n_values == 0)
        return parent_value >= condition->min - slack && parent_value <= condition->max + slack;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (condition->values[middle] < parent_value - slack)
            low = middle + 1;
        else
            high = middle;
    }
    return low < condition->n_values && condition->values[low] <= parent_value + slack;
}

static void
fault_parent(const struct assay_space *space, const char *name, const char *pointer,
             struct assay_faults *faults)
{
    const char **known;
    size_t n = 0;

    if (faults->count >= ASSAY_FAULTS_MAX) {
        faults->count++;
        return;
    }
    known = assay_zalloc(space->n_parameters + 1, sizeof *known);
    for (size_t i = 0; i < space->n_parameters; i++) {
        if (space->parameters[i].name != NULL)
            known[n++] = space->parameters[i].name;
    }
    assay_fault_unknown(faults, pointer, NULL, "parameter", name, known);
    free(known);
}

struct range_file {
    double min, max;
};

static const struct assay_field range_fields[] = {
    {.key = "min", .kind = ASSAY_FIELD_REAL, .offset = offsetof(struct range_file, min)},
    {.key = "max", .kind = ASSAY_FIELD_REAL, .offset = offsetof(struct range_file, max)},
};

static bool
decode_range(const struct assay_parameter *parent, const json_t *json, const char *pointer,
             struct assay_faults *faults, struct assay_condition *condition)
{
    struct range_file file = {.min = NAN, .max = NAN};

    if (assay__parameter_is_choice(parent)) {
        assay_fault_type(faults, pointer, json, "an array of values");
        return false;
    }
    if (!assay_decode_object(json, pointer, range_fields, ASSAY_COUNT(range_fields), &file,
                             faults))
        return false;
    condition->min = isnan(file.min) ? parent->min : fmax(file.min, parent->min);
    condition->max = isnan(file.max) ? parent->max : fmin(file.max, parent->max);
    /* The nearest values of the grid inside the range. */
    if (condition->min <= condition->max && assay__parameter_step(parent) > 0.0) {
        double step = assay__parameter_step(parent);
        double low = assay_parameter_snap(parent, condition->min);
        double high = assay_parameter_snap(parent, condition->max);

        if (low < condition->min - step * 1e-6)
            low = assay_parameter_snap(parent, low + step);
        if (high > condition->max + step * 1e-6)
            high = assay_parameter_snap(parent, high - step);
        if (low > condition->max + step * 1e-6 || high < condition->min - step * 1e-6)
            high = -INFINITY;
        condition->min = low;
        condition->max = high;
    }
    if (!(condition->min <= condition->max)) {
        assay_fault_add(faults, pointer, json, NULL, "\"%s\" has no value in this range",
                        parent->name);
        return false;
    }
    return true;
}

/* In increasing order, each once: assay__condition_holds searches them. */
static void
sort_values(struct assay_condition *condition)
{
    size_t n = 0;

    qsort(condition->values, condition->n_values, sizeof(double), assay_compare_doubles);
    for (size_t i = 0; i < condition->n_values; i++) {
        if (i == 0 || condition->values[i] != condition->values[i - 1])
            condition->values[n++] = condition->values[i];
    }
    condition->n_values = n;
}

static bool
decode_values(const struct assay_parameter *parent, const json_t *json, const char *pointer,
              struct assay_faults *faults, struct assay_condition *condition)
{
    size_t before = faults->count;

    if (!json_is_array(json)) {
        condition->values = assay_zalloc(1, sizeof(double));
        condition->n_values = 1;
        return assay_parameter_decode(parent, json, pointer, faults, &condition->values[0]);
    }
    if (json_array_size(json) == 0 || json_array_size(json) > ASSAY_PARAMETER_CHOICES_MAX) {
        assay_fault_add(faults, pointer, NULL, "1 to 10000 values of the parent",
                        json_array_size(json) == 0 ? "the list of values is empty"
                                                   : "the list of values is too long");
        return false;
    }
    condition->n_values = json_array_size(json);
    condition->values = assay_zalloc(condition->n_values, sizeof(double));
    for (size_t i = 0; i < condition->n_values; i++) {
        assay_auto_free char *at = assay_pointer_index(pointer, i);

        if (!assay_parameter_decode(parent, json_array_get(json, i), at, faults,
                                    &condition->values[i]) &&
            faults->count > ASSAY_FAULTS_MAX)
            return false;
    }
    if (faults->count != before)
        return false;
    sort_values(condition);
    return true;
}

/* `names` maps the names of the parameters to their indices. */
static void
decode_when(struct assay_space *space, size_t child, const json_t *when, const json_t *names,
            const bool *usable, const char *pointer, struct assay_faults *faults)
{
    struct assay_parameter *parameter = &space->parameters[child];
    const char *name;
    json_t *allowed;

    parameter->conditions = assay_zalloc(json_object_size(when), sizeof *parameter->conditions);
    assay_json_each (when, name, allowed) {
        struct assay_condition *condition = &parameter->conditions[parameter->n_conditions];
        assay_auto_free char *at = assay_pointer_key(pointer, name);
        const json_t *index = json_object_get(names, name);
        size_t parent = (size_t)json_integer_value(index);

        if (index == NULL) {
            fault_parent(space, name, at, faults);
            continue;
        }
        if (parent == child) {
            assay_fault_add(faults, at, NULL, NULL, "\"%s\" can not depend on itself", name);
            continue;
        }
        condition->parent = parent;
        parameter->n_conditions++;
        if (!usable[parent])
            continue;
        if (json_is_object(allowed))
            decode_range(&space->parameters[parent], allowed, at, faults, condition);
        else
            decode_values(&space->parameters[parent], allowed, at, faults, condition);
    }
}

/* --- order and cycles: depth first from the parents down --- */

enum colour { WHITE, GREY, BLACK };

struct walk {
    const struct assay_space *space;
    size_t **children;
    size_t *n_children;
    enum colour *colours;
    bool *told; /* is in a cycle that has been reported */
    size_t *path; /* grey parameters, from the root */
    size_t n_path;
    size_t *order; /* filled from the back */
    size_t next;
    const char *pointer;
    struct assay_faults *faults;
};

static void
fault_cycle(struct walk *walk, size_t at)
{
    assay_auto_buffer struct assay_buffer text = {0};
    assay_auto_free char *item = NULL, *pointer = NULL;
    size_t first = 0;

    while (walk->path[first] != at)
        first++;
    /* One fault for a knot of cycles, not one for each way round. */
    for (size_t i = first; i < walk->n_path; i++) {
        if (walk->told[walk->path[i]])
            return;
    }
    for (size_t i = first; i < walk->n_path; i++)
        walk->told[walk->path[i]] = true;
    for (size_t i = first; i < ASSAY_MIN(walk->n_path, first + 10); i++)
        assay_buffer_printf(&text, "%s -> ", walk->space->parameters[walk->path[i]].name);
    if (walk->n_path > first + 10)
        assay_buffer_puts(&text, "… -> ");
    assay_buffer_puts(&text, walk->space->parameters[at].name);
    item = assay_pointer_index(walk->pointer, at);
    pointer = assay_pointer_key(item, "when");
    assay_fault_add(walk->faults, pointer, NULL, NULL, "the conditions form a cycle: %s",
                    text.data);
}

/* At most ASSAY_SPACE_PARAMETERS_MAX deep. */
static void
visit(struct walk *walk, size_t parameter)
{
    walk->colours[parameter] = GREY;
    walk->path[walk->n_path++] = parameter;
    /* Backwards, so that the reversed post-order keeps the file's order. */
    for (size_t i = walk->n_children[parameter]; i-- > 0;) {
        size_t child = walk->children[parameter][i];

        if (walk->colours[child] == GREY)
            fault_cycle(walk, child);
        else if (walk->colours[child] == WHITE)
            visit(walk, child);
    }
    walk->n_path--;
    walk->colours[parameter] = BLACK;
    walk->order[--walk->next] = parameter;
}

static void
add_child(struct walk *walk, size_t parent, size_t child)
{
    size_t *n = &walk->n_children[parent];

    if ((*n & (*n - 1)) == 0)
        walk->children[parent] =
            assay_realloc(walk->children[parent], ASSAY_MAX(*n * 2, (size_t)1), sizeof(size_t));
    walk->children[parent][(*n)++] = child;
}

static void
find_order(struct assay_space *space, const char *pointer, struct assay_faults *faults)
{
    size_t n = space->n_parameters;
    struct walk walk = {.space = space, .next = n, .pointer = pointer, .faults = faults};

    walk.children = assay_zalloc(n, sizeof *walk.children);
    walk.n_children = assay_zalloc(n, sizeof *walk.n_children);
    walk.colours = assay_zalloc(n, sizeof *walk.colours);
    walk.told = assay_zalloc(n, sizeof *walk.told);
    walk.path = assay_zalloc(n, sizeof *walk.path);
    walk.order = assay_zalloc(n, sizeof *walk.order);
    for (size_t child = 0; child < n; child++) {
        const struct assay_parameter *parameter = &space->parameters[child];

        for (size_t i = 0; i < parameter->n_conditions; i++)
            add_child(&walk, parameter->conditions[i].parent, child);
    }
    /* From the roots, so that what depends on a parameter follows it closely
     * (assay_space_cardinality counts on it); then what only a cycle reaches. */
    for (size_t i = n; i-- > 0;) {
        if (walk.colours[i] == WHITE && space->parameters[i].n_conditions == 0)
            visit(&walk, i);
    }
    for (size_t i = 0; i < n; i++) {
        if (walk.colours[i] == WHITE)
            visit(&walk, i);
    }
    for (size_t i = 0; i < n; i++)
        free(walk.children[i]);
    free(walk.children);
    free(walk.n_children);
    free(walk.colours);
    free(walk.told);
    free(walk.path);
    space->order = walk.order;
}

void
assay__space_decode_conditions(struct assay_space *space, const json_t *const *whens,
                               const bool *usable, const char *pointer,
                               struct assay_faults *faults)
{
    json_auto_t *names = json_object();

    /* Backwards: of two with one name the first counts. */
    for (size_t i = space->n_parameters; i-- > 0;) {
        if (space->parameters[i].name != NULL)
            json_object_set_new(names, space->parameters[i].name, json_integer((json_int_t)i));
    }
    for (size_t i = 0; i < space->n_parameters; i++) {
        assay_auto_free char *item = assay_pointer_index(pointer, i);
        assay_auto_free char *at = assay_pointer_key(item, "when");

        if (whens[i] != NULL)
            decode_when(space, i, whens[i], names, usable, at, faults);
    }
    find_order(space, pointer, faults);
}

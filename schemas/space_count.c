/* How many points a space has, children counting only where they are active.
 *
 * Parameters are taken in the order of the space.  A state is the set of later
 * parameters already known to be inactive, with the number of ways to get there;
 * states that have become the same are merged.  A parameter leaves the set when
 * its turn comes, so that in a forest of conditions few states live at a time.
 * Entangled conditions can need exponentially many: there is a bound. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/space_internal.h"

#define STATES_MAX 20000
#define WORK_MAX 20000000.0

struct child {
    size_t parameter;
    const struct assay_condition *condition;
};

struct counter {
    const struct assay_space *space;
    struct child **children; /* by parent */
    size_t *n_children;
    size_t n_words; /* of a set */
    uint64_t *sets; /* n_states sets, each n_words */
    double *ways;
    size_t n_states;
    double work;
};

/* Consecutive values of a parameter that its children's conditions do not tell apart. */
struct class {
    double value; /* one of them, as in a point */
    double count;
};

static void
set_bit(uint64_t *set, size_t i)
{
    set[i / 64] |= UINT64_C(1) << (i % 64);
}

static bool
has_bit(const uint64_t *set, size_t i)
{
    return (set[i / 64] >> (i % 64) & 1) != 0;
}

static double
index_of(const struct assay_parameter *parameter, double value)
{
    if (assay__parameter_is_choice(parameter) || parameter->min == parameter->max)
        return assay__parameter_is_choice(parameter) ? value : 0.0;
    return assay__parameter_grid_index(parameter, value);
}

static double
value_of(const struct assay_parameter *parameter, double index)
{
    if (assay__parameter_is_choice(parameter))
        return index;
    return parameter->min == parameter->max ? parameter->min
                                            : assay__parameter_grid_value(parameter, index);
}

/* Splits a finite parameter's values.  Caller frees. */
static struct class *
split_values(const struct counter *counter, size_t i, size_t *ret_count)
{
    const struct assay_parameter *parameter = &counter->space->parameters[i];
    double total = assay_parameter_cardinality(parameter);
    size_t n_cuts = 1, n_room = 2, n_classes = 0;
    struct class *classes;
    double *cuts;

    if (isinf(total)) { /* only asked for where it is never active */
        *ret_count = 1;
        return ASSAY_NEW(struct class);
    }
    for (size_t c = 0; c < counter->n_children[i]; c++)
        n_room += 2 * ASSAY_MAX(counter->children[i][c].condition->n_values, (size_t)1);
    cuts = assay_alloc(n_room, sizeof *cuts);
    cuts[0] = 0.0;
    for (size_t c = 0; c < counter->n_children[i]; c++) {
        const struct assay_condition *condition = counter->children[i][c].condition;

        for (size_t v = 0; v < condition->n_values; v++) {
            cuts[n_cuts++] = index_of(parameter, condition->values[v]);
            cuts[n_cuts] = cuts[n_cuts - 1] + 1.0;
            n_cuts++;
        }
        if (condition->n_values == 0) {
            cuts[n_cuts++] = index_of(parameter, condition->min);
            cuts[n_cuts++] = index_of(parameter, condition->max) + 1.0;
        }
    }
    cuts[n_cuts++] = total;
    qsort(cuts, n_cuts, sizeof *cuts, assay_compare_doubles);
    classes = assay_alloc(n_cuts, sizeof *classes);
    for (size_t c = 0; c + 1 < n_cuts; c++) {
        if (cuts[c + 1] > cuts[c])
            classes[n_classes++] = (struct class){.value = value_of(parameter, cuts[c]),
                                                  .count = cuts[c + 1] - cuts[c]};
    }
    free(cuts);
    *ret_count = n_classes;
    return classes;
}

/* Marks the children whose condition the value (NaN: inactive) fails. */
static void
mark_children(const struct counter *counter, size_t i, double value, uint64_t *set)
{
    for (size_t c = 0; c < counter->n_children[i]; c++) {
        const struct child *child = &counter->children[i][c];

        if (!assay__condition_holds(child->condition, value))
            set_bit(set, child->parameter);
    }
}

struct state_ref {
    const uint64_t *set;
    size_t n_words;
    double ways;
};

static int
compare_states(const void *a, const void *b)
{
    const struct state_ref *x = a, *y = b;

    return memcmp(x->set, y->set, x->n_words * sizeof(uint64_t));
}

static void
merge_states(struct counter *counter)
{
    struct state_ref *refs = assay_alloc(counter->n_states, sizeof *refs);
    size_t bytes = counter->n_words * sizeof(uint64_t), n = 0;
    uint64_t *sets = assay_alloc(counter->n_states, bytes);

    for (size_t s = 0; s < counter->n_states; s++)
        refs[s] = (struct state_ref){&counter->sets[s * counter->n_words], counter->n_words,
                                     counter->ways[s]};
    qsort(refs, counter->n_states, sizeof *refs, compare_states);
    for (size_t s = 0; s < counter->n_states; s++) {
        if (n > 0 && memcmp(&sets[(n - 1) * counter->n_words], refs[s].set, bytes) == 0) {
            counter->ways[n - 1] += refs[s].ways;
            continue;
        }
        memcpy(&sets[n * counter->n_words], refs[s].set, bytes);
        counter->ways[n++] = refs[s].ways;
    }
    free(refs);
    free(counter->sets);
    counter->sets = sets;
    counter->n_states = n;
}

/* Follows parameter i from every state; false when it is too much work. */
static bool
take_parameter(struct counter *counter, size_t i)
{
    size_t n_classes, n_new = 0, bytes = counter->n_words * sizeof(uint64_t);
    struct class *classes = split_values(counter, i, &n_classes);
    uint64_t *sets;
    double *ways;

    counter->work += (double)counter->n_states * (double)n_classes *
                     (double)(counter->n_words + counter->n_children[i]);
    if (counter->n_states * n_classes > STATES_MAX || counter->work > WORK_MAX) {
        free(classes);
        return false;
    }
    sets = assay_zalloc(counter->n_states * n_classes, bytes);
    ways = assay_alloc(counter->n_states * n_classes, sizeof *ways);
    for (size_t s = 0; s < counter->n_states; s++) {
        const uint64_t *old = &counter->sets[s * counter->n_words];
        bool inactive = has_bit(old, i);

        for (size_t c = 0; c < (inactive ? 1 : n_classes); c++) {
            uint64_t *set = &sets[n_new * counter->n_words];

            memcpy(set, old, bytes);
            set[i / 64] &= ~(UINT64_C(1) << (i % 64));
            mark_children(counter, i, inactive ? NAN : classes[c].value, set);
            ways[n_new++] = counter->ways[s] * (inactive ? 1.0 : classes[c].count);
        }
    }
    free(classes);
    free(counter->sets);
    free(counter->ways);
    counter->sets = sets;
    counter->ways = ways;
    counter->n_states = n_new;
    merge_states(counter);
    return true;
}

static bool
is_reached(const struct counter *counter, size_t i)
{
    for (size_t s = 0; s < counter->n_states; s++) {
        if (!has_bit(&counter->sets[s * counter->n_words], i))
            return true;
    }
    return false;
}

static void
find_children(struct counter *counter)
{
    const struct assay_space *space = counter->space;

    for (size_t i = 0; i < space->n_parameters; i++) {
        for (size_t j = 0; j < space->parameters[i].n_conditions; j++)
            counter->n_children[space->parameters[i].conditions[j].parent]++;
    }
    for (size_t i = 0; i < space->n_parameters; i++) {
        counter->children[i] = assay_alloc(counter->n_children[i], sizeof(struct child));
        counter->n_children[i] = 0;
    }
    for (size_t i = 0; i < space->n_parameters; i++) {
        for (size_t j = 0; j < space->parameters[i].n_conditions; j++) {
            const struct assay_condition *condition = &space->parameters[i].conditions[j];
            size_t *n = &counter->n_children[condition->parent];

            counter->children[condition->parent][(*n)++] = (struct child){i, condition};
        }
    }
}

double
assay_space_cardinality(const struct assay_space *space)
{
    size_t n = space->n_parameters;
    struct counter counter = {.space = space, .n_words = n / 64 + 1, .n_states = 1};
    double total = 0.0;

    counter.children = assay_zalloc(n, sizeof *counter.children);
    counter.n_children = assay_zalloc(n, sizeof *counter.n_children);
    counter.sets = assay_zalloc(counter.n_words, sizeof *counter.sets);
    counter.ways = assay_alloc(1, sizeof *counter.ways);
    counter.ways[0] = 1.0;
    find_children(&counter);
    for (size_t k = 0; k < n && isfinite(total); k++) {
        size_t i = space->order[k];

        if ((isinf(assay_parameter_cardinality(&space->parameters[i])) && is_reached(&counter, i)) ||
            !take_parameter(&counter, i))
            total = INFINITY;
    }
    for (size_t s = 0; s < counter.n_states; s++)
        total += counter.ways[s];
    for (size_t i = 0; i < n; i++)
        free(counter.children[i]);
    free(counter.children);
    free(counter.n_children);
    free(counter.sets);
    free(counter.ways);
    return total;
}

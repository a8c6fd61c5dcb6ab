#include "suggest/lattice.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

/* Levels of a parent that satisfy the same conditions of its children. */
struct run {
    uint64_t first; /* level */
    uint64_t count;
    uint32_t kind;
};

struct link { /* a condition of a child on the node's parameter */
    size_t child;
    const struct assay_plugin_condition *condition;
};

struct node {
    uint64_t n_levels;
    double *spread; /* the values, when they are not all of a stepped range */
    struct link *links;
    size_t n_links, links_capacity;
    struct run *runs; /* parents only */
    size_t n_runs;
    bool *holds;           /* [kind * n_links + link]; kind 0 is "inactive": none holds */
    uint64_t *kind_levels; /* levels of each kind */
    uint32_t n_kinds;
    size_t component;
};

struct component {
    size_t *members; /* parameters, parents before children */
    size_t n_members;
    size_t *live; /* parents that matter at position k: live[live_start[k] … live_start[k+1]) */
    size_t *live_start; /* n_members + 1 */
    uint64_t count;
};

/* Remembers the number of ways to go on from a state. */
struct memo {
    uint32_t *key; /* component, position, kinds of the live parents */
    size_t key_length;
    uint64_t hash, count;
};

struct assay_lattice {
    const struct assay_plugin_space *space;
    struct node *nodes;
    struct component *components;
    size_t n_components;
    uint32_t *kind; /* present kind of each parameter, during a descent */
    struct memo *memos;
    size_t n_memos, n_slots; /* slots: power of two */
    bool gave_up;
    uint64_t count;
};

#define COUNT_MAX ((uint64_t)INT64_MAX)

static uint64_t
multiply(uint64_t a, uint64_t b)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) || product > COUNT_MAX ? COUNT_MAX + 1 : product;
}

static uint64_t
add(uint64_t a, uint64_t b)
{
    return a > COUNT_MAX || b > COUNT_MAX - a ? COUNT_MAX + 1 : a + b;
}

/* --- levels --- */

static double
level_value(const struct assay_lattice *lattice, size_t i, uint64_t level)
{
    const struct assay_plugin_parameter *parameter = lattice->space->parameters[i];

    if (lattice->nodes[i].spread != NULL)
        return lattice->nodes[i].spread[level];
    return assay_view_snap(lattice->space, i, parameter->min + (double)level * parameter->step);
}

static double
spread_value(const struct assay_plugin_parameter *parameter, double share)
{
    double low = parameter->min, high = parameter->max;

    if (parameter->scale == ASSAY_PLUGIN_LINEAR)
        return (1.0 - share) * low + share * high;
    if (parameter->scale == ASSAY_PLUGIN_REVERSE_LOG)
        share = 1.0 - share;
    share = exp((1.0 - share) * log(low) + share * log(high));
    return parameter->scale == ASSAY_PLUGIN_LOG ? share : high - share + low;
}

static void
set_levels(struct assay_lattice *lattice, size_t i, uint64_t points_per_range)
{
    const struct assay_plugin_parameter *parameter = lattice->space->parameters[i];
    struct node *node = &lattice->nodes[i];
    bool thinned = parameter->type == ASSAY_PLUGIN_INT && parameter->scale != ASSAY_PLUGIN_LINEAR &&
                   parameter->cardinality > (double)points_per_range;

    if (isfinite(parameter->cardinality) && !thinned) {
        node->n_levels = (uint64_t)parameter->cardinality;
        return;
    }
    node->spread = assay_alloc(points_per_range, sizeof *node->spread);
    for (uint64_t k = 0; k < points_per_range; k++) {
        double share = points_per_range == 1 ? 0.5 : (double)k / (double)(points_per_range - 1);
        double value = share == 0.0   ? parameter->min
                       : share == 1.0 ? parameter->max
                                      : spread_value(parameter, share);

        value = assay_view_snap(lattice->space, i, value);
        if (node->n_levels == 0 || value > node->spread[node->n_levels - 1])
            node->spread[node->n_levels++] = value;
    }
}

/* --- kinds of a parent's values --- */

/* First level whose value is at least (or above) the bound. */
static uint64_t
first_level(const struct assay_lattice *lattice, size_t i, double bound, bool above)
{
    uint64_t low = 0, high = lattice->nodes[i].n_levels;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        double value = level_value(lattice, i, middle);

        if (above ? value > bound : value >= bound)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int
compare_levels(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Levels at which some condition may begin or cease to hold, ascending. */
static uint64_t *
break_levels(const struct assay_lattice *lattice, size_t i, size_t *ret_count)
{
    const struct node *node = &lattice->nodes[i];
    size_t capacity = 2, n = 0;
    uint64_t *breaks;

    for (size_t k = 0; k < node->n_links; k++)
        capacity += 2 * ASSAY_MAX((size_t)node->links[k].condition->n_values, (size_t)1);
    breaks = assay_alloc(capacity, sizeof *breaks);
    breaks[n++] = 0;
    for (size_t k = 0; k < node->n_links; k++) {
        const struct assay_plugin_condition *condition = node->links[k].condition;

        if (condition->n_values == 0) {
            breaks[n++] = first_level(lattice, i, condition->min, false);
            breaks[n++] = first_level(lattice, i, condition->max, true);
        }
        for (size_t v = 0; v < condition->n_values; v++) {
            breaks[n++] = first_level(lattice, i, condition->values[v], false);
            breaks[n++] = first_level(lattice, i, condition->values[v], true);
        }
    }
    qsort(breaks, n, sizeof *breaks, compare_levels);
    *ret_count = n;
    return breaks;
}

/* The kind in which exactly the given links hold; a new one if there is none. */
static uint32_t
kind_of(struct node *node, const bool *holds)
{
    size_t row = node->n_links * sizeof *holds;

    for (uint32_t c = 0; c < node->n_kinds; c++) {
        if (memcmp(&node->holds[c * node->n_links], holds, row) == 0)
            return c;
    }
    node->holds = assay_realloc(node->holds, (node->n_kinds + 1) * node->n_links, sizeof *holds);
    node->kind_levels =
        assay_realloc(node->kind_levels, node->n_kinds + 1, sizeof *node->kind_levels);
    memcpy(&node->holds[node->n_kinds * node->n_links], holds, row);
    node->kind_levels[node->n_kinds] = 0;
    return node->n_kinds++;
}

static void
set_kinds(struct assay_lattice *lattice, size_t i)
{
    struct node *node = &lattice->nodes[i];
    size_t n_breaks;
    assay_auto_free uint64_t *breaks = break_levels(lattice, i, &n_breaks);
    assay_auto_free bool *holds = assay_zalloc(node->n_links, sizeof *holds);

    kind_of(node, holds); /* kind 0 */
    node->runs = assay_alloc(n_breaks, sizeof *node->runs);
    for (size_t b = 0; b < n_breaks; b++) {
        uint64_t end = b + 1 < n_breaks ? breaks[b + 1] : node->n_levels;
        double value;
        uint32_t kind;

        if (end <= breaks[b])
            continue;
        value = level_value(lattice, i, breaks[b]);
        for (size_t k = 0; k < node->n_links; k++)
            holds[k] = assay_view_condition_holds(node->links[k].condition, value);
        kind = kind_of(node, holds);
        node->kind_levels[kind] += end - breaks[b];
        if (node->n_runs > 0 && node->runs[node->n_runs - 1].kind == kind)
            node->runs[node->n_runs - 1].count += end - breaks[b];
        else
            node->runs[node->n_runs++] =
                (struct run){.first = breaks[b], .count = end - breaks[b], .kind = kind};
    }
}

/* --- components of the condition graph --- */

static size_t
find_root(size_t *roots, size_t i)
{
    while (roots[i] != i)
        i = roots[i] = roots[roots[i]];
    return i;
}

static void
find_components(struct assay_lattice *lattice)
{
    const struct assay_plugin_space *space = lattice->space;
    size_t n = space->n_parameters;
    assay_auto_free size_t *roots = assay_alloc(n + 1, sizeof *roots);
    assay_auto_free size_t *numbers = assay_alloc(n + 1, sizeof *numbers);

    for (size_t i = 0; i < n; i++)
        roots[i] = i;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < space->parameters[i]->n_conditions; k++) {
            size_t parent = space->parameters[i]->conditions[k]->parent;

            roots[find_root(roots, i)] = find_root(roots, parent);
        }
    }
    lattice->components = assay_zalloc(n + 1, sizeof *lattice->components);
    for (size_t i = 0; i < n; i++)
        numbers[i] = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        size_t root = find_root(roots, i);

        if (numbers[root] == SIZE_MAX)
            numbers[root] = lattice->n_components++;
        lattice->nodes[i].component = numbers[root];
        lattice->components[numbers[root]].n_members++;
    }
}

/* Orders a component's members: parents first, and a child as soon after its
 * parents as may be, which keeps few parents live at a time. */
static void
order_members(struct assay_lattice *lattice, size_t c, size_t *placed)
{
    const struct assay_plugin_space *space = lattice->space;
    struct component *component = &lattice->components[c];

    component->members = assay_alloc(component->n_members, sizeof *component->members);
    for (size_t k = 0; k < component->n_members; k++) {
        size_t best = SIZE_MAX, best_rank = 0;

        for (size_t o = 0; o < space->n_parameters; o++) {
            size_t i = space->order[o], rank = 1; /* rank: 1 + position of the latest parent */
            bool ready = lattice->nodes[i].component == c && placed[i] == SIZE_MAX;

            for (size_t j = 0; ready && j < space->parameters[i]->n_conditions; j++) {
                size_t at = placed[space->parameters[i]->conditions[j]->parent];

                ready = at != SIZE_MAX;
                rank = ready ? ASSAY_MAX(rank, at + 2) : rank;
            }
            if (ready && rank > best_rank) {
                best = i;
                best_rank = rank;
            }
        }
        ASSAY_ASSERT(best != SIZE_MAX);
        placed[best] = k;
        component->members[k] = best;
    }
}

static void
find_live(struct assay_lattice *lattice, struct component *component, const size_t *placed)
{
    size_t n = component->n_members, count = 0, capacity = 0;

    component->live_start = assay_alloc(n + 1, sizeof *component->live_start);
    for (size_t k = 0; k <= n; k++) {
        component->live_start[k] = count;
        for (size_t j = 0; j < k && k < n; j++) {
            const struct node *node = &lattice->nodes[component->members[j]];
            bool needed = false;

            for (size_t l = 0; l < node->n_links && !needed; l++)
                needed = placed[node->links[l].child] >= k;
            if (needed) {
                ASSAY_GROW(component->live, count, capacity);
                component->live[count++] = component->members[j];
            }
        }
    }
}

static void
set_components(struct assay_lattice *lattice)
{
    size_t n = lattice->space->n_parameters;
    assay_auto_free size_t *placed = assay_alloc(n + 1, sizeof *placed);

    find_components(lattice);
    for (size_t i = 0; i < n; i++)
        placed[i] = SIZE_MAX;
    for (size_t c = 0; c < lattice->n_components; c++) {
        struct component *component = &lattice->components[c];

        if (component->n_members == 1) { /* most parameters: no need to look for an order */
            for (size_t i = 0; component->members == NULL; i++) {
                if (lattice->nodes[i].component == c)
                    component->members = assay_memdup(&i, sizeof i);
            }
            component->live_start = assay_zalloc(2, sizeof *component->live_start);
            continue;
        }
        order_members(lattice, c, placed);
        find_live(lattice, component, placed);
    }
}

/* --- counting --- */

static uint64_t
hash_key(const uint32_t *key, size_t length)
{
    uint64_t hash = length;

    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ key[i]) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    return hash;
}

static struct memo *
memo_slot(const struct assay_lattice *lattice, const uint32_t *key, size_t length, uint64_t hash)
{
    size_t at = (size_t)hash & (lattice->n_slots - 1);

    while (lattice->memos[at].key != NULL &&
           (lattice->memos[at].hash != hash || lattice->memos[at].key_length != length ||
            memcmp(lattice->memos[at].key, key, length * sizeof *key) != 0))
        at = (at + 1) & (lattice->n_slots - 1);
    return &lattice->memos[at];
}

static void
memo_grow(struct assay_lattice *lattice)
{
    struct memo *old = lattice->memos;
    size_t n_old = lattice->n_slots;

    lattice->n_slots = n_old == 0 ? 64 : n_old * 2;
    lattice->memos = assay_zalloc(lattice->n_slots, sizeof *lattice->memos);
    for (size_t i = 0; i < n_old; i++) {
        if (old[i].key != NULL)
            *memo_slot(lattice, old[i].key, old[i].key_length, old[i].hash) = old[i];
    }
    free(old);
}

static bool
is_active(const struct assay_lattice *lattice, size_t i)
{
    const struct assay_plugin_parameter *parameter = lattice->space->parameters[i];

    for (size_t k = 0; k < parameter->n_conditions; k++) {
        const struct node *parent = &lattice->nodes[parameter->conditions[k]->parent];
        size_t l = 0;

        while (parent->links[l].condition != parameter->conditions[k])
            l++;
        if (!parent->holds[lattice->kind[parameter->conditions[k]->parent] * parent->n_links + l])
            return false;
    }
    return true;
}

static uint64_t ways(struct assay_lattice *lattice, size_t c, size_t k);

static uint64_t
ways_through(struct assay_lattice *lattice, size_t c, size_t k)
{
    size_t i = lattice->components[c].members[k];
    const struct node *node = &lattice->nodes[i];
    uint64_t sum = 0;

    lattice->kind[i] = 0;
    if (!is_active(lattice, i))
        return ways(lattice, c, k + 1);
    if (node->n_links == 0)
        return multiply(node->n_levels, ways(lattice, c, k + 1));
    for (uint32_t kind = 0; kind < node->n_kinds; kind++) {
        if (node->kind_levels[kind] == 0)
            continue;
        lattice->kind[i] = kind;
        sum = add(sum, multiply(node->kind_levels[kind], ways(lattice, c, k + 1)));
    }
    return sum;
}

/* Ways to fill positions k and up of the component, given the kinds before. */
static uint64_t
ways(struct assay_lattice *lattice, size_t c, size_t k)
{
    struct component *component = &lattice->components[c];
    size_t n_live, length;
    assay_auto_free uint32_t *key = NULL;
    struct memo *memo;
    uint64_t hash, count;

    if (k == component->n_members)
        return 1;
    if (component->n_members == 1)
        return lattice->nodes[component->members[0]].n_levels;
    n_live = component->live_start[k + 1] - component->live_start[k];
    length = n_live + 2;
    key = assay_alloc(length, sizeof *key);
    key[0] = (uint32_t)c;
    key[1] = (uint32_t)k;
    for (size_t l = 0; l < n_live; l++)
        key[l + 2] = lattice->kind[component->live[component->live_start[k] + l]];
    hash = hash_key(key, length);
    if (lattice->n_slots > 0) {
        memo = memo_slot(lattice, key, length, hash);
        if (memo->key != NULL)
            return memo->count;
    }
    if (lattice->n_memos >= ASSAY_LATTICE_STATES_MAX)
        lattice->gave_up = true;
    if (lattice->gave_up)
        return COUNT_MAX + 1;
    count = ways_through(lattice, c, k);
    if (2 * (lattice->n_memos + 1) > lattice->n_slots)
        memo_grow(lattice);
    memo = memo_slot(lattice, key, length, hash);
    *memo = (struct memo){.key_length = length, .hash = hash, .count = count};
    memo->key = key;
    key = NULL;
    lattice->n_memos++;
    return count;
}

struct assay_lattice *
assay_lattice_new(const struct assay_plugin_space *space, uint64_t points_per_range)
{
    struct assay_lattice *lattice = ASSAY_NEW(struct assay_lattice);
    size_t n = space->n_parameters;

    lattice->space = space;
    lattice->nodes = assay_zalloc(n + 1, sizeof *lattice->nodes);
    lattice->kind = assay_zalloc(n + 1, sizeof *lattice->kind);
    for (size_t i = 0; i < n; i++)
        set_levels(lattice, i, points_per_range);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < space->parameters[i]->n_conditions; k++) {
            const struct assay_plugin_condition *condition = space->parameters[i]->conditions[k];
            struct node *parent = &lattice->nodes[condition->parent];

            ASSAY_GROW(parent->links, parent->n_links, parent->links_capacity);
            parent->links[parent->n_links++] = (struct link){.child = i, .condition = condition};
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (lattice->nodes[i].n_links > 0)
            set_kinds(lattice, i);
    }
    set_components(lattice);
    lattice->count = 1;
    for (size_t c = 0; c < lattice->n_components; c++) {
        lattice->components[c].count = ways(lattice, c, 0);
        lattice->count = multiply(lattice->count, lattice->components[c].count);
    }
    if (lattice->gave_up || lattice->count > COUNT_MAX)
        lattice->count = 0;
    return lattice;
}

struct assay_lattice *
assay_lattice_free(struct assay_lattice *lattice)
{
    if (lattice == NULL)
        return NULL;
    for (size_t i = 0; i < lattice->space->n_parameters; i++) {
        struct node *node = &lattice->nodes[i];

        free(node->spread);
        free(node->links);
        free(node->runs);
        free(node->holds);
        free(node->kind_levels);
    }
    for (size_t c = 0; c < lattice->n_components; c++) {
        free(lattice->components[c].members);
        free(lattice->components[c].live);
        free(lattice->components[c].live_start);
    }
    for (size_t i = 0; i < lattice->n_slots; i++)
        free(lattice->memos[i].key);
    free(lattice->memos);
    free(lattice->nodes);
    free(lattice->components);
    free(lattice->kind);
    free(lattice);
    return NULL;
}

uint64_t
assay_lattice_count(const struct assay_lattice *lattice)
{
    return lattice->count;
}

/* --- the n-th cell --- */

/* Chooses the level of the parameter at position k and leaves in *rest the index
 * among the cells that begin so. */
static uint64_t
choose_level(struct assay_lattice *lattice, size_t c, size_t k, uint64_t *rest)
{
    size_t i = lattice->components[c].members[k];
    const struct node *node = &lattice->nodes[i];
    uint64_t below, level;

    if (node->n_links == 0) {
        below = ways(lattice, c, k + 1);
        level = *rest / below;
        *rest %= below;
        return level;
    }
    for (size_t r = 0; r < node->n_runs; r++) {
        lattice->kind[i] = node->runs[r].kind;
        below = ways(lattice, c, k + 1);
        if (*rest / below < node->runs[r].count) {
            level = node->runs[r].first + *rest / below;
            *rest %= below;
            return level;
        }
        *rest -= below * node->runs[r].count;
    }
    ASSAY_BUG("the cell is past the end of the lattice");
}

void
assay_lattice_at(struct assay_lattice *lattice, uint64_t index, double *ret_point)
{
    uint64_t cells = lattice->count;

    ASSAY_ASSERT(index < lattice->count);
    for (size_t c = 0; c < lattice->n_components; c++) {
        const struct component *component = &lattice->components[c];
        uint64_t rest;

        cells /= component->count;
        rest = index / cells;
        index %= cells;
        for (size_t k = 0; k < component->n_members; k++) {
            size_t i = component->members[k];

            lattice->kind[i] = 0;
            if (is_active(lattice, i))
                ret_point[i] = level_value(lattice, i, choose_level(lattice, c, k, &rest));
            else
                ret_point[i] = NAN;
        }
    }
}

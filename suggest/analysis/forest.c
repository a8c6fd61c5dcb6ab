#include "suggest/analysis/forest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

/* What is being grown.  Arrays of rows hold the distinct rows of the sample; those of a
 * node are a stretch [begin, end) of every array. */
struct growth {
    const struct assay_forest_rows *rows;
    struct assay_forest_tree *tree;
    size_t n;          /* distinct rows */
    uint32_t **orders; /* per feature: rows in the order of its values */
    uint32_t *members; /* the node's rows, for features without order */
    double *weights;   /* by row: times drawn */
    bool *left;        /* by row: where the split at hand sends it */
    uint32_t *room;    /* n items, for partitions */
    /* The box of the node at hand. */
    struct assay_forest_side *box; /* by feature */
    uint32_t *path;                /* features with a side, in the order of their first split */
    size_t n_path;
    bool *on_path;
};

struct split {
    double gain; /* 0 = none */
    uint32_t feature;
    double threshold; /* numbers below go left */
    uint64_t members; /* these choices go left */
};

struct sums {
    double weight, total;
};

/* What a side explains: squares around the mean fall by this much less a constant. */
static double
worth(struct sums sums)
{
    return sums.weight > 0.0 ? sums.total * sums.total / sums.weight : 0.0;
}

static void
add_row(const struct growth *growth, uint32_t row, struct sums *sums)
{
    sums->weight += growth->weights[row];
    sums->total += growth->weights[row] * growth->rows->targets[row];
}

/* --- the best split */

static void
try_number(const struct growth *growth, uint32_t feature, size_t begin, size_t end,
           struct sums whole, struct split *best)
{
    const float *values = growth->rows->features[feature].values;
    const uint32_t *order = growth->orders[feature];
    struct sums left = {0};

    for (size_t i = begin; i + 1 < end; i++) {
        double here = (double)values[order[i]], next = (double)values[order[i + 1]], gain;

        add_row(growth, order[i], &left);
        if (!(next > here))
            continue;
        gain = worth(left) +
               worth((struct sums){whole.weight - left.weight, whole.total - left.total}) -
               worth(whole);
        if (gain > best->gain)
            *best = (struct split){gain, feature, here + (next - here) / 2.0, 0};
    }
}

static void
try_choices(const struct growth *growth, uint32_t feature, size_t begin, size_t end,
            struct sums whole, struct split *best)
{
    const struct assay_forest_feature *shape = &growth->rows->features[feature];
    struct sums by_choice[ASSAY_FOREST_CHOICES_MAX] = {{0}}, left = {0};
    uint32_t order[ASSAY_FOREST_CHOICES_MAX];
    uint64_t members = 0, unseen = growth->box[feature].members;
    size_t n = 0;

    for (size_t i = begin; i < end; i++) {
        uint32_t row = growth->members[i];

        add_row(growth, row, &by_choice[(uint32_t)shape->values[row]]);
    }
    /* Insertion by mean: there are few. */
    for (uint32_t c = 0; c < shape->n_choices; c++) {
        size_t at = n;

        if (by_choice[c].weight <= 0.0)
            continue;
        for (; at > 0 && by_choice[order[at - 1]].total * by_choice[c].weight >
                             by_choice[c].total * by_choice[order[at - 1]].weight;
             at--)
            order[at] = order[at - 1];
        order[at] = c;
        unseen &= ~(UINT64_C(1) << c);
        n++;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        double gain;

        left.weight += by_choice[order[i]].weight;
        left.total += by_choice[order[i]].total;
        members |= UINT64_C(1) << order[i];
        gain = worth(left) +
               worth((struct sums){whole.weight - left.weight, whole.total - left.total}) -
               worth(whole);
        /* Choices the node has no row of go where most rows go. */
        if (gain > best->gain)
            *best = (struct split){gain, feature, 0.0,
                                   2.0 * left.weight > whole.weight ? members | unseen : members};
    }
}

static struct split
find_split(const struct growth *growth, size_t begin, size_t end, struct sums whole)
{
    struct split best = {.gain = 1e-12 * whole.weight}; /* below it is rounding */

    for (uint32_t f = 0; f < growth->rows->n_features; f++) {
        if (growth->rows->features[f].n_choices > 0)
            try_choices(growth, f, begin, end, whole, &best);
        else
            try_number(growth, f, begin, end, whole, &best);
    }
    if (best.gain <= 1e-12 * whole.weight)
        best.gain = 0.0;
    return best;
}

/* --- partition */

static size_t
partition(const struct growth *growth, uint32_t *rows, size_t begin, size_t end)
{
    size_t n_left = begin, n_right = 0;

    for (size_t i = begin; i < end; i++) {
        if (growth->left[rows[i]])
            rows[n_left++] = rows[i];
        else
            growth->room[n_right++] = rows[i];
    }
    memcpy(&rows[n_left], growth->room, n_right * sizeof *rows);
    return n_left;
}

/* Puts the node's rows of every array on their sides; where the right side begins. */
static size_t
part_rows(const struct growth *growth, const struct split *split, size_t begin, size_t end)
{
    const struct assay_forest_feature *shape = &growth->rows->features[split->feature];

    for (size_t i = begin; i < end; i++) {
        uint32_t row = growth->members[i];
        double value = (double)shape->values[row];

        growth->left[row] = shape->n_choices > 0 ? (split->members >> (unsigned)value & 1) != 0
                                                 : value < split->threshold;
    }
    for (uint32_t f = 0; f < growth->rows->n_features; f++) {
        if (growth->orders[f] != NULL)
            partition(growth, growth->orders[f], begin, end);
    }
    return partition(growth, growth->members, begin, end);
}

/* --- growing */

static void
add_leaf(struct growth *growth, struct sums sums)
{
    struct assay_forest_tree *tree = growth->tree;

    ASSAY_GROW(tree->leaves, tree->n_leaves, tree->leaves_capacity);
    tree->leaves[tree->n_leaves++] = (struct assay_forest_leaf){
        .value = sums.total / sums.weight,
        .first_side = tree->n_sides,
        .n_sides = growth->n_path,
    };
    for (size_t i = 0; i < growth->n_path; i++) {
        ASSAY_GROW(tree->sides, tree->n_sides, tree->sides_capacity);
        tree->sides[tree->n_sides++] = growth->box[growth->path[i]];
    }
}

static void
grow(struct growth *growth, size_t begin, size_t end, unsigned depth)
{
    struct sums sums = {0};
    struct split split = {0};
    struct assay_forest_side whole, *box;
    bool first;
    size_t middle;

    for (size_t i = begin; i < end; i++)
        add_row(growth, growth->members[i], &sums);
    if (end - begin > 1 && depth < ASSAY_FOREST_DEPTH_MAX)
        split = find_split(growth, begin, end, sums);
    if (split.gain <= 0.0) {
        add_leaf(growth, sums);
        return;
    }
    growth->tree->gains[split.feature] += split.gain;
    middle = part_rows(growth, &split, begin, end);
    box = &growth->box[split.feature];
    whole = *box;
    first = !growth->on_path[split.feature];
    if (first) {
        growth->on_path[split.feature] = true;
        growth->path[growth->n_path++] = split.feature;
    }
    box->high = split.threshold;
    box->members = whole.members & split.members;
    grow(growth, begin, middle, depth + 1);
    *box = whole;
    box->low = split.threshold;
    box->members = whole.members & ~split.members;
    grow(growth, middle, end, depth + 1);
    *box = whole;
    if (first) {
        growth->on_path[split.feature] = false;
        growth->n_path--;
    }
}

struct by_value {
    const float *values;
};

static int
compare_rows(const void *a, const void *b, void *arg)
{
    const struct by_value *by = arg;
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;

    if (by->values[i] != by->values[k])
        return by->values[i] < by->values[k] ? -1 : 1;
    return (i > k) - (i < k);
}

void
assay_forest_grow(const struct assay_forest_rows *rows, struct assay_random *random,
                  struct assay_forest_tree *ret_tree)
{
    size_t n_features = rows->n_features;
    assay_auto_free double *weights = assay_zalloc(rows->n_rows, sizeof *weights);
    assay_auto_free bool *left = assay_zalloc(rows->n_rows, sizeof *left);
    assay_auto_free uint32_t *members = assay_alloc(rows->n_rows, sizeof *members);
    assay_auto_free uint32_t *room = assay_alloc(rows->n_rows, sizeof *room);
    assay_auto_free uint32_t **orders = assay_zalloc(n_features + 1, sizeof *orders);
    assay_auto_free struct assay_forest_side *box = assay_zalloc(n_features + 1, sizeof *box);
    assay_auto_free uint32_t *path = assay_alloc(n_features + 1, sizeof *path);
    assay_auto_free bool *on_path = assay_zalloc(n_features + 1, sizeof *on_path);
    struct growth growth = {.rows = rows,
                            .tree = ret_tree,
                            .orders = orders,
                            .members = members,
                            .weights = weights,
                            .left = left,
                            .room = room,
                            .box = box,
                            .path = path,
                            .on_path = on_path};

    *ret_tree = (struct assay_forest_tree){.gains = assay_zalloc(n_features + 1, sizeof(double))};
    for (size_t i = 0; i < rows->n_rows; i++)
        weights[assay_random_below(random, rows->n_rows)] += 1.0;
    for (uint32_t i = 0; i < rows->n_rows; i++) {
        if (weights[i] > 0.0)
            members[growth.n++] = i;
    }
    for (uint32_t f = 0; f < n_features; f++) {
        uint32_t n_choices = rows->features[f].n_choices;
        struct by_value by = {rows->features[f].values};

        box[f] = (struct assay_forest_side){
            .feature = f,
            .low = 0.0,
            .high = 1.0,
            .members = n_choices < 64 ? (UINT64_C(1) << n_choices) - 1 : UINT64_MAX,
        };
        if (n_choices > 0)
            continue;
        orders[f] = assay_memdup(members, growth.n * sizeof *members);
        qsort_r(orders[f], growth.n, sizeof **orders, compare_rows, &by);
    }
    grow(&growth, 0, growth.n, 0);
    for (size_t f = 0; f < n_features; f++)
        free(orders[f]);
}

void
assay_forest_tree_done(struct assay_forest_tree *tree)
{
    free(tree->leaves);
    free(tree->sides);
    free(tree->gains);
    *tree = (struct assay_forest_tree){0};
}

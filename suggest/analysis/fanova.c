#include "suggest/analysis/fanova.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"

#define PURPOSE_FOREST 2u
#define CELLS_MAX 200000 /* rows times features */
#define ROWS_MIN 200
/* A set of 64 choices has no more runs of neighbours. */
#define RUNS_MAX 32

/* --- one tree: its marginals by sums of differences over the bins of each feature */

/* The bins a feature is cut into by the tree: between its thresholds, or its choices. */
struct axis {
    size_t n_bins;
    double *edges;         /* n_bins + 1 items; NULL for choices */
    const double *weights; /* of choices */
    double *marginal;      /* n_bins + 1 items; less the tree's mean */
    double elsewhere;      /* mean over leaves that do not cut this feature */
};

struct range {
    size_t begin, end;
};

static double
width_of(const struct axis *axis, size_t bin)
{
    return axis->edges != NULL ? axis->edges[bin + 1] - axis->edges[bin] : axis->weights[bin];
}

static size_t
find_edge(const struct axis *axis, double edge)
{
    size_t low = 0, high = axis->n_bins;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (axis->edges[middle] < edge)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
make_axes(const struct assay_fanova_shape *shape, const struct assay_forest_tree *tree,
          struct axis *axes)
{
    for (size_t i = 0; i < tree->n_sides; i++)
        axes[tree->sides[i].feature].n_bins++;
    for (size_t f = 0; f < shape->n_features; f++) {
        struct axis *axis = &axes[f];

        if (shape->features[f].n_choices > 0) {
            axis->weights = shape->weights[f];
            axis->n_bins = shape->features[f].n_choices;
        } else {
            axis->edges = assay_alloc(axis->n_bins + 2, sizeof(double));
            axis->edges[0] = 0.0;
            axis->n_bins = 1;
        }
    }
    /* Each threshold is the upper side of some leaf. */
    for (size_t i = 0; i < tree->n_sides; i++) {
        const struct assay_forest_side *side = &tree->sides[i];
        struct axis *axis = &axes[side->feature];

        if (axis->edges != NULL && side->high < 1.0)
            axis->edges[axis->n_bins++] = side->high;
    }
    for (size_t f = 0; f < shape->n_features; f++) {
        struct axis *axis = &axes[f];
        size_t n = 1;

        if (axis->edges != NULL) {
            qsort(axis->edges, axis->n_bins, sizeof(double), assay_compare_doubles);
            for (size_t i = 1; i < axis->n_bins; i++) {
                if (axis->edges[i] > axis->edges[n - 1])
                    axis->edges[n++] = axis->edges[i];
            }
            axis->edges[n] = 1.0;
            axis->n_bins = n;
        }
        axis->marginal = assay_zalloc(axis->n_bins + 1, sizeof(double));
    }
}

/* The stretches of bins inside the side. */
static size_t
find_runs(const struct axis *axis, const struct assay_forest_side *side,
          struct range runs[RUNS_MAX])
{
    size_t n = 0;

    if (axis->edges != NULL) {
        runs[0] = (struct range){find_edge(axis, side->low), find_edge(axis, side->high)};
        return 1;
    }
    for (size_t bin = 0; bin < axis->n_bins; bin++) {
        if ((side->members >> bin & 1) == 0)
            continue;
        if (n > 0 && runs[n - 1].end == bin)
            runs[n - 1].end++;
        else
            runs[n++] = (struct range){bin, bin + 1};
    }
    return n;
}

static double
measure_of(const struct axis *axis, const struct assay_forest_side *side)
{
    double measure = 0.0;

    if (axis->edges != NULL)
        return side->high - side->low;
    for (size_t bin = 0; bin < axis->n_bins; bin++) {
        if ((side->members >> bin & 1) != 0)
            measure += axis->weights[bin];
    }
    return measure;
}

/* Measure of the leaf's box, and of each of its sides. */
static double
measure_leaf(const struct assay_forest_tree *tree, const struct assay_forest_leaf *leaf,
             const struct axis *axes, double *ret_measures)
{
    double volume = 1.0;

    for (size_t i = 0; i < leaf->n_sides; i++) {
        const struct assay_forest_side *side = &tree->sides[leaf->first_side + i];

        ret_measures[i] = measure_of(&axes[side->feature], side);
        volume *= ret_measures[i];
    }
    return volume;
}

static void
add_leaf_to_marginals(const struct assay_forest_tree *tree, const struct assay_forest_leaf *leaf,
                      double volume, const double *measures, struct axis *axes)
{
    for (size_t i = 0; i < leaf->n_sides; i++) {
        const struct assay_forest_side *side = &tree->sides[leaf->first_side + i];
        struct axis *axis = &axes[side->feature];
        struct range runs[RUNS_MAX];
        size_t n_runs = find_runs(axis, side, runs);

        axis->elsewhere -= leaf->value * volume;
        for (size_t r = 0; r < n_runs; r++) {
            axis->marginal[runs[r].begin] += leaf->value * volume / measures[i];
            axis->marginal[runs[r].end] -= leaf->value * volume / measures[i];
        }
    }
}

static double
variance_of_marginal(struct axis *axis, double mean)
{
    double running = 0.0, variance = 0.0;

    for (size_t bin = 0; bin < axis->n_bins; bin++) {
        running += axis->marginal[bin];
        axis->marginal[bin] = running + axis->elsewhere - mean;
        variance += width_of(axis, bin) * axis->marginal[bin] * axis->marginal[bin];
    }
    return variance;
}

static const struct assay_forest_side *
find_side(const struct assay_forest_tree *tree, const struct assay_forest_leaf *leaf,
          uint32_t feature, size_t *ret_place)
{
    for (size_t i = 0; i < leaf->n_sides; i++) {
        if (tree->sides[leaf->first_side + i].feature == feature) {
            *ret_place = i;
            return &tree->sides[leaf->first_side + i];
        }
    }
    return NULL;
}

/* Variance of the joint marginal beyond the two: that of A(x, y) - a(x) - b(y) + mean.
 * Leaves that do not cut both features add nothing to it but through the marginals. */
static double
variance_of_pair(const struct assay_forest_tree *tree, const struct axis *axes,
                 const double *volumes, const double *measures, const uint32_t pair[2])
{
    const struct axis *x = &axes[pair[0]], *y = &axes[pair[1]];
    size_t stride = y->n_bins + 1;
    assay_auto_free double *joint = assay_zalloc((x->n_bins + 1) * stride, sizeof *joint);
    assay_auto_free double *in_x = assay_zalloc(x->n_bins + 1, sizeof *in_x);
    assay_auto_free double *in_y = assay_zalloc(y->n_bins + 1, sizeof *in_y);
    double both = 0.0, variance = 0.0, running_x = 0.0;

    for (size_t l = 0; l < tree->n_leaves; l++) {
        const struct assay_forest_leaf *leaf = &tree->leaves[l];
        size_t at_x, at_y, n_x, n_y;
        const struct assay_forest_side *side_x = find_side(tree, leaf, pair[0], &at_x);
        const struct assay_forest_side *side_y = find_side(tree, leaf, pair[1], &at_y);
        struct range runs_x[RUNS_MAX], runs_y[RUNS_MAX];
        double part = leaf->value * volumes[l], wide, high;

        if (side_x == NULL || side_y == NULL)
            continue;
        wide = measures[leaf->first_side + at_x];
        high = measures[leaf->first_side + at_y];
        n_x = find_runs(x, side_x, runs_x);
        n_y = find_runs(y, side_y, runs_y);
        both += part;
        for (size_t i = 0; i < n_x; i++) {
            in_x[runs_x[i].begin] += part / wide;
            in_x[runs_x[i].end] -= part / wide;
            for (size_t k = 0; k < n_y; k++) {
                double density = part / wide / high;

                joint[runs_x[i].begin * stride + runs_y[k].begin] += density;
                joint[runs_x[i].begin * stride + runs_y[k].end] -= density;
                joint[runs_x[i].end * stride + runs_y[k].begin] -= density;
                joint[runs_x[i].end * stride + runs_y[k].end] += density;
            }
        }
        for (size_t k = 0; k < n_y; k++) {
            in_y[runs_y[k].begin] += part / high;
            in_y[runs_y[k].end] -= part / high;
        }
    }
    for (size_t k = 1; k < y->n_bins; k++)
        in_y[k] += in_y[k - 1];
    for (size_t i = 0; i < x->n_bins; i++) {
        double running = 0.0;

        running_x += in_x[i];
        for (size_t k = 0; k < y->n_bins; k++) {
            double apart;

            if (i > 0)
                joint[i * stride + k] += joint[(i - 1) * stride + k];
            running += joint[i * stride + k];
            apart = running - running_x - in_y[k] + both;
            variance += width_of(x, i) * width_of(y, k) * apart * apart;
        }
    }
    return variance;
}

void
assay_fanova_tree(const struct assay_fanova_shape *shape, const struct assay_forest_tree *tree,
                  double *ret_total, double *ret_main, const uint32_t (*pairs)[2], size_t n_pairs,
                  double *ret_pairs)
{
    assay_auto_free struct axis *axes = assay_zalloc(shape->n_features + 1, sizeof *axes);
    assay_auto_free double *measures = assay_alloc(tree->n_sides + 1, sizeof *measures);
    assay_auto_free double *volumes = assay_alloc(tree->n_leaves, sizeof *volumes);
    double mean = 0.0, squares = 0.0;

    make_axes(shape, tree, axes);
    for (size_t l = 0; l < tree->n_leaves; l++) {
        const struct assay_forest_leaf *leaf = &tree->leaves[l];

        volumes[l] = measure_leaf(tree, leaf, axes, &measures[leaf->first_side]);
        mean += leaf->value * volumes[l];
        add_leaf_to_marginals(tree, leaf, volumes[l], &measures[leaf->first_side], axes);
    }
    for (size_t l = 0; l < tree->n_leaves; l++)
        squares += volumes[l] * (tree->leaves[l].value - mean) * (tree->leaves[l].value - mean);
    *ret_total = squares;
    for (size_t f = 0; f < shape->n_features; f++) {
        axes[f].elsewhere += mean;
        ret_main[f] = variance_of_marginal(&axes[f], mean);
    }
    for (size_t p = 0; p < n_pairs; p++)
        ret_pairs[p] = variance_of_pair(tree, axes, volumes, measures, pairs[p]);
    for (size_t f = 0; f < shape->n_features; f++) {
        free(axes[f].edges);
        free(axes[f].marginal);
    }
}

/* --- the forest */

struct room {
    size_t n, d;
    float *values; /* d columns of n; NaN where inactive */
    float *filled; /* the same with inactive ones drawn for the tree at hand */
    double *targets;
    bool *has_holes;  /* by feature */
    double **weights; /* by feature; NULL = number */
    struct assay_forest_feature *features;
    double *gains; /* by feature, over all trees */
};

static void
room_done(struct room *room)
{
    for (size_t f = 0; f < room->d; f++)
        free(room->weights[f]);
    free(room->values);
    free(room->filled);
    free(room->targets);
    free(room->has_holes);
    free(room->weights);
    free(room->features);
    free(room->gains);
}

/* The rows that are looked at: at most so many, drawn evenly. */
static size_t
choose_rows(const struct assay_analysis_trials *trials, struct assay_random *random, size_t *rows,
            bool *ret_all)
{
    size_t d = ASSAY_MAX(trials->space->n_parameters, (size_t)1), n = 0, n_seen = 0;
    size_t most =
        ASSAY_MIN(ASSAY_MAX((size_t)ROWS_MIN, CELLS_MAX / d), (size_t)ASSAY_FANOVA_TRIALS_MAX);

    for (size_t i = 0; i < trials->n; i++) {
        size_t place = n;

        if (!isfinite(trials->values[i * trials->n_objectives]))
            continue;
        n_seen++;
        if (n == most)
            place = (size_t)assay_random_below(random, n_seen);
        else
            n++;
        if (place < most)
            rows[place] = i;
    }
    *ret_all = n == n_seen && trials->n == trials->n_seen;
    return n;
}

/* Mean 0 and variance 1; false when all are the same. */
static bool
take_targets(const struct assay_analysis_trials *trials, const size_t *rows, struct room *room)
{
    double scale = 0.0, mean = 0.0, squares = 0.0;

    for (size_t i = 0; i < room->n; i++) {
        room->targets[i] = trials->values[rows[i] * trials->n_objectives];
        scale = fmax(scale, fabs(room->targets[i]));
    }
    for (size_t i = 0; i < room->n; i++) {
        room->targets[i] /= scale > 0.0 ? scale : 1.0;
        mean += room->targets[i] / (double)room->n;
    }
    for (size_t i = 0; i < room->n; i++) {
        room->targets[i] -= mean;
        squares += room->targets[i] * room->targets[i] / (double)room->n;
    }
    if (!(squares > 1e-28)) /* what rounding leaves of equal values */
        return false;
    for (size_t i = 0; i < room->n; i++)
        room->targets[i] /= sqrt(squares);
    return true;
}

struct choice_count {
    size_t choice, count;
};

static int
compare_counts(const void *a, const void *b)
{
    const struct choice_count *left = a, *right = b;

    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    return (left->choice > right->choice) - (left->choice < right->choice);
}

/* Choices as sets of at most 64: the most frequent ones, and one for all the others. */
static void
take_choices(struct room *room, size_t f, size_t n_choices)
{
    assay_auto_free struct choice_count *counts = assay_zalloc(n_choices, sizeof *counts);
    assay_auto_free uint32_t *group = assay_alloc(n_choices, sizeof *group);
    uint32_t n_groups = (uint32_t)ASSAY_MIN(n_choices, (size_t)ASSAY_FOREST_CHOICES_MAX);
    float *column = &room->values[f * room->n];

    for (size_t c = 0; c < n_choices; c++)
        counts[c].choice = c;
    for (size_t i = 0; i < room->n; i++) {
        if (!isnan(column[i]))
            counts[(size_t)column[i]].count++;
    }
    if (n_choices > n_groups)
        qsort(counts, n_choices, sizeof *counts, compare_counts);
    room->weights[f] = assay_zalloc(n_groups, sizeof(double));
    for (size_t c = 0; c < n_choices; c++) {
        group[counts[c].choice] = (uint32_t)ASSAY_MIN(c, (size_t)n_groups - 1);
        room->weights[f][group[counts[c].choice]] += 1.0 / (double)n_choices;
    }
    for (size_t i = 0; i < room->n; i++) {
        if (!isnan(column[i]))
            column[i] = (float)group[(size_t)column[i]];
    }
    room->features[f].n_choices = n_groups;
}

static void
take_features(const struct assay_analysis_trials *trials, const size_t *rows, struct room *room)
{
    for (size_t f = 0; f < room->d; f++) {
        const struct assay_plugin_parameter *parameter = trials->space->parameters[f];

        for (size_t i = 0; i < room->n; i++) {
            room->values[f * room->n + i] = trials->units[rows[i] * room->d + f];
            room->has_holes[f] |= isnan(room->values[f * room->n + i]) != 0;
        }
        if (assay_analysis_is_choice(parameter))
            take_choices(room, f, (size_t)parameter->cardinality);
        room->features[f].values = &room->filled[f * room->n];
    }
    memcpy(room->filled, room->values, room->n * room->d * sizeof(float));
}

static float
draw_choice(const double *weights, uint32_t n, double unit)
{
    uint32_t choice = 0;

    while (choice + 1 < n && unit >= weights[choice])
        unit -= weights[choice++];
    return (float)choice;
}

/* Where a parameter is inactive it can not matter: values drawn evenly, others for each
 * tree, leave nothing to be learned from it there, nor from its being inactive. */
static void
fill_holes(struct room *room, struct assay_random *random)
{
    for (size_t f = 0; f < room->d; f++) {
        const struct assay_forest_feature *feature = &room->features[f];

        for (size_t i = 0; i < room->n && room->has_holes[f]; i++) {
            double unit;

            if (!isnan(room->values[f * room->n + i]))
                continue;
            unit = assay_random_unit(random);
            room->filled[f * room->n + i] =
                feature->n_choices > 0 ? draw_choice(room->weights[f], feature->n_choices, unit)
                                       : (float)unit;
        }
    }
}

static void
grow_tree(struct room *room, uint64_t number, struct assay_forest_tree *ret_tree)
{
    const struct assay_forest_rows rows = {.n_rows = room->n,
                                           .n_features = room->d,
                                           .features = room->features,
                                           .targets = room->targets};
    struct assay_random random;

    assay_random_init(&random, 0, number + 1, PURPOSE_FOREST);
    fill_holes(room, &random);
    assay_forest_grow(&rows, &random, ret_tree);
}

/* Pairs of the features with the largest gains; how many. */
static size_t
choose_pairs(const struct room *room, uint32_t (*pairs)[2])
{
    uint32_t chosen[ASSAY_FANOVA_PARAMETERS_MAX];
    size_t n = 0, n_pairs = 0;

    for (uint32_t f = 0; f < room->d; f++) {
        size_t at = ASSAY_MIN(n, (size_t)ASSAY_FANOVA_PARAMETERS_MAX);

        if (room->gains[f] <= 0.0)
            continue;
        for (; at > 0 && room->gains[chosen[at - 1]] < room->gains[f]; at--) {
            if (at < ASSAY_FANOVA_PARAMETERS_MAX)
                chosen[at] = chosen[at - 1];
        }
        if (at < ASSAY_FANOVA_PARAMETERS_MAX) {
            chosen[at] = f;
            n = ASSAY_MIN(n + 1, (size_t)ASSAY_FANOVA_PARAMETERS_MAX);
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1; k < n; k++) {
            pairs[n_pairs][0] = ASSAY_MIN(chosen[i], chosen[k]);
            pairs[n_pairs++][1] = ASSAY_MAX(chosen[i], chosen[k]);
        }
    }
    return n_pairs;
}

static int
compare_interactions(const void *a, const void *b)
{
    const struct assay_interaction *left = a, *right = b;

    if (left->share != right->share)
        return left->share > right->share ? -1 : 1;
    if (left->a != right->a)
        return left->a < right->a ? -1 : 1;
    return (left->b > right->b) - (left->b < right->b);
}

/* Integrates every tree; the trees are grown once more for the pairs, which are known
 * only after all, rather than kept. */
static void
integrate(struct room *room, bool interactions, struct assay_importance *importance)
{
    const struct assay_fanova_shape shape = {.n_features = room->d,
                                             .features = room->features,
                                             .weights = (const double *const *)room->weights};
    uint32_t pairs[ASSAY_FANOVA_PARAMETERS_MAX * (ASSAY_FANOVA_PARAMETERS_MAX - 1) / 2][2];
    assay_auto_free double *raw = assay_zalloc(room->d + 1, sizeof *raw);
    assay_auto_free double *main = assay_zalloc(room->d + 1, sizeof *main);
    assay_auto_free double *apart = assay_zalloc(ASSAY_COUNT(pairs), sizeof *apart);
    size_t n_pairs = 0, n_trees = 0;
    struct assay_forest_tree tree;
    double total;

    for (uint64_t t = 0; t < ASSAY_FANOVA_TREES; t++) {
        grow_tree(room, t, &tree);
        assay_fanova_tree(&shape, &tree, &total, main, NULL, 0, NULL);
        if (total > 1e-12) {
            n_trees++;
            for (size_t f = 0; f < room->d; f++) {
                raw[f] += main[f] / total;
                room->gains[f] += tree.gains[f];
            }
        }
        assay_forest_tree_done(&tree);
    }
    if (!assay_importance_set(importance, raw))
        return;
    importance->explained = 0.0;
    for (size_t f = 0; f < room->d; f++)
        importance->explained += raw[f] / (double)n_trees;
    if (!interactions)
        return;
    n_pairs = choose_pairs(room, pairs);
    importance->interactions = assay_zalloc(n_pairs + 1, sizeof *importance->interactions);
    importance->n_interactions = n_pairs;
    for (uint64_t t = 0; t < ASSAY_FANOVA_TREES; t++) {
        grow_tree(room, t, &tree);
        assay_fanova_tree(&shape, &tree, &total, main, (const uint32_t(*)[2])pairs, n_pairs, apart);
        for (size_t p = 0; p < n_pairs && total > 1e-12; p++)
            importance->interactions[p].share += apart[p] / total / (double)n_trees;
        assay_forest_tree_done(&tree);
    }
    for (size_t p = 0; p < n_pairs; p++) {
        importance->interactions[p].a = pairs[p][0];
        importance->interactions[p].b = pairs[p][1];
    }
    qsort(importance->interactions, n_pairs, sizeof *importance->interactions,
          compare_interactions);
}

void
assay_fanova(const struct assay_analysis_trials *trials, bool interactions,
             struct assay_importance *ret_importance)
{
    assay_auto_free size_t *rows = assay_alloc(trials->n + 1, sizeof *rows);
    struct room room = {.d = trials->space->n_parameters};
    struct assay_random random;
    bool all;

    assay_importance_init(ret_importance, trials);
    assay_random_init(&random, 0, 0, PURPOSE_FOREST);
    room.n = choose_rows(trials, &random, rows, &all);
    ret_importance->n_trials = room.n;
    if (room.n < ASSAY_ANALYSIS_TRIALS_MIN) {
        snprintf(ret_importance->message, sizeof ret_importance->message,
                 "At least %d trials with a finite value are needed; there %s %zu.",
                 ASSAY_ANALYSIS_TRIALS_MIN, room.n == 1 ? "is" : "are", room.n);
        return;
    }
    room.values = assay_alloc(room.n * room.d + 1, sizeof(float));
    room.filled = assay_alloc(room.n * room.d + 1, sizeof(float));
    room.targets = assay_alloc(room.n, sizeof(double));
    room.has_holes = assay_zalloc(room.d + 1, sizeof(bool));
    room.weights = assay_zalloc(room.d + 1, sizeof *room.weights);
    room.features = assay_zalloc(room.d + 1, sizeof *room.features);
    room.gains = assay_zalloc(room.d + 1, sizeof(double));
    if (!take_targets(trials, rows, &room)) {
        snprintf(ret_importance->message, sizeof ret_importance->message,
                 "All trials are equally good, so no parameter matters.");
    } else {
        take_features(trials, rows, &room);
        integrate(&room, interactions, ret_importance);
        if (ret_importance->message[0] == '\0' && !all)
            snprintf(ret_importance->message, sizeof ret_importance->message,
                     "From a sample of %zu of the %zu ended trials.", room.n, trials->n_seen);
    }
    room_done(&room);
}

/* Regression trees grown on bootstrap samples, as boxes with values: what fANOVA
 * integrates over.
 *
 * A tree splits where the sum of squares falls most, over all features, until leaves
 * have one distinct row, equal values, or depth 64 (L. Breiman, "Random forests",
 * Machine Learning 45, 2001).  Choices are split as sets: put in the order of their
 * mean values, the best split of the order is the best of all sets (W. D. Fisher, 1958).
 *
 * Growing costs O(rows features depth) after one sort per feature.  Pure: the stream
 * given decides; any thread. */
#ifndef ASSAY_SUGGEST_ANALYSIS_FOREST_H
#define ASSAY_SUGGEST_ANALYSIS_FOREST_H

#include "common/random.h"

#define ASSAY_FOREST_DEPTH_MAX 64
/* Members of a set fit one word. */
#define ASSAY_FOREST_CHOICES_MAX 64

/* Values of one feature, `n_rows` of them. */
struct assay_forest_feature {
    uint32_t n_choices; /* 0: numbers in [0, 1]; else 1..64 choices, values are indices */
    const float *values;
};

struct assay_forest_rows {
    size_t n_rows, n_features;
    const struct assay_forest_feature *features;
    const double *targets;
};

/* One side of a leaf's box; features without a side go from end to end. */
struct assay_forest_side {
    uint32_t feature;
    double low, high; /* of numbers */
    uint64_t members; /* of choices: bit per choice */
};

struct assay_forest_leaf {
    double value;
    size_t first_side, n_sides;
};

struct assay_forest_tree {
    struct assay_forest_leaf *leaves;
    size_t n_leaves, leaves_capacity;
    struct assay_forest_side *sides;
    size_t n_sides, sides_capacity;
    double *gains; /* by feature: how much its splits took off the sum of squares */
};

/* Grows a tree on a bootstrap sample of the rows (at least one).  Caller:
 * assay_forest_tree_done. */
void assay_forest_grow(const struct assay_forest_rows *rows, struct assay_random *random,
                       struct assay_forest_tree *ret_tree);
void assay_forest_tree_done(struct assay_forest_tree *tree);

#endif

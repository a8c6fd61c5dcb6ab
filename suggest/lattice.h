/* A grid laid over a space: how many cells it has and which point the n-th is.
 *
 * Conditions are honoured exactly: a child is counted and varied only where its
 * parents let it be active.  Cells are numbered like an odometer, but parameters
 * that are tied by conditions stand together, parents before children.
 *
 * Counting is dynamic programming over the components of the condition graph:
 * the state at a parameter is, for each parent with children still to come, the
 * kind of its value (values that satisfy the same conditions are of one kind).
 * Trees cost O(parameters * kinds); badly entangled graphs are refused after
 * ASSAY_LATTICE_STATES_MAX states.
 *
 * One thread at a time: `at` uses the table that counting filled. */
#ifndef ASSAY_SUGGEST_LATTICE_H
#define ASSAY_SUGGEST_LATTICE_H

#include "suggest/view.h"

#define ASSAY_LATTICE_STATES_MAX 100000

struct assay_lattice;

/* Ranges with a step, ints on the linear scale and choices have all their values;
 * a double without a step has `points_per_range` (1 to 1,000) values evenly on
 * its scale, the ends included (the middle when it is 1), and so has an int on a
 * logarithmic scale that has more values than that (fewer where they round to the
 * same).  `space` is borrowed. */
struct assay_lattice *assay_lattice_new(const struct assay_plugin_space *space,
                                        uint64_t points_per_range);
struct assay_lattice *assay_lattice_free(struct assay_lattice *lattice); /* returns NULL */

/* Number of cells; 0 when there are more than 2^63 or the conditions are too
 * entangled to count. */
uint64_t assay_lattice_count(const struct assay_lattice *lattice);

/* The point of cell `index` < count. */
void assay_lattice_at(struct assay_lattice *lattice, uint64_t index, double *ret_point);

#endif

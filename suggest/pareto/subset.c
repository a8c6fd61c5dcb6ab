#include "suggest/pareto/subset.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/pareto/domination.h"
#include "suggest/pareto/hypervolume.h"

/* Rows that are below the reference, scaled so that it is 0 and the best of each
 * objective -1: no product overflows, and the choice is the same. */
struct scaled {
    double *rows;
    size_t *of; /* index in the table */
    size_t n, m;
};

static struct scaled
scale(const double *values, size_t n, size_t m, const double *reference)
{
    struct scaled scaled = {.rows = assay_alloc(n * m + 1, sizeof(double)),
                            .of = assay_alloc(n + 1, sizeof(size_t)),
                            .m = m};

    for (size_t i = 0; i < n; i++) {
        bool below = true;

        for (size_t k = 0; k < m; k++)
            below = below && values[i * m + k] < reference[k];
        if (below)
            scaled.of[scaled.n++] = i;
    }
    for (size_t k = 0; k < m; k++) {
        double best = reference[k];

        for (size_t i = 0; i < scaled.n; i++)
            best = fmin(best, values[scaled.of[i] * m + k]);
        /* Halved: the difference of two large numbers may overflow. */
        for (size_t i = 0; i < scaled.n; i++)
            scaled.rows[i * m + k] = (values[scaled.of[i] * m + k] / 2.0 - reference[k] / 2.0) /
                                     (reference[k] / 2.0 - best / 2.0);
    }
    return scaled;
}

/* --- two objectives --- */

/* The upper hull of lines intercept + slope * q, with slopes falling in the order in
 * which they come and q falling in the order in which it is asked for: each line's time
 * is one stretch of q. */
struct line {
    double slope, intercept;
    size_t of;
};

static double
at(const struct line *line, double q)
{
    return line->intercept + line->slope * q;
}

/* Whether b is nowhere above both a (steeper) and c (flatter). */
static bool
is_hidden(const struct line *a, const struct line *b, const struct line *c)
{
    return (c->intercept - a->intercept) * (a->slope - b->slope) >=
           (b->intercept - a->intercept) * (a->slope - c->slope);
}

/* Best volume of `size` rows of which row j is the last, from the same for one fewer:
 * row j adds -x_j wide strips from the second objective of the row before down to its
 * own.  `from` is where the best came from. */
static void
extend(const double *rows, const size_t *front, size_t n, size_t size, const double *volumes,
       struct line *hull, double *ret_volumes, size_t *ret_from)
{
    size_t first = 0, end = 0;

    for (size_t j = 0; j < n; j++) {
        double x = rows[front[j] * 2], y = rows[front[j] * 2 + 1];

        if (size == 1) {
            ret_volumes[j] = x * y;
            continue;
        }
        ret_volumes[j] = -INFINITY;
        if (j + 1 >= size) {
            struct line line = {.slope = rows[front[j - 1] * 2 + 1],
                                .intercept = volumes[j - 1],
                                .of = j - 1};

            while (end - first >= 2 && is_hidden(&hull[end - 2], &hull[end - 1], &line))
                end--;
            hull[end++] = line;
            while (end - first >= 2 && at(&hull[first], -x) <= at(&hull[first + 1], -x))
                first++;
            ret_volumes[j] = at(&hull[first], -x) + x * y;
            ret_from[j] = hull[first].of;
        }
    }
}

/* The best k of the front's n rows (first objective growing), k < n. */
static void
choose_two(const double *rows, const size_t *front, size_t n, size_t k, size_t *ret_chosen)
{
    assay_auto_free double *volumes = assay_alloc(n, sizeof *volumes);
    assay_auto_free double *next = assay_alloc(n, sizeof *next);
    assay_auto_free struct line *hull = assay_alloc(n + 1, sizeof *hull);
    assay_auto_free size_t *from = assay_zalloc(k * n, sizeof *from);
    size_t best = k - 1;

    for (size_t size = 1; size <= k; size++) {
        extend(rows, front, n, size, volumes, hull, next, &from[(size - 1) * n]);
        memcpy(volumes, next, n * sizeof *volumes);
    }
    for (size_t j = k; j < n; j++) {
        if (volumes[j] > volumes[best])
            best = j;
    }
    for (size_t size = k; size > 0; size--) {
        ret_chosen[size - 1] = front[best];
        best = from[(size - 1) * n + best];
    }
}

/* --- more --- */

/* What a row adds to the rows chosen, whose coordinates are in `chosen`. */
static double
gain_of(const double *row, const double *chosen, size_t n, size_t m, const double *zero,
        double *limited)
{
    double product = 1.0;

    for (size_t k = 0; k < m; k++)
        product *= -row[k];
    for (size_t i = 0; i < n * m; i++)
        limited[i] = fmax(chosen[i], row[i % m]);
    return product - assay_pareto_hypervolume(limited, n, m, zero);
}

/* Gains only fall as rows are chosen, so the old ones are bounds. */
static void
choose_greedily(const double *rows, const size_t *front, size_t n, size_t m, size_t k,
                size_t *ret_chosen)
{
    assay_auto_free double *gains = assay_alloc(n, sizeof *gains);
    assay_auto_free size_t *seen = assay_zalloc(n, sizeof *seen); /* how many were chosen then */
    assay_auto_free double *chosen = assay_alloc(k * m, sizeof *chosen);
    assay_auto_free double *limited = assay_alloc(k * m, sizeof *limited);
    assay_auto_free double *zero = assay_zalloc(m, sizeof *zero);

    for (size_t i = 0; i < n; i++)
        gains[i] = gain_of(&rows[front[i] * m], chosen, 0, m, zero, limited);
    for (size_t size = 0; size < k;) {
        size_t best = 0;

        for (size_t i = 1; i < n; i++) {
            if (gains[i] > gains[best])
                best = i;
        }
        if (seen[best] < size) {
            gains[best] = gain_of(&rows[front[best] * m], chosen, size, m, zero, limited);
            seen[best] = size;
            continue;
        }
        ret_chosen[size] = front[best];
        memcpy(&chosen[size++ * m], &rows[front[best] * m], m * sizeof *chosen);
        gains[best] = -INFINITY;
        seen[best] = k;
    }
}

void
assay_pareto_subset(const double *values, size_t n, size_t m, const double *reference, size_t k,
                    size_t *ret_rows)
{
    struct scaled scaled = scale(values, n, m, reference);
    assay_auto_free size_t *front = assay_alloc(scaled.n + 1, sizeof *front);
    assay_auto_free bool *taken = assay_zalloc(n + 1, sizeof *taken);
    size_t n_front, n_chosen;

    n_front = assay_pareto_front_rows(scaled.rows, scaled.n, m, front);
    n_chosen = ASSAY_MIN(k, n_front);
    if (n_chosen == 0 || k >= n_front)
        memcpy(ret_rows, front, n_chosen * sizeof *ret_rows);
    else if (m <= 2)
        choose_two(scaled.rows, front, n_front, k, ret_rows);
    else
        choose_greedily(scaled.rows, front, n_front, m, k, ret_rows);
    for (size_t i = 0; i < n_chosen; i++) {
        ret_rows[i] = scaled.of[ret_rows[i]];
        taken[ret_rows[i]] = true;
    }
    for (size_t i = 0; i < n && n_chosen < k; i++) {
        if (!taken[i])
            ret_rows[n_chosen++] = i;
    }
    free(scaled.rows);
    free(scaled.of);
}

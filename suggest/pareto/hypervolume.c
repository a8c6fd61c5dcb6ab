#include "suggest/pareto/hypervolume.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/pareto/domination.h"

void
assay_pareto_reference(const double *values, size_t n, size_t m, double *ret_reference)
{
    for (size_t k = 0; k < m; k++) {
        double best = values[k], worst = values[k], margin;

        for (size_t i = 1; i < n; i++) {
            best = fmin(best, values[i * m + k]);
            worst = fmax(worst, values[i * m + k]);
        }
        margin = 0.1 * worst - 0.1 * best;
        if (margin <= 0.0)
            margin = worst != 0.0 ? 0.1 * fabs(worst) : 0.1;
        ret_reference[k] = fmax(worst + margin, nextafter(worst, INFINITY));
    }
}

/* --- volume --- */

/* Rows stand in one order for each number of objectives, so that `volume` is the same
 * whatever the order of the table. */
struct by_objective {
    const double *rows;
    size_t stride, m;
};

/* Smallest last objective first, then smallest last but one, ... */
static int
compare_from_last(const void *a, const void *b, void *arg)
{
    const struct by_objective *by = arg;
    const double *x = &by->rows[*(const size_t *)a * by->stride];
    const double *y = &by->rows[*(const size_t *)b * by->stride];

    for (size_t k = by->m; k-- > 0;) {
        if (x[k] != y[k])
            return x[k] < y[k] ? -1 : 1;
    }
    return 0;
}

static size_t *
sorted_rows(const double *rows, size_t n, size_t stride, size_t m)
{
    struct by_objective by = {rows, stride, m};
    size_t *order = assay_alloc(n + 1, sizeof *order);

    for (size_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof *order, compare_from_last, &by);
    return order;
}

/* Rows come with the second objective growing: each adds the strip to the left of the
 * smallest first objective so far. */
static double
area(const double *rows, const size_t *order, size_t n, size_t stride, const double *reference)
{
    double total = 0.0, left = reference[0];

    for (size_t i = 0; i < n; i++) {
        const double *row = &rows[order[i] * stride];

        if (row[0] < left) {
            total += (left - row[0]) * (reference[1] - row[1]);
            left = row[0];
        }
    }
    return total;
}

/* A staircase: first objective growing, second shrinking. */
struct stairs {
    double (*steps)[2];
    size_t n;
    double area;
};

/* Adds a step and takes away those it dominates; the area grows by what is new. */
static void
add_step(struct stairs *stairs, double x, double y, const double *reference)
{
    double (*steps)[2] = stairs->steps, left = x, above;
    size_t low = 0, high = stairs->n, end;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (steps[middle][0] < x)
            low = middle + 1;
        else
            high = middle;
    }
    above = low > 0 ? steps[low - 1][1] : reference[1];
    if (above <= y || (low < stairs->n && steps[low][0] == x && steps[low][1] <= y))
        return;
    for (end = low; end < stairs->n && steps[end][1] >= y; end++) {
        stairs->area += (steps[end][0] - left) * (above - y);
        left = steps[end][0];
        above = steps[end][1];
    }
    stairs->area += ((end < stairs->n ? steps[end][0] : reference[0]) - left) * (above - y);
    memmove(&steps[low + 1], &steps[end], (stairs->n - end) * sizeof *steps);
    stairs->n = stairs->n - (end - low) + 1;
    steps[low][0] = x;
    steps[low][1] = y;
}

static double
volume_three(const double *rows, const size_t *order, size_t n, size_t stride,
             const double *reference)
{
    struct stairs stairs = {.steps = assay_alloc(n + 2, sizeof *stairs.steps)};
    double total = 0.0;

    for (size_t i = 0; i < n; i++) {
        const double *row = &rows[order[i] * stride];
        double next = i + 1 < n ? rows[order[i + 1] * stride + 2] : reference[2];

        add_step(&stairs, row[0], row[1], reference);
        total += stairs.area * (next - row[2]);
    }
    free(stairs.steps);
    return total;
}

static double volume(const double *rows, size_t n, size_t stride, size_t m,
                     const double *reference);

/* Leaves out what others in the set dominate, or equal: less to do further down. */
static size_t
keep_front(double *rows, size_t n, size_t m)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        const double *row = &rows[i * m];
        bool beaten = false;

        for (size_t k = 0; k < kept && !beaten; k++) {
            beaten = true;
            for (size_t j = 0; j < m && beaten; j++)
                beaten = rows[k * m + j] <= row[j];
        }
        if (beaten)
            continue;
        for (size_t k = 0; k < kept;) {
            if (!assay_pareto_dominates(row, &rows[k * m], m)) {
                k++;
                continue;
            }
            kept--;
            memmove(&rows[k * m], &rows[kept * m], m * sizeof *rows);
        }
        memmove(&rows[kept++ * m], row, m * sizeof *rows);
    }
    return kept;
}

/* The volume of the box between a row and the reference. */
static double
box(const double *row, size_t m, const double *reference)
{
    double product = 1.0;

    for (size_t k = 0; k < m; k++)
        product *= reference[k] - row[k];
    return product;
}

/* What `row` dominates and the `n` others do not, in m objectives.  `limited`: room for
 * n rows of m. */
static double
exclusive(const double *row, const double *rows, const size_t *others, size_t n, size_t stride,
          size_t m, const double *reference, double *limited)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < m; k++)
            limited[i * m + k] = fmax(row[k], rows[others[i] * stride + k]);
    }
    n = keep_front(limited, n, m);
    return box(row, m, reference) - volume(limited, n, m, m, reference);
}

/* Slices along the last objective, the worst first: the rows that follow are no worse in
 * it, so within the slice only the other objectives count. */
static double
volume_slices(const double *rows, const size_t *order, size_t n, size_t stride, size_t m,
              const double *reference)
{
    assay_auto_free double *limited = assay_alloc(n * m + 1, sizeof *limited);
    double total = 0.0;

    for (size_t i = n; i-- > 0;) {
        const double *row = &rows[order[i] * stride];

        total += (reference[m - 1] - row[m - 1]) *
                 exclusive(row, rows, order, i, stride, m - 1, reference, limited);
    }
    return total;
}

static double
volume(const double *rows, size_t n, size_t stride, size_t m, const double *reference)
{
    assay_auto_free size_t *order = sorted_rows(rows, n, stride, m);

    if (n == 0)
        return 0.0;
    if (n == 1)
        return box(rows, m, reference);
    switch (m) {
    case 1:
        return reference[0] - rows[order[0] * stride];
    case 2:
        return area(rows, order, n, stride, reference);
    case 3:
        return volume_three(rows, order, n, stride, reference);
    default:
        return volume_slices(rows, order, n, stride, m, reference);
    }
}

static bool
is_below(const double *row, const double *reference, size_t m)
{
    for (size_t k = 0; k < m; k++) {
        if (!(row[k] < reference[k]))
            return false;
    }
    return true;
}

double
assay_pareto_hypervolume(const double *values, size_t n, size_t m, const double *reference)
{
    assay_auto_free double *rows = assay_alloc(n * m + 1, sizeof *rows);
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (is_below(&values[i * m], reference, m))
            memcpy(&rows[kept++ * m], &values[i * m], m * sizeof *rows);
    }
    if (m > 3)
        kept = keep_front(rows, kept, m);
    return volume(rows, kept, m, m, reference);
}

/* --- contributions --- */

void
assay_pareto_contributions(const double *values, size_t n, size_t m, const double *reference,
                           double *ret_contributions)
{
    assay_auto_free size_t *below = assay_alloc(n + 1, sizeof *below);
    assay_auto_free double *limited = assay_alloc(n * m + 1, sizeof *limited);
    size_t n_below = 0;

    for (size_t i = 0; i < n; i++) {
        ret_contributions[i] = 0.0;
        if (is_below(&values[i * m], reference, m))
            below[n_below++] = i;
    }
    for (size_t i = 0; i < n_below; i++) {
        size_t row = below[i];

        /* The row itself last, where it is not among the others. */
        below[i] = below[n_below - 1];
        below[n_below - 1] = row;
        ret_contributions[row] = fmax(
            exclusive(&values[row * m], values, below, n_below - 1, m, m, reference, limited), 0.0);
        below[n_below - 1] = below[i];
        below[i] = row;
    }
}

#include "suggest/pareto/boxes.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/pareto/domination.h"

/* The local upper bounds of the rows added so far: what is not dominated lies below one
 * of them.  Each knows, per objective j, the row that bounds it there: a row that has
 * the bound's j-th coordinate and is below it in all others, or at first the j-th dummy,
 * the corner in objective j and -inf elsewhere.
 *
 * Ties are broken as if each row added were a little greater than those before, so that
 * no two share a coordinate; a bound is below another row only strictly, and equal
 * counts as greater in the test for a new bound. */
struct bounds {
    size_t n, m, capacity;
    double *corners; /* n rows of m */
    double *definers; /* n times m rows of m */
};

static void
push(struct bounds *bounds, const double *corner, const double *definers)
{
    size_t m = bounds->m;

    if (bounds->n == bounds->capacity) {
        bounds->capacity = 2 * bounds->capacity + 16;
        bounds->corners =
            assay_realloc(bounds->corners, bounds->capacity * m, sizeof *bounds->corners);
        bounds->definers =
            assay_realloc(bounds->definers, bounds->capacity * m * m, sizeof *bounds->definers);
    }
    memcpy(&bounds->corners[bounds->n * m], corner, m * sizeof *corner);
    memcpy(&bounds->definers[bounds->n * m * m], definers, m * m * sizeof *definers);
    bounds->n++;
}

/* The bounds that `row` splits lie above it; from each come up to m new ones. */
static void
split(struct bounds *bounds, const double *corner, const double *definers, const double *row,
      double *new_corner, double *new_definers)
{
    size_t m = bounds->m;

    for (size_t j = 0; j < m; j++) {
        double least = -INFINITY;

        for (size_t k = 0; k < m; k++) {
            if (k != j)
                least = fmax(least, definers[k * m + j]);
        }
        if (row[j] < least)
            continue;
        memcpy(new_corner, corner, m * sizeof *corner);
        memcpy(new_definers, definers, m * m * sizeof *definers);
        new_corner[j] = row[j];
        memcpy(&new_definers[j * m], row, m * sizeof *row);
        push(bounds, new_corner, new_definers);
    }
}

static bool
is_below(const double *row, const double *corner, size_t m)
{
    for (size_t k = 0; k < m; k++) {
        if (!(row[k] < corner[k]))
            return false;
    }
    return true;
}

static void
add_row(struct bounds *bounds, const double *row)
{
    size_t m = bounds->m, n = bounds->n, kept = 0;
    struct bounds made = {.m = m};
    assay_auto_free double *corner = assay_alloc(m, sizeof *corner);
    assay_auto_free double *definers = assay_alloc(m * m, sizeof *definers);

    for (size_t i = 0; i < n; i++) {
        if (is_below(row, &bounds->corners[i * m], m)) {
            split(&made, &bounds->corners[i * m], &bounds->definers[i * m * m], row, corner,
                  definers);
            continue;
        }
        memmove(&bounds->corners[kept * m], &bounds->corners[i * m], m * sizeof *corner);
        memmove(&bounds->definers[kept * m * m], &bounds->definers[i * m * m],
                m * m * sizeof *definers);
        kept++;
    }
    bounds->n = kept;
    for (size_t i = 0; i < made.n; i++)
        push(bounds, &made.corners[i * m], &made.definers[i * m * m]);
    free(made.corners);
    free(made.definers);
}

/* `rows`: n of m, none dominating another, all strictly below the corner. */
static struct bounds
bounds_of(const double *rows, size_t n, size_t m, const double *corner)
{
    struct bounds bounds = {.m = m};
    assay_auto_free double *dummies = assay_alloc(m * m, sizeof *dummies);

    for (size_t k = 0; k < m * m; k++)
        dummies[k] = k / m == k % m ? corner[k / m] : -INFINITY;
    push(&bounds, corner, dummies);
    for (size_t i = 0; i < n; i++)
        add_row(&bounds, &rows[i * m]);
    return bounds;
}

/* The front of the n rows, n_kept of m, in a new table. */
static double *
front_of(const double *rows, size_t n, size_t m, size_t *ret_n)
{
    assay_auto_free size_t *order = assay_alloc(n + 1, sizeof *order);
    double *front;

    *ret_n = assay_pareto_front_rows(rows, n, m, order);
    front = assay_alloc(*ret_n * m + 1, sizeof *front);
    for (size_t i = 0; i < *ret_n; i++)
        memcpy(&front[i * m], &rows[order[i] * m], m * sizeof *front);
    return front;
}

/* Boxes of what the rows with these bounds dominate, below the corner: in the first
 * objective from the bound to the corner, in each other from the highest of the rows
 * that bound the objectives before it.  Turned in sign, they are written as boxes of the
 * turned space. */
static void
write_turned(const struct bounds *bounds, const double *corner, struct assay_pareto_boxes *boxes)
{
    size_t m = bounds->m;

    boxes->lower = assay_alloc(bounds->n * m + 1, sizeof *boxes->lower);
    boxes->upper = assay_alloc(bounds->n * m + 1, sizeof *boxes->upper);
    for (size_t i = 0; i < bounds->n; i++) {
        double *lower = &boxes->lower[boxes->n * m], *upper = &boxes->upper[boxes->n * m];
        bool empty = false;

        for (size_t j = 0; j < m; j++) {
            double high = j == 0 ? corner[0] : bounds->corners[i * m + j];
            double low = j == 0 ? bounds->corners[i * m] : -INFINITY;

            for (size_t k = 0; k < j; k++)
                low = fmax(low, bounds->definers[(i * m + k) * m + j]);
            lower[j] = -high;
            upper[j] = -low;
            empty = empty || !(low < high);
        }
        boxes->n += !empty;
    }
}

void
assay_pareto_boxes_init(struct assay_pareto_boxes *boxes, const double *values, size_t n, size_t m,
                        const double *reference)
{
    assay_auto_free double *below = assay_alloc(n * m + 1, sizeof *below);
    assay_auto_free double *corner = assay_alloc(m, sizeof *corner);
    assay_auto_free double *front = NULL, *turned = NULL;
    struct bounds of_rows, of_bounds;
    size_t n_below = 0, n_front, n_turned;

    *boxes = (struct assay_pareto_boxes){.m = m};
    for (size_t i = 0; i < n; i++) {
        if (is_below(&values[i * m], reference, m))
            memcpy(&below[n_below++ * m], &values[i * m], m * sizeof *below);
    }
    front = front_of(below, n_below, m, &n_front);
    of_rows = bounds_of(front, n_front, m, reference);
    /* What is not dominated is what the bounds dominate with all signs turned. */
    for (size_t i = 0; i < of_rows.n * m; i++)
        of_rows.corners[i] = -of_rows.corners[i];
    turned = front_of(of_rows.corners, of_rows.n, m, &n_turned);
    for (size_t k = 0; k < m; k++)
        corner[k] = INFINITY;
    of_bounds = bounds_of(turned, n_turned, m, corner);
    write_turned(&of_bounds, corner, boxes);
    free(of_rows.corners);
    free(of_rows.definers);
    free(of_bounds.corners);
    free(of_bounds.definers);
}

void
assay_pareto_boxes_done(struct assay_pareto_boxes *boxes)
{
    free(boxes->lower);
    free(boxes->upper);
    *boxes = (struct assay_pareto_boxes){0};
}

double
assay_pareto_boxes_improvement(const struct assay_pareto_boxes *boxes, const double *row)
{
    size_t m = boxes->m;
    double total = 0.0;

    for (size_t i = 0; i < boxes->n; i++) {
        double product = 1.0;

        for (size_t k = 0; k < m && product > 0.0; k++)
            product *= fmax(boxes->upper[i * m + k] - fmax(boxes->lower[i * m + k], row[k]), 0.0);
        total += product;
    }
    return total;
}

#include "suggest/pareto/domination.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

struct table {
    const double *values;
    size_t m;
};

static int
compare_rows(const void *a, const void *b, void *arg)
{
    const struct table *table = arg;
    size_t i = *(const size_t *)a, j = *(const size_t *)b;

    for (size_t k = 0; k < table->m; k++) {
        double x = table->values[i * table->m + k], y = table->values[j * table->m + k];

        if (x != y)
            return x < y ? -1 : 1;
    }
    return i < j ? -1 : i > j;
}

static bool
are_equal(const double *a, const double *b, size_t m)
{
    for (size_t k = 0; k < m; k++) {
        if (a[k] != b[k])
            return false;
    }
    return true;
}

bool
assay_pareto_dominates(const double *a, const double *b, size_t m)
{
    bool better = false;

    for (size_t k = 0; k < m; k++) {
        if (a[k] > b[k])
            return false;
        better |= a[k] < b[k];
    }
    return better;
}

size_t
assay_pareto_front_rows(const double *values, size_t n, size_t m, size_t *ret_rows)
{
    struct table table = {values, m};
    assay_auto_free size_t *order = assay_alloc(n + 1, sizeof *order);
    size_t n_front = 0;

    for (size_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof *order, compare_rows, &table);
    /* In this order only rows before a row can dominate it, and with one or two
     * objectives the last of the front decides alone. */
    for (size_t i = 0; i < n; i++) {
        const double *row = &values[order[i] * m];
        size_t first = m <= 2 && n_front > 0 ? n_front - 1 : 0;
        bool beaten = false;

        for (size_t f = n_front; f > first && !beaten; f--) {
            const double *other = &values[ret_rows[f - 1] * m];

            beaten = assay_pareto_dominates(other, row, m) || are_equal(other, row, m);
        }
        if (!beaten)
            ret_rows[n_front++] = order[i];
    }
    return n_front;
}

/* --- ranks --- */

/* Rows of `order` (in lexicographic order) by the front whose last row does not dominate
 * them; the last of each front has its smallest second objective. */
static size_t
rank_two(const struct table *table, const size_t *order, size_t n, size_t *ret_ranks)
{
    assay_auto_free double *last = assay_alloc(n + 1, sizeof *last);
    size_t n_ranks = 0;

    for (size_t i = 0; i < n; i++) {
        const double *row = &table->values[order[i] * table->m];
        double second = table->m == 2 ? row[1] : row[0];
        size_t low = 0, high = n_ranks;

        if (i > 0 && are_equal(&table->values[order[i - 1] * table->m], row, table->m)) {
            ret_ranks[order[i]] = ret_ranks[order[i - 1]];
            continue;
        }
        while (low < high) {
            size_t middle = (low + high) / 2;

            if (last[middle] <= second)
                low = middle + 1;
            else
                high = middle;
        }
        last[low] = second;
        n_ranks = ASSAY_MAX(n_ranks, low + 1);
        ret_ranks[order[i]] = low;
    }
    return n_ranks;
}

/* Takes out of `left` (in lexicographic order) what no other there dominates. */
static size_t
peel(const struct table *table, size_t *left, size_t *n_left, size_t rank, size_t *front,
     size_t *ret_ranks)
{
    size_t n_front = 0, n_kept = 0;

    for (size_t i = 0; i < *n_left; i++) {
        const double *row = &table->values[left[i] * table->m];
        bool beaten = false;

        for (size_t f = 0; f < n_front && !beaten; f++) {
            size_t other = front[f];

            beaten = assay_pareto_dominates(&table->values[other * table->m], row, table->m);
            /* What dominates one row often does the next. */
            if (beaten && f > 0) {
                front[f] = front[f - 1];
                front[f - 1] = other;
            }
        }
        if (beaten) {
            left[n_kept++] = left[i];
        } else {
            front[n_front++] = left[i];
            ret_ranks[left[i]] = rank;
        }
    }
    *n_left = n_kept;
    return n_front;
}

/* Ranks past the one in which `enough` rows are reached are taken back. */
static size_t
cut_off(const size_t *order, size_t n, size_t n_ranks, size_t enough, size_t *ranks)
{
    assay_auto_free size_t *counts = assay_zalloc(n_ranks + 1, sizeof *counts);
    size_t kept = 0, reached = 0;

    for (size_t i = 0; i < n; i++)
        counts[ranks[order[i]]]++;
    while (kept < n_ranks && reached < enough)
        reached += counts[kept++];
    for (size_t i = 0; i < n; i++) {
        if (ranks[order[i]] >= kept)
            ranks[order[i]] = ASSAY_PARETO_UNRANKED;
    }
    return kept;
}

/* The rows of `order`, which is in lexicographic order and is used up. */
static size_t
rank_sorted(const struct table *table, size_t *order, size_t n, size_t enough, size_t *ret_ranks)
{
    size_t n_ranks = 0, n_ranked = 0;

    if (table->m <= 2) {
        n_ranks = rank_two(table, order, n, ret_ranks);
        return cut_off(order, n, n_ranks, enough, ret_ranks);
    }
    assay_auto_free size_t *front = assay_alloc(n + 1, sizeof *front);
    while (n > 0 && n_ranked < enough)
        n_ranked += peel(table, order, &n, n_ranks++, front, ret_ranks);
    return n_ranks;
}

size_t
assay_pareto_ranks_of_sorted(const double *values, size_t n, size_t m, size_t enough,
                             size_t *ret_ranks)
{
    struct table table = {values, m};
    assay_auto_free size_t *order = assay_alloc(n + 1, sizeof *order);

    for (size_t i = 0; i < n; i++) {
        ret_ranks[i] = ASSAY_PARETO_UNRANKED;
        order[i] = i;
    }
    return rank_sorted(&table, order, n, enough, ret_ranks);
}

static size_t
rank_violating(const double *violations, size_t *order, size_t n, size_t first, size_t enough,
               size_t *ret_ranks)
{
    struct table table = {violations, 1};
    size_t n_ranks = 0;

    qsort_r(order, n, sizeof *order, compare_rows, &table);
    for (size_t i = 0; i < n; i++) {
        bool new_rank = i == 0 || violations[order[i]] != violations[order[i - 1]];

        if (new_rank && i >= enough)
            break;
        n_ranks += new_rank;
        ret_ranks[order[i]] = first + n_ranks - 1;
    }
    return n_ranks;
}

size_t
assay_pareto_ranks(const double *values, const double *violations, size_t n, size_t m,
                   size_t enough, size_t *ret_ranks)
{
    struct table table = {values, m};
    assay_auto_free size_t *order = assay_alloc(n + 1, sizeof *order);
    size_t n_feasible = 0, n_violating = 0, n_ranks;

    for (size_t i = 0; i < n; i++) {
        ret_ranks[i] = ASSAY_PARETO_UNRANKED;
        if (violations == NULL || violations[i] <= 0.0)
            order[n_feasible++] = i;
    }
    qsort_r(order, n_feasible, sizeof *order, compare_rows, &table);
    n_ranks = rank_sorted(&table, order, n_feasible, enough, ret_ranks);
    if (n_feasible == n || n_feasible >= enough)
        return n_ranks;
    for (size_t i = 0; i < n; i++) {
        if (!(violations[i] <= 0.0))
            order[n_violating++] = i;
    }
    return n_ranks + rank_violating(violations, order, n_violating, n_ranks, enough - n_feasible,
                                    ret_ranks);
}

/* --- crowding --- */

struct placed {
    double value;
    size_t at;
};

static int
compare_placed(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

void
assay_pareto_crowding(const double *values, size_t m, const size_t *rows, size_t n,
                      double *ret_crowding)
{
    assay_auto_free struct placed *placed = assay_alloc(n + 1, sizeof *placed);

    for (size_t i = 0; i < n; i++)
        ret_crowding[i] = 0.0;
    for (size_t k = 0; k < m && n > 0; k++) {
        double range;

        for (size_t i = 0; i < n; i++)
            placed[i] = (struct placed){values[rows[i] * m + k], i};
        qsort(placed, n, sizeof *placed, compare_placed);
        /* Halved: the difference of two large numbers may overflow. */
        range = placed[n - 1].value / 2.0 - placed[0].value / 2.0;
        ret_crowding[placed[0].at] = ret_crowding[placed[n - 1].at] = INFINITY;
        for (size_t i = 1; i + 1 < n && range > 0.0; i++)
            ret_crowding[placed[i].at] +=
                (placed[i + 1].value / 2.0 - placed[i - 1].value / 2.0) / range;
    }
}

#include "api/pareto.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

struct sort_by {
    const double *costs;
    size_t m;
};

static int
compare_rows(const void *a, const void *b, void *arg)
{
    const struct sort_by *by = arg;
    const double *left = by->costs + *(const size_t *)a * by->m;
    const double *right = by->costs + *(const size_t *)b * by->m;

    for (size_t i = 0; i < by->m; i++) {
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    }
    return 0;
}

/* Whether the earlier row (in lexicographic order) is nowhere worse, and better once. */
static bool
dominates(const double *earlier, const double *row, size_t m)
{
    bool better = false;

    for (size_t i = 0; i < m; i++) {
        if (earlier[i] > row[i])
            return false;
        better |= earlier[i] < row[i];
    }
    return better;
}

void
assay_pareto_front(const double *costs, size_t n, size_t m, bool *ret_chosen)
{
    struct sort_by by = {costs, m};
    assay_auto_free size_t *order = assay_alloc(n + 1, sizeof(size_t));
    assay_auto_free size_t *front = assay_alloc(n + 1, sizeof(size_t));
    size_t n_front = 0;

    for (size_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof(size_t), compare_rows, &by);
    /* In this order a row can only be dominated by one before it; with one or two
     * objectives the last member of the front decides alone. */
    for (size_t i = 0; i < n; i++) {
        const double *row = costs + order[i] * m;
        size_t first = m <= 2 && n_front > 0 ? n_front - 1 : 0;
        bool dominated = false;

        for (size_t k = n_front; k > first && !dominated; k--)
            dominated = dominates(costs + front[k - 1] * m, row, m);
        ret_chosen[order[i]] = !dominated;
        if (!dominated)
            front[n_front++] = order[i];
    }
}

#include "suggest/rules/columns.h"

#include <stdlib.h>

#include "common/memory.h"

void
assay_columns_init(struct assay_columns *columns)
{
    *columns = (struct assay_columns){.stride = 1};
}

void
assay_columns_done(struct assay_columns *columns)
{
    for (size_t i = 0; i < columns->count; i++)
        free(columns->items[i].values);
    free(columns->items);
    assay_columns_init(columns);
}

/* The first multiple of the stride at which a measurement of this step counts. */
static int64_t
key_of(int64_t step, int64_t stride)
{
    step = ASSAY_MIN(step, INT64_C(1) << 61);
    return (step + stride - 1) / stride * stride;
}

/* Number of columns there would be with `stride` and a trial of these steps. */
static size_t
count_keys(const struct assay_columns *columns, const int64_t *steps, size_t n, int64_t stride)
{
    size_t count = 0, c = 0, s = 0;
    int64_t last = -1;

    while (c < columns->count || s < n) {
        int64_t column = c < columns->count ? key_of(columns->items[c].step, stride) : INT64_MAX;
        int64_t step = s < n ? key_of(steps[s], stride) : INT64_MAX;
        int64_t next = ASSAY_MIN(column, step);

        c += column == next;
        s += step == next;
        count += next != last;
        last = next;
    }
    return count;
}

static void
set_stride(struct assay_columns *columns, int64_t stride)
{
    size_t kept = 0;

    columns->stride = stride;
    for (size_t i = 0; i < columns->count; i++) {
        columns->items[i].step = key_of(columns->items[i].step, stride);
        /* Of those that fall together, the latest knows all that the others know. */
        if (kept > 0 && columns->items[kept - 1].step == columns->items[i].step)
            free(columns->items[--kept].values);
        columns->items[kept++] = columns->items[i];
    }
    columns->count = kept;
}

/* Number of columns before or at the step. */
static size_t
count_until(const struct assay_columns *columns, int64_t step)
{
    size_t low = 0, high = columns->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (columns->items[middle].step <= step)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
ensure_column(struct assay_columns *columns, int64_t step)
{
    size_t at = count_until(columns, step);
    struct assay_column added = {.step = step, .weight = 1};

    if (at > 0 && columns->items[at - 1].step == step)
        return;
    if (at > 0) {
        added = columns->items[at - 1];
        added.step = step;
        added.capacity = added.count;
        added.values = assay_memdup(added.values, added.count * sizeof *added.values);
    }
    ASSAY_GROW(columns->items, columns->count, columns->capacity);
    memmove(&columns->items[at + 1], &columns->items[at],
            (columns->count - at) * sizeof *columns->items);
    columns->items[at] = added;
    columns->count++;
}

static void
halve(struct assay_column *column)
{
    size_t kept = 0;

    /* Beginning alternately, so that no side is favoured time after time. */
    for (size_t i = __builtin_ctzll(column->weight) % 2 == 0 ? 1 : 0; i < column->count; i += 2)
        column->values[kept++] = column->values[i];
    column->count = kept;
    column->weight *= 2;
}

static void
insert(struct assay_column *column, double value)
{
    size_t low = 0, high = column->count;

    if (++column->trials % column->weight != 0)
        return;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (column->values[middle] <= value)
            low = middle + 1;
        else
            high = middle;
    }
    ASSAY_GROW(column->values, column->count, column->capacity);
    memmove(&column->values[low + 1], &column->values[low],
            (column->count - low) * sizeof *column->values);
    column->values[low] = value;
    if (++column->count >= ASSAY_COLUMN_VALUES_MAX)
        halve(column);
}

void
assay_columns_add(struct assay_columns *columns, const int64_t *steps, const double *figures,
                  size_t n)
{
    int64_t stride = columns->stride;
    size_t i = 0;

    if (n == 0)
        return;
    while (count_keys(columns, steps, n, stride) > ASSAY_COLUMNS_MAX)
        stride *= 2;
    if (stride != columns->stride)
        set_stride(columns, stride);
    for (size_t k = 0; k < n; k++)
        ensure_column(columns, key_of(steps[k], stride));
    for (size_t c = 0; c < columns->count; c++) {
        while (i < n && key_of(steps[i], stride) <= columns->items[c].step)
            i++;
        if (i > 0)
            insert(&columns->items[c], figures[i - 1]);
    }
}

const struct assay_column *
assay_columns_find(const struct assay_columns *columns, int64_t step)
{
    size_t until = count_until(columns, step);

    return until > 0 ? &columns->items[until - 1] : NULL;
}

double
assay_column_median(const struct assay_column *column)
{
    size_t middle = column->count / 2;

    ASSAY_ASSERT(column->count > 0);
    if (column->count % 2 == 1)
        return column->values[middle];
    /* Halved first: the sum may overflow. */
    return column->values[middle - 1] / 2.0 + column->values[middle] / 2.0;
}

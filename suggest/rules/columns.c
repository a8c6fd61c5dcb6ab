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
        assay_column_done(&columns->items[i]);
    free(columns->items);
    assay_columns_init(columns);
}

void
assay_column_done(struct assay_column *column)
{
    free(column->values);
    free(column->marks);
    *column = (struct assay_column){.weight = 1};
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
            assay_column_done(&columns->items[--kept]);
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
        added.marks = assay_memdup(added.marks, added.count * sizeof *added.marks);
    }
    ASSAY_GROW(columns->items, columns->count, columns->capacity);
    memmove(&columns->items[at + 1], &columns->items[at],
            (columns->count - at) * sizeof *columns->items);
    columns->items[at] = added;
    columns->count++;
}

uint32_t
assay_trial_mark(int64_t number)
{
    uint64_t bits = (uint64_t)number;

    bits = (bits ^ (bits >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    bits = (bits ^ (bits >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return (uint32_t)(bits ^ (bits >> 33));
}

static void
halve(struct assay_column *column)
{
    size_t kept = 0;

    column->weight *= 2;
    for (size_t i = 0; i < column->count; i++) {
        if (column->marks[i] % column->weight != 0)
            continue;
        column->values[kept] = column->values[i];
        column->marks[kept++] = column->marks[i];
    }
    column->count = kept;
}

/* Index of the first value that is not smaller. */
static size_t
count_smaller(const struct assay_column *column, double value)
{
    size_t low = 0, high = column->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (column->values[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void
assay_column_insert(struct assay_column *column, int64_t number, double value)
{
    uint32_t mark = assay_trial_mark(number);
    size_t at;

    column->trials++;
    if (mark % column->weight != 0)
        return;
    if (column->count == column->capacity) {
        column->capacity = ASSAY_MAX(column->capacity * 2, (size_t)8);
        column->values = assay_realloc(column->values, column->capacity, sizeof *column->values);
        column->marks = assay_realloc(column->marks, column->capacity, sizeof *column->marks);
    }
    at = count_smaller(column, value);
    memmove(&column->values[at + 1], &column->values[at],
            (column->count - at) * sizeof *column->values);
    memmove(&column->marks[at + 1], &column->marks[at],
            (column->count - at) * sizeof *column->marks);
    column->values[at] = value;
    column->marks[at] = mark;
    column->count++;
    while (column->count >= ASSAY_COLUMN_VALUES_MAX)
        halve(column);
}

void
assay_column_remove(struct assay_column *column, int64_t number, double value)
{
    uint32_t mark = assay_trial_mark(number);
    size_t at = count_smaller(column, value);

    column->trials--;
    if (mark % column->weight != 0)
        return;
    while (at < column->count && column->marks[at] != mark)
        at++;
    ASSAY_ASSERT(at < column->count && column->values[at] == value);
    column->count--;
    memmove(&column->values[at], &column->values[at + 1],
            (column->count - at) * sizeof *column->values);
    memmove(&column->marks[at], &column->marks[at + 1],
            (column->count - at) * sizeof *column->marks);
}

void
assay_columns_add(struct assay_columns *columns, int64_t number, const int64_t *steps,
                  const double *figures, size_t n)
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
            assay_column_insert(&columns->items[c], number, figures[i - 1]);
    }
}

const struct assay_column *
assay_columns_find(const struct assay_columns *columns, int64_t step)
{
    size_t until = count_until(columns, step);

    return until > 0 ? &columns->items[until - 1] : NULL;
}

double
assay_column_quantile(const struct assay_column *column, double share)
{
    double place = share * (double)(column->count - 1), part;
    size_t below = (size_t)place;

    ASSAY_ASSERT(column->count > 0 && share >= 0.0 && share <= 1.0);
    part = place - (double)below;
    /* Not below + part * (above - below): the difference may overflow, and infinite
     * values may meet. */
    if (part == 0.0 || column->values[below] == column->values[below + 1])
        return column->values[below];
    return (1.0 - part) * column->values[below] + part * column->values[below + 1];
}

void
assay_column_rank(const struct assay_column *column, double value, size_t *ret_smaller,
                  size_t *ret_equal)
{
    size_t low = count_smaller(column, value), first = low, high = column->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (column->values[middle] <= value)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_smaller = first;
    *ret_equal = low - first;
}

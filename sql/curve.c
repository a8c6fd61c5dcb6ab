#include "sql/curve.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

void
assay__curve_add(struct assay__curve *curve, int64_t step, double value)
{
    if (curve->n > 0 && curve->steps[curve->n - 1] >= step)
        return;
    if (curve->n == curve->capacity) {
        curve->capacity = curve->capacity < 64 ? 64 : curve->capacity * 2;
        curve->steps = assay_realloc(curve->steps, curve->capacity, sizeof *curve->steps);
        curve->values = assay_realloc(curve->values, curve->capacity, sizeof *curve->values);
    }
    curve->steps[curve->n] = step;
    curve->values[curve->n++] = value;
}

void
assay__curve_clear(struct assay__curve *curve)
{
    curve->n = 0;
}

void
assay__curve_done(struct assay__curve *curve)
{
    free(curve->steps);
    free(curve->values);
    *curve = (struct assay__curve){0};
}

/* First, lowest, highest, last of [from, to), in this order of interest. */
static void
find_extremes(const struct assay__curve *curve, size_t from, size_t to, size_t kept[4])
{
    size_t low = from, high = from;

    for (size_t i = from; i < to; i++) {
        double value = curve->values[i];

        if (isnan(value))
            continue;
        if (isnan(curve->values[low]) || value < curve->values[low])
            low = i;
        if (isnan(curve->values[high]) || value > curve->values[high])
            high = i;
    }
    kept[0] = to - 1;
    kept[1] = from;
    kept[2] = low;
    kept[3] = high;
}

static int
compare_sizes(const void *a, const void *b)
{
    const size_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

void
assay__curve_thin(struct assay__curve *curve, size_t points)
{
    size_t buckets = ASSAY_MAX(points / 4, (size_t)1);
    size_t per_bucket = ASSAY_MIN(points, (size_t)4);
    size_t n = curve->n, out = 0;

    ASSAY_ASSERT(points >= 1);
    if (n <= points)
        return;
    for (size_t b = 0; b < buckets; b++) {
        size_t from = n * b / buckets, to = n * (b + 1) / buckets;
        size_t kept[4];

        find_extremes(curve, from, to, kept);
        qsort(kept, per_bucket, sizeof *kept, compare_sizes);
        for (size_t i = 0; i < per_bucket; i++) {
            if (i > 0 && kept[i] == kept[i - 1])
                continue;
            /* out <= kept[i]: what is read has not been overwritten. */
            curve->steps[out] = curve->steps[kept[i]];
            curve->values[out++] = curve->values[kept[i]];
        }
    }
    curve->n = out;
}

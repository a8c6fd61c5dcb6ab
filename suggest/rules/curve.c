#include "suggest/rules/curve.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

void
assay_curve_init(struct assay_curve *curve)
{
    *curve = (struct assay_curve){.best = INFINITY, .last_step = -1};
}

void
assay_curve_done(struct assay_curve *curve)
{
    free(curve->segments);
    assay_curve_init(curve);
}

static struct assay_segment
single(int64_t step, double value)
{
    bool finite = isfinite(value);

    return (struct assay_segment){
        .last = step,
        .sum = finite ? value : 0.0,
        .best = finite ? value : INFINITY,
        .finite = finite,
        .steps = 1,
    };
}

static void
merge_into(struct assay_segment *into, const struct assay_segment *from)
{
    into->last = ASSAY_MAX(into->last, from->last);
    into->sum += from->sum;
    into->best = fmin(into->best, from->best);
    into->finite += from->finite;
    into->steps += from->steps;
}

static void
merge_pairs(struct assay_curve *curve)
{
    size_t kept = 0;

    for (size_t i = 0; i < curve->count; i += 2) {
        curve->segments[kept] = curve->segments[i];
        if (i + 1 < curve->count)
            merge_into(&curve->segments[kept], &curve->segments[i + 1]);
        kept++;
    }
    curve->count = kept;
}

/* Index of the first segment that ends at the step or later. */
static size_t
find_segment(const struct assay_curve *curve, int64_t step)
{
    size_t low = 0, high = curve->count;

    if (step > curve->last_step)
        return curve->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (curve->segments[middle].last >= step)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static double
smallest(const struct assay_curve *curve)
{
    double best = INFINITY;

    for (size_t i = 0; i < curve->count; i++)
        best = fmin(best, curve->segments[i].best);
    return best;
}

/* Whether the step falls into no segment but belongs before the one at `at`. */
static bool
is_gap(const struct assay_curve *curve, size_t at, int64_t step)
{
    return at == curve->count ||
           (curve->segments[at].steps == 1 && curve->segments[at].last != step);
}

void
assay_curve_add(struct assay_curve *curve, int64_t step, double value, size_t limit)
{
    struct assay_segment added = single(step, value);
    size_t at = find_segment(curve, step);

    if (is_gap(curve, at, step) && curve->count >= limit) {
        do
            merge_pairs(curve);
        while (curve->count >= limit);
        if (curve->capacity > limit) { /* the limit has fallen since */
            curve->segments = assay_realloc(curve->segments, limit, sizeof *curve->segments);
            curve->capacity = limit;
        }
        at = find_segment(curve, step); /* perhaps within merged steps now */
    }
    curve->last_step = ASSAY_MAX(curve->last_step, step);
    if (is_gap(curve, at, step)) {
        ASSAY_GROW(curve->segments, curve->count, curve->capacity);
        memmove(&curve->segments[at + 1], &curve->segments[at],
                (curve->count - at) * sizeof *curve->segments);
        curve->segments[at] = added;
        curve->count++;
    } else if (curve->segments[at].steps > 1) {
        merge_into(&curve->segments[at], &added);
    } else {
        bool was_best = curve->segments[at].best == curve->best;

        curve->segments[at] = added;
        if (was_best)
            curve->best = smallest(curve);
    }
    curve->best = fmin(curve->best, added.best);
}

#include "suggest/rules/live.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

#define SEGMENTS_TOTAL 65536 /* shared by the live trials, */
#define SEGMENTS_MIN 16      /* but each has so many */
#define SEGMENTS_MAX 1024

void
assay_live_init(struct assay_live_set *set, bool maximize)
{
    *set = (struct assay_live_set){.sign = maximize ? -1.0 : 1.0};
}

static struct assay_live **
find(struct assay_live_set *set, int64_t number)
{
    struct assay_live **at = &set->buckets[(uint64_t)number % ASSAY_LIVE_BUCKETS];

    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

static void
drop(struct assay_live_set *set, struct assay_live **at)
{
    struct assay_live *live = *at;

    *at = live->next;
    assay_curve_done(&live->curve);
    free(live->own);
    free(live);
    set->count--;
}

void
assay_live_done(struct assay_live_set *set)
{
    for (size_t b = 0; b < ASSAY_LIVE_BUCKETS; b++) {
        while (set->buckets[b] != NULL)
            drop(set, &set->buckets[b]);
    }
}

struct assay_live *
assay_live_find(struct assay_live_set *set, int64_t number)
{
    return *find(set, number);
}

void
assay_live_drop(struct assay_live_set *set, struct assay_live *live)
{
    drop(set, find(set, live->number));
}

struct assay_live *
assay_live_add(struct assay_live_set *set, int64_t number)
{
    struct assay_live **at = find(set, number), *live = *at;

    if (live != NULL || set->count >= ASSAY_LIVE_MAX)
        return live;
    live = ASSAY_NEW(struct assay_live);
    live->number = number;
    live->figure = NAN;
    assay_curve_init(&live->curve);
    *at = live;
    set->count++;
    return live;
}

struct assay_live *
assay_live_report(struct assay_live_set *set, int64_t number, int64_t step, double value)
{
    struct assay_live *live = step < 0 ? NULL : assay_live_add(set, number);
    size_t limit;

    if (live == NULL)
        return NULL;
    limit = ASSAY_MIN(SEGMENTS_TOTAL / set->count, (size_t)SEGMENTS_MAX);
    assay_curve_add(&live->curve, step, set->sign * value, ASSAY_MAX(limit, (size_t)SEGMENTS_MIN));
    return live;
}

double
assay_live_shown(const struct assay_live_set *set, double figure)
{
    return isinf(figure) ? NAN : set->sign * figure;
}

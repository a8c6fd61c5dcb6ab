#include "suggest/algorithms/fidelity/scores.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define TARGET_MIN 3 /* values at the target */
#define LINK_PRIOR 0.8
#define PAIRS_PRIOR 4.0
#define LINK_MIN 0.1
#define LINK_MAX 0.98
#define LINK_WEAK 0.5
#define PAIRS_MIN 5.0 /* for a link to be known */
#define SPREAD_MIN 0.15

static int
compare_numbers(const void *a, const void *b)
{
    const struct assay_score *x = a, *y = b;

    return x->trial->number < y->trial->number ? -1 : x->trial->number > y->trial->number;
}

/* A random order that does not change as trials come. */
static uint64_t
lot_of(const struct assay_score *score)
{
    uint64_t bits = (uint64_t)score->trial->number * UINT64_C(0x9E3779B97F4A7C15);

    bits = (bits ^ bits >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    return bits ^ bits >> 31;
}

static int
compare_places(const void *a, const void *b)
{
    const struct assay_score *x = a, *y = b;
    uint64_t lot_x = lot_of(x), lot_y = lot_of(y);

    if (x->rung != y->rung)
        return x->rung > y->rung ? -1 : 1;
    return lot_x < lot_y ? -1 : lot_x > lot_y ? 1 : compare_numbers(a, b);
}

/* Normal scores of the trials judged at a rung, equals sharing one, by number. */
static struct assay_score *
rank_rung(const struct assay_ladder *ladder, const struct assay_history *history, size_t rung,
          size_t *ret_n)
{
    size_t n, n_valued;
    struct assay_judged *judged = assay_evidence_judged(ladder, history, rung, &n, &n_valued);
    struct assay_score *scores = assay_alloc(n + 1, sizeof *scores);

    for (size_t from = 0, to; from < n; from = to) {
        double z;

        for (to = from; to < n && judged[to].value <= judged[from].value; to++)
            ;
        z = gsl_cdf_ugaussian_Pinv(((double)(from + to) / 2.0) / (double)n);
        for (size_t i = from; i < to; i++)
            scores[i] = (struct assay_score){
                .trial = judged[i].trial, .rung = rung, .value = judged[i].value, .z = z};
    }
    free(judged);
    qsort(scores, n, sizeof *scores, compare_numbers);
    *ret_n = n;
    return scores;
}

/* Sums over the trials that were judged at both of two rungs. */
struct pairs {
    double n, low, low_low, high, high_high, low_high;
};

static struct pairs
sum_pairs(const struct assay_score *below, size_t n_below, const struct assay_score *above,
          size_t n_above)
{
    struct pairs pairs = {0};

    for (size_t i = 0, j = 0; j < n_above; j++) {
        while (i < n_below && compare_numbers(&below[i], &above[j]) < 0)
            i++;
        if (i == n_below || compare_numbers(&below[i], &above[j]) != 0)
            continue;
        pairs.n++;
        pairs.low += below[i].z;
        pairs.low_low += below[i].z * below[i].z;
        pairs.high += above[j].z;
        pairs.high_high += above[j].z * above[j].z;
        pairs.low_high += below[i].z * above[j].z;
    }
    return pairs;
}

/* The link of two rungs; puts the scores of the upper one on the common scale. */
static double
join(const struct assay_score *below, size_t n_below, struct assay_score *above, size_t n_above)
{
    struct pairs p = sum_pairs(below, n_below, above, n_above);
    double mean, spread, high_mean, high_spread, r, expected, link, factor;

    if (p.n < 1.0)
        return LINK_PRIOR;
    mean = p.low / p.n;
    high_mean = p.high / p.n;
    spread = sqrt(fmax(p.low_low / p.n - mean * mean, 0.0));
    high_spread = sqrt(fmax(p.high_high / p.n - high_mean * high_mean, 0.0));
    r = spread > 0.0 && high_spread > 0.0
            ? (p.low_high / p.n - mean * high_mean) / (spread * high_spread)
            : 0.0;
    if (p.n < 3.0 || !(spread > 0.0) || !(high_spread > 0.0))
        p.n = 0.0;
    spread = fmax(spread, SPREAD_MIN);
    expected = LINK_PRIOR * spread /
               sqrt(LINK_PRIOR * LINK_PRIOR * spread * spread + 1.0 - LINK_PRIOR * LINK_PRIOR);
    r = fmax((r * p.n + expected * PAIRS_PRIOR) / (p.n + PAIRS_PRIOR), 0.0);
    link = r / spread / sqrt(1.0 - r * r + r * r / (spread * spread));
    link = fmin(fmax(link, LINK_MIN), LINK_MAX);
    factor = sqrt(link * link * spread * spread + 1.0 - link * link);
    for (size_t i = 0; i < n_above; i++)
        above[i].z = link * mean + factor * (above[i].z - high_mean);
    return link;
}

static size_t
find_target(const struct assay_ladder *ladder, const struct assay_history *history, size_t least)
{
    for (size_t k = ladder->n_rungs; k-- > 0;) {
        size_t n, n_valued;

        free(assay_evidence_judged(ladder, history, k, &n, &n_valued));
        if (n_valued >= TARGET_MIN && (k > 0 || n_valued >= least))
            return k;
    }
    return SIZE_MAX;
}

static int
compare_ways(const void *a, const void *b)
{
    const struct assay_score *x = a, *y = b;
    int order = compare_numbers(a, b);

    return order != 0 ? order : x->rung < y->rung ? -1 : x->rung > y->rung;
}

static void
mark_last(struct assay_scores *scores)
{
    qsort(scores->items, scores->n, sizeof *scores->items, compare_ways);
    for (size_t i = 0; i < scores->n; i++)
        scores->items[i].last =
            i + 1 == scores->n || compare_numbers(&scores->items[i], &scores->items[i + 1]) != 0;
}

bool
assay_scores_init(struct assay_scores *scores, const struct assay_ladder *ladder,
                  const struct assay_history *history, size_t least)
{
    size_t target = find_target(ladder, history, least), n_below = 0;
    struct assay_score *below = NULL;

    if (target == SIZE_MAX)
        return false;
    *scores = (struct assay_scores){
        .target = target,
        .links = assay_zalloc(target + 1, sizeof *scores->links),
    };
    for (size_t k = 0; k <= target; k++) {
        size_t n;
        struct assay_score *here = rank_rung(ladder, history, k, &n);

        if (k > 0)
            scores->links[k - 1] = join(below, n_below, here, n);
        scores->items = assay_realloc(scores->items, scores->n + n + 1, sizeof *scores->items);
        memcpy(scores->items + scores->n, here, n * sizeof *here);
        scores->n += n;
        free(below);
        below = here;
        n_below = n;
    }
    free(below);
    mark_last(scores);
    qsort(scores->items, scores->n, sizeof *scores->items, compare_places);
    return true;
}

void
assay_scores_done(struct assay_scores *scores)
{
    free(scores->items);
    free(scores->links);
    *scores = (struct assay_scores){0};
}

/* --- questions --- */

double
assay_scores_value(const struct assay_scores *scores, double z)
{
    const struct assay_score *below = NULL, *above = NULL;
    double share;

    for (size_t i = 0; i < scores->n && scores->items[i].rung == scores->target; i++) {
        const struct assay_score *item = &scores->items[i];

        if (!isfinite(item->value))
            continue;
        if (item->z <= z && (below == NULL || item->z > below->z))
            below = item;
        if (item->z >= z && (above == NULL || item->z < above->z))
            above = item;
    }
    if (below == NULL || above == NULL)
        return below != NULL ? below->value : above != NULL ? above->value : NAN;
    share = above->z > below->z ? (z - below->z) / (above->z - below->z) : 0.0;
    return below->value + share * (above->value - below->value);
}

size_t
assay_scores_lowest(const struct assay_ladder *ladder, const struct assay_history *history)
{
    size_t lowest = 0, n_below;
    struct assay_score *below = rank_rung(ladder, history, 0, &n_below);

    while (lowest + 2 < ladder->n_rungs) {
        size_t n;
        struct assay_score *here = rank_rung(ladder, history, lowest + 1, &n);
        double pairs = sum_pairs(below, n_below, here, n).n;
        double link = join(below, n_below, here, n);

        free(below);
        below = here;
        n_below = n;
        if (pairs < PAIRS_MIN || link >= LINK_WEAK)
            break;
        lowest++;
    }
    free(below);
    return lowest;
}

#include "suggest/algorithms/tpe/ranking.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/random.h"
#include "suggest/algorithms/algorithms.h"

/* Bad trials next to the good ones that are kept whatever happens. */
#define NEAR_MAX 128
/* So many good trials tell enough, until there are their square of trials. */
#define GOOD_PLENTY 25.0

enum standing { SUCCEEDED, STOPPED, BAD, PENDING, SILENT };

struct assay_tpe_trial {
    int64_t number;
    enum standing standing;
    double first, second; /* what it is ranked by within its standing */
    uint64_t draw;
    bool taken;           /* while splitting */
    double crowding;
    double *values;
    float *coordinates;
};

void
assay_tpe_ranking_init(struct assay_tpe_ranking *ranking, size_t n_objectives, size_t n_dimensions,
                       uint64_t seed)
{
    *ranking = (struct assay_tpe_ranking){
        .n_objectives = n_objectives,
        .n_dimensions = n_dimensions,
        .seed = seed,
    };
}

static void
free_trial(struct assay_tpe_trial *trial)
{
    free(trial->values);
    free(trial->coordinates);
    free(trial);
}

void
assay_tpe_ranking_done(struct assay_tpe_ranking *ranking)
{
    for (size_t i = 0; i < ranking->n_ranked; i++)
        free_trial(ranking->ranked[i]);
    for (size_t i = 0; i < ranking->n_pending; i++)
        free_trial(ranking->pending[i]);
    free(ranking->ranked);
    free(ranking->drawn);
    free(ranking->pending);
    *ranking = (struct assay_tpe_ranking){0};
}

/* --- keeping the order --- */

typedef int compare_fn(const struct assay_tpe_trial *a, const struct assay_tpe_trial *b);

static int
compare_number(const struct assay_tpe_trial *a, const struct assay_tpe_trial *b)
{
    return a->number < b->number ? -1 : a->number > b->number;
}

static int
compare_rank(const struct assay_tpe_trial *a, const struct assay_tpe_trial *b)
{
    if (a->standing != b->standing)
        return a->standing < b->standing ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    if (a->second != b->second)
        return a->second < b->second ? -1 : 1;
    return compare_number(a, b);
}

static int
compare_draw(const struct assay_tpe_trial *a, const struct assay_tpe_trial *b)
{
    return a->draw != b->draw ? a->draw < b->draw ? -1 : 1 : compare_number(a, b);
}

/* The first place of the sorted list that does not come before the trial. */
static size_t
place_of(struct assay_tpe_trial *const *list, size_t n, const struct assay_tpe_trial *trial,
         compare_fn *compare)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (compare(list[middle], trial) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
insert(struct assay_tpe_trial ***list, size_t *n, size_t *capacity, struct assay_tpe_trial *trial,
       compare_fn *compare)
{
    size_t at;

    ASSAY_GROW(*list, *n, *capacity);
    at = place_of(*list, *n, trial, compare);
    memmove(&(*list)[at + 1], &(*list)[at], (*n - at) * sizeof **list);
    (*list)[at] = trial;
    ++*n;
}

static struct assay_tpe_trial *
take_out(struct assay_tpe_trial **list, size_t *n, const struct assay_tpe_trial *trial,
         compare_fn *compare)
{
    size_t at = place_of(list, *n, trial, compare);
    struct assay_tpe_trial *found = list[at];

    ASSAY_ASSERT(at < *n && found->number == trial->number);
    memmove(&list[at], &list[at + 1], (*n - at - 1) * sizeof *list);
    --*n;
    return found;
}

/* All but the copies of values and coordinates. */
static struct assay_tpe_trial
describe(const struct assay_tpe_ranking *ranking, const struct assay_history_trial *from)
{
    struct assay_tpe_trial trial = {.number = from->number, .standing = BAD};
    struct assay_random random;

    assay_random_init(&random, ranking->seed, (uint64_t)from->number, ASSAY_PURPOSE_TPE_DRAWN);
    trial.draw = assay_random_u64(&random);
    if (from->state == ASSAY_PLUGIN_PENDING)
        trial.standing = PENDING;
    else if (from->state == ASSAY_PLUGIN_CANCELLED)
        trial.standing = SILENT;
    else if (from->usable && from->state == ASSAY_PLUGIN_SUCCEEDED)
        trial.standing = SUCCEEDED;
    else if (from->usable)
        trial.standing = STOPPED;
    if (trial.standing == STOPPED)
        trial.first = -(double)from->steps;
    if (trial.standing <= STOPPED && ranking->n_objectives == 1)
        *(trial.standing == STOPPED ? &trial.second : &trial.first) = from->values[0];
    return trial;
}

void
assay_tpe_ranking_add(struct assay_tpe_ranking *ranking, const struct assay_history_trial *from,
                      const float *coordinates)
{
    struct assay_tpe_trial *trial, described = describe(ranking, from);

    if (described.standing == SILENT)
        return;
    trial = assay_memdup(&described, sizeof described);
    trial->values = assay_memdup(from->values, ranking->n_objectives * sizeof *trial->values);
    trial->coordinates = assay_alloc(ranking->n_dimensions + 1, sizeof *trial->coordinates);
    memcpy(trial->coordinates, coordinates, ranking->n_dimensions * sizeof *coordinates);
    if (trial->standing == PENDING) {
        insert(&ranking->pending, &ranking->n_pending, &ranking->pending_capacity, trial,
               compare_number);
        return;
    }
    insert(&ranking->ranked, &ranking->n_ranked, &ranking->ranked_capacity, trial, compare_rank);
    insert(&ranking->drawn, &ranking->n_drawn, &ranking->drawn_capacity, trial, compare_draw);
    ranking->n_usable += trial->standing <= STOPPED;
}

void
assay_tpe_ranking_remove(struct assay_tpe_ranking *ranking, const struct assay_history_trial *from)
{
    struct assay_tpe_trial *trial, described = describe(ranking, from);

    if (described.standing == SILENT)
        return;
    if (described.standing == PENDING) {
        trial = take_out(ranking->pending, &ranking->n_pending, &described, compare_number);
    } else {
        trial = take_out(ranking->ranked, &ranking->n_ranked, &described, compare_rank);
        (void)take_out(ranking->drawn, &ranking->n_drawn, &described, compare_draw);
        ranking->n_usable -= trial->standing <= STOPPED;
    }
    free_trial(trial);
}

/* --- several objectives --- */

/* qsort has no room for the number of objectives, so trials are compared through this. */
struct placed {
    struct assay_tpe_trial *trial;
    double by;
};

static int
compare_placed(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;

    if (x->by != y->by)
        return x->by < y->by ? -1 : 1;
    return compare_number(x->trial, y->trial);
}

static bool
dominates(const struct assay_tpe_trial *a, const struct assay_tpe_trial *b, size_t n_objectives)
{
    bool better = false;

    for (size_t k = 0; k < n_objectives; k++) {
        if (a->values[k] > b->values[k])
            return false;
        better = better || a->values[k] < b->values[k];
    }
    return better;
}

/* Crowding distance (K. Deb et al., "A fast and elitist multiobjective genetic
 * algorithm: NSGA-II", 2002), then the least crowded first. */
static void
sort_by_crowding(struct placed *front, size_t n, size_t n_objectives)
{
    for (size_t i = 0; i < n; i++)
        front[i].trial->crowding = 0.0;
    for (size_t k = 0; k < n_objectives; k++) {
        double range;

        for (size_t i = 0; i < n; i++)
            front[i].by = front[i].trial->values[k];
        qsort(front, n, sizeof *front, compare_placed);
        range = front[n - 1].by / 2.0 - front[0].by / 2.0;
        front[0].trial->crowding = front[n - 1].trial->crowding = INFINITY;
        for (size_t i = 1; i + 1 < n && range > 0.0; i++)
            front[i].trial->crowding += (front[i + 1].by / 2.0 - front[i - 1].by / 2.0) / range;
    }
    for (size_t i = 0; i < n; i++)
        front[i].by = -front[i].trial->crowding;
    qsort(front, n, sizeof *front, compare_placed);
}

/* Takes out the trials of `left` that no other one there dominates. */
static size_t
peel_front(struct placed *left, size_t *n_left, size_t n_objectives, struct placed *ret_front)
{
    size_t n = 0, kept = 0;

    /* By the sum: what dominates has a smaller one, so it is in the front already. */
    for (size_t i = 0; i < *n_left; i++) {
        bool dominated = false;

        for (size_t f = 0; f < n && !dominated; f++)
            dominated = dominates(ret_front[f].trial, left[i].trial, n_objectives);
        if (dominated)
            left[kept++] = left[i];
        else
            ret_front[n++] = left[i];
    }
    *n_left = kept;
    return n;
}

static void
take_fronts(struct assay_tpe_ranking *ranking, size_t n_good, struct assay_tpe_side *good)
{
    size_t n_left = ranking->n_usable;
    assay_auto_free struct placed *left = assay_alloc(n_left + 1, sizeof *left);
    assay_auto_free struct placed *front = assay_alloc(n_left + 1, sizeof *front);

    for (size_t i = 0; i < n_left; i++) {
        left[i] = (struct placed){.trial = ranking->ranked[i]};
        for (size_t k = 0; k < ranking->n_objectives; k++)
            left[i].by += left[i].trial->values[k] / (double)ranking->n_objectives;
    }
    qsort(left, n_left, sizeof *left, compare_placed);
    while (good->n < n_good) {
        size_t n = peel_front(left, &n_left, ranking->n_objectives, front);

        if (good->n + n > n_good)
            sort_by_crowding(front, n, ranking->n_objectives);
        for (size_t i = 0; i < n && good->n < n_good; i++) {
            front[i].trial->taken = true;
            good->points[good->n] = front[i].trial->coordinates;
            good->weights[good->n++] = 1.0;
        }
    }
}

/* --- splitting --- */

static void
push(struct assay_tpe_side *side, struct assay_tpe_trial *trial, double weight)
{
    trial->taken = true;
    side->points[side->n] = trial->coordinates;
    side->weights[side->n++] = weight;
}

/* The weights of CMA-ES's recombination: logarithmic in the rank. */
static void
take_best(struct assay_tpe_ranking *ranking, size_t n_good, struct assay_tpe_side *good)
{
    for (size_t i = 0; i < n_good; i++)
        push(good, ranking->ranked[i], log((double)n_good + 1.0) - log((double)i + 1.0));
}

static void
take_bad(struct assay_tpe_ranking *ranking, size_t n_good, struct assay_tpe_side *bad)
{
    size_t n_pending = ASSAY_MIN(ranking->n_pending, (size_t)ASSAY_TPE_PENDING_MAX);
    size_t n_bad = ranking->n_ranked - n_good, room = ASSAY_TPE_BAD_MAX - n_pending;
    size_t n_near = n_bad <= room ? n_bad : NEAR_MAX, n_drawn = n_bad <= room ? 0 : room - NEAR_MAX;

    for (size_t i = 0; i < ranking->n_ranked && bad->n < n_near; i++) {
        if (!ranking->ranked[i]->taken)
            push(bad, ranking->ranked[i], 1.0);
    }
    for (size_t i = 0; i < ranking->n_drawn && bad->n < n_near + n_drawn; i++) {
        if (!ranking->drawn[i]->taken)
            push(bad, ranking->drawn[i], (double)(n_bad - n_near) / (double)n_drawn);
    }
    for (size_t i = 0; i < n_pending; i++)
        push(bad, ranking->pending[ranking->n_pending - 1 - i], 1.0);
}

void
assay_tpe_ranking_split(struct assay_tpe_ranking *ranking, double fraction,
                        struct assay_tpe_side *good, struct assay_tpe_side *bad)
{
    size_t n_good = (size_t)ceil(fraction * (double)ranking->n_ranked);
    size_t most;

    most = (size_t)fmax(GOOD_PLENTY, sqrt((double)ranking->n_ranked));
    most = ASSAY_MIN(most, (size_t)ASSAY_TPE_GOOD_MAX);
    n_good = ASSAY_MIN(ASSAY_MIN(n_good, ranking->n_usable), most);
    good->n = bad->n = 0;
    for (size_t i = 0; i < ranking->n_ranked; i++)
        ranking->ranked[i]->taken = false;
    if (ranking->n_objectives > 1)
        take_fronts(ranking, n_good, good);
    else
        take_best(ranking, n_good, good);
    take_bad(ranking, n_good, bad);
}

#include "suggest/algorithms/tpe/ranking.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/random.h"
#include "suggest/algorithms/algorithms.h"
#include "suggest/pareto/domination.h"
#include "suggest/pareto/subset.h"

/* Bad trials next to the good ones that are kept whatever happens. */
#define NEAR_MAX 128
_Static_assert(NEAR_MAX < ASSAY_TPE_BAD_MAX - ASSAY_TPE_PENDING_MAX, "room for a random choice");
/* So many good trials tell enough, until there are their square of trials. */
#define GOOD_PLENTY 25.0

enum standing { SUCCEEDED, STOPPED, VIOLATING, BAD, PENDING, SILENT };

struct assay_tpe_trial {
    int64_t number;
    enum standing standing;
    double first; /* what it is ranked by within its standing, before its values */
    size_t n_values;
    double *values; /* owned, but while the trial is only described */
    uint64_t draw;
    uint64_t taken; /* the last split that took it */
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
    for (size_t k = 0; k < a->n_values; k++) {
        if (a->values[k] != b->values[k])
            return a->values[k] < b->values[k] ? -1 : 1;
    }
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
    else if (from->usable && assay_history_is_whole(from))
        trial.standing = SUCCEEDED;
    else if (from->usable)
        trial.standing = STOPPED;
    else if (from->measured && isfinite(from->violation))
        trial.standing = VIOLATING;
    if (trial.standing == STOPPED)
        trial.first = -(double)from->steps;
    else if (trial.standing == VIOLATING)
        trial.first = from->violation;
    if (trial.standing <= VIOLATING)
        trial.n_values = ranking->n_objectives;
    trial.values = from->values;
    return trial;
}

static void
count(struct assay_tpe_ranking *ranking, const struct assay_tpe_trial *trial, size_t change)
{
    ranking->n_succeeded += trial->standing == SUCCEEDED ? change : 0;
    ranking->n_learning += trial->standing < BAD ? change : 0;
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
    count(ranking, trial, 1);
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
        count(ranking, trial, (size_t)-1);
    }
    free_trial(trial);
}

void
assay_tpe_side_init(struct assay_tpe_side *side, size_t n_max)
{
    side->points = assay_alloc(n_max, sizeof *side->points);
    side->weights = assay_alloc(n_max, sizeof *side->weights);
    side->n = side->n_pending = 0;
}

void
assay_tpe_side_done(struct assay_tpe_side *side)
{
    free(side->points);
    free(side->weights);
    *side = (struct assay_tpe_side){0};
}

static void
push(const struct assay_tpe_ranking *ranking, struct assay_tpe_side *side,
     struct assay_tpe_trial *trial, double weight)
{
    trial->taken = ranking->n_splits;
    side->points[side->n] = trial->coordinates;
    side->weights[side->n++] = weight;
}

/* --- several objectives --- */

/* As far behind the worst as the best is before it, so that the ends of a front count. */
static void
set_reference(const double *rows, size_t n, size_t m, double *ret_reference)
{
    for (size_t k = 0; k < m; k++) {
        double best = rows[k], worst = rows[k], reference;

        for (size_t i = 1; i < n; i++) {
            best = fmin(best, rows[i * m + k]);
            worst = fmax(worst, rows[i * m + k]);
        }
        reference = worst + (worst - best);
        ret_reference[k] = reference > worst && isfinite(reference) ? reference
                                                                    : nextafter(worst, INFINITY);
    }
}

/* The rows of the front in which the good ones are reached that dominate most. */
static void
push_best_of_front(struct assay_tpe_ranking *ranking, const double *values, const size_t *front,
                   size_t n, size_t n_good, struct assay_tpe_side *good)
{
    size_t m = ranking->n_objectives, n_chosen = n_good - good->n;
    assay_auto_free double *rows = assay_alloc(n * m, sizeof *rows);
    assay_auto_free double *reference = assay_alloc(m, sizeof *reference);
    assay_auto_free size_t *chosen = assay_alloc(n, sizeof *chosen);

    for (size_t i = 0; i < n; i++)
        memcpy(&rows[i * m], &values[front[i] * m], m * sizeof *rows);
    set_reference(rows, n, m, reference);
    assay_pareto_subset(rows, n, m, reference, n_chosen, chosen);
    for (size_t i = 0; i < n_chosen; i++)
        push(ranking, good, ranking->ranked[front[chosen[i]]], 1.0);
}

static void
take_fronts(struct assay_tpe_ranking *ranking, size_t n_good, struct assay_tpe_side *good)
{
    size_t n = ranking->n_succeeded, m = ranking->n_objectives, n_ranks;
    assay_auto_free double *values = assay_alloc(n * m + 1, sizeof *values);
    assay_auto_free size_t *ranks = assay_alloc(n + 1, sizeof *ranks);
    assay_auto_free size_t *front = assay_alloc(n + 1, sizeof *front);

    for (size_t i = 0; i < n; i++)
        memcpy(&values[i * m], ranking->ranked[i]->values, m * sizeof *values);
    n_ranks = assay_pareto_ranks_of_sorted(values, n, m, n_good, ranks);
    for (size_t rank = 0; rank < n_ranks; rank++) {
        size_t n_front = 0;

        for (size_t i = 0; i < n; i++) {
            if (ranks[i] == rank)
                front[n_front++] = i;
        }
        if (good->n + n_front > n_good) {
            push_best_of_front(ranking, values, front, n_front, n_good, good);
            return;
        }
        for (size_t i = 0; i < n_front; i++)
            push(ranking, good, ranking->ranked[front[i]], 1.0);
    }
    for (size_t i = n; i < ranking->n_learning && good->n < n_good; i++)
        push(ranking, good, ranking->ranked[i], 1.0);
}

/* --- splitting --- */

/* The weights of CMA-ES's recombination: logarithmic in the rank. */
static void
take_best(struct assay_tpe_ranking *ranking, size_t n_good, struct assay_tpe_side *good)
{
    for (size_t i = 0; i < n_good; i++)
        push(ranking, good, ranking->ranked[i], log((double)n_good + 1.0) - log((double)i + 1.0));
}

static void
take_bad(struct assay_tpe_ranking *ranking, size_t n_good, struct assay_tpe_side *bad)
{
    size_t n_pending = ASSAY_MIN(ranking->n_pending, (size_t)ASSAY_TPE_PENDING_MAX);
    size_t n_bad = ranking->n_ranked - n_good, room = ASSAY_TPE_BAD_MAX - n_pending;
    size_t n_near = n_bad <= room ? n_bad : NEAR_MAX, n_drawn = n_bad <= room ? 0 : room - NEAR_MAX;

    for (size_t i = 0; i < ranking->n_ranked && bad->n < n_near; i++) {
        if (ranking->ranked[i]->taken != ranking->n_splits)
            push(ranking, bad, ranking->ranked[i], 1.0);
    }
    for (size_t i = 0; i < ranking->n_drawn && bad->n < n_near + n_drawn; i++) {
        if (ranking->drawn[i]->taken != ranking->n_splits)
            push(ranking, bad, ranking->drawn[i], (double)(n_bad - n_near) / (double)n_drawn);
    }
    for (size_t i = 0; i < n_pending; i++)
        push(ranking, bad, ranking->pending[ranking->n_pending - 1 - i], ASSAY_TPE_PENDING_WEIGHT);
    bad->n_pending = n_pending;
}

void
assay_tpe_ranking_split(struct assay_tpe_ranking *ranking, double fraction,
                        struct assay_tpe_side *good, struct assay_tpe_side *bad)
{
    size_t n_good = (size_t)ceil(fraction * (double)ranking->n_ranked);
    size_t most;

    most = (size_t)fmax(GOOD_PLENTY, sqrt((double)ranking->n_ranked));
    most = ASSAY_MIN(most, (size_t)ASSAY_TPE_GOOD_MAX);
    n_good = ASSAY_MIN(ASSAY_MIN(n_good, ranking->n_learning), most);
    good->n = bad->n = good->n_pending = bad->n_pending = 0;
    ranking->n_splits++;
    if (ranking->n_objectives > 1)
        take_fronts(ranking, n_good, good);
    else
        take_best(ranking, n_good, good);
    take_bad(ranking, n_good, bad);
}

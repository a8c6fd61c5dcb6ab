#include "suggest/guard.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/rules/columns.h"
#include "suggest/rules/live.h"

#define ENDS_MAX 64 /* completed trials whose last steps are kept: of the highest numbers */

struct assay_guard {
    int64_t protect_best, checks, warmup_steps;
    double warmup_share;
    struct assay_live_set live; /* mark: steps in a row; figure: the last of them */
    struct assay_columns columns;
    struct {
        int64_t number, last_step;
    } ends[ENDS_MAX]; /* by number */
    size_t n_ends;
    int64_t usual_length; /* 0: no trial has completed */
};

struct assay_guard *
assay_guard_new(const struct assay_stopping_choice *choice, bool maximize)
{
    struct assay_guard *guard;

    if (choice->protect_best <= 0 && choice->checks <= 1 && choice->warmup_steps <= 0 &&
        !(choice->warmup_share > 0.0))
        return NULL;
    guard = ASSAY_NEW(struct assay_guard);
    guard->protect_best = choice->protect_best;
    guard->checks = choice->checks;
    guard->warmup_steps = choice->warmup_steps;
    guard->warmup_share = choice->warmup_share;
    assay_live_init(&guard->live, maximize);
    assay_columns_init(&guard->columns);
    return guard;
}

struct assay_guard *
assay_guard_free(struct assay_guard *guard)
{
    if (guard == NULL)
        return NULL;
    assay_live_done(&guard->live);
    assay_columns_done(&guard->columns);
    free(guard);
    return NULL;
}

static bool
is_warming_up(const struct assay_guard *guard, int64_t step)
{
    if (step < guard->warmup_steps)
        return true;
    return guard->warmup_share > 0.0 &&
           (guard->usual_length == 0 ||
            (double)step < guard->warmup_share * (double)guard->usual_length);
}

static bool
is_among_best(const struct assay_guard *guard, const struct assay_curve *curve)
{
    const struct assay_column *column = assay_columns_find(&guard->columns, curve->last_step);
    size_t better = 0, equal;

    if (guard->protect_best <= 0)
        return false;
    if (column != NULL)
        assay_column_rank(column, curve->best, &better, &equal);
    return better * (column != NULL ? column->weight : 1) < (size_t)guard->protect_best;
}

bool
assay_guard_allows(struct assay_guard *guard, int64_t number, int64_t step, double value, bool stop)
{
    struct assay_live *live = assay_live_report(&guard->live, number, step, value);

    if (live == NULL)
        return false;
    if (!stop || is_warming_up(guard, live->curve.last_step) ||
        is_among_best(guard, &live->curve)) {
        live->mark = 0;
        live->figure = NAN;
        return false;
    }
    if (live->figure != (double)live->curve.last_step)
        live->mark++;
    live->figure = (double)live->curve.last_step;
    return live->mark >= guard->checks;
}

static int
compare_steps(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static void
learn_length(struct assay_guard *guard, int64_t number, int64_t last_step)
{
    int64_t sorted[ENDS_MAX];
    size_t at = 0;

    while (at < guard->n_ends && guard->ends[at].number < number)
        at++;
    if (guard->n_ends == ENDS_MAX) {
        if (at == 0)
            return; /* all that are kept have higher numbers */
        at--;
        memmove(&guard->ends[0], &guard->ends[1], at * sizeof *guard->ends);
    } else {
        memmove(&guard->ends[at + 1], &guard->ends[at], (guard->n_ends - at) * sizeof *guard->ends);
        guard->n_ends++;
    }
    guard->ends[at].number = number;
    guard->ends[at].last_step = last_step;
    for (size_t i = 0; i < guard->n_ends; i++)
        sorted[i] = guard->ends[i].last_step;
    qsort(sorted, guard->n_ends, sizeof *sorted, compare_steps);
    guard->usual_length = ASSAY_MAX(sorted[guard->n_ends / 2], INT64_C(1));
}

void
assay_guard_finish(struct assay_guard *guard, int64_t number, bool completed, bool kept)
{
    struct assay_live *live = assay_live_find(&guard->live, number);
    assay_auto_free int64_t *steps = NULL;
    assay_auto_free double *bests = NULL;
    double best = INFINITY;

    if (live == NULL)
        return;
    if (completed)
        learn_length(guard, number, live->curve.last_step);
    if (kept && guard->protect_best > 0) {
        steps = assay_alloc(live->curve.count, sizeof *steps);
        bests = assay_alloc(live->curve.count, sizeof *bests);
        for (size_t i = 0; i < live->curve.count; i++) {
            best = fmin(best, live->curve.segments[i].best);
            steps[i] = live->curve.segments[i].last;
            bests[i] = best;
        }
        assay_columns_add(&guard->columns, number, steps, bests, live->curve.count);
    }
    assay_live_drop(&guard->live, live);
}

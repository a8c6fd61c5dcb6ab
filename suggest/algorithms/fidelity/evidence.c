#include "suggest/algorithms/fidelity/evidence.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

static int
compare_judged(const void *a, const void *b)
{
    const struct assay_judged *x = a, *y = b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->trial->number < y->trial->number ? -1 : x->trial->number > y->trial->number;
}

struct assay_judged *
assay_evidence_judged(const struct assay_ladder *ladder, const struct assay_history *history,
                      size_t rung, size_t *ret_n, size_t *ret_valued)
{
    struct assay_judged *judged;
    size_t n = 0, valued = 0;

    for (size_t b = 0; b < ladder->n_brackets; b++)
        n += ladder->judged[b * ladder->n_rungs + rung].n;
    judged = assay_alloc(n + 1, sizeof *judged);
    n = 0;
    for (size_t b = 0; b < ladder->n_brackets; b++) {
        const struct assay_ladder_list *list = &ladder->judged[b * ladder->n_rungs + rung];

        for (size_t i = 0; i < list->n; i++)
            judged[n++] = (struct assay_judged){
                .trial = assay_history_find(history, list->entries[i].number),
                .value = list->entries[i].value,
            };
    }
    qsort(judged, n, sizeof *judged, compare_judged);
    while (valued < n && isfinite(judged[valued].value))
        valued++;
    *ret_n = n;
    *ret_valued = valued;
    return judged;
}

static int
compare_numbers(const void *a, const void *b)
{
    const struct assay_history_trial *x = *(const struct assay_history_trial *const *)a;
    const struct assay_history_trial *y = *(const struct assay_history_trial *const *)b;

    return x->number < y->number ? -1 : x->number > y->number;
}

const double **
assay_evidence_pending(const struct assay_history *history, size_t max, size_t *ret_n)
{
    size_t count = assay_history_count(history), n = 0, first;
    assay_auto_free const struct assay_history_trial **trials =
        assay_alloc(count + 1, sizeof *trials);
    const double **points = assay_alloc(max + 1, sizeof *points);

    for (size_t i = 0; i < count; i++) {
        const struct assay_history_trial *trial = assay_history_at(history, i);

        if (trial->state == ASSAY_PLUGIN_PENDING)
            trials[n++] = trial;
    }
    qsort(trials, n, sizeof *trials, compare_numbers);
    first = n > max ? n - max : 0;
    for (size_t i = first; i < n; i++)
        points[i - first] = trials[i]->point;
    *ret_n = n - first;
    return points;
}

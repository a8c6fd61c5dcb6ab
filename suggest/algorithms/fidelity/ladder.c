#include "suggest/algorithms/fidelity/ladder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/fidelity/brackets.h"

void
assay_ladder_init(struct assay_ladder *ladder, const double *rungs, size_t n_rungs, double eta,
                  size_t n_brackets, size_t n_constraints)
{
    ASSAY_ASSERT(n_rungs >= 1 && eta > 1.0);
    *ladder = (struct assay_ladder){
        .n_rungs = n_rungs,
        .n_brackets = n_brackets,
        .n_constraints = n_constraints,
        .eta = eta,
        .rungs = assay_memdup(rungs, n_rungs * sizeof *rungs),
        .shares = assay_alloc(n_brackets, sizeof *ladder->shares),
        .judged = assay_zalloc(n_brackets * n_rungs, sizeof *ladder->judged),
        .waiting = assay_zalloc(n_brackets * n_rungs, sizeof *ladder->waiting),
        .n_beyond = assay_zalloc(n_brackets * n_rungs, sizeof *ladder->n_beyond),
    };
    assay_bracket_shares(rungs, n_rungs, n_brackets, ladder->shares);
}

void
assay_ladder_done(struct assay_ladder *ladder)
{
    for (size_t i = 0; i < ladder->n_brackets * ladder->n_rungs; i++) {
        free(ladder->judged[i].entries);
        free(ladder->waiting[i].entries);
    }
    free(ladder->judged);
    free(ladder->waiting);
    free(ladder->n_beyond);
    free(ladder->rungs);
    free(ladder->shares);
    *ladder = (struct assay_ladder){0};
}

size_t
assay_ladder_rung_of(const struct assay_ladder *ladder, double budget)
{
    size_t k = ladder->n_rungs - 1;

    while (k > 0 && budget < ladder->rungs[k] * (1.0 - 1e-9))
        k--;
    return k;
}

/* A trial that was imported, or measured nothing on the way, has its last value only. */
static bool
stands_for_itself(const struct assay_ladder *ladder, const struct assay_history_trial *trial,
                  size_t rung)
{
    return trial->state == ASSAY_PLUGIN_SUCCEEDED && !isnan(trial->values[0]) &&
           rung == assay_ladder_rung_of(ladder, trial->budget);
}

double
assay_ladder_value(const struct assay_ladder *ladder, const struct assay_history_trial *trial,
                   size_t rung)
{
    double value = trial->rung_values[rung];

    if (isnan(value) && stands_for_itself(ladder, trial, rung))
        value = trial->values[0];
    for (size_t k = 0; k < ladder->n_constraints && !isnan(value); k++) {
        if (trial->constraints[k] > 0.0)
            value = INFINITY;
    }
    return isnan(value) || isfinite(value) ? value : INFINITY;
}

/* The first rung past all those for which the trial has a value. */
static size_t
first_open(const struct assay_ladder *ladder, const struct assay_history_trial *trial)
{
    size_t k = ladder->n_rungs;

    while (k > 0 && isnan(assay_ladder_value(ladder, trial, k - 1)))
        k--;
    return k;
}

/* --- sorted lists --- */

static int
compare_entries(const struct assay_ladder_entry *a, const struct assay_ladder_entry *b)
{
    if (a->value != b->value)
        return a->value < b->value ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

/* How many entries come before this one. */
static size_t
place_of(const struct assay_ladder_list *list, const struct assay_ladder_entry *entry)
{
    size_t low = 0, high = list->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_entries(&list->entries[middle], entry) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
list_set(struct assay_ladder_list *list, const struct assay_ladder_entry *entry, bool there)
{
    size_t at = place_of(list, entry);

    if (there) {
        ASSAY_GROW(list->entries, list->n, list->capacity);
        memmove(&list->entries[at + 1], &list->entries[at], (list->n - at) * sizeof *list->entries);
        list->entries[at] = *entry;
        list->n++;
        return;
    }
    ASSAY_ASSERT(at < list->n && list->entries[at].number == entry->number);
    list->n--;
    memmove(&list->entries[at], &list->entries[at + 1], (list->n - at) * sizeof *list->entries);
}

/* --- what a trial amounts to --- */

static void
judge(struct assay_ladder *ladder, const struct assay_history_trial *trial, size_t bracket,
      size_t rung, double value, bool there)
{
    const struct assay_ladder_entry entry = {.value = value, .number = trial->number};

    list_set(&ladder->judged[bracket * ladder->n_rungs + rung], &entry, there);
    if (rung + 1 == ladder->n_rungs && isfinite(value))
        ladder->n_whole += there ? 1 : (size_t)-1;
}

static void
set_trial(struct assay_ladder *ladder, const struct assay_history_trial *trial, bool there)
{
    size_t bracket = assay_bracket_of(ladder->shares, ladder->n_brackets, trial->number);
    size_t target = assay_ladder_rung_of(ladder, trial->budget);
    size_t next = first_open(ladder, trial);

    if (trial->state == ASSAY_PLUGIN_CANCELLED)
        return;
    if (trial->state == ASSAY_PLUGIN_PENDING)
        ladder->n_pending += there ? 1 : (size_t)-1;
    for (size_t k = bracket; k < next; k++) {
        double value = assay_ladder_value(ladder, trial, k);

        if (isnan(value))
            continue;
        judge(ladder, trial, bracket, k, value, there);
        if (k < target)
            ladder->n_beyond[bracket * ladder->n_rungs + k] += there ? 1 : (size_t)-1;
    }
    /* Ended on the way to a rung: the worst there. */
    if (trial->state != ASSAY_PLUGIN_PENDING && next <= target)
        judge(ladder, trial, bracket, ASSAY_MAX(next, bracket), INFINITY, there);
    if (trial->state == ASSAY_PLUGIN_PAUSED && next > target && next > bracket &&
        next < ladder->n_rungs) {
        const struct assay_ladder_entry entry = {
            .value = assay_ladder_value(ladder, trial, next - 1),
            .number = trial->number,
        };

        if (isfinite(entry.value))
            list_set(&ladder->waiting[bracket * ladder->n_rungs + next - 1], &entry, there);
    }
}

void
assay_ladder_add(struct assay_ladder *ladder, const struct assay_history_trial *trial)
{
    set_trial(ladder, trial, true);
}

void
assay_ladder_remove(struct assay_ladder *ladder, const struct assay_history_trial *trial)
{
    set_trial(ladder, trial, false);
}

/* --- questions --- */

static bool
is_taken(int64_t number, const int64_t *taken, size_t n_taken)
{
    for (size_t i = 0; i < n_taken; i++) {
        if (taken[i] == number)
            return true;
    }
    return false;
}

/* The best that waits there and is not taken. */
static bool
best_waiting(const struct assay_ladder *ladder, size_t bracket, size_t rung, const int64_t *taken,
             size_t n_taken, struct assay_promotion *ret_promotion)
{
    const struct assay_ladder_list *waiting = &ladder->waiting[bracket * ladder->n_rungs + rung];
    const struct assay_ladder_list *judged = &ladder->judged[bracket * ladder->n_rungs + rung];
    size_t i = 0;

    while (i < waiting->n && is_taken(waiting->entries[i].number, taken, n_taken))
        i++;
    if (i == waiting->n)
        return false;
    *ret_promotion = (struct assay_promotion){
        .number = waiting->entries[i].number,
        .bracket = bracket,
        .from = rung,
        .value = waiting->entries[i].value,
        .rank = place_of(judged, &waiting->entries[i]) + 1,
        .judged = judged->n,
    };
    return true;
}

/* Trials that have gone on from a rung, those taken from it now among them. */
static size_t
count_beyond(const struct assay_ladder *ladder, size_t bracket, size_t rung, const int64_t *taken,
             size_t n_taken)
{
    const struct assay_ladder_list *waiting = &ladder->waiting[bracket * ladder->n_rungs + rung];
    size_t n = ladder->n_beyond[bracket * ladder->n_rungs + rung];

    for (size_t i = 0; i < waiting->n && n_taken > 0; i++)
        n += is_taken(waiting->entries[i].number, taken, n_taken) ? 1 : 0;
    return n;
}

bool
assay_ladder_next(const struct assay_ladder *ladder, bool sparing, const int64_t *taken,
                  size_t n_taken, struct assay_promotion *ret_promotion)
{
    for (size_t rung = ladder->n_rungs - 1; rung-- > 0;) {
        for (size_t bracket = 0; bracket <= rung && bracket < ladder->n_brackets; bracket++) {
            struct assay_promotion promotion;
            double places;

            if (!best_waiting(ladder, bracket, rung, taken, n_taken, &promotion))
                continue;
            places = floor((double)promotion.judged / ladder->eta);
            if ((double)promotion.rank > places ||
                (sparing && promotion.rank > 1 &&
                 (double)count_beyond(ladder, bracket, rung, taken, n_taken) >= places))
                continue;
            *ret_promotion = promotion;
            return true;
        }
    }
    return false;
}

bool
assay_ladder_highest(const struct assay_ladder *ladder, const int64_t *taken, size_t n_taken,
                     struct assay_promotion *ret_promotion)
{
    bool found = false;

    for (size_t rung = ladder->n_rungs - 1; rung-- > 0 && !found;) {
        for (size_t bracket = 0; bracket <= rung && bracket < ladder->n_brackets; bracket++) {
            struct assay_promotion promotion;

            if (best_waiting(ladder, bracket, rung, taken, n_taken, &promotion) &&
                (!found || promotion.value < ret_promotion->value)) {
                *ret_promotion = promotion;
                found = true;
            }
        }
    }
    return found;
}

bool
assay_ladder_is_import(const struct assay_history_trial *trial, size_t n_rungs)
{
    bool ended = trial->state != ASSAY_PLUGIN_PENDING && trial->state != ASSAY_PLUGIN_PAUSED;

    for (size_t k = 0; k < n_rungs; k++) {
        if (!isnan(trial->rung_values[k]))
            return false;
    }
    return ended && trial->steps < 0;
}

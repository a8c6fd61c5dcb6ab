#include "suggest/history.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

#define EMPTY SIZE_MAX

/* An open-addressing table of indices into the trials, linear probing, at most
 * half full.  Two of them: by number, and by point (the first trial of each
 * distinct point). */
struct table {
    size_t *slots;
    size_t n_slots; /* power of two */
    size_t used;
};

struct assay_history {
    const struct assay_plugin_space *space;
    size_t n_objectives, n_constraints, n_rungs;
    struct assay_history_trial *trials;
    uint64_t *hashes; /* of the trials' points */
    size_t count, capacity, hashes_capacity;
    struct table by_number, by_point;
    int64_t gapless; /* 1 … gapless have all been told */
    int64_t highest;
};

struct assay_history *
assay_history_new(const struct assay_plugin_space *space, size_t n_objectives,
                  size_t n_constraints, size_t n_rungs)
{
    struct assay_history *history = ASSAY_NEW(struct assay_history);

    history->space = space;
    history->n_objectives = n_objectives;
    history->n_constraints = n_constraints;
    history->n_rungs = n_rungs;
    return history;
}

struct assay_history *
assay_history_free(struct assay_history *history)
{
    if (history == NULL)
        return NULL;
    for (size_t i = 0; i < history->count; i++) {
        free(history->trials[i].point);
        free(history->trials[i].values);
        free(history->trials[i].constraints);
        free(history->trials[i].rung_values);
    }
    free(history->trials);
    free(history->hashes);
    free(history->by_number.slots);
    free(history->by_point.slots);
    free(history);
    return NULL;
}

static uint64_t
hash_number(int64_t number)
{
    return (uint64_t)number * UINT64_C(0x9E3779B97F4A7C15) >> 16;
}

/* The slot that holds the trial of this number, or the empty one where it belongs. */
static size_t *
slot_of_number(const struct assay_history *history, int64_t number)
{
    size_t mask = history->by_number.n_slots - 1;
    size_t at = (size_t)hash_number(number) & mask;

    while (history->by_number.slots[at] != EMPTY &&
           history->trials[history->by_number.slots[at]].number != number)
        at = (at + 1) & mask;
    return &history->by_number.slots[at];
}

static size_t *
slot_of_point(const struct assay_history *history, const double *point, uint64_t hash)
{
    size_t mask = history->by_point.n_slots - 1;
    size_t at = (size_t)hash & mask;

    for (;; at = (at + 1) & mask) {
        size_t i = history->by_point.slots[at];

        if (i == EMPTY || (history->hashes[i] == hash &&
                           assay_view_equal(history->space, history->trials[i].point, point)))
            return &history->by_point.slots[at];
    }
}

static void
table_reset(struct table *table, size_t n_slots)
{
    free(table->slots);
    table->slots = assay_alloc(n_slots, sizeof *table->slots);
    table->n_slots = n_slots;
    table->used = 0;
    for (size_t i = 0; i < n_slots; i++)
        table->slots[i] = EMPTY;
}

static void
index_point(struct assay_history *history, size_t i)
{
    size_t *slot = slot_of_point(history, history->trials[i].point, history->hashes[i]);

    if (*slot == EMPTY) {
        *slot = i;
        history->by_point.used++;
    }
}

/* Makes the tables from the trials anew, with room for as many again. */
static void
reindex(struct assay_history *history)
{
    size_t n_slots = 64;

    while (n_slots < 4 * (history->count + 1))
        n_slots *= 2;
    table_reset(&history->by_number, n_slots);
    table_reset(&history->by_point, n_slots);
    for (size_t i = 0; i < history->count; i++) {
        *slot_of_number(history, history->trials[i].number) = i;
        index_point(history, i);
    }
}

static bool
is_measured(const struct assay_history *history, const struct assay_history_trial *trial)
{
    if (trial->state != ASSAY_PLUGIN_SUCCEEDED && trial->state != ASSAY_PLUGIN_STOPPED)
        return false;
    for (size_t k = 0; k < history->n_objectives; k++) {
        if (!isfinite(trial->values[k]))
            return false;
    }
    return true;
}

static double
violation_of(const struct assay_history *history, const struct assay_history_trial *trial)
{
    double sum = 0.0;

    for (size_t k = 0; k < history->n_constraints; k++)
        sum += isnan(trial->constraints[k]) ? INFINITY : fmax(trial->constraints[k], 0.0);
    return sum;
}

static void
fill(struct assay_history *history, size_t i, const struct assay_plugin_trial *told)
{
    struct assay_history_trial *trial = &history->trials[i];

    trial->number = told->number;
    trial->state = told->state;
    trial->foretold = told->foretold != 0;
    trial->budget = told->budget;
    trial->steps = told->steps;
    memcpy(trial->point, told->point, history->space->n_parameters * sizeof *trial->point);
    memcpy(trial->values, told->values, history->n_objectives * sizeof *trial->values);
    for (size_t k = 0; k < history->n_constraints; k++)
        trial->constraints[k] = told->constraints[k];
    for (size_t k = 0; k < history->n_rungs; k++)
        trial->rung_values[k] = told->rung_values[k];
    trial->violation = violation_of(history, trial);
    trial->measured = is_measured(history, trial);
    trial->usable = trial->measured && trial->violation <= 0.0;
    history->hashes[i] = assay_view_hash(history->space, trial->point);
}

void
assay_history_tell(struct assay_history *history, const struct assay_plugin_trial *trial)
{
    size_t *slot, i = history->count;

    if (2 * (history->count + 1) > history->by_number.n_slots)
        reindex(history);
    slot = slot_of_number(history, trial->number);
    if (*slot != EMPTY) {
        bool moved = !assay_view_equal(history->space, history->trials[*slot].point, trial->point);

        fill(history, *slot, trial);
        if (moved)
            reindex(history);
        return;
    }
    ASSAY_GROW(history->trials, history->count, history->capacity);
    ASSAY_GROW(history->hashes, history->count, history->hashes_capacity);
    history->trials[i].point = assay_alloc(history->space->n_parameters + 1, sizeof(double));
    history->trials[i].values = assay_alloc(history->n_objectives + 1, sizeof(double));
    history->trials[i].constraints = assay_alloc(history->n_constraints + 1, sizeof(double));
    history->trials[i].rung_values = assay_alloc(history->n_rungs + 1, sizeof(double));
    fill(history, i, trial);
    *slot = history->count++;
    index_point(history, i);
    history->highest = ASSAY_MAX(history->highest, trial->number);
    while (assay_history_find(history, history->gapless + 1) != NULL)
        history->gapless++;
}

size_t
assay_history_count(const struct assay_history *history)
{
    return history->count;
}

const struct assay_history_trial *
assay_history_at(const struct assay_history *history, size_t i)
{
    ASSAY_ASSERT(i < history->count);
    return &history->trials[i];
}

const struct assay_history_trial *
assay_history_find(const struct assay_history *history, int64_t number)
{
    size_t i = history->count > 0 ? *slot_of_number(history, number) : EMPTY;

    return i == EMPTY ? NULL : &history->trials[i];
}

size_t
assay_history_count_before(const struct assay_history *history, int64_t number)
{
    size_t before = 0;

    if (number > history->highest)
        return history->count;
    if (number <= history->gapless + 1)
        return (size_t)(number - 1);
    for (size_t i = 0; i < history->count; i++)
        before += history->trials[i].number < number;
    return before;
}

bool
assay_history_tried(const struct assay_history *history, const double *point)
{
    return history->count > 0 &&
           *slot_of_point(history, point, assay_view_hash(history->space, point)) != EMPTY;
}

size_t
assay_history_distinct(const struct assay_history *history)
{
    return history->by_point.used;
}

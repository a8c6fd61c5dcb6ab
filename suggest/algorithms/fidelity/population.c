#include "suggest/algorithms/fidelity/population.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

static double
value_of(const struct assay_history_trial *trial, size_t n_constraints)
{
    double value = trial->values[0];

    for (size_t k = 0; k < n_constraints; k++) {
        if (trial->constraints[k] > 0.0)
            value = INFINITY;
    }
    if (isnan(value) && trial->state != ASSAY_PLUGIN_PENDING)
        value = INFINITY;
    return isnan(value) || isfinite(value) ? value : INFINITY;
}

static int
compare_members(const void *a, const void *b)
{
    const struct assay_member *x = a, *y = b;

    if (isnan(x->value) != isnan(y->value))
        return isnan(x->value) ? 1 : -1;
    if (!isnan(x->value) && x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->trial->number < y->trial->number ? -1 : x->trial->number > y->trial->number;
}

static bool
is_among(int64_t number, const int64_t *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (numbers[i] == number)
            return true;
    }
    return false;
}

/* Trials that an algorithm did not begin have no budget of their own and never pause;
 * those that were only imported have measured no step. */
static bool
is_finished(const struct assay_history_trial *trial)
{
    return trial->state == ASSAY_PLUGIN_SUCCEEDED && trial->steps >= 0;
}

/* Takes out the `n_out` worst of those with a value that have not finished. */
static void
take_out(struct assay_population *population, size_t n_out)
{
    size_t kept = population->n;

    for (size_t i = population->n; i-- > 0;) {
        const struct assay_member *member = &population->members[i];

        if (n_out > 0 && !isnan(member->value) && !is_finished(member->trial)) {
            n_out--;
            memmove(&population->members[i], &population->members[i + 1],
                    (kept - i - 1) * sizeof *population->members);
            kept--;
        }
    }
    population->n = kept;
}

static void
set_figures(struct assay_population *population)
{
    for (size_t i = 0; i < population->n; i++) {
        const struct assay_member *member = &population->members[i];

        population->n_valued += isnan(member->value) ? 0 : 1;
        if (member->waits &&
            (population->next == NULL || member->trial->budget < population->next->trial->budget))
            population->next = member;
    }
}

void
assay_population_init(struct assay_population *population, const struct assay_history *history,
                      size_t n_constraints, size_t n_places, const int64_t *resumed,
                      size_t n_resumed, size_t n_added)
{
    size_t count = assay_history_count(history), taken = n_added;

    *population = (struct assay_population){
        .members = assay_alloc(count + 1, sizeof *population->members),
        .n_begun = n_added,
        .n_live = n_added,
        .n_newborn = n_added,
    };
    for (size_t i = 0; i < count; i++) {
        const struct assay_history_trial *trial = assay_history_at(history, i);
        bool paused = trial->state == ASSAY_PLUGIN_PAUSED && isfinite(trial->budget);
        bool waits = paused && !is_among(trial->number, resumed, n_resumed);
        bool runs = trial->state == ASSAY_PLUGIN_PENDING || (paused && !waits);
        struct assay_member member = {
            .trial = trial, .value = value_of(trial, n_constraints), .waits = waits};

        population->n_begun += trial->state != ASSAY_PLUGIN_CANCELLED ? 1 : 0;
        population->n_live += runs ? 1 : 0;
        population->n_newborn += runs && isnan(member.value) ? 1 : 0;
        if (runs || waits || is_finished(trial))
            population->members[population->n++] = member;
    }
    taken += population->n;
    if (population->n > 0)
        qsort(population->members, population->n, sizeof *population->members, compare_members);
    if (taken > n_places)
        take_out(population, taken - n_places);
    population->n_free = taken < n_places ? n_places - taken : 0;
    set_figures(population);
}

void
assay_population_done(struct assay_population *population)
{
    free(population->members);
    *population = (struct assay_population){0};
}

bool
assay_population_pair(const struct assay_population *population, double quantile,
                      const struct assay_member **ret_parent, const struct assay_member **ret_loser)
{
    size_t n = population->n_valued, n_end = (size_t)floor(quantile * (double)n + 1e-9);
    const struct assay_member *parent = population->next, *loser;

    if (parent == NULL || n_end == 0 || population->n_newborn >= n_end ||
        (size_t)(parent - population->members) >= n_end)
        return false;
    loser = &population->members[n - 1];
    if (!(loser->value > parent->value) || is_finished(loser->trial))
        return false;
    *ret_parent = parent;
    *ret_loser = loser;
    return true;
}

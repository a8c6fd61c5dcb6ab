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

/* Those that wait first, the smallest budget first, the worst first. */
static int
compare_members(const void *a, const void *b)
{
    const struct assay_member *x = a, *y = b;

    if (x->waits != y->waits)
        return x->waits ? -1 : 1;
    if (x->waits && x->trial->budget != y->trial->budget)
        return x->trial->budget < y->trial->budget ? -1 : 1;
    if (x->waits && x->value != y->value)
        return x->value > y->value ? -1 : 1;
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

void
assay_population_init(struct assay_population *population, const struct assay_history *history,
                      size_t n_constraints, size_t n_places, const int64_t *resumed,
                      size_t n_resumed, size_t n_added)
{
    size_t count = assay_history_count(history), n_finished = 0, taken, out;

    *population = (struct assay_population){
        .members = assay_alloc(count + 1, sizeof *population->members),
        .n_begun = n_added,
        .n_live = n_added,
    };
    for (size_t i = 0; i < count; i++) {
        const struct assay_history_trial *trial = assay_history_at(history, i);
        bool paused = trial->state == ASSAY_PLUGIN_PAUSED && isfinite(trial->budget);
        bool waits = paused && !is_among(trial->number, resumed, n_resumed);
        bool runs = trial->state == ASSAY_PLUGIN_PENDING || (paused && !waits);

        population->n_begun += trial->state != ASSAY_PLUGIN_CANCELLED ? 1 : 0;
        population->n_live += runs ? 1 : 0;
        population->n_waiting += waits ? 1 : 0;
        n_finished += is_finished(trial) ? 1 : 0;
        if (runs || waits || is_finished(trial))
            population->members[population->n++] = (struct assay_member){
                .trial = trial, .value = value_of(trial, n_constraints), .waits = waits};
    }
    if (population->n > 0)
        qsort(population->members, population->n, sizeof *population->members, compare_members);
    taken = population->n_live + population->n_waiting + n_finished;
    out = taken > n_places ? ASSAY_MIN(taken - n_places, population->n_waiting) : 0;
    population->n_free = taken < n_places ? n_places - taken : 0;
    population->n -= out;
    population->n_waiting -= out;
    memmove(population->members, population->members + out,
            population->n * sizeof *population->members);
}

void
assay_population_done(struct assay_population *population)
{
    free(population->members);
    *population = (struct assay_population){0};
}

static int
compare_values(const void *a, const void *b)
{
    const struct assay_member *x = *(const struct assay_member *const *)a;
    const struct assay_member *y = *(const struct assay_member *const *)b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->trial->number < y->trial->number ? -1 : x->trial->number > y->trial->number;
}

void
assay_population_rank(const struct assay_population *population, const struct assay_member *member,
                      double quantile, const struct assay_member **ret_parents,
                      size_t *ret_n_parents)
{
    assay_auto_free const struct assay_member **ranked =
        assay_alloc(population->n + 1, sizeof *ranked);
    size_t n = 0, n_end, place = 0, n_parents = 0;

    for (size_t i = 0; i < population->n; i++) {
        if (!isnan(population->members[i].value))
            ranked[n++] = &population->members[i];
    }
    if (n > 0)
        qsort(ranked, n, sizeof *ranked, compare_values);
    n_end = (size_t)floor(quantile * (double)n + 1e-9);
    while (place < n && ranked[place] != member)
        place++;
    for (size_t i = 0; i < n_end && place < n && place + n_end >= n; i++) {
        if (ranked[i]->trial->state == ASSAY_PLUGIN_PAUSED && ranked[i]->value < member->value)
            ret_parents[n_parents++] = ranked[i];
    }
    *ret_n_parents = n_parents;
}

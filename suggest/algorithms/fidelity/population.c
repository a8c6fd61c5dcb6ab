#include "suggest/algorithms/fidelity/population.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/fidelity/ladder.h"

/* The last value and the budget it was measured at; where only those of the rungs are
 * known, that of the highest. */
static void
set_value(const struct assay_population_plan *plan, struct assay_member *member)
{
    const struct assay_history_trial *trial = member->trial;
    bool runs = trial->state == ASSAY_PLUGIN_PENDING;

    member->value = trial->values[0];
    member->at = runs || isnan(trial->budget) ? (double)trial->steps : trial->budget;
    for (size_t k = plan->n_rungs; k-- > 0 && isnan(member->value);) {
        member->value = trial->rung_values[k];
        if (!isnan(member->value))
            member->at = plan->rungs[k];
    }
    for (size_t k = 0; k < plan->n_constraints; k++) {
        if (trial->constraints[k] > 0.0)
            member->value = INFINITY;
    }
    if (isnan(member->value) ? !runs : !isfinite(member->value))
        member->value = INFINITY;
}

static int
compare_members(const void *a, const void *b)
{
    const struct assay_member *x = a, *y = b;

    if (isnan(x->value) != isnan(y->value))
        return isnan(x->value) ? 1 : -1;
    if (x->losses != y->losses)
        return x->losses < y->losses ? -1 : 1;
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

/* What the member had at a budget it has used: between the points around it by the
 * logarithm of the budget. */
static double
value_at(const struct assay_population_plan *plan, const struct assay_member *member, double budget)
{
    double low = NAN, low_value = NAN, high = member->at, high_value = member->value;

    if (!isfinite(member->value) || budget >= member->at)
        return member->value;
    for (size_t k = 0; k < plan->n_rungs && plan->rungs[k] < member->at; k++) {
        double value = member->trial->rung_values[k];

        if (!isfinite(value))
            continue;
        if (plan->rungs[k] > budget) {
            high = plan->rungs[k];
            high_value = value;
            break;
        }
        low = plan->rungs[k];
        low_value = value;
    }
    if (isnan(low))
        return high_value;
    return low_value + (high_value - low_value) * log(budget / low) / log(high / low);
}

/* Negative when a stands better than b. */
static int
compare_pair(const struct assay_population_plan *plan, const struct assay_member *a,
             const struct assay_member *b)
{
    double budget = fmin(a->at, b->at), x, y;

    if (!(budget > 0.0))
        return 0;
    x = value_at(plan, a, budget);
    y = value_at(plan, b, budget);
    return x < y ? -1 : x > y;
}

static void
count_losses(const struct assay_population_plan *plan, struct assay_population *population)
{
    for (size_t i = 0; i < population->n; i++) {
        struct assay_member *a = &population->members[i];

        for (size_t k = 0; k < i && !isnan(a->value); k++) {
            struct assay_member *b = &population->members[k];
            int order = isnan(b->value) ? 0 : compare_pair(plan, a, b);

            a->losses += order > 0 ? 1 : 0;
            b->losses += order < 0 ? 1 : 0;
        }
    }
}

/* Reads the members; returns how many places are taken. */
static size_t
read_members(const struct assay_population_plan *plan, const struct assay_history *history,
             struct assay_population *population)
{
    for (size_t i = 0; i < assay_history_count(history); i++) {
        const struct assay_history_trial *trial = assay_history_at(history, i);
        bool paused = trial->state == ASSAY_PLUGIN_PAUSED && isfinite(trial->budget);
        bool waits = paused && !is_among(trial->number, plan->resumed, plan->n_resumed);
        bool runs = trial->state == ASSAY_PLUGIN_PENDING || (paused && !waits);
        struct assay_member member = {.trial = trial, .waits = waits};

        set_value(plan, &member);
        population->n_imports += assay_ladder_is_import(trial, plan->n_rungs) ? 1 : 0;
        population->n_begun += trial->state != ASSAY_PLUGIN_CANCELLED ? 1 : 0;
        population->n_live += runs ? 1 : 0;
        population->n_newborn += runs && isnan(member.value) ? 1 : 0;
        if (runs || waits || is_finished(trial))
            population->members[population->n++] = member;
    }
    return population->n + plan->n_added;
}

void
assay_population_init(struct assay_population *population, const struct assay_history *history,
                      const struct assay_population_plan *plan)
{
    size_t taken;

    *population = (struct assay_population){
        .plan = plan,
        .members = assay_alloc(assay_history_count(history) + 1, sizeof *population->members),
        .n_begun = plan->n_added,
        .n_live = plan->n_added,
        .n_newborn = plan->n_added,
    };
    taken = read_members(plan, history, population);
    count_losses(plan, population);
    if (population->n > 0)
        qsort(population->members, population->n, sizeof *population->members, compare_members);
    if (taken > plan->n_places)
        take_out(population, taken - plan->n_places);
    population->n_free = taken < plan->n_places ? plan->n_places - taken : 0;
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
    if (is_finished(loser->trial) || compare_pair(population->plan, parent, loser) >= 0)
        return false;
    *ret_parent = parent;
    *ret_loser = loser;
    return true;
}

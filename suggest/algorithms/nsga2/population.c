#include "suggest/algorithms/nsga2/population.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/pareto/domination.h"

/* Violations are in (0, 1], guests next, stopped trials in (3, 4], the rest at the end. */
#define GUEST 2.0
#define STOPPED 3.0

double
assay_nsga2_standing(const struct assay_history_trial *trial)
{
    if (trial->usable && assay_history_is_whole(trial))
        return 0.0;
    if (trial->usable)
        return STOPPED + 1.0 / (2.0 + (double)ASSAY_MAX(trial->steps, (int64_t)-1));
    if (trial->measured)
        return isinf(trial->violation) ? 1.0 : trial->violation / (1.0 + trial->violation);
    return INFINITY;
}

double
assay_nsga2_guest_standing(void)
{
    return GUEST;
}

void
assay_nsga2_population_init(struct assay_nsga2_population *population, size_t n_objectives,
                            size_t n_max)
{
    *population = (struct assay_nsga2_population){
        .n_objectives = n_objectives,
        .n_max = n_max,
        .members = assay_alloc(n_max + 1, sizeof *population->members),
        .ranks = assay_alloc(n_max + 1, sizeof *population->ranks),
        .crowding = assay_alloc(n_max + 1, sizeof *population->crowding),
    };
}

void
assay_nsga2_population_done(struct assay_nsga2_population *population)
{
    free(population->members);
    free(population->ranks);
    free(population->crowding);
}

/* Crowding within each front.  Those that do not count by their values are not spread. */
static void
measure_crowding(struct assay_nsga2_population *population, const double *values, size_t n_ranks)
{
    size_t n = population->n;
    assay_auto_free size_t *front = assay_alloc(n + 1, sizeof *front);
    assay_auto_free double *crowding = assay_alloc(n + 1, sizeof *crowding);

    for (size_t i = 0; i < n; i++)
        population->crowding[i] = 0.0;
    for (size_t rank = 0; rank < n_ranks; rank++) {
        size_t n_front = 0;

        for (size_t i = 0; i < n; i++) {
            if (population->ranks[i] == rank && population->members[i]->standing <= 0.0)
                front[n_front++] = i;
        }
        if (n_front == 0)
            return;
        assay_pareto_crowding(values, population->n_objectives, front, n_front, crowding);
        for (size_t f = 0; f < n_front; f++)
            population->crowding[front[f]] = crowding[f];
    }
}

void
assay_nsga2_population_measure(struct assay_nsga2_population *population)
{
    size_t n = population->n, m = population->n_objectives;
    assay_auto_free double *values = assay_alloc(n * m + 1, sizeof *values);
    assay_auto_free double *standings = assay_alloc(n + 1, sizeof *standings);
    size_t n_ranks;

    for (size_t i = 0; i < n; i++) {
        memcpy(&values[i * m], population->members[i]->values, m * sizeof *values);
        standings[i] = population->members[i]->standing;
    }
    n_ranks = assay_pareto_ranks(values, standings, n, m, n, population->ranks);
    measure_crowding(population, values, n_ranks);
}

/* Of equal ones the later is the worse, so that what is known stays. */
static bool
is_better(const struct assay_nsga2_population *population, size_t a, size_t b)
{
    if (population->ranks[a] != population->ranks[b])
        return population->ranks[a] < population->ranks[b];
    if (population->crowding[a] != population->crowding[b])
        return population->crowding[a] > population->crowding[b];
    return population->members[a]->number < population->members[b]->number;
}

void
assay_nsga2_population_add(struct assay_nsga2_population *population,
                           const struct assay_nsga2_trial *trial)
{
    size_t worst = 0;

    population->members[population->n++] = trial;
    if (population->n <= population->n_max)
        return;
    assay_nsga2_population_measure(population);
    for (size_t i = 1; i < population->n; i++) {
        if (is_better(population, worst, i))
            worst = i;
    }
    population->n--;
    memmove(&population->members[worst], &population->members[worst + 1],
            (population->n - worst) * sizeof *population->members);
}

void
assay_nsga2_population_set(struct assay_nsga2_population *population,
                           const struct assay_nsga2_trial *const *members, size_t n)
{
    ASSAY_ASSERT(n <= population->n_max);
    memcpy(population->members, members, n * sizeof *members);
    population->n = n;
}

const struct assay_nsga2_trial *
assay_nsga2_population_pick(const struct assay_nsga2_population *population,
                            struct assay_random *random)
{
    size_t a = (size_t)assay_random_below(random, population->n);
    size_t b = (size_t)assay_random_below(random, population->n);

    return population->members[is_better(population, a, b) ? a : b];
}

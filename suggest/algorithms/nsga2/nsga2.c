/* NSGA-II: a genetic algorithm that keeps the trials no other dominates, and of those
 * the ones that stand apart.
 *
 * K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A fast and elitist multiobjective genetic
 * algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6(2), 2002; J. J.
 * Durillo et al., "On the effect of the steady-state selection scheme in multi-objective
 * genetic algorithms", EMO 2009.  README.md here says what is done otherwise and why.
 *
 * The population is a fold over the ended trials in the order of their numbers, so that it
 * does not depend on the order in which they were told; a late one takes the fold back to
 * the last kept population before it. */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/algorithms/expectation.h"
#include "suggest/algorithms/nsga2/population.h"
#include "suggest/algorithms/nsga2/variation.h"
#include "suggest/algorithms/numbered.h"
#include "suggest/algorithms/start.h"
#include "suggest/pareto/domination.h"

/* Children before a random untried point is taken; the later ones mutate more. */
#define CHILDREN_MAX 32
/* Populations kept to go back to, one every so many trials; past it every second of the
 * older ones goes. */
#define KEPT_MAX 96
#define KEPT_EVERY 16

/* Of a population that grows. */
#define SIZE_LEAST 8
#define SIZE_MOST 100

struct kept {
    size_t consumed; /* ended trials folded in */
    size_t n;
    const struct assay_nsga2_trial **members;
};

struct nsga2 {
    struct assay_algorithm_base base; /* first */
    struct assay_start start;
    struct assay_expectations expectations;
    struct assay_nsga2_variation variation;
    struct assay_nsga2_population population;
    size_t fixed_size;                /* of the population; 0: it grows */
    size_t n_start;                   /* trials that must have ended before children */
    struct assay_numbered ended; /* struct assay_nsga2_trial */
    size_t n_consumed;          /* of `ended`, in the population */
    struct kept kept[KEPT_MAX]; /* the first is from before any trial */
    size_t n_kept;
    struct assay_nsga2_trial **guests; /* from other studies */
    size_t n_guests;
    double *unit, *coordinates;
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"population_size\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 1000,"
    " \"default\": 0, \"description\": \"Trials that are kept as parents. The first so many"
    " are points of the Sobol sequence, the middle of the space first. 0: four for each"
    " objective (8 or more), and one more for every 200 trials.\"},"
    "\"crossover_probability\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 1,"
    " \"default\": 0.9, \"description\": \"How often a child has two parents; else it is a"
    " mutated copy of one.\"},"
    "\"mutations\": {\"type\": \"number\", \"minimum\": 0.01, \"maximum\": 100, \"default\": 2,"
    " \"description\": \"Parameters of a child that are mutated, on average.\"},"
    "\"crossover_index\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 200,"
    " \"default\": 2, \"description\": \"Of simulated binary crossover: the larger, the closer"
    " children stay to their parents.\"},"
    "\"mutation_index\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 200,"
    " \"default\": 3, \"description\": \"Of polynomial mutation: the larger, the smaller its"
    " steps.\"}}}";

/* How many parents there are after so many trials. */
static size_t
size_after(const struct nsga2 *nsga2, size_t n_trials)
{
    size_t least = ASSAY_MAX(4 * nsga2->base.n_objectives, (size_t)SIZE_LEAST);

    if (nsga2->fixed_size > 0)
        return nsga2->fixed_size;
    return ASSAY_MAX(least, ASSAY_MIN(least + n_trials / 200, (size_t)SIZE_MOST));
}

/* --- guests --- */

static void
free_trial(struct assay_nsga2_trial *trial)
{
    free(trial->values);
    free(trial->coordinates);
    free(trial);
}

static struct assay_nsga2_trial *
new_trial(const struct nsga2 *nsga2, int64_t number, double standing, const double *point,
          const double *values)
{
    struct assay_nsga2_trial *trial = ASSAY_NEW(struct assay_nsga2_trial);

    trial->number = number;
    trial->standing = standing;
    trial->values = assay_memdup(values, nsga2->base.n_objectives * sizeof *values);
    trial->coordinates =
        assay_alloc(nsga2->base.transform.n_dimensions + 1, sizeof *trial->coordinates);
    assay_nsga2_encode(&nsga2->base.transform, point, trial->coordinates);
    return trial;
}

/* Whether a trial of an earlier study has values and keeps the bounds it was asked. */
static bool
is_good_guest(const struct nsga2 *nsga2, const struct assay_plugin_trial *trial)
{
    if (trial->state != ASSAY_PLUGIN_SUCCEEDED && trial->state != ASSAY_PLUGIN_STOPPED)
        return false;
    for (size_t k = 0; k < nsga2->base.n_objectives; k++) {
        if (!isfinite(trial->values[k]))
            return false;
    }
    for (size_t k = 0; k < nsga2->base.n_constraints; k++) {
        if (trial->constraints[k] > 0.0)
            return false;
    }
    return true;
}

/* The first fronts of a source, at most `room` trials. */
static void
invite(struct nsga2 *nsga2, const struct assay_plugin_source *source, size_t room)
{
    size_t m = nsga2->base.n_objectives, n = 0, n_ranks;
    assay_auto_free const struct assay_plugin_trial **trials =
        assay_alloc((size_t)source->n_trials, sizeof *trials);
    assay_auto_free double *values = assay_alloc((size_t)source->n_trials * m, sizeof *values);
    assay_auto_free size_t *ranks = assay_alloc((size_t)source->n_trials, sizeof *ranks);

    for (size_t i = 0; i < source->n_trials; i++) {
        if (!is_good_guest(nsga2, source->trials[i]))
            continue;
        memcpy(&values[n * m], source->trials[i]->values, m * sizeof *values);
        trials[n++] = source->trials[i];
    }
    n_ranks = assay_pareto_ranks(values, NULL, n, m, room, ranks);
    for (size_t rank = 0; rank < n_ranks; rank++) {
        for (size_t i = 0; i < n && room > 0; i++) {
            if (ranks[i] != rank)
                continue;
            nsga2->guests[nsga2->n_guests] =
                new_trial(nsga2, -(int64_t)nsga2->n_guests, assay_nsga2_guest_standing(),
                          trials[i]->point, trials[i]->values);
            nsga2->n_guests++;
            room--;
        }
    }
}

/* --- life --- */

static void
keep(struct nsga2 *nsga2)
{
    struct assay_nsga2_population *population = &nsga2->population;

    nsga2->kept[nsga2->n_kept++] = (struct kept){
        .consumed = nsga2->n_consumed,
        .n = population->n,
        .members =
            assay_memdup(population->members, (population->n + 1) * sizeof *population->members),
    };
}

static int32_t
nsga2_create(const struct assay_plugin_study *study, void **ret_instance, char *error ASSAY_UNUSED,
             uint64_t error_size ASSAY_UNUSED)
{
    json_t *settings = assay_algorithm_settings(study);
    struct nsga2 *nsga2 = ASSAY_NEW(struct nsga2);
    size_t size, n_dimensions;

    assay_algorithm_base_init(&nsga2->base, study);
    nsga2->fixed_size = (size_t)json_integer_value(json_object_get(settings, "population_size"));
    size = size_after(nsga2, 0);
    assay_start_init(&nsga2->start, &nsga2->base);
    assay_expectations_init(&nsga2->expectations, &nsga2->base.transform);
    n_dimensions = nsga2->base.transform.n_dimensions;
    nsga2->variation = (struct assay_nsga2_variation){
        .transform = &nsga2->base.transform,
        .crossover = json_number_value(json_object_get(settings, "crossover_probability")),
        .mutation = json_number_value(json_object_get(settings, "mutations")) /
                    (double)ASSAY_MAX(n_dimensions, (size_t)1),
        .crossover_index = json_number_value(json_object_get(settings, "crossover_index")),
        .mutation_index = json_number_value(json_object_get(settings, "mutation_index")),
    };
    json_decref(settings);
    assay_nsga2_population_init(&nsga2->population, nsga2->base.n_objectives,
                                size_after(nsga2, SIZE_MAX));
    nsga2->unit = assay_zalloc(n_dimensions + 1, sizeof *nsga2->unit);
    nsga2->coordinates = assay_zalloc(n_dimensions + 1, sizeof *nsga2->coordinates);
    nsga2->guests = assay_zalloc(size + 1, sizeof *nsga2->guests);
    for (size_t s = 0; s < study->n_sources; s++)
        invite(nsga2, study->sources[s], size / 2 / (size_t)study->n_sources);
    for (size_t i = 0; i < nsga2->n_guests; i++)
        assay_nsga2_population_add(&nsga2->population, nsga2->guests[i]);
    /* What guests bring needs no exploring. */
    nsga2->n_start = size - nsga2->n_guests;
    keep(nsga2);
    *ret_instance = nsga2;
    return ASSAY_PLUGIN_OK;
}

static void
nsga2_destroy(void *instance)
{
    struct nsga2 *nsga2 = instance;

    for (size_t i = 0; i < nsga2->ended.n; i++)
        free_trial(nsga2->ended.items[i]);
    assay_numbered_done(&nsga2->ended);
    for (size_t i = 0; i < nsga2->n_guests; i++)
        free_trial(nsga2->guests[i]);
    for (size_t i = 0; i < nsga2->n_kept; i++)
        free(nsga2->kept[i].members);
    assay_nsga2_population_done(&nsga2->population);
    assay_start_done(&nsga2->start);
    assay_expectations_done(&nsga2->expectations);
    assay_algorithm_base_done(&nsga2->base);
    free(nsga2->guests);
    free(nsga2->unit);
    free(nsga2->coordinates);
    free(nsga2);
}

/* --- taking trials in --- */

/* Goes back to the last population that was kept before the trial at `place`. */
static void
go_back(struct nsga2 *nsga2, size_t place)
{
    const struct kept *last;

    if (place >= nsga2->n_consumed)
        return;
    while (nsga2->kept[nsga2->n_kept - 1].consumed > place)
        free(nsga2->kept[--nsga2->n_kept].members);
    last = &nsga2->kept[nsga2->n_kept - 1];
    nsga2->n_consumed = last->consumed;
    assay_nsga2_population_set(&nsga2->population, last->members, last->n);
}

static void
remove_ended(struct nsga2 *nsga2, int64_t number)
{
    size_t at;
    struct assay_nsga2_trial *trial = assay_numbered_take(&nsga2->ended, number, &at);

    if (trial == NULL)
        return;
    go_back(nsga2, at);
    free_trial(trial);
}

static void
insert_ended(struct nsga2 *nsga2, const struct assay_history_trial *from)
{
    struct assay_nsga2_trial *trial =
        new_trial(nsga2, from->number, assay_nsga2_standing(from), from->point, from->values);

    go_back(nsga2, assay_numbered_insert(&nsga2->ended, trial));
}

static void
thin_out(struct nsga2 *nsga2)
{
    size_t n = 1;

    for (size_t i = 1; i < nsga2->n_kept; i++) {
        if (i < KEPT_MAX * 2 / 3 && i % 2 == 1)
            free(nsga2->kept[i].members);
        else
            nsga2->kept[n++] = nsga2->kept[i];
    }
    nsga2->n_kept = n;
}

static void
catch_up(struct nsga2 *nsga2)
{
    while (nsga2->n_consumed < nsga2->ended.n) {
        nsga2->population.n_max = size_after(nsga2, nsga2->n_consumed);
        assay_nsga2_population_add(&nsga2->population, nsga2->ended.items[nsga2->n_consumed++]);
        if (nsga2->n_consumed % KEPT_EVERY != 0)
            continue;
        if (nsga2->n_kept == KEPT_MAX)
            thin_out(nsga2);
        keep(nsga2);
    }
    assay_nsga2_population_measure(&nsga2->population);
}

static int32_t
nsga2_update(void *instance, const struct assay_plugin_trial *const *trials, uint64_t n_trials,
             char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    struct nsga2 *nsga2 = instance;

    for (uint64_t i = 0; i < n_trials; i++) {
        const struct assay_history_trial *trial;

        assay_history_tell(nsga2->base.history, trials[i]);
        trial = assay_history_find(nsga2->base.history, trials[i]->number);
        remove_ended(nsga2, trial->number);
        if (trial->state != ASSAY_PLUGIN_PENDING && trial->state != ASSAY_PLUGIN_CANCELLED)
            insert_ended(nsga2, trial);
    }
    catch_up(nsga2);
    return ASSAY_PLUGIN_OK;
}

/* --- suggesting --- */

/* Half of the first parents are where users expect the best: number 1 there itself, other
 * odd ones drawn. */
static const char *
start_point(struct nsga2 *nsga2, int64_t number, struct assay_random *random, double *ret_point)
{
    const struct assay_transform *transform = &nsga2->base.transform;

    if (nsga2->expectations.n == 0) {
        assay_start_point(&nsga2->start, &nsga2->base, number, ret_point);
        return number <= 1 ? "centre" : "sobol";
    }
    if (number % 2 == 0) {
        assay_start_point(&nsga2->start, &nsga2->base, number / 2, ret_point);
        return number <= 2 ? "centre" : "sobol";
    }
    if (number <= 1) {
        assay_expectations_mode(&nsga2->expectations, ret_point);
        return "prior";
    }
    for (size_t d = 0; d < transform->n_dimensions; d++)
        nsga2->unit[d] = assay_random_unit(random);
    assay_expectations_bend(&nsga2->expectations, nsga2->unit);
    assay_transform_decode(transform, nsga2->unit, ret_point);
    return "prior";
}

static bool
suggest_start(struct nsga2 *nsga2, int64_t number, const struct assay_batch *batch,
              struct assay_random *random, const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_algorithm_base *base = &nsga2->base;

    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"nsga2\", \"phase\": \"start\", \"point\": \"%s\"}",
             start_point(nsga2, number, random, suggestion->point));
    return assay_untried(base->history, batch, base->space, suggestion->point);
}

/* A child that has not been tried; those that have been call for more mutation. */
static bool
suggest_child(struct nsga2 *nsga2, const struct assay_batch *batch, struct assay_random *random,
              const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_algorithm_base *base = &nsga2->base;

    for (int child = 0; child < CHILDREN_MAX; child++) {
        const struct assay_nsga2_trial *mother =
            assay_nsga2_population_pick(&nsga2->population, random);
        const struct assay_nsga2_trial *father =
            assay_nsga2_population_pick(&nsga2->population, random);

        assay_nsga2_cross(&nsga2->variation, mother->coordinates, father->coordinates,
                          1.0 + child / 4.0, random, nsga2->unit);
        assay_transform_decode(&base->transform, nsga2->unit, suggestion->point);
        if (!assay_untried(base->history, batch, base->space, suggestion->point))
            continue;
        snprintf(suggestion->why, suggestion->why_size,
                 "{\"proposed_by\": \"nsga2\", \"phase\": \"model\", \"population\": %zu, "
                 "\"parents\": [%lld, %lld]}",
                 nsga2->population.n, (long long)mother->number, (long long)father->number);
        return true;
    }
    return false;
}

static int32_t
suggest_one(void *instance, int64_t number, const struct assay_batch *batch,
            const struct assay_plugin_suggestion *suggestion)
{
    struct nsga2 *nsga2 = instance;
    const struct assay_algorithm_base *base = &nsga2->base;
    struct assay_random random;
    bool found;

    assay_random_init(&random, base->seed, (uint64_t)number, ASSAY_PURPOSE_NSGA2);
    if (nsga2->ended.n < nsga2->n_start || nsga2->population.n == 0)
        found = suggest_start(nsga2, number, batch, &random, suggestion);
    else
        found = suggest_child(nsga2, batch, &random, suggestion);
    if (found)
        return ASSAY_PLUGIN_OK;
    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"nsga2\", \"phase\": \"untried\"}");
    return assay_algorithm_suggest_untried(base, batch, &random, suggestion);
}

static int32_t
nsga2_suggest(void *instance, const int64_t *numbers, uint64_t n,
              const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
              char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    return assay_algorithm_suggest_each(instance, suggest_one, numbers, n, suggestions, ret_count);
}

const struct assay_plugin_algorithm assay_algorithm_nsga2 = {
    .struct_size = sizeof assay_algorithm_nsga2,
    .name = "nsga2",
    .description =
        "NSGA-II, a genetic algorithm for several objectives: children of the trials that "
        "no other dominates and that stand apart. For many trials, and for three or more "
        "objectives; a suggestion takes microseconds.",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE |
            ASSAY_PLUGIN_CAP_CONSTRAINTS | ASSAY_PLUGIN_CAP_PARALLEL,
    .settings_schema = settings_schema,
    .create = nsga2_create,
    .update = nsga2_update,
    .suggest = nsga2_suggest,
    .destroy = nsga2_destroy,
};

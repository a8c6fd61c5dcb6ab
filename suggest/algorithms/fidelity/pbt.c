/* Population-based training: trials are trained side by side, and at each interval the
 * worst take over the checkpoint of one of the best, with other parameters.
 *
 * M. Jaderberg et al., "Population based training of neural networks", arXiv 1711.09846,
 * 2017; for `explore: bandit`, see explore.h.
 *
 * Each member trains for an interval and is paused.  When it is among the best and some
 * other is among the worst, a new trial with its checkpoint is begun and the other gives
 * way: it is not resumed when it pauses the next time.  Else it is resumed as it is.  The
 * place of a failed trial goes to a copy of the best, too.  Nobody waits for a
 * generation: members are compared at budgets both have used (population.h), and the one
 * that is behind goes first. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/fidelity/explore.h"
#include "suggest/algorithms/fidelity/population.h"
#include "suggest/algorithms/start.h"

/* Points that are tried for one suggestion before chance decides. */
#define ATTEMPTS 16

struct pbt {
    struct assay_algorithm_base base; /* first */
    struct assay_start start;
    size_t places;
    double interval, whole, quantile, resample;
    double sign;   /* -1: values are those of a maximised metric, turned */
    int64_t limit; /* of trials; 0 = none */
    double *rungs;
    size_t n_rungs;
    struct assay_bandit *bandit; /* NULL: perturbed */
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"population\": {\"type\": \"integer\", \"minimum\": 2, \"maximum\": 1000, \"default\": 8,"
    " \"description\": \"Trials that are trained side by side; at least as many as"
    " limits.parallel.\"},"
    "\"interval\": {\"type\": \"number\", \"minimum\": 0, \"default\": 0, \"description\":"
    " \"Budget between two looks at a member; 0: budget.min.\"},"
    "\"quantile\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 0.5, \"default\": 0.25,"
    " \"description\": \"Share of the population that is replaced, and that it is replaced"
    " from.\"},"
    "\"resample\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 1, \"default\": 0.25,"
    " \"description\": \"Chance of a parameter to be drawn anew rather than perturbed.\"},"
    "\"explore\": {\"type\": \"string\", \"enum\": [\"perturb\", \"bandit\"],"
    " \"default\": \"perturb\", \"description\": \"How a copy's parameters are changed: by chance,"
    " or (PB2) to where a Gaussian process expects the fastest improvement; that learns from the"
    " values at the rungs of the budget, so choose a small budget.eta such as 1.5.\"}}}";

static int32_t
pbt_check(const struct assay_plugin_study *study, char *error, uint64_t error_size)
{
    if (!(study->budget_min > 0.0 && study->budget_max >= study->budget_min)) {
        snprintf(error, error_size,
                 "it needs a budget section (name, min, max) that says how long a trial is trained "
                 "in all (max) and between two comparisons (min)");
        return ASSAY_PLUGIN_ERROR;
    }
    if (study->resumable == 0) {
        snprintf(error, error_size,
                 "it needs trials that go on from checkpoints: trial.checkpoints: true");
        return ASSAY_PLUGIN_ERROR;
    }
    return ASSAY_PLUGIN_OK;
}

static int32_t
pbt_create(const struct assay_plugin_study *study, void **ret_instance, char *error,
           uint64_t error_size)
{
    int32_t result = pbt_check(study, error, error_size);
    json_t *settings;
    const char *explore;
    struct pbt *pbt;

    if (result != ASSAY_PLUGIN_OK)
        return result;
    settings = assay_algorithm_settings(study);
    explore = json_string_value(json_object_get(settings, "explore"));
    pbt = ASSAY_NEW(struct pbt);
    assay_algorithm_base_init(&pbt->base, study);
    assay_start_init(&pbt->start, &pbt->base);
    pbt->places = (size_t)json_integer_value(json_object_get(settings, "population"));
    pbt->places = ASSAY_MAX(pbt->places, (size_t)study->parallel);
    pbt->interval = json_number_value(json_object_get(settings, "interval"));
    if (!(pbt->interval > 0.0))
        pbt->interval = study->budget_min;
    pbt->whole = study->budget_max;
    pbt->quantile = json_number_value(json_object_get(settings, "quantile"));
    pbt->resample = json_number_value(json_object_get(settings, "resample"));
    pbt->sign = study->signs != NULL ? study->signs[0] : 1.0;
    pbt->limit = (int64_t)study->trials;
    pbt->n_rungs = (size_t)study->n_rungs;
    pbt->rungs = assay_memdup(study->rungs, study->n_rungs * sizeof *pbt->rungs);
    if (explore != NULL && strcmp(explore, "bandit") == 0)
        pbt->bandit = assay_bandit_new(&pbt->base, pbt->rungs, (size_t)study->n_rungs);
    json_decref(settings);
    *ret_instance = pbt;
    return ASSAY_PLUGIN_OK;
}

static void
pbt_destroy(void *instance)
{
    struct pbt *pbt = instance;

    assay_bandit_free(pbt->bandit);
    assay_start_done(&pbt->start);
    assay_algorithm_base_done(&pbt->base);
    free(pbt->rungs);
    free(pbt);
}

static int32_t
pbt_update(void *instance, const struct assay_plugin_trial *const *trials, uint64_t n_trials,
           char *error, uint64_t error_size)
{
    struct pbt *pbt = instance;

    if (pbt->bandit != NULL)
        assay_bandit_forget(pbt->bandit);
    return assay_algorithm_base_update(instance, trials, n_trials, error, error_size);
}

/* --- suggesting --- */

/* An interval on; what would be less than half of one is added to the last. */
static double
next_budget(const struct pbt *pbt, double from)
{
    double to = from + pbt->interval;

    return to > pbt->whole - pbt->interval / 2.0 ? pbt->whole : to;
}

/* Everything that one call of `suggest` goes by. */
struct call {
    const struct assay_batch *batch;
    struct assay_random *random;
    const struct assay_plugin_suggestion *suggestion;
};

/* A member that begins from nothing. */
static int32_t
found(struct pbt *pbt, int64_t number, const struct call *call)
{
    const struct assay_algorithm_base *base = &pbt->base;
    double *point = call->suggestion->point;

    assay_start_point(&pbt->start, base, number, point);
    if (!assay_untried(base->history, call->batch, base->space, point) &&
        !assay_untried_draw(&base->transform, base->history, call->batch, call->random, point))
        return ASSAY_PLUGIN_EXHAUSTED;
    *call->suggestion->budget = next_budget(pbt, 0.0);
    snprintf(call->suggestion->why, call->suggestion->why_size,
             "{\"proposed_by\": \"pbt\", \"phase\": \"founder\"}");
    return ASSAY_PLUGIN_OK;
}

static void
go_on(const struct pbt *pbt, const struct assay_member *member, const struct call *call)
{
    memcpy(call->suggestion->point, member->trial->point,
           pbt->base.space->n_parameters * sizeof *call->suggestion->point);
    *call->suggestion->resume = member->trial->number;
    *call->suggestion->budget = next_budget(pbt, member->trial->budget);
    snprintf(call->suggestion->why, call->suggestion->why_size,
             "{\"proposed_by\": \"pbt\", \"phase\": \"continued\", \"from_budget\": %.10g}",
             member->trial->budget);
}

/* A new trial from the checkpoint of a parent; in place of `loser` unless NULL. */
static int32_t
copy(struct pbt *pbt, const struct assay_member *parent, const struct assay_member *loser,
     const struct call *call)
{
    const struct assay_algorithm_base *base = &pbt->base;
    const char *explored = "perturbed";
    double *point = call->suggestion->point;
    bool untried = false;
    size_t used;

    for (size_t attempt = 0; attempt < ATTEMPTS && !untried; attempt++) {
        enum assay_bandit_answer answer = ASSAY_BANDIT_TOO_EARLY;

        if (pbt->bandit != NULL && attempt == 0)
            answer = assay_bandit_choose(pbt->bandit, parent->trial->point, parent->trial->budget,
                                         call->random, point);
        if (answer == ASSAY_BANDIT_INTERRUPTED)
            return ASSAY_PLUGIN_INTERRUPTED;
        explored = answer == ASSAY_BANDIT_CHOSE ? "bandit" : "perturbed";
        if (answer != ASSAY_BANDIT_CHOSE)
            assay_explore_perturb(&base->transform, parent->trial->point, pbt->resample,
                                  call->random, point);
        untried = assay_untried(base->history, call->batch, base->space, point);
    }
    if (!untried) {
        explored = "random";
        if (!assay_untried_draw(&base->transform, base->history, call->batch, call->random, point))
            return ASSAY_PLUGIN_EXHAUSTED;
    }
    *call->suggestion->parent = parent->trial->number;
    *call->suggestion->budget = next_budget(pbt, parent->trial->budget);
    used = (size_t)snprintf(call->suggestion->why, call->suggestion->why_size,
                            "{\"proposed_by\": \"pbt\", \"phase\": \"copied\", \"parent\": %lld, "
                            "\"parent_value\": %.9g, \"from_budget\": %.10g, \"explored\": \"%s\"",
                            (long long)parent->trial->number, pbt->sign * parent->value,
                            parent->trial->budget, explored);
    if (loser != NULL)
        used += (size_t)snprintf(call->suggestion->why + used, call->suggestion->why_size - used,
                                 ", \"replaces\": %lld", (long long)loser->trial->number);
    snprintf(call->suggestion->why + used, call->suggestion->why_size - used, "}");
    return ASSAY_PLUGIN_OK;
}

/* The best paused member, to take the place of one that failed. */
static const struct assay_member *
best_paused(const struct assay_population *population)
{
    const struct assay_member *best = NULL;

    for (size_t i = 0; i < population->n; i++) {
        const struct assay_member *member = &population->members[i];

        if (member->trial->state == ASSAY_PLUGIN_PAUSED && isfinite(member->value) &&
            (best == NULL || member->value < best->value))
            best = member;
    }
    return best;
}

static int32_t
suggest_from(struct pbt *pbt, int64_t number, const struct assay_population *population,
             const struct call *call)
{
    bool may_begin = pbt->limit == 0 || number - (int64_t)population->n_imports <= pbt->limit;
    const struct assay_member *best = best_paused(population), *parent, *loser;
    int32_t result = ASSAY_PLUGIN_EXHAUSTED;

    if (population->n_free > 0 && may_begin)
        result = population->n_begun < pbt->places || best == NULL ? found(pbt, number, call)
                                                                   : copy(pbt, best, NULL, call);
    else if (may_begin && assay_population_pair(population, pbt->quantile, &parent, &loser))
        result = copy(pbt, parent, loser, call);
    if (result != ASSAY_PLUGIN_EXHAUSTED)
        return result;
    if (population->next == NULL)
        return population->n_live > 0 ? ASSAY_PLUGIN_LATER : ASSAY_PLUGIN_EXHAUSTED;
    go_on(pbt, population->next, call);
    return ASSAY_PLUGIN_OK;
}

static int32_t
pbt_suggest(void *instance, const int64_t *numbers, uint64_t n,
            const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
            char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    struct pbt *pbt = instance;
    assay_auto_free int64_t *resumed = assay_alloc(n + 1, sizeof *resumed);
    size_t n_resumed = 0;
    struct assay_population_plan plan = {
        .rungs = pbt->rungs,
        .n_rungs = pbt->n_rungs,
        .n_constraints = pbt->base.n_constraints,
        .n_places = pbt->places,
        .resumed = resumed,
    };

    *ret_count = 0;
    for (size_t i = 0; i < n; i++) {
        struct assay_batch batch = {.given = suggestions, .n_given = i};
        struct assay_random random;
        struct call call = {.batch = &batch, .random = &random, .suggestion = suggestions[i]};
        struct assay_population population;
        int32_t result;

        assay_random_init(&random, pbt->base.seed, (uint64_t)numbers[i], ASSAY_PURPOSE_PBT);
        plan.n_resumed = n_resumed;
        plan.n_added = i - n_resumed;
        assay_population_init(&population, pbt->base.history, &plan);
        result = suggest_from(pbt, numbers[i], &population, &call);
        assay_population_done(&population);
        if (result != ASSAY_PLUGIN_OK)
            return result;
        if (*suggestions[i]->resume > 0)
            resumed[n_resumed++] = *suggestions[i]->resume;
        *ret_count = i + 1;
    }
    return ASSAY_PLUGIN_OK;
}

const struct assay_plugin_algorithm assay_algorithm_pbt = {
    .struct_size = sizeof assay_algorithm_pbt,
    .name = "pbt",
    .description =
        "Population-based training: a population is trained side by side, and the worst keep "
        "taking over the checkpoints of the best with changed parameters, so that the parameters "
        "become a schedule. For long trainings that go on from checkpoints.",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_BUDGET | ASSAY_PLUGIN_CAP_CONSTRAINTS |
            ASSAY_PLUGIN_CAP_PARALLEL,
    .settings_schema = settings_schema,
    .check = pbt_check,
    .create = pbt_create,
    .update = pbt_update,
    .suggest = pbt_suggest,
    .destroy = pbt_destroy,
};

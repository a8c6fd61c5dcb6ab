#include "suggest/algorithms/fidelity/halving.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/fidelity/brackets.h"
#include "suggest/algorithms/fidelity/scores.h"

#define STRAIGHT 8 /* first trials, which get the second rung's budget at once */

struct halving {
    struct assay_algorithm_base base; /* first */
    const char *name;
    bool promotes;
    double sign;       /* -1: values are those of a maximised metric, turned */
    int64_t limit;     /* of trials; 0 = none */
    int64_t n_imports; /* that do not count against it */
    struct assay_ladder ladder;
    struct assay_sampler sampler;
    bool sparing;  /* with promotions */
    size_t lowest; /* rung that new trials begin at; SIZE_MAX: to be found */
};

int32_t
assay_halving_check(const struct assay_plugin_study *study, char *error, uint64_t error_size)
{
    if (study->budget_min > 0.0 && study->budget_max >= study->budget_min)
        return ASSAY_PLUGIN_OK;
    snprintf(error, error_size,
             "it needs a budget section (name, min, max, eta) that says what a "
             "trial may be given, such as epochs");
    return ASSAY_PLUGIN_ERROR;
}

int32_t
assay_halving_create(const struct assay_plugin_study *study, const struct assay_halving_plan *plan,
                     void **ret_instance, char *error, uint64_t error_size)
{
    int32_t result = assay_halving_check(study, error, error_size);
    struct halving *halving;

    if (result != ASSAY_PLUGIN_OK)
        return result;
    ASSAY_ASSERT(study->n_rungs >= 1);
    halving = ASSAY_NEW(struct halving);
    assay_algorithm_base_init(&halving->base, study);
    halving->name = plan->name;
    halving->promotes = plan->promotes;
    halving->sign = study->signs != NULL ? study->signs[0] : 1.0;
    halving->limit = (int64_t)study->trials;
    assay_ladder_init(&halving->ladder, study->rungs, (size_t)study->n_rungs, study->budget_eta,
                      ASSAY_MIN(plan->brackets, (size_t)study->n_rungs),
                      (size_t)study->n_constraints);
    assay_sampler_init(&halving->sampler, plan->sampler, plan->random_share, plan->name,
                       halving->sign, &halving->base, &halving->ladder);
    halving->sparing = plan->learns;
    halving->lowest = SIZE_MAX;
    *ret_instance = halving;
    return ASSAY_PLUGIN_OK;
}

void
assay_halving_destroy(void *instance)
{
    struct halving *halving = instance;

    assay_sampler_done(&halving->sampler);
    assay_ladder_done(&halving->ladder);
    assay_algorithm_base_done(&halving->base);
    free(halving);
}

int32_t
assay_halving_update(void *instance, const struct assay_plugin_trial *const *trials,
                     uint64_t n_trials, char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    struct halving *halving = instance;
    struct assay_history *history = halving->base.history;

    for (uint64_t i = 0; i < n_trials; i++) {
        const struct assay_history_trial *known = assay_history_find(history, trials[i]->number);

        if (known != NULL) {
            assay_ladder_remove(&halving->ladder, known);
            halving->n_imports -= assay_ladder_is_import(known, halving->ladder.n_rungs);
        }
        assay_history_tell(history, trials[i]);
        known = assay_history_find(history, trials[i]->number);
        assay_ladder_add(&halving->ladder, known);
        halving->n_imports += assay_ladder_is_import(known, halving->ladder.n_rungs);
    }
    assay_sampler_forget(&halving->sampler);
    halving->lowest = SIZE_MAX;
    return ASSAY_PLUGIN_OK;
}

/* --- suggesting --- */

static void
resume(const struct halving *halving, const struct assay_promotion *promotion, const char *phase,
       const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_history_trial *trial =
        assay_history_find(halving->base.history, promotion->number);
    double from = halving->ladder.rungs[promotion->from];

    memcpy(suggestion->point, trial->point,
           halving->base.space->n_parameters * sizeof *suggestion->point);
    *suggestion->budget = halving->ladder.rungs[promotion->from + 1];
    *suggestion->resume = promotion->number;
    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"%s\", \"phase\": \"%s\", \"bracket\": %zu, \"rung\": %zu, "
             "\"from_budget\": %.10g, \"value\": %.9g, \"rank\": %zu, \"of\": %zu}",
             halving->name, phase, promotion->bracket, promotion->from + 1, from,
             halving->sign * promotion->value, promotion->rank, promotion->judged);
}

/* Says in which bracket the new trial starts, where there are several. */
static void
write_bracket(const struct halving *halving, size_t bracket,
              const struct assay_plugin_suggestion *suggestion)
{
    char *end = strrchr(suggestion->why, '}');

    if (end != NULL && halving->ladder.n_brackets > 1)
        snprintf(end, suggestion->why_size - (uint64_t)(end - suggestion->why),
                 ", \"bracket\": %zu}", bracket);
}

/* The rung whose budget a new trial gets.  Where promotions are sparing: not one that says
 * nothing of the next (README.md), which the first trials are to find out. */
static size_t
first_rung(struct halving *halving, int64_t number, size_t bracket)
{
    const struct assay_ladder *ladder = &halving->ladder;

    if (!halving->sparing || ladder->n_rungs < 3)
        return bracket;
    if (number <= STRAIGHT)
        return ASSAY_MAX(bracket, (size_t)1);
    if (halving->lowest == SIZE_MAX)
        halving->lowest = assay_scores_lowest(ladder, halving->base.history);
    return ASSAY_MAX(bracket, halving->lowest);
}

static int32_t
begin(struct halving *halving, int64_t number, const struct assay_batch *batch,
      const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_ladder *ladder = &halving->ladder;
    size_t bracket = assay_bracket_of(ladder->shares, ladder->n_brackets, number);
    int32_t result;

    if (halving->limit > 0 && number - halving->n_imports > halving->limit)
        return ASSAY_PLUGIN_EXHAUSTED;
    result = assay_sampler_propose(&halving->sampler, number, batch, suggestion);
    if (result == ASSAY_PLUGIN_OK) {
        write_bracket(halving, bracket, suggestion);
        if (halving->promotes)
            *suggestion->budget = ladder->rungs[first_rung(halving, number, bracket)];
    }
    return result;
}

static int32_t
suggest_one(struct halving *halving, int64_t number, const struct assay_batch *batch,
            const int64_t *taken, size_t n_taken, const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_ladder *ladder = &halving->ladder;
    struct assay_promotion promotion;
    int32_t result;

    if (halving->promotes &&
        assay_ladder_next(ladder, halving->sparing, taken, n_taken, &promotion)) {
        resume(halving, &promotion, "promotion", suggestion);
        return ASSAY_PLUGIN_OK;
    }
    result = begin(halving, number, batch, suggestion);
    if (result != ASSAY_PLUGIN_EXHAUSTED || !halving->promotes)
        return result;
    /* There is nothing to spare for. */
    if (halving->sparing && assay_ladder_next(ladder, false, taken, n_taken, &promotion)) {
        resume(halving, &promotion, "promotion", suggestion);
        return ASSAY_PLUGIN_OK;
    }
    if (ladder->n_pending > 0 || batch->n_given > 0)
        return ASSAY_PLUGIN_LATER;
    if (ladder->n_whole == 0 && assay_ladder_highest(ladder, taken, n_taken, &promotion)) {
        resume(halving, &promotion, "last", suggestion);
        return ASSAY_PLUGIN_OK;
    }
    return ASSAY_PLUGIN_EXHAUSTED;
}

int32_t
assay_halving_suggest(void *instance, const int64_t *numbers, uint64_t n,
                      const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
                      char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    struct halving *halving = instance;
    assay_auto_free int64_t *taken = assay_alloc(n + 1, sizeof *taken);
    size_t n_taken = 0;

    *ret_count = 0;
    for (size_t i = 0; i < n; i++) {
        struct assay_batch batch = {.given = suggestions, .n_given = i};
        int32_t result = suggest_one(halving, numbers[i], &batch, taken, n_taken, suggestions[i]);

        if (result != ASSAY_PLUGIN_OK)
            return result;
        if (*suggestions[i]->resume > 0)
            taken[n_taken++] = *suggestions[i]->resume;
        *ret_count = i + 1;
    }
    return ASSAY_PLUGIN_OK;
}

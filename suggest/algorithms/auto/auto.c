/* A portfolio of the other algorithms: each hears of every trial, and policy.h says
 * which of them proposes which.  In a study with a budget and one objective `asha` proposes
 * them all: no other decides who gets how much of it.
 *
 * README.md here has the policy, where it comes from and its figures. */
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/algorithms/auto/policy.h"
#include "suggest/algorithms/base.h"
#include "suggest/settings.h"

static const struct assay_plugin_algorithm *const algorithms[ASSAY_AUTO_ARMS] = {
    [ASSAY_AUTO_BAYESIAN] = &assay_algorithm_bayesian,
    [ASSAY_AUTO_TPE] = &assay_algorithm_tpe,
    [ASSAY_AUTO_CMAES] = &assay_algorithm_cmaes,
    [ASSAY_AUTO_NSGA2] = &assay_algorithm_nsga2,
};

struct portfolio {
    struct assay_algorithm_base base; /* first */
    struct assay_auto_policy policy;
    size_t n_pending;
    void *instances[ASSAY_AUTO_ARMS]; /* NULL: not an arm in this study */
    void *asha;                       /* NULL: the arms propose */
};

static void
auto_destroy(void *instance)
{
    struct portfolio *portfolio = instance;

    for (size_t a = 0; a < ASSAY_AUTO_ARMS; a++) {
        if (portfolio->instances[a] != NULL)
            algorithms[a]->destroy(portfolio->instances[a]);
    }
    if (portfolio->asha != NULL)
        assay_algorithm_asha.destroy(portfolio->asha);
    assay_auto_policy_done(&portfolio->policy);
    assay_algorithm_base_done(&portfolio->base);
    free(portfolio);
}

static int32_t
create_arm(const struct assay_plugin_algorithm *algorithm, const struct assay_plugin_study *study,
           void **ret_instance, char *error, uint64_t error_size)
{
    json_t *schema = json_loads(algorithm->settings_schema, 0, NULL);
    json_t *settings = assay_settings_fill(schema, NULL);
    assay_auto_free char *text = json_dumps(settings, 0);
    /* A copy, which is for built-in algorithms alone: they are of the host's version. */
    struct assay_plugin_study own = *study;

    json_decref(settings);
    json_decref(schema);
    own.settings = text;
    return algorithm->create(&own, ret_instance, error, error_size);
}

/* One that asha can do with. */
static bool
has_budget(const struct assay_plugin_study *study)
{
    return study->n_objectives == 1 && study->n_rungs > 0 && study->budget_max > 0.0;
}

static int32_t
auto_create(const struct assay_plugin_study *study, void **ret_instance, char *error,
            uint64_t error_size)
{
    struct portfolio *portfolio = ASSAY_NEW(struct portfolio);
    int32_t result = ASSAY_PLUGIN_OK;

    assay_algorithm_base_init(&portfolio->base, study);
    assay_auto_policy_init(&portfolio->policy, &portfolio->base.transform,
                           (size_t)study->n_objectives, study->seed);
    if (has_budget(study))
        result = create_arm(&assay_algorithm_asha, study, &portfolio->asha, error, error_size);
    for (size_t a = 0; a < ASSAY_AUTO_ARMS && result == ASSAY_PLUGIN_OK && !has_budget(study);
         a++) {
        if (portfolio->policy.few->shares[a] > 0.0 || portfolio->policy.many->shares[a] > 0.0)
            result = create_arm(algorithms[a], study, &portfolio->instances[a], error, error_size);
    }
    if (result == ASSAY_PLUGIN_OK)
        *ret_instance = portfolio;
    else
        auto_destroy(portfolio);
    return result;
}

static int32_t
auto_update(void *instance, const struct assay_plugin_trial *const *trials, uint64_t n_trials,
            char *error, uint64_t error_size)
{
    struct portfolio *portfolio = instance;
    int32_t result = ASSAY_PLUGIN_OK;

    if (portfolio->asha != NULL)
        return assay_algorithm_asha.update(portfolio->asha, trials, n_trials, error, error_size);
    for (uint64_t i = 0; i < n_trials; i++) {
        const struct assay_history_trial *trial =
            assay_history_find(portfolio->base.history, trials[i]->number);

        portfolio->n_pending -= trial != NULL && trial->state == ASSAY_PLUGIN_PENDING;
        assay_history_tell(portfolio->base.history, trials[i]);
        trial = assay_history_find(portfolio->base.history, trials[i]->number);
        portfolio->n_pending += trial->state == ASSAY_PLUGIN_PENDING;
        assay_auto_policy_tell(&portfolio->policy, trial);
    }
    for (size_t a = 0; a < ASSAY_AUTO_ARMS && result == ASSAY_PLUGIN_OK; a++) {
        if (portfolio->instances[a] != NULL)
            result =
                algorithms[a]->update(portfolio->instances[a], trials, n_trials, error, error_size);
    }
    return result;
}

/* --- suggesting --- */

/* Adds to an arm's own `why` how it came to be asked. */
static void
write_why(const char *regime, double share, const struct assay_plugin_suggestion *suggestion)
{
    char *end = strrchr(suggestion->why, '}');
    size_t room;

    if (end == NULL)
        return;
    room = (size_t)suggestion->why_size - (size_t)(end - suggestion->why);
    snprintf(end, room, "%s\"algorithm\": \"auto\", \"regime\": \"%s\", \"share\": %.3f}",
             strchr(suggestion->why, ':') != NULL ? ", " : "", regime, share);
}

/* The places of the call that are the arm's, in one go, so that it keeps its own
 * points apart.  Those it has no point for stay marked as missing. */
static int32_t
suggest_by_arm(struct portfolio *portfolio, size_t arm, const struct assay_auto_choice *choices,
               const int64_t *numbers, uint64_t n,
               const struct assay_plugin_suggestion *const *suggestions, bool *missing, char *error,
               uint64_t error_size)
{
    assay_auto_free int64_t *own_numbers = assay_alloc(n, sizeof *own_numbers);
    assay_auto_free size_t *places = assay_alloc(n, sizeof *places);
    assay_auto_free const struct assay_plugin_suggestion **own = assay_alloc(n, sizeof *own);
    uint64_t n_own = 0, count = 0;
    int32_t result;

    for (size_t i = 0; i < n; i++) {
        if (choices[i].arm != (enum assay_auto_arm)arm)
            continue;
        own_numbers[n_own] = numbers[i];
        places[n_own] = i;
        own[n_own++] = suggestions[i];
    }
    if (n_own == 0)
        return ASSAY_PLUGIN_OK;
    result = algorithms[arm]->suggest(portfolio->instances[arm], own_numbers, n_own, own, &count,
                                      error, error_size);
    for (uint64_t i = 0; i < count && result >= 0; i++)
        missing[places[i]] = false;
    return ASSAY_MIN(result, ASSAY_PLUGIN_OK);
}

static bool
draw_other(const struct portfolio *portfolio, int64_t number, const struct assay_batch *batch,
           const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_algorithm_base *base = &portfolio->base;
    struct assay_random random;

    assay_random_init(&random, base->seed, (uint64_t)number, ASSAY_PURPOSE_AUTO_FALLBACK);
    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"random\", \"reason\": \"two algorithms proposed the same\"}");
    return assay_untried_draw(&base->transform, base->history, batch, &random, suggestion->point);
}

static int32_t
suggest_by_asha(struct portfolio *portfolio, const int64_t *numbers, uint64_t n,
                const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
                char *error, uint64_t error_size)
{
    int32_t result;

    *ret_count = 0;
    result = assay_algorithm_asha.suggest(portfolio->asha, numbers, n, suggestions, ret_count,
                                          error, error_size);
    for (uint64_t i = 0; i < *ret_count; i++)
        write_why("budget", 1.0, suggestions[i]);
    return result;
}

static int32_t
auto_suggest(void *instance, const int64_t *numbers, uint64_t n,
             const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
             char *error, uint64_t error_size)
{
    struct portfolio *portfolio = instance;
    assay_auto_free struct assay_auto_choice *choices = assay_alloc(n + 1, sizeof *choices);
    assay_auto_free bool *missing = assay_alloc(n + 1, sizeof *missing);

    if (portfolio->asha != NULL)
        return suggest_by_asha(portfolio, numbers, n, suggestions, ret_count, error, error_size);
    *ret_count = 0;
    assay_auto_policy_crowd(&portfolio->policy, portfolio->n_pending + (n > 0 ? (size_t)n - 1 : 0));
    for (size_t i = 0; i < n; i++) {
        choices[i] = assay_auto_policy_choose(&portfolio->policy, numbers[i]);
        missing[i] = true;
    }
    for (size_t a = 0; a < ASSAY_AUTO_ARMS; a++) {
        int32_t result = suggest_by_arm(portfolio, a, choices, numbers, n, suggestions, missing,
                                        error, error_size);

        if (result != ASSAY_PLUGIN_OK)
            return result;
    }
    for (size_t i = 0; i < n; i++) {
        struct assay_batch batch = {.given = suggestions, .n_given = i};

        if ((missing[i] || !assay_untried(portfolio->base.history, &batch, portfolio->base.space,
                                          suggestions[i]->point)) &&
            !draw_other(portfolio, numbers[i], &batch, suggestions[i]))
            return ASSAY_PLUGIN_EXHAUSTED;
        write_why(choices[i].starting ? "start" : choices[i].regime->name,
                  choices[i].starting ? 1.0 : choices[i].share, suggestions[i]);
        *ret_count = i + 1;
    }
    return ASSAY_PLUGIN_OK;
}

const struct assay_plugin_algorithm assay_algorithm_auto = {
    .struct_size = sizeof assay_algorithm_auto,
    .name = "auto",
    .description =
        "Chooses for you, trial by trial: mostly `bayesian`, with a share for `tpe` and `cmaes` "
        "that grows where they find more; these two alone past 1,000 trials. With several "
        "objectives `bayesian` with a share for `tpe` and `nsga2`, these two alone past 250 "
        "trials. With a budget section and one objective: `asha`. A suggestion costs what that of "
        "the algorithm chosen costs.",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE |
            ASSAY_PLUGIN_CAP_BUDGET | ASSAY_PLUGIN_CAP_CONSTRAINTS | ASSAY_PLUGIN_CAP_PARALLEL,
    .settings_schema = ASSAY_NO_SETTINGS,
    .create = auto_create,
    .update = auto_update,
    .suggest = auto_suggest,
    .destroy = auto_destroy,
};

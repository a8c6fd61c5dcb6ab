/* Bayesian optimisation with a Gaussian process: after a few points that fill the
 * space, each trial is where a model of all results expects the most.
 *
 * J. Mockus, V. Tiesis, A. Zilinskas, "The application of Bayesian methods for seeking
 * the extremum", 1978; J. Snoek, H. Larochelle, R. P. Adams, "Practical Bayesian
 * optimization of machine learning algorithms", NIPS 2012.  What each part is from
 * stands in its header; README.md has the whole. */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/explain.h"
#include "suggest/algorithms/bayesian/kernel.h"
#include "suggest/algorithms/bayesian/maximise.h"
#include "suggest/algorithms/bayesian/startup.h"

/* Of a larger batch asked for in one call, the rest is spread over the space: with so
 * many unknown results the model has nothing left to say. */
#define BATCH_BY_MODEL 64
/* The best logEI below which so many asks go by a wide UCB: e^-5 is under a hundredth of
 * the standard deviation of all values. */
#define WIDE_BELOW (-5.0)
#define WIDE_SHARE 0.35

struct bayesian {
    struct assay_algorithm_base base; /* first */
    struct assay_gp_startup startup;
    struct assay_gp_sources sources;
    double *signs; /* -1: values are those of a maximised metric, turned */
    struct assay_gp_features features;
    struct assay_gp_model model;
    bool learned; /* the model holds the history as it is */
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"startup_trials\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 10000, "
    "\"default\": 0, \"description\": \"Trials that fill the space before the model is asked; "
    "0: one more than there are parameters, at least 5 and at most 20.\"}}}";

static int32_t
bayesian_create(const struct assay_plugin_study *study, void **ret_instance,
                char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    struct bayesian *bayesian = ASSAY_NEW(struct bayesian);
    json_t *settings = assay_algorithm_settings(study);
    json_int_t startup = json_integer_value(json_object_get(settings, "startup_trials"));

    json_decref(settings);
    assay_gp_prepare();
    assay_algorithm_base_init(&bayesian->base, study);
    bayesian->signs = assay_alloc((size_t)study->n_objectives, sizeof *bayesian->signs);
    for (size_t i = 0; i < study->n_objectives; i++)
        bayesian->signs[i] = study->signs != NULL ? study->signs[i] : 1.0;
    assay_gp_features_init(&bayesian->features, &bayesian->base.transform);
    assay_gp_model_init(&bayesian->model, &bayesian->features, bayesian->base.n_objectives,
                        bayesian->base.n_constraints, study->seed);
    assay_gp_sources_init(&bayesian->sources, &bayesian->features, study);
    assay_gp_model_follow(&bayesian->model, &bayesian->sources);
    assay_gp_startup_init(&bayesian->startup, &bayesian->base, &bayesian->model.belief.expectations,
                          &bayesian->sources, startup > 0 ? (uint64_t)startup : 0);
    *ret_instance = bayesian;
    return ASSAY_PLUGIN_OK;
}

static void
bayesian_destroy(void *instance)
{
    struct bayesian *bayesian = instance;

    assay_gp_startup_done(&bayesian->startup);
    assay_gp_model_done(&bayesian->model);
    assay_gp_sources_done(&bayesian->sources);
    assay_gp_features_done(&bayesian->features);
    free(bayesian->signs);
    assay_algorithm_base_done(&bayesian->base);
    free(bayesian);
}

static int32_t
bayesian_update(void *instance, const struct assay_plugin_trial *const *trials, uint64_t n_trials,
                char *error, uint64_t error_size)
{
    struct bayesian *bayesian = instance;

    bayesian->learned = false;
    return assay_algorithm_base_update(instance, trials, n_trials, error, error_size);
}

/* --- what the history amounts to --- */

struct tally {
    uint64_t valued, told; /* ended with a value; all but the cancelled */
    const double **pending; /* points, by number; those of the batch last */
    size_t n_pending;
};

struct pending_trial {
    int64_t number;
    const double *point;
};

static int
compare_pending(const void *a, const void *b)
{
    const struct pending_trial *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

static struct tally
take_tally(const struct bayesian *bayesian, const struct assay_batch *batch)
{
    const struct assay_history *history = bayesian->base.history;
    size_t count = assay_history_count(history), n = 0;
    assay_auto_free struct pending_trial *pending = assay_alloc(count + 1, sizeof *pending);
    struct tally tally = {.pending = assay_alloc(count + batch->n_given + 1, sizeof(double *))};

    for (size_t i = 0; i < count; i++) {
        const struct assay_history_trial *trial = assay_history_at(history, i);

        if (trial->state == ASSAY_PLUGIN_CANCELLED)
            continue;
        tally.told++;
        tally.valued += trial->measured;
        if (trial->state == ASSAY_PLUGIN_PENDING)
            pending[n++] = (struct pending_trial){.number = trial->number, .point = trial->point};
    }
    qsort(pending, n, sizeof *pending, compare_pending);
    for (size_t i = 0; i < n; i++)
        tally.pending[tally.n_pending++] = pending[i].point;
    for (size_t i = 0; i < batch->n_given; i++)
        tally.pending[tally.n_pending++] = batch->given[i]->point;
    return tally;
}

/* --- proposing --- */

/* The best point by a rule. */
static enum assay_gp_found
search_by(struct bayesian *bayesian, enum assay_gp_rule rule, const struct assay_batch *batch,
          const struct tally *tally, struct assay_random *random,
          const struct assay_plugin_suggestion *suggestion, double *ret_worth)
{
    assay_auto_free double *scaled = assay_alloc(bayesian->features.n_columns + 1, sizeof *scaled);
    enum assay_gp_found found;

    assay_gp_model_pend(&bayesian->model, tally->pending, tally->n_pending, rule, tally->told,
                        random);
    found = assay_gp_maximise(
        &(struct assay_gp_search){
            .model = &bayesian->model,
            .sequence = &bayesian->startup.start.sequence,
            .history = bayesian->base.history,
            .batch = batch,
        },
        random, suggestion->point, ret_worth, scaled);
    if (found == ASSAY_GP_FOUND)
        assay_gp_explain(
            &(struct assay_gp_explanation){
                .model = &bayesian->model,
                .signs = bayesian->signs,
                .scaled = scaled,
                .worth = *ret_worth,
                .n_pending = tally->n_pending,
            },
            suggestion);
    return found;
}

/* Where logEI finds little left, now and then a wide UCB: hyperparameters that fit the data
 * best are often too sure of themselves. */
static enum assay_gp_found
propose_by_model(struct bayesian *bayesian, int64_t number, const struct assay_batch *batch,
                 const struct tally *tally, const struct assay_plugin_suggestion *suggestion)
{
    enum assay_gp_found found;
    struct assay_random random;
    bool doubtful;
    double worth;

    if (!bayesian->learned) {
        if (!assay_gp_model_learn(&bayesian->model, bayesian->base.history))
            return ASSAY_GP_INTERRUPTED;
        bayesian->learned = true;
    }
    assay_random_init(&random, bayesian->base.seed, (uint64_t)number, ASSAY_PURPOSE_BAYESIAN);
    doubtful = assay_random_unit(&random) < WIDE_SHARE;
    found = search_by(bayesian, ASSAY_GP_LOG_EI, batch, tally, &random, suggestion, &worth);
    if (found == ASSAY_GP_FOUND && bayesian->model.worth.rule == ASSAY_GP_LOG_EI && doubtful &&
        worth < WIDE_BELOW)
        found = search_by(bayesian, ASSAY_GP_WIDE_UCB, batch, tally, &random, suggestion, &worth);
    return found;
}

static int32_t
suggest_one(void *instance, int64_t number, const struct assay_batch *batch,
            const struct assay_plugin_suggestion *suggestion)
{
    struct bayesian *bayesian = instance;
    const struct assay_algorithm_base *base = &bayesian->base;
    enum assay_gp_found found = ASSAY_GP_NONE_UNTRIED;
    struct assay_gp_trend trend;
    enum assay_gp_start phase;
    struct assay_random random;
    struct tally tally;

    if (assay_exhausted(base->history, batch, base->space))
        return ASSAY_PLUGIN_EXHAUSTED;
    tally = take_tally(bayesian, batch);
    phase = assay_gp_startup_judge(&bayesian->startup, tally.told + batch->n_given, tally.valued,
                                   &trend);
    if (phase == ASSAY_GP_START_INTERRUPTED) {
        found = ASSAY_GP_INTERRUPTED;
    } else if (phase == ASSAY_GP_STARTED && batch->n_given < BATCH_BY_MODEL) {
        found = propose_by_model(bayesian, number, batch, &tally, suggestion);
    } else {
        if (batch->n_given < BATCH_BY_MODEL)
            assay_gp_startup_propose(&bayesian->startup, &trend, number, batch, suggestion);
        else
            assay_gp_startup_spread(&bayesian->startup, number, suggestion);
        if (assay_untried(base->history, batch, base->space, suggestion->point))
            found = ASSAY_GP_FOUND;
    }
    free(tally.pending);
    if (found == ASSAY_GP_FOUND)
        return ASSAY_PLUGIN_OK;
    if (found == ASSAY_GP_INTERRUPTED)
        return ASSAY_PLUGIN_INTERRUPTED;
    assay_random_init(&random, base->seed, (uint64_t)number, ASSAY_PURPOSE_BAYESIAN_FALLBACK);
    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"bayesian\", \"phase\": \"random\", "
             "\"reason\": \"the points found were tried before\"}");
    return assay_algorithm_suggest_untried(base, batch, &random, suggestion);
}

static int32_t
bayesian_suggest(void *instance, const int64_t *numbers, uint64_t n,
                 const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
                 char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    return assay_algorithm_suggest_each(instance, suggest_one, numbers, n, suggestions, ret_count);
}

const struct assay_plugin_algorithm assay_algorithm_bayesian = {
    .struct_size = sizeof assay_algorithm_bayesian,
    .name = "bayesian",
    .description = "Bayesian optimisation: a Gaussian process learns from all results and "
                   "proposes where the most improvement is expected. The best choice for up to a "
                   "few hundred trials that take minutes or longer.",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE |
            ASSAY_PLUGIN_CAP_CONSTRAINTS | ASSAY_PLUGIN_CAP_PARALLEL,
    .settings_schema = settings_schema,
    .create = bayesian_create,
    .update = bayesian_update,
    .suggest = bayesian_suggest,
    .destroy = bayesian_destroy,
};

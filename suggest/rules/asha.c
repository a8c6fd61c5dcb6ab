/* Asynchronous successive halving as a stopping rule (L. Li et al., "A system for
 * massively parallel hyperparameter tuning", MLSys 2020, in its stopping variant).
 *
 * Rung k is step min_steps * eta^k.  A trial enters a rung with the best value it has
 * when it first measures there or past it, and goes on while it is among the best
 * floor(n / eta) of the n that have entered, at least among the best 1.
 *
 * Judged once, at the time of entry, poor first trials run long: there is nobody yet to
 * be worse than.  Here a trial is judged again at every measurement, in the highest rung
 * it has entered, so one that was let through as an early bird stops as soon as the rung
 * has filled up with better ones.  No rung decides before `min_trials` have entered it.
 *
 * Steps need not be epochs: rungs that no measurement falls between are entered at once.
 * A trial that failed stays in its rungs, as what it was.  Values that are not finite are
 * worse than any.  A measurement that comes late does not change a rung.
 *
 * Cost: O(log trials).  Memory: ASSAY_COLUMN_VALUES_MAX values for each of RUNGS_MAX
 * rungs, 768 KiB in all, and about 1 KiB for each live trial (rules/live.h); with more
 * trials a rung keeps a sample of them (rules/columns.h). */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/rules/columns.h"
#include "suggest/rules/live.h"
#include "suggest/rules/rules.h"
#include "suggest/rules/settings_of.h"

#define RUNGS_MAX 64

struct asha {
    char *metric;
    double eta;
    int64_t min_steps, min_trials;
    struct assay_live_set live; /* mark: rungs entered; figure: the value in the highest */
    struct assay_column rungs[RUNGS_MAX];
    size_t n_rungs;
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"min_steps\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 1,"
    " \"description\": \"The first rung: no trial is stopped at a step below this.\"},"
    "\"eta\": {\"type\": \"number\", \"minimum\": 1.1, \"maximum\": 1000, \"default\": 3,"
    " \"description\": \"One trial of so many goes on from rung to rung, so many times as"
    " far.\"},"
    "\"min_trials\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 3,"
    " \"description\": \"Trials that must have entered a rung before any is stopped in it.\"}}}";

static int32_t
asha_create(const struct assay_plugin_rule_study *study, void **ret_instance, char *error,
            uint64_t error_size)
{
    json_t *settings = assay_rule_settings(study, error, error_size);
    struct asha *rule;
    double level;

    if (settings == NULL)
        return ASSAY_PLUGIN_ERROR;
    rule = ASSAY_NEW(struct asha);
    rule->metric = assay_strdup(study->metric);
    rule->eta = assay_rule_real(settings, "eta");
    rule->min_steps = assay_rule_integer(settings, "min_steps");
    rule->min_trials = assay_rule_integer(settings, "min_trials");
    assay_live_init(&rule->live, study->maximize != 0);
    for (level = (double)rule->min_steps; level < 9e18 && rule->n_rungs < RUNGS_MAX;
         level *= rule->eta)
        rule->rungs[rule->n_rungs++] =
            (struct assay_column){.step = (int64_t)ceil(level - 1e-9), .weight = 1};
    json_decref(settings);
    *ret_instance = rule;
    return ASSAY_PLUGIN_OK;
}

static void
decide(const struct asha *rule, const struct assay_live *live,
       struct assay_plugin_decision *decision)
{
    const struct assay_column *rung = &rule->rungs[live->mark - 1];
    size_t kept, smaller, equal;

    if (rung->trials < (uint64_t)rule->min_trials || rung->count == 0)
        return;
    kept = ASSAY_MAX((size_t)((double)rung->count / rule->eta), (size_t)1);
    assay_column_rank(rung, live->figure, &smaller, &equal);
    decision->value = assay_live_shown(&rule->live, live->figure);
    decision->threshold = assay_live_shown(&rule->live, rung->values[kept - 1]);
    decision->step = live->curve.last_step;
    decision->compared = rung->trials;
    decision->stop = smaller >= kept;
    if (decision->stop)
        snprintf(decision->sentence, decision->sentence_size,
                 "the best %.80s by step %lld, %.6g, is worse than %.6g and not among the best one "
                 "in %.4g of the %llu trials that got there",
                 rule->metric, (long long)rung->step, decision->value, decision->threshold,
                 rule->eta, (unsigned long long)rung->trials);
}

static void
asha_report(void *instance, int64_t number, int64_t step, double value,
            struct assay_plugin_decision *decision)
{
    struct asha *rule = instance;
    struct assay_live *live = assay_live_report(&rule->live, number, step, value);

    if (live == NULL)
        return;
    while (live->mark < (int64_t)rule->n_rungs && rule->rungs[live->mark].step <= step) {
        live->figure = live->curve.best;
        assay_column_insert(&rule->rungs[live->mark++], number, live->figure);
    }
    if (live->mark > 0)
        decide(rule, live, decision);
}

static void
asha_finish(void *instance, int64_t number, uint32_t state)
{
    struct asha *rule = instance;
    struct assay_live *live = assay_live_find(&rule->live, number);

    (void)state;
    if (live != NULL)
        assay_live_drop(&rule->live, live);
}

static void
asha_destroy(void *instance)
{
    struct asha *rule = instance;

    for (size_t k = 0; k < rule->n_rungs; k++)
        assay_column_done(&rule->rungs[k]);
    assay_live_done(&rule->live);
    free(rule->metric);
    free(rule);
}

const struct assay_plugin_rule assay_rule_asha = {
    .struct_size = sizeof assay_rule_asha,
    .name = "asha",
    .description = "Asynchronous successive halving: at steps that grow by a factor, one trial in "
                   "so many goes on; judged anew at every measurement.",
    .settings_schema = settings_schema,
    .create = asha_create,
    .report = asha_report,
    .finish = asha_finish,
    .destroy = asha_destroy,
};

/* Importance of the parameters, and advice whether to go on: over all ended trials. */
#include <math.h>

#include "api/analysis_cache.h"
#include "api/handlers.h"
#include "api/outcomes.h"
#include "api/server_internal.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/number.h"
#include "suggest/analysis/advice.h"
#include "suggest/analysis/fanova.h"
#include "suggest/analysis/ped_anova.h"
#include "suggest/pareto/domination.h"

#define ENDED_WITH_VALUES (1u << ASSAY_TRIAL_SUCCEEDED | 1u << ASSAY_TRIAL_STOPPED)

static json_t *
real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* --- what both have in common: known answers, and turns */

typedef assay_status analyse_fn(struct assay_request *request, json_t **ret_answer,
                                struct assay_error *err);

static void
look_again(void *arg, bool changed)
{
    (void)changed;
    assay_request_continue(arg, assay_request_run);
}

static enum assay_step
answer_from(struct assay_request *request, const char *question, analyse_fn *analyse)
{
    struct assay_analysis_cache *cache = request->server->analyses;
    struct assay_notifier *notifier = request->service->notifier;
    /* Of ?wait=, once it has looked for the first time. */
    bool waits = request->wait_until_us != 0 && !atomic_load(&request->server->stopping);
    int64_t left_us = waits ? request->wait_until_us - assay_monotonic_us() : 0;
    const struct assay_analysis_key key = {
        .study_id = request->study_id,
        .question = question,
        .version = request->read_version,
        .final = assay_study_state_is_final(request->study_state),
        .patient = left_us > 0,
    };
    struct assay_error err = {0};
    json_t *answer = NULL;
    int64_t later_us;
    assay_status status;

    /* Of an answer that is given again though trials have come, the version is the older one:
     * who waits for another is told of these, too. */
    switch (assay_analysis_cache_get(cache, &key, &answer, &request->read_version, &later_us)) {
    case ASSAY_ANALYSIS_KNOWN:
        return assay_answer_json(request, 200, answer);
    case ASSAY_ANALYSIS_LATER:
        request->reads--; /* nothing was read */
        assay_notifier_wait(notifier, INT64_MAX, assay_notifier_version(notifier, INT64_MAX),
                            left_us > 0 ? ASSAY_MIN(later_us, left_us) : later_us, look_again,
                            request);
        return ASSAY_PENDING;
    case ASSAY_ANALYSIS_OURS:
        break;
    }
    status = analyse(request, &answer, &err);
    assay_analysis_cache_put(cache, &key, status == ASSAY_OK ? answer : NULL);
    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    return assay_answer_json(request, 200, answer);
}

/* --- importance */

/* As the words of the query: none, then these. */
enum method { METHOD_ANY, METHOD_PED_ANOVA, METHOD_FANOVA };

struct collecting {
    const struct assay_study_spec *spec;
    const struct assay_objective *objectives; /* what is looked at */
    size_t n_objectives;
    struct assay_analysis_trials trials;
    double *point, *costs;
};

static void
collect(void *arg, const struct assay_trial *trial)
{
    struct collecting *collecting = arg;
    struct assay_faults faults = {0};
    bool feasible = trial->state != ASSAY_TRIAL_INFEASIBLE &&
                    assay_outcome_feasible(collecting->spec, trial->metrics);

    /* What is stored fits the space it was stored with. */
    if (assay_point_decode(collecting->spec->space, trial->parameters, "", false, &faults,
                           collecting->point)) {
        for (size_t k = 0; k < collecting->n_objectives; k++)
            collecting->costs[k] = assay_outcome_cost(&collecting->objectives[k], trial, true);
        assay_analysis_trials_add(&collecting->trials, collecting->point, collecting->costs,
                                  feasible);
    }
    assay_faults_done(&faults);
}

/* The metric asked for: its goal as an objective, else what a bound on it says, else to
 * be small. */
static struct assay_objective
objective_of(const struct assay_study_spec *spec, const char *metric)
{
    for (size_t i = 0; i < spec->n_objectives; i++) {
        if (strcmp(spec->objectives[i].metric, metric) == 0)
            return spec->objectives[i];
    }
    for (size_t i = 0; i < spec->n_constraints; i++) {
        if (strcmp(spec->constraints[i].metric, metric) == 0 && isinf(spec->constraints[i].max))
            return (struct assay_objective){spec->constraints[i].metric, ASSAY_GOAL_MAXIMIZE, NAN,
                                            ASSAY_SUMMARY_LAST};
    }
    return (struct assay_objective){(char *)(uintptr_t)metric, ASSAY_GOAL_MINIMIZE, NAN,
                                    ASSAY_SUMMARY_LAST};
}

struct ranked {
    size_t parameter;
    double share;
};

static int
compare_ranked(const void *a, const void *b)
{
    const struct ranked *left = a, *right = b;

    if (left->share != right->share)
        return left->share > right->share ? -1 : 1;
    return (left->parameter > right->parameter) - (left->parameter < right->parameter);
}

static json_t *
encode_shares(const struct assay_space *space, const struct assay_importance *importance)
{
    size_t n = importance->n_parameters;
    assay_auto_free struct ranked *ranked = assay_alloc(n + 1, sizeof *ranked);
    json_t *list = json_array();
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        ranked[i] = (struct ranked){i, importance->shares[i]};
        sum += importance->shares[i];
    }
    qsort(ranked, n, sizeof *ranked, compare_ranked);
    for (size_t i = 0; i < n && sum > 0.0; i++)
        json_array_append_new(list, json_pack("{s:s, s:f}", "parameter",
                                              space->parameters[ranked[i].parameter].name,
                                              "importance", ranked[i].share));
    return list;
}

static json_t *
encode_interactions(const struct assay_space *space, const struct assay_importance *importance)
{
    json_t *list = json_array();

    for (size_t i = 0; i < importance->n_interactions; i++) {
        const struct assay_interaction *pair = &importance->interactions[i];

        json_array_append_new(
            list, json_pack("{s:[s, s], s:f}", "parameters", space->parameters[pair->a].name,
                            space->parameters[pair->b].name, "importance", pair->share));
    }
    return list;
}

static assay_status
analyse_importance(struct assay_request *request, json_t **ret_answer, struct assay_error *err)
{
    bool fanova = request->query.method == METHOD_FANOVA || request->query.interactions;
    struct collecting collecting = {0};
    struct assay_importance importance = {0};
    struct assay_view *view = NULL;
    struct assay_objective one;
    struct assay_outcomes outcomes;
    const struct assay_trial_query query = {
        .study_id = request->study_id,
        /* fANOVA is about values, which infeasible trials have none of. */
        .states = ENDED_WITH_VALUES | (fanova ? 0 : 1u << ASSAY_TRIAL_INFEASIBLE),
    };
    assay_status status = assay_outcomes_init(request, &outcomes, err);

    if (status == ASSAY_OK) {
        collecting.spec = outcomes.spec;
        collecting.objectives = outcomes.spec->objectives;
        collecting.n_objectives = fanova ? 1 : outcomes.spec->n_objectives;
        if (request->query.metric != NULL) {
            one = objective_of(outcomes.spec, request->query.metric);
            collecting.objectives = &one;
            collecting.n_objectives = 1;
        }
        collecting.point = assay_alloc(outcomes.spec->space->n_parameters + 1, sizeof(double));
        collecting.costs = assay_alloc(collecting.n_objectives, sizeof(double));
        view = assay_view_new(outcomes.spec->space);
        assay_analysis_trials_init(&collecting.trials, assay_view_space(view),
                                   collecting.n_objectives, fanova ? ASSAY_FANOVA_TRIALS_MAX : 0);
        status = assay_store_trials(request->store, &query, collect, &collecting, NULL, err);
    }
    if (status == ASSAY_OK) {
        const char *metric = collecting.n_objectives == 1 ? collecting.objectives[0].metric : NULL;

        if (fanova)
            assay_fanova(&collecting.trials, request->query.interactions, &importance);
        else
            assay_ped_anova(&collecting.trials, &importance);
        *ret_answer = json_pack(
            "{s:o, s:o, s:o, s:s, s:s?, s:I, s:o}", "importance",
            encode_shares(outcomes.spec->space, &importance), "interactions",
            request->query.interactions ? encode_interactions(outcomes.spec->space, &importance)
                                        : json_null(),
            "explained", real_or_null(importance.explained), "method",
            fanova ? "fanova" : "ped_anova", "metric", metric, "trials",
            (json_int_t)importance.n_trials, "message",
            importance.message[0] != '\0' ? json_string(importance.message) : json_null());
    }
    assay_importance_done(&importance);
    assay_analysis_trials_done(&collecting.trials);
    assay_view_free(view);
    free(collecting.point);
    free(collecting.costs);
    assay_outcomes_done(&outcomes);
    return status;
}

enum assay_step
assay_handle_importance(struct assay_request *request)
{
    assay_auto_free char *question = NULL;

    if (request->query.interactions && request->query.method == METHOD_PED_ANOVA) {
        struct assay_faults faults = {0};

        assay_fault_add(&faults, "?interactions", NULL, "method=fanova",
                        "ped_anova does not look at interactions");
        return assay_answer_faults(request, ASSAY_E_INVALID_VALUE, &faults);
    }
    question =
        assay_format("importance %d %d %s", (int)request->query.method, request->query.interactions,
                     request->query.metric != NULL ? request->query.metric : "");
    return answer_from(request, question, analyse_importance);
}

/* --- advice */

struct history {
    const struct assay_study_spec *spec;
    struct assay_advice_trial *trials; /* one objective */
    double *costs;                     /* several: rows of the trials with values */
    size_t n, capacity;
    int64_t best; /* number of the best trial; 0 = none */
    double best_cost;
};

static void
make_room(struct history *history)
{
    if (history->n < history->capacity)
        return;
    history->capacity = ASSAY_MAX(history->capacity * 2, (size_t)64);
    if (history->spec->n_objectives == 1)
        history->trials =
            assay_realloc(history->trials, history->capacity, sizeof *history->trials);
    else
        history->costs = assay_realloc(
            history->costs, history->capacity * history->spec->n_objectives, sizeof(double));
}

static void
recall_one(struct history *history, const struct assay_trial *trial)
{
    const struct assay_objective *objective = &history->spec->objectives[0];
    const json_t *predicted = json_object_get(trial->why, "predicted");
    double cost = assay_outcome_cost(objective, trial, true);
    double measured = assay_outcome_cost(objective, trial, false);
    double mean = assay_outcome_metric(predicted, "mean");

    if (!assay_outcome_feasible(history->spec, trial->metrics))
        cost = measured = NAN;
    history->trials[history->n++] = (struct assay_advice_trial){
        .value = cost,
        .mean = objective->goal == ASSAY_GOAL_MAXIMIZE ? -mean : mean,
        .sd = assay_outcome_metric(predicted, "sd"),
    };
    if (isfinite(measured) && (history->best == 0 || measured < history->best_cost)) {
        history->best = trial->number;
        history->best_cost = measured;
    }
}

static void
recall(void *arg, const struct assay_trial *trial)
{
    struct history *history = arg;
    size_t m = history->spec->n_objectives;

    make_room(history);
    if (m == 1) {
        recall_one(history, trial);
        return;
    }
    if (!assay_outcome_feasible(history->spec, trial->metrics))
        return;
    for (size_t k = 0; k < m; k++) {
        double *cost = &history->costs[history->n * m + k];

        *cost = assay_outcome_cost(&history->spec->objectives[k], trial, false);
        if (!isfinite(*cost))
            return;
    }
    history->n++;
}

/* Which trials were on the front when they came. */
static void
mark_entries(const double *costs, size_t n, size_t m, bool *ret_entered)
{
    assay_auto_free size_t *front = assay_alloc(n + 1, sizeof *front);
    size_t n_front = 0;

    for (size_t i = 0; i < n; i++) {
        const double *row = &costs[i * m];
        size_t kept = 0;

        ret_entered[i] = true;
        for (size_t k = 0; k < n_front && ret_entered[i]; k++) {
            const double *member = &costs[front[k] * m];

            ret_entered[i] = !assay_pareto_dominates(member, row, m) &&
                             memcmp(member, row, m * sizeof(double)) != 0;
        }
        if (!ret_entered[i])
            continue;
        for (size_t k = 0; k < n_front; k++) {
            if (!assay_pareto_dominates(row, &costs[front[k] * m], m))
                front[kept++] = front[k];
        }
        n_front = kept;
        front[n_front++] = i;
    }
}

static char *
advice_sentence(const struct assay_advice *advice, const char *metric, double sign, int64_t best)
{
    const struct assay_advice_ahead *ahead = &advice->ahead[0];
    bool stop = advice->word == ASSAY_ADVICE_CONSIDER_STOPPING;

    if (advice->word == ASSAY_ADVICE_TOO_EARLY)
        return assay_format("Too early to say: %zu trial%s a value, and %d are needed.",
                            advice->n_values, advice->n_values == 1 ? " has" : "s have",
                            ASSAY_ANALYSIS_TRIALS_MIN);
    if (metric == NULL)
        return assay_format("%s: the chance that one of the next %d trials reaches the Pareto "
                            "front is about %.0f %%.",
                            stop ? "Consider stopping" : "Going on looks worth it", ahead->trials,
                            100.0 * ahead->probability);
    return assay_format(
        "%s. In the next %d trials %s is expected to go from %.6g (trial %lld, %zu trial%s ago) to "
        "%.6g; the chance of any improvement is about %.0f %%.",
        stop ? "Consider stopping: little is left to gain" : "Going on looks worth it",
        ahead->trials, metric, sign * advice->best, (long long)best, advice->stagnation,
        advice->stagnation == 1 ? "" : "s", sign * ahead->best, 100.0 * ahead->probability);
}

static json_t *
encode_ahead(const struct assay_advice *advice, double sign)
{
    json_t *list = json_array();

    if (advice->word == ASSAY_ADVICE_TOO_EARLY) {
        json_decref(list);
        return json_null();
    }
    for (size_t i = 0; i < ASSAY_ADVICE_AHEAD; i++)
        json_array_append_new(list,
                              json_pack("{s:i, s:o, s:o}", "trials", advice->ahead[i].trials,
                                        "value", real_or_null(sign * advice->ahead[i].best),
                                        "probability", real_or_null(advice->ahead[i].probability)));
    return list;
}

static json_t *
encode_advice(const struct history *history, const struct assay_advice *advice)
{
    const struct assay_objective *objective = &history->spec->objectives[0];
    const char *metric = history->spec->n_objectives == 1 ? objective->metric : NULL;
    double sign = metric != NULL && objective->goal == ASSAY_GOAL_MAXIMIZE ? -1.0 : 1.0;
    bool early = advice->word == ASSAY_ADVICE_TOO_EARLY;
    assay_auto_free char *sentence = advice_sentence(advice, metric, sign, history->best);

    return json_pack("{s:s, s:s, s:s?, s:I, s:I, s:o, s:o, s:o, s:o, s:s?}", "advice",
                     assay_advice_name(advice->word), "sentence", sentence, "metric", metric,
                     "trials", (json_int_t)advice->n_values, "stagnation",
                     (json_int_t)advice->stagnation, "best", real_or_null(sign * advice->best),
                     "expected_improvement", real_or_null(advice->improvement),
                     "probability_of_improvement", real_or_null(advice->probability),
                     "expected_best_after", encode_ahead(advice, sign), "method",
                     early              ? NULL
                     : advice->by_model ? "predictions"
                                        : "records");
}

static assay_status
analyse_advice(struct assay_request *request, json_t **ret_answer, struct assay_error *err)
{
    const struct assay_trial_query query = {.study_id = request->study_id,
                                            .states = ENDED_WITH_VALUES};
    struct history history = {0};
    struct assay_outcomes outcomes;
    assay_status status = assay_outcomes_init(request, &outcomes, err);

    history.spec = outcomes.spec;
    if (status == ASSAY_OK)
        status = assay_store_trials(request->store, &query, recall, &history, NULL, err);
    if (status == ASSAY_OK) {
        struct assay_advice advice;

        if (outcomes.spec->n_objectives == 1) {
            assay_advice_give(history.trials, history.n, &advice);
        } else {
            assay_auto_free bool *entered = assay_alloc(history.n + 1, sizeof *entered);

            mark_entries(history.costs, history.n, outcomes.spec->n_objectives, entered);
            assay_advice_of_fronts(entered, history.n, &advice);
        }
        *ret_answer = encode_advice(&history, &advice);
    }
    free(history.trials);
    free(history.costs);
    assay_outcomes_done(&outcomes);
    return status;
}

enum assay_step
assay_handle_advice(struct assay_request *request)
{
    return answer_from(request, "advice", analyse_advice);
}

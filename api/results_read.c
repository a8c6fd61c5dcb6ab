/* The best trial, and the trials that none is better than in every objective. */
#include <math.h>

#include "api/handlers.h"
#include "common/memory.h"
#include "common/number.h"
#include "suggest/pareto/domination.h"

/* A front longer than this is cut: nobody reads it, and each member is a query. */
#define FRONT_MAX 1000

static assay_status
read_study(struct assay_request *request, struct assay_study_record *ret_record,
           struct assay_error *err)
{
    assay_status status = assay_store_study(request->store, request->path.project,
                                            request->path.study, ret_record, err);

    if (status == ASSAY_OK)
        request->answer.final = assay_study_state_is_final(ret_record->state);
    return status;
}

enum assay_step
assay_handle_best(struct assay_request *request)
{
    struct assay_study_record record = {0};
    struct assay_error err = {0};
    assay_status status = read_study(request, &record, &err);

    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    assay_answer_json(request, 200, json_pack("{s:O?}", "best", record.best));
    assay_study_record_done(&record);
    return ASSAY_ANSWERED;
}

/* What decides who is on the front, out of the study file. */
struct front {
    json_t *objectives;        /* borrowed array */
    const json_t *constraints; /* borrowed array or NULL */
    size_t n_objectives;
    double *costs; /* n_points rows of n_objectives, smaller is better */
    int64_t *numbers;
    size_t n_points, capacity;
};

static bool
get_metric(const json_t *metrics, const json_t *rule, double *ret_value)
{
    const char *name = json_string_value(json_object_get(rule, "metric"));
    const json_t *value = name != NULL ? json_object_get(metrics, name) : NULL;

    return value != NULL && assay_json_get_real(value, ret_value);
}

static bool
is_feasible(const struct front *front, const json_t *metrics)
{
    for (size_t i = 0; i < json_array_size(front->constraints); i++) {
        const json_t *rule = json_array_get(front->constraints, i);
        double value, bound;

        if (!get_metric(metrics, rule, &value) || isnan(value))
            return false;
        if (assay_json_get_real(json_object_get(rule, "min"), &bound) && value < bound)
            return false;
        if (assay_json_get_real(json_object_get(rule, "max"), &bound) && value > bound)
            return false;
    }
    return true;
}

static void
add_point(void *arg, const struct assay_trial *trial)
{
    struct front *front = arg;
    double *row;

    if (!is_feasible(front, trial->metrics))
        return;
    if (front->n_points == front->capacity) {
        front->capacity = ASSAY_MAX(front->capacity * 2, (size_t)64);
        front->costs = assay_realloc(front->costs, front->capacity * front->n_objectives,
                                     sizeof(double));
        front->numbers = assay_realloc(front->numbers, front->capacity, sizeof(int64_t));
    }
    row = front->costs + front->n_points * front->n_objectives;
    for (size_t i = 0; i < front->n_objectives; i++) {
        const json_t *objective = json_array_get(front->objectives, i);
        const char *goal = json_string_value(json_object_get(objective, "goal"));

        if (!get_metric(trial->metrics, objective, &row[i]) || !isfinite(row[i]))
            return;
        if (goal != NULL && strcmp(goal, "maximize") == 0)
            row[i] = -row[i];
    }
    front->numbers[front->n_points++] = trial->number;
}

static assay_status
encode_front(struct assay_request *request, const struct front *front, const size_t *ranks,
             json_t *trials, struct assay_error *err)
{
    for (size_t i = 0; i < front->n_points && json_array_size(trials) < FRONT_MAX; i++) {
        struct assay_trial trial = {0};
        assay_status status;

        if (ranks[i] != 0)
            continue;
        status = assay_store_trial(request->store, request->study_id, front->numbers[i], &trial,
                                   err);
        if (status != ASSAY_OK)
            return status;
        json_array_append_new(trials, assay_trial_encode(&trial, request->path.project,
                                                         request->path.study));
        assay_trial_done(&trial);
    }
    return ASSAY_OK;
}

enum assay_step
assay_handle_pareto(struct assay_request *request)
{
    struct assay_study_record record = {0};
    struct assay_error err = {0};
    struct front front = {0};
    assay_auto_free char *next = NULL;
    assay_auto_free size_t *ranks = NULL;
    json_t *trials = json_array();
    const struct assay_trial_query query = {
        .study_id = request->study_id,
        .states = 1u << ASSAY_TRIAL_SUCCEEDED | 1u << ASSAY_TRIAL_STOPPED,
    };
    assay_status status = read_study(request, &record, &err);

    if (status == ASSAY_OK) {
        json_t *several = json_object_get(record.document, "objectives");
        json_t *one = json_object_get(record.document, "objective");

        front.objectives = several != NULL ? json_incref(several) : json_pack("[O]", one);
        front.constraints = json_object_get(record.document, "constraints");
        front.n_objectives = json_array_size(front.objectives);
        status = assay_store_trials(request->store, &query, add_point, &front, &next, &err);
    }
    if (status == ASSAY_OK) {
        ranks = assay_alloc(front.n_points + 1, sizeof *ranks);
        assay_pareto_ranks(front.costs, NULL, front.n_points, front.n_objectives, 1, ranks);
        status = encode_front(request, &front, ranks, trials, &err);
    }
    json_decref(front.objectives);
    free(front.costs);
    free(front.numbers);
    assay_study_record_done(&record);
    if (status != ASSAY_OK) {
        json_decref(trials);
        return assay_answer_error(request, status, &err);
    }
    return assay_answer_json(request, 200, json_pack("{s:o}", "trials", trials));
}

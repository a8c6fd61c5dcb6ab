/* The best trial, and the trials that none is better than in every objective. */
#include <math.h>

#include "api/handlers.h"
#include "api/outcomes.h"
#include "common/memory.h"
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

struct front {
    const struct assay_study_spec *spec;
    double *costs; /* n_points rows of n_objectives, smaller is better */
    int64_t *numbers;
    size_t n_points, capacity;
};

static void
add_point(void *arg, const struct assay_trial *trial)
{
    struct front *front = arg;
    size_t m = front->spec->n_objectives;
    double *row;

    if (!assay_outcome_feasible(front->spec, trial->metrics))
        return;
    if (front->n_points == front->capacity) {
        front->capacity = ASSAY_MAX(front->capacity * 2, (size_t)64);
        front->costs = assay_realloc(front->costs, front->capacity * m, sizeof(double));
        front->numbers = assay_realloc(front->numbers, front->capacity, sizeof(int64_t));
    }
    row = front->costs + front->n_points * m;
    for (size_t i = 0; i < m; i++) {
        row[i] = assay_outcome_cost(&front->spec->objectives[i], trial, false);
        if (!isfinite(row[i]))
            return;
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
        status =
            assay_store_trial(request->store, request->study_id, front->numbers[i], &trial, err);
        if (status != ASSAY_OK)
            return status;
        json_array_append_new(
            trials, assay_trial_encode(&trial, request->path.project, request->path.study));
        assay_trial_done(&trial);
    }
    return ASSAY_OK;
}

enum assay_step
assay_handle_pareto(struct assay_request *request)
{
    struct assay_outcomes outcomes;
    struct assay_error err = {0};
    struct front front = {0};
    assay_auto_free size_t *ranks = NULL;
    json_t *trials = json_array();
    const struct assay_trial_query query = {
        .study_id = request->study_id,
        .states = 1u << ASSAY_TRIAL_SUCCEEDED | 1u << ASSAY_TRIAL_STOPPED,
    };
    assay_status status = assay_outcomes_init(request, &outcomes, &err);

    front.spec = outcomes.spec;
    if (status == ASSAY_OK)
        status = assay_store_trials(request->store, &query, add_point, &front, NULL, &err);
    if (status == ASSAY_OK) {
        ranks = assay_alloc(front.n_points + 1, sizeof *ranks);
        assay_pareto_ranks(front.costs, NULL, front.n_points, outcomes.spec->n_objectives, 1,
                           ranks);
        status = encode_front(request, &front, ranks, trials, &err);
    }
    free(front.costs);
    free(front.numbers);
    assay_outcomes_done(&outcomes);
    if (status != ASSAY_OK) {
        json_decref(trials);
        return assay_answer_error(request, status, &err);
    }
    return assay_answer_json(request, 200, json_pack("{s:o}", "trials", trials));
}

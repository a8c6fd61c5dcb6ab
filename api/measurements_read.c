/* Measurements of one trial, and the learning curves of all. */
#include "api/handlers.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/number.h"

#define CURVE_POINTS 100
#define CURVES_MAX 1000

static void
add_measurement(void *arg, int64_t step, int64_t time_us, const json_t *metrics)
{
    union {
        const json_t *borrowed;
        json_t *counted;
    } values = {.borrowed = metrics};
    char time[ASSAY_TIME_TEXT];

    assay_print_time(time_us, time);
    json_array_append_new(arg, json_pack("{s:I, s:s, s:O}", "step", (json_int_t)step, "time", time,
                                         "metrics", values.counted));
}

enum assay_step
assay_handle_measurements_list(struct assay_request *request)
{
    const struct assay_measurement_query query = {
        .study_id = request->study_id,
        .trial_number = request->path.number,
        .metric = request->query.metric,
        .limit = request->query.points > 0 ? 0 : (size_t)request->query.page_size,
        .after = request->query.page_token,
        .points = (size_t)request->query.points,
    };
    struct assay_trial trial = {0};
    assay_auto_free char *next = NULL;
    struct assay_error err = {0};
    json_t *list = json_array();
    assay_status status = assay_store_trial(request->store, request->study_id,
                                            request->path.number, &trial, &err);

    if (status == ASSAY_OK) {
        request->answer.final = assay_trial_state_is_final(trial.state);
        assay_trial_done(&trial);
        status = assay_store_measurements(request->store, &query, add_measurement, list, &next,
                                          &err);
    }
    if (status != ASSAY_OK) {
        json_decref(list);
        return assay_answer_error(request, status, &err);
    }
    return assay_answer_json(request, 200,
                             json_pack("{s:o, s:o}", "measurements", list, "next_page_token",
                                       next != NULL ? json_string(next) : json_null()));
}

static void
add_curve(void *arg, int64_t trial_number, enum assay_trial_state state, size_t n,
          const int64_t *steps, const double *values)
{
    json_t *step_list = json_array(), *value_list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(step_list, json_integer(steps[i]));
        json_array_append_new(value_list, assay_json_real(values[i]));
    }
    json_array_append_new(arg, json_pack("{s:I, s:s, s:o, s:o}", "number",
                                         (json_int_t)trial_number, "state",
                                         assay_trial_state_name(state), "steps", step_list,
                                         "values", value_list));
}

enum assay_step
assay_handle_curves(struct assay_request *request)
{
    size_t points = request->query.points > 0 ? (size_t)request->query.points : CURVE_POINTS;
    struct assay_error err = {0};
    json_t *list;
    assay_status status;

    if (request->query.metric == NULL) {
        struct assay_faults faults = {0};

        assay_fault_add(&faults, "?metric", NULL, "the name of a metric", "is missing");
        return assay_answer_faults(request, ASSAY_E_BAD_REQUEST, &faults);
    }
    list = json_array();
    status = assay_store_curves(request->store, request->study_id, request->query.metric,
                                request->query.states, points, CURVES_MAX, add_curve, list, &err);
    if (status != ASSAY_OK) {
        json_decref(list);
        return assay_answer_error(request, status, &err);
    }
    return assay_answer_json(request, 200, json_pack("{s:s, s:o}", "metric",
                                                     request->query.metric, "curves", list));
}

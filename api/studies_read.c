#include "api/handlers.h"
#include "common/json.h"
#include "common/memory.h"
#include "schemas/katib/view.h"

static void
add_study(void *arg, const struct assay_study_record *study)
{
    json_array_append_new(arg, assay_study_record_encode(study, false));
}

enum assay_step
assay_handle_studies_list(struct assay_request *request)
{
    /* As the names in the route's table. */
    static const enum assay_study_sort sorts[] = {ASSAY_STUDY_BY_CREATED, ASSAY_STUDY_BY_CREATED,
                                                  ASSAY_STUDY_BY_NAME, ASSAY_STUDY_BY_NAME};
    const struct assay_study_query query = {
        .project = request->path.project,
        .states = request->query.states,
        .name_prefix = request->query.name,
        .sort = sorts[request->query.sort],
        .descending = request->query.sort == 0 || request->query.sort == 3,
        .limit = (size_t)request->query.page_size,
        .after = request->query.page_token,
    };
    assay_auto_free char *next = NULL;
    struct assay_error err = {0};
    json_t *list = json_array();
    assay_status status =
        assay_store_studies(request->store, &query, add_study, list, &next, &err);

    if (status != ASSAY_OK) {
        json_decref(list);
        return assay_answer_error(request, status, &err);
    }
    /* A list that is empty may belong to a project that is not there. */
    if (json_array_size(list) == 0 && assay_check_project(request) == ASSAY_ANSWERED) {
        json_decref(list);
        return ASSAY_ANSWERED;
    }
    return assay_answer_json(request, 200, json_pack("{s:o, s:o}", "studies", list,
                                                     "next_page_token", assay_json_text(next)));
}

enum assay_step
assay_answer_study(struct assay_request *request)
{
    struct assay_study_record record = {0};
    struct assay_error err = {0};
    assay_status status = assay_store_study(request->store, request->path.project,
                                            request->path.study, &record, &err);

    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    request->answer.final = assay_study_state_is_final(record.state);
    assay_answer_json(request, 200, assay_study_record_encode(&record, true));
    assay_study_record_done(&record);
    return ASSAY_ANSWERED;
}

/* --- as Katib shows it */

static void
add_to_view(void *arg, const struct assay_trial *trial)
{
    assay_katib_view_add_trial(arg, trial);
}

static void
measure_in_view(void *arg, int64_t step ASSAY_UNUSED, int64_t time_us ASSAY_UNUSED,
                const json_t *metrics)
{
    assay_katib_view_add_measurement(arg, metrics);
}

static enum assay_step
answer_katib(struct assay_request *request)
{
    const struct assay_trial_query trials = {.study_id = request->study_id};
    struct assay_measurement_query measurements = {.study_id = request->study_id};
    struct assay_study_record record = {0};
    struct assay_error err = {0};
    struct assay_katib_view *view;
    assay_status status = assay_store_study(request->store, request->path.project,
                                            request->path.study, &record, &err);
    json_t *experiment;

    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    view = assay_katib_view_new(&record);
    status = assay_store_trials(request->store, &trials, add_to_view, view, NULL, &err);
    measurements.trial_number = assay_katib_view_best(view);
    if (status == ASSAY_OK && measurements.trial_number > 0)
        status = assay_store_measurements(request->store, &measurements, measure_in_view, view,
                                          NULL, &err);
    experiment = assay_katib_view_finish(view);
    request->answer.final = assay_study_state_is_final(record.state);
    assay_study_record_done(&record);
    if (status == ASSAY_OK)
        return assay_answer_json(request, 200, experiment);
    json_decref(experiment);
    return assay_answer_error(request, status, &err);
}

enum assay_step
assay_handle_study_get(struct assay_request *request)
{
    return request->query.view == 1 ? answer_katib(request) : assay_answer_study(request);
}

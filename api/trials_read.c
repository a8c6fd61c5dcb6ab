#include "api/handlers.h"
#include "common/memory.h"

struct list {
    const struct assay_request *request;
    json_t *trials;
};

static void
add_trial(void *arg, const struct assay_trial *trial)
{
    struct list *list = arg;

    json_array_append_new(list->trials,
                          assay_trial_encode(trial, list->request->path.project,
                                             list->request->path.study));
}

/* Whether ?fields= leaves the member in; `names` is the route's list. */
static bool
wants(const struct assay_request *request, const char *member)
{
    const struct assay_query_field *field = request->route->query;

    if (request->query.fields == 0)
        return true;
    while (field->kind != ASSAY_QUERY_WORDS)
        field++;
    for (size_t i = 0; field->names[i] != NULL; i++) {
        if (strcmp(field->names[i], member) == 0)
            return (request->query.fields & UINT64_C(1) << i) != 0;
    }
    return true;
}

enum assay_step
assay_handle_trials_list(struct assay_request *request)
{
    /* As the names in the route's table, each also with "-". */
    static const enum assay_trial_sort sorts[] = {
        ASSAY_TRIAL_BY_NUMBER, ASSAY_TRIAL_BY_VALUE,
        ASSAY_TRIAL_BY_NUMBER, /* created_at: numbers are given in that order */
        ASSAY_TRIAL_BY_STARTED, ASSAY_TRIAL_BY_FINISHED,
    };
    const struct assay_trial_query query = {
        .study_id = request->study_id,
        .states = request->query.states,
        .sort = sorts[request->query.sort / 2],
        .descending = request->query.sort % 2 != 0,
        .with_attempts = wants(request, "attempts"),
        .limit = (size_t)request->query.page_size,
        .after = request->query.page_token,
    };
    struct list list = {request, json_array()};
    assay_auto_free char *next = NULL;
    struct assay_error err = {0};
    assay_status status =
        assay_store_trials(request->store, &query, add_trial, &list, &next, &err);

    if (status != ASSAY_OK) {
        json_decref(list.trials);
        return assay_answer_error(request, status, &err);
    }
    return assay_answer_json(request, 200,
                             json_pack("{s:o, s:o}", "trials", list.trials, "next_page_token",
                                       next != NULL ? json_string(next) : json_null()));
}

enum assay_step
assay_handle_trial_get(struct assay_request *request)
{
    struct assay_trial trial = {0};
    struct assay_error err = {0};
    assay_status status = assay_store_trial(request->store, request->study_id,
                                            request->path.number, &trial, &err);

    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    request->answer.final = assay_trial_state_is_final(trial.state);
    assay_answer_json(request, 200,
                      assay_trial_encode(&trial, request->path.project, request->path.study));
    assay_trial_done(&trial);
    return ASSAY_ANSWERED;
}

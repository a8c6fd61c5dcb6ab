/* Pause, resume, cancel, change limits, delete. */
#include "api/handlers.h"
#include "api/server_internal.h"
#include "schemas/decode.h"

/* The answer is the study as it is after the commit. */
static void
changed(void *arg, assay_status status, const struct assay_error *err,
        const struct assay_engine_answer *answer)
{
    struct assay_request *request = arg;

    if (!assay_request_call_failed(request, status, err, answer))
        assay_request_continue(request, assay_answer_study);
}

/* A study that has ended is not the engine's any more; the store says how it did. */
static enum assay_step
verb_on_ended(struct assay_request *request, enum assay_study_verb verb)
{
    if (verb == ASSAY_STUDY_CANCEL && request->study_state == ASSAY_STUDY_CANCELLED)
        return assay_answer_study(request);
    return assay_answer_problem(request, ASSAY_E_STUDY_FINISHED, "the study is %s already",
                                assay_study_state_name(request->study_state));
}

static enum assay_step
call_verb(struct assay_request *request, enum assay_study_verb verb)
{
    if (assay_study_state_is_final(request->study_state))
        return verb_on_ended(request, verb);
    assay_engine_study_verb(request->service->engine, request->study_id, verb, changed, request);
    return ASSAY_PENDING;
}

enum assay_step
assay_handle_study_pause(struct assay_request *request)
{
    return call_verb(request,
                     request->query.requeue ? ASSAY_STUDY_PAUSE_REQUEUE : ASSAY_STUDY_PAUSE);
}

enum assay_step
assay_handle_study_resume(struct assay_request *request)
{
    return call_verb(request, ASSAY_STUDY_RESUME);
}

enum assay_step
assay_handle_study_cancel(struct assay_request *request)
{
    return call_verb(request, ASSAY_STUDY_CANCEL);
}

enum assay_step
assay_handle_study_patch(struct assay_request *request)
{
    struct assay_faults faults = {0};
    json_t *patch;

    if (!json_is_object(request->json)) {
        assay_fault_type(&faults, "", request->json, "an object");
        return assay_answer_faults(request, ASSAY_E_INVALID_VALUE, &faults);
    }
    patch = json_incref(request->json);
    assay_request_forget_json(request);
    assay_engine_study_patch(request->service->engine, request->study_id, patch, changed, request);
    return ASSAY_PENDING;
}

static void
deleted(void *arg, assay_status status, const struct assay_error *err,
        const struct assay_engine_answer *answer)
{
    struct assay_request *request = arg;

    if (assay_request_call_failed(request, status, err, answer))
        return;
    assay_study_names_forget(request->server->names, request->path.project, request->path.study);
    request->answer.status = answer->later ? 202 : 204;
    assay_request_finish(request);
}

enum assay_step
assay_handle_study_delete(struct assay_request *request)
{
    assay_engine_study_delete(request->service->engine, request->study_id, request->query.force,
                              deleted, request);
    return ASSAY_PENDING;
}

#include "api/handlers.h"
#include "common/log.h"
#include "common/memory.h"
#include "schemas/import.h"
#include "suggest/needed_rule.h"
#include "suggest/registry.h"

static json_t *
build_remembered(struct assay_request *request, const struct assay_engine_answer *answer)
{
    (void)request;
    return assay_study_record_encode(answer->study, true);
}

static enum assay_step
created(struct assay_request *request)
{
    const char *name = request->handler_data;

    request->path.study = name;
    if (assay_answer_study(request) == ASSAY_ANSWERED && request->answer.status != 200)
        return ASSAY_ANSWERED;
    request->answer.status = 201;
    return ASSAY_ANSWERED;
}

static void
done(void *arg, assay_status status, const struct assay_error *err,
     const struct assay_engine_answer *answer)
{
    struct assay_request *request = arg;

    if (assay_request_call_failed(request, status, err, answer))
        return;
    request->answer.location = assay_format("/v1/projects/%s/studies/%s", request->path.project,
                                            (const char *)request->handler_data);
    if (request->remembered == NULL) {
        assay_request_continue(request, created);
        return;
    }
    assay_answer_json(request, 201, json_incref(request->remembered));
    assay_request_finish(request);
}

/* The file as a study, another system's translated; the notes of the translation are left
 * in `ret_import`. */
static struct assay_study_spec *
decode(struct assay_request *request, struct assay_import *ret_import, struct assay_faults *faults)
{
    const char *project = request->path.project;
    struct assay_study_spec *spec;

    if (assay_import_recognise(request->json) != ASSAY_IMPORT_NONE)
        spec = assay_import_decode(request->json, project, assay_registry_checks(), ret_import,
                                   faults);
    else
        spec = assay_study_decode(request->json, project, assay_registry_checks(), faults);
    if (spec != NULL)
        assay_engine_check_resources(request->service->engine, spec, "/trial", faults);
    if (faults->count > 0)
        spec = assay_study_free(spec);
    return spec;
}

/* A study can be valid where it can not be run. */
static bool
can_run(struct assay_request *request, const struct assay_study_spec *spec,
        const struct assay_import *import, struct assay_faults *faults)
{
    static const char at[] = "/trial/kubernetes";
    assay_auto_free char *why = assay_engine_unable(request->service->engine, spec);
    assay_auto_free char *place = NULL;

    if (why == NULL)
        return true;
    place = import->places != NULL ? assay_import_place(import->places, at) : assay_strdup(at);
    assay_fault_add(faults, place, NULL, NULL, "%s", why);
    return false;
}

static bool
may_read(void *arg, const char *project)
{
    const struct assay_request *request = arg;

    return assay_principal_check(&request->principal, ASSAY_ROLE_VIEWER, project, NULL) ==
           ASSAY_OK;
}

/* What the study takes over from earlier ones; ANSWERED when it can not. */
static enum assay_step
read_warm_start(struct assay_request *request, const struct assay_study_spec *spec,
                struct assay_warm_start *ret_warm_start)
{
    struct assay_faults faults = {0};
    struct assay_error err = {0};
    assay_status status = assay_warm_start_read(request->store, spec, may_read, request, &faults,
                                                ret_warm_start, &err);

    if (faults.count > 0)
        return assay_answer_faults(request, ASSAY_E_INVALID_STUDY, &faults);
    return status == ASSAY_OK ? ASSAY_PENDING : assay_answer_error(request, status, &err);
}

/* What people should know before they submit the study; NULL: nothing.  New reference. */
static json_t *
notes_on(const struct assay_study_spec *spec, const struct assay_import *import)
{
    json_t *notes = import->notes != NULL ? json_deep_copy(import->notes) : NULL;
    assay_auto_free char *budget = assay_budget_note(spec);

    if (budget == NULL)
        return notes;
    if (notes == NULL)
        notes = json_array();
    json_array_append_new(notes, json_pack("{s:s, s:s}", "pointer", "/budget", "message", budget));
    return notes;
}

enum assay_step
assay_handle_studies_create(struct assay_request *request)
{
    const struct assay_engine_key *key = assay_request_key(request, 201, build_remembered);
    struct assay_faults faults = {0};
    struct assay_error err = {0};
    struct assay_warm_start warm_start;
    assay_auto_import struct assay_import import = {0};
    struct assay_study_spec *spec;
    int64_t id;
    assay_status status;

    spec = decode(request, &import, &faults);
    if (spec == NULL)
        return assay_answer_faults(request, ASSAY_E_INVALID_STUDY, &faults);
    if (read_warm_start(request, spec, &warm_start) == ASSAY_ANSWERED) {
        assay_study_free(spec);
        return ASSAY_ANSWERED;
    }
    if (request->query.dry_run) {
        assay_warm_start_done(&warm_start);
        assay_answer_json(request, 200,
                          json_pack("{s:b, s:O, s:o*}", "valid", true, "spec", spec->document,
                                    "notes", notes_on(spec, &import)));
        assay_study_free(spec);
        return ASSAY_ANSWERED;
    }
    if (!can_run(request, spec, &import, &faults)) {
        assay_warm_start_done(&warm_start);
        assay_study_free(spec);
        return assay_answer_faults(request, ASSAY_E_INVALID_STUDY, &faults);
    }
    status = assay_store_next_study_id(request->store, &id, &err);
    if (status != ASSAY_OK) {
        assay_warm_start_done(&warm_start);
        assay_study_free(spec);
        return assay_answer_error(request, status, &err);
    }
    assay_request_forget_json(request);
    free(request->handler_data);
    request->handler_data = assay_strdup(spec->name);
    request->handler_free = free;
    assay_engine_study_create(request->service->engine, spec, &warm_start, id, key, done, request);
    return ASSAY_PENDING;
}

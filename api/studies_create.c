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

/* A text that the file refers to, and what it became: the handler's, while it is read. */
struct reading {
    struct assay_import_source source;
    assay_status status;
    struct assay_faults faults;
    char *text, *version;
    json_t *file;  /* with the text; NULL = there is none */
    json_t *lines; /* of the text */
};

static void
reading_free(void *data)
{
    struct reading *reading = data;

    assay_import_source_done(&reading->source);
    assay_faults_done(&reading->faults);
    free(reading->text);
    free(reading->version);
    json_decref(reading->file);
    json_decref(reading->lines);
    free(reading);
}

static void
set_handler_data(struct assay_request *request, void *data, void (*free_data)(void *data))
{
    if (request->handler_free != NULL)
        request->handler_free(request->handler_data);
    request->handler_data = data;
    request->handler_free = free_data;
}

/* Whether the project may have such trials here; at their places in the file. */
static void
check_resources(struct assay_request *request, const struct assay_study_spec *spec,
                const struct assay_import *import, struct assay_faults *faults)
{
    struct assay_faults found = {0};

    assay_engine_check_resources(request->service->engine, spec, "/trial", &found);
    for (size_t i = 0; import->places != NULL && i < ASSAY_MIN(found.count, ASSAY_FAULTS_MAX);
         i++) {
        char *place = assay_import_place(import->places, found.items[i].pointer);

        free(found.items[i].pointer);
        found.items[i].pointer = place;
    }
    assay_faults_copy(&found, faults);
    assay_faults_done(&found);
}

/* The file as a study, another system's translated; the notes of the translation are left
 * in `ret_import`.  `reading` NULL: it refers to nothing. */
static struct assay_study_spec *
decode(struct assay_request *request, const struct reading *reading,
       struct assay_import *ret_import, struct assay_faults *faults)
{
    const char *project = request->path.project;
    const json_t *file =
        reading != NULL && reading->file != NULL ? reading->file : request->json;
    struct assay_study_spec *spec;

    if (reading != NULL)
        assay_faults_copy(&reading->faults, faults);
    if (assay_import_recognise(file) != ASSAY_IMPORT_NONE)
        spec = assay_import_decode(file, project, assay_registry_checks(), ret_import, faults);
    else
        spec = assay_study_decode(file, project, assay_registry_checks(), faults);
    if (spec != NULL)
        check_resources(request, spec, ret_import, faults);
    if (reading != NULL && reading->file != NULL)
        assay_import_faults_outside(faults, &reading->source, reading->lines);
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
notes_on(const struct assay_study_spec *spec, const struct assay_import *import,
         const struct reading *reading)
{
    json_t *notes = import->notes != NULL ? json_deep_copy(import->notes) : json_array();
    assay_auto_free char *budget = assay_budget_note(spec);
    assay_auto_free char *read = NULL;

    if (reading != NULL) {
        read = assay_format("the template is %s as the ConfigMap %s has it now (version %s): what "
                            "becomes of it there changes nothing in the study",
                            reading->source.key, reading->source.name, reading->version);
        json_array_append_new(notes, json_pack("{s:s, s:s}", "pointer", reading->source.pointer,
                                               "message", read));
    }
    if (budget != NULL)
        json_array_append_new(notes,
                              json_pack("{s:s, s:s}", "pointer", "/budget", "message", budget));
    if (json_array_size(notes) == 0 && import->notes == NULL) {
        json_decref(notes);
        return NULL;
    }
    return notes;
}

/* A cluster in trouble is the service's fault, unless the file has some of its own. */
static enum assay_step
answer_faults(struct assay_request *request, const struct reading *reading,
              struct assay_faults *faults)
{
    bool of_file = reading == NULL || faults->count > reading->faults.count;

    return assay_answer_faults(request, of_file ? ASSAY_E_INVALID_STUDY : reading->status, faults);
}

static enum assay_step
create(struct assay_request *request, const struct reading *reading)
{
    const struct assay_engine_key *key = assay_request_key(request, 201, build_remembered);
    struct assay_faults faults = {0};
    struct assay_error err = {0};
    struct assay_warm_start warm_start;
    assay_auto_import struct assay_import import = {0};
    struct assay_study_spec *spec;
    int64_t id;
    assay_status status;

    spec = decode(request, reading, &import, &faults);
    if (spec == NULL)
        return answer_faults(request, reading, &faults);
    if (read_warm_start(request, spec, &warm_start) == ASSAY_ANSWERED) {
        assay_study_free(spec);
        return ASSAY_ANSWERED;
    }
    if (request->query.dry_run) {
        assay_warm_start_done(&warm_start);
        assay_answer_json(request, 200,
                          json_pack("{s:b, s:O, s:o*}", "valid", true, "spec", spec->document,
                                    "notes", notes_on(spec, &import, reading)));
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
    set_handler_data(request, assay_strdup(spec->name), free);
    assay_engine_study_create(request->service->engine, spec, &warm_start, id, key, done, request);
    return ASSAY_PENDING;
}

/* --- a text that the file refers to */

static enum assay_step
create_with_text(struct assay_request *request)
{
    struct reading *reading = request->handler_data;

    if (reading->text != NULL) {
        reading->file = assay_import_include(request->json, &reading->source, reading->text,
                                             reading->version, &reading->lines, &reading->faults);
        if (reading->file == NULL)
            reading->status = ASSAY_E_INVALID_STUDY;
    }
    return create(request, reading);
}

/* On the engine's thread: what takes time is left to a read thread. */
static void
text_read(void *arg, assay_status status, const struct assay_error *err,
          const struct assay_engine_answer *answer)
{
    struct assay_request *request = arg;
    struct reading *reading = request->handler_data;

    reading->status = status;
    if (status == ASSAY_OK) {
        reading->text = assay_strdup(answer->text);
        reading->version = assay_strdup(answer->text_version);
    } else if (answer->faults != NULL) {
        assay_faults_copy(answer->faults, &reading->faults);
    } else {
        assay_fault_add(&reading->faults, reading->source.pointer, NULL, NULL, "%s",
                        err->message);
    }
    assay_request_continue(request, create_with_text);
}

enum assay_step
assay_handle_studies_create(struct assay_request *request)
{
    struct assay_import_source source;
    struct reading *reading;

    if (!assay_import_refers(request->json, &source))
        return create(request, NULL);
    reading = ASSAY_NEW(struct reading);
    reading->source = source;
    set_handler_data(request, reading, reading_free);
    assay_engine_read_text(request->service->engine, request->path.project, &reading->source,
                           text_read, request);
    return ASSAY_PENDING;
}

#include <math.h>

#include "api/handlers.h"
#include "common/clock.h"
#include "common/json.h"
#include "schemas/decode.h"

#define COUNT_MAX 1000
#define CLIENT_BYTES_MAX 255

bool
assay_ask_decode(const json_t *body, const char *pointer, struct assay_faults *faults,
                 struct assay_ask *ret_ask)
{
    static const struct assay_field fields[] = {
        {.key = "count", .kind = ASSAY_FIELD_INT, .offset = offsetof(struct assay_ask, count),
         .min = 1, .max = COUNT_MAX},
        {.key = "client", .kind = ASSAY_FIELD_STRING, .offset = offsetof(struct assay_ask, client),
         .min = 1, .max = CLIENT_BYTES_MAX},
    };

    *ret_ask = (struct assay_ask){.count = 1};
    return assay_decode_object(body, pointer, fields, ASSAY_COUNT(fields), ret_ask, faults);
}

json_t *
assay_suggestions_encode(const struct assay_engine_answer *answer)
{
    const char *reason = assay_study_reason_name(answer->study_reason);
    json_t *trials = json_array();
    json_t *json;

    for (size_t i = 0; i < answer->n_trials; i++) {
        const struct assay_trial *trial = &answer->trials[i];

        json_array_append_new(
            trials, json_pack("{s:I, s:O, s:o, s:o}", "number", (json_int_t)trial->number,
                              "parameters", trial->parameters, "budget",
                              isnan(trial->budget) ? json_null() : assay_json_number(trial->budget),
                              "lease_expires", assay_json_time(trial->lease_expires_us)));
    }
    json = json_pack("{s:o, s:s, s:o}", "trials", trials, "study_state",
                     assay_study_state_name(answer->study_state), "reason",
                     reason != NULL ? json_string(reason) : json_null());
    if (answer->n_trials == 0 && answer->retry_after_ms > 0)
        json_object_set_new(json, "retry_after_ms", json_integer(answer->retry_after_ms));
    return json;
}

assay_status
assay_suggestions_of_ended(struct assay_request *request, json_t **ret_json,
                           struct assay_error *err)
{
    struct assay_study_record record = {0};
    struct assay_engine_answer answer = {0};
    assay_status status = assay_store_study(request->store, request->path.project,
                                            request->path.study, &record, err);

    if (status != ASSAY_OK)
        return status;
    answer.study_state = record.state;
    answer.study_reason = record.reason;
    *ret_json = assay_suggestions_encode(&answer);
    assay_study_record_done(&record);
    return ASSAY_OK;
}

static enum assay_step
answer_ended(struct assay_request *request)
{
    struct assay_error err = {0};
    json_t *json;
    assay_status status = assay_suggestions_of_ended(request, &json, &err);

    return status == ASSAY_OK ? assay_answer_json(request, 200, json)
                              : assay_answer_error(request, status, &err);
}

static json_t *
build_remembered(struct assay_request *request, const struct assay_engine_answer *answer)
{
    (void)request;
    return assay_suggestions_encode(answer);
}

static void
done(void *arg, assay_status status, const struct assay_error *err,
     const struct assay_engine_answer *answer)
{
    struct assay_request *request = arg;

    if (status == ASSAY_E_STUDY_FINISHED && !request->study_remembered) {
        assay_request_continue(request, answer_ended);
        return;
    }
    if (assay_request_call_failed(request, status, err, answer))
        return;
    assay_answer_json(request, 200,
                      request->remembered != NULL ? json_incref(request->remembered)
                                                  : assay_suggestions_encode(answer));
    assay_request_finish(request);
}

enum assay_step
assay_handle_suggestions_ask(struct assay_request *request)
{
    const struct assay_engine_key *key = assay_request_key(request, 200, build_remembered);
    struct assay_faults faults = {0};
    struct assay_ask ask;

    if (!assay_ask_decode(request->json, "", &faults, &ask)) {
        free(ask.client);
        return assay_answer_faults(request, ASSAY_E_INVALID_VALUE, &faults);
    }
    assay_engine_ask(request->service->engine, request->study_id, ask.count, ask.client, key, done,
                     request);
    free(ask.client);
    return ASSAY_PENDING;
}

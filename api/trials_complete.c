#include "api/handlers.h"
#include "common/memory.h"
#include "schemas/decode.h"

struct result {
    int64_t number;
    int state; /* index in result_states */
    const json_t *metrics, *measurements;
    char *reason;
    char *message;
    int64_t exit_code, signal;
};

static const char *const result_states[] = {"succeeded", "failed", "infeasible", NULL};
static const enum assay_trial_state states[] = {ASSAY_TRIAL_SUCCEEDED, ASSAY_TRIAL_FAILED,
                                                ASSAY_TRIAL_INFEASIBLE};

static const struct assay_field fields[] = {
    {.key = "state", .kind = ASSAY_FIELD_ENUM, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct result, state), .names = result_states},
    {.key = "metrics", .kind = ASSAY_FIELD_ANY, .offset = offsetof(struct result, metrics)},
    {.key = "measurements", .kind = ASSAY_FIELD_ARRAY,
     .offset = offsetof(struct result, measurements)},
    {.key = "reason", .kind = ASSAY_FIELD_STRING, .offset = offsetof(struct result, reason)},
    {.key = "message", .kind = ASSAY_FIELD_STRING, .offset = offsetof(struct result, message)},
    {.key = "exit_code", .kind = ASSAY_FIELD_INT, .offset = offsetof(struct result, exit_code),
     .min = -1, .max = 255},
    {.key = "signal", .kind = ASSAY_FIELD_INT, .offset = offsetof(struct result, signal),
     .min = 0, .max = 64},
    {.key = "number", .kind = ASSAY_FIELD_INT, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct result, number), .min = 1, .max = 9007199254740992.0},
};

static void
decode_reason(const char *name, const char *pointer, struct assay_faults *faults,
              enum assay_trial_reason *ret_reason)
{
    const char *known[ASSAY_TRIAL_REASON_MAX_ + 1] = {NULL};
    assay_auto_free char *inner = NULL;
    json_t *found;
    size_t n = 0;

    if (name == NULL || assay_trial_reason_parse(name, ret_reason))
        return;
    for (int i = 1; i < (int)ASSAY_TRIAL_REASON_MAX_; i++)
        known[n++] = assay_trial_reason_name((enum assay_trial_reason)i);
    inner = assay_pointer_key(pointer, "reason");
    found = json_string(name);
    assay_fault_unknown(faults, inner, found, "reason", name, known);
    json_decref(found);
}

bool
assay_completion_decode(const json_t *body, const char *pointer, struct assay_faults *faults,
                        int64_t *ret_number, struct assay_completion *ret_completion)
{
    size_t n_fields = ASSAY_COUNT(fields) - (ret_number != NULL ? 0 : 1);
    size_t before = faults->count;
    struct result result = {.exit_code = -1};

    assay_decode_object(body, pointer, fields, n_fields, &result, faults);
    *ret_completion = (struct assay_completion){
        .state = states[result.state],
        .message = result.message,
        .exit_code = (int)result.exit_code,
        .signal = (int)result.signal,
    };
    decode_reason(result.reason, pointer, faults, &ret_completion->reason);
    free(result.reason);
    if (result.metrics != NULL) {
        assay_auto_free char *inner = assay_pointer_key(pointer, "metrics");

        if (!assay_metrics_decode(result.metrics, inner, faults, &ret_completion->metrics))
            ret_completion->metrics = NULL;
    }
    /* A copy: a value of a body belongs to its request's thread. */
    ret_completion->measurements = json_deep_copy(result.measurements);
    if (json_array_size(result.measurements) > ASSAY_MEASUREMENTS_PER_CALL_MAX) {
        assay_auto_free char *inner = assay_pointer_key(pointer, "measurements");

        assay_fault_add(faults, inner, NULL, "at most 10000 measurements", "holds %zu",
                        json_array_size(result.measurements));
    }
    if (ret_number != NULL)
        *ret_number = result.number;
    return faults->count == before;
}

void
assay_answer_trial(void *arg, assay_status status, const struct assay_error *err,
                   const struct assay_engine_answer *answer)
{
    struct assay_request *request = arg;

    if (assay_request_call_failed(request, status, err, answer))
        return;
    assay_answer_json(request, 200, assay_trial_encode(&answer->trials[0], request->path.project,
                                                       request->path.study));
    assay_request_finish(request);
}

enum assay_step
assay_handle_trial_complete(struct assay_request *request)
{
    struct assay_faults faults = {0};
    struct assay_completion completion;

    if (!assay_completion_decode(request->json, "", &faults, NULL, &completion)) {
        assay_completion_done(&completion);
        return assay_answer_faults(request, ASSAY_E_INVALID_VALUE, &faults);
    }
    assay_request_forget_json(request);
    assay_engine_complete(request->service->engine, request->study_id, request->path.number,
                          assay_request_attempt(request), &completion, assay_answer_trial, request);
    return ASSAY_PENDING;
}

#include "api/handlers.h"
#include "common/memory.h"
#include "schemas/decode.h"

bool
assay_report_decode(const json_t *body, const char *pointer, struct assay_faults *faults,
                    int64_t *ret_number, json_t **ret_measurements)
{
    struct report {
        int64_t number;
        const json_t *measurements;
    } report = {0};
    static const struct assay_field fields[] = {
        {.key = "measurements", .kind = ASSAY_FIELD_ARRAY, .flags = ASSAY_FIELD_REQUIRED,
         .offset = offsetof(struct report, measurements)},
        {.key = "number", .kind = ASSAY_FIELD_INT, .flags = ASSAY_FIELD_REQUIRED,
         .offset = offsetof(struct report, number), .min = 1, .max = 9007199254740992.0},
    };
    size_t n_fields = ret_number != NULL ? 2 : 1;

    if (!assay_decode_object(body, pointer, fields, n_fields, &report, faults))
        return false;
    if (json_array_size(report.measurements) > ASSAY_MEASUREMENTS_PER_CALL_MAX) {
        assay_auto_free char *inner = assay_pointer_key(pointer, "measurements");

        assay_fault_add(faults, inner, NULL, "at most 10000 measurements", "holds %zu",
                        json_array_size(report.measurements));
        return false;
    }
    if (ret_number != NULL)
        *ret_number = report.number;
    *ret_measurements = assay_json_unconst(report.measurements);
    return true;
}

json_t *
assay_stop_encode(const struct assay_engine_answer *answer)
{
    json_t *json = json_pack("{s:b}", "stop", answer->stop);
    const char *reason = assay_trial_reason_name(answer->stop_reason);

    if (answer->stop && reason != NULL)
        json_object_set_new(json, "reason", json_string(reason));
    if (answer->stop && answer->stop_message != NULL)
        json_object_set_new(json, "message", json_string(answer->stop_message));
    return json;
}

static void
done(void *arg, assay_status status, const struct assay_error *err,
     const struct assay_engine_answer *answer)
{
    struct assay_request *request = arg;

    if (assay_request_call_failed(request, status, err, answer))
        return;
    assay_answer_json(request, 200, assay_stop_encode(answer));
    assay_request_finish(request);
}

enum assay_step
assay_handle_trial_report(struct assay_request *request)
{
    struct assay_faults faults = {0};
    json_t *measurements;

    if (!assay_report_decode(request->json, "", &faults, NULL, &measurements))
        return assay_answer_faults(request, ASSAY_E_INVALID_VALUE, &faults);
    json_incref(measurements);
    assay_request_forget_json(request);
    assay_engine_report(request->service->engine, request->study_id, request->path.number,
                        assay_request_attempt(request), measurements, done, request);
    return ASSAY_PENDING;
}

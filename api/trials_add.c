#include "api/handlers.h"
#include "schemas/decode.h"

#define TRIALS_MAX 1000

/* {"trials":[{"number":…}]}, in the order given. */
static json_t *
encode(const struct assay_engine_answer *answer)
{
    json_t *trials = json_array();

    for (size_t i = 0; i < answer->n_trials; i++) {
        const struct assay_trial *trial = &answer->trials[i];

        json_array_append_new(trials, json_pack("{s:I, s:s}", "number", (json_int_t)trial->number,
                                                "state", assay_trial_state_name(trial->state)));
    }
    return json_pack("{s:o}", "trials", trials);
}

static json_t *
build_remembered(struct assay_request *request, const struct assay_engine_answer *answer)
{
    (void)request;
    return encode(answer);
}

static void
done(void *arg, assay_status status, const struct assay_error *err,
     const struct assay_engine_answer *answer)
{
    struct assay_request *request = arg;

    if (assay_request_call_failed(request, status, err, answer))
        return;
    assay_answer_json(request, 201, request->remembered != NULL ? json_incref(request->remembered)
                                                                : encode(answer));
    assay_request_finish(request);
}

enum assay_step
assay_handle_trials_add(struct assay_request *request)
{
    struct body {
        const json_t *trials;
    } body = {NULL};
    static const struct assay_field fields[] = {
        {.key = "trials", .kind = ASSAY_FIELD_ARRAY, .flags = ASSAY_FIELD_REQUIRED,
         .offset = offsetof(struct body, trials)},
    };
    const struct assay_engine_key *key = assay_request_key(request, 201, build_remembered);
    struct assay_faults faults = {0};
    json_t *trials;

    if (assay_decode_object(request->json, "", fields, ASSAY_COUNT(fields), &body, &faults) &&
        (json_array_size(body.trials) == 0 || json_array_size(body.trials) > TRIALS_MAX))
        assay_fault_add(&faults, "/trials", NULL, "1 to 1000 trials",
                        "holds %zu trials", json_array_size(body.trials));
    if (faults.count > 0)
        return assay_answer_faults(request, ASSAY_E_INVALID_VALUE, &faults);
    trials = json_incref(assay_json_unconst(body.trials));
    assay_request_forget_json(request);
    assay_engine_add(request->service->engine, request->study_id, trials, key, done, request);
    return ASSAY_PENDING;
}

#include "api/handlers.h"

static void
done(void *arg, assay_status status, const struct assay_error *err,
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
assay_handle_trial_stop(struct assay_request *request)
{
    assay_engine_trial_stop(request->service->engine, request->study_id, request->path.number,
                            done, request);
    return ASSAY_PENDING;
}

#include "api/handlers.h"

enum assay_step
assay_handle_trial_stop(struct assay_request *request)
{
    assay_engine_trial_stop(request->service->engine, request->study_id, request->path.number,
                            assay_answer_trial, request);
    return ASSAY_PENDING;
}

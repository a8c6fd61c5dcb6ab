/* The handlers of the routes, one per row of api/routes.c, and what several of
 * them share.  See api/route.h for what a handler does. */
#ifndef ASSAY_API_HANDLERS_H
#define ASSAY_API_HANDLERS_H

#include "api/request.h"

enum assay_step assay_handle_studies_create(struct assay_request *request);
enum assay_step assay_handle_studies_list(struct assay_request *request);
enum assay_step assay_handle_study_get(struct assay_request *request);
enum assay_step assay_handle_study_patch(struct assay_request *request);
enum assay_step assay_handle_study_delete(struct assay_request *request);
enum assay_step assay_handle_study_pause(struct assay_request *request);
enum assay_step assay_handle_study_resume(struct assay_request *request);
enum assay_step assay_handle_study_cancel(struct assay_request *request);

enum assay_step assay_handle_suggestions_ask(struct assay_request *request);
enum assay_step assay_handle_trials_add(struct assay_request *request);
enum assay_step assay_handle_trial_report(struct assay_request *request);
enum assay_step assay_handle_trial_complete(struct assay_request *request);
enum assay_step assay_handle_batch(struct assay_request *request);

enum assay_step assay_handle_trials_list(struct assay_request *request);
enum assay_step assay_handle_trial_get(struct assay_request *request);
enum assay_step assay_handle_trial_stop(struct assay_request *request);
enum assay_step assay_handle_measurements_list(struct assay_request *request);
enum assay_step assay_handle_trial_logs(struct assay_request *request);

enum assay_step assay_handle_best(struct assay_request *request);
enum assay_step assay_handle_pareto(struct assay_request *request);
enum assay_step assay_handle_importance(struct assay_request *request);
enum assay_step assay_handle_advice(struct assay_request *request);
enum assay_step assay_handle_curves(struct assay_request *request);
enum assay_step assay_handle_events(struct assay_request *request);

enum assay_step assay_handle_algorithms(struct assay_request *request);
enum assay_step assay_handle_stopping_rules(struct assay_request *request);
enum assay_step assay_handle_projects_list(struct assay_request *request);
enum assay_step assay_handle_projects_create(struct assay_request *request);
enum assay_step assay_handle_tokens_list(struct assay_request *request);
enum assay_step assay_handle_tokens_create(struct assay_request *request);
enum assay_step assay_handle_token_delete(struct assay_request *request);

enum assay_step assay_handle_healthz(struct assay_request *request);
enum assay_step assay_handle_readyz(struct assay_request *request);
enum assay_step assay_handle_metrics(struct assay_request *request);
enum assay_step assay_handle_openapi(struct assay_request *request);
enum assay_step assay_handle_whoami(struct assay_request *request);
enum assay_step assay_handle_dashboard(struct assay_request *request);

/* --- shared */

/* Answers 200 with the study as the store has it; on a read thread. */
enum assay_step assay_answer_study(struct assay_request *request);

/* ASSAY_PENDING when the project of the path exists; else it has been answered. */
enum assay_step assay_check_project(struct assay_request *request);

/* What answers 200 with the one trial that a call of the engine gives back; `arg` is the
 * request. */
void assay_answer_trial(void *arg, assay_status status, const struct assay_error *err,
                        const struct assay_engine_answer *answer);

/* {"count","client"} of an ask; false with faults. */
struct assay_ask {
    int64_t count;
    char *client; /* NULL = none; the caller frees */
};
ASSAY_MUST_CHECK bool assay_ask_decode(const json_t *body, const char *pointer,
                                       struct assay_faults *faults, struct assay_ask *ret_ask);
/* The answer to an ask.  New reference. */
json_t *assay_suggestions_encode(const struct assay_engine_answer *answer);
/* The answer to an ask of a study that the engine holds no more because it has
 * ended: no trials, and how it ended.  On a read thread. */
ASSAY_MUST_CHECK assay_status assay_suggestions_of_ended(struct assay_request *request,
                                                         json_t **ret_json,
                                                         struct assay_error *err);

/* {"measurements"} of a report (with "number" when `ret_number` is not NULL); the
 * array is borrowed. */
ASSAY_MUST_CHECK bool assay_report_decode(const json_t *body, const char *pointer,
                                          struct assay_faults *faults, int64_t *ret_number,
                                          json_t **ret_measurements);
/* {"stop":…} as a new reference. */
json_t *assay_stop_encode(const struct assay_engine_answer *answer);

/* {"state","metrics",…} of a result; assay_completion_done afterwards in any case. */
ASSAY_MUST_CHECK bool assay_completion_decode(const json_t *body, const char *pointer,
                                              struct assay_faults *faults, int64_t *ret_number,
                                              struct assay_completion *ret_completion);

#endif

/* The ended trials of a study as figures: what the handlers of results and analyses
 * share.  Only on read threads. */
#ifndef ASSAY_API_OUTCOMES_H
#define ASSAY_API_OUTCOMES_H

#include "api/request.h"
#include "schemas/study.h"

/* The study of the request with its file decoded.  Sets request->answer.final.  Caller:
 * assay_outcomes_done in any case. */
struct assay_outcomes {
    struct assay_study_record record;
    struct assay_study_spec *spec;
};
ASSAY_MUST_CHECK assay_status assay_outcomes_init(struct assay_request *request,
                                                  struct assay_outcomes *ret_outcomes,
                                                  struct assay_error *err);
void assay_outcomes_done(struct assay_outcomes *outcomes);

/* The metric's value, NaN when there is none. */
double assay_outcome_metric(const json_t *metrics, const char *name);
/* The trial's value of the objective, turned so that smaller is better; NaN when there is
 * none.  `foretold`: of a stopped trial what it would probably have ended with, if known. */
double assay_outcome_cost(const struct assay_objective *objective, const struct assay_trial *trial,
                          bool foretold);
/* Whether every bound is kept; one that was not measured is not. */
bool assay_outcome_feasible(const struct assay_study_spec *spec, const json_t *metrics);

#endif

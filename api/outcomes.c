#include "api/outcomes.h"

#include <math.h>

#include "common/number.h"

assay_status
assay_outcomes_init(struct assay_request *request, struct assay_outcomes *ret_outcomes,
                    struct assay_error *err)
{
    struct assay_faults faults = {0};
    assay_status status;

    *ret_outcomes = (struct assay_outcomes){0};
    status = assay_store_study(request->store, request->path.project, request->path.study,
                               &ret_outcomes->record, err);
    if (status != ASSAY_OK)
        return status;
    request->answer.final = assay_study_state_is_final(ret_outcomes->record.state);
    ret_outcomes->spec =
        assay_study_decode(ret_outcomes->record.document, request->path.project, NULL, &faults);
    if (ret_outcomes->spec == NULL)
        status = assay_fail(err, ASSAY_E_INTERNAL, "the file of study %s can not be read: %s",
                            request->path.study,
                            faults.count > 0 ? faults.items[0].message : "no reason");
    assay_faults_done(&faults);
    return status;
}

void
assay_outcomes_done(struct assay_outcomes *outcomes)
{
    assay_study_free(outcomes->spec);
    assay_study_record_done(&outcomes->record);
    *outcomes = (struct assay_outcomes){0};
}

double
assay_outcome_metric(const json_t *metrics, const char *name)
{
    const json_t *value = json_object_get(metrics, name);
    double number;

    return value != NULL && assay_json_get_real(value, &number) ? number : NAN;
}

double
assay_outcome_cost(const struct assay_objective *objective, const struct assay_trial *trial,
                   bool foretold)
{
    double value = foretold ? assay_trial_forecast(trial, objective->metric) : NAN;

    if (isnan(value))
        value = assay_outcome_metric(trial->metrics, objective->metric);
    return objective->goal == ASSAY_GOAL_MAXIMIZE ? -value : value;
}

bool
assay_outcome_feasible(const struct assay_study_spec *spec, const json_t *metrics)
{
    for (size_t i = 0; i < spec->n_constraints; i++) {
        double value = assay_outcome_metric(metrics, spec->constraints[i].metric);

        if (!(value >= spec->constraints[i].min && value <= spec->constraints[i].max))
            return false;
    }
    return true;
}

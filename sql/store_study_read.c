#include "common/number.h"
#include "sql/store_study.h"

static json_t *
read_best(const PGresult *result, int row, int first)
{
    const char *metric = assay__pg_get_text(result, row, first);
    bool maximize = assay__pg_get_bool(result, row, first + 1);

    if (assay__pg_null(result, row, first + 2))
        return NULL;
    return json_pack("{s:I, s:o, s:s, s:s, s:o, s:o}", "number",
                     (json_int_t)assay__pg_get_int(result, row, first + 2), "value",
                     assay_json_real(assay__pg_get_double(result, row, first + 3)), "metric",
                     metric, "goal", maximize ? "maximize" : "minimize", "parameters",
                     assay__pg_get_json(result, row, first + 4), "metrics",
                     assay__pg_get_json(result, row, first + 5));
}

void
assay__read_study(const PGresult *result, int row, struct assay_study_record *ret_study)
{
    struct assay_study_record study = {0};
    const char *reason = assay__pg_get_text(result, row, 4);

    study.id = assay__pg_get_int(result, row, 0);
    study.project = assay__pg_dup_text(result, row, 1);
    study.name = assay__pg_dup_text(result, row, 2);
    if (!assay_study_state_parse(assay__pg_get_text(result, row, 3), &study.state) ||
        (reason != NULL && !assay_study_reason_parse(reason, &study.reason)))
        ASSAY_BUG("a study state or reason that the schema does not allow");
    study.message = assay__pg_dup_text(result, row, 5);
    study.document = assay__pg_get_json(result, row, 6);
    study.created_us = assay__pg_get_time(result, row, 7);
    study.started_us = assay__pg_get_time(result, row, 8);
    study.finished_us = assay__pg_get_time(result, row, 9);
    study.best = read_best(result, row, 10);
    for (int state = 0; state < ASSAY_TRIAL_STATE_MAX_; state++)
        study.trials[state] = assay__pg_get_int(result, row, 16 + state);
    *ret_study = study;
}

/* The columns of a study record, for the queries that give whole studies. */
#ifndef ASSAY_SQL_STORE_STUDY_H
#define ASSAY_SQL_STORE_STUDY_H

#include "sql/store_internal.h"

#define ASSAY__STUDY_COLUMNS                                                                       \
    "s.id, s.project, s.name, s.state, s.reason, s.message, s.document, s.created_at,"             \
    " s.started_at, s.finished_at, s.metric, s.maximize,"                                          \
    " b.number, b.value, b.parameters, b.metrics, " ASSAY__TRIAL_COUNTS
/* In the order of enum assay_trial_state; sql/check_states.py compares. */
#define ASSAY__TRIAL_COUNTS                                                                        \
    "c.queued, c.running, c.paused, c.stopping, c.succeeded, c.stopped, c.infeasible, c.failed,"   \
    " c.cancelled"
#define ASSAY__STUDY_COLUMN_TYPES "qtttttjzzztbidjjqqqqqqqqq"

/* Counts by state and the best trial of each row of `s`, which must be the page
 * already cut to its size.  Each arm of the union is skipped whole by its goal. */
#define ASSAY__STUDY_JOINS                                                                         \
    " JOIN trial_count c ON c.study_id = s.id"                                                     \
    " LEFT JOIN LATERAL ("                                                                         \
    "  (SELECT t.number, t.value, t.parameters, t.metrics FROM trial t"                            \
    "   WHERE s.maximize AND t.study_id = s.id AND " ASSAY__TRIAL_CAN_BE_BEST                      \
    "   ORDER BY t.value DESC, t.number LIMIT 1)"                                                  \
    "  UNION ALL"                                                                                  \
    "  (SELECT t.number, t.value, t.parameters, t.metrics FROM trial t"                            \
    "   WHERE NOT s.maximize AND t.study_id = s.id AND " ASSAY__TRIAL_CAN_BE_BEST                  \
    "   ORDER BY t.value, t.number LIMIT 1)) b ON true"

void assay__read_study(const PGresult *result, int row, struct assay_study_record *ret_study);

#endif

/* What the files of the store share; not for other rooms. */
#ifndef ASSAY_SQL_STORE_INTERNAL_H
#define ASSAY_SQL_STORE_INTERNAL_H

#include "sql/pg.h"
#include "sql/store.h"

struct assay_store {
    struct assay__pg *pg;
    char *url;
};

/* One statement may take this long, streams included. */
#define ASSAY__STORE_TIMEOUT_MS 120000

/* An opaque page token from the last row's sort key ("" stands for NULL) and
 * its number.  `kind` names the list and its order: a token of another list or
 * order is refused. */
char *assay__page_make(const char *kind, const char *key, int64_t number);
ASSAY_MUST_CHECK assay_status assay__page_read(const char *token, const char *kind, char **ret_key,
                                               int64_t *ret_number, struct assay_error *err);

/* The names of the states whose bit is set, as text[]; NULL when none is. */
void assay__add_trial_states(struct assay__pg_args *args, uint32_t states);
void assay__add_study_states(struct assay__pg_args *args, uint32_t states);

/* The columns that assay__read_trial reads. */
/* While a trial lives its row says nothing of what it measured: a report does not
 * write it.  One look into the index per metric gives the last point. */
#define ASSAY__LAST_POINTS                                                                         \
    " FROM metric k CROSS JOIN LATERAL (SELECT m.step, m.value FROM measurement m"                 \
    "  WHERE m.study_id = t.study_id AND m.trial = t.number AND m.metric = k.id"                   \
    "  ORDER BY m.step DESC LIMIT 1) p WHERE k.study_id = t.study_id)"
#define ASSAY__TRIAL_COLUMNS                                                                       \
    "t.number, t.state, t.reason, t.message, t.parameters,"                                        \
    " CASE WHEN t.finished_at IS NOT NULL THEN t.metrics ELSE (SELECT"                             \
    "  coalesce(json_object_agg(k.name, CASE p.value WHEN 'NaN' THEN '\"nan\"'::json"              \
    "   WHEN 'Infinity' THEN '\"inf\"' WHEN '-Infinity' THEN '\"-inf\"' ELSE to_json(p.value) END" \
    "   ORDER BY k.id), '{}')" ASSAY__LAST_POINTS " END,"                                          \
    " t.value, t.budget, t.why, t.client, t.lease_expires_at,"                                     \
    " CASE WHEN t.finished_at IS NOT NULL THEN t.last_step ELSE (SELECT max(p.step)"               \
    ASSAY__LAST_POINTS " END,"                                                                     \
    " t.created_at, t.started_at, t.finished_at"
#define ASSAY__TRIAL_COLUMN_TYPES "itttjjddjtzqzzz"
void assay__read_trial(const PGresult *result, int row, int64_t study_id,
                       struct assay_trial *ret_trial);
/* Fills in the attempts of trials of one study, which are in order of `number`
 * or not. */
ASSAY_MUST_CHECK assay_status assay__read_attempts(struct assay_store *store, int64_t study_id,
                                                   struct assay_trial *trials, size_t n_trials,
                                                   struct assay_error *err);

/* Which trials can be the best; as the index trial_best has it. */
#define ASSAY__TRIAL_CAN_BE_BEST                                                                   \
    "t.feasible AND t.state IN ('succeeded', 'stopped')"                                           \
    " AND t.value > '-Infinity' AND t.value < 'Infinity'"

#endif

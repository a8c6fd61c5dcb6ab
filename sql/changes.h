/* A change set: what one domain step writes, all or nothing.
 *
 * Build it with the calls below and hand it to the writer (sql/writer.h), which
 * commits many sets in one transaction.  Each call copies what it needs; nothing
 * is sent before the set is submitted.  A set belongs to one thread until then.
 *
 * A compare-and-set whose row is not in the expected state makes the whole set
 * fail with ASSAY_E_CONFLICT and leaves nothing of it behind. */
#ifndef ASSAY_SQL_CHANGES_H
#define ASSAY_SQL_CHANGES_H

#include "schemas/study_record.h"
#include "schemas/trial.h"

struct assay_changes;

struct assay_changes *assay_changes_new(void);
struct assay_changes *assay_changes_free(struct assay_changes *changes); /* NULL allowed */
bool assay_changes_empty(const struct assay_changes *changes);

/* Inserts the study; id from assay_store_next_study_id, document included.  A
 * taken (project, name) fails with ASSAY_E_STUDY_EXISTS, an unknown project with
 * ASSAY_E_NOT_FOUND. */
void assay_changes_study_insert(struct assay_changes *changes,
                                const struct assay_study_record *study);
/* Stores what the study, inserted before, takes over from earlier ones: an array as
 * assay_proposer_new takes it.  Once per study. */
void assay_changes_study_sources(struct assay_changes *changes, int64_t study_id,
                                 const json_t *sources);
/* Compare-and-set of the state: writes state, reason, message, started_us,
 * finished_us of `study`. */
void assay_changes_study_state(struct assay_changes *changes, enum assay_study_state from,
                               const struct assay_study_record *study);
/* Replaces the document (limits changed live). */
void assay_changes_study_document(struct assay_changes *changes, int64_t study_id,
                                  const json_t *document);
/* Deletes the study: it is gone for every reader and its name is free; the rows
 * that belong to it go later, in the background. */
void assay_changes_study_delete(struct assay_changes *changes, int64_t study_id);

/* Inserts a trial in whatever state it has.  `feasible`: it may become the best
 * (its constraints hold).  Attempts are not written. */
void assay_changes_trial_insert(struct assay_changes *changes, const struct assay_trial *trial,
                                bool feasible);
/* Compare-and-set: writes every field of `trial` but its key, its parameters and
 * created_us.  A final trial never changes again. */
void assay_changes_trial_update(struct assay_changes *changes, enum assay_trial_state from,
                                const struct assay_trial *trial, bool feasible);
/* Moves the lease only; no error when the trial has ended meanwhile. */
void assay_changes_trial_lease(struct assay_changes *changes, int64_t study_id, int64_t number,
                               int64_t lease_expires_us);

/* Inserts the attempt or replaces it (key: study, trial, attempt number). */
void assay_changes_attempt_put(struct assay_changes *changes, int64_t study_id, int64_t trial_number,
                               const struct assay_attempt *attempt);

/* Names a metric of the study; ids are small, given by the engine, and never reused. */
void assay_changes_metric_insert(struct assay_changes *changes, int64_t study_id, int metric_id,
                                 const char *name);
/* One value per (metric, step); the last for the same step holds, within a call
 * and against what is stored. */
struct assay_metric_value {
    int metric_id;
    int64_t step;
    int64_t time_us;
    double value;
};
void assay_changes_measurements(struct assay_changes *changes, int64_t study_id,
                                int64_t trial_number, const struct assay_metric_value *values,
                                size_t n_values);

/* Appends to the event list; ids are given in commit order. */
void assay_changes_event(struct assay_changes *changes, const struct assay_event *event);

/* Remembers the answer to a request: the set fails with ASSAY_E_CONFLICT when
 * the key is already there for the project. */
void assay_changes_idempotency(struct assay_changes *changes, const char *project, const char *key,
                               const char *request_hash, int http_status, const json_t *answer);

#endif

/* The set itself, and what it can say about studies. */
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "sql/changes_internal.h"

const struct assay__pg_statement *const assay__changes_statements[] = {
    &assay__study_insert,       &assay__study_state,         &assay__study_document,
    &assay__study_delete,       &assay__insert_trial,        &assay__trial_update,
    &assay__trial_lease,        &assay__attempt_put,         &assay__metric_insert,
    &assay__measurements_put,   &assay__measurements_append, &assay__event_insert,
    &assay__idempotency_insert, &assay__study_sources_insert,
};
const size_t assay__changes_statements_count = ASSAY_COUNT(assay__changes_statements);

struct assay_changes *
assay_changes_new(void)
{
    return ASSAY_NEW(struct assay_changes);
}

struct assay_changes *
assay_changes_free(struct assay_changes *changes)
{
    if (changes == NULL)
        return NULL;
    assay__pg_args_done(&changes->args);
    free(changes->ops);
    free(changes->growth);
    free(changes->moves.studies);
    free(changes);
    return NULL;
}

bool
assay_changes_empty(const struct assay_changes *changes)
{
    return changes->n_ops == 0;
}

struct assay__pg_args *
assay__changes_add(struct assay_changes *changes, const struct assay__pg_statement *statement)
{
    ASSAY_GROW(changes->ops, changes->n_ops, changes->ops_capacity);
    changes->ops[changes->n_ops++] =
        (struct assay__op){statement, changes->args.count, changes->n_growth, 0};
    return &changes->args;
}

/* --- studies */

const struct assay__pg_statement assay__study_insert = {
    .name = "study_insert",
    .sql = "WITH made AS (INSERT INTO study (id, project, name, state, reason, message, metric,"
           "  maximize, document, created_at, started_at, finished_at)"
           "  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id)"
           " INSERT INTO trial_count (study_id) SELECT id FROM made",
    .in = "qttttttbjzzz",
};

void
assay_changes_study_insert(struct assay_changes *changes, const struct assay_study_record *study)
{
    struct assay__pg_args *args = assay__changes_add(changes, &assay__study_insert);
    const json_t *objective = json_object_get(study->document, "objective");
    const char *metric, *goal;

    if (objective == NULL)
        objective = json_array_get(json_object_get(study->document, "objectives"), 0);
    metric = json_string_value(json_object_get(objective, "metric"));
    goal = json_string_value(json_object_get(objective, "goal"));
    /* Only documents that passed the checks of schemas/study.h come here. */
    ASSAY_ASSERT(metric != NULL && goal != NULL);

    assay__pg_add_int64(args, study->id);
    assay__pg_add_text(args, study->project);
    assay__pg_add_text(args, study->name);
    assay__pg_add_text(args, assay_study_state_name(study->state));
    assay__pg_add_text(args, assay_study_reason_name(study->reason));
    assay__pg_add_text(args, study->message);
    assay__pg_add_text(args, metric);
    assay__pg_add_bool(args, strcmp(goal, "maximize") == 0);
    assay__pg_add_json(args, study->document);
    assay__pg_add_time(args, study->created_us);
    assay__pg_add_time(args, study->started_us);
    assay__pg_add_time(args, study->finished_us);
}

const struct assay__pg_statement assay__study_sources_insert = {
    .name = "study_sources_insert",
    .sql = "INSERT INTO study_source (study_id, sources) VALUES ($1, $2)",
    .in = "qj",
};

void
assay_changes_study_sources(struct assay_changes *changes, int64_t study_id, const json_t *sources)
{
    struct assay__pg_args *args = assay__changes_add(changes, &assay__study_sources_insert);

    assay__pg_add_int64(args, study_id);
    assay__pg_add_json(args, sources);
}

const struct assay__pg_statement assay__study_state = {
    .name = "study_state",
    .sql = "WITH done AS (UPDATE study SET state = $3, reason = $4, message = $5,"
           "  started_at = $6, finished_at = $7"
           "  WHERE id = $1 AND state = $2 AND deleted_at IS NULL RETURNING 1)"
           " SELECT assay_study_conflict($1, $2) WHERE NOT EXISTS (SELECT FROM done)",
    .in = "qttttzz",
};

void
assay_changes_study_state(struct assay_changes *changes, enum assay_study_state from,
                          const struct assay_study_record *study)
{
    struct assay__pg_args *args = assay__changes_add(changes, &assay__study_state);

    assay__pg_add_int64(args, study->id);
    assay__pg_add_text(args, assay_study_state_name(from));
    assay__pg_add_text(args, assay_study_state_name(study->state));
    assay__pg_add_text(args, assay_study_reason_name(study->reason));
    assay__pg_add_text(args, study->message);
    assay__pg_add_time(args, study->started_us);
    assay__pg_add_time(args, study->finished_us);
}

const struct assay__pg_statement assay__study_document = {
    .name = "study_document",
    .sql = "WITH done AS (UPDATE study SET document = $2 WHERE id = $1 AND deleted_at IS NULL"
           "  RETURNING 1)"
           " SELECT assay_study_conflict($1, '') WHERE NOT EXISTS (SELECT FROM done)",
    .in = "qj",
};

void
assay_changes_study_document(struct assay_changes *changes, int64_t study_id,
                             const json_t *document)
{
    struct assay__pg_args *args = assay__changes_add(changes, &assay__study_document);

    assay__pg_add_int64(args, study_id);
    assay__pg_add_json(args, document);
}

/* Hides it and frees its name; the rows go later in slices (assay_purge), as a
 * large study would hold up every other commit. */
const struct assay__pg_statement assay__study_delete = {
    .name = "study_delete",
    .sql = "WITH done AS (UPDATE study SET deleted_at = now()"
           "  WHERE id = $1 AND deleted_at IS NULL RETURNING 1)"
           " SELECT assay_study_conflict($1, '') WHERE NOT EXISTS (SELECT FROM done)",
    .in = "q",
};

void
assay_changes_study_delete(struct assay_changes *changes, int64_t study_id)
{
    assay__pg_add_int64(assay__changes_add(changes, &assay__study_delete), study_id);
    changes->deletes_study = true;
}

/* What a set can add to the events and the remembered answers. */
#include "sql/changes_internal.h"

const struct assay__pg_statement assay__event_insert = {
    .name = "event_insert",
    .sql = "INSERT INTO event (study_id, occurred_at, type, trial, message, data)"
           " VALUES ($1, $2, $3, nullif($4, 0), $5, $6)",
    .in = "qztqtj",
};

void
assay_changes_event(struct assay_changes *changes, const struct assay_event *event)
{
    struct assay__pg_args *args = assay__changes_add(changes, &assay__event_insert);

    assay__pg_add_int64(args, event->study_id);
    assay__pg_add_time(args, event->time_us);
    assay__pg_add_text(args, event->type);
    assay__pg_add_int64(args, event->trial_number);
    assay__pg_add_text(args, event->message);
    assay__pg_add_json(args, event->data);
}

const struct assay__pg_statement assay__idempotency_insert = {
    .name = "idempotency_insert",
    .sql = "INSERT INTO idempotency (project, key, request_hash, http_status, answer)"
           " VALUES ($1, $2, $3, $4, $5)",
    .in = "tttqj",
};

void
assay_changes_idempotency(struct assay_changes *changes, const char *project, const char *key,
                          const char *request_hash, int http_status, const json_t *answer)
{
    struct assay__pg_args *args = assay__changes_add(changes, &assay__idempotency_insert);

    assay__pg_add_text(args, project);
    assay__pg_add_text(args, key);
    assay__pg_add_text(args, request_hash);
    assay__pg_add_int64(args, http_status);
    assay__pg_add_json(args, answer);
}

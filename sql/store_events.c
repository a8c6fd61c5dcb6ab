#include <stdlib.h>

#include "sql/store_internal.h"

static const struct assay__pg_statement events = {
    .name = "events",
    .sql = "SELECT id, occurred_at, type, trial, message, data FROM event"
           " WHERE study_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    .in = "qqq",
    .out = "qztitj",
    .repeat = true,
};

assay_status
assay_store_events(struct assay_store *store, int64_t study_id, int64_t after_id, size_t limit,
                   assay_event_fn row, void *arg, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_int64(&args, study_id);
    assay__pg_add_int64(&args, after_id);
    assay__pg_add_int64(&args, (int64_t)ASSAY_MIN(limit, (size_t)INT32_MAX));
    status = assay__pg_query(store->pg, &events, &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    for (int i = 0; i < PQntuples(result); i++) {
        struct assay_event event = {
            .id = assay__pg_get_int(result, i, 0),
            .study_id = study_id,
            .time_us = assay__pg_get_time(result, i, 1),
            .type = assay__pg_get_text(result, i, 2),
            .trial_number = assay__pg_get_int_or(result, i, 3, 0),
            .message = assay__pg_dup_text(result, i, 4),
            .data = assay__pg_get_json(result, i, 5),
        };

        row(arg, &event);
        free(event.message);
        json_decref(event.data);
    }
    return ASSAY_OK;
}

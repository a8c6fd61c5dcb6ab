#include "sql/store_internal.h"

static const struct assay__pg_statement idempotency_find = {
    .name = "idempotency_find",
    .sql = "SELECT request_hash, http_status, answer FROM idempotency"
           " WHERE project = $1 AND key = $2",
    .in = "tt",
    .out = "tij",
    .repeat = true,
};

assay_status
assay_store_idempotency_find(struct assay_store *store, const char *project, const char *key,
                             char **ret_request_hash, int *ret_http_status, json_t **ret_answer,
                             struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_text(&args, project);
    assay__pg_add_text(&args, key);
    status = assay__pg_optional(store->pg, &idempotency_find, &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    if (result == NULL)
        return assay_fail(err, ASSAY_E_NOT_FOUND, "the Idempotency-Key is new");
    *ret_request_hash = assay__pg_dup_text(result, 0, 0);
    *ret_http_status = (int)assay__pg_get_int(result, 0, 1);
    *ret_answer = assay__pg_get_json(result, 0, 2);
    return ASSAY_OK;
}

static const struct assay__pg_statement idempotency_expire = {
    .name = "idempotency_expire",
    .sql = "DELETE FROM idempotency WHERE created_at < now() - $1 * interval '1 microsecond'",
    .in = "d",
    .repeat = true,
};

assay_status
assay_store_idempotency_expire(struct assay_store *store, int64_t older_than_us,
                               struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};

    assay__pg_add_double(&args, (double)older_than_us);
    return assay__pg_exec(store->pg, &idempotency_expire, &args, NULL, err);
}

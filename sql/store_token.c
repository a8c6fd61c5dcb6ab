#include "sql/store_internal.h"

static const struct assay__pg_statement token_insert = {
    .name = "token_insert",
    .sql = "INSERT INTO token (project, name, role, hash) VALUES ($1, $2, $3, $4) RETURNING id",
    .in = "tttt",
    .out = "q",
};

assay_status
assay_store_token_insert(struct assay_store *store, const char *project, const char *name,
                         const char *role, const char *hash, int64_t *ret_id,
                         struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_text(&args, project);
    assay__pg_add_text(&args, name);
    assay__pg_add_text(&args, role);
    assay__pg_add_text(&args, hash);
    status = assay__pg_query(store->pg, &token_insert, &args, &result, err);
    switch (status) {
    case ASSAY_OK:
        *ret_id = assay__pg_get_int(result, 0, 0);
        return ASSAY_OK;
    case ASSAY_E_CONFLICT:
        return assay_fail(err, status, "a token named \"%s\" exists already", name);
    case ASSAY_E_NOT_FOUND:
        return assay_fail(err, status, "there is no project \"%s\"", project);
    default:
        return status;
    }
}

static const struct assay__pg_statement tokens = {
    .name = "tokens",
    .sql = "SELECT id, name, role, created_at FROM token"
           " WHERE project IS NOT DISTINCT FROM $1 ORDER BY id",
    .in = "t",
    .out = "qttz",
    .repeat = true,
};

assay_status
assay_store_tokens(struct assay_store *store, const char *project, json_t **ret_list,
                   struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;
    json_t *list;

    assay__pg_add_text(&args, project);
    status = assay__pg_query(store->pg, &tokens, &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    list = json_array();
    for (int row = 0; row < PQntuples(result); row++) {
        char created[ASSAY_TIME_TEXT];

        assay_print_time(assay__pg_get_time(result, row, 3), created);
        json_array_append_new(list,
                              json_pack("{s:I, s:s, s:s, s:s}", "id",
                                        (json_int_t)assay__pg_get_int(result, row, 0), "name",
                                        assay__pg_get_text(result, row, 1), "role",
                                        assay__pg_get_text(result, row, 2), "created_at", created));
    }
    *ret_list = list;
    return ASSAY_OK;
}

static const struct assay__pg_statement token_delete = {
    .name = "token_delete",
    .sql = "DELETE FROM token WHERE id = $1 AND project IS NOT DISTINCT FROM $2",
    .in = "qt",
};

assay_status
assay_store_token_delete(struct assay_store *store, const char *project, int64_t id,
                         struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    int64_t gone = 0;
    assay_status status;

    assay__pg_add_int64(&args, id);
    assay__pg_add_text(&args, project);
    status = assay__pg_exec(store->pg, &token_delete, &args, &gone, err);
    if (status == ASSAY_OK && gone == 0)
        return assay_fail(err, ASSAY_E_NOT_FOUND, "there is no token %lld", (long long)id);
    return status;
}

static const struct assay__pg_statement token_find = {
    .name = "token_find",
    .sql = "SELECT project, role FROM token WHERE hash = $1",
    .in = "t",
    .out = "tt",
    .repeat = true,
};

assay_status
assay_store_token_find(struct assay_store *store, const char *hash, char **ret_project,
                       char **ret_role, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_text(&args, hash);
    status = assay__pg_optional(store->pg, &token_find, &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    if (result == NULL)
        return assay_fail(err, ASSAY_E_UNAUTHORIZED, "the token is not known");
    *ret_project = assay__pg_dup_text(result, 0, 0);
    *ret_role = assay__pg_dup_text(result, 0, 1);
    return ASSAY_OK;
}

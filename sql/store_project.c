#include "sql/store_internal.h"

static const struct assay__pg_statement project_insert = {
    .name = "project_insert",
    .sql = "INSERT INTO project (name) VALUES ($1)",
    .in = "t",
};

assay_status
assay_store_project_insert(struct assay_store *store, const char *name, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay_status status;

    assay__pg_add_text(&args, name);
    status = assay__pg_exec(store->pg, &project_insert, &args, NULL, err);
    if (status == ASSAY_E_CONFLICT)
        return assay_fail(err, status, "project \"%s\" exists already", name);
    if (status == ASSAY_E_INVALID_VALUE)
        return assay_fail_at(err, status, "/name", "\"%s\" is not a project name", name);
    return status;
}

static const struct assay__pg_statement projects = {
    .name = "projects",
    .sql = "SELECT name, created_at FROM project ORDER BY name",
    .in = "",
    .out = "tz",
    .repeat = true,
};

assay_status
assay_store_projects(struct assay_store *store, json_t **ret_list, struct assay_error *err)
{
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status = assay__pg_query(store->pg, &projects, NULL, &result, err);
    json_t *list;

    if (status != ASSAY_OK)
        return status;
    list = json_array();
    for (int row = 0; row < PQntuples(result); row++) {
        char created[ASSAY_TIME_TEXT];

        assay_print_time(assay__pg_get_time(result, row, 1), created);
        json_array_append_new(list,
                              json_pack("{s:s, s:s}", "name", assay__pg_get_text(result, row, 0),
                                        "created_at", created));
    }
    *ret_list = list;
    return ASSAY_OK;
}

static const struct assay__pg_statement project_exists = {
    .name = "project_exists",
    .sql = "SELECT EXISTS (SELECT FROM project WHERE name = $1)",
    .in = "t",
    .out = "b",
    .repeat = true,
};

assay_status
assay_store_project_exists(struct assay_store *store, const char *name, bool *ret_exists,
                           struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_text(&args, name);
    status = assay__pg_query(store->pg, &project_exists, &args, &result, err);
    if (status == ASSAY_OK)
        *ret_exists = assay__pg_get_bool(result, 0, 0);
    return status;
}

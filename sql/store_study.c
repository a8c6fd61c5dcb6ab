/* One study: its key, its whole record. */
#include "sql/store_study.h"

static const struct assay__pg_statement next_study_id = {
    .name = "next_study_id",
    .sql = "SELECT nextval('study_id_sequence')",
    .in = "",
    .out = "q",
    .repeat = true,
};

assay_status
assay_store_next_study_id(struct assay_store *store, int64_t *ret_id, struct assay_error *err)
{
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status = assay__pg_query(store->pg, &next_study_id, NULL, &result, err);

    if (status == ASSAY_OK)
        *ret_id = assay__pg_get_int(result, 0, 0);
    return status;
}

static const struct assay__pg_statement study_find = {
    .name = "study_find",
    .sql = "SELECT id, state FROM study WHERE project = $1 AND name = $2 AND deleted_at IS NULL",
    .in = "tt",
    .out = "qt",
    .repeat = true,
};

static assay_status
no_study(const char *project, const char *name, struct assay_error *err)
{
    return assay_fail(err, ASSAY_E_NOT_FOUND, "there is no study \"%s\" in project \"%s\"", name,
                      project);
}

assay_status
assay_store_study_find(struct assay_store *store, const char *project, const char *name,
                       int64_t *ret_id, enum assay_study_state *ret_state, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_text(&args, project);
    assay__pg_add_text(&args, name);
    status = assay__pg_optional(store->pg, &study_find, &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    if (result == NULL)
        return no_study(project, name, err);
    if (!assay_study_state_parse(assay__pg_get_text(result, 0, 1), ret_state))
        ASSAY_BUG("a study state that the schema does not allow");
    *ret_id = assay__pg_get_int(result, 0, 0);
    return ASSAY_OK;
}

static const struct assay__pg_statement study_read = {
    .name = "study_read",
    .sql = "SELECT " ASSAY__STUDY_COLUMNS " FROM (SELECT * FROM study WHERE project = $1 AND name "
                                          "= $2 AND deleted_at IS NULL) s" ASSAY__STUDY_JOINS,
    .in = "tt",
    .out = ASSAY__STUDY_COLUMN_TYPES,
    .repeat = true,
};

assay_status
assay_store_study(struct assay_store *store, const char *project, const char *name,
                  struct assay_study_record *ret_study, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_text(&args, project);
    assay__pg_add_text(&args, name);
    status = assay__pg_optional(store->pg, &study_read, &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    if (result == NULL)
        return no_study(project, name, err);
    assay__read_study(result, 0, ret_study);
    return ASSAY_OK;
}

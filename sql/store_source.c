/* What a study took over from earlier ones. */
#include "sql/store_internal.h"

static const struct assay__pg_statement study_sources = {
    .name = "study_sources",
    .sql = "SELECT sources FROM study_source WHERE study_id = $1",
    .in = "q",
    .out = "j",
    .repeat = true,
};

assay_status
assay_store_study_sources(struct assay_store *store, int64_t study_id, json_t **ret_sources,
                          struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_int64(&args, study_id);
    status = assay__pg_optional(store->pg, &study_sources, &args, &result, err);
    if (status == ASSAY_OK)
        *ret_sources = result != NULL ? assay__pg_get_json(result, 0, 0) : NULL;
    return status;
}

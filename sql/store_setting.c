#include "common/memory.h"
#include "sql/store_internal.h"

static const struct assay__pg_statement setting = {
    .name = "setting",
    .sql = "WITH made AS (INSERT INTO setting (name, value) VALUES ($1, $2)"
           "              ON CONFLICT DO NOTHING RETURNING value)"
           " SELECT value FROM made UNION ALL SELECT value FROM setting WHERE name = $1",
    .in = "tt",
    .out = "t",
    .repeat = true,
};

assay_status
assay_store_setting(struct assay_store *store, const char *name, const char *fresh,
                    char **ret_value, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};

    assay__pg_add_text(&args, name);
    assay__pg_add_text(&args, fresh);
    /* Nothing comes back when another one inserted it just now, invisible to this
     * statement; the next sees it. */
    for (int i = 0; i < 3; i++) {
        assay__auto_pg_result PGresult *result = NULL;
        assay_status status = assay__pg_optional(store->pg, &setting, &args, &result, err);

        if (status != ASSAY_OK)
            return status;
        if (result != NULL) {
            *ret_value = assay__pg_dup_text(result, 0, 0);
            return ASSAY_OK;
        }
    }
    return assay_fail(err, ASSAY_E_UNAVAILABLE, "the setting %s can not be read", name);
}

/* Names of metrics, and every value of a study. */
#include "sql/store_internal.h"

static const struct assay__pg_statement metrics = {
    .name = "metrics",
    .sql = "SELECT id, name FROM metric WHERE study_id = $1 ORDER BY id",
    .in = "q",
    .out = "st",
    .repeat = true,
};

assay_status
assay_store_metrics(struct assay_store *store, int64_t study_id, assay_metric_fn row, void *arg,
                    struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_int64(&args, study_id);
    status = assay__pg_query(store->pg, &metrics, &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    for (int i = 0; i < PQntuples(result); i++)
        row(arg, (int)assay__pg_get_int(result, i, 0), assay__pg_get_text(result, i, 1));
    return ASSAY_OK;
}

static const struct assay__pg_statement values = {
    .name = "values",
    .sql = "SELECT trial, metric, step, value FROM measurement WHERE study_id = $1"
           " ORDER BY trial, step, metric",
    .in = "q",
    .out = "isqd",
    .repeat = true,
};

struct value_sink {
    assay_value_fn row;
    void *arg;
};

static void
give_value(void *arg, const PGresult *result, int row)
{
    const struct value_sink *sink = arg;

    sink->row(sink->arg, assay__pg_get_int(result, row, 0), (int)assay__pg_get_int(result, row, 1),
              assay__pg_get_int(result, row, 2), assay__pg_get_double(result, row, 3));
}

assay_status
assay_store_values(struct assay_store *store, int64_t study_id, assay_value_fn row, void *arg,
                   struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    struct value_sink sink = {row, arg};

    assay__pg_add_int64(&args, study_id);
    return assay__pg_each(store->pg, &values, &args, give_value, &sink, err);
}

/* Pages of studies. */
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "sql/store_study.h"

/* $1 project, $2 states, $3 name prefix, $4 and $5 key and id of the row before
 * the page, $6 rows.  ^@ is "starts with". */
#define STUDIES(suffix, key, key_type, letter, compare, direction)                                 \
    {                                                                                              \
        .name = "studies_" suffix,                                                                 \
        .sql = "SELECT " ASSAY__STUDY_COLUMNS " FROM (SELECT * FROM study"                         \
               "  WHERE ($1::text IS NULL OR project = $1) AND deleted_at IS NULL"                 \
               "  AND ($2::text[] IS NULL OR state = ANY ($2))"                                    \
               "  AND ($3::text IS NULL OR name ^@ $3)"                                            \
               "  AND ($4::" key_type " IS NULL OR (" key ", id) " compare " ($4, $5))"            \
               "  ORDER BY " key " " direction ", id " direction " LIMIT $6) s" ASSAY__STUDY_JOINS \
               " ORDER BY s." key " " direction ", s.id " direction,                               \
        .in = "tTt" letter "qq", .out = ASSAY__STUDY_COLUMN_TYPES, .repeat = true,                 \
    }

static const struct assay__pg_statement studies[2][2] = {
    [ASSAY_STUDY_BY_CREATED] = {STUDIES("created", "created_at", "timestamptz", "z", ">", "ASC"),
                                STUDIES("created_desc", "created_at", "timestamptz", "z", "<",
                                        "DESC")},
    [ASSAY_STUDY_BY_NAME] = {STUDIES("name", "name", "text", "t", ">", "ASC"),
                             STUDIES("name_desc", "name", "text", "t", "<", "DESC")},
};

static assay_status
add_after(struct assay__pg_args *args, const struct assay_study_query *query, const char *kind,
          struct assay_error *err)
{
    bool by_name = query->sort == ASSAY_STUDY_BY_NAME;
    assay_auto_free char *key = NULL;
    int64_t id = 0, created_us = ASSAY_TIME_NONE;
    assay_status status;

    if (query->after != NULL) {
        status = assay__page_read(query->after, kind, &key, &id, err);
        if (status != ASSAY_OK)
            return status;
        if (!by_name && !assay_parse_int(key, INT64_MIN + 1, INT64_MAX, &created_us))
            return assay_fail(err, ASSAY_E_BAD_REQUEST, "the page token is malformed");
    }
    if (by_name)
        assay__pg_add_text(args, key);
    else
        assay__pg_add_time(args, created_us);
    assay__pg_add_int64(args, id);
    return ASSAY_OK;
}

static char *
next_token(const char *kind, bool by_name, const struct assay_study_record *study)
{
    assay_auto_free char *key =
        by_name ? assay_strdup(study->name) : assay_format("%lld", (long long)study->created_us);

    return assay__page_make(kind, key, study->id);
}

assay_status
assay_store_studies(struct assay_store *store, const struct assay_study_query *query,
                    assay_study_fn row, void *arg, char **ret_next, struct assay_error *err)
{
    const struct assay__pg_statement *statement = &studies[query->sort][query->descending];
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    char *next = NULL;
    assay_status status;
    int count;

    ASSAY_ASSERT(query->limit >= 1 && query->limit <= 1000);
    assay__pg_add_text(&args, query->project);
    assay__add_study_states(&args, query->states);
    assay__pg_add_text(&args, query->name_prefix);
    status = add_after(&args, query, statement->name, err);
    if (status != ASSAY_OK)
        return status;
    /* One more than asked for tells whether there is a next page. */
    assay__pg_add_int64(&args, (int64_t)query->limit + 1);
    status = assay__pg_query(store->pg, statement, &args, &result, err);
    if (status != ASSAY_OK)
        return status;

    count = PQntuples(result);
    for (int i = 0; i < ASSAY_MIN(count, (int)query->limit); i++) {
        struct assay_study_record study;

        assay__read_study(result, i, &study);
        if (i + 1 == (int)query->limit && count > i + 1)
            next = next_token(statement->name, query->sort == ASSAY_STUDY_BY_NAME, &study);
        row(arg, &study);
        assay_study_record_done(&study);
    }
    *ret_next = next;
    return ASSAY_OK;
}

#include "common/memory.h"
#include "sql/migrations.h"
#include "sql/store_internal.h"

/* Any constant; every program that migrates uses this one. */
#define MIGRATION_LOCK "7020310931501001"
#define MIGRATION_TIMEOUT_MS 3600000

static const struct assay__pg_statement lock = {
    .name = "migrate_lock",
    .sql = "SELECT pg_advisory_lock(" MIGRATION_LOCK ") IS NULL",
    .in = "",
    .out = "b",
};

static const struct assay__pg_statement has_table = {
    .name = "migrate_has_table",
    .sql = "SELECT to_regclass('schema_migration') IS NOT NULL",
    .in = "",
    .out = "b",
};

static const struct assay__pg_statement version = {
    .name = "migrate_version",
    .sql = "SELECT coalesce(max(version), 0) FROM schema_migration",
    .in = "",
    .out = "i",
};

static assay_status
read_version(struct assay__pg *pg, int *ret_version, struct assay_error *err)
{
    assay__auto_pg_result PGresult *found = NULL;
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status = assay__pg_query(pg, &has_table, NULL, &found, err);

    if (status != ASSAY_OK)
        return status;
    if (!assay__pg_get_bool(found, 0, 0)) {
        *ret_version = 0;
        return ASSAY_OK;
    }
    status = assay__pg_query(pg, &version, NULL, &result, err);
    if (status == ASSAY_OK)
        *ret_version = (int)assay__pg_get_int(result, 0, 0);
    return status;
}

/* One simple query with several statements is one transaction. */
static assay_status
apply(struct assay__pg *pg, const struct assay__migration *migration, struct assay_error *err)
{
    assay_auto_free char *sql =
        assay_format("%s\nINSERT INTO schema_migration (version, name) VALUES (%d, '%s');",
                     migration->sql, migration->version, migration->name);

    if (assay__pg_script(pg, sql, err) != ASSAY_OK)
        return assay_wrap(err, "migration %d (%s)", migration->version, migration->name);
    return ASSAY_OK;
}

static assay_status
migrate(struct assay__pg *pg, struct assay_error *err)
{
    int have = 0;
    assay_status status = assay__pg_exec(pg, &lock, NULL, NULL, err);

    if (status == ASSAY_OK)
        status = read_version(pg, &have, err);
    if (status != ASSAY_OK)
        return status;
    if (have > assay__migrations_count)
        return assay_fail(err, ASSAY_E_CONFLICT,
                          "the database has schema version %d, this program knows up to %d: "
                          "a newer Assay has used it",
                          have, assay__migrations_count);
    for (int i = have; i < assay__migrations_count && status == ASSAY_OK; i++) {
        ASSAY_ASSERT(assay__migrations[i].version == i + 1);
        status = apply(pg, &assay__migrations[i], err);
    }
    return status;
}

/* On a connection of its own: the lock and the long time limit end with it. */
assay_status
assay_store_migrate(struct assay_store *store, struct assay_error *err)
{
    struct assay__pg *pg = assay__pg_new(store->url, "assay-migrate", MIGRATION_TIMEOUT_MS);
    struct assay_error local = {0};
    assay_status status = migrate(pg, &local);

    if (status != ASSAY_OK && err != NULL)
        *err = local;
    assay__pg_free(pg);
    return status;
}

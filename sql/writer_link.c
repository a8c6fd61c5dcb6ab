/* The writer's connection: the lock that makes it the only one, its mark. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/memory.h"
#include "common/random.h"
#include "sql/writer_internal.h"

/* Key of the session advisory lock: whoever holds it writes. */
#define WRITER_LOCK "7020310931501002"
/* How long a dead session of our own may take to go. */
#define OWN_SESSION_TRIES 500
#define OWN_SESSION_PAUSE_US 10000

static const struct assay__pg_statement try_lock = {
    .name = "writer_try_lock",
    .sql = "SELECT pg_try_advisory_lock(" WRITER_LOCK ")",
    .in = "",
    .out = "b",
};

/* Ends sessions of our own that are left from a lost connection: while one lives
 * it may still commit.  Gives who has the lock. */
static const struct assay__pg_statement holder = {
    .name = "writer_holder",
    .sql = "SELECT a.application_name = $1,"
           " a.application_name = $1 AND pg_terminate_backend(a.pid)"
           " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
           " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
           " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
           " AND (l.classid::bigint << 32 | l.objid::bigint) = " WRITER_LOCK " LIMIT 1",
    .in = "t",
    .out = "bb",
};

static const struct assay__pg_statement register_writer = {
    .name = "writer_register",
    .sql = "WITH old AS (DELETE FROM writer"
           "  WHERE committed_at < now() - interval '7 days' AND id <> $1)"
           " INSERT INTO writer (id, batch, application) VALUES ($1, 0, $2)"
           " ON CONFLICT (id) DO NOTHING",
    .in = "qt",
};

static const struct assay__pg_statement read_mark = {
    .name = "writer_mark",
    .sql = "SELECT batch FROM writer WHERE id = $1",
    .in = "q",
    .out = "q",
};

void
assay__writer_link_init(struct assay__writer_link *link, const char *url)
{
    *link = (struct assay__writer_link){.id = (int64_t)(assay_random_seed() >> 1)};
    link->application_name = assay_format("assay-writer-%llx", (unsigned long long)link->id);
    link->growing = assay__growing_new();
    link->pg = assay__pg_new(url, link->application_name, ASSAY__WRITER_TIMEOUT_MS);
}

void
assay__writer_link_done(struct assay__writer_link *link)
{
    assay__pg_free(link->pg);
    free(link->application_name);
    free(link->growing);
    free(link->moves.studies);
    free(link->commands);
}

static enum assay__lock
take_lock(struct assay__writer_link *link, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};

    assay__pg_add_text(&args, link->application_name);
    for (int i = 0; i < OWN_SESSION_TRIES; i++) {
        assay__auto_pg_result PGresult *taken = NULL;
        assay__auto_pg_result PGresult *found = NULL;

        if (assay__pg_query(link->pg, &try_lock, NULL, &taken, err) != ASSAY_OK)
            return ASSAY__LOCK_BROKEN;
        if (assay__pg_get_bool(taken, 0, 0))
            return ASSAY__LOCK_OURS;
        if (assay__pg_optional(link->pg, &holder, &args, &found, err) != ASSAY_OK)
            return ASSAY__LOCK_BROKEN;
        /* No row: it was given back in between, or its session is just ending. */
        if (found != NULL && !assay__pg_get_bool(found, 0, 0)) {
            assay_fail(err, ASSAY_E_CONFLICT, "another daemon writes to this database");
            return ASSAY__LOCK_OTHERS;
        }
        usleep(OWN_SESSION_PAUSE_US);
    }
    assay_fail(err, ASSAY_E_UNAVAILABLE, "the lost session of this daemon does not end");
    return ASSAY__LOCK_BROKEN;
}

static assay_status
read_committed(struct assay__writer_link *link, int64_t *ret_committed, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_args struct assay__pg_args key = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    assay__pg_add_int64(&args, link->id);
    assay__pg_add_text(&args, link->application_name);
    status = assay__pg_exec(link->pg, &register_writer, &args, NULL, err);
    if (status != ASSAY_OK)
        return status;
    assay__pg_add_int64(&key, link->id);
    status = assay__pg_query(link->pg, &read_mark, &key, &result, err);
    if (status != ASSAY_OK)
        return status;
    if (PQntuples(result) != 1)
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "the writer's mark is not in the database");
    *ret_committed = assay__pg_get_int(result, 0, 0);
    return ASSAY_OK;
}

/* The lock is with somebody else, so our old session has ended: what its mark
 * says is final, though this daemon may not write any more. */
static void
read_last_mark(struct assay__writer_link *link, int64_t *ret_committed)
{
    assay__auto_pg_args struct assay__pg_args key = {0};
    assay__auto_pg_result PGresult *result = NULL;

    assay__pg_add_int64(&key, link->id);
    if (assay__pg_optional(link->pg, &read_mark, &key, &result, NULL) == ASSAY_OK && result != NULL)
        *ret_committed = assay__pg_get_int(result, 0, 0);
}

static assay_status
enter_pipeline(struct assay__writer_link *link, struct assay_error *err)
{
    PGconn *connection = assay__pg_handle(link->pg);

    if (PQsetnonblocking(connection, 1) != 0 || !PQenterPipelineMode(connection))
        return assay__pg_fail_connection(connection, err);
    return ASSAY_OK;
}

enum assay__lock
assay__writer_link_open(struct assay__writer_link *link, int64_t *ret_committed,
                        struct assay_error *err)
{
    enum assay__lock lock = ASSAY__LOCK_BROKEN;

    assay__pg_disconnect(link->pg);
    assay__growing_clear(link->growing);
    if (assay__pg_connect(link->pg, err) == ASSAY_OK)
        lock = take_lock(link, err);
    if (lock == ASSAY__LOCK_OURS) {
        bool good = read_committed(link, ret_committed, err) == ASSAY_OK;

        for (size_t i = 0; good && i < assay__changes_statements_count; i++)
            good = assay__pg_prepare(link->pg, assay__changes_statements[i], err) == ASSAY_OK;
        for (size_t i = 0; good && i < assay__batch_statements_count; i++)
            good = assay__pg_prepare(link->pg, assay__batch_statements[i], err) == ASSAY_OK;
        if (!good || enter_pipeline(link, err) != ASSAY_OK)
            lock = ASSAY__LOCK_BROKEN;
    }
    if (lock == ASSAY__LOCK_OTHERS)
        read_last_mark(link, ret_committed);
    if (lock != ASSAY__LOCK_OURS)
        assay__pg_disconnect(link->pg);
    return lock;
}

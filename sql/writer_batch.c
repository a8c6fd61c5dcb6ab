/* One transaction through a pipeline: everything is sent without waiting for
 * answers, then the answers are read in the same order. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/memory.h"
#include "sql/writer_internal.h"

#define PURGE_SLICE 2000

static const struct assay__pg_statement begin = {.name = "b", .sql = "BEGIN", .in = ""};
static const struct assay__pg_statement commit = {.name = "c", .sql = "COMMIT", .in = ""};
static const struct assay__pg_statement rollback = {.name = "r", .sql = "ROLLBACK", .in = ""};
static const struct assay__pg_statement mark = {
    .name = "writer_set_mark",
    .sql = "UPDATE writer SET batch = $2, committed_at = now() WHERE id = $1",
    .in = "qq",
};
static const struct assay__pg_statement purge = {
    .name = "purge",
    .sql = "SELECT assay_purge($1::integer)",
    .in = "q",
};

const struct assay__pg_statement *const assay__batch_statements[] = {&begin, &commit, &rollback,
                                                                     &mark, &purge,
                                                                     &assay__fold};
const size_t assay__batch_statements_count = ASSAY_COUNT(assay__batch_statements);

static bool
send(struct assay__writer_link *link, const struct assay__pg_statement *statement,
     const struct assay__pg_args *args, size_t first)
{
    struct assay__pg_call call;

    assay__pg_call_fill(statement, args, first, &call);
    return PQsendQueryPrepared(assay__pg_handle(link->pg), statement->name, call.count,
                               call.values, call.lengths, call.formats, 1) != 0;
}

/* Writes what the socket takes and reads what is there.  False: broken, or
 * nothing moved for too long. */
static bool
pump(PGconn *connection)
{
    int unsent = PQflush(connection);
    struct pollfd wait = {.fd = PQsocket(connection),
                          .events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0))};
    int ready;

    if (unsent < 0 || wait.fd < 0)
        return false;
    do {
        ready = poll(&wait, 1, ASSAY__WRITER_TIMEOUT_MS + 5000);
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        return false;
    if (wait.revents & ~POLLOUT)
        return PQconsumeInput(connection) != 0;
    return true;
}

/* The next result in the pipeline, NULL between commands; false: broken. */
static bool
next_result(PGconn *connection, PGresult **ret_result)
{
    for (;;) {
        if (PQflush(connection) < 0 || PQstatus(connection) != CONNECTION_OK)
            return false;
        if (!PQisBusy(connection))
            break;
        if (!pump(connection))
            return false;
    }
    *ret_result = PQgetResult(connection);
    return true;
}

/* Reads the answer of one command.  False: broken.  `*ret_failed`: the first
 * error, with its text in `err`; commands after it answer that they were skipped. */
static bool
read_command(PGconn *connection, int64_t *ret_number, bool *ret_failed, struct assay_error *err)
{
    PGresult *result;

    for (;;) {
        if (!next_result(connection, &result))
            return false;
        if (result == NULL)
            return PQstatus(connection) == CONNECTION_OK;
        switch (PQresultStatus(result)) {
        case PGRES_TUPLES_OK:
            if (ret_number != NULL && PQntuples(result) == 1)
                *ret_number = assay__pg_get_int(result, 0, 0);
            break;
        case PGRES_COMMAND_OK:
        case PGRES_PIPELINE_ABORTED:
            break;
        default:
            assay__pg_fail_result(result, err);
            *ret_failed = true;
            break;
        }
        PQclear(result);
    }
}

static bool
read_sync(PGconn *connection)
{
    PGresult *result;
    bool good;

    if (!next_result(connection, &result) || result == NULL)
        return false;
    good = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    PQclear(result);
    return good;
}

static bool
roll_back(struct assay__writer_link *link)
{
    PGconn *connection = assay__pg_handle(link->pg);
    bool failed = false;

    return send(link, &rollback, NULL, 0) && PQpipelineSync(connection) &&
           read_command(connection, NULL, &failed, NULL) && !failed && read_sync(connection);
}

/* The set's own statements, and one for each curve that has grown enough to be
 * summed up.  `*ret_sent`: how many. */
static bool
send_set(struct assay__writer_link *link, const struct assay_changes *changes, size_t *ret_sent)
{
    bool good = true;

    *ret_sent = 0;
    for (size_t i = 0; good && i < changes->n_ops; i++) {
        good = send(link, changes->ops[i].statement, &changes->args, changes->ops[i].first);
        ++*ret_sent;
    }
    for (size_t i = 0; good && i < changes->n_growth; i++) {
        assay__auto_pg_args struct assay__pg_args args = {0};

        if (!assay__growing_due(link->growing, &changes->growth[i]))
            continue;
        assay__fold_args(&args, &changes->growth[i]);
        good = send(link, &assay__fold, &args, 0);
        ++*ret_sent;
    }
    return good;
}

/* `sent` gets the number of statements of each set. */
static bool
send_all(struct assay__writer_link *link, const struct assay__set *first, size_t count,
         size_t *sent)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    const struct assay__set *set = first;
    bool good = send(link, &begin, NULL, 0);

    for (size_t i = 0; good && i < count; i++, set = set->next)
        good = send_set(link, set->changes, &sent[i]);
    assay__pg_add_int64(&args, link->id);
    assay__pg_add_int64(&args, link->batch);
    return good && send(link, &mark, &args, 0) && send(link, &commit, NULL, 0) &&
           PQpipelineSync(assay__pg_handle(link->pg));
}

/* Answers of BEGIN, every statement, the mark, COMMIT.  `*ret_failed`: some
 * failed, first that of set `*ret_culprit` (-1: of none). */
static bool
read_all(PGconn *connection, const size_t *sent, size_t count, ptrdiff_t *ret_culprit,
         bool *ret_failed, struct assay_error *err)
{
    *ret_failed = false;
    *ret_culprit = -1;
    if (!read_command(connection, NULL, ret_failed, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < sent[i]; k++) {
            bool failed = false;

            if (!read_command(connection, NULL, &failed, err))
                return false;
            if (failed && !*ret_failed) {
                *ret_failed = true;
                *ret_culprit = (ptrdiff_t)i;
            }
        }
    }
    return read_command(connection, NULL, ret_failed, err) &&
           read_command(connection, NULL, ret_failed, err) && read_sync(connection);
}

static enum assay__batch
broken(struct assay__writer_link *link, struct assay_error *err)
{
    assay__pg_fail_connection(assay__pg_handle(link->pg), err);
    assay__pg_disconnect(link->pg);
    return ASSAY__BATCH_BROKEN;
}

enum assay__batch
assay__writer_batch(struct assay__writer_link *link, const struct assay__set *first, size_t count,
                    ptrdiff_t *ret_culprit, struct assay_error *err)
{
    PGconn *connection = assay__pg_handle(link->pg);
    assay_auto_free size_t *sent = assay_alloc(count, sizeof *sent);
    bool failed;

    link->batch++;
    if (!send_all(link, first, count, sent) ||
        !read_all(connection, sent, count, ret_culprit, &failed, err))
        return broken(link, err);
    if (!failed)
        return ASSAY__BATCH_COMMITTED;
    return roll_back(link) ? ASSAY__BATCH_REFUSED : broken(link, err);
}

enum assay__batch
assay__writer_purge(struct assay__writer_link *link, bool *ret_more, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    PGconn *connection = assay__pg_handle(link->pg);
    int64_t gone = 0;
    bool failed = false;

    assay__pg_add_int64(&args, PURGE_SLICE);
    if (!send(link, &purge, &args, 0) || !PQpipelineSync(connection) ||
        !read_command(connection, &gone, &failed, err) || !read_sync(connection))
        return broken(link, err);
    if (failed)
        return ASSAY__BATCH_REFUSED;
    *ret_more = gone > 0;
    return ASSAY__BATCH_COMMITTED;
}

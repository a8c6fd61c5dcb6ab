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

const struct assay__pg_statement *const assay__batch_statements[] = {
    &begin,      &commit,           &rollback,           &mark, &purge,
    &assay__fold, &assay__curve_last, &assay__trial_count};
const size_t assay__batch_statements_count = ASSAY_COUNT(assay__batch_statements);

static bool
send(struct assay__writer_link *link, const struct assay__pg_statement *statement,
     const struct assay__pg_args *args, size_t first)
{
    struct assay__pg_call call;

    assay__pg_call_fill(statement, args, first, &call);
    return PQsendQueryPrepared(assay__pg_handle(link->pg), statement->name, call.count, call.values,
                               call.lengths, call.formats, 1) != 0;
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

/* One command that was sent, to understand its answer. */
struct assay__command {
    ptrdiff_t set;                    /* whose it is; -1: the batch's own */
    const struct assay__growth *asks; /* the curve whose last step it asks for, or NULL */
};

static bool
send_command(struct assay__writer_link *link, const struct assay__pg_statement *statement,
             const struct assay__pg_args *args, size_t first, struct assay__command command)
{
    ASSAY_GROW(link->commands, link->n_commands, link->commands_capacity);
    link->commands[link->n_commands++] = command;
    return send(link, statement, args, first);
}

/* After points were added to a curve: sums it up or asks for its last step. */
static bool
send_curve(struct assay__writer_link *link, const struct assay__growth *growth, ptrdiff_t set)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    enum assay__growing_next next = assay__growing_add(link->growing, growth);

    if (next == ASSAY__GROWING_NOTHING)
        return true;
    assay__curve_args(&args, growth);
    if (next == ASSAY__GROWING_ASK)
        return send_command(link, &assay__curve_last, &args, 0,
                            (struct assay__command){set, growth});
    return send_command(link, &assay__fold, &args, 0, (struct assay__command){set, NULL});
}

static bool
send_set(struct assay__writer_link *link, const struct assay_changes *changes, ptrdiff_t set)
{
    for (size_t i = 0; i < changes->n_ops; i++) {
        const struct assay__op *op = &changes->ops[i];
        const struct assay__growth *growth =
            op->n_growth > 0 ? changes->growth + op->growth : NULL;
        const struct assay__pg_statement *statement = op->statement;

        if (op->n_growth > 0 && assay__growing_appends(link->growing, growth, op->n_growth))
            statement = &assay__measurements_append;
        if (!send_command(link, statement, &changes->args, op->first,
                          (struct assay__command){set, NULL}))
            return false;
        for (size_t k = 0; k < op->n_growth; k++) {
            if (!send_curve(link, &growth[k], set))
                return false;
        }
    }
    return true;
}

static bool
send_counts(struct assay__writer_link *link)
{
    for (size_t i = 0; i < link->moves.n; i++) {
        assay__auto_pg_args struct assay__pg_args args = {0};

        if (assay__moves_none(&link->moves.studies[i]))
            continue;
        assay__moves_args(&args, &link->moves.studies[i]);
        if (!send_command(link, &assay__trial_count, &args, 0, (struct assay__command){-1, NULL}))
            return false;
    }
    return true;
}

static bool
send_all(struct assay__writer_link *link, const struct assay__set *first, size_t count)
{
    const struct assay__command own = {-1, NULL};
    assay__auto_pg_args struct assay__pg_args args = {0};
    const struct assay__set *set = first;
    bool good;

    link->n_commands = 0;
    link->moves.n = 0;
    good = send_command(link, &begin, NULL, 0, own);
    for (size_t i = 0; good && i < count; i++, set = set->next) {
        good = send_set(link, set->changes, (ptrdiff_t)i);
        assay__moves_add(&link->moves, &set->changes->moves);
    }
    assay__pg_add_int64(&args, link->id);
    assay__pg_add_int64(&args, link->batch);
    return good && send_counts(link) && send_command(link, &mark, &args, 0, own) &&
           send_command(link, &commit, NULL, 0, own) && PQpipelineSync(assay__pg_handle(link->pg));
}

/* The answers to all commands.  `*ret_failed`: some failed, first that of set
 * `*ret_culprit` (-1: of none). */
static bool
read_all(struct assay__writer_link *link, ptrdiff_t *ret_culprit, bool *ret_failed,
         struct assay_error *err)
{
    PGconn *connection = assay__pg_handle(link->pg);

    *ret_failed = false;
    *ret_culprit = -1;
    for (size_t i = 0; i < link->n_commands; i++) {
        const struct assay__command *command = &link->commands[i];
        int64_t number = -1;
        bool failed = false;

        if (!read_command(connection, command->asks != NULL ? &number : NULL, &failed, err))
            return false;
        if (failed && !*ret_failed) {
            *ret_failed = true;
            *ret_culprit = command->set;
        }
        if (command->asks != NULL && number >= 0)
            assay__growing_learn(link->growing, command->asks, number);
    }
    return read_sync(connection);
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
    bool failed;

    link->batch++;
    if (!send_all(link, first, count) || !read_all(link, ret_culprit, &failed, err))
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

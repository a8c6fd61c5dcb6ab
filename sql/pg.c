#include "sql/pg.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/memory.h"

/* How long beyond the server's own time limit an answer may take before the
 * connection counts as dead: a frozen server enforces no limit. */
#define ANSWER_GRACE_MS 5000

struct assay__pg {
    char *url;
    char *application_name;
    int timeout_ms;
    PGconn *connection;                          /* NULL: none */
    const struct assay__pg_statement **prepared; /* on this connection */
    size_t n_prepared, prepared_capacity;
};

/* --- errors */

struct state_row {
    const char *prefix; /* SQLSTATE or the beginning of it; the first that fits counts */
    assay_status status;
};

static const struct state_row state_rows[] = {
    {"AS409", ASSAY_E_CONFLICT},                                   /* raised by our own functions */
    {"AS404", ASSAY_E_NOT_FOUND},     {"23505", ASSAY_E_CONFLICT}, /* unique_violation */
    {"23503", ASSAY_E_NOT_FOUND},     /* foreign_key_violation: what it names is not there */
    {"23514", ASSAY_E_INVALID_VALUE}, /* check_violation */
    {"22", ASSAY_E_INVALID_VALUE},    /* data exception */
    {"40", ASSAY_E_UNAVAILABLE},      /* serialization, deadlock: worth another try */
    {"57014", ASSAY_E_TIMEOUT},       /* query_canceled: statement_timeout */
    {"57", ASSAY_E_UNAVAILABLE},      /* shutting down, starting up */
    {"08", ASSAY_E_UNAVAILABLE},      /* connection */
    {"53", ASSAY_E_UNAVAILABLE},      /* disk full, out of memory, too many connections */
    {"55", ASSAY_E_UNAVAILABLE},      /* lock not available */
    {"58", ASSAY_E_UNAVAILABLE},      /* input/output error */
    {"28", ASSAY_E_UNAVAILABLE},      /* may not log in */
    {"3D", ASSAY_E_UNAVAILABLE},      /* no such database */
    {"25006", ASSAY_E_UNAVAILABLE},   /* read-only transaction: a standby */
};

assay_status
assay__pg_status_of(const char *sqlstate, const char *constraint)
{
    if (constraint != NULL && strcmp(constraint, "study_project_name_key") == 0)
        return ASSAY_E_STUDY_EXISTS;
    for (size_t i = 0; i < ASSAY_COUNT(state_rows); i++) {
        if (strncmp(sqlstate, state_rows[i].prefix, strlen(state_rows[i].prefix)) == 0)
            return state_rows[i].status;
    }
    return ASSAY_E_INTERNAL;
}

assay_status
assay__pg_fail_result(const PGresult *result, struct assay_error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    /* libpq's own errors have no state: the connection is gone. */
    assay_status status =
        state != NULL ? assay__pg_status_of(state, constraint) : ASSAY_E_UNAVAILABLE;

    if (status == ASSAY_E_STUDY_EXISTS)
        assay_fail(err, status, "a study of this name exists already in the project");
    else if (state != NULL && strncmp(state, "AS", 2) == 0)
        assay_fail(err, status, "%s", message);
    else
        assay_fail(err, status, "database: %s", message != NULL ? message : "connection lost");
    if (err != NULL && state != NULL)
        snprintf(err->sqlstate, sizeof err->sqlstate, "%s", state);
    return status;
}

assay_status
assay__pg_fail_connection(PGconn *connection, struct assay_error *err)
{
    const char *text = connection != NULL ? PQerrorMessage(connection) : "";
    size_t length = strcspn(text, "\n");

    if (length == 0) {
        text = "connection lost";
        length = strlen(text);
    }
    return assay_fail(err, ASSAY_E_UNAVAILABLE, "database: %.*s", (int)length, text);
}

/* --- connection */

struct assay__pg *
assay__pg_new(const char *url, const char *application_name, int timeout_ms)
{
    struct assay__pg *pg = ASSAY_NEW(struct assay__pg);

    pg->url = assay_strdup(url);
    pg->application_name = assay_strdup(application_name);
    pg->timeout_ms = timeout_ms;
    return pg;
}

void
assay__pg_disconnect(struct assay__pg *pg)
{
    if (pg->connection != NULL)
        PQfinish(pg->connection);
    pg->connection = NULL;
    pg->n_prepared = 0;
}

struct assay__pg *
assay__pg_free(struct assay__pg *pg)
{
    if (pg == NULL)
        return NULL;
    assay__pg_disconnect(pg);
    free(pg->prepared);
    free(pg->url);
    free(pg->application_name);
    free(pg);
    return NULL;
}

PGconn *
assay__pg_handle(struct assay__pg *pg)
{
    return pg->connection;
}

static void
ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

/* What every connection needs, whoever configured the server.  Every statement
 * goes by a key; a plan made while a table was nearly empty must not go on
 * scanning it when it has grown. */
static assay_status
set_up(struct assay__pg *pg, struct assay_error *err)
{
    assay_auto_free char *sql =
        assay_format("SET statement_timeout = %d; SET timezone = 'UTC';"
                     "SET idle_in_transaction_session_timeout = '60s';"
                     "SET default_transaction_isolation = 'read committed';"
                     "SET synchronous_commit = on; SET jit = off; SET enable_seqscan = off;"
                     "SET enable_hashjoin = off; SET enable_mergejoin = off;"
                     "SET client_min_messages = warning",
                     pg->timeout_ms);

    return assay__pg_script(pg, sql, err);
}

assay_status
assay__pg_connect(struct assay__pg *pg, struct assay_error *err)
{
    /* Before dbname, which holds the caller's own string: defaults; after: ours. */
    const char *keys[] = {"connect_timeout",  "keepalives_idle",  "keepalives_interval",
                          "keepalives_count", "tcp_user_timeout", "dbname",
                          "application_name", "client_encoding",  NULL};
    const char *values[] = {"10",   "10", "5", "3", "20000", pg->url, pg->application_name,
                            "UTF8", NULL};
    assay_status status;

    if (pg->connection != NULL && PQstatus(pg->connection) == CONNECTION_OK)
        return ASSAY_OK;
    assay__pg_disconnect(pg);
    pg->connection = PQconnectdbParams(keys, values, 1);
    if (PQstatus(pg->connection) != CONNECTION_OK) {
        status = assay__pg_fail_connection(pg->connection, err);
        assay__pg_disconnect(pg);
        return status;
    }
    PQsetNoticeReceiver(pg->connection, ignore_notice, NULL);
    status = set_up(pg, err);
    if (status != ASSAY_OK)
        assay__pg_disconnect(pg);
    return status;
}

/* --- statements */

/* Waits until PQgetResult would not block.  False: no answer in time, or the
 * connection broke; it is gone then. */
static bool
wait_answer(struct assay__pg *pg, struct assay_error *err)
{
    int64_t deadline_us = assay_monotonic_us() + (int64_t)(pg->timeout_ms + ANSWER_GRACE_MS) * 1000;

    while (PQisBusy(pg->connection)) {
        int64_t left_us = deadline_us - assay_monotonic_us();
        struct pollfd wait = {.fd = PQsocket(pg->connection), .events = POLLIN};

        if (left_us <= 0 || wait.fd < 0) {
            assay_fail(err, ASSAY_E_UNAVAILABLE, "database: no answer in %d ms",
                       pg->timeout_ms + ANSWER_GRACE_MS);
            assay__pg_disconnect(pg);
            return false;
        }
        if (poll(&wait, 1, (int)(left_us / 1000) + 1) > 0 && !PQconsumeInput(pg->connection)) {
            assay__pg_fail_connection(pg->connection, err);
            assay__pg_disconnect(pg);
            return false;
        }
    }
    return true;
}

/* Takes what is left of the answer so that the connection can be used again. */
static void
drain(struct assay__pg *pg)
{
    while (pg->connection != NULL && wait_answer(pg, NULL)) {
        PGresult *result = PQgetResult(pg->connection);

        if (result == NULL)
            return;
        PQclear(result);
    }
}

/* Whether the server closed the connection while it was idle. */
static bool
went_away(PGconn *connection)
{
    struct pollfd wait = {.fd = PQsocket(connection), .events = POLLIN};

    if (wait.fd < 0)
        return true;
    if (poll(&wait, 1, 0) <= 0)
        return false;
    return !PQconsumeInput(connection) || PQstatus(connection) != CONNECTION_OK;
}

static assay_status
ensure(struct assay__pg *pg, struct assay_error *err)
{
    if (pg->connection != NULL && went_away(pg->connection))
        assay__pg_disconnect(pg);
    return assay__pg_connect(pg, err);
}

static assay_status
one_result(struct assay__pg *pg, PGresult **ret_result, struct assay_error *err)
{
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    if (!wait_answer(pg, err))
        return ASSAY_E_UNAVAILABLE;
    result = PQgetResult(pg->connection);
    if (result == NULL || PQstatus(pg->connection) != CONNECTION_OK) {
        status = result != NULL && PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL
                     ? assay__pg_fail_result(result, err)
                     : assay__pg_fail_connection(pg->connection, err);
        assay__pg_disconnect(pg);
        return status;
    }
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
        *ret_result = result;
        result = NULL;
        return ASSAY_OK;
    default:
        status = assay__pg_fail_result(result, err);
        drain(pg);
        return status;
    }
}

assay_status
assay__pg_prepare(struct assay__pg *pg, const struct assay__pg_statement *statement,
                  struct assay_error *err)
{
    assay__auto_pg_result PGresult *result = NULL;
    Oid types[ASSAY__PG_PARAMETERS_MAX];
    int n = assay__pg_types(statement, types);
    assay_status status;

    for (size_t i = 0; i < pg->n_prepared; i++) {
        if (pg->prepared[i] == statement)
            return ASSAY_OK;
    }
    if (!PQsendPrepare(pg->connection, statement->name, statement->sql, n, types)) {
        status = assay__pg_fail_connection(pg->connection, err);
        assay__pg_disconnect(pg);
        return status;
    }
    status = one_result(pg, &result, err);
    if (status != ASSAY_OK)
        return status;
    drain(pg);
    ASSAY_GROW(pg->prepared, pg->n_prepared, pg->prepared_capacity);
    pg->prepared[pg->n_prepared++] = statement;
    return ASSAY_OK;
}

static assay_status
send(struct assay__pg *pg, const struct assay__pg_statement *statement,
     const struct assay__pg_args *args, struct assay_error *err)
{
    struct assay__pg_call call;
    assay_status status = assay__pg_prepare(pg, statement, err);

    if (status != ASSAY_OK)
        return status;
    assay__pg_call_fill(statement, args, 0, &call);
    if (!PQsendQueryPrepared(pg->connection, statement->name, call.count, call.values, call.lengths,
                             call.formats, 1)) {
        status = assay__pg_fail_connection(pg->connection, err);
        assay__pg_disconnect(pg);
    }
    return status;
}

/* Our own declaration against what the server gives: a wrong letter would decode rubbish. */
static void
check_columns(const struct assay__pg_statement *statement, const PGresult *result)
{
    const char *out = statement->out != NULL ? statement->out : "";
    struct assay__pg_statement as_input = {.in = out};
    Oid types[ASSAY__PG_PARAMETERS_MAX];
    int n = assay__pg_types(&as_input, types);

    ASSAY_ASSERT(PQnfields(result) == n);
    for (int i = 0; i < n; i++)
        ASSAY_ASSERT(PQftype(result, i) == types[i]);
}

static assay_status
query_once(struct assay__pg *pg, const struct assay__pg_statement *statement,
           const struct assay__pg_args *args, PGresult **ret_result, struct assay_error *err)
{
    assay_status status = ensure(pg, err);

    if (status == ASSAY_OK)
        status = send(pg, statement, args, err);
    if (status == ASSAY_OK)
        status = one_result(pg, ret_result, err);
    if (status == ASSAY_OK) {
        drain(pg);
        check_columns(statement, *ret_result);
    }
    return status;
}

assay_status
assay__pg_query(struct assay__pg *pg, const struct assay__pg_statement *statement,
                const struct assay__pg_args *args, PGresult **ret_result, struct assay_error *err)
{
    bool connected = pg->connection != NULL;
    assay_status status = query_once(pg, statement, args, ret_result, err);

    /* Once more, when a connection that had worked broke under the statement. */
    if (status == ASSAY_E_UNAVAILABLE && statement->repeat && connected && pg->connection == NULL)
        status = query_once(pg, statement, args, ret_result, err);
    return status;
}

assay_status
assay__pg_optional(struct assay__pg *pg, const struct assay__pg_statement *statement,
                   const struct assay__pg_args *args, PGresult **ret_result,
                   struct assay_error *err)
{
    PGresult *result;
    assay_status status = assay__pg_query(pg, statement, args, &result, err);

    if (status != ASSAY_OK)
        return status;
    ASSAY_ASSERT(PQntuples(result) <= 1);
    if (PQntuples(result) == 0)
        assay__pg_clear(&result);
    *ret_result = result;
    return ASSAY_OK;
}

assay_status
assay__pg_exec(struct assay__pg *pg, const struct assay__pg_statement *statement,
               const struct assay__pg_args *args, int64_t *ret_rows, struct assay_error *err)
{
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status = assay__pg_query(pg, statement, args, &result, err);

    if (status == ASSAY_OK && ret_rows != NULL)
        *ret_rows = strtoll(PQcmdTuples(result), NULL, 10);
    return status;
}

static assay_status
each_once(struct assay__pg *pg, const struct assay__pg_statement *statement,
          const struct assay__pg_args *args, assay__pg_row_fn row, void *arg, bool *ret_started,
          struct assay_error *err)
{
    assay_status status = ensure(pg, err);

    if (status == ASSAY_OK)
        status = send(pg, statement, args, err);
    if (status != ASSAY_OK)
        return status;
    if (!PQsetSingleRowMode(pg->connection))
        ASSAY_BUG("single-row mode refused");
    for (;;) {
        assay__auto_pg_result PGresult *result = NULL;

        status = one_result(pg, &result, err);
        if (status != ASSAY_OK)
            return status;
        if (!*ret_started)
            check_columns(statement, result);
        if (PQresultStatus(result) != PGRES_SINGLE_TUPLE) {
            drain(pg);
            return ASSAY_OK;
        }
        *ret_started = true;
        row(arg, result, 0);
    }
}

assay_status
assay__pg_each(struct assay__pg *pg, const struct assay__pg_statement *statement,
               const struct assay__pg_args *args, assay__pg_row_fn row, void *arg,
               struct assay_error *err)
{
    bool connected = pg->connection != NULL, started = false;
    assay_status status = each_once(pg, statement, args, row, arg, &started, err);

    if (status == ASSAY_E_UNAVAILABLE && statement->repeat && connected && !started &&
        pg->connection == NULL)
        status = each_once(pg, statement, args, row, arg, &started, err);
    return status;
}

assay_status
assay__pg_script(struct assay__pg *pg, const char *sql, struct assay_error *err)
{
    assay_status status;

    if (!PQsendQuery(pg->connection, sql)) {
        status = assay__pg_fail_connection(pg->connection, err);
        assay__pg_disconnect(pg);
        return status;
    }
    for (;;) {
        PGresult *result;

        if (!wait_answer(pg, err))
            return ASSAY_E_UNAVAILABLE;
        result = PQgetResult(pg->connection);
        if (result == NULL)
            return ASSAY_OK;
        if (PQresultStatus(result) != PGRES_COMMAND_OK &&
            PQresultStatus(result) != PGRES_TUPLES_OK) {
            status = assay__pg_fail_result(result, err);
            PQclear(result);
            drain(pg);
            return status;
        }
        PQclear(result);
    }
}

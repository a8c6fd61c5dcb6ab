/* A thin layer over libpq for this room: statements with typed parameters, one
 * connection that heals itself, SQLSTATE mapped to assay_status in one place.
 *
 * Everything travels in binary.  A statement is prepared when a connection first
 * uses it, so once per connection generation.  One thread at a time. */
#ifndef ASSAY_SQL_PG_H
#define ASSAY_SQL_PG_H

#include <libpq-fe.h>

#include "common/buffer.h"
#include "common/error.h"

/* Type letters of parameters and columns: b bool, s int2, i int4, q int8,
 * d float8, t text, j json, z timestamptz; S, Q, D, T, Z the arrays of them. */
struct assay__pg_statement {
    const char *name; /* one of a kind in the program */
    const char *sql;
    const char *in;  /* type letters of $1, $2, … */
    const char *out; /* of the columns; NULL: gives no rows */
    bool repeat;     /* may be sent again when the connection broke meanwhile: a read, or a
                        write that does nothing the second time */
};

#define ASSAY__PG_PARAMETERS_MAX 32

/* Encoded parameters, appended in order; also a long list for many statements.
 * Initialise with {0}. */
struct assay__pg_args {
    struct assay_buffer bytes;
    struct assay__pg_value {
        size_t offset;
        int length; /* -1: NULL */
        char type;
    } * values;
    size_t count, capacity;
};
void assay__pg_args_done(struct assay__pg_args *args);
#define assay__auto_pg_args ASSAY_CLEANUP(assay__pg_args_done)

void assay__pg_add_null(struct assay__pg_args *args, char type);
void assay__pg_add_bool(struct assay__pg_args *args, bool value);
void assay__pg_add_int64(struct assay__pg_args *args, int64_t value);
void assay__pg_add_double(struct assay__pg_args *args, double value);
void assay__pg_add_double_or_null(struct assay__pg_args *args, double value); /* NaN: NULL */
void assay__pg_add_text(struct assay__pg_args *args, const char *text);       /* NULL: NULL */
void assay__pg_add_json(struct assay__pg_args *args, const json_t *json);     /* NULL: NULL */
void assay__pg_add_time(struct assay__pg_args *args, int64_t time_us); /* ASSAY_TIME_NONE: NULL */
/* An array: begin with the type of the items, add `count` of them, with the
 * calls above. */
void assay__pg_add_array(struct assay__pg_args *args, char item_type, size_t count);
void assay__pg_item_int16(struct assay__pg_args *args, int value);
void assay__pg_item_int64(struct assay__pg_args *args, int64_t value);
void assay__pg_item_double(struct assay__pg_args *args, double value);
void assay__pg_item_time(struct assay__pg_args *args, int64_t time_us);
void assay__pg_item_text(struct assay__pg_args *args, const char *text);
void assay__pg_end_array(struct assay__pg_args *args);

/* The parameters of `statement` found in `args` from item `first` on, as libpq
 * wants them.  They point into `args`. */
struct assay__pg_call {
    const char *values[ASSAY__PG_PARAMETERS_MAX];
    int lengths[ASSAY__PG_PARAMETERS_MAX];
    int formats[ASSAY__PG_PARAMETERS_MAX];
    int count;
};
void assay__pg_call_fill(const struct assay__pg_statement *statement,
                         const struct assay__pg_args *args, size_t first,
                         struct assay__pg_call *ret_call);
/* Type OIDs of the parameters; returns how many. */
int assay__pg_types(const struct assay__pg_statement *statement, Oid *ret_types);

/* --- decoding; the column must have the type and, except for _or forms, a value */
bool assay__pg_null(const PGresult *result, int row, int column);
bool assay__pg_get_bool(const PGresult *result, int row, int column);
int64_t assay__pg_get_int(const PGresult *result, int row, int column); /* int2, int4, int8 */
int64_t assay__pg_get_int_or(const PGresult *result, int row, int column, int64_t otherwise);
double assay__pg_get_double(const PGresult *result, int row, int column);    /* NULL: NaN */
int64_t assay__pg_get_time(const PGresult *result, int row, int column);     /* NULL: TIME_NONE */
const char *assay__pg_get_text(const PGresult *result, int row, int column); /* NULL: NULL */
char *assay__pg_dup_text(const PGresult *result, int row, int column);
json_t *assay__pg_get_json(const PGresult *result, int row, int column); /* NULL: NULL */

void assay__pg_clear(PGresult **result);
#define assay__auto_pg_result ASSAY_CLEANUP(assay__pg_clear)

/* --- connection */
struct assay__pg;

/* `timeout_ms`: of one statement; a connection that does not answer for longer
 * is given up. */
struct assay__pg *assay__pg_new(const char *url, const char *application_name, int timeout_ms);
struct assay__pg *assay__pg_free(struct assay__pg *pg);
/* Connects if there is no connection.  ASSAY_E_UNAVAILABLE. */
ASSAY_MUST_CHECK assay_status assay__pg_connect(struct assay__pg *pg, struct assay_error *err);
/* The connection, NULL when there is none; for the writer's pipeline. */
PGconn *assay__pg_handle(struct assay__pg *pg);
void assay__pg_disconnect(struct assay__pg *pg);
/* Prepares on the connection there is, unless done. */
ASSAY_MUST_CHECK assay_status assay__pg_prepare(struct assay__pg *pg,
                                                const struct assay__pg_statement *statement,
                                                struct assay_error *err);

/* Runs the statement, whole result.  `args` may be NULL. */
ASSAY_MUST_CHECK assay_status assay__pg_query(struct assay__pg *pg,
                                              const struct assay__pg_statement *statement,
                                              const struct assay__pg_args *args,
                                              PGresult **ret_result, struct assay_error *err);
/* As above for a statement that gives at most one row; `*ret_result` is NULL
 * when there is none. */
ASSAY_MUST_CHECK assay_status assay__pg_optional(struct assay__pg *pg,
                                                 const struct assay__pg_statement *statement,
                                                 const struct assay__pg_args *args,
                                                 PGresult **ret_result, struct assay_error *err);
/* As above when the rows do not matter; `ret_rows` (may be NULL) is their number. */
ASSAY_MUST_CHECK assay_status assay__pg_exec(struct assay__pg *pg,
                                             const struct assay__pg_statement *statement,
                                             const struct assay__pg_args *args, int64_t *ret_rows,
                                             struct assay_error *err);
/* Streams: memory stays bounded whatever the number of rows. */
typedef void (*assay__pg_row_fn)(void *arg, const PGresult *result, int row);
ASSAY_MUST_CHECK assay_status assay__pg_each(struct assay__pg *pg,
                                             const struct assay__pg_statement *statement,
                                             const struct assay__pg_args *args,
                                             assay__pg_row_fn row, void *arg,
                                             struct assay_error *err);
/* SQL text of our own with several statements (migrations); no parameters. */
ASSAY_MUST_CHECK assay_status assay__pg_script(struct assay__pg *pg, const char *sql,
                                               struct assay_error *err);

/* Status of a failed result, with the server's sentence. */
assay_status assay__pg_fail_result(const PGresult *result, struct assay_error *err);
/* Status of a broken connection. */
assay_status assay__pg_fail_connection(PGconn *connection, struct assay_error *err);
/* The one mapping.  `constraint` may be NULL. */
assay_status assay__pg_status_of(const char *sqlstate, const char *constraint);

#endif

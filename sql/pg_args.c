#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/memory.h"
#include "sql/pg.h"

/* 2000-01-01, PostgreSQL's epoch, in microseconds since 1970. */
#define EPOCH_US INT64_C(946684800000000)

struct type_row {
    char letter;
    Oid oid;
    char array; /* letter of the array type; 0: none */
};

/* The OIDs of built-in types never change. */
static const struct type_row types[] = {
    {'b', 16, 0},   {'s', 21, 'S'}, {'i', 23, 0},     {'q', 20, 'Q'}, {'d', 701, 'D'},
    {'t', 25, 'T'}, {'j', 114, 0},  {'z', 1184, 'Z'}, {'S', 1005, 0}, {'Q', 1016, 0},
    {'D', 1022, 0}, {'T', 1009, 0}, {'Z', 1185, 0},
};

static const struct type_row *
type_of(char letter)
{
    for (size_t i = 0; i < ASSAY_COUNT(types); i++) {
        if (types[i].letter == letter)
            return &types[i];
    }
    ASSAY_BUG("unknown type letter");
}

int
assay__pg_types(const struct assay__pg_statement *statement, Oid *ret_types)
{
    int n = 0;

    for (const char *p = statement->in; *p != '\0'; p++) {
        ASSAY_ASSERT(n < ASSAY__PG_PARAMETERS_MAX);
        ret_types[n++] = type_of(*p)->oid;
    }
    return n;
}

void
assay__pg_args_done(struct assay__pg_args *args)
{
    assay_buffer_done(&args->bytes);
    free(args->values);
    *args = (struct assay__pg_args){0};
}

static void
add(struct assay__pg_args *args, char type, const void *bytes, size_t length)
{
    ASSAY_ASSERT(length <= INT32_MAX);
    ASSAY_GROW(args->values, args->count, args->capacity);
    args->values[args->count++] = (struct assay__pg_value){args->bytes.length, (int)length, type};
    /* The NUL after each value keeps empty ones apart from "no pointer". */
    assay_buffer_add(&args->bytes, bytes, length);
    assay_buffer_add(&args->bytes, "", 1);
}

void
assay__pg_add_null(struct assay__pg_args *args, char type)
{
    ASSAY_GROW(args->values, args->count, args->capacity);
    args->values[args->count++] = (struct assay__pg_value){args->bytes.length, -1, type};
}

void
assay__pg_add_bool(struct assay__pg_args *args, bool value)
{
    add(args, 'b', value ? "\1" : "\0", 1);
}

void
assay__pg_add_int64(struct assay__pg_args *args, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);

    add(args, 'q', &wire, sizeof wire);
}

static uint64_t
double_to_wire(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return htobe64(bits);
}

void
assay__pg_add_double(struct assay__pg_args *args, double value)
{
    uint64_t wire = double_to_wire(value);

    add(args, 'd', &wire, sizeof wire);
}

void
assay__pg_add_double_or_null(struct assay__pg_args *args, double value)
{
    if (isnan(value))
        assay__pg_add_null(args, 'd');
    else
        assay__pg_add_double(args, value);
}

void
assay__pg_add_text(struct assay__pg_args *args, const char *text)
{
    if (text == NULL)
        assay__pg_add_null(args, 't');
    else
        add(args, 't', text, strlen(text));
}

void
assay__pg_add_json(struct assay__pg_args *args, const json_t *json)
{
    assay_auto_free char *text = NULL;

    if (json == NULL || json_is_null(json)) {
        assay__pg_add_null(args, 'j');
        return;
    }
    text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    ASSAY_ASSERT(text != NULL);
    add(args, 'j', text, strlen(text));
}

void
assay__pg_add_time(struct assay__pg_args *args, int64_t time_us)
{
    uint64_t wire;

    if (time_us == ASSAY_TIME_NONE) {
        assay__pg_add_null(args, 'z');
        return;
    }
    wire = htobe64((uint64_t)(time_us - EPOCH_US));
    add(args, 'z', &wire, sizeof wire);
}

static void
add_u32(struct assay__pg_args *args, uint32_t value)
{
    uint32_t wire = htobe32(value);

    assay_buffer_add(&args->bytes, &wire, sizeof wire);
}

static void
item(struct assay__pg_args *args, const void *bytes, size_t length)
{
    add_u32(args, (uint32_t)length);
    assay_buffer_add(&args->bytes, bytes, length);
}

void
assay__pg_add_array(struct assay__pg_args *args, char item_type, size_t count)
{
    const struct type_row *type = type_of(item_type);

    ASSAY_ASSERT(type->array != 0 && count <= INT32_MAX);
    ASSAY_GROW(args->values, args->count, args->capacity);
    args->values[args->count++] = (struct assay__pg_value){args->bytes.length, 0, type->array};
    add_u32(args, count > 0 ? 1 : 0); /* dimensions */
    add_u32(args, 0);                 /* no NULLs */
    add_u32(args, type->oid);
    if (count > 0) {
        add_u32(args, (uint32_t)count);
        add_u32(args, 1); /* lower bound */
    }
}

void
assay__pg_item_int16(struct assay__pg_args *args, int value)
{
    uint16_t wire = htobe16((uint16_t)value);

    ASSAY_ASSERT(value >= INT16_MIN && value <= INT16_MAX);
    item(args, &wire, sizeof wire);
}

void
assay__pg_item_int64(struct assay__pg_args *args, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);

    item(args, &wire, sizeof wire);
}

void
assay__pg_item_double(struct assay__pg_args *args, double value)
{
    uint64_t wire = double_to_wire(value);

    item(args, &wire, sizeof wire);
}

void
assay__pg_item_time(struct assay__pg_args *args, int64_t time_us)
{
    uint64_t wire = htobe64((uint64_t)(time_us - EPOCH_US));

    ASSAY_ASSERT(time_us != ASSAY_TIME_NONE);
    item(args, &wire, sizeof wire);
}

void
assay__pg_item_text(struct assay__pg_args *args, const char *text)
{
    item(args, text, strlen(text));
}

void
assay__pg_end_array(struct assay__pg_args *args)
{
    struct assay__pg_value *value = &args->values[args->count - 1];
    size_t length = args->bytes.length - value->offset;

    ASSAY_ASSERT(length <= INT32_MAX);
    value->length = (int)length;
    assay_buffer_add(&args->bytes, "", 1);
}

void
assay__pg_call_fill(const struct assay__pg_statement *statement, const struct assay__pg_args *args,
                    size_t first, struct assay__pg_call *ret_call)
{
    size_t n = strlen(statement->in);

    ASSAY_ASSERT(n <= ASSAY__PG_PARAMETERS_MAX);
    ASSAY_ASSERT(n == 0 || (args != NULL && first + n <= args->count));
    for (size_t i = 0; i < n; i++) {
        const struct assay__pg_value *value = &args->values[first + i];

        ASSAY_ASSERT(value->type == statement->in[i]);
        ret_call->values[i] = value->length < 0 ? NULL : args->bytes.data + value->offset;
        ret_call->lengths[i] = value->length < 0 ? 0 : value->length;
        ret_call->formats[i] = 1;
    }
    ret_call->count = (int)n;
}

/* --- results */

bool
assay__pg_null(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) != 0;
}

static uint64_t
wire64(const PGresult *result, int row, int column)
{
    uint64_t wire;

    ASSAY_ASSERT(PQgetlength(result, row, column) == 8);
    memcpy(&wire, PQgetvalue(result, row, column), sizeof wire);
    return be64toh(wire);
}

bool
assay__pg_get_bool(const PGresult *result, int row, int column)
{
    ASSAY_ASSERT(PQgetlength(result, row, column) == 1);
    return PQgetvalue(result, row, column)[0] != 0;
}

int64_t
assay__pg_get_int(const PGresult *result, int row, int column)
{
    const char *bytes = PQgetvalue(result, row, column);
    uint32_t wire32;
    uint16_t wire16;

    switch (PQgetlength(result, row, column)) {
    case 2:
        memcpy(&wire16, bytes, sizeof wire16);
        return (int16_t)be16toh(wire16);
    case 4:
        memcpy(&wire32, bytes, sizeof wire32);
        return (int32_t)be32toh(wire32);
    case 8:
        return (int64_t)wire64(result, row, column);
    default:
        ASSAY_BUG("not an integer column");
    }
}

int64_t
assay__pg_get_int_or(const PGresult *result, int row, int column, int64_t otherwise)
{
    return assay__pg_null(result, row, column) ? otherwise : assay__pg_get_int(result, row, column);
}

double
assay__pg_get_double(const PGresult *result, int row, int column)
{
    uint64_t bits;
    double value;

    if (assay__pg_null(result, row, column))
        return NAN;
    bits = wire64(result, row, column);
    memcpy(&value, &bits, sizeof value);
    return value;
}

int64_t
assay__pg_get_time(const PGresult *result, int row, int column)
{
    if (assay__pg_null(result, row, column))
        return ASSAY_TIME_NONE;
    return (int64_t)wire64(result, row, column) + EPOCH_US;
}

const char *
assay__pg_get_text(const PGresult *result, int row, int column)
{
    return assay__pg_null(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

char *
assay__pg_dup_text(const PGresult *result, int row, int column)
{
    return assay_strdup(assay__pg_get_text(result, row, column));
}

json_t *
assay__pg_get_json(const PGresult *result, int row, int column)
{
    json_t *json;

    if (assay__pg_null(result, row, column))
        return NULL;
    json = json_loadb(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column),
                      JSON_DECODE_ANY, NULL);
    /* Only text that json_dumps made is ever written. */
    ASSAY_ASSERT(json != NULL);
    return json;
}

void
assay__pg_clear(PGresult **result)
{
    PQclear(*result);
    *result = NULL;
}

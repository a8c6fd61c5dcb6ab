#include "trial-runner/tensorboard_event.h"

#include <math.h>
#include <string.h>

/* --- framing: length (8), its CRC (4), data, its CRC (4), little-endian ------------------- */

static uint64_t
read_little(const unsigned char *bytes, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

/* CRC-32C (Castagnoli), bit by bit over a table of 16: event files are small. */
static uint32_t
crc32c(const unsigned char *bytes, size_t length)
{
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    uint32_t crc = ~UINT32_C(0);

    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

/* TFRecord stores sums "masked", so that a sum of data holding sums stays sound. */
static bool
sum_is(const unsigned char *bytes, size_t length, const unsigned char *stored)
{
    uint32_t crc = crc32c(bytes, length);
    uint32_t masked = ((crc >> 15) | (crc << 17)) + UINT32_C(0xa282ead8);

    return masked == (uint32_t)read_little(stored, 4);
}

enum assay_tensorboard_frame
assay_tensorboard_next(const unsigned char *bytes, size_t length, const unsigned char **ret_record,
                       size_t *ret_length, uint64_t *ret_total)
{
    uint64_t n;

    if (length < 12)
        return ASSAY_TENSORBOARD_MORE;
    if (!sum_is(bytes, 8, bytes + 8))
        return ASSAY_TENSORBOARD_BROKEN;
    n = read_little(bytes, 8);
    if (n > UINT64_C(1) << 40)
        return ASSAY_TENSORBOARD_BROKEN;
    *ret_total = n + 16;
    if (n > ASSAY_TENSORBOARD_RECORD_BYTES_MAX)
        return ASSAY_TENSORBOARD_SKIP;
    if (length < n + 16)
        return ASSAY_TENSORBOARD_MORE;
    if (!sum_is(bytes + 12, (size_t)n, bytes + 12 + n))
        return ASSAY_TENSORBOARD_BROKEN;
    *ret_record = bytes + 12;
    *ret_length = (size_t)n;
    return ASSAY_TENSORBOARD_RECORD;
}

/* --- protocol buffers: wire format -------------------------------------------------------- */

struct wire {
    const unsigned char *p, *end;
    bool broken;
};

struct field {
    unsigned number, type;
    uint64_t number_value;      /* varint and fixed */
    const unsigned char *bytes; /* length-delimited */
    size_t length;
};

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static uint64_t
read_varint(struct wire *wire)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && wire->p < wire->end; shift += 7) {
        unsigned char byte = *wire->p++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    wire->broken = true;
    return 0;
}

static bool
read_fixed(struct wire *wire, size_t n, uint64_t *ret_value)
{
    if ((size_t)(wire->end - wire->p) < n) {
        wire->broken = true;
        return false;
    }
    *ret_value = read_little(wire->p, n);
    wire->p += n;
    return true;
}

/* The next field; false at the end or when broken. */
static bool
next_field(struct wire *wire, struct field *ret_field)
{
    struct field field = {0};
    uint64_t key;

    if (wire->p >= wire->end || wire->broken)
        return false;
    key = read_varint(wire);
    field.type = (unsigned)(key & 7);
    field.number = (unsigned)(key >> 3);
    switch (field.type) {
    case WIRE_VARINT:
        field.number_value = read_varint(wire);
        break;
    case WIRE_FIXED64:
        read_fixed(wire, 8, &field.number_value);
        break;
    case WIRE_FIXED32:
        read_fixed(wire, 4, &field.number_value);
        break;
    case WIRE_BYTES:
        field.number_value = read_varint(wire);
        if (field.number_value > (uint64_t)(wire->end - wire->p)) {
            wire->broken = true;
            break;
        }
        field.bytes = wire->p;
        field.length = (size_t)field.number_value;
        wire->p += field.length;
        break;
    default:
        wire->broken = true;
    }
    *ret_field = field;
    return !wire->broken;
}

static double
float_of(uint64_t bits)
{
    uint32_t word = (uint32_t)bits;
    float value;

    memcpy(&value, &word, sizeof value);
    return (double)value;
}

static double
double_of(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static double
half_of(uint64_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double fraction = (double)(bits & 1023), value;

    if (exponent == 31)
        value = fraction > 0 ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexp(fraction, -24);
    else
        value = ldexp(1024 + fraction, exponent - 25);
    return bits >> 15 & 1 ? -value : value;
}

/* --- messages ---------------------------------------------------------------------------- */

enum { DT_FLOAT = 1, DT_DOUBLE = 2, DT_INT32 = 3, DT_INT64 = 9, DT_BFLOAT16 = 14, DT_HALF = 19 };

/* One element of a type in tensor_content; its size decides whether it is one. */
static bool
element_of(uint64_t type, const unsigned char *bytes, size_t length, double *ret_value)
{
    uint64_t bits = length <= 8 ? read_little(bytes, length) : 0;

    if (type == DT_FLOAT && length == 4)
        *ret_value = float_of(bits);
    else if (type == DT_DOUBLE && length == 8)
        *ret_value = double_of(bits);
    else if (type == DT_INT32 && length == 4)
        *ret_value = (double)(int32_t)(uint32_t)bits;
    else if (type == DT_INT64 && length == 8)
        *ret_value = (double)(int64_t)bits;
    else if (type == DT_HALF && length == 2)
        *ret_value = half_of(bits);
    else if (type == DT_BFLOAT16 && length == 2)
        *ret_value = float_of(bits << 16);
    else
        return false;
    return true;
}

/* A TensorProto with exactly one number. */
static bool
read_tensor(const unsigned char *bytes, size_t length, double *ret_value)
{
    struct wire wire = {bytes, bytes + length, false};
    struct field field;
    uint64_t type = 0;
    const unsigned char *content = NULL;
    size_t content_length = 0;
    bool found = false;

    while (next_field(&wire, &field)) {
        if (field.number == 1 && field.type == WIRE_VARINT) {
            type = field.number_value;
        } else if (field.number == 4 && field.type == WIRE_BYTES) {
            content = field.bytes;
            content_length = field.length;
        } else if (field.number == 5 && field.type == WIRE_BYTES && field.length == 4) {
            *ret_value = float_of(read_little(field.bytes, 4)); /* float_val, packed */
            found = true;
        } else if (field.number == 5 && field.type == WIRE_FIXED32) {
            *ret_value = float_of(field.number_value);
            found = true;
        } else if (field.number == 6 && field.type == WIRE_BYTES && field.length == 8) {
            *ret_value = double_of(read_little(field.bytes, 8)); /* double_val, packed */
            found = true;
        } else if (field.number == 6 && field.type == WIRE_FIXED64) {
            *ret_value = double_of(field.number_value);
            found = true;
        }
    }
    if (wire.broken)
        return false;
    return found || (content != NULL && element_of(type, content, content_length, ret_value));
}

/* A Summary.Value. */
static bool
read_value(const unsigned char *bytes, size_t length, struct assay_tensorboard_scalar *scalar,
           bool *ret_found)
{
    struct wire wire = {bytes, bytes + length, false};
    struct field field;
    bool found = false;

    scalar->tag_length = 0;
    while (next_field(&wire, &field)) {
        if (field.number == 1 && field.type == WIRE_BYTES) {
            scalar->tag = (const char *)field.bytes;
            scalar->tag_length = field.length;
        } else if (field.number == 2 && field.type == WIRE_FIXED32) {
            scalar->value = float_of(field.number_value);
            found = true;
        } else if (field.number == 8 && field.type == WIRE_BYTES) {
            found |= read_tensor(field.bytes, field.length, &scalar->value);
        }
    }
    *ret_found = found && scalar->tag_length > 0;
    return !wire.broken;
}

bool
assay_tensorboard_read(const unsigned char *record, size_t length,
                       void (*on_scalar)(void *arg, const struct assay_tensorboard_scalar *scalar),
                       void *arg)
{
    struct wire wire = {record, record + length, false}, values;
    struct assay_tensorboard_scalar scalar = {0};
    const unsigned char *summary = NULL;
    size_t summary_length = 0;
    double wall_time = 0;
    struct field field;
    bool found;

    while (next_field(&wire, &field)) {
        if (field.number == 1 && field.type == WIRE_FIXED64) {
            wall_time = double_of(field.number_value);
        } else if (field.number == 2 && field.type == WIRE_VARINT) {
            scalar.step = (int64_t)field.number_value;
        } else if (field.number == 5 && field.type == WIRE_BYTES) {
            summary = field.bytes;
            summary_length = field.length;
        }
    }
    if (wire.broken)
        return false;
    /* Until the year 9999. */
    if (wall_time > 0 && wall_time < 253402300800.0)
        scalar.time_us = (int64_t)(wall_time * 1e6);
    if (summary == NULL)
        return true; /* an event of another kind */
    values = (struct wire){summary, summary + summary_length, false};
    while (next_field(&values, &field)) {
        if (field.number != 1 || field.type != WIRE_BYTES)
            continue;
        if (!read_value(field.bytes, field.length, &scalar, &found))
            return false;
        if (found)
            on_scalar(arg, &scalar);
    }
    return !values.broken;
}

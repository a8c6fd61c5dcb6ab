#include "schemas/decode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "common/number.h"

const char *
assay_json_type_name(const json_t *json)
{
    if (json == NULL)
        return "nothing";
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    ASSAY_BUG("JSON type");
}

void
assay_fault_type(struct assay_faults *faults, const char *pointer, const json_t *json,
                 const char *what)
{
    assay_fault_add(faults, pointer, json, what, "must be %s, not %s", what,
                    assay_json_type_name(json));
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b; both are cut
 * to 40 bytes, which is longer than any key. */
static size_t
edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    size_t rows[3][LONGEST + 1];
    size_t n = strnlen(a, LONGEST), m = strnlen(b, LONGEST);

    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3], *last = rows[(i - 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

            best = ASSAY_MIN(best, last[j] + 1);
            best = ASSAY_MIN(best, now[j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = ASSAY_MIN(best, rows[(i - 2) % 3][j - 2] + 1);
            now[j] = best;
        }
    }
    return rows[n % 3][m];
}

void
assay_fault_unknown(struct assay_faults *faults, const char *pointer, const json_t *found,
                    const char *what, const char *key, const char *const *known)
{
    assay_auto_buffer struct assay_buffer list = {0};
    const char *nearest = NULL;
    size_t best = 3;

    /* A fault that is only counted is not worth the search. */
    if (faults->count >= ASSAY_FAULTS_MAX) {
        faults->count++;
        return;
    }
    for (size_t i = 0; known[i] != NULL; i++) {
        size_t distance = edit_distance(key, known[i]);

        if (i < 30)
            assay_buffer_printf(&list, "%s%s", i > 0 ? ", " : "", known[i]);
        else if (i == 30)
            assay_buffer_puts(&list, ", …");
        if (distance < best && distance * 2 <= strlen(known[i])) {
            best = distance;
            nearest = known[i];
        }
    }
    if (nearest != NULL)
        assay_fault_add(faults, pointer, found, list.data,
                        "unknown %s \"%.60s\"; did you mean \"%s\"?", what, key, nearest);
    else
        assay_fault_add(faults, pointer, found, list.data, "unknown %s \"%.60s\"", what, key);
}

char *
assay_json_scalar_text(const json_t *json)
{
    char text[ASSAY_DOUBLE_TEXT];

    switch (json != NULL ? json_typeof(json) : JSON_NULL) {
    case JSON_STRING:
        return assay_strdup(json_string_value(json));
    case JSON_INTEGER:
        return assay_format("%" JSON_INTEGER_FORMAT, json_integer_value(json));
    case JSON_REAL:
        assay_print_double(json_real_value(json), text);
        return assay_strdup(text);
    case JSON_TRUE:
        return assay_strdup("true");
    case JSON_FALSE:
        return assay_strdup("false");
    default:
        return NULL;
    }
}

json_t *
assay_json_number(double value)
{
    if (value == floor(value) && fabs(value) <= ASSAY_INT_EXACT)
        return json_integer((json_int_t)value);
    return assay_json_real(value);
}

json_t *
assay_json_duration(int64_t time_us)
{
    static const struct {
        const char *unit;
        int64_t us;
    } units[] = {{"d", INT64_C(86400000000)}, {"h", INT64_C(3600000000)}, {"m", 60000000},
                 {"s", 1000000},              {"ms", 1000},               {"us", 1}};
    char text[128];
    size_t used = 0;

    ASSAY_ASSERT(time_us >= 0);
    if (time_us == 0)
        return json_string("0s");
    for (size_t i = 0; i < ASSAY_COUNT(units); i++) {
        if (time_us >= units[i].us) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%lld%s",
                                     (long long)(time_us / units[i].us), units[i].unit);
            time_us %= units[i].us;
        }
    }
    return json_string(text);
}

json_t *
assay_json_bytes(int64_t bytes)
{
    static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti"};
    char text[32];
    size_t unit = 0;

    while (bytes > 0 && bytes % 1024 == 0 && unit + 1 < ASSAY_COUNT(units)) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, sizeof text, "%lld%s", (long long)bytes, units[unit]);
    return json_string(text);
}

bool
assay_name_valid(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t length = strlen(name);

    return length >= 1 && length <= ASSAY_NAME_BYTES_MAX && strchr(first, name[0]) != NULL &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}

bool
assay_metric_name_valid(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > ASSAY_METRIC_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)name[i];

        if (c < ' ' || c == 0x7F)
            return false;
    }
    return name[0] != ' ' && name[length - 1] != ' ';
}

/* --- single values --- */

static bool
bounded(const struct assay_field *field)
{
    return field->min != 0.0 || field->max != 0.0 || (field->flags & ASSAY_FIELD_ABOVE_MIN) != 0;
}

static bool
in_bounds(const struct assay_field *field, double value)
{
    if (!bounded(field))
        return true;
    if ((field->flags & ASSAY_FIELD_ABOVE_MIN) != 0 ? !(value > field->min) : !(value >= field->min))
        return false;
    return field->max <= field->min || value <= field->max;
}

/* The bound as people write it in a study file. */
static char *
bound_text(const struct assay_field *field, double value)
{
    json_auto_t *json = field->kind == ASSAY_FIELD_DURATION ? assay_json_duration((int64_t)value)
                        : field->kind == ASSAY_FIELD_BYTES  ? assay_json_bytes((int64_t)value)
                                                            : assay_json_number(value);

    return assay_json_scalar_text(json);
}

/* "a", "b" or "c". */
static char *
names_text(const char *const *names)
{
    assay_auto_buffer struct assay_buffer list = {0};

    for (size_t i = 0; names[i] != NULL; i++)
        assay_buffer_printf(&list, "%s%s", i == 0 ? "" : names[i + 1] != NULL ? ", " : " or ",
                            names[i]);
    return assay_buffer_steal(&list);
}

/* "an integer from 1 to 9", "a number greater than 0", "an array", "sgd or adam".
 * Caller frees; NULL when there is nothing to say. */
static char *
allowed_text(const struct assay_field *field)
{
    static const char *const whats[] = {
        [ASSAY_FIELD_STRING] = "a string",
        [ASSAY_FIELD_NAME] = "1 to 63 lower-case letters, digits, '.', '_' and '-', beginning "
                             "with a letter or digit",
        [ASSAY_FIELD_METRIC] = "1 to 255 bytes without control characters and without blanks at "
                               "the ends",
        [ASSAY_FIELD_INT] = "an integer",
        [ASSAY_FIELD_REAL] = "a number",
        [ASSAY_FIELD_BOOL] = "true or false",
        [ASSAY_FIELD_DURATION] = "a duration such as 90s, 30m or 1h30m",
        [ASSAY_FIELD_BYTES] = "a size such as 512Mi or 4Gi",
        [ASSAY_FIELD_OBJECT] = "an object",
        [ASSAY_FIELD_ARRAY] = "an array",
        [ASSAY_FIELD_ANY] = NULL,
        [ASSAY_FIELD_CALL] = NULL,
    };
    const char *what = whats[field->kind];
    bool above = (field->flags & ASSAY_FIELD_ABOVE_MIN) != 0;
    bool numeric = field->kind == ASSAY_FIELD_INT || field->kind == ASSAY_FIELD_REAL ||
                   field->kind == ASSAY_FIELD_DURATION || field->kind == ASSAY_FIELD_BYTES;
    assay_auto_free char *min = NULL, *max = NULL;

    if (field->kind == ASSAY_FIELD_ENUM)
        return names_text(field->names);
    if (!numeric || !bounded(field))
        return assay_strdup(what);
    min = bound_text(field, field->min);
    max = bound_text(field, ASSAY_MAX(field->max, 0.0));
    if (field->max > field->min)
        return above ? assay_format("%s greater than %s and at most %s", what, min, max)
                     : assay_format("%s from %s to %s", what, min, max);
    return above ? assay_format("%s greater than %s", what, min)
                 : assay_format("%s of at least %s", what, min);
}

static bool
read_number(const json_t *value, const struct assay_field *field, double *ret_number)
{
    int64_t parsed;

    if (json_is_number(value)) {
        *ret_number = json_number_value(value);
        if (field->kind == ASSAY_FIELD_DURATION) {
            *ret_number = nearbyint(*ret_number * 1e6);
            return *ret_number >= 0.0 && *ret_number <= ASSAY_INT_EXACT;
        }
        return field->kind == ASSAY_FIELD_REAL || *ret_number == floor(*ret_number);
    }
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
        return false;
    if (field->kind == ASSAY_FIELD_DURATION
            ? !assay_parse_duration(json_string_value(value), &parsed)
            : field->kind != ASSAY_FIELD_BYTES ||
                  !assay_parse_bytes(json_string_value(value), &parsed))
        return false;
    *ret_number = (double)parsed;
    return true;
}

static bool
decode_number(const json_t *value, const char *pointer, const struct assay_field *field,
              void *place, struct assay_faults *faults)
{
    double number;

    if (!read_number(value, field, &number)) {
        assay_auto_free char *allowed = allowed_text(field);

        if (field->kind == ASSAY_FIELD_INT && json_is_real(value))
            assay_fault_add(faults, pointer, value, allowed, "%s must be a whole number",
                            field->key);
        else if (json_is_string(value) && field->kind >= ASSAY_FIELD_DURATION)
            assay_fault_add(faults, pointer, value, allowed, "%s is malformed", field->key);
        else
            assay_fault_add(faults, pointer, value, allowed, "%s must be %s, not %s", field->key,
                            field->kind == ASSAY_FIELD_INT        ? "an integer"
                            : field->kind == ASSAY_FIELD_REAL     ? "a number"
                            : field->kind == ASSAY_FIELD_DURATION ? "a duration"
                                                                  : "a size",
                            assay_json_type_name(value));
        return false;
    }
    if (!in_bounds(field, number) ||
        (field->kind != ASSAY_FIELD_REAL && !(fabs(number) <= 0x1p63 - 1024))) {
        assay_auto_free char *allowed = allowed_text(field);

        assay_fault_add(faults, pointer, value, allowed, "%s is out of range", field->key);
        return false;
    }
    if (field->kind == ASSAY_FIELD_REAL)
        *(double *)place = number;
    else
        /* Above 2^53 the double is not the integer any more. */
        *(int64_t *)place = json_is_integer(value) && field->kind == ASSAY_FIELD_INT
                                ? (int64_t)json_integer_value(value)
                                : (int64_t)number;
    return true;
}

static bool
decode_string(const json_t *value, const char *pointer, const struct assay_field *field,
              void *place, struct assay_faults *faults)
{
    size_t min = field->max > 0.0 ? (size_t)field->min : 1;
    size_t max = field->max > 0.0 ? (size_t)field->max : 4096;
    const char *text = json_string_value(value);
    size_t length;

    if (text == NULL) {
        assay_fault_add(faults, pointer, value, "a string", "%s must be a string, not %s",
                        field->key, assay_json_type_name(value));
        return false;
    }
    length = json_string_length(value);
    if (strlen(text) != length) {
        assay_fault_add(faults, pointer, NULL, "a string without NUL characters",
                        "%s contains a NUL character", field->key);
        return false;
    }
    if (field->kind == ASSAY_FIELD_NAME && !assay_name_valid(text)) {
        assay_auto_free char *allowed = allowed_text(field);

        assay_fault_add(faults, pointer, value, allowed, "%s is not a valid name", field->key);
        return false;
    }
    if (field->kind == ASSAY_FIELD_METRIC && !assay_metric_name_valid(text)) {
        assay_auto_free char *allowed = allowed_text(field);

        assay_fault_add(faults, pointer, value, allowed, "%s is not a valid metric name",
                        field->key);
        return false;
    }
    if (field->kind == ASSAY_FIELD_STRING && (length < min || length > max)) {
        assay_auto_free char *allowed = assay_format("%zu to %zu bytes", min, max);

        assay_fault_add(faults, pointer, value, allowed,
                        length == 0 ? "%s must not be empty" : "%s is too long", field->key);
        return false;
    }
    *(char **)place = assay_strdup(text);
    return true;
}

static bool
decode_enum(const json_t *value, const char *pointer, const struct assay_field *field, int *place,
            struct assay_faults *faults)
{
    const char *text = json_string_value(value);

    if (text == NULL) {
        assay_fault_add(faults, pointer, value, "a string", "%s must be a string, not %s",
                        field->key, assay_json_type_name(value));
        return false;
    }
    for (int i = 0; field->names[i] != NULL; i++) {
        if (strcmp(field->names[i], text) == 0) {
            *place = i;
            return true;
        }
    }
    assay_fault_unknown(faults, pointer, value, field->key, text, field->names);
    return false;
}

static void
fault_kind(const struct assay_field *field, const json_t *value, const char *pointer,
           struct assay_faults *faults)
{
    assay_auto_free char *allowed = allowed_text(field);
    const char *what = field->kind == ASSAY_FIELD_BOOL ? "a boolean" : allowed;

    assay_fault_add(faults, pointer, value, allowed, "%s must be %s, not %s", field->key, what,
                    assay_json_type_name(value));
}

bool
assay_decode_value(const json_t *value, const char *pointer, const struct assay_field *field,
                   void *target, struct assay_faults *faults)
{
    char *place = (char *)target + field->offset;
    size_t before = faults->count;

    switch (field->kind) {
    case ASSAY_FIELD_STRING:
    case ASSAY_FIELD_NAME:
    case ASSAY_FIELD_METRIC:
        return decode_string(value, pointer, field, place, faults);
    case ASSAY_FIELD_INT:
    case ASSAY_FIELD_REAL:
    case ASSAY_FIELD_DURATION:
    case ASSAY_FIELD_BYTES:
        return decode_number(value, pointer, field, place, faults);
    case ASSAY_FIELD_ENUM:
        return decode_enum(value, pointer, field, (int *)(void *)place, faults);
    case ASSAY_FIELD_CALL:
        field->call(target, value, pointer, faults);
        return faults->count == before;
    case ASSAY_FIELD_BOOL:
        if (!json_is_boolean(value))
            break;
        *(bool *)place = json_is_true(value);
        return true;
    case ASSAY_FIELD_OBJECT:
    case ASSAY_FIELD_ARRAY:
    case ASSAY_FIELD_ANY:
        if (field->kind == ASSAY_FIELD_OBJECT ? !json_is_object(value)
                                              : field->kind == ASSAY_FIELD_ARRAY &&
                                                    !json_is_array(value))
            break;
        memcpy(place, &value, sizeof value);
        return true;
    }
    fault_kind(field, value, pointer, faults);
    return false;
}

/* --- objects --- */

static void
fault_missing(const struct assay_field *field, const char *pointer, struct assay_faults *faults)
{
    assay_auto_free char *allowed = allowed_text(field);

    assay_fault_add(faults, pointer, NULL, allowed, "%s is missing", field->key);
}

static void
report_unknown_keys(const json_t *json, const char *pointer, const struct assay_field *fields,
                    size_t n_fields, struct assay_faults *faults)
{
    const char **known = assay_zalloc(n_fields + 1, sizeof *known);
    const char *key;
    json_t *value;

    for (size_t i = 0; i < n_fields; i++)
        known[i] = fields[i].key;
    assay_json_each (json, key, value) {
        size_t i = 0;

        while (i < n_fields && strcmp(known[i], key) != 0)
            i++;
        if (i == n_fields) {
            assay_auto_free char *at = assay_pointer_key(pointer, key);

            assay_fault_unknown(faults, at, NULL, "key", key, known);
        }
    }
    free(known);
}

bool
assay_decode_object(const json_t *json, const char *pointer, const struct assay_field *fields,
                    size_t n_fields, void *target, struct assay_faults *faults)
{
    size_t before = faults->count;

    if (!json_is_object(json)) {
        assay_fault_type(faults, pointer, json, "an object");
        return false;
    }
    report_unknown_keys(json, pointer, fields, n_fields, faults);
    for (size_t i = 0; i < n_fields; i++) {
        const json_t *value = json_object_get(json, fields[i].key);
        assay_auto_free char *at = assay_pointer_key(pointer, fields[i].key);

        if (value != NULL && !json_is_null(value))
            assay_decode_value(value, at, &fields[i], target, faults);
        else if ((fields[i].flags & ASSAY_FIELD_REQUIRED) != 0)
            fault_missing(&fields[i], at, faults);
    }
    return faults->count == before;
}

/* JSON as YAML.  Texts that a reader of YAML 1.1 or 1.2 could take for anything else are
 * quoted as in JSON, which is YAML too. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/json.h"
#include "schemas/import.h"

#define INDENT 2
/* Lists of scalars up to this long stand on one line. */
#define LINE_BYTES_MAX 88

static bool
is_plain(const char *text)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no",  "on",
                                        "off",  "y",    "n",     "nan", "inf", "infinity"};
    size_t length = strlen(text);

    if (length == 0 || length > 60 || !(isalpha((unsigned char)text[0]) || strchr("_/", text[0]) != NULL))
        return false;
    for (const char *c = text; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr("_-./", *c) == NULL)
            return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(words[i], text) == 0)
            return false;
    }
    return true;
}

static void
write_text(const char *text, struct assay_buffer *out)
{
    if (is_plain(text)) {
        assay_buffer_puts(out, text);
    } else {
        json_t *json = json_string(text);

        assay_json_print(json, 0, out);
        json_decref(json);
    }
}

static void
write_scalar(const json_t *json, struct assay_buffer *out)
{
    if (json_is_string(json) && json_string_length(json) == strlen(json_string_value(json)))
        write_text(json_string_value(json), out);
    else
        assay_json_print(json, 0, out);
}

static bool
is_scalar(const json_t *json)
{
    return (!json_is_object(json) && !json_is_array(json)) ||
           (json_is_object(json) ? json_object_size(json) : json_array_size(json)) == 0;
}

/* Scalars in brackets on one line, or false when it is not such a list or too long. */
static bool
write_line(const json_t *list, size_t column, struct assay_buffer *out)
{
    size_t start = out->length, i;
    json_t *item;

    json_array_foreach (list, i, item) {
        assay_buffer_puts(out, i == 0 ? "[" : ", ");
        write_scalar(item, out);
        if (!is_scalar(item) || column + out->length - start > LINE_BYTES_MAX) {
            out->length = start;
            out->data[start] = '\0';
            return false;
        }
    }
    assay_buffer_puts(out, "]");
    return true;
}

static void
indent(size_t column, struct assay_buffer *out)
{
    for (size_t i = 0; i < column; i++)
        assay_buffer_puts(out, " ");
}

/* A value behind "key:" or "-", which stands at the column; ends the line. */
static void write_value(const json_t *json, size_t column, bool item, struct assay_buffer *out);

/* The members of an object from the column on; the first without its blanks. */
static void
write_members(const json_t *object, size_t column, bool begun, struct assay_buffer *out)
{
    const char *key;
    json_t *value;

    assay_json_each (object, key, value) {
        if (!begun)
            indent(column, out);
        begun = false;
        write_text(key, out);
        assay_buffer_puts(out, ":");
        write_value(value, column, false, out);
    }
}

static void
write_value(const json_t *json, size_t column, bool item, struct assay_buffer *out)
{
    size_t i;
    json_t *value;

    if (is_scalar(json)) {
        assay_buffer_puts(out, " ");
        write_scalar(json, out);
        assay_buffer_puts(out, "\n");
    } else if (json_is_object(json)) {
        assay_buffer_puts(out, item ? " " : "\n");
        write_members(json, column + INDENT, item, out);
    } else {
        assay_buffer_puts(out, " ");
        if (write_line(json, column, out)) {
            assay_buffer_puts(out, "\n");
            return;
        }
        out->data[--out->length] = '\0';
        assay_buffer_puts(out, "\n");
        json_array_foreach (json, i, value) {
            indent(column + INDENT, out);
            assay_buffer_puts(out, "-");
            write_value(value, column + INDENT, true, out);
        }
    }
}

void
assay_yaml_write(const json_t *json, struct assay_buffer *buffer)
{
    if (is_scalar(json)) {
        write_scalar(json, buffer);
        assay_buffer_puts(buffer, "\n");
    } else if (json_is_object(json)) {
        write_members(json, 0, false, buffer);
    } else {
        assay_json_print(json, 0, buffer); /* a list is YAML as it is */
        assay_buffer_puts(buffer, "\n");
    }
}

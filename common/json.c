#include "common/json.h"

#include <string.h>

#include "common/number.h"

static void
print_string(const char *text, size_t length, struct assay_buffer *buffer)
{
    static const char short_escapes[32] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    size_t from = 0;

    assay_buffer_add(buffer, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        assay_buffer_add(buffer, text + from, i - from);
        from = i + 1;
        if (c >= 0x20)
            assay_buffer_printf(buffer, "\\%c", c);
        else if (short_escapes[c] != '\0')
            assay_buffer_printf(buffer, "\\%c", short_escapes[c]);
        else
            assay_buffer_printf(buffer, "\\u%04x", c);
    }
    assay_buffer_add(buffer, text + from, length - from);
    assay_buffer_add(buffer, "\"", 1);
}

/* A real stays recognisable as one: "1.0", not "1". */
static void
print_real(double value, struct assay_buffer *buffer)
{
    char text[ASSAY_DOUBLE_TEXT];

    assay_print_double(value, text);
    assay_buffer_puts(buffer, text);
    if (strpbrk(text, ".eE") == NULL)
        assay_buffer_puts(buffer, ".0");
}

json_t *
assay_json_unconst(const json_t *json)
{
    return (json_t *)(uintptr_t)json;
}

const char *
assay_json_text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

const char *
assay_json_text_given(const json_t *object, const char *key)
{
    const char *text = assay_json_text_at(object, key);

    return *text != '\0' ? text : NULL;
}

json_t *
assay_json_named(const json_t *array, const char *name)
{
    json_t *item;
    size_t i;

    json_array_foreach (array, i, item) {
        if (strcmp(assay_json_text_at(item, "name"), name) == 0)
            return item;
    }
    return NULL;
}

struct printer {
    struct assay_buffer *buffer;
    unsigned indent;
};

static void
new_line(const struct printer *printer, unsigned level)
{
    if (printer->indent > 0)
        assay_buffer_printf(printer->buffer, "\n%*s", (int)(printer->indent * level), "");
}

static void print(const struct printer *printer, const json_t *json, unsigned level);

static void
print_object(const struct printer *printer, const json_t *object, unsigned level)
{
    const char *key;
    const json_t *value;
    bool first = true;

    assay_json_each(object, key, value)
    {
        assay_buffer_puts(printer->buffer, first ? "{" : ",");
        first = false;
        new_line(printer, level + 1);
        print_string(key, strlen(key), printer->buffer);
        assay_buffer_puts(printer->buffer, printer->indent > 0 ? ": " : ":");
        print(printer, value, level + 1);
    }
    if (first)
        assay_buffer_puts(printer->buffer, "{");
    else
        new_line(printer, level);
    assay_buffer_puts(printer->buffer, "}");
}

static void
print_array(const struct printer *printer, const json_t *array, unsigned level)
{
    assay_buffer_puts(printer->buffer, "[");
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            assay_buffer_puts(printer->buffer, ",");
        new_line(printer, level + 1);
        print(printer, json_array_get(array, i), level + 1);
    }
    if (json_array_size(array) > 0)
        new_line(printer, level);
    assay_buffer_puts(printer->buffer, "]");
}

static void
print(const struct printer *printer, const json_t *json, unsigned level)
{
    struct assay_buffer *buffer = printer->buffer;

    switch (json_typeof(json)) {
    case JSON_OBJECT:
        print_object(printer, json, level);
        return;
    case JSON_ARRAY:
        print_array(printer, json, level);
        return;
    case JSON_STRING:
        print_string(json_string_value(json), json_string_length(json), buffer);
        return;
    case JSON_INTEGER:
        assay_buffer_printf(buffer, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
        return;
    case JSON_REAL:
        print_real(json_real_value(json), buffer);
        return;
    case JSON_TRUE:
        assay_buffer_puts(buffer, "true");
        return;
    case JSON_FALSE:
        assay_buffer_puts(buffer, "false");
        return;
    case JSON_NULL:
        assay_buffer_puts(buffer, "null");
        return;
    }
    ASSAY_BUG("a JSON value of no known type");
}

void
assay_json_print(const json_t *json, unsigned indent, struct assay_buffer *buffer)
{
    print(&(struct printer){buffer, indent}, json, 0);
}

json_t *
assay_json_text(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

json_t *
assay_json_time(int64_t time_us)
{
    char text[ASSAY_TIME_TEXT];

    if (time_us == ASSAY_TIME_NONE)
        return json_null();
    assay_print_time(time_us, text);
    return json_string(text);
}

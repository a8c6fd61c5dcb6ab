#include "api/json_print.h"

#include <string.h>

#include "common/number.h"
#include "schemas/decode.h"

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

void
assay_json_print(const json_t *json, struct assay_buffer *buffer)
{
    const char *key;
    const json_t *value;
    bool first = true;

    switch (json_typeof(json)) {
    case JSON_OBJECT:
        assay_buffer_add(buffer, "{", 1);
        assay_json_each (json, key, value) {
            if (!first)
                assay_buffer_add(buffer, ",", 1);
            first = false;
            print_string(key, strlen(key), buffer);
            assay_buffer_add(buffer, ":", 1);
            assay_json_print(value, buffer);
        }
        assay_buffer_add(buffer, "}", 1);
        return;
    case JSON_ARRAY:
        assay_buffer_add(buffer, "[", 1);
        for (size_t i = 0; i < json_array_size(json); i++) {
            if (i > 0)
                assay_buffer_add(buffer, ",", 1);
            assay_json_print(json_array_get(json, i), buffer);
        }
        assay_buffer_add(buffer, "]", 1);
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

#include "common/json_text.h"

#include <string.h>

#include "common/number.h"

static void
write_string(struct assay_buffer *buffer, const char *text, size_t length)
{
    size_t from = 0;

    assay_buffer_add(buffer, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        assay_buffer_add(buffer, text + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\')
            assay_buffer_printf(buffer, "\\%c", c);
        else if (c == '\n')
            assay_buffer_add(buffer, "\\n", 2);
        else
            assay_buffer_printf(buffer, "\\u%04x", c);
    }
    assay_buffer_add(buffer, text + from, length - from);
    assay_buffer_add(buffer, "\"", 1);
}

static void
write_real(struct assay_buffer *buffer, double value)
{
    char text[ASSAY_DOUBLE_TEXT];

    assay_print_double(value, text);
    assay_buffer_puts(buffer, text);
    if (strpbrk(text, ".e") == NULL)
        assay_buffer_add(buffer, ".0", 2);
}

static void
write_array(struct assay_buffer *buffer, const json_t *json)
{
    assay_buffer_add(buffer, "[", 1);
    for (size_t i = 0; i < json_array_size(json); i++) {
        if (i > 0)
            assay_buffer_add(buffer, ",", 1);
        assay_json_write(buffer, json_array_get(json, i));
    }
    assay_buffer_add(buffer, "]", 1);
}

static void
write_object(struct assay_buffer *buffer, const json_t *json)
{
    json_t *object = (json_t *)(uintptr_t)json; /* jansson's iteration takes no const */
    bool first = true;

    assay_buffer_add(buffer, "{", 1);
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        const char *key = json_object_iter_key(at);

        if (!first)
            assay_buffer_add(buffer, ",", 1);
        first = false;
        write_string(buffer, key, strlen(key));
        assay_buffer_add(buffer, ":", 1);
        assay_json_write(buffer, json_object_iter_value(at));
    }
    assay_buffer_add(buffer, "}", 1);
}

void
assay_json_write(struct assay_buffer *buffer, const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        write_object(buffer, json);
        break;
    case JSON_ARRAY:
        write_array(buffer, json);
        break;
    case JSON_STRING:
        write_string(buffer, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
        assay_buffer_printf(buffer, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
        break;
    case JSON_REAL:
        write_real(buffer, json_real_value(json));
        break;
    case JSON_TRUE:
        assay_buffer_add(buffer, "true", 4);
        break;
    case JSON_FALSE:
        assay_buffer_add(buffer, "false", 5);
        break;
    case JSON_NULL:
        assay_buffer_add(buffer, "null", 4);
        break;
    }
}

char *
assay_json_text(const json_t *json)
{
    struct assay_buffer buffer = {0};

    assay_json_write(&buffer, json);
    return assay_buffer_steal(&buffer);
}

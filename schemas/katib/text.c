/* A template as a text (of a ConfigMap), read as YAML.
 *
 * Katib replaces ${trialParameters.NAME} in the text and reads what comes out: where the whole of
 * a value stands there without quotes, it is a number when the parameter's value is one.  Here
 * the text is read once, before there are values.  So each reference that may be such a whole is
 * replaced by a number that the text has nowhere, as long as the reference, and any other by a
 * word: where the number is read as a number it stood bare, and becomes ${{trialParameters.NAME}}
 * (see assay_bare_reference); where it is part of a text, the reference is put back. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "common/number.h"
#include "schemas/katib/katib_internal.h"

#define MARK_FIRST 100000000 /* nine digits */
#define MARK_DIGITS 9
#define INDEX_DIGITS 6
#define REFERENCES_MAX 1000000

static const char opening[] = "${trialParameters.";

struct marks {
    char mark[16]; /* MARK_DIGITS of them */
    json_t *references; /* index -> "${trialParameters.NAME}" */
};

/* Where a reference begins, and its length; NULL: none comes. */
static const char *
find_reference(const char *text, size_t *ret_length)
{
    const char *start = strstr(text, opening), *end;

    while (start != NULL) {
        end = start + strlen(opening);
        end += strcspn(end, "{}\n\"'");
        if (*end == '}' && end > start + strlen(opening)) {
            *ret_length = (size_t)(end + 1 - start);
            return start;
        }
        start = strstr(end, opening);
    }
    return NULL;
}

/* Whether what stands between the two may be the whole of a value; if in doubt, it may. */
static bool
may_be_whole(const char *text, const char *start, const char *end)
{
    return (start == text || strchr(" \t\n[{,", start[-1]) != NULL) &&
           strchr(" \t\r\n]},", *end) != NULL; /* or the text's end */
}

/* The text with marks in the places of references.  Caller frees. */
static char *
put_marks(struct marks *marks, const char *text)
{
    struct assay_buffer out = {0};
    const char *at = text, *start;
    size_t length;

    for (int n = MARK_FIRST;; n++) {
        snprintf(marks->mark, sizeof marks->mark, "%d", n);
        if (strstr(text, marks->mark) == NULL)
            break;
    }
    while ((start = find_reference(at, &length)) != NULL &&
           json_array_size(marks->references) < REFERENCES_MAX) {
        size_t padding = length - MARK_DIGITS - INDEX_DIGITS;

        assay_buffer_add(&out, at, (size_t)(start - at));
        for (size_t i = 0; i < padding; i++)
            assay_buffer_puts(&out, may_be_whole(text, start, start + length) ? "0" : "x");
        assay_buffer_printf(&out, "%s%0*zu", marks->mark, INDEX_DIGITS,
                            json_array_size(marks->references));
        json_array_append_new(marks->references, json_stringn(start, length));
        at = start + length;
    }
    assay_buffer_puts(&out, at);
    return assay_buffer_steal(&out);
}

static const char *
reference_of(const struct marks *marks, const char *digits)
{
    assay_auto_free char *text = assay_strndup(digits, INDEX_DIGITS);
    int64_t index = 0;

    return assay_parse_int(text, 0, REFERENCES_MAX - 1, &index)
               ? json_string_value(json_array_get(marks->references, (size_t)index))
               : NULL;
}

/* New reference. */
static json_t *
restored_text(const struct marks *marks, const char *text)
{
    assay_auto_buffer struct assay_buffer out = {0};
    const char *mark;

    while ((mark = strstr(text, marks->mark)) != NULL) {
        const char *end = mark + MARK_DIGITS + INDEX_DIGITS;
        const char *reference = reference_of(marks, mark + MARK_DIGITS);

        ASSAY_ASSERT(reference != NULL); /* nobody else writes the mark */
        assay_buffer_add(&out, text, (size_t)(end - text) - strlen(reference));
        assay_buffer_puts(&out, reference);
        text = end;
    }
    assay_buffer_puts(&out, text);
    return json_string(out.data);
}

/* NULL: the number is none of ours.  New reference. */
static json_t *
restored_number(const struct marks *marks, json_int_t number)
{
    assay_auto_free char *digits = assay_format("%" JSON_INTEGER_FORMAT, number);
    const char *reference;

    if (strlen(digits) != MARK_DIGITS + INDEX_DIGITS ||
        strncmp(digits, marks->mark, MARK_DIGITS) != 0)
        return NULL;
    reference = reference_of(marks, digits + MARK_DIGITS);
    return reference != NULL ? json_sprintf("${%s}", reference + 1) : NULL;
}

/* The node as it stood in the text.  New reference. */
static json_t *
restored(const struct marks *marks, json_t *json)
{
    json_t *copy = NULL, *value;
    const char *key;
    size_t i;

    if (json_is_string(json)) {
        copy = restored_text(marks, json_string_value(json));
    } else if (json_is_integer(json)) {
        copy = restored_number(marks, json_integer_value(json));
    } else if (json_is_array(json)) {
        copy = json_array();
        json_array_foreach (json, i, value)
            json_array_append_new(copy, restored(marks, value));
    } else if (json_is_object(json)) {
        copy = json_object();
        json_object_foreach (json, key, value) {
            json_auto_t *name = restored_text(marks, key);

            json_object_set_new(copy, json_string_value(name), restored(marks, value));
        }
    }
    return copy != NULL ? copy : json_incref(json);
}

assay_status
assay__katib_read_text(const char *text, json_t **ret_json, json_t **ret_lines,
                       struct assay_error *err)
{
    json_auto_t *references = json_array();
    struct marks marks = {.references = references};
    assay_auto_free char *marked = put_marks(&marks, text);
    json_auto_t *json = NULL;
    assay_status rc = assay_yaml_read(marked, strlen(marked), &json, ret_lines, err);

    if (rc == ASSAY_OK)
        *ret_json = restored(&marks, json);
    return rc;
}

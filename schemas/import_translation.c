#include "schemas/import_translation.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

/* Whether one is the other or above it. */
static bool
overlap(const char *a, const char *b)
{
    size_t m = strlen(a), n = strlen(b), shorter = ASSAY_MIN(m, n);

    return strncmp(a, b, shorter) == 0 && (m == n || (m < n ? b[shorter] : a[shorter]) == '/');
}

bool
assay__told(const struct assay_faults *faults, size_t n, const char *pointer)
{
    for (size_t i = 0; i < ASSAY_MIN(n, (size_t)ASSAY_FAULTS_MAX); i++) {
        if (overlap(faults->items[i].pointer, pointer))
            return true;
    }
    return false;
}

void
assay__note(struct assay_translation *t, const char *pointer, const char *format, ...)
{
    assay_auto_free char *message = NULL;
    va_list args;

    va_start(args, format);
    message = assay_vformat(format, args);
    va_end(args);
    json_array_append_new(t->import->notes,
                          json_pack("{s:s, s:s}", "pointer", pointer, "message", message));
}

void
assay__place(struct assay_translation *t, const char *from, const char *to)
{
    json_object_set_new(t->import->places, from, json_string(to));
}

void
assay__place_key(struct assay_translation *t, const char *from, const char *from_key,
                 const char *to, const char *to_key)
{
    assay_auto_free char *a = assay_pointer_key(from, from_key);
    assay_auto_free char *b = assay_pointer_key(to, to_key);

    assay__place(t, a, b);
}

void
assay__fault_at(struct assay_translation *t, const char *pointer, const char *key,
                const json_t *found, const char *allowed, const char *format, ...)
{
    assay_auto_free char *at = assay_pointer_key(pointer, key);
    assay_auto_free char *message = NULL;
    va_list args;

    va_start(args, format);
    message = assay_vformat(format, args);
    va_end(args);
    assay_fault_add(t->faults, at, found, allowed, "%s", message);
}

void
assay__placeholder(json_t *parameters, const char *name)
{
    json_array_append_new(parameters,
                          json_pack("{s:s, s:s, s:[s]}", "name", name != NULL ? name : "x", "type",
                                    "categorical", "values", "x"));
}

json_t *
assay__section(json_t *object, const char *key)
{
    json_t *section = json_object_get(object, key);

    if (section == NULL) {
        section = json_object();
        json_object_set_new(object, key, section);
    }
    return section;
}

void
assay__set(struct assay_translation *t, const char *section, const char *key, json_t *value)
{
    json_object_set_new(assay__section(t->study, section), key, value);
}

json_t *
assay__study_name(struct assay_translation *t, const char *name, const char *pointer)
{
    char slug[ASSAY_NAME_BYTES_MAX + 1];
    size_t length = 0;

    if (assay_name_valid(name))
        return json_string(name);
    for (const char *c = name; *c != '\0' && length < ASSAY_NAME_BYTES_MAX; c++) {
        if (isalnum((unsigned char)*c))
            slug[length++] = (char)tolower((unsigned char)*c);
        else if (length > 0 && slug[length - 1] != '-')
            slug[length++] = '-';
    }
    while (length > 0 && slug[length - 1] == '-')
        length--;
    slug[length] = '\0';
    if (length == 0)
        return NULL;
    assay__note(t, pointer, "the study is called %s: names are made of a-z, 0-9, '.', '_' and '-'",
                slug);
    return json_string(slug);
}

char *
assay__literal(const char *text)
{
    struct assay_buffer out = {0};
    const char *next;

    for (; (next = strstr(text, "${")) != NULL; text = next + 2) {
        assay_buffer_add(&out, text, (size_t)(next - text));
        assay_buffer_puts(&out, "$${");
    }
    assay_buffer_puts(&out, text);
    return assay_buffer_steal(&out);
}

void
assay__note_others(struct assay_translation *t, const json_t *object, const char *pointer,
                   const char *const *known)
{
    const char *key;
    json_t *value;

    assay_json_each (object, key, value) {
        assay_auto_free char *at = assay_pointer_key(pointer, key);
        const char *const *name = known;

        while (*name != NULL && strcmp(*name, key) != 0)
            name++;
        if (*name == NULL && !json_is_null(value))
            assay__note(t, at, "%s has no counterpart and is left out", key);
    }
}

#include "schemas/import.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/decode.h"
#include "schemas/import_internal.h"

/* Of a study; see assay_name_valid. */
#define NAME_BYTES_MAX 63

static bool
starts_with(const json_t *text, const char *start)
{
    return json_is_string(text) && strncmp(json_string_value(text), start, strlen(start)) == 0;
}

enum assay_import_kind
assay_import_recognise(const json_t *file)
{
    if (json_object_get(file, "apiVersion") != NULL)
        return starts_with(json_object_get(file, "apiVersion"), "kubeflow.org/")
                   ? ASSAY_IMPORT_KATIB
                   : ASSAY_IMPORT_NONE;
    if (json_object_get(file, "searcher") != NULL &&
        json_object_get(file, "hyperparameters") != NULL)
        return ASSAY_IMPORT_DETERMINED;
    if (json_object_get(file, "method") != NULL &&
        (json_is_object(json_object_get(file, "parameters")) ||
         json_object_get(file, "metric") != NULL))
        return ASSAY_IMPORT_WANDB;
    return ASSAY_IMPORT_NONE;
}

const char *
assay_import_name(enum assay_import_kind kind)
{
    static const char *const names[] = {"", "Katib", "Weights & Biases", "Determined"};

    ASSAY_ASSERT((size_t)kind < ASSAY_COUNT(names));
    return names[kind];
}

void
assay_import_done(struct assay_import *import)
{
    json_decref(import->document);
    json_decref(import->places);
    json_decref(import->notes);
    *import = (struct assay_import){0};
}

/* The sections in the order in which people write them. */
static void
put_in_order(json_t *study)
{
    static const char *const order[] = {"name",           "objective", "parameters", "algorithm",
                                        "early_stopping", "budget",    "limits",     "seed",
                                        "trial",          "origin"};
    json_auto_t *all = json_copy(study);

    json_object_clear(study);
    for (size_t i = 0; i < ASSAY_COUNT(order); i++)
        json_object_set(study, order[i], json_object_get(all, order[i]));
    ASSAY_ASSERT(json_object_size(study) == json_object_size(all));
}

void
assay_import_translate(const json_t *file, struct assay_import *ret_import,
                       struct assay_faults *faults)
{
    struct assay_translation t = {.import = ret_import, .faults = faults};

    *ret_import = (struct assay_import){
        .kind = assay_import_recognise(file),
        .document = json_object(),
        .places = json_object(),
        .notes = json_array(),
    };
    t.study = ret_import->document;
    switch (ret_import->kind) {
    case ASSAY_IMPORT_KATIB:
        assay__import_katib(file, &t);
        break;
    case ASSAY_IMPORT_WANDB:
        assay__import_wandb(file, &t);
        break;
    case ASSAY_IMPORT_DETERMINED:
        assay__import_determined(file, &t);
        break;
    case ASSAY_IMPORT_NONE:
        ASSAY_BUG("a file of no system is translated");
    }
    put_in_order(t.study);
}

/* --- faults of the translated study --- */

char *
assay_import_place(const json_t *places, const char *pointer)
{
    assay_auto_free char *at = assay_strdup(pointer);

    for (;;) {
        const char *place = json_string_value(json_object_get(places, at));
        char *slash = strrchr(at, '/');

        if (place != NULL) {
            size_t length = strlen(place);

            if (length >= 2 && strcmp(place + length - 2, "/*") == 0)
                return assay_format("%.*s%s", (int)length - 2, place, pointer + strlen(at));
            return assay_strdup(place);
        }
        if (slash == NULL)
            return assay_strdup("");
        *slash = '\0';
    }
}

/* Whether one is the other or above it. */
static bool
overlap(const char *a, const char *b)
{
    size_t m = strlen(a), n = strlen(b), shorter = ASSAY_MIN(m, n);

    return strncmp(a, b, shorter) == 0 &&
           (m == n || (m < n ? b[shorter] : a[shorter]) == '/');
}

/* What is wrong with a translation that has faults at or around the same place is but
 * another name for those. */
bool
assay__told(const struct assay_faults *faults, size_t n, const char *pointer)
{
    for (size_t i = 0; i < ASSAY_MIN(n, (size_t)ASSAY_FAULTS_MAX); i++) {
        if (overlap(faults->items[i].pointer, pointer))
            return true;
    }
    return false;
}

struct assay_study_spec *
assay_import_decode(const json_t *file, const char *project,
                    const struct assay_study_checks *checks, struct assay_import *ret_import,
                    struct assay_faults *faults)
{
    struct assay_faults more = {0};
    struct assay_study_spec *spec;
    size_t n;

    assay_import_translate(file, ret_import, faults);
    n = faults->count;
    spec = assay_study_decode(ret_import->document, project, checks, &more);
    for (size_t i = 0; i < ASSAY_MIN(more.count, (size_t)ASSAY_FAULTS_MAX); i++) {
        const struct assay_fault *fault = &more.items[i];
        assay_auto_free char *at = assay_import_place(ret_import->places, fault->pointer);

        if (!assay__told(faults, n, at))
            assay_fault_add(faults, at, fault->found, fault->allowed, "%s", fault->message);
    }
    assay_faults_done(&more);
    return faults->count > 0 ? assay_study_free(spec) : spec;
}

/* --- for the translations --- */

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
    char slug[NAME_BYTES_MAX + 1];
    size_t length = 0;

    if (assay_name_valid(name))
        return json_string(name);
    for (const char *c = name; *c != '\0' && length < NAME_BYTES_MAX; c++) {
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

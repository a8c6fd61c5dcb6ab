#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

struct status_row {
    assay_status status;
    const char *name;
    int http;
    int exit_code;
    bool retry;
    const char *text;
};

#define ROW(NAME, name, number, http, exit_code, retry, text) \
    {ASSAY_E_##NAME, name, http, exit_code, retry, text},
static const struct status_row status_rows[] = {ASSAY_ERROR_CODES(ROW)};
#undef ROW

static const struct status_row *
find_row(assay_status status)
{
    for (size_t i = 0; i < ASSAY_COUNT(status_rows); i++) {
        if (status_rows[i].status == status)
            return &status_rows[i];
    }
    return NULL;
}

const char *
assay_status_name(assay_status status)
{
    const struct status_row *row = find_row(status);

    return row != NULL ? row->name : "ok";
}

int
assay_status_http(assay_status status)
{
    const struct status_row *row = find_row(status);

    return row != NULL ? row->http : 200;
}

int
assay_status_exit(assay_status status)
{
    const struct status_row *row = find_row(status);

    return row != NULL ? row->exit_code : 0;
}

bool
assay_status_retry(assay_status status)
{
    const struct status_row *row = find_row(status);

    return row != NULL && row->retry;
}

const char *
assay_status_text(assay_status status)
{
    const struct status_row *row = find_row(status);

    return row != NULL ? row->text : "Done.";
}

assay_status
assay_status_from_name(const char *name)
{
    for (size_t i = 0; i < ASSAY_COUNT(status_rows); i++) {
        if (name != NULL && strcmp(status_rows[i].name, name) == 0)
            return status_rows[i].status;
    }
    return ASSAY_E_INTERNAL;
}

/* Ends a text of which `size` - 1 bytes fitted with "..." at a UTF-8 boundary. */
static void
cut_text(char *text, size_t size)
{
    size_t at = size - 4;

    while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
        at--;
    memcpy(text + at, "...", 4);
}

static void ASSAY_PRINTF(3, 0)
set_text(char *to, size_t size, const char *format, va_list args)
{
    int n = vsnprintf(to, size, format, args);

    if (n < 0)
        to[0] = '\0';
    else if ((size_t)n >= size)
        cut_text(to, size);
}

static void ASSAY_PRINTF(5, 0)
fill(struct assay_error *err, assay_status status, int os_errno, const char *pointer,
     const char *format, va_list args)
{
    if (err == NULL)
        return;
    memset(err, 0, sizeof *err);
    err->status = status;
    err->os_errno = os_errno;
    if (snprintf(err->pointer, sizeof err->pointer, "%s", pointer) >= (int)sizeof err->pointer)
        cut_text(err->pointer, sizeof err->pointer);
    set_text(err->message, sizeof err->message, format, args);
}

assay_status
assay_fail(struct assay_error *err, assay_status status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(err, status, 0, "", format, args);
    va_end(args);
    return status;
}

assay_status
assay_fail_at(struct assay_error *err, assay_status status, const char *pointer,
              const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(err, status, 0, pointer, format, args);
    va_end(args);
    return status;
}

assay_status
assay_fail_errno(struct assay_error *err, int os_errno, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(err, ASSAY_E_IO, os_errno, "", format, args);
    va_end(args);
    if (err != NULL) {
        size_t used = strlen(err->message);
        char text[128];

        snprintf(err->message + used, sizeof err->message - used, ": %s",
                 strerror_r(os_errno, text, sizeof text));
    }
    return ASSAY_E_IO;
}

assay_status
assay_wrap(struct assay_error *err, const char *format, ...)
{
    char context[ASSAY_ERROR_MESSAGE_BYTES / 2];
    char old[ASSAY_ERROR_MESSAGE_BYTES];
    va_list args;
    int n;

    if (err == NULL)
        return ASSAY_E_INTERNAL;
    va_start(args, format);
    set_text(context, sizeof context, format, args);
    va_end(args);
    memcpy(old, err->message, sizeof old);
    n = snprintf(err->message, sizeof err->message, "%s: %s", context, old);
    if (n >= (int)sizeof err->message)
        cut_text(err->message, sizeof err->message);
    return err->status;
}

void
assay_fault_add(struct assay_faults *faults, const char *pointer, const json_t *found,
                const char *allowed, const char *format, ...)
{
    struct assay_fault *fault;
    va_list args;

    if (faults->count++ >= ASSAY_FAULTS_MAX)
        return;
    ASSAY_GROW(faults->items, faults->count - 1, faults->capacity);
    fault = &faults->items[faults->count - 1];
    memset(fault, 0, sizeof *fault);
    fault->pointer = assay_strdup(pointer);
    fault->allowed = assay_strdup(allowed);
    if (json_is_object(found) || json_is_array(found)) {
        assay_auto_free char *text = json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY);

        fault->found = text != NULL && strlen(text) <= 200 ? json_deep_copy(found)
                                                           : json_string("(a long value)");
    } else if (json_is_string(found) && json_string_length(found) > 200) {
        fault->found = json_string("(a long string)");
    } else {
        fault->found = json_deep_copy(found);
    }
    va_start(args, format);
    fault->message = assay_vformat(format, args);
    va_end(args);
}

void
assay_faults_copy(const struct assay_faults *from, struct assay_faults *to)
{
    for (size_t i = 0; i < ASSAY_MIN(from->count, ASSAY_FAULTS_MAX); i++) {
        const struct assay_fault *fault = &from->items[i];

        assay_fault_add(to, fault->pointer, fault->found, fault->allowed, "%s", fault->message);
    }
}

void
assay_faults_done(struct assay_faults *faults)
{
    for (size_t i = 0; i < ASSAY_MIN(faults->count, ASSAY_FAULTS_MAX); i++) {
        free(faults->items[i].pointer);
        free(faults->items[i].message);
        free(faults->items[i].allowed);
        json_decref(faults->items[i].found);
    }
    free(faults->items);
    *faults = (struct assay_faults){0};
}

json_t *
assay_faults_to_json(const struct assay_faults *faults)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ASSAY_MIN(faults->count, ASSAY_FAULTS_MAX); i++) {
        const struct assay_fault *fault = &faults->items[i];
        json_t *row = json_pack("{s:s, s:s}", "pointer", fault->pointer, "message", fault->message);

        if (fault->found != NULL)
            json_object_set(row, "found", fault->found);
        if (fault->allowed != NULL)
            json_object_set_new(row, "allowed", json_string(fault->allowed));
        if (fault->line > 0)
            json_object_set_new(row, "line", json_integer(fault->line));
        json_array_append_new(list, row);
    }
    return list;
}

char *
assay_pointer_key(const char *pointer, const char *key)
{
    size_t used = strlen(pointer);
    char *path = assay_alloc(used + 2 * strlen(key) + 2, 1);

    memcpy(path, pointer, used);
    path[used++] = '/';
    for (; *key != '\0'; key++) {
        if (*key == '~' || *key == '/') {
            path[used++] = '~';
            path[used++] = *key == '~' ? '0' : '1';
        } else {
            path[used++] = *key;
        }
    }
    path[used] = '\0';
    return path;
}

char *
assay_pointer_index(const char *pointer, size_t index)
{
    return assay_format("%s/%zu", pointer, index);
}

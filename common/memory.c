#include "common/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
assay_assert_failed(const char *what, const char *file, int line, const char *function)
{
    fprintf(stderr, "assay: bug: %s (%s:%d, %s)\n", what, file, line, function);
    abort();
}

static void ASSAY_NORETURN
out_of_memory(size_t count, size_t size)
{
    fprintf(stderr, "assay: out of memory asking for %zu x %zu bytes\n", count, size);
    abort();
}

void *
assay_realloc(void *old, size_t count, size_t size)
{
    size_t bytes;
    void *p;

    if (__builtin_mul_overflow(count, size, &bytes))
        out_of_memory(count, size);
    p = realloc(old, bytes > 0 ? bytes : 1);
    if (p == NULL)
        out_of_memory(count, size);
    return p;
}

void *
assay_alloc(size_t count, size_t size)
{
    return assay_realloc(NULL, count, size);
}

void *
assay_zalloc(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size > 0 ? size : 1);

    if (p == NULL)
        out_of_memory(count, size);
    return p;
}

void *
assay_grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity < 8 ? 8 : *capacity * 2;
    return assay_realloc(array, *capacity, size);
}

void *
assay_memdup(const void *bytes, size_t size)
{
    void *p = assay_alloc(size, 1);

    if (size > 0)
        memcpy(p, bytes, size);
    return p;
}

char *
assay_strndup(const char *text, size_t length)
{
    char *p;

    if (text == NULL)
        return NULL;
    length = strnlen(text, length);
    p = assay_alloc(length + 1, 1);
    memcpy(p, text, length);
    p[length] = '\0';
    return p;
}

char *
assay_strdup(const char *text)
{
    return text == NULL ? NULL : assay_strndup(text, strlen(text));
}

char *
assay_vformat(const char *format, va_list args)
{
    char *text;

    if (vasprintf(&text, format, args) < 0)
        out_of_memory(1, 0);
    return text;
}

char *
assay_format(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = assay_vformat(format, args);
    va_end(args);
    return text;
}

void
assay_free_pointer(void *pointer_to_pointer)
{
    void *p;

    memcpy(&p, pointer_to_pointer, sizeof p);
    free(p);
}

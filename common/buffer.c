#include "common/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

static void
reserve(struct assay_buffer *buffer, size_t more)
{
    size_t need = buffer->length + more + 1;

    if (need <= buffer->capacity)
        return;
    buffer->capacity = ASSAY_MAX(need, ASSAY_MAX(buffer->capacity * 2, (size_t)128));
    buffer->data = assay_realloc(buffer->data, buffer->capacity, 1);
}

void
assay_buffer_add(struct assay_buffer *buffer, const void *bytes, size_t length)
{
    reserve(buffer, length);
    if (length > 0)
        memcpy(buffer->data + buffer->length, bytes, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

void
assay_buffer_puts(struct assay_buffer *buffer, const char *text)
{
    assay_buffer_add(buffer, text, strlen(text));
}

void
assay_buffer_printf(struct assay_buffer *buffer, const char *format, ...)
{
    va_list args, again;
    int length;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length > 0) {
        reserve(buffer, (size_t)length);
        vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
}

void
assay_buffer_consume(struct assay_buffer *buffer, size_t length)
{
    length = ASSAY_MIN(length, buffer->length);
    if (length == 0)
        return;
    buffer->length -= length;
    memmove(buffer->data, buffer->data + length, buffer->length + 1);
}

void
assay_buffer_clear(struct assay_buffer *buffer)
{
    buffer->length = 0;
    if (buffer->data != NULL)
        buffer->data[0] = '\0';
}

void
assay_buffer_done(struct assay_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct assay_buffer){0};
}

char *
assay_buffer_steal(struct assay_buffer *buffer)
{
    char *text = buffer->data != NULL ? buffer->data : assay_strdup("");

    *buffer = (struct assay_buffer){0};
    return text;
}

/* A growing byte string, always NUL-terminated.  Initialise with {0}; one
 * thread at a time. */
#ifndef ASSAY_COMMON_BUFFER_H
#define ASSAY_COMMON_BUFFER_H

#include "common/base.h"

struct assay_buffer {
    char *data;    /* NULL until something was added */
    size_t length; /* bytes without the NUL */
    size_t capacity;
};

void assay_buffer_add(struct assay_buffer *buffer, const void *bytes, size_t length);
void assay_buffer_puts(struct assay_buffer *buffer, const char *text);
void assay_buffer_printf(struct assay_buffer *buffer, const char *format, ...) ASSAY_PRINTF(2, 3);
/* Removes `length` bytes from the front (at most all). */
void assay_buffer_consume(struct assay_buffer *buffer, size_t length);
/* Empties and keeps the memory / frees the memory. */
void assay_buffer_clear(struct assay_buffer *buffer);
void assay_buffer_done(struct assay_buffer *buffer);
/* Hands the text over ("" when nothing was added) and leaves the buffer empty. */
char *assay_buffer_steal(struct assay_buffer *buffer);

#define assay_auto_buffer ASSAY_CLEANUP(assay_buffer_done)

#endif

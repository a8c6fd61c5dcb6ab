/* Heap memory that never fails to the caller's face.
 *
 * Every size that a user controls is bounded before it gets here, so running
 * out means the machine is out; the program says so and aborts.  State is in
 * PostgreSQL and every process can be killed at any moment, so an abort is one
 * more kill (docs/adr/0003-out-of-memory.md).  Thread-safe. */
#ifndef ASSAY_COMMON_MEMORY_H
#define ASSAY_COMMON_MEMORY_H

#include <stdarg.h>

#include "common/base.h"

/* Uninitialised / zeroed / resized memory for `count` items of `size` bytes;
 * the product is checked for overflow.  Never NULL.  Caller frees with free(). */
void *assay_alloc(size_t count, size_t size);
void *assay_zalloc(size_t count, size_t size);
void *assay_realloc(void *old, size_t count, size_t size);

/* New zeroed object of the type. */
#define ASSAY_NEW(type) ((type *)assay_zalloc(1, sizeof(type)))

/* Makes room for one more item at array[count]; capacity grows by doubling. */
#define ASSAY_GROW(array, count, capacity) \
    ((array) = assay_grow((array), (count), &(capacity), sizeof(*(array))))
void *assay_grow(void *array, size_t count, size_t *capacity, size_t size);

/* Copies; `text` may be NULL (NULL comes back). */
char *assay_strdup(const char *text);
char *assay_strndup(const char *text, size_t length);
void *assay_memdup(const void *bytes, size_t size);

/* A formatted heap string. */
char *assay_format(const char *format, ...) ASSAY_PRINTF(1, 2);
char *assay_vformat(const char *format, va_list args) ASSAY_PRINTF(1, 0);

/* Frees with free() at the end of the scope: assay_auto_free char *s = ...; */
#define assay_auto_free ASSAY_CLEANUP(assay_free_pointer)
void assay_free_pointer(void *pointer_to_pointer);

#endif

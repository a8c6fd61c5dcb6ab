/* Small files, whole: read with a bound, written so that a reader sees the old
 * or the new content and never half.  Blocking; any thread. */
#ifndef ASSAY_COMMON_FILE_H
#define ASSAY_COMMON_FILE_H

#include <sys/types.h>

#include "common/error.h"

/* Reads at most `max_bytes`; a longer file is ASSAY_E_TOO_LARGE, a missing one
 * ASSAY_E_NOT_FOUND.  The text ends in NUL (not counted); caller frees. */
ASSAY_MUST_CHECK assay_status assay_file_read(const char *path, size_t max_bytes, char **ret_text,
                                              size_t *ret_length, struct assay_error *err);
/* As assay_file_read, without a final line end. */
ASSAY_MUST_CHECK assay_status assay_file_read_line(const char *path, char **ret_text,
                                                   struct assay_error *err);
/* Temporary file beside it, fsync, rename. */
ASSAY_MUST_CHECK assay_status assay_file_write(const char *path, const void *bytes, size_t length,
                                               mode_t mode, struct assay_error *err);
/* As assay_file_write without the fsync: a reader sees the old or the new content,
 * but a power cut may lose it.  For what can be made again. */
ASSAY_MUST_CHECK assay_status assay_file_replace(const char *path, const void *bytes,
                                                 size_t length, mode_t mode,
                                                 struct assay_error *err);
/* Makes the directory and its missing parents. */
ASSAY_MUST_CHECK assay_status assay_make_directories(const char *path, mode_t mode,
                                                     struct assay_error *err);
/* Removes a folder with all it holds; does not follow links, stays on the
 * file system.  A missing path is no error. */
ASSAY_MUST_CHECK assay_status assay_remove_tree(const char *path, struct assay_error *err);

void assay_close(int *fd);
#define assay_auto_close ASSAY_CLEANUP(assay_close)

#endif

/* The daemon's data directory and the small files in it.
 *
 *   assayd.lock  held by the daemon that uses the directory, and who that is
 *   token        administrator's token, 0600, made once
 *   url, pid     while a daemon serves
 *   trials-url   likewise: where trials on this machine report
 *   database/    the private PostgreSQL
 *
 * One thread; blocking. */
#ifndef ASSAY_API_DATA_DIR_H
#define ASSAY_API_DATA_DIR_H

#include "common/error.h"

struct assay_data_dir {
    char *path;  /* absolute */
    int lock_fd; /* held */
};

/* Makes the directory (0700) if need be and takes its lock, once a daemon that was killed is
 * wholly gone.  `path` NULL: the user's own.  ASSAY_E_CONFLICT names the daemon that has the
 * lock. */
ASSAY_MUST_CHECK assay_status assay_data_dir_open(const char *path, struct assay_data_dir *ret_dir,
                                                  struct assay_error *err);
void assay_data_dir_close(struct assay_data_dir *dir);

/* Path of a file in it.  Caller frees. */
char *assay_data_dir_file(const struct assay_data_dir *dir, const char *name);
/* The administrator's token; made on first use.  Caller frees. */
ASSAY_MUST_CHECK assay_status assay_data_dir_token(const struct assay_data_dir *dir,
                                                   char **ret_token, struct assay_error *err);
/* One line, whole or not at all. */
ASSAY_MUST_CHECK assay_status assay_data_dir_write(const struct assay_data_dir *dir,
                                                   const char *name, const char *line,
                                                   struct assay_error *err);
void assay_data_dir_remove(const struct assay_data_dir *dir, const char *name);

#endif

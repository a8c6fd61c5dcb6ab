/* Copies a folder with all it holds: files (sharing their blocks where the file system
 * can, holes kept), folders, symbolic links; with permissions and times.  In the runner
 * and not by cp(1), which is in no empty image.  Blocking. */
#ifndef ASSAY_TRIAL_RUNNER_COPY_TREE_H
#define ASSAY_TRIAL_RUNNER_COPY_TREE_H

#include "common/error.h"

/* `to` must not exist.  On failure a part of it may: the caller removes it. */
ASSAY_MUST_CHECK assay_status assay_copy_tree(const char *from, const char *to,
                                              struct assay_error *err);

#endif

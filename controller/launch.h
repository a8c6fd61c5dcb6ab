/* What every executor makes of a launch: the words that ${…} stands for.  Pure. */
#ifndef ASSAY_CONTROLLER_LAUNCH_H
#define ASSAY_CONTROLLER_LAUNCH_H

#include "controller/executor.h"

/* Object of texts: every parameter, then study, trial, attempt and budget; a parameter
 * goes before a word of ours.  New reference. */
json_t *assay_launch_values(const struct assay_launch *launch);

/* `text` with its ${…} replaced, as a JSON string (new reference); `what` names it in
 * errors.  ASSAY_E_INVALID_VALUE. */
ASSAY_MUST_CHECK assay_status assay_launch_substitute(const char *text, const json_t *values,
                                                      const char *what, json_t **ret_text,
                                                      struct assay_error *err);

/* The same for every text of a tree; `pointer` says where it stands.  New reference. */
ASSAY_MUST_CHECK assay_status assay_launch_substitute_tree(const json_t *json,
                                                           const json_t *values,
                                                           const char *pointer, json_t **ret_json,
                                                           struct assay_error *err);

#endif

/* One question to an assay-suggest process of its own, for what must not run in the
 * daemon: the code of a plugin.  A crash or silence of it is an answer.
 *
 * Blocks up to the time-out; any thread. */
#ifndef ASSAY_CONTROLLER_HOST_APART_H
#define ASSAY_CONTROLLER_HOST_APART_H

#include <jansson.h>

#include "common/error.h"

struct assay_suggest_apart {
    const char *program;          /* absolute path of assay-suggest */
    const char *const *arguments; /* NULL-terminated, "--plugin", FILE, ... */
    int64_t timeout_us;
};

/* Runs the program with `mode` added ("--describe", "--check-study"), `input` (NULL =
 * nothing) on its standard input, and hands out the JSON object it printed (a new
 * reference).  ASSAY_E_PLUGIN with what happened when it crashed, fell silent or
 * printed something else; ASSAY_E_IO when it can not be started. */
ASSAY_MUST_CHECK assay_status assay_suggest_apart_ask(const struct assay_suggest_apart *apart,
                                                      const char *mode, const json_t *input,
                                                      json_t **ret_answer,
                                                      struct assay_error *err);

#endif

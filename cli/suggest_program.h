/* assay-suggest as a process: algorithms never run in this one. */
#ifndef ASSAY_CLI_SUGGEST_PROGRAM_H
#define ASSAY_CLI_SUGGEST_PROGRAM_H

#include <jansson.h>

#include "common/error.h"

/* Beside this program; else the PATH decides.  Caller frees. */
char *assay_suggest_program(void);

/* Asks it one question: `mode` is its option ("--simulate"), `question` goes to its
 * standard input, and the JSON it prints is the answer (a new reference).  Blocks until
 * it ends.  ASSAY_E_IO when it can not be started or ends without an answer. */
ASSAY_MUST_CHECK assay_status assay_suggest_ask(const char *mode, const json_t *question,
                                                json_t **ret_answer, struct assay_error *err);

#endif

/* Log lines to standard error, logfmt or JSON.
 *
 * Who logs: main loops, the API's request end, the state machines.  Library
 * functions return errors instead.  Any thread. */
#ifndef ASSAY_COMMON_LOG_H
#define ASSAY_COMMON_LOG_H

#include "common/base.h"

enum assay_log_level { ASSAY_LOG_DEBUG, ASSAY_LOG_INFO, ASSAY_LOG_WARNING, ASSAY_LOG_ERROR };

/* Call once before threads start.  `component` is borrowed for ever. */
void assay_log_init(const char *component, enum assay_log_level level, bool as_json);
bool assay_log_level_parse(const char *name, enum assay_log_level *ret_level);

/* One line.  Put "key=value" pairs of the context first, then the sentence:
 * assay_log_info("study=%s trial=%d", "trial started", ...) is written as
 * assay_log(ASSAY_LOG_INFO, "study=digits trial=3: started"). */
void assay_log(enum assay_log_level level, const char *format, ...) ASSAY_PRINTF(2, 3);

#endif

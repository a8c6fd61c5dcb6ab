/* What assay-suggest answers at once and ends: questions about plugins whose code
 * must not run in the process that asks. */
#ifndef ASSAY_SUGGEST_QUESTIONS_H
#define ASSAY_SUGGEST_QUESTIONS_H

#include <jansson.h>

/* {"algorithms": […], "stopping_rules": […]} of the plugins that are loaded, as
 * assay_registry_algorithms_encode has them.  New reference. */
json_t *assay_question_describe(void);

/* {} when the algorithm of the study file can serve it, else {"fault": "sentence"}.
 * New reference. */
json_t *assay_question_study(const json_t *study);

#endif

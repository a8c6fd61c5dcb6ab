/* Remembers which id a study's name has, so that a report needs no query before
 * it.  An entry may be out of date (the study was deleted): who gets NOT_FOUND
 * for a remembered id forgets it and asks the store.  Any thread. */
#ifndef ASSAY_API_STUDY_NAMES_H
#define ASSAY_API_STUDY_NAMES_H

#include "common/base.h"

struct assay_study_names;

struct assay_study_names *assay_study_names_new(void);
struct assay_study_names *assay_study_names_free(struct assay_study_names *names);

ASSAY_MUST_CHECK bool assay_study_names_get(struct assay_study_names *names, const char *project,
                                            const char *study, int64_t *ret_id);
void assay_study_names_put(struct assay_study_names *names, const char *project, const char *study,
                           int64_t id);
void assay_study_names_forget(struct assay_study_names *names, const char *project,
                              const char *study);

#endif

/* What the files of the study specification share.  Other rooms do not include this. */
#ifndef ASSAY_SCHEMAS_STUDY_INTERNAL_H
#define ASSAY_SCHEMAS_STUDY_INTERNAL_H

#include "schemas/study.h"

extern const char *const assay__goals[]; /* by enum assay_goal, then NULL */

/* `objective`, `objectives` (NULL: not given) and `constraints` of the file. */
void assay__objectives_decode(const json_t *objective, const json_t *objectives,
                              struct assay_study_spec *spec, struct assay_faults *faults);
void assay__constraints_decode(const json_t *constraints, struct assay_study_spec *spec,
                               struct assay_faults *faults);
json_t *assay__objectives_encode(const struct assay_study_spec *spec);
json_t *assay__constraints_encode(const struct assay_study_spec *spec);

/* `early_stopping` (NULL: not given). */
void assay__stopping_decode(const json_t *json, struct assay_stopping_choice *choice,
                            struct assay_faults *faults);
json_t *assay__stopping_encode(const struct assay_stopping_choice *choice);
void assay__stopping_done(struct assay_stopping_choice *choice);

/* `limits` (NULL: not given) on top of the defaults. */
void assay__limits_decode(const json_t *limits, const char *pointer, bool runs_trials,
                          struct assay_limits *ret_limits, struct assay_faults *faults);

/* The section `trial`.  The result may be incomplete when there were faults. */
struct assay_trial_spec *assay__trial_spec_decode(const json_t *trial,
                                                  struct assay_faults *faults);
struct assay_trial_spec *assay__trial_spec_free(struct assay_trial_spec *trial);
json_t *assay__trial_spec_encode(const struct assay_trial_spec *trial);
/* No two parameters become the same environment variable of a trial. */
void assay__check_variables(const struct assay_space *space, struct assay_faults *faults);
/* Faults for each ${name} of the section that is not a member of `names`. */
void assay__trial_spec_check_references(const struct assay_trial_spec *trial, const json_t *names,
                                        struct assay_faults *faults);

/* Calls `visit` for every ${name} of `text` that is no "$${"; false when a "${"
 * has no end. */
bool assay__each_reference(const char *text,
                           void (*visit)(void *arg, const char *name, size_t length), void *arg);

#endif

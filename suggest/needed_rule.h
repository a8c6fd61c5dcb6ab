/* What follows from a study's budget section: the stopping rule that its algorithm relies on
 * when the study names none, and what people should know.
 *
 * `asha` of type stopping gives each trial the whole budget and leaves it to the rule
 * `asha` to end those that fall behind.  `auto` is asha in studies with a budget and one
 * objective. */
#ifndef ASSAY_SUGGEST_NEEDED_RULE_H
#define ASSAY_SUGGEST_NEEDED_RULE_H

#include "schemas/study.h"
#include "suggest/stopping.h"

/* A sentence on what the algorithm makes of the budget where that is not what its name says;
 * NULL: nothing to say.  Caller frees. */
char *assay_budget_note(const struct assay_study_spec *spec);

/* {"name": "asha", "settings": {…}} as the study's early_stopping would have it; NULL
 * when the study has early stopping already or the algorithm needs none.  New reference. */
json_t *assay_needed_rule(const struct assay_study_spec *spec);

/* The rule of a checked study, its own or the one that it needs; NULL: none. */
ASSAY_MUST_CHECK assay_status assay_stopping_for(const struct assay_study_spec *spec,
                                                 struct assay_stopping **ret_stopping,
                                                 struct assay_error *err);

#endif

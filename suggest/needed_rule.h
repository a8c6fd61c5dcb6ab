/* The stopping rule that a study's algorithm relies on when the study names none.
 *
 * `asha` of type stopping gives each trial the whole budget and leaves it to the rule
 * `asha` to end those that fall behind. */
#ifndef ASSAY_SUGGEST_NEEDED_RULE_H
#define ASSAY_SUGGEST_NEEDED_RULE_H

#include "schemas/study.h"

/* {"name": "asha", "settings": {…}} as the study's early_stopping would have it; NULL
 * when the study has early stopping already or the algorithm needs none.  New reference. */
json_t *assay_needed_rule(const struct assay_study_spec *spec);

#endif

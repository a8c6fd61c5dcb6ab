/* What the rest of the room has to know of `asha`'s settings. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_FIDELITY_ASHA_H
#define ASSAY_SUGGEST_ALGORITHMS_FIDELITY_ASHA_H

#include <jansson.h>
#include <stdbool.h>

/* Whether a study is of type promotion, and not of type stopping.  `settings`: with
 * their defaults. */
bool assay_asha_promotes(const json_t *settings, bool resumable);

#endif

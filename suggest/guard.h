/* What holds a trial back from being stopped, whatever the rule: the section's
 * protect_best, checks, warmup_steps and warmup_share (suggest/stopping.h).
 *
 * Memory: at most 6 MiB of columns and about 1 KiB for each live trial, and only when one
 * of them is asked for.  One thread at a time. */
#ifndef ASSAY_SUGGEST_GUARD_H
#define ASSAY_SUGGEST_GUARD_H

#include "schemas/study.h"

struct assay_guard;

/* NULL when the section asks for nothing. */
struct assay_guard *assay_guard_new(const struct assay_stopping_choice *choice, bool maximize);
struct assay_guard *assay_guard_free(struct assay_guard *guard); /* returns NULL */

/* The trial measured, and the rules said `stop` or not; whether it may be stopped now. */
bool assay_guard_allows(struct assay_guard *guard, int64_t number, int64_t step, double value,
                        bool stop);
/* It ended; `kept`: succeeded or stopped, its values are a measure for others. */
void assay_guard_finish(struct assay_guard *guard, int64_t number, bool completed, bool kept);

#endif

/* What an earlier study says of a point: densities of its good and bad trials, as those
 * of the study itself, and how far its word can be trusted.
 *
 * Its word counts as far as it can be trusted (trust.h), and fades as this study's own
 * trials come in.  One thread at a time. */
#ifndef ASSAY_SUGGEST_TPE_SOURCE_H
#define ASSAY_SUGGEST_TPE_SOURCE_H

#include "suggest/algorithms/tpe/density.h"
#include "suggest/algorithms/tpe/ranking.h"

struct assay_tpe_source {
    struct assay_tpe_density good, bad;
    double weight; /* of what it says, at the last `trust`; 0: nothing */
};

/* `layout` and `widths` (of good and bad kernels) as for densities.  False, and nothing
 * to be done away with, when the trials teach nothing. */
bool assay_tpe_source_init(struct assay_tpe_source *source, const struct assay_tpe_layout *layout,
                           const struct assay_tpe_widths widths[2], double good_fraction,
                           const struct assay_plugin_study *study,
                           const struct assay_plugin_source *from);
void assay_tpe_source_done(struct assay_tpe_source *source);

/* Sets the weight by the study's own trials: its good ones and its ended bad ones. */
void assay_tpe_source_trust(struct assay_tpe_source *source, const struct assay_tpe_side *good,
                            const struct assay_tpe_side *bad, size_t n_trials);

/* Adds `weight` times what the source says of each of n points to `logs`. */
void assay_tpe_source_judge(const struct assay_tpe_source *source, double weight,
                            const float *const *points, size_t n, float *logs);

#endif

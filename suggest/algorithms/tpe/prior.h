/* What the user expects of the best point, as a density relative to the uniform one: that of
 * expectation.h over the parameters that are active, 1 where nothing is expected.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_TPE_PRIOR_H
#define ASSAY_SUGGEST_TPE_PRIOR_H

#include "suggest/algorithms/expectation.h"
#include "suggest/algorithms/tpe/density.h"
#include "suggest/algorithms/tpe/ranking.h"

struct assay_tpe_prior {
    struct assay_expectations expectations;
    double strength; /* by how much the logarithm counts, at the last `trust` */
};

/* `layout` is borrowed. */
void assay_tpe_prior_init(struct assay_tpe_prior *prior, const struct assay_tpe_layout *layout);
void assay_tpe_prior_done(struct assay_tpe_prior *prior);

/* Sets the strength: 10 / n after n trials (C. Hvarfner et al., "piBO", ICLR 2022), as
 * far as the good trials and the ended bad ones bear it out (trust.h). */
void assay_tpe_prior_trust(struct assay_tpe_prior *prior, const struct assay_tpe_side *good,
                           const struct assay_tpe_side *bad, size_t n_trials);

double assay_tpe_prior_log(const struct assay_tpe_prior *prior, const float *coordinates);

/* A point drawn from the density; where nothing is expected, uniform. */
void assay_tpe_prior_draw(const struct assay_tpe_prior *prior, struct assay_random *random,
                          double *ret_point);

#endif

/* The built-in stopping rules.  They fill the table of suggest/plugin.h like
 * anyone's. */
#ifndef ASSAY_SUGGEST_RULES_RULES_H
#define ASSAY_SUGGEST_RULES_RULES_H

#include <stddef.h>

#include "suggest/plugin.h"

extern const struct assay_plugin_rule assay_rule_asha;
extern const struct assay_plugin_rule assay_rule_auto;
extern const struct assay_plugin_rule assay_rule_best_median;
extern const struct assay_plugin_rule assay_rule_curve;
extern const struct assay_plugin_rule assay_rule_median;
extern const struct assay_plugin_rule assay_rule_patience;
extern const struct assay_plugin_rule assay_rule_percentile;
extern const struct assay_plugin_rule assay_rule_threshold;
extern const struct assay_plugin_rule assay_rule_wilcoxon;

/* The p of the one-sided signed-rank test that the differences tend to be above 0;
 * 1 <= n <= 1024.  For tests. */
double assay__signed_rank_p(const double *differences, size_t n);

#endif

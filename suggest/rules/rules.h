/* The built-in stopping rules.  They fill the table of suggest/plugin.h like
 * anyone's. */
#ifndef ASSAY_SUGGEST_RULES_RULES_H
#define ASSAY_SUGGEST_RULES_RULES_H

#include "suggest/plugin.h"

extern const struct assay_plugin_rule assay_rule_auto;
extern const struct assay_plugin_rule assay_rule_best_median;
extern const struct assay_plugin_rule assay_rule_median;
extern const struct assay_plugin_rule assay_rule_percentile;

#endif

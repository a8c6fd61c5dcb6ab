/* The built-in algorithms.  They fill the table of suggest/plugin.h like anyone's. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_ALGORITHMS_H
#define ASSAY_SUGGEST_ALGORITHMS_ALGORITHMS_H

#include "suggest/plugin.h"

extern const struct assay_plugin_algorithm assay_algorithm_asha;
extern const struct assay_plugin_algorithm assay_algorithm_auto;
extern const struct assay_plugin_algorithm assay_algorithm_bayesian;
extern const struct assay_plugin_algorithm assay_algorithm_bohb;
extern const struct assay_plugin_algorithm assay_algorithm_cmaes;
extern const struct assay_plugin_algorithm assay_algorithm_grid;
extern const struct assay_plugin_algorithm assay_algorithm_hyperband;
extern const struct assay_plugin_algorithm assay_algorithm_nsga2;
extern const struct assay_plugin_algorithm assay_algorithm_pbt;
extern const struct assay_plugin_algorithm assay_algorithm_random;
extern const struct assay_plugin_algorithm assay_algorithm_sobol;
extern const struct assay_plugin_algorithm assay_algorithm_tpe;

/* Purposes of random streams (common/random.h): never reused, never renumbered,
 * so that a study goes on as it began after an upgrade. */
enum assay_purpose {
    ASSAY_PURPOSE_RANDOM = 1,
    ASSAY_PURPOSE_SOBOL_FALLBACK = 2,
    ASSAY_PURPOSE_SOBOL_SCRAMBLING = 3,
    ASSAY_PURPOSE_GRID_ORDER = 4,
    ASSAY_PURPOSE_TPE = 5,
    ASSAY_PURPOSE_TPE_DRAWN = 6,
    ASSAY_PURPOSE_CMAES = 7,
    ASSAY_PURPOSE_CMAES_CELLS = 8,
    ASSAY_PURPOSE_CMAES_RESTART = 9,
    ASSAY_PURPOSE_NSGA2 = 20,
    ASSAY_PURPOSE_BAYESIAN = 40,
    ASSAY_PURPOSE_BAYESIAN_FALLBACK = 41,
    ASSAY_PURPOSE_AUTO = 60,
    ASSAY_PURPOSE_AUTO_FALLBACK = 61,
    ASSAY_PURPOSE_FIDELITY = 80,
    ASSAY_PURPOSE_PBT = 82,
};

#endif

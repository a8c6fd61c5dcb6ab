/* Simulations as JSON, for `assay-suggest --simulate`: what `assay simulate` and the
 * benches ask.
 *
 *   {"study": {the study file},
 *    "curves": [records, see curves.h],   left out: drawn from a prior
 *    "workers": 8,                        left out: limits.parallel, or 1
 *    "trials": 500,                       left out: limits.trials, or 100
 *    "max_steps": 10000,                  left out: no limit
 *    "until": 0.93,                       ends it at such a value; left out: none
 *    "seconds_per_step": 1, "seconds_spread": 0.25, "start_seconds": 0,
 *    "prior_steps": 100,                  of drawn curves in a study without a budget
 *    "runs": 20,                          seeds from the study's on; left out: 1
 *    "list": true}                        each run lists its trials
 *
 * The answer:
 *
 *   {"curves": {"source": "recorded" | "prior", "count": 1000 | null},
 *    "runs": [as assay_simulation_run says],
 *    "warnings": [sentences]}
 *
 * or {"error": "sentence", "faults": […]}. */
#ifndef ASSAY_SUGGEST_SIMULATE_REQUEST_H
#define ASSAY_SUGGEST_SIMULATE_REQUEST_H

#include <jansson.h>

/* Never NULL.  New reference. */
json_t *assay_simulate_answer(const json_t *request);

#endif

/* One study's algorithm with JSON at its edges: what the worker does for a study,
 * without a process round it.
 *
 * Same specification, same trials told, same numbers asked: same answer, however
 * the telling was cut up.  Points of any algorithm are checked before they leave.
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_PROPOSER_H
#define ASSAY_SUGGEST_PROPOSER_H

#include <jansson.h>

#include "common/error.h"

struct assay_proposer;

#define ASSAY_PROPOSER_ASK_MAX 1000

/* `spec` is the normalised study document, of which parameters, objectives (or
 * objective), constraints, algorithm, seed, budget and limits are looked at; it is
 * not kept.  `sources` (NULL: none) are ended trials of earlier studies in the space
 * of this one, as assay_proposer_tell takes them:
 *   [{"name": "digits-v1", "trials": [{"number": 3, …}]}]
 * ASSAY_E_INVALID_STUDY, or ASSAY_E_PLUGIN when the algorithm fails. */
ASSAY_MUST_CHECK assay_status assay_proposer_new(const json_t *spec, const json_t *sources,
                                                 struct assay_proposer **ret_proposer,
                                                 struct assay_error *err);
struct assay_proposer *assay_proposer_free(struct assay_proposer *proposer); /* returns NULL */

/* Tells trials, new or changed:
 *   [{"number": 3, "state": "succeeded", "parameters": {…}, "values": [0.3],
 *     "constraints": [17.5], "rungs": [0.9, 0.5, null], "budget": 9, "steps": 12,
 *     "forecast": 0.2}]
 * state: "pending" (or queued, running, paused, stopping) or a final state of a
 * trial.  values, constraints: one per objective and per constraint of the study as
 * measured, null where there is none, or null altogether.  rungs: the first
 * objective's value at each budget of assay_rungs (suggest/rungs.h) that the trial
 * has used, as far as it came.  forecast, of a stopped trial: what its first objective would
 * probably have ended with (suggest/forecast.h); the algorithm learns from that in place of
 * what was measured.  constraints, rungs, budget, steps and forecast may be left out.
 * All or nothing:
 * ASSAY_E_INVALID_VALUE, ASSAY_E_PLUGIN. */
ASSAY_MUST_CHECK assay_status assay_proposer_tell(struct assay_proposer *proposer,
                                                  const json_t *trials, struct assay_error *err);

/* Proposes points for 1 to ASSAY_PROPOSER_ASK_MAX different trial numbers >= 1:
 *   [{"number": 17, "parameters": {…}, "why": {"proposed_by": "sobol", …}}]
 * with "budget" where the algorithm chose one; "resume": 7 where the paused trial 7 is
 * to go on to that budget in place of a new trial; "parent": 7 where the new trial
 * starts from the checkpoint of trial 7.  Fewer than asked when the space has
 * no untried point left (`ret_exhausted`), or when the algorithm wants to wait for
 * running trials. */
ASSAY_MUST_CHECK assay_status assay_proposer_ask(struct assay_proposer *proposer,
                                                 const int64_t *numbers, size_t n,
                                                 json_t **ret_trials, bool *ret_exhausted,
                                                 struct assay_error *err);

#endif

/* A study run in simulated time: its algorithm, its stopping rule and a number of
 * workers, on recorded or drawn learning curves (curves.h).
 *
 * A discrete-event engine that does what the daemon does: a free worker asks; the trial
 * reports at every step and the rule answers; a trial that has used its budget pauses
 * when that is less than the whole and the algorithm decides on budgets, and is resumed
 * when the algorithm says so (from where it was, or from the start when the trial keeps
 * no checkpoints); the algorithm is told of every change.  Asking takes no simulated
 * time.  Same specification, curves and options: same result.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_SIMULATE_SIMULATION_H
#define ASSAY_SUGGEST_SIMULATE_SIMULATION_H

#include <jansson.h>

#include "suggest/simulate/curves.h"

struct assay_simulation_options {
    size_t workers;          /* 1 … 100,000 */
    double seconds_per_step; /* where curves do not say; > 0 */
    double seconds_spread;   /* there: standard deviation of its logarithm, by trial */
    double start_seconds;    /* of each start of a process; >= 0 */
    double max_steps;        /* ends the study; +inf = no limit */
    double until;            /* ends it once a value as good has been measured; NaN = none */
    int64_t max_trials;      /* new trials; >= 1 */
    size_t prior_steps;      /* of a drawn curve, in a study without a budget; >= 1 */
    bool trials;             /* list each trial in the result */
};

/* `spec` is a checked specification with its document; `curves` NULL: drawn.  The result:
 *
 *   {"trials": {"begun", "succeeded", "stopped", "paused", "failed", "resumed"},
 *    "steps": {"used", "whole": were every trial run to its end, "saved_percent"},
 *    "time": {"seconds", "worker_seconds", "idle_percent", "idle_percent_worst",
 *             "gpu_hours"},
 *    "best": null | {"number", "value", "whole_value": where its curve ends, "at_step",
 *             "parameters"},
 *    "progress": [{"seconds", "steps", "trials", "value"}]: each time the best improves,
 *    "rule": null | name, "algorithm": name, "seed",
 *    "list": [{"number", "state", "steps", "value", "parameters", "resumed"}]}
 *
 * gpu_hours is null when a trial asks for no GPU.  Idle is what workers wait until the
 * last new trial is begun; past that there is too little to do for all.  New reference.
 * ASSAY_E_PLUGIN or ASSAY_E_INVALID_STUDY from algorithm and rule. */
ASSAY_MUST_CHECK assay_status assay_simulation_run(const struct assay_study_spec *spec,
                                                   const struct assay_replay_curves *curves,
                                                   const struct assay_simulation_options *options,
                                                   json_t **ret_result, struct assay_error *err);

#endif

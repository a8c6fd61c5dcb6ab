/* Learning curves for simulated trials: recorded ones, found by the nearest parameters,
 * or drawn from a prior.
 *
 * A record, as a JSON object (one to a line in a file of them):
 *
 *   {"parameters": {"lr": 0.1},      all active parameters of the study
 *    "values": [0.9, 0.5, null],     of the objective; null, "nan", "inf": not finite
 *    "steps": [1, 2, 3],             increasing, from above 0; left out: 1, 2, 3, …
 *    "seconds": 40.5,                for the whole curve; may be left out
 *    "state": "failed"}              the trial crashed at its end; may be left out
 *
 * A curve that ends before a trial's budget keeps its last value from there on.
 *
 * Immutable once made; any number of threads. */
#ifndef ASSAY_SUGGEST_SIMULATE_CURVES_H
#define ASSAY_SUGGEST_SIMULATE_CURVES_H

#include <jansson.h>

#include "schemas/study.h"

#define ASSAY_CURVES_MAX 1000000
#define ASSAY_CURVE_STEPS_MAX 1000000

struct assay_replay_curve {
    size_t n;
    double *steps, *values;  /* NaN: not a finite number */
    double seconds_per_step; /* NaN: not recorded */
    bool fails;              /* at its last step */
};

struct assay_replay_curves;

/* `records`: an array as above.  `space` is borrowed until free.
 * ASSAY_E_INVALID_VALUE with the index of the first record that does not fit. */
ASSAY_MUST_CHECK assay_status assay_replay_curves_new(const struct assay_space *space,
                                                      const json_t *records,
                                                      struct assay_replay_curves **ret_curves,
                                                      struct assay_error *err);
struct assay_replay_curves *
assay_replay_curves_free(struct assay_replay_curves *curves); /* NULL allowed; returns NULL */

size_t assay_replay_curves_count(const struct assay_replay_curves *curves);
/* The curve whose parameters are nearest in the unit cube (a different choice, or one
 * inactive: 1 apart) of those used least so far; of equals the first.  `uses`: one count
 * per record, of which that of the found one goes up.  So each recorded trial is run
 * once before any is run again, and many trials in one place are not all the same one.
 * Borrowed. */
const struct assay_replay_curve *assay_replay_curves_find(const struct assay_replay_curves *curves,
                                                          const double *point, uint32_t *uses);

/* A curve at the given steps from the prior: a loss that falls from 1 to a level A
 * uniform in [0, 1], A + (1 - A) exp(-(k t)^d) with ln k ~ N(ln 5, 1), ln d ~ N(-0.5,
 * 0.3), t the share of `whole`, and noise of 0.01; turned over when `maximize`.
 * Unrelated to parameters: good for what a study costs, not for what it finds.
 * Done with assay_replay_curve_done. */
void assay_replay_curve_draw(struct assay_replay_curve *curve, uint64_t seed, int64_t number,
                             const double *steps, size_t n, double whole, bool maximize);
void assay_replay_curve_done(struct assay_replay_curve *curve);

/* The value at a step: that of the last one recorded at or before it; NaN before the
 * first. */
double assay_replay_curve_at(const struct assay_replay_curve *curve, double step);

#endif

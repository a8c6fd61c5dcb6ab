/* A study's stopping rule as the daemon holds it: the plugins' instances, joined as the
 * study file says, with the decision as a record and as JSON.
 *
 * `any` stops a trial when one of its rules says so, `all` when each of them does; every
 * rule hears every report.  Then, for the whole section: `warmup_steps`, `warmup_share`
 * (of the median of the last steps of completed trials), `protect_best` (by best value so
 * far, among the ended trials at the same step) and `checks` (measured steps in a row at
 * which the rules said stop) may hold a trial back.
 *
 * A trial's parameters are told before its first report, to the rules that care for them.
 *
 * What a trial that is stopped would have ended with is foretold here, too, as here every
 * measurement is heard: the algorithm is to learn from that.
 *
 * State is a cache: after a restart, report every live trial's measurements, and
 * each ended trial's followed by its end, in any order of trials, and ignore the
 * decisions.  What `checks` had counted of a live trial may then count anew.
 *
 * One thread at a time; no call blocks or grows without bound. */
#ifndef ASSAY_SUGGEST_STOPPING_H
#define ASSAY_SUGGEST_STOPPING_H

#include <jansson.h>

#include "schemas/study.h"
#include "schemas/trial.h"
#include "suggest/plugin.h"

struct assay_stopping;

struct assay_decision {
    bool stop;
    const char *rule;   /* that decided, of `all` the first; borrowed from the registry */
    const char *metric; /* borrowed from the struct assay_stopping */
    double value;       /* NaN: the trial has no finite value */
    double threshold;
    int64_t step;
    uint64_t compared; /* trials behind the threshold; 0: nothing was compared */
    char sentence[ASSAY_PLUGIN_SENTENCE_BYTES];
};

/* Rules, settings and first objective of a checked specification, which must have
 * early stopping. */
ASSAY_MUST_CHECK assay_status assay_stopping_new(const struct assay_study_spec *spec,
                                                 struct assay_stopping **ret_stopping,
                                                 struct assay_error *err);
struct assay_stopping *assay_stopping_free(struct assay_stopping *stopping); /* returns NULL */

/* Name of the rule, or "any", "all".  Lives as long as the process. */
const char *assay_stopping_name(const struct assay_stopping *stopping);

/* Whether any rule wants to know the trials' points. */
bool assay_stopping_wants_points(const struct assay_stopping *stopping);
/* What the trial tries (schemas/point.h).  Before its first report, or not at all; again is
 * no harm. */
void assay_stopping_start(struct assay_stopping *stopping, int64_t number, const double *point);
/* The trial measured its objective; what was decided. */
void assay_stopping_report(struct assay_stopping *stopping, int64_t number, int64_t step,
                           double value, struct assay_decision *ret_decision);
/* What a live trial's objective would end with (suggest/forecast.h); NaN: not known.
 * `ret_trials`: from how many that is learned. */
double assay_stopping_forecast(const struct assay_stopping *stopping, int64_t number,
                               size_t *ret_trials);
/* The trial has ended; no report may follow. */
void assay_stopping_finish(struct assay_stopping *stopping, int64_t number,
                           enum assay_trial_state state);

/* {"rule","metric","value","threshold","step","compared"} for `why.stop` of a trial.
 * New reference. */
json_t *assay_decision_encode(const struct assay_decision *decision);

/* ASSAY_PLUGIN_PENDING, ... of a trial's state. */
uint32_t assay_plugin_state(enum assay_trial_state state);

#endif

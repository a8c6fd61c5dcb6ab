/* What a trial that is stopped early would probably have ended with, learned from the
 * trials of the study that ran to their ends.
 *
 * An algorithm that takes the last measurement of a stopped trial for its result believes
 * the parameters to be worse than they are: the curve was not followed to its end.  The whole
 * trials tell what is missing.  At the step to which the stopped one had come, each of them
 * stood at x and ended at y; the line y = a + b x through these pairs foretells its end.
 * b is the median of the slopes of all pairs, a that of y - b x (P. K. Sen, "Estimates of the
 * regression coefficient based on Kendall's tau", JASA 63, 1968), so one that diverged does
 * not bend the line.  b >= 0, and drawn towards 1 as if two more trials had that slope: at
 * first, what the others still gained is added.  A forecast is never better than the
 * best whole trial: neither a rule nor a user would have stopped that.
 *
 * Memory: 600 bytes for each live trial that has measured something, and for the
 * ASSAY_FORECAST_WHOLE whole ones of the highest numbers; of more than ASSAY_FORECAST_POINTS
 * measurements every second is kept, then every fourth.  After a restart, report and finish
 * again as suggest/stopping.h says.  One thread at a time. */
#ifndef ASSAY_SUGGEST_FORECAST_H
#define ASSAY_SUGGEST_FORECAST_H

#include "schemas/study.h"

#define ASSAY_FORECAST_WHOLE 64
#define ASSAY_FORECAST_WHOLE_MIN 3
#define ASSAY_FORECAST_POINTS 32

struct assay_forecasts;

/* Of the objective only goal and summary are looked at. */
struct assay_forecasts *assay_forecasts_new(const struct assay_objective *objective);
struct assay_forecasts *assay_forecasts_free(struct assay_forecasts *forecasts); /* returns NULL */

/* The trial measured its objective.  What is not finite, or of a step before the last one,
 * is passed over.  O(1). */
void assay_forecasts_report(struct assay_forecasts *forecasts, int64_t number, int64_t step,
                            double value);
/* What a live trial would end with, in the metric's own direction; NaN: it has measured
 * nothing, or fewer than ASSAY_FORECAST_WHOLE_MIN whole trials went on from where it is.
 * `ret_trials`: how many did.  O(WHOLE^2). */
double assay_forecasts_end(const struct assay_forecasts *forecasts, int64_t number,
                           size_t *ret_trials);
/* It has ended; `whole`: by running to its end. */
void assay_forecasts_finish(struct assay_forecasts *forecasts, int64_t number, bool whole);

#endif

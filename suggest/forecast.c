#include "suggest/forecast.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include <gsl/gsl_statistics_double.h>

#include "common/memory.h"

#define SLOPE_TRIALS 2.0
/* A whole trial counts at a step when it measured there, or after half of it. */
#define NEAR_SHARE 0.5

struct point {
    int64_t step;
    double value;
};

struct curve {
    int64_t number;
    struct point points[ASSAY_FORECAST_POINTS];
    size_t n;
    int64_t apart; /* so many steps at least from one point to the next */
    struct point last;
    UT_hash_handle hh;
};

struct assay_forecasts {
    bool maximize;
    enum assay_summary summary;
    struct curve *live;                        /* by number */
    struct curve *whole[ASSAY_FORECAST_WHOLE]; /* by number, ascending */
    size_t n_whole;
    double best; /* end of all whole trials that there were; NaN: none */
};

struct assay_forecasts *
assay_forecasts_new(const struct assay_objective *objective)
{
    struct assay_forecasts *forecasts = ASSAY_NEW(struct assay_forecasts);

    *forecasts = (struct assay_forecasts){
        .maximize = objective->goal == ASSAY_GOAL_MAXIMIZE,
        .summary = objective->summary,
        .best = NAN,
    };
    return forecasts;
}

struct assay_forecasts *
assay_forecasts_free(struct assay_forecasts *forecasts)
{
    struct curve *curve, *next;

    if (forecasts == NULL)
        return NULL;
    HASH_ITER(hh, forecasts->live, curve, next)
    {
        HASH_DEL(forecasts->live, curve);
        free(curve);
    }
    for (size_t i = 0; i < forecasts->n_whole; i++)
        free(forecasts->whole[i]);
    free(forecasts);
    return NULL;
}

static struct curve *
find_live(const struct assay_forecasts *forecasts, int64_t number)
{
    struct curve *curve;

    HASH_FIND(hh, forecasts->live, &number, sizeof number, curve);
    return curve;
}

static struct curve *
add_live(struct assay_forecasts *forecasts, int64_t number)
{
    struct curve *curve = ASSAY_NEW(struct curve);

    *curve = (struct curve){.number = number, .apart = 1, .last = {.step = -1, .value = NAN}};
    HASH_ADD(hh, forecasts->live, number, sizeof curve->number, curve);
    return curve;
}

/* About every second point goes. */
static void
thin(struct curve *curve)
{
    size_t n = 0;

    curve->apart *= 2;
    for (size_t i = 0; i < curve->n; i++) {
        if (n == 0 || curve->points[i].step - curve->points[n - 1].step >= curve->apart)
            curve->points[n++] = curve->points[i];
    }
    curve->n = n;
}

void
assay_forecasts_report(struct assay_forecasts *forecasts, int64_t number, int64_t step,
                       double value)
{
    struct curve *curve = find_live(forecasts, number);

    if (!isfinite(value))
        return;
    if (curve == NULL)
        curve = add_live(forecasts, number);
    if (step < curve->last.step)
        return;
    if (assay_summary_takes(forecasts->summary, curve->last.value, value))
        curve->last.value = value;
    curve->last.step = step;
    while (curve->n == ASSAY_FORECAST_POINTS)
        thin(curve);
    if (curve->n > 0 && step == curve->points[curve->n - 1].step)
        curve->points[curve->n - 1] = curve->last;
    else if (curve->n == 0 || step - curve->points[curve->n - 1].step >= curve->apart)
        curve->points[curve->n++] = curve->last;
}

/* --- the line --- */

/* Where a whole trial stood at the step; false: it measured nothing near it, or had
 * ended by then. */
static bool
stood_at(const struct curve *curve, int64_t step, double *ret_value)
{
    size_t n = curve->n;

    while (n > 0 && curve->points[n - 1].step > step)
        n--;
    if (n == 0 || curve->last.step <= step ||
        (double)curve->points[n - 1].step < NEAR_SHARE * (double)step)
        return false;
    *ret_value = curve->points[n - 1].value;
    return true;
}

static double
slope_of(const double *x, const double *y, size_t n)
{
    double slopes[ASSAY_FORECAST_WHOLE * (ASSAY_FORECAST_WHOLE - 1) / 2];
    double known = (double)n;
    size_t n_slopes = 0;

    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            double slope = (y[i] - y[j]) / (x[i] - x[j]);

            if (isfinite(slope))
                slopes[n_slopes++] = slope;
        }
    }
    if (n_slopes == 0)
        return 1.0;
    return (fmax(gsl_stats_median(slopes, 1, n_slopes), 0.0) * known + SLOPE_TRIALS) /
           (known + SLOPE_TRIALS);
}

double
assay_forecasts_end(const struct assay_forecasts *forecasts, int64_t number, size_t *ret_trials)
{
    const struct curve *curve = find_live(forecasts, number);
    double x[ASSAY_FORECAST_WHOLE], y[ASSAY_FORECAST_WHOLE], slope, end;
    size_t n = 0;

    *ret_trials = 0;
    if (curve == NULL)
        return NAN;
    for (size_t i = 0; i < forecasts->n_whole; i++) {
        if (stood_at(forecasts->whole[i], curve->last.step, &x[n]))
            y[n++] = forecasts->whole[i]->last.value;
    }
    if (n < ASSAY_FORECAST_WHOLE_MIN)
        return NAN;
    *ret_trials = n;
    slope = slope_of(x, y, n);
    for (size_t i = 0; i < n; i++)
        y[i] -= slope * x[i];
    end = gsl_stats_median(y, 1, n) + slope * curve->last.value;
    if (!isfinite(end))
        return NAN;
    return forecasts->maximize ? fmin(end, forecasts->best) : fmax(end, forecasts->best);
}

/* --- the end --- */

static void
keep_whole(struct assay_forecasts *forecasts, struct curve *curve)
{
    struct curve **whole = forecasts->whole;
    size_t at;

    forecasts->best = forecasts->maximize ? fmax(forecasts->best, curve->last.value)
                                          : fmin(forecasts->best, curve->last.value);
    if (forecasts->n_whole == ASSAY_FORECAST_WHOLE) {
        if (curve->number < whole[0]->number) {
            free(curve);
            return;
        }
        free(whole[0]);
        memmove(whole, whole + 1, --forecasts->n_whole * sizeof *whole);
    }
    for (at = forecasts->n_whole++; at > 0 && whole[at - 1]->number > curve->number; at--)
        whole[at] = whole[at - 1];
    whole[at] = curve;
}

void
assay_forecasts_finish(struct assay_forecasts *forecasts, int64_t number, bool whole)
{
    struct curve *curve = find_live(forecasts, number);

    if (curve == NULL)
        return;
    HASH_DEL(forecasts->live, curve);
    if (whole)
        keep_whole(forecasts, curve);
    else
        free(curve);
}

#include "suggest/algorithms/bayesian/lbfgs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define ARMIJO 1e-4
#define BACKTRACKS_MAX 12

static double
dot(const double *a, const double *b, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double
clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

void
assay_lbfgs_init(struct assay_lbfgs *search, size_t n, const double *from, const double *low,
                 const double *high, const struct assay_lbfgs_limits *limits)
{
    *search = (struct assay_lbfgs){
        .n = n,
        .limits = *limits,
        .low = low,
        .high = high,
        .value = INFINITY,
        .x = assay_zalloc((2 * ASSAY_LBFGS_MEMORY + 4) * n + 1, sizeof *search->x),
        .last_gain = INFINITY,
    };
    search->trial = search->x + n;
    search->gradient = search->trial + n;
    search->direction = search->gradient + n;
    search->steps = search->direction + n;
    search->changes = search->steps + ASSAY_LBFGS_MEMORY * n;
    for (size_t i = 0; i < n; i++)
        search->x[i] = search->trial[i] = clamp(from[i], low[i], high[i]);
}

void
assay_lbfgs_done(struct assay_lbfgs *search)
{
    free(search->x);
    *search = (struct assay_lbfgs){0};
}

/* Held at a bound: the way downhill leads out of the box. */
static bool
is_held(const struct assay_lbfgs *search, size_t i)
{
    return (search->x[i] <= search->low[i] && search->gradient[i] > 0.0) ||
           (search->x[i] >= search->high[i] && search->gradient[i] < 0.0);
}

static bool
is_flat(const struct assay_lbfgs *search)
{
    for (size_t i = 0; i < search->n; i++) {
        double to = clamp(search->x[i] - search->gradient[i], search->low[i], search->high[i]);

        if (fabs(to - search->x[i]) > search->limits.tolerance)
            return false;
    }
    return true;
}

static void
remember(struct assay_lbfgs *search, const double *gradient)
{
    size_t n = search->n;
    double *step = &search->steps[search->next * n], *change = &search->changes[search->next * n];
    double curvature;

    for (size_t i = 0; i < n; i++) {
        step[i] = search->trial[i] - search->x[i];
        change[i] = gradient[i] - search->gradient[i];
    }
    curvature = dot(step, change, n);
    if (curvature <= 1e-10 * sqrt(dot(step, step, n) * dot(change, change, n)))
        return;
    search->curvature[search->next] = curvature;
    search->next = (search->next + 1) % ASSAY_LBFGS_MEMORY;
    search->stored = ASSAY_MIN(search->stored + 1, (size_t)ASSAY_LBFGS_MEMORY);
}

/* The two-loop recursion (Nocedal 1980) on the free variables. */
static void
find_direction(struct assay_lbfgs *search)
{
    size_t n = search->n, k = search->next;
    double *d = search->direction, shares[ASSAY_LBFGS_MEMORY];

    for (size_t i = 0; i < n; i++)
        d[i] = is_held(search, i) ? 0.0 : -search->gradient[i];
    for (size_t m = 0; m < search->stored; m++) {
        k = (k + ASSAY_LBFGS_MEMORY - 1) % ASSAY_LBFGS_MEMORY;
        shares[k] = dot(&search->steps[k * n], d, n) / search->curvature[k];
        for (size_t i = 0; i < n; i++)
            d[i] -= shares[k] * search->changes[k * n + i];
    }
    if (search->stored > 0) {
        size_t last = (search->next + ASSAY_LBFGS_MEMORY - 1) % ASSAY_LBFGS_MEMORY;
        const double *change = &search->changes[last * n];
        double scale = search->curvature[last] / dot(change, change, n);

        for (size_t i = 0; i < n; i++)
            d[i] *= scale;
    }
    for (size_t m = 0; m < search->stored; m++) {
        double share = dot(&search->changes[k * n], d, n) / search->curvature[k];

        for (size_t i = 0; i < n; i++)
            d[i] += (shares[k] - share) * search->steps[k * n + i];
        k = (k + 1) % ASSAY_LBFGS_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_held(search, i))
            d[i] = 0.0;
    }
}

static void
place_trial(struct assay_lbfgs *search)
{
    for (size_t i = 0; i < search->n; i++)
        search->trial[i] = clamp(search->x[i] + search->length * search->direction[i],
                                 search->low[i], search->high[i]);
}

/* A new line from x. */
static void
set_out(struct assay_lbfgs *search)
{
    double norm;

    find_direction(search);
    if (dot(search->direction, search->gradient, search->n) >= 0.0) {
        search->stored = 0;
        find_direction(search);
    }
    norm = sqrt(dot(search->direction, search->direction, search->n));
    search->length = 1.0;
    if (search->stored == 0 && norm > search->limits.first_step)
        search->length = search->limits.first_step / norm;
    search->backtracks = 0;
    if (norm == 0.0)
        search->done = true;
    else
        place_trial(search);
}

static void
accept(struct assay_lbfgs *search, double value, const double *gradient)
{
    double gain = search->value - value;

    if (isfinite(search->value))
        remember(search, gradient);
    memcpy(search->x, search->trial, search->n * sizeof *search->x);
    memcpy(search->gradient, gradient, search->n * sizeof *gradient);
    search->value = value;
    if (is_flat(search) || gain + search->last_gain < search->limits.least_gain)
        search->done = true;
    search->last_gain = gain;
    if (!search->done)
        set_out(search);
}

/* Shortens the step to the minimum of the parabola through what is known of the line. */
static void
step_back(struct assay_lbfgs *search, double value, double slope)
{
    double factor = 0.1;

    if (++search->backtracks > BACKTRACKS_MAX) {
        if (search->stored == 0) {
            search->done = true;
            return;
        }
        search->stored = 0; /* once more along the gradient */
        set_out(search);
        return;
    }
    if (isfinite(value)) {
        double excess = value - search->value - slope;

        factor = clamp(excess > 0.0 ? -0.5 * slope / excess : 0.5, 0.1, 0.5);
    }
    search->length *= factor;
    place_trial(search);
}

void
assay_lbfgs_tell(struct assay_lbfgs *search, double value, const double *gradient)
{
    double slope = 0.0;

    ASSAY_ASSERT(!search->done);
    search->evaluated++;
    for (size_t i = 0; i < search->n && isfinite(search->value); i++)
        slope += search->gradient[i] * (search->trial[i] - search->x[i]);
    if (!isfinite(search->value) && !isfinite(value))
        search->done = true;
    else if (!isfinite(search->value) || value <= search->value + ARMIJO * slope)
        accept(search, value, gradient);
    else
        step_back(search, value, slope);
    if (search->evaluated >= search->limits.evaluations)
        search->done = true;
}

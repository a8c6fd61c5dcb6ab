#include "suggest/algorithms/bayesian/warp.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"

/* Values up to here have squares and differences of any number of terms. */
#define UNITS_MAX 1e6
#define MIDDLE_OF 20

static const double strengths[ASSAY_GP_WARPS] = {0.0, 0.5, 2.0, 8.0, 32.0, 128.0, 512.0};

/* Where y lies between the best (0) and the median (1); halved against overflow. */
static double
place(const struct assay_gp_warp *warp, double y)
{
    double t = (y / 2.0 - warp->best / 2.0) / (warp->unit / 2.0);

    if (t > UNITS_MAX)
        return UNITS_MAX * (1.0 + log(t / UNITS_MAX));
    if (t < -UNITS_MAX && warp->kind != ASSAY_GP_OBJECTIVE)
        return -UNITS_MAX * (1.0 + log(-t / UNITS_MAX));
    return t;
}

static double
shape(const struct assay_gp_warp *warp, double t)
{
    if (warp->strength <= 0.0)
        return t;
    if (t < 0.0 && warp->kind != ASSAY_GP_OBJECTIVE)
        return -log1p(warp->strength * -t) / log1p(warp->strength);
    /* Below the best, as a prediction may be, it goes on as a straight line. */
    if (t < 0.0)
        return warp->strength * t / log1p(warp->strength);
    return log1p(warp->strength * t) / log1p(warp->strength);
}

size_t
assay_gp_warp_count(enum assay_gp_values kind)
{
    static const size_t counts[] = {
        [ASSAY_GP_OBJECTIVE] = ASSAY_GP_WARPS, [ASSAY_GP_BOUND] = 4, [ASSAY_GP_LABEL] = 1};

    return counts[kind];
}

double
assay_gp_warp_middle(enum assay_gp_values kind, const double *y, size_t n)
{
    double sorted[MIDDLE_OF];

    n = ASSAY_MIN(n, (size_t)MIDDLE_OF);
    for (size_t i = 0; i < n; i++)
        sorted[i] = kind == ASSAY_GP_OBJECTIVE ? y[i] : fabs(y[i]);
    qsort(sorted, n, sizeof *sorted, assay_compare_doubles);
    return sorted[n / 2];
}

static void
set_unit(struct assay_gp_warp *warp, double middle, const double *y, size_t n)
{
    double worst = y[0];

    warp->best = y[0];
    for (size_t i = 1; i < n; i++) {
        warp->best = fmin(warp->best, y[i]);
        worst = fmax(worst, y[i]);
    }
    if (warp->kind != ASSAY_GP_OBJECTIVE)
        warp->best = 0.0;
    if (middle <= warp->best)
        middle = worst;
    warp->unit = fmin(middle / 2.0 - warp->best / 2.0, DBL_MAX / 4.0) * 2.0;
    if (!(warp->unit > DBL_MIN))
        warp->unit = 1.0;
}

void
assay_gp_warp_init(struct assay_gp_warp *warp, enum assay_gp_values kind, size_t index,
                   double middle, const double *y, size_t n)
{
    double squares = 0.0;

    ASSAY_ASSERT(index < assay_gp_warp_count(kind) && n > 0);
    *warp = (struct assay_gp_warp){.kind = kind, .strength = strengths[index], .spread = 1.0};
    set_unit(warp, middle, y, n);
    for (size_t i = 0; i < n; i++)
        warp->mean += shape(warp, place(warp, y[i])) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double g = shape(warp, place(warp, y[i]));

        squares += (g - warp->mean) * (g - warp->mean) / (double)n;
    }
    if (squares > 1e-24)
        warp->spread = sqrt(squares);
}

double
assay_gp_warp_apply(const struct assay_gp_warp *warp, double y)
{
    return (shape(warp, place(warp, y)) - warp->mean) / warp->spread;
}

/* The t of a g. */
static double
unshape(const struct assay_gp_warp *warp, double g)
{
    double c = warp->strength;

    if (c <= 0.0)
        return g;
    if (g < 0.0 && warp->kind != ASSAY_GP_OBJECTIVE)
        return -expm1(-g * log1p(c)) / c;
    return g < 0.0 ? g * log1p(c) / c : expm1(g * log1p(c)) / c;
}

double
assay_gp_warp_invert(const struct assay_gp_warp *warp, double z)
{
    double t = unshape(warp, z * warp->spread + warp->mean);

    if (t > UNITS_MAX)
        t = UNITS_MAX * exp(t / UNITS_MAX - 1.0);
    else if (t < -UNITS_MAX && warp->kind != ASSAY_GP_OBJECTIVE)
        t = -UNITS_MAX * exp(-t / UNITS_MAX - 1.0);
    return warp->best + t * warp->unit;
}

double
assay_gp_warp_log_slope(const struct assay_gp_warp *warp, double y)
{
    double t = place(warp, y), slope = -log(warp->spread) - log(warp->unit);

    if (warp->kind != ASSAY_GP_OBJECTIVE)
        t = fabs(t);
    if (warp->strength > 0.0)
        slope += log(warp->strength / log1p(warp->strength)) -
                 (t > 0.0 ? log1p(warp->strength * t) : 0.0);
    return t > UNITS_MAX ? slope + 1.0 - t / UNITS_MAX : slope;
}

#include "suggest/algorithms/bayesian/improvement.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "common/random.h"
#include "suggest/algorithms/bayesian/acquisition.h"
#include "suggest/pareto/boxes.h"

#define DIRECTIONS 128
#define OPTIMISM 1.8
/* Width of the bend at no improvement, as a share of the mean of the bests. */
#define BEND 0.01
#define SCALE_MIN 1e-6
/* With every cut farther below than this, or a smaller sum, terms are taken as logarithms. */
#define TAIL (-5.0)
#define SUM_MIN 1e-200
#define NEGLIGIBLE (-25.0)
#define SQRT_1_2PI 0.39894228040143267794

/* --- making it --- */

/* The finite bounds of the boxes in objective j, sorted, each once. */
static void
set_cuts(struct assay_gp_front *front, const struct assay_pareto_boxes *boxes, size_t j)
{
    double *cuts = assay_alloc(2 * boxes->n + 1, sizeof *cuts);
    size_t n = 0, distinct = 0;

    for (size_t i = 0; i < boxes->n; i++) {
        if (isfinite(boxes->lower[i * front->m + j]))
            cuts[n++] = boxes->lower[i * front->m + j];
        cuts[n++] = boxes->upper[i * front->m + j];
    }
    qsort(cuts, n, sizeof *cuts, assay_compare_doubles);
    for (size_t i = 0; i < n; i++) {
        if (distinct == 0 || cuts[i] > cuts[distinct - 1])
            cuts[distinct++] = cuts[i];
    }
    front->cuts[j] = cuts;
    front->n_cuts[j] = distinct;
}

static uint32_t
cut_index(const struct assay_gp_front *front, size_t j, double bound)
{
    const double *found;

    if (!isfinite(bound))
        return 0;
    found = bsearch(&bound, front->cuts[j], front->n_cuts[j], sizeof bound, assay_compare_doubles);
    ASSAY_ASSERT(found != NULL);
    return (uint32_t)(found - front->cuts[j]) + 1;
}

static void
set_boxes(struct assay_gp_front *front, const double *values, size_t n, const double *reference)
{
    struct assay_pareto_boxes boxes;
    size_t m = front->m;

    assay_pareto_boxes_init(&boxes, values, n, m, reference);
    for (size_t j = 0; j < m; j++)
        set_cuts(front, &boxes, j);
    front->n_boxes = boxes.n;
    front->lower = assay_alloc(boxes.n * m + 1, sizeof *front->lower);
    front->upper = assay_alloc(boxes.n * m + 1, sizeof *front->upper);
    for (size_t i = 0; i < boxes.n * m; i++) {
        front->lower[i] = cut_index(front, i % m, boxes.lower[i]);
        front->upper[i] = cut_index(front, i % m, boxes.upper[i]);
    }
    assay_pareto_boxes_done(&boxes);
}

static double
scalarise(const struct assay_gp_front *front, size_t w, const double *y, size_t *ret_least)
{
    double least = INFINITY;

    for (size_t j = 0; j < front->m; j++) {
        double s = (front->reference[j] - y[j]) / front->directions[w * front->m + j];

        if (s < least) {
            least = s;
            *ret_least = j;
        }
    }
    return least;
}

static double
power(double s, size_t m)
{
    return s > 0.0 ? pow(s, (double)m) : 0.0;
}

/* Directions evenly over the positive part of the sphere. */
static void
set_directions(struct assay_gp_front *front, const double *values, size_t n)
{
    size_t m = front->m, least;
    struct assay_random random;

    front->n_directions = DIRECTIONS;
    front->directions = assay_alloc(DIRECTIONS * m, sizeof *front->directions);
    front->bests = assay_alloc(DIRECTIONS, sizeof *front->bests);
    assay_random_init(&random, 0, m, 0);
    for (size_t w = 0; w < DIRECTIONS; w++) {
        double *direction = &front->directions[w * m], square = 0.0;

        for (size_t j = 0; j < m; j++) {
            direction[j] = fmax(fabs(assay_random_normal(&random)), 1e-3);
            square += direction[j] * direction[j];
        }
        for (size_t j = 0; j < m; j++)
            direction[j] /= sqrt(square);
        front->bests[w] = 0.0;
        for (size_t i = 0; i < n; i++)
            front->bests[w] =
                fmax(front->bests[w], power(scalarise(front, w, &values[i * m], &least), m));
        front->scale += front->bests[w] / DIRECTIONS;
    }
    front->scale = fmax(front->scale, SCALE_MIN);
}

void
assay_gp_front_init(struct assay_gp_front *front, const double *values, size_t n, size_t m,
                    const double *reference)
{
    ASSAY_ASSERT(m >= 2);
    *front = (struct assay_gp_front){.m = m, .reference = assay_alloc(m, sizeof(double))};
    memcpy(front->reference, reference, m * sizeof *reference);
    if (m <= ASSAY_GP_BOXES_OBJECTIVES_MAX)
        set_boxes(front, values, n, reference);
    else
        set_directions(front, values, n);
}

void
assay_gp_front_done(struct assay_gp_front *front)
{
    for (size_t j = 0; j < ASSAY_GP_BOXES_OBJECTIVES_MAX; j++)
        free(front->cuts[j]);
    free(front->lower);
    free(front->upper);
    free(front->reference);
    free(front->directions);
    free(front->bests);
    *front = (struct assay_gp_front){0};
}

/* Of each cut three figures, an open bound's 0 in front of them; and one of each box. */
size_t
assay_gp_front_scratch(const struct assay_gp_front *front)
{
    size_t n = front->n_boxes + 2 * front->m;

    for (size_t j = 0; j < front->m && j < ASSAY_GP_BOXES_OBJECTIVES_MAX; j++)
        n += 3 * (front->n_cuts[j] + 1);
    return n + front->n_directions;
}

/* --- boxes --- */

/* psi, Phi and phi at the cuts of each objective, in one scale. */
struct figures {
    double *psi[ASSAY_GP_BOXES_OBJECTIVES_MAX], *cdf[ASSAY_GP_BOXES_OBJECTIVES_MAX];
    double *density[ASSAY_GP_BOXES_OBJECTIVES_MAX];
    double *boxes;
};

static struct figures
figures_in(const struct assay_gp_front *front, double *scratch)
{
    struct figures figures;

    for (size_t j = 0; j < front->m; j++) {
        size_t n = front->n_cuts[j] + 1;

        figures.psi[j] = scratch;
        figures.cdf[j] = scratch + n;
        figures.density[j] = scratch + 2 * n;
        scratch += 3 * n;
    }
    figures.boxes = scratch;
    return figures;
}

/* In units of sd h at the last cut; returns the logarithm of that unit.  NaN where the
 * whole objective lies in the tail. */
static double
set_figures(const struct assay_gp_front *front, size_t j, double mean, double sd,
            const struct figures *figures)
{
    size_t n = front->n_cuts[j];
    double *psi = figures->psi[j], *cdf = figures->cdf[j], *density = figures->density[j], unit;

    if ((front->cuts[j][n - 1] - mean) / sd < TAIL)
        return NAN;
    psi[0] = cdf[0] = density[0] = 0.0;
    for (size_t i = 0; i < n; i++) {
        double u = (front->cuts[j][i] - mean) / sd;

        psi[i + 1] = cdf[i + 1] = density[i + 1] = 0.0;
        if (u < NEGLIGIBLE)
            continue;
        density[i + 1] = SQRT_1_2PI * exp(-0.5 * u * u);
        cdf[i + 1] = 0.5 * erfc(-u * M_SQRT1_2);
        psi[i + 1] = density[i + 1] + u * cdf[i + 1];
    }
    unit = 1.0 / psi[n];
    for (size_t i = 1; i <= n; i++) {
        psi[i] *= unit;
        cdf[i] *= unit;
        density[i] *= unit;
    }
    return log(sd) - log(unit);
}

/* Adds a box's product to the sum, and its slopes. */
static double
add_box(const struct assay_gp_front *front, size_t box, const struct figures *figures,
        double *by_means, double *by_sds)
{
    size_t m = front->m;
    const uint32_t *lower = &front->lower[box * m], *upper = &front->upper[box * m];
    double sides[ASSAY_GP_BOXES_OBJECTIVES_MAX], product = 1.0;

    for (size_t j = 0; j < m; j++) {
        sides[j] = figures->psi[j][upper[j]] - figures->psi[j][lower[j]];
        product *= sides[j];
    }
    for (size_t j = 0; j < m && by_means != NULL; j++) {
        double rest = 1.0;

        for (size_t i = 0; i < m; i++)
            rest *= i == j ? 1.0 : sides[i];
        by_means[j] -= rest * (figures->cdf[j][upper[j]] - figures->cdf[j][lower[j]]);
        by_sds[j] += rest * (figures->density[j][upper[j]] - figures->density[j][lower[j]]);
    }
    return product;
}

/* As logarithms: ln h, Phi / h and phi / h at the cuts. */
static double
set_logs(const struct assay_gp_front *front, size_t j, double mean, double sd,
         const struct figures *figures)
{
    figures->psi[j][0] = -INFINITY;
    figures->cdf[j][0] = figures->density[j][0] = 0.0;
    for (size_t i = 0; i < front->n_cuts[j]; i++)
        figures->psi[j][i + 1] = assay_gp_log_h_ratios(
            (front->cuts[j][i] - mean) / sd, &figures->cdf[j][i + 1], &figures->density[j][i + 1]);
    return log(sd);
}

/* The logarithm of one side, with its slopes times sd. */
static double
log_side(const struct figures *figures, size_t j, uint32_t lower, uint32_t upper,
         double *ret_by_mean, double *ret_by_sd)
{
    double ratio = exp(figures->psi[j][lower] - figures->psi[j][upper]), left = 1.0 - ratio;

    *ret_by_mean = *ret_by_sd = 0.0;
    if (!(left > 0.0))
        return -INFINITY;
    *ret_by_mean = -(figures->cdf[j][upper] - ratio * figures->cdf[j][lower]) / left;
    *ret_by_sd = (figures->density[j][upper] - ratio * figures->density[j][lower]) / left;
    return figures->psi[j][upper] + log1p(-ratio);
}

static double
worth_by_logs(const struct assay_gp_front *front, const double *means, const double *sds,
              double *scratch, double *ret_by_means, double *ret_by_sds)
{
    struct figures figures = figures_in(front, scratch);
    double units = 0.0, highest = -INFINITY, sum = 0.0, by_mean, by_sd;
    size_t m = front->m;

    for (size_t j = 0; j < m; j++)
        units += set_logs(front, j, means[j], sds[j], &figures);
    for (size_t i = 0; i < front->n_boxes; i++) {
        double total = 0.0;

        for (size_t j = 0; j < m; j++)
            total += log_side(&figures, j, front->lower[i * m + j], front->upper[i * m + j],
                              &by_mean, &by_sd);
        figures.boxes[i] = total;
        highest = fmax(highest, total);
    }
    for (size_t i = 0; i < front->n_boxes; i++)
        sum += exp(figures.boxes[i] - highest);
    for (size_t j = 0; j < m && ret_by_means != NULL; j++)
        ret_by_means[j] = ret_by_sds[j] = 0.0;
    for (size_t i = 0; i < front->n_boxes && ret_by_means != NULL; i++) {
        double share = exp(figures.boxes[i] - highest) / sum;

        for (size_t j = 0; j < m && share > 0.0; j++) {
            (void)log_side(&figures, j, front->lower[i * m + j], front->upper[i * m + j], &by_mean,
                           &by_sd);
            ret_by_means[j] += share * by_mean / sds[j];
            ret_by_sds[j] += share * by_sd / sds[j];
        }
    }
    return units + highest + log(sum);
}

static double
worth_by_boxes(const struct assay_gp_front *front, const double *means, const double *sds,
               double *scratch, double *ret_by_means, double *ret_by_sds)
{
    struct figures figures = figures_in(front, scratch);
    double units = 0.0, sum = 0.0;

    for (size_t j = 0; j < front->m; j++)
        units += set_figures(front, j, means[j], sds[j], &figures);
    for (size_t j = 0; j < front->m && ret_by_means != NULL; j++)
        ret_by_means[j] = ret_by_sds[j] = 0.0;
    for (size_t i = 0; i < front->n_boxes && isfinite(units); i++)
        sum += add_box(front, i, &figures, ret_by_means, ret_by_sds);
    if (!isfinite(units) || !(sum > SUM_MIN))
        return worth_by_logs(front, means, sds, scratch, ret_by_means, ret_by_sds);
    for (size_t j = 0; j < front->m && ret_by_means != NULL; j++) {
        ret_by_means[j] /= sum * sds[j];
        ret_by_sds[j] /= sum * sds[j];
    }
    return units + log(sum);
}

/* --- scalarisations --- */

/* ln ln(1 + e^x) with its derivative. */
static double
log_softplus(double x, double *ret_slope)
{
    double soft = x > 30.0 ? x : log1p(exp(x));

    if (x < -30.0) {
        *ret_slope = 1.0;
        return x;
    }
    *ret_slope = 1.0 / ((1.0 + exp(-x)) * soft);
    return log(soft);
}

/* The logarithm of one direction's improvement over `scale`, its slope by s. */
static double
log_gain(const struct assay_gp_front *front, size_t w, double s, double *ret_slope)
{
    double bend = BEND * front->scale, m = (double)front->m, slope;
    double gain = s > 0.0 ? pow(s, m) - front->bests[w] : m * s - front->bests[w];
    double worth = log_softplus(gain / bend, &slope);

    *ret_slope = slope / bend * (s > 0.0 ? m * pow(s, m - 1.0) : m);
    return worth + log(bend);
}

static double
worth_by_directions(const struct assay_gp_front *front, const double *means, const double *sds,
                    double *scratch, double *ret_by_means, double *ret_by_sds)
{
    size_t m = front->m, least = 0;
    double *y = scratch, *gains = scratch + m, highest = -INFINITY, sum = 0.0, slope;

    for (size_t j = 0; j < m; j++)
        y[j] = means[j] - OPTIMISM * sds[j];
    for (size_t w = 0; w < front->n_directions; w++) {
        gains[w] = log_gain(front, w, scalarise(front, w, y, &least), &slope);
        highest = fmax(highest, gains[w]);
    }
    for (size_t w = 0; w < front->n_directions; w++)
        sum += exp(gains[w] - highest);
    for (size_t j = 0; j < m && ret_by_means != NULL; j++)
        ret_by_means[j] = ret_by_sds[j] = 0.0;
    for (size_t w = 0; w < front->n_directions && ret_by_means != NULL; w++) {
        double s = scalarise(front, w, y, &least), by;

        (void)log_gain(front, w, s, &slope);
        by = -exp(gains[w] - highest) / sum * slope / front->directions[w * m + least];
        ret_by_means[least] += by;
        ret_by_sds[least] -= OPTIMISM * by;
    }
    return highest + log(sum / (double)front->n_directions);
}

double
assay_gp_front_worth(const struct assay_gp_front *front, const double *means, const double *sds,
                     double *scratch, double *ret_by_means, double *ret_by_sds)
{
    return front->m <= ASSAY_GP_BOXES_OBJECTIVES_MAX
               ? worth_by_boxes(front, means, sds, scratch, ret_by_means, ret_by_sds)
               : worth_by_directions(front, means, sds, scratch, ret_by_means, ret_by_sds);
}

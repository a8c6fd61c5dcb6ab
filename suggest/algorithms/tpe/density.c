#include "suggest/algorithms/tpe/density.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"

/* Of the width of even kernels, for one that only keeps others off its place. */
#define NARROW 0.3
/* How wide a draw from several kernels is, of the narrowest of them. */
#define BLEND 0.7
#define SQRT_HALF_PI 1.25331413731550025121
#define ERF_END 4.0
/* A product of masses is put away as a logarithm before it underflows. */
#define MASS_LEAST 1e-200

typedef float lanes __attribute__((vector_size(ASSAY_TPE_LANES * sizeof(float)), aligned(4)));
typedef int32_t masks __attribute__((vector_size(ASSAY_TPE_LANES * sizeof(int32_t))));

/* The wider registers give the same bits: every lane is on its own, and nothing is
 * fused.  Sanitizers and clones do not go together: clones are chosen before the
 * sanitizer is up. */
#if defined __x86_64__ && defined __GLIBC__ && !ASSAY_SANITIZED
#define WIDER_REGISTERS __attribute__((target_clones("avx2", "default")))
#else
#define WIDER_REGISTERS
#endif

/* --- vectors --- */

union bits {
    lanes number;
    masks mask;
};

/* Vectors come and go by pointer: how they are passed depends on the registers. */
static inline lanes *
at(float *numbers)
{
    return (lanes *)(void *)numbers;
}

static inline const lanes *
at_const(const float *numbers)
{
    return (const lanes *)(const void *)numbers;
}

/* Makes exp(x) of x <= 0, to about 2e-7 of itself and 0 below -87: a power of two by
 * the bits of the exponent times a polynomial (that of S. L. Moshier's Cephes). */
static inline __attribute__((always_inline)) void
exp_in_place(lanes *x)
{
    masks kept = *x > -87.0f;
    union bits from = {.number = *x}, power;
    lanes n, r, p;

    from.mask &= kept;
    /* Rounds to the nearest whole number: the sum leaves no bits for a fraction. */
    n = (from.number * 1.44269504f + 12582912.0f) - 12582912.0f;
    r = (from.number - n * 0.693359375f) + n * 2.12194440e-4f;
    p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    power.mask = (__builtin_convertvector(n, masks) + 127) << 23;
    power.number *= p;
    power.mask &= kept;
    *x = power.number;
}

/* Makes erf(x) of x >= 0, to about 2e-7 (C. Hastings' formula; M. Abramowitz, I. A. Stegun,
 * "Handbook of mathematical functions", 7.1.26). */
static inline __attribute__((always_inline)) void
erf_in_place(lanes *x)
{
    lanes t = 1.0f / (*x * 0.3275911f + 1.0f), tail = -(*x * *x), p;

    p = 1.061405429f * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    exp_in_place(&tail);
    *x = 1.0f - p * t * tail;
}

/* Masses (see mass_of) of continuous kernels of one width. */
WIDER_REGISTERS static void
even_masses(const float *centres, size_t n, float sigma, float *ret_masses)
{
    float scale = 1.0f / (sigma * 1.41421356f), height = sigma * 1.25331414f;

    for (size_t k = 0; k < n; k += ASSAY_TPE_LANES) {
        lanes left = *at_const(&centres[k]) * scale, right = scale - left;

        erf_in_place(&left);
        erf_in_place(&right);
        *at(&ret_masses[k]) = (left + right) * height;
    }
}

/* Mass of a kernel over n cells. */
WIDER_REGISTERS static float
mass_of_cells(const float *centres, const float *widths, size_t n, float centre, float scale)
{
    lanes sum = {0};
    float total = 0.0f;

    for (size_t c = 0; c < n; c += ASSAY_TPE_LANES) {
        lanes z = (*at_const(&centres[c]) - centre) * scale, bell = -(z * z);

        exp_in_place(&bell);
        sum += bell * *at_const(&widths[c]);
    }
    for (size_t j = 0; j < ASSAY_TPE_LANES; j++)
        total += sum[j];
    return total;
}

/* --- layout --- */

static void
make_cells(const struct assay_transform *transform, size_t d, struct assay_tpe_dimension *dimension)
{
    size_t i = transform->dimensions[d].parameter, n = dimension->n_values;
    const struct assay_plugin_parameter *parameter = transform->space->parameters[i];

    /* Whole groups: what is past the last cell has no width. */
    dimension->centres = assay_zalloc(n + ASSAY_TPE_LANES, sizeof *dimension->centres);
    dimension->widths = assay_zalloc(n + ASSAY_TPE_LANES, sizeof *dimension->widths);
    for (size_t c = 0; c < n; c++) {
        double value =
            assay_view_snap(transform->space, i, parameter->min + (double)c * parameter->step);

        dimension->centres[c] = (float)assay_transform_unit(transform, d, value);
    }
    for (size_t c = 0; c < n; c++) {
        float left = c == 0 ? 0.0f : (dimension->centres[c - 1] + dimension->centres[c]) / 2.0f;
        float right =
            c + 1 == n ? 1.0f : (dimension->centres[c] + dimension->centres[c + 1]) / 2.0f;

        dimension->widths[c] = right - left;
    }
}

void
assay_tpe_layout_init(struct assay_tpe_layout *layout, const struct assay_transform *transform)
{
    size_t n = transform->n_dimensions;

    *layout = (struct assay_tpe_layout){
        .transform = transform,
        .n_dimensions = n,
        .dimensions = assay_zalloc(n + 1, sizeof *layout->dimensions),
    };
    for (size_t d = 0; d < n; d++) {
        const struct assay_plugin_parameter *parameter =
            transform->space->parameters[transform->dimensions[d].parameter];
        struct assay_tpe_dimension *dimension = &layout->dimensions[d];

        dimension->choice = parameter->type == ASSAY_PLUGIN_CATEGORICAL ||
                            parameter->type == ASSAY_PLUGIN_BOOL;
        dimension->conditional = parameter->n_conditions > 0;
        if (dimension->choice || parameter->cardinality <= ASSAY_TPE_CELLS_MAX)
            dimension->n_values = (size_t)parameter->cardinality;
        if (!dimension->choice && dimension->n_values > 0)
            make_cells(transform, d, dimension);
    }
}

void
assay_tpe_layout_done(struct assay_tpe_layout *layout)
{
    for (size_t d = 0; d < layout->n_dimensions; d++) {
        free(layout->dimensions[d].centres);
        free(layout->dimensions[d].widths);
    }
    free(layout->dimensions);
    *layout = (struct assay_tpe_layout){0};
}

void
assay_tpe_encode(const struct assay_tpe_layout *layout, const double *point, float *ret_coordinates)
{
    for (size_t d = 0; d < layout->n_dimensions; d++) {
        double value = point[layout->transform->dimensions[d].parameter];

        if (isnan(value))
            ret_coordinates[d] = NAN;
        else if (layout->dimensions[d].choice)
            ret_coordinates[d] = (float)value;
        else
            ret_coordinates[d] = (float)assay_transform_unit(layout->transform, d, value);
    }
}

/* --- fitting --- */

struct assay_tpe_sorted {
    float centre;
    uint32_t kernel;
};

void
assay_tpe_density_init(struct assay_tpe_density *density, const struct assay_tpe_layout *layout,
                       const struct assay_tpe_widths *widths)
{
    size_t n = layout->n_dimensions + 1;

    *density = (struct assay_tpe_density){
        .layout = layout,
        .widths = *widths,
        .sigmas = assay_zalloc(n, sizeof *density->sigmas),
        .hits = assay_zalloc(n, sizeof *density->hits),
        .misses = assay_zalloc(n, sizeof *density->misses),
        .shared = assay_zalloc(n, sizeof *density->shared),
    };
}

static void
free_kernels(struct assay_tpe_density *density)
{
    free(density->centres);
    free(density->scales);
    free(density->norms);
    free(density->base);
    free(density->masses);
    free(density->log_masses);
    free(density->cumulative);
    free(density->scratch);
    free(density->sorted);
}

void
assay_tpe_density_done(struct assay_tpe_density *density)
{
    free_kernels(density);
    free(density->sigmas);
    free(density->hits);
    free(density->misses);
    free(density->shared);
    *density = (struct assay_tpe_density){0};
}

/* Room for n kernels and those to be added. */
static void
make_room(struct assay_tpe_density *density, size_t n)
{
    size_t d = density->layout->n_dimensions, stride = n + ASSAY_TPE_ADDED_MAX;

    stride = (stride + ASSAY_TPE_LANES - 1) / ASSAY_TPE_LANES * ASSAY_TPE_LANES;
    density->n_kernels = density->n_fitted = n;
    if (stride <= density->stride)
        return;
    stride *= 2;
    free_kernels(density);
    density->stride = stride;
    density->centres = assay_zalloc(d * stride + 1, sizeof *density->centres);
    density->scales = assay_zalloc(d * stride + 1, sizeof *density->scales);
    density->norms = assay_zalloc(d * stride + 1, sizeof *density->norms);
    density->base = assay_alloc(stride, sizeof *density->base);
    density->masses = assay_alloc(stride, sizeof *density->masses);
    density->log_masses = assay_alloc(stride, sizeof *density->log_masses);
    density->cumulative = assay_alloc(stride, sizeof *density->cumulative);
    density->scratch = assay_alloc(ASSAY_TPE_BLOCK * stride, sizeof *density->scratch);
    density->sorted = assay_alloc(stride, sizeof *density->sorted);
}

/* What a kernel's bell of a number has in the unit interval, the bell being 1 at its
 * centre: one over its factor there. */
static double
mass_of(const struct assay_tpe_dimension *dimension, double centre, double sigma)
{
    double scale = 1.0 / (sigma * sqrt(2.0));
    double right = (1.0 - centre) * scale, left = centre * scale;

    if (dimension->n_values > 0)
        return (double)mass_of_cells(dimension->centres, dimension->widths, dimension->n_values,
                                     (float)centre, (float)scale);
    /* Past the end erf is 1 in single precision. */
    return sigma * SQRT_HALF_PI *
           ((right < ERF_END ? erf(right) : 1.0) + (left < ERF_END ? erf(left) : 1.0));
}

/* Masses of dimensions without conditions are multiplied up, so that each kernel needs
 * one logarithm and not one per dimension. */
static void
set_number_of_mass(struct assay_tpe_density *density, size_t d, size_t k, float centre,
                   double sigma, double mass)
{
    size_t at = d * density->stride + k;

    density->centres[at] = centre;
    density->scales[at] = (float)(1.0 / (sigma * sqrt(2.0)));
    if (density->layout->dimensions[d].conditional) {
        density->norms[at] = (float)-log(mass);
        return;
    }
    density->masses[k] *= mass;
    if (density->masses[k] < MASS_LEAST) {
        density->log_masses[k] += log(density->masses[k]);
        density->masses[k] = 1.0;
    }
}

static void
set_number(struct assay_tpe_density *density, size_t d, size_t k, float centre, double sigma)
{
    set_number_of_mass(density, d, k, centre, sigma,
                       mass_of(&density->layout->dimensions[d], centre, sigma));
}

/* A kernel that knows nothing of the dimension. */
static void
set_uniform(struct assay_tpe_density *density, size_t d, size_t k)
{
    size_t at = d * density->stride + k;

    density->centres[at] = density->layout->dimensions[d].choice ? -1.0f : 0.5f;
    density->scales[at] = 0.0f;
    if (density->layout->dimensions[d].conditional)
        density->norms[at] = 0.0f;
}

static int
compare_sorted(const void *a, const void *b)
{
    const struct assay_tpe_sorted *x = a, *y = b;

    if (x->centre != y->centre)
        return x->centre < y->centre ? -1 : 1;
    return x->kernel < y->kernel ? -1 : x->kernel > y->kernel;
}

static double
clip_width(const struct assay_tpe_density *density, size_t d, double sigma, double narrowest)
{
    size_t n_values = density->layout->dimensions[d].n_values;

    /* Half a cell: narrower says no more, and its sum over the cells loses digits. */
    if (n_values > 0)
        narrowest = fmax(narrowest, 0.5 / (double)n_values);
    return fmin(fmax(sigma, narrowest), 1.0);
}

/* Each kernel as wide as the larger gap to a neighbour (the outermost look inwards),
 * and the fewer there are the wider: a cluster of few says little about its size. */
static void
fit_adaptive(struct assay_tpe_density *density, size_t d, size_t m)
{
    struct assay_tpe_sorted *sorted = density->sorted;
    double narrowest = fmax(density->widths.narrowest, 1.0 / ((double)m + 2.0));

    qsort(sorted, m, sizeof *sorted, compare_sorted);
    for (size_t i = 0; i < m; i++) {
        double x = sorted[i].centre;
        double left = i > 0 ? x - (double)sorted[i - 1].centre : m == 1 ? x : 0.0;
        double right = i + 1 < m ? (double)sorted[i + 1].centre - x : m == 1 ? 1.0 - x : 0.0;

        set_number(density, d, sorted[i].kernel, sorted[i].centre,
                   clip_width(density, d, density->widths.factor * fmax(left, right), narrowest));
    }
}

/* The cell that a place of the unit interval is the middle of. */
static size_t
cell_of(const struct assay_tpe_dimension *dimension, float centre)
{
    size_t low = 0, high = dimension->n_values - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (dimension->centres[middle] < centre)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* One width for all: Scott's rule with the deviation of a uniform kernel thrown in. */
static void
fit_even(struct assay_tpe_density *density, size_t d, size_t m, size_t first_narrow)
{
    const struct assay_tpe_dimension *dimension = &density->layout->dimensions[d];
    const struct assay_tpe_sorted *members = density->sorted;
    double of_cells[ASSAY_TPE_CELLS_MAX];
    float *centres = density->scratch, *masses = density->scratch + density->stride;
    double mean = 0.0, squares = 1.0 / 12.0, sigma;

    for (size_t i = 0; i < m; i++)
        mean += (double)members[i].centre / (double)m;
    for (size_t i = 0; i < m; i++)
        squares += ((double)members[i].centre - mean) * ((double)members[i].centre - mean);
    sigma = sqrt(squares / ((double)m + 1.0)) *
            pow(fmax((double)m, 1.0), -1.0 / ((double)density->layout->n_dimensions + 4.0));
    sigma = clip_width(density, d, density->widths.factor * sigma, density->widths.narrowest);
    density->sigmas[d] = (float)(NARROW * sigma);
    for (size_t c = 0; c < dimension->n_values; c++)
        of_cells[c] = mass_of(dimension, dimension->centres[c], sigma);
    for (size_t i = 0; i < m; i++)
        centres[i] = members[i].centre;
    if (dimension->n_values == 0)
        even_masses(centres, m, (float)sigma, masses);
    for (size_t i = 0; i < m; i++) {
        float centre = members[i].centre;
        double mass = dimension->n_values > 0 ? of_cells[cell_of(dimension, centre)]
                                              : (double)masses[i];

        if (members[i].kernel >= first_narrow)
            set_number(density, d, members[i].kernel, centre, NARROW * sigma);
        else
            set_number_of_mass(density, d, members[i].kernel, centre, sigma, mass);
    }
}

static void
fit_number(struct assay_tpe_density *density, size_t d, const float *const *points, size_t n,
           size_t first_narrow)
{
    size_t m = 0;

    set_number(density, d, 0, 0.5f, 1.0);
    for (size_t k = 0; k < n; k++) {
        if (isnan(points[k][d]))
            set_uniform(density, d, k + 1);
        else
            density->sorted[m++] = (struct assay_tpe_sorted){points[k][d], (uint32_t)k + 1};
    }
    if (density->widths.adaptive)
        fit_adaptive(density, d, m);
    else
        fit_even(density, d, m, first_narrow);
}

static void
set_choice(struct assay_tpe_density *density, size_t d, size_t k, float choice)
{
    size_t at = d * density->stride + k;

    density->centres[at] = choice;
    density->scales[at] = 0.0f;
    if (density->layout->dimensions[d].conditional)
        density->norms[at] = density->misses[d];
    else
        density->log_masses[k] -= (double)density->misses[d];
}

/* As if the wide kernel's weight went to each kernel as one vote per choice: with m
 * trials, b = v / (m + 1 + v) for v values. */
static void
fit_choice(struct assay_tpe_density *density, size_t d, const float *const *points, size_t n)
{
    double values = (double)density->layout->dimensions[d].n_values, b;
    size_t m = 0;

    for (size_t k = 0; k < n; k++)
        m += isnan(points[k][d]) ? 0 : 1;
    b = values / ((double)m + 1.0 + values);
    density->shared[d] = b;
    density->misses[d] = (float)log(b);
    density->hits[d] = (float)(log((1.0 - b) * values + b) - log(b));
    set_uniform(density, d, 0);
    for (size_t k = 0; k < n; k++) {
        if (isnan(points[k][d]))
            set_uniform(density, d, k + 1);
        else
            set_choice(density, d, k + 1, points[k][d]);
    }
}

/* Logarithm of the weight and of what does not depend on the point. */
static float
base_of(const struct assay_tpe_density *density, size_t k, double weight)
{
    return (float)(log(weight / density->masses[k]) - density->log_masses[k]);
}

static void
clear_masses(struct assay_tpe_density *density, size_t k)
{
    density->masses[k] = 1.0;
    density->log_masses[k] = 0.0;
}

void
assay_tpe_density_fit(struct assay_tpe_density *density, const float *const *points,
                      const double *weights, size_t n, double prior)
{
    double total = prior, sum = 0.0;

    make_room(density, n + 1);
    for (size_t k = 0; k <= n; k++)
        clear_masses(density, k);
    for (size_t d = 0; d < density->layout->n_dimensions; d++) {
        if (density->layout->dimensions[d].choice)
            fit_choice(density, d, points, n);
        else
            fit_number(density, d, points, n, n + 1 - density->n_narrow);
    }
    for (size_t k = 0; k < n; k++)
        total += weights[k];
    for (size_t k = 0; k <= n; k++) {
        double weight = (k == 0 ? prior : weights[k - 1]) / total;

        sum += weight;
        density->cumulative[k] = sum;
        density->base[k] = base_of(density, k, weight);
    }
    assay_tpe_density_drop(density);
}

void
assay_tpe_density_add(struct assay_tpe_density *density, const float *point, double weight,
                      size_t nth)
{
    size_t k = density->n_fitted + nth % ASSAY_TPE_ADDED_MAX;

    clear_masses(density, k);
    for (size_t d = 0; d < density->layout->n_dimensions; d++) {
        if (isnan(point[d]))
            set_uniform(density, d, k);
        else if (density->layout->dimensions[d].choice)
            set_choice(density, d, k, point[d]);
        else
            set_number(density, d, k, point[d], density->sigmas[d]);
    }
    density->base[k] = base_of(density, k, weight);
    density->n_kernels = ASSAY_MAX(density->n_kernels, k + 1);
}

void
assay_tpe_density_drop(struct assay_tpe_density *density)
{
    density->n_kernels = density->n_fitted;
    for (size_t k = density->n_fitted; k < density->stride; k++)
        density->base[k] = -INFINITY;
}

/* --- evaluation --- */

/* Adds a dimension's factors, for a group of kernels, to the sums of a block of points. */
static inline __attribute__((always_inline)) void
add_number(const float *centres, const float *scales, const lanes *norm, const float *const *points,
           size_t d, bool conditional, lanes *sums)
{
    lanes centre = *at_const(centres), scale = *at_const(scales);

    for (size_t j = 0; j < ASSAY_TPE_BLOCK; j++) {
        lanes z = (centre - points[j][d]) * scale;

        if (!conditional || !isnan(points[j][d]))
            sums[j] += *norm - z * z;
    }
}

static inline __attribute__((always_inline)) void
add_choice(const float *centres, const lanes *norm, float bonus, const float *const *points,
           size_t d, bool conditional, lanes *sums)
{
    lanes centre = *at_const(centres);

    for (size_t j = 0; j < ASSAY_TPE_BLOCK; j++) {
        union bits hit = {.number = (lanes){0} + bonus};

        hit.mask &= centre == points[j][d];
        if (!conditional || !isnan(points[j][d]))
            sums[j] += *norm + hit.number;
    }
}

/* scratch[point][kernel] = log weight + log factors. */
WIDER_REGISTERS static void
sum_factors(const struct assay_tpe_density *density, const float *const *points)
{
    const struct assay_tpe_layout *layout = density->layout;
    size_t stride = density->stride;

    for (size_t k = 0; k < density->n_kernels; k += ASSAY_TPE_LANES) {
        lanes sums[ASSAY_TPE_BLOCK];

        for (size_t j = 0; j < ASSAY_TPE_BLOCK; j++)
            sums[j] = *at_const(&density->base[k]);
        for (size_t d = 0; d < layout->n_dimensions; d++) {
            size_t i = d * stride + k;
            bool conditional = layout->dimensions[d].conditional;
            lanes norm = {0};

            if (conditional)
                norm = *at_const(&density->norms[i]);
            if (layout->dimensions[d].choice)
                add_choice(&density->centres[i], &norm, density->hits[d], points, d, conditional,
                           sums);
            else
                add_number(&density->centres[i], &density->scales[i], &norm, points, d,
                           conditional, sums);
        }
        for (size_t j = 0; j < ASSAY_TPE_BLOCK; j++)
            *at(&density->scratch[j * stride + k]) = sums[j];
    }
}

WIDER_REGISTERS static float
log_sum_exp(const float *logs, size_t n)
{
    lanes sum = {0};
    float most = logs[0], total = 0.0f;

    for (size_t k = 1; k < n; k++)
        most = logs[k] > most ? logs[k] : most;
    for (size_t k = 0; k < n; k += ASSAY_TPE_LANES) {
        lanes share = *at_const(&logs[k]) - most;

        exp_in_place(&share);
        sum += share;
    }
    for (size_t j = 0; j < ASSAY_TPE_LANES; j++)
        total += sum[j];
    return most + logf(total);
}

void
assay_tpe_density_log(const struct assay_tpe_density *density, const float *const *points,
                      size_t n, float *ret_logs)
{
    for (size_t i = 0; i < n; i += ASSAY_TPE_BLOCK) {
        size_t count = ASSAY_MIN(n - i, (size_t)ASSAY_TPE_BLOCK);
        const float *block[ASSAY_TPE_BLOCK];

        for (size_t j = 0; j < ASSAY_TPE_BLOCK; j++)
            block[j] = points[i + ASSAY_MIN(j, count - 1)];
        sum_factors(density, block);
        for (size_t j = 0; j < count; j++)
            ret_logs[i + j] =
                log_sum_exp(&density->scratch[j * density->stride], density->n_kernels);
    }
}

/* --- drawing --- */

size_t
assay_tpe_density_pick(const struct assay_tpe_density *density, struct assay_random *random)
{
    double u = assay_random_unit(random) * density->cumulative[density->n_fitted - 1];
    size_t low = 0, high = density->n_fitted - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (density->cumulative[middle] > u)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Around the mean of the kernels that know the dimension. */
static double
draw_number(const struct assay_tpe_density *density, size_t d, const size_t *kernels, size_t n,
            struct assay_random *random)
{
    double centre = 0.0, scale = 0.0, n_knowing = 0.0, x;

    for (size_t k = 0; k < n; k++) {
        size_t at = d * density->stride + kernels[k];

        if (density->scales[at] > 0.0f) {
            centre += (double)density->centres[at];
            scale = fmax(scale, (double)density->scales[at]);
            n_knowing += 1.0;
        }
    }
    if (n_knowing <= 0.0)
        return assay_random_unit(random);
    centre /= n_knowing;
    /* The centre is inside and sigma at most 1: one draw in three or more is, too. */
    do
        x = centre + assay_random_normal(random) * (n > 1 ? BLEND : 1.0) / (scale * sqrt(2.0));
    while (x < 0.0 || x >= 1.0);
    return x;
}

static double
draw_choice(const struct assay_tpe_density *density, size_t d, size_t k,
            struct assay_random *random)
{
    double own = (double)density->centres[d * density->stride + k];

    if (own >= 0.0 && assay_random_unit(random) >= density->shared[d])
        return own;
    return floor(assay_random_unit(random) * (double)density->layout->dimensions[d].n_values);
}

void
assay_tpe_density_blend(const struct assay_tpe_density *density, const size_t *kernels, size_t n,
                        struct assay_random *random, double *ret_point, float *ret_coordinates)
{
    const struct assay_transform *transform = density->layout->transform;
    const struct assay_plugin_space *space = transform->space;

    for (size_t o = 0; o < space->n_parameters; o++) {
        size_t i = space->order[o], d = (size_t)transform->of_parameter[i];
        bool fixed = transform->of_parameter[i] < 0;

        if (!assay_view_active(space, ret_point, i)) {
            ret_point[i] = NAN;
            if (!fixed)
                ret_coordinates[d] = NAN;
        } else if (fixed) {
            ret_point[i] = assay_view_snap(space, i, space->parameters[i]->min);
        } else if (density->layout->dimensions[d].choice) {
            size_t kernel = n > 1 ? (size_t)assay_random_below(random, n) : 0;

            ret_point[i] = draw_choice(density, d, kernels[kernel], random);
            ret_coordinates[d] = (float)ret_point[i];
        } else {
            double unit = draw_number(density, d, kernels, n, random);

            ret_point[i] = assay_transform_value(transform, d, unit);
            if (space->parameters[i]->step > 0.0)
                unit = assay_transform_unit(transform, d, ret_point[i]);
            ret_coordinates[d] = (float)unit;
        }
    }
}

void
assay_tpe_density_draw(const struct assay_tpe_density *density, size_t kernel,
                       struct assay_random *random, double *ret_point, float *ret_coordinates)
{
    assay_tpe_density_blend(density, &kernel, 1, random, ret_point, ret_coordinates);
}

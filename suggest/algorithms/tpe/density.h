/* A Parzen mixture over a search space, conditions included (README.md here has the
 * formulas).
 *
 * Everything is relative to the uniform distribution: a density of 1 (logarithm 0)
 * is what random search has.  A kernel is the product of one factor per dimension:
 *
 *   number   normal distribution cut off at the ends of the unit interval; where
 *            there are few values, normalised by the sum over their cells
 *   choice   the kernel's own choice has mass 1 - b, all choices together share b
 *   inactive in the point: 1.  Active in the point but not in the kernel's trial:
 *            uniform.  What is active follows from the factors of the parents, so the
 *            whole is a density over the conditional space.
 *
 * There is one kernel per trial and a wide one in the middle.  Single precision, in
 * an order of operations that does not depend on the machine.  One thread at a time. */
#ifndef ASSAY_SUGGEST_TPE_DENSITY_H
#define ASSAY_SUGGEST_TPE_DENSITY_H

#include "common/random.h"
#include "suggest/transform.h"

/* Kernels are worked on in groups of so many, points in blocks. */
#define ASSAY_TPE_LANES 8
#define ASSAY_TPE_BLOCK 4
/* A number with up to so many values is normalised by summing over them. */
#define ASSAY_TPE_CELLS_MAX 32
/* Kernels that assay_tpe_density_add may add. */
#define ASSAY_TPE_ADDED_MAX 64

struct assay_tpe_dimension {
    bool choice;
    bool conditional;
    size_t n_values; /* cells or choices; 0: continuous, or too many to tell apart */
    float *centres;  /* [n_values] of numbers: middles of the cells in the unit interval */
    float *widths;   /* [n_values] and their shares of it */
};

/* What a space looks like to a density.  Immutable. */
struct assay_tpe_layout {
    const struct assay_transform *transform; /* borrowed */
    size_t n_dimensions;
    struct assay_tpe_dimension *dimensions;
};

void assay_tpe_layout_init(struct assay_tpe_layout *layout,
                           const struct assay_transform *transform);
void assay_tpe_layout_done(struct assay_tpe_layout *layout);

/* A point as densities see it: per dimension the place in the unit interval, the
 * index of a choice, or NaN where inactive. */
void assay_tpe_encode(const struct assay_tpe_layout *layout, const double *point,
                      float *ret_coordinates);

/* How wide the kernels of numbers are, in shares of the range. */
struct assay_tpe_widths {
    bool adaptive;  /* each by the gap to its neighbours; else one width per dimension */
    double factor;  /* of the gap, or of deviation * n^(-1/(dimensions + 4)) */
    double narrowest;
};

struct assay_tpe_density {
    const struct assay_tpe_layout *layout; /* borrowed */
    struct assay_tpe_widths widths;
    size_t n_narrow;  /* set before fitting: the last so many kernels are as narrow as
                       * added ones, where widths are even */
    size_t n_kernels; /* the first is the wide one */
    size_t n_fitted;  /* without those added */
    size_t stride;    /* kernels there is room for */
    float *centres;   /* [dimension][stride]; choices: index, -1 inactive */
    float *scales;    /* numbers: 1 / (sigma sqrt 2), 0 uniform */
    float *norms;     /* of conditional dimensions: logarithm of the factor at its centre;
                       * choices: of a miss */
    float *base;      /* [stride] log weight, and the same of the unconditional dimensions */
    double *masses, *log_masses; /* [stride] what `base` is made from */
    double *cumulative; /* [n_fitted] sums of the weights */
    float *sigmas;    /* [dimension] of a kernel that is added */
    float *hits;      /* [dimension] what a hit of a choice has more than a miss */
    float *misses;    /* [dimension] logarithm of a miss */
    double *shared;   /* [dimension] b of a choice */
    float *scratch;   /* [ASSAY_TPE_BLOCK][stride] */
    struct assay_tpe_sorted *sorted; /* [stride] */
};

void assay_tpe_density_init(struct assay_tpe_density *density,
                            const struct assay_tpe_layout *layout,
                            const struct assay_tpe_widths *widths);
void assay_tpe_density_done(struct assay_tpe_density *density);

/* Puts a kernel at each of n encoded points, with weights on any scale, and the wide
 * one with the weight `prior` > 0. */
void assay_tpe_density_fit(struct assay_tpe_density *density, const float *const *points,
                           const double *weights, size_t n, double prior);

/* Adds a kernel of weight `weight` (the fitted ones have 1 together), narrower than
 * even ones, without normalising again; past ASSAY_TPE_ADDED_MAX it takes the place of the oldest that
 * was added.  `drop` takes the added ones away. */
void assay_tpe_density_add(struct assay_tpe_density *density, const float *point, double weight,
                           size_t nth);
void assay_tpe_density_drop(struct assay_tpe_density *density);

/* Logarithms of the density at n encoded points. */
void assay_tpe_density_log(const struct assay_tpe_density *density, const float *const *points,
                           size_t n, float *ret_logs);

/* Draws a kernel of those fitted, and a point from a kernel: values of the parameters,
 * and encoded. */
size_t assay_tpe_density_pick(const struct assay_tpe_density *density,
                              struct assay_random *random);
void assay_tpe_density_draw(const struct assay_tpe_density *density, size_t kernel,
                            struct assay_random *random, double *ret_point,
                            float *ret_coordinates);

/* Draws a point from n kernels at once: numbers around their mean and narrower than each,
 * choices each from one of them. */
void assay_tpe_density_blend(const struct assay_tpe_density *density, const size_t *kernels,
                             size_t n, struct assay_random *random, double *ret_point,
                             float *ret_coordinates);

#endif

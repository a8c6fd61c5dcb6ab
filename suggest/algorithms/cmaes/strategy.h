/* The state of one CMA-ES run over a mixed space and its update by a group of
 * evaluated points (README.md here has the formulas).
 *
 *   number   a coordinate of a normal distribution N(m, sigma^2 C) on the unit cube;
 *            values with a step are cells of it, and no cell's neighbours ever become
 *            improbable (margin)
 *   choice   probabilities of its own, never below a floor
 *
 * A state is one block of memory that can be copied.  Functions here are pure: the
 * new state follows from the old one, the group and the seed.  One thread at a time. */
#ifndef ASSAY_SUGGEST_CMAES_STRATEGY_H
#define ASSAY_SUGGEST_CMAES_STRATEGY_H

#include "common/random.h"
#include "suggest/algorithms/expectation.h"
#include "suggest/transform.h"

struct assay_cmaes_dimension {
    size_t dimension; /* of the transform */
    bool choice;
    size_t index;     /* numbers: coordinate; choices: where its probabilities begin */
    size_t n_values;  /* choices: how many; numbers: cells, 0 continuous */
};

/* Immutable. */
struct assay_cmaes_layout {
    const struct assay_transform *transform; /* borrowed */
    uint64_t seed;
    size_t n_dimensions;
    struct assay_cmaes_dimension *dimensions;
    size_t n_numbers, n_probabilities, n_choices;
    size_t n_discrete; /* numbers with cells and choices */
    size_t n_population; /* of a first run */
};

void assay_cmaes_layout_init(struct assay_cmaes_layout *layout,
                             const struct assay_transform *transform, uint64_t seed,
                             size_t n_population);
void assay_cmaes_layout_done(struct assay_cmaes_layout *layout);

/* Values that a run looks back on to see that it does not get on. */
#define ASSAY_CMAES_MEMORY 32

struct assay_cmaes_strategy {
    size_t consumed;      /* ended trials used so far */
    size_t n_group;       /* size of the next group */
    size_t n_population;  /* of the run */
    size_t n_large;       /* population of the last large run */
    size_t restarts;
    size_t used_large, used_small; /* evaluations by regime (BIPOP) */
    bool is_small;
    bool importing;       /* so far the trials are those of others */
    size_t generation;    /* of this run */
    size_t begun;         /* trials used before this run; 0: the first */
    double sigma;
    double best[ASSAY_CMAES_MEMORY]; /* of the last generations; ring */
    double numbers[];     /* mean, sigma path, covariance path, C, its factor, probabilities */
};

size_t assay_cmaes_strategy_bytes(const struct assay_cmaes_layout *layout);

/* How an ended trial stands, better first. */
enum assay_cmaes_standing {
    ASSAY_CMAES_SUCCEEDED,
    ASSAY_CMAES_STOPPED,   /* early */
    ASSAY_CMAES_VIOLATING, /* passes bounds on other metrics */
    ASSAY_CMAES_USELESS,   /* without a value, or a bound was not measured */
};

/* An ended trial as a strategy sees it. */
struct assay_cmaes_trial {
    int64_t number;
    enum assay_cmaes_standing standing;
    double first, second; /* ranked by, within the standing; smaller is better */
    double *coordinates; /* [n_dimensions] of the layout: unit interval, index of a choice, NaN */
};

/* Better first; ties by number. */
int assay_cmaes_compare(const struct assay_cmaes_trial *a, const struct assay_cmaes_trial *b);

/* Before anything is known. */
void assay_cmaes_strategy_init(const struct assay_cmaes_layout *layout,
                               struct assay_cmaes_strategy *strategy);

/* A run from the best of n trials (sorted by assay_cmaes_compare). */
void assay_cmaes_strategy_warm(const struct assay_cmaes_layout *layout,
                               struct assay_cmaes_strategy *strategy,
                               const struct assay_cmaes_trial *const *sorted, size_t n);

/* A run from what users expect. */
void assay_cmaes_strategy_expect(const struct assay_cmaes_layout *layout,
                                 struct assay_cmaes_strategy *strategy,
                                 const struct assay_expectations *expectations);

/* One generation: n trials sorted by assay_cmaes_compare. */
void assay_cmaes_strategy_update(const struct assay_cmaes_layout *layout,
                                 struct assay_cmaes_strategy *strategy,
                                 const struct assay_cmaes_trial *const *sorted, size_t n);

/* Mean squared distance of trials from the mean, per number and in deviations: about 1
 * for draws from the distribution. */
double assay_cmaes_strategy_distance(const struct assay_cmaes_layout *layout,
                                     struct assay_cmaes_strategy *strategy,
                                     const struct assay_cmaes_trial *const *trials, size_t n);

/* Whether the run has come to its end, and the next one. */
bool assay_cmaes_strategy_ended(const struct assay_cmaes_layout *layout,
                                const struct assay_cmaes_strategy *strategy);
void assay_cmaes_strategy_restart(const struct assay_cmaes_layout *layout,
                                  struct assay_cmaes_strategy *strategy);

struct assay_cmaes_outlook; /* outlook.h */

/* Draws coordinates for the unit cube of the transform.  `normals`: room for n_numbers;
 * `outlook` may be NULL: from the strategy as it stands. */
void assay_cmaes_strategy_draw(const struct assay_cmaes_layout *layout,
                               const struct assay_cmaes_strategy *strategy,
                               const struct assay_cmaes_outlook *outlook,
                               struct assay_random *random, double *normals, double *ret_unit);
void assay_cmaes_encode(const struct assay_cmaes_layout *layout, const double *point,
                        double *ret_coordinates);
#endif

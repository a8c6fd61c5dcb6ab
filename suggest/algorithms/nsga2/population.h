/* The parents: the best trials so far, by front and then by how far apart they stand.
 *
 * Trials come one at a time and the worst makes room (steady state), so each result is
 * used at once, however many workers there are.  One thread at a time. */
#ifndef ASSAY_SUGGEST_NSGA2_POPULATION_H
#define ASSAY_SUGGEST_NSGA2_POPULATION_H

#include "common/random.h"
#include "suggest/history.h"

struct assay_nsga2_trial {
    int64_t number;      /* unique; below 1 for guests from other studies */
    double standing;     /* 0: counts by its values; else how far behind those that do */
    double *values;      /* owned */
    double *coordinates; /* owned */
};

/* As the history sees it: succeeded within the bounds 0; then by violation; then stopped
 * early, the longer the better; then what failed or has no value. */
double assay_nsga2_standing(const struct assay_history_trial *trial);
/* A guest comes behind every trial of the study that counts. */
double assay_nsga2_guest_standing(void);

struct assay_nsga2_population {
    size_t n_objectives, n;
    size_t n_max; /* at most what `init` was told, and never less than n */
    const struct assay_nsga2_trial **members; /* borrowed trials */
    size_t *ranks;                            /* of the members */
    double *crowding;
};

void assay_nsga2_population_init(struct assay_nsga2_population *population, size_t n_objectives,
                                 size_t n_max);
void assay_nsga2_population_done(struct assay_nsga2_population *population);

/* The better ones stay.  After this or the next, `measure` before `pick`. */
void assay_nsga2_population_add(struct assay_nsga2_population *population,
                                const struct assay_nsga2_trial *trial);
/* Puts the members in place of what there is. */
void assay_nsga2_population_set(struct assay_nsga2_population *population,
                                const struct assay_nsga2_trial *const *members, size_t n);

/* Ranks and crowding of the members as they are. */
void assay_nsga2_population_measure(struct assay_nsga2_population *population);

/* The better of two at random; n >= 1. */
const struct assay_nsga2_trial *
assay_nsga2_population_pick(const struct assay_nsga2_population *population,
                            struct assay_random *random);

#endif

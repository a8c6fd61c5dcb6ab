/* What the steps of the search (maximise.h) share: places of the unit cube with their
 * worths, and who looks for them.
 *
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_POOL_H
#define ASSAY_SUGGEST_ALGORITHMS_BAYESIAN_POOL_H

#include "suggest/algorithms/bayesian/maximise.h"

/* Places in the unit cube with their scaled rows and worths. */
struct assay_gp_pool {
    size_t n, room;
    double *units, *scaled, *worths;
};

struct assay_gp_maximiser {
    const struct assay_gp_search *search;
    const struct assay_gp_features *features;
    struct assay_gp_worth *worth;
    struct assay_random *random;
    size_t n_dimensions, n_columns;
    double *point; /* scratch; the point last scaled */
    struct assay_gp_pool candidates, starts;
    bool *moved; /* starts whose continuous parameters are to be looked at (again) */
};

void assay_gp_pool_init(struct assay_gp_pool *pool, const struct assay_gp_maximiser *m,
                        size_t room);
void assay_gp_pool_done(struct assay_gp_pool *pool);
double *assay_gp_pool_unit(const struct assay_gp_maximiser *m, const struct assay_gp_pool *pool,
                           size_t i);
/* Indices by decreasing worth; caller frees. */
size_t *assay_gp_pool_order(const struct assay_gp_pool *pool);

/* The scaled row of a place, and into m->point what it decodes to (features.h). */
void assay_gp_maximiser_scale(const struct assay_gp_maximiser *m, const double *unit,
                              double *ret_scaled);
/* Scaled rows and worths of a pool's places from the `from`-th on. */
void assay_gp_maximiser_evaluate(const struct assay_gp_maximiser *m, struct assay_gp_pool *pool,
                                 size_t from);

/* Numbers with more values than this are also searched as if continuous. */
#define ASSAY_GP_RELAXED_FROM 16
bool assay_gp_is_relaxed(const struct assay_gp_dimension *dimension);

/* --- the steps --- */

/* 1 and 2, into m->candidates (room for ASSAY_GP_CANDIDATES) and m->starts (`wanted` and
 * ASSAY_GP_TRIAL_STARTS). */
#define ASSAY_GP_CANDIDATES (512 + 256)
#define ASSAY_GP_TRIAL_STARTS 5
#define ASSAY_GP_SCREEN_ROWS 400 /* with more, candidates are screened by their means */
void assay_gp_find_candidates(struct assay_gp_maximiser *m);
void assay_gp_choose_starts(struct assay_gp_maximiser *m, size_t wanted);

/* 3: all starts' continuous parameters, each search ended after so many evaluations. */
void assay_gp_ascend(struct assay_gp_maximiser *m, unsigned evaluations);

/* 4: places that one change leads to, at most; a pool of as many and one more is
 * `changes`.  Whether anything changed. */
size_t assay_gp_count_changes(const struct assay_gp_maximiser *m);
bool assay_gp_change(struct assay_gp_maximiser *m, struct assay_gp_pool *changes);

#endif

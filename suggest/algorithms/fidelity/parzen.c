#include "suggest/algorithms/fidelity/parzen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/tpe/density.h"

#define GOOD_FRACTION 0.15
#define GOOD_MAX 100
#define BAD_MAX 384
#define PENDING_MAX 128
#define CANDIDATES 64
#define CANDIDATES_PER_KERNEL 8

struct assay_parzen {
    const struct assay_algorithm_base *base;
    const struct assay_ladder *ladder;
    struct assay_tpe_layout layout;
    struct assay_tpe_density good, bad;
    bool fresh;     /* the densities are those of the history */
    ptrdiff_t rung; /* that they are of; -1: there are too few trials */
    size_t n_good, n_bad;
    double *points; /* of the candidates */
    float *coordinates, *good_logs, *bad_logs;
};

struct assay_parzen *
assay_parzen_new(const struct assay_algorithm_base *base, const struct assay_ladder *ladder)
{
    const struct assay_tpe_widths of_good = {.adaptive = true, .factor = 0.8, .narrowest = 0.02};
    const struct assay_tpe_widths of_bad = {.factor = 0.5, .narrowest = 0.1};
    struct assay_parzen *parzen = ASSAY_NEW(struct assay_parzen);

    parzen->base = base;
    parzen->ladder = ladder;
    assay_tpe_layout_init(&parzen->layout, &base->transform);
    assay_tpe_density_init(&parzen->good, &parzen->layout, &of_good);
    assay_tpe_density_init(&parzen->bad, &parzen->layout, &of_bad);
    parzen->points =
        assay_alloc(CANDIDATES * (size_t)base->space->n_parameters + 1, sizeof *parzen->points);
    parzen->coordinates =
        assay_alloc(CANDIDATES * parzen->layout.n_dimensions + 1, sizeof *parzen->coordinates);
    parzen->good_logs = assay_alloc(CANDIDATES, sizeof *parzen->good_logs);
    parzen->bad_logs = assay_alloc(CANDIDATES, sizeof *parzen->bad_logs);
    return parzen;
}

struct assay_parzen *
assay_parzen_free(struct assay_parzen *parzen)
{
    if (parzen == NULL)
        return NULL;
    assay_tpe_density_done(&parzen->good);
    assay_tpe_density_done(&parzen->bad);
    assay_tpe_layout_done(&parzen->layout);
    free(parzen->points);
    free(parzen->coordinates);
    free(parzen->good_logs);
    free(parzen->bad_logs);
    free(parzen);
    return NULL;
}

void
assay_parzen_forget(struct assay_parzen *parzen)
{
    parzen->fresh = false;
}

/* --- the densities --- */

/* Encoded points with weights, to be fitted. */
struct side {
    float *coordinates;
    const float **points;
    double *weights;
    size_t n, n_dimensions;
};

static void
side_init(struct side *side, size_t n, size_t n_dimensions)
{
    *side = (struct side){
        .coordinates = assay_alloc(n * n_dimensions + 1, sizeof *side->coordinates),
        .points = assay_alloc(n + 1, sizeof *side->points),
        .weights = assay_alloc(n + 1, sizeof *side->weights),
        .n_dimensions = n_dimensions,
    };
}

static void
side_done(struct side *side)
{
    free(side->coordinates);
    free(side->points);
    free(side->weights);
}

static void
side_add(struct side *side, const struct assay_tpe_layout *layout, const double *point,
         double weight)
{
    float *at = &side->coordinates[side->n * side->n_dimensions];

    assay_tpe_encode(layout, point, at);
    side->points[side->n] = at;
    side->weights[side->n++] = weight;
}

static void
side_fit(const struct side *side, struct assay_tpe_density *density)
{
    double total = 0.0;

    for (size_t i = 0; i < side->n; i++)
        total += side->weights[i];
    assay_tpe_density_fit(density, side->points, side->weights, side->n,
                          side->n > 0 ? total / (double)side->n : 1.0);
}

static void
fit_rung(struct assay_parzen *parzen, const struct assay_judged *judged, size_t n, size_t n_valued,
         size_t least)
{
    size_t n_good = ASSAY_MAX(least, (size_t)ceil(GOOD_FRACTION * (double)n)), n_pending;
    const double **pending = assay_evidence_pending(parzen->base->history, PENDING_MAX, &n_pending);
    size_t n_bad, dimensions = parzen->layout.n_dimensions;
    struct side good, bad;

    n_good = ASSAY_MIN(ASSAY_MIN(n_good, n_valued), (size_t)GOOD_MAX);
    n_bad = ASSAY_MIN(n - n_good, (size_t)BAD_MAX);
    side_init(&good, n_good, dimensions);
    side_init(&bad, n_bad + n_pending, dimensions);
    for (size_t i = 0; i < n_good; i++)
        side_add(&good, &parzen->layout, judged[i].trial->point,
                 log((double)n_good + 1.0) - log((double)i + 1.0));
    /* Of too many bad ones every so manieth. */
    for (size_t i = 0; i < n_bad; i++)
        side_add(&bad, &parzen->layout, judged[n_good + i * (n - n_good) / n_bad].trial->point,
                 1.0);
    for (size_t i = 0; i < n_pending; i++)
        side_add(&bad, &parzen->layout, pending[i], 1.0);
    side_fit(&good, &parzen->good);
    side_fit(&bad, &parzen->bad);
    parzen->n_good = n_good;
    parzen->n_bad = bad.n;
    side_done(&good);
    side_done(&bad);
    free(pending);
}

/* Densities of the highest rung with enough trials. */
static void
refit(struct assay_parzen *parzen)
{
    size_t least = parzen->layout.n_dimensions + 1;

    parzen->fresh = true;
    parzen->rung = -1;
    for (size_t rung = parzen->ladder->n_rungs; rung-- > 0 && parzen->rung < 0;) {
        size_t n, n_valued;
        struct assay_judged *judged =
            assay_evidence_judged(parzen->ladder, parzen->base->history, rung, &n, &n_valued);

        if (n >= least + 2 && n_valued >= 2) {
            fit_rung(parzen, judged, n, n_valued, least);
            parzen->rung = (ptrdiff_t)rung;
        }
        free(judged);
    }
}

/* --- proposing --- */

static size_t
best_untried(struct assay_parzen *parzen, const struct assay_batch *batch)
{
    size_t n_parameters = (size_t)parzen->base->space->n_parameters;

    for (size_t attempt = 0; attempt < CANDIDATES; attempt++) {
        size_t best = CANDIDATES;

        for (size_t c = 0; c < CANDIDATES; c++) {
            if (!isnan(parzen->good_logs[c]) &&
                (best == CANDIDATES || parzen->good_logs[c] > parzen->good_logs[best]))
                best = c;
        }
        if (best == CANDIDATES || assay_untried(parzen->base->history, batch, parzen->base->space,
                                                &parzen->points[best * n_parameters]))
            return best;
        parzen->good_logs[best] = NAN;
    }
    return CANDIDATES;
}

/* What stands in the batch counts as bad for this suggestion. */
static void
add_batch(struct assay_parzen *parzen, const struct assay_batch *batch)
{
    size_t first = batch->n_given > ASSAY_TPE_ADDED_MAX ? batch->n_given - ASSAY_TPE_ADDED_MAX : 0;
    assay_auto_free float *coordinates =
        assay_alloc(parzen->layout.n_dimensions + 1, sizeof *coordinates);

    for (size_t i = first; i < batch->n_given; i++) {
        assay_tpe_encode(&parzen->layout, batch->given[i]->point, coordinates);
        assay_tpe_density_add(&parzen->bad, coordinates, 1.0 / ((double)parzen->n_bad + 1.0),
                              i - first);
    }
}

enum assay_model_answer
assay_parzen_propose(struct assay_parzen *parzen, const char *name, const struct assay_batch *batch,
                     struct assay_random *random, const struct assay_plugin_suggestion *suggestion)
{
    size_t dimensions = parzen->layout.n_dimensions, kernel = 0, best;
    size_t n_parameters = (size_t)parzen->base->space->n_parameters;
    const float *pointers[CANDIDATES];

    if (!parzen->fresh)
        refit(parzen);
    if (parzen->rung < 0 || dimensions == 0)
        return ASSAY_MODEL_NOT_READY;
    for (size_t c = 0; c < CANDIDATES; c++) {
        if (c % CANDIDATES_PER_KERNEL == 0)
            kernel = assay_tpe_density_pick(&parzen->good, random);
        assay_tpe_density_draw(&parzen->good, kernel, random, &parzen->points[c * n_parameters],
                               &parzen->coordinates[c * dimensions]);
        pointers[c] = &parzen->coordinates[c * dimensions];
    }
    add_batch(parzen, batch);
    assay_tpe_density_log(&parzen->good, pointers, CANDIDATES, parzen->good_logs);
    assay_tpe_density_log(&parzen->bad, pointers, CANDIDATES, parzen->bad_logs);
    assay_tpe_density_drop(&parzen->bad);
    for (size_t c = 0; c < CANDIDATES; c++)
        parzen->good_logs[c] -= parzen->bad_logs[c];
    best = best_untried(parzen, batch);
    if (best == CANDIDATES)
        return ASSAY_MODEL_NONE_UNTRIED;
    memcpy(suggestion->point, &parzen->points[best * n_parameters],
           n_parameters * sizeof *suggestion->point);
    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"%s\", \"phase\": \"densities\", \"learned_at_budget\": %.10g, "
             "\"good\": %zu, \"bad\": %zu, \"log_ratio\": %.4g}",
             name, parzen->ladder->rungs[parzen->rung], parzen->n_good, parzen->n_bad,
             (double)parzen->good_logs[best]);
    return ASSAY_MODEL_PROPOSED;
}

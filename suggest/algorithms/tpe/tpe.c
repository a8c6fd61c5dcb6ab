/* Tree-structured Parzen estimator: a density of the good trials, one of the bad
 * ones, and the next trial where the first is largest against the second.
 *
 * J. Bergstra, R. Bardenet, Y. Bengio, B. Kegl, "Algorithms for hyper-parameter
 * optimization", NIPS 2011; S. Watanabe, "Tree-structured Parzen estimator:
 * understanding its algorithm components and their roles for better empirical
 * performance", arXiv 2304.11127, 2023; Y. Ozaki et al., "Multiobjective
 * tree-structured Parzen estimator", JAIR 73, 2022.  README.md here says what is
 * done otherwise and why. */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/algorithms/start.h"
#include "suggest/algorithms/tpe/density.h"
#include "suggest/algorithms/tpe/ranking.h"

/* Candidates from one kernel: so branches of a conditional space compete by how many
 * good trials they have, too, and not by their sharpest peak alone. */
#define CANDIDATES_PER_KERNEL 8
/* Random points that are weighed up when every candidate has been tried before. */
#define UNTRIED_DRAWS 16

struct tpe {
    struct assay_algorithm_base base; /* first */
    struct assay_start start;
    struct assay_tpe_layout layout;
    struct assay_tpe_ranking ranking;
    struct assay_tpe_density good, bad;
    struct assay_tpe_side good_side, bad_side;
    size_t n_start, n_candidates;
    double good_fraction;
    float *told; /* room for one encoded point */
    /* Of one suggestion, n_candidates each. */
    double *points;
    float *coordinates;
    const float **pointers;
    float *good_logs, *bad_logs;
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"start_trials\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 1000, \"default\": 8,"
    " \"description\": \"Trials that must have ended before results are used; until then points of"
    " the Sobol sequence are tried, the middle of the space first.\"},"
    "\"good_fraction\": {\"type\": \"number\", \"minimum\": 0.01, \"maximum\": 0.5,"
    " \"default\": 0.17, \"description\": \"Share of the ended trials that count as good (never"
    " more than 25 trials, or the square root of all where that is more).\"},"
    "\"candidates\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 10000, \"default\": 32,"
    " \"description\": \"Points that are drawn from the density of the good trials for each"
    " suggestion; the best of them is proposed.\"}}}";

static void
side_init(struct assay_tpe_side *side, size_t n)
{
    side->points = assay_alloc(n, sizeof *side->points);
    side->weights = assay_alloc(n, sizeof *side->weights);
}

static void
refit(struct tpe *tpe)
{
    assay_tpe_ranking_split(&tpe->ranking, tpe->good_fraction, &tpe->good_side, &tpe->bad_side);
    for (size_t i = 0; i < 2; i++) {
        const struct assay_tpe_side *side = i == 0 ? &tpe->good_side : &tpe->bad_side;
        double total = 0.0;

        for (size_t k = 0; k < side->n; k++)
            total += side->weights[k];
        /* The wide kernel weighs as much as an average trial. */
        assay_tpe_density_fit(i == 0 ? &tpe->good : &tpe->bad, side->points, side->weights,
                              side->n, side->n > 0 ? total / (double)side->n : 1.0);
    }
}

static int32_t
tpe_create(const struct assay_plugin_study *study, void **ret_instance, char *error ASSAY_UNUSED,
           uint64_t error_size ASSAY_UNUSED)
{
    const struct assay_tpe_widths of_good = {.adaptive = true, .factor = 0.8, .narrowest = 0.02};
    const struct assay_tpe_widths of_bad = {.factor = 0.5, .narrowest = 0.1};
    json_t *settings = assay_algorithm_settings(study);
    struct tpe *tpe = ASSAY_NEW(struct tpe);
    size_t n_dimensions, n_parameters = study->space->n_parameters;

    tpe->n_start = (size_t)json_integer_value(json_object_get(settings, "start_trials"));
    tpe->n_candidates = (size_t)json_integer_value(json_object_get(settings, "candidates"));
    tpe->n_candidates = ASSAY_MAX(tpe->n_candidates, (size_t)UNTRIED_DRAWS);
    tpe->good_fraction = json_number_value(json_object_get(settings, "good_fraction"));
    json_decref(settings);
    assay_algorithm_base_init(&tpe->base, study);
    assay_start_init(&tpe->start, &tpe->base);
    n_dimensions = tpe->base.transform.n_dimensions;
    assay_tpe_layout_init(&tpe->layout, &tpe->base.transform);
    assay_tpe_ranking_init(&tpe->ranking, (size_t)study->n_objectives, n_dimensions, study->seed);
    assay_tpe_density_init(&tpe->good, &tpe->layout, &of_good);
    assay_tpe_density_init(&tpe->bad, &tpe->layout, &of_bad);
    side_init(&tpe->good_side, ASSAY_TPE_GOOD_MAX);
    side_init(&tpe->bad_side, ASSAY_TPE_BAD_MAX);
    tpe->told = assay_alloc(n_dimensions + 1, sizeof *tpe->told);
    tpe->points = assay_alloc(tpe->n_candidates * n_parameters + 1, sizeof *tpe->points);
    tpe->coordinates = assay_alloc(tpe->n_candidates * n_dimensions + 1, sizeof *tpe->coordinates);
    tpe->pointers = assay_alloc(tpe->n_candidates, sizeof *tpe->pointers);
    tpe->good_logs = assay_alloc(tpe->n_candidates, sizeof *tpe->good_logs);
    tpe->bad_logs = assay_alloc(tpe->n_candidates, sizeof *tpe->bad_logs);
    for (size_t c = 0; c < tpe->n_candidates; c++)
        tpe->pointers[c] = &tpe->coordinates[c * n_dimensions];
    *ret_instance = tpe;
    return ASSAY_PLUGIN_OK;
}

static void
tpe_destroy(void *instance)
{
    struct tpe *tpe = instance;

    assay_tpe_density_done(&tpe->good);
    assay_tpe_density_done(&tpe->bad);
    assay_tpe_ranking_done(&tpe->ranking);
    assay_tpe_layout_done(&tpe->layout);
    assay_start_done(&tpe->start);
    assay_algorithm_base_done(&tpe->base);
    free(tpe->good_side.points);
    free(tpe->good_side.weights);
    free(tpe->bad_side.points);
    free(tpe->bad_side.weights);
    free(tpe->told);
    free(tpe->points);
    free(tpe->coordinates);
    free(tpe->pointers);
    free(tpe->good_logs);
    free(tpe->bad_logs);
    free(tpe);
}

static bool
is_starting(const struct tpe *tpe)
{
    return tpe->ranking.n_ranked < tpe->n_start || tpe->ranking.n_usable == 0 ||
           tpe->layout.n_dimensions == 0;
}

static int32_t
tpe_update(void *instance, const struct assay_plugin_trial *const *trials, uint64_t n_trials,
           char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    struct tpe *tpe = instance;

    for (uint64_t i = 0; i < n_trials; i++) {
        const struct assay_history_trial *known =
            assay_history_find(tpe->base.history, trials[i]->number);

        if (known != NULL)
            assay_tpe_ranking_remove(&tpe->ranking, known);
        assay_history_tell(tpe->base.history, trials[i]);
        assay_tpe_encode(&tpe->layout, trials[i]->point, tpe->told);
        assay_tpe_ranking_add(&tpe->ranking,
                              assay_history_find(tpe->base.history, trials[i]->number), tpe->told);
    }
    if (!is_starting(tpe))
        refit(tpe);
    return ASSAY_PLUGIN_OK;
}

/* --- suggesting --- */

static bool
suggest_start(struct tpe *tpe, int64_t number, const struct assay_batch *batch,
              struct assay_random *random, const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_algorithm_base *base = &tpe->base;

    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"tpe\", \"phase\": \"start\", \"point\": \"%s\"}",
             number <= 1 ? "centre" : "sobol");
    assay_start_point(&tpe->start, base, number, suggestion->point);
    return assay_untried(base->history, batch, base->space, suggestion->point) ||
           assay_untried_draw(&base->transform, base->history, batch, random, suggestion->point);
}

/* The first n candidates' logarithms of good against bad, to good_logs. */
static void
weigh(struct tpe *tpe, size_t n)
{
    assay_tpe_density_log(&tpe->good, tpe->pointers, n, tpe->good_logs);
    assay_tpe_density_log(&tpe->bad, tpe->pointers, n, tpe->bad_logs);
    for (size_t c = 0; c < n; c++)
        tpe->good_logs[c] -= tpe->bad_logs[c];
}

/* The best candidate that has not been tried; SIZE_MAX when all have. */
static size_t
best_untried(struct tpe *tpe, size_t n, const struct assay_batch *batch)
{
    size_t n_parameters = tpe->base.space->n_parameters;

    for (size_t attempt = 0; attempt < n; attempt++) {
        size_t best = SIZE_MAX;

        for (size_t c = 0; c < n; c++) {
            if (!isnan(tpe->good_logs[c]) &&
                (best == SIZE_MAX || tpe->good_logs[c] > tpe->good_logs[best]))
                best = c;
        }
        if (best == SIZE_MAX || assay_untried(tpe->base.history, batch, tpe->base.space,
                                              &tpe->points[best * n_parameters]))
            return best;
        tpe->good_logs[best] = NAN;
    }
    return SIZE_MAX;
}

/* Random untried points in place of candidates; how many of them there are. */
static size_t
draw_untried(struct tpe *tpe, const struct assay_batch *batch, struct assay_random *random)
{
    size_t n = 0, n_parameters = tpe->base.space->n_parameters;

    while (n < UNTRIED_DRAWS &&
           assay_untried_draw(&tpe->base.transform, tpe->base.history, batch, random,
                              &tpe->points[n * n_parameters])) {
        assay_tpe_encode(&tpe->layout, &tpe->points[n * n_parameters],
                         &tpe->coordinates[n * tpe->layout.n_dimensions]);
        n++;
    }
    return n;
}

static bool
suggest_learned(struct tpe *tpe, const struct assay_batch *batch, struct assay_random *random,
                const struct assay_plugin_suggestion *suggestion)
{
    size_t n_parameters = tpe->base.space->n_parameters, best, n = tpe->n_candidates;
    size_t per_kernel = tpe->ranking.n_objectives > 1 ? n : CANDIDATES_PER_KERNEL, kernel = 0;
    const char *from = "good";

    /* With several objectives all from one kernel, so that the suggestions are spread
     * along the front as the good trials are. */
    for (size_t c = 0; c < n; c++) {
        if (c % per_kernel == 0)
            kernel = assay_tpe_density_pick(&tpe->good, random);
        assay_tpe_density_draw(&tpe->good, kernel, random, &tpe->points[c * n_parameters],
                               &tpe->coordinates[c * tpe->layout.n_dimensions]);
    }
    weigh(tpe, n);
    best = best_untried(tpe, n, batch);
    if (best == SIZE_MAX) {
        from = "untried";
        n = draw_untried(tpe, batch, random);
        weigh(tpe, n);
        best = best_untried(tpe, n, batch);
    }
    if (best == SIZE_MAX)
        return false;
    memcpy(suggestion->point, &tpe->points[best * n_parameters],
           n_parameters * sizeof *suggestion->point);
    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"tpe\", \"phase\": \"model\", \"good\": %zu, \"bad\": %zu, "
             "\"candidates\": %zu, \"drawn_from\": \"%s\", \"log_ratio\": %.4g}",
             tpe->good_side.n, tpe->bad_side.n, n, from, (double)tpe->good_logs[best]);
    /* The next of the same call should keep off, as if this were pending. */
    assay_tpe_density_add(&tpe->bad, tpe->pointers[best], 1.0 / ((double)tpe->bad_side.n + 1.0),
                          batch->n_given);
    return true;
}

static int32_t
tpe_suggest(void *instance, const int64_t *numbers, uint64_t n,
            const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
            char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    struct tpe *tpe = instance;
    bool starting = is_starting(tpe), found = true;

    *ret_count = 0;
    while (found && *ret_count < n) {
        size_t i = (size_t)*ret_count;
        struct assay_batch batch = {.given = suggestions, .n_given = i};
        struct assay_random random;

        assay_random_init(&random, tpe->base.seed, (uint64_t)numbers[i], ASSAY_PURPOSE_TPE);
        found = starting ? suggest_start(tpe, numbers[i], &batch, &random, suggestions[i])
                         : suggest_learned(tpe, &batch, &random, suggestions[i]);
        *ret_count += found;
    }
    if (!starting)
        assay_tpe_density_drop(&tpe->bad);
    return found ? ASSAY_PLUGIN_OK : ASSAY_PLUGIN_EXHAUSTED;
}

const struct assay_plugin_algorithm assay_algorithm_tpe = {
    .struct_size = sizeof assay_algorithm_tpe,
    .name = "tpe",
    .description = "Tree-structured Parzen estimator: models where good trials lie and where bad "
                   "ones do, and proposes what is most like the good. Strong with many categorical or "
                   "conditional parameters, and quick: well below a millisecond per suggestion.",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE |
            ASSAY_PLUGIN_CAP_PARALLEL,
    .settings_schema = settings_schema,
    .create = tpe_create,
    .update = tpe_update,
    .suggest = tpe_suggest,
    .destroy = tpe_destroy,
};

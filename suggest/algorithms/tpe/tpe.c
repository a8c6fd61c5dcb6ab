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
#include "suggest/algorithms/tpe/prior.h"
#include "suggest/algorithms/tpe/ranking.h"
#include "suggest/algorithms/tpe/source.h"

/* Candidates from one kernel: so branches of a conditional space compete by how many
 * good trials they have, too, and not by their sharpest peak alone. */
#define CANDIDATES_PER_KERNEL 8
/* Of so many groups of candidates one comes from a single kernel, the others from several
 * each: between good trials it is often better than at any of them. */
#define GROUPS_PER_SINGLE 4
#define BLENDED_KERNELS 3
/* Random points that are weighed up when every candidate has been tried before. */
#define UNTRIED_DRAWS 16
/* Candidates from an earlier study while there are no densities of this one. */
#define SOURCE_DRAWS 16
/* Every so many numbers a branch is taken at random, where there are branches; halfway
 * between, one of the other choices. */
#define CHOICE_EVERY 12
/* What counts for less than this is left out. */
#define STRENGTH_MIN 0.02
/* Shares of good trials where the settings do not say. */
#define GOOD_OF_ONE 0.17
#define GOOD_OF_SEVERAL 0.1

struct tpe {
    struct assay_algorithm_base base; /* first */
    struct assay_start start;
    struct assay_tpe_layout layout;
    struct assay_tpe_ranking ranking;
    struct assay_tpe_density good, bad;
    struct assay_tpe_side good_side, bad_side;
    struct assay_tpe_prior prior;
    struct assay_tpe_source *sources;
    size_t n_sources;
    bool *is_fork; /* per dimension: a choice on which others depend */
    bool has_forks;
    bool blends;   /* candidates from several kernels: one objective, and one branch */
    bool fitted;   /* the densities are of the trials told so far */
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
    "\"good_fraction\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 0.5,"
    " \"default\": 0, \"description\": \"Share of the ended trials that count as good (never"
    " more than 25 trials, or the square root of all where that is more). 0: 0.17, with several"
    " objectives 0.1.\"},"
    "\"candidates\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 10000, \"default\": 32,"
    " \"description\": \"Points that are drawn from the density of the good trials for each"
    " suggestion; the best of them is proposed.\"}}}";

static void
refit(struct tpe *tpe)
{
    struct assay_tpe_side ended;

    assay_tpe_ranking_split(&tpe->ranking, tpe->good_fraction, &tpe->good_side, &tpe->bad_side);
    /* The pending ones, which come last, say nothing yet. */
    ended = tpe->bad_side;
    ended.n -= ended.n_pending;
    assay_tpe_prior_trust(&tpe->prior, &tpe->good_side, &ended, tpe->ranking.n_ranked);
    for (size_t i = 0; i < tpe->n_sources; i++)
        assay_tpe_source_trust(&tpe->sources[i], &tpe->good_side, &ended, tpe->ranking.n_ranked);
    for (size_t i = 0; i < 2; i++) {
        const struct assay_tpe_side *side = i == 0 ? &tpe->good_side : &tpe->bad_side;
        struct assay_tpe_density *density = i == 0 ? &tpe->good : &tpe->bad;
        double total = 0.0;

        for (size_t k = 0; k < side->n - side->n_pending; k++)
            total += side->weights[k];
        /* The wide kernel weighs as much as an average trial. */
        total = total > 0.0 ? total / (double)(side->n - side->n_pending) : 1.0;
        density->n_narrow = side->n_pending;
        assay_tpe_density_fit(density, side->points, side->weights, side->n, total);
    }
    tpe->fitted = true;
}

/* Finds the choices on which other parameters depend. */
static void
find_forks(struct tpe *tpe)
{
    const struct assay_plugin_space *space = tpe->base.space;

    tpe->is_fork = assay_zalloc(tpe->layout.n_dimensions + 1, sizeof *tpe->is_fork);
    for (size_t i = 0; i < space->n_parameters; i++) {
        const struct assay_plugin_parameter *parameter = space->parameters[i];

        for (size_t k = 0; k < parameter->n_conditions; k++) {
            ptrdiff_t d = tpe->base.transform.of_parameter[parameter->conditions[k]->parent];

            if (d >= 0 && tpe->layout.dimensions[d].choice)
                tpe->is_fork[d] = tpe->has_forks = true;
        }
    }
}

static int32_t
tpe_create(const struct assay_plugin_study *study, void **ret_instance, char *error ASSAY_UNUSED,
           uint64_t error_size ASSAY_UNUSED)
{
    /* Of good kernels and of bad ones. */
    const struct assay_tpe_widths widths[] = {
        {.adaptive = true, .factor = 0.8, .narrowest = 0.02}, {.factor = 0.5, .narrowest = 0.1}};
    json_t *settings = assay_algorithm_settings(study);
    struct tpe *tpe = ASSAY_NEW(struct tpe);
    size_t n_dimensions, n_parameters = study->space->n_parameters;

    tpe->n_start = (size_t)json_integer_value(json_object_get(settings, "start_trials"));
    tpe->n_candidates = (size_t)json_integer_value(json_object_get(settings, "candidates"));
    tpe->n_candidates = ASSAY_MAX(tpe->n_candidates, (size_t)UNTRIED_DRAWS);
    tpe->good_fraction = json_number_value(json_object_get(settings, "good_fraction"));
    json_decref(settings);
    if (tpe->good_fraction <= 0.0)
        tpe->good_fraction = study->n_objectives > 1 ? GOOD_OF_SEVERAL : GOOD_OF_ONE;
    assay_algorithm_base_init(&tpe->base, study);
    assay_start_init(&tpe->start, &tpe->base);
    n_dimensions = tpe->base.transform.n_dimensions;
    assay_tpe_layout_init(&tpe->layout, &tpe->base.transform);
    find_forks(tpe);
    tpe->blends = study->n_objectives == 1 && !tpe->has_forks;
    assay_tpe_ranking_init(&tpe->ranking, (size_t)study->n_objectives, n_dimensions, study->seed);
    assay_tpe_density_init(&tpe->good, &tpe->layout, &widths[0]);
    assay_tpe_density_init(&tpe->bad, &tpe->layout, &widths[1]);
    assay_tpe_side_init(&tpe->good_side, ASSAY_TPE_GOOD_MAX);
    assay_tpe_side_init(&tpe->bad_side, ASSAY_TPE_BAD_MAX);
    assay_tpe_prior_init(&tpe->prior, &tpe->layout);
    tpe->sources = assay_zalloc((size_t)study->n_sources + 1, sizeof *tpe->sources);
    for (size_t i = 0; i < study->n_sources && n_dimensions > 0; i++)
        tpe->n_sources +=
            assay_tpe_source_init(&tpe->sources[tpe->n_sources], &tpe->layout, widths,
                                  tpe->good_fraction, study, study->sources[i]);
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

    for (size_t i = 0; i < tpe->n_sources; i++)
        assay_tpe_source_done(&tpe->sources[i]);
    free(tpe->sources);
    assay_tpe_prior_done(&tpe->prior);
    assay_tpe_density_done(&tpe->good);
    assay_tpe_density_done(&tpe->bad);
    assay_tpe_ranking_done(&tpe->ranking);
    assay_tpe_layout_done(&tpe->layout);
    assay_start_done(&tpe->start);
    assay_algorithm_base_done(&tpe->base);
    assay_tpe_side_done(&tpe->good_side);
    assay_tpe_side_done(&tpe->bad_side);
    free(tpe->is_fork);
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
    return tpe->ranking.n_ranked < tpe->n_start || tpe->ranking.n_learning == 0 ||
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
    tpe->fitted = false;
    return ASSAY_PLUGIN_OK;
}

/* --- suggesting --- */

/* Puts a point in the place of the c-th candidate. */
static void
encode_candidate(struct tpe *tpe, size_t c)
{
    assay_tpe_encode(&tpe->layout, &tpe->points[c * tpe->base.space->n_parameters],
                     &tpe->coordinates[c * tpe->layout.n_dimensions]);
}

static bool
is_expecting(const struct tpe *tpe)
{
    return tpe->prior.expectations.n > 0 && tpe->prior.strength >= STRENGTH_MIN;
}

/* What users expect and earlier studies found, added to the logarithms of n candidates. */
static void
add_knowledge(struct tpe *tpe, size_t n)
{
    for (size_t c = 0; c < n && is_expecting(tpe); c++)
        tpe->good_logs[c] +=
            (float)(tpe->prior.strength * assay_tpe_prior_log(&tpe->prior, tpe->pointers[c]));
    for (size_t i = 0; i < tpe->n_sources; i++) {
        if (tpe->sources[i].weight >= STRENGTH_MIN)
            assay_tpe_source_judge(&tpe->sources[i], tpe->sources[i].weight, tpe->pointers, n,
                                   tpe->good_logs);
    }
}

/* Draws candidates from a source's good trials. */
static void
draw_from_source(struct tpe *tpe, const struct assay_tpe_source *source, size_t first, size_t n,
                 struct assay_random *random)
{
    size_t kernel = assay_tpe_density_pick(&source->good, random);

    for (size_t c = first; c < first + n; c++)
        assay_tpe_density_draw(&source->good, kernel, random,
                               &tpe->points[c * tpe->base.space->n_parameters],
                               &tpe->coordinates[c * tpe->layout.n_dimensions]);
}

static size_t best_untried(struct tpe *tpe, size_t n, const struct assay_batch *batch);

/* Every second trial of the start goes by a source, those left by what users expect. */
static const char *
choose_start(struct tpe *tpe, int64_t number, const struct assay_batch *batch,
             struct assay_random *random, double *ret_point)
{
    const struct assay_algorithm_base *base = &tpe->base;

    if (tpe->n_sources > 0 && number % 2 == 1) {
        size_t source = (size_t)(number / 2) % tpe->n_sources, best;

        for (size_t c = 0; c < SOURCE_DRAWS; c++) {
            draw_from_source(tpe, &tpe->sources[source], c, 1, random);
            tpe->good_logs[c] = 0.0f;
        }
        add_knowledge(tpe, SOURCE_DRAWS);
        best = best_untried(tpe, SOURCE_DRAWS, batch);
        if (best != SIZE_MAX) {
            memcpy(ret_point, &tpe->points[best * base->space->n_parameters],
                   base->space->n_parameters * sizeof *ret_point);
            return "source";
        }
    }
    if (tpe->prior.expectations.n > 0 && (number <= 1 || number % 2 == 0)) {
        if (number <= 1)
            assay_expectations_mode(&tpe->prior.expectations, ret_point);
        else
            assay_tpe_prior_draw(&tpe->prior, random, ret_point);
        return "prior";
    }
    assay_start_point(&tpe->start, base, number, ret_point);
    return number <= 1 ? "centre" : "sobol";
}

static bool
suggest_start(struct tpe *tpe, int64_t number, const struct assay_batch *batch,
              struct assay_random *random, const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_algorithm_base *base = &tpe->base;

    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"tpe\", \"phase\": \"start\", \"point\": \"%s\"}",
             choose_start(tpe, number, batch, random, suggestion->point));
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
    add_knowledge(tpe, n);
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
        encode_candidate(tpe, n++);
    }
    return n;
}

/* Candidates in groups of the same kernels each; the last groups, where there are others to
 * spare, from what users expect and from a source. */
static void
draw_candidates(struct tpe *tpe, int64_t number, struct assay_random *random)
{
    size_t n = tpe->n_candidates, n_parameters = tpe->base.space->n_parameters;
    size_t group = ASSAY_MIN((size_t)CANDIDATES_PER_KERNEL, n / 4);
    size_t kernels[BLENDED_KERNELS], n_kernels = 0;

    if (is_expecting(tpe)) {
        n -= group;
        for (size_t c = n; c < n + group; c++) {
            assay_tpe_prior_draw(&tpe->prior, random, &tpe->points[c * n_parameters]);
            encode_candidate(tpe, c);
        }
    }
    if (tpe->n_sources > 0) {
        const struct assay_tpe_source *source =
            &tpe->sources[(uint64_t)number % tpe->n_sources];

        if (source->weight >= STRENGTH_MIN) {
            n -= group;
            draw_from_source(tpe, source, n, group, random);
        }
    }
    for (size_t c = 0; c < n; c++) {
        if (c % CANDIDATES_PER_KERNEL == 0) {
            bool single = c / CANDIDATES_PER_KERNEL % GROUPS_PER_SINGLE == 0;

            n_kernels = single || !tpe->blends ? 1 : BLENDED_KERNELS;
            for (size_t k = 0; k < n_kernels; k++)
                kernels[k] = assay_tpe_density_pick(&tpe->good, random);
        }
        assay_tpe_density_blend(&tpe->good, kernels, n_kernels, random,
                                &tpe->points[c * n_parameters],
                                &tpe->coordinates[c * tpe->layout.n_dimensions]);
    }
}

/* Candidates from all over the space, of which only those in the first one's branch
 * stand: a branch that began badly has few good trials, or none, and would hardly be
 * seen again. */
static void
draw_branch(struct tpe *tpe, struct assay_random *random)
{
    size_t n_parameters = tpe->base.space->n_parameters;

    for (size_t c = 0; c < tpe->n_candidates; c++)
        assay_tpe_density_draw(&tpe->good, 0, random, &tpe->points[c * n_parameters],
                               &tpe->coordinates[c * tpe->layout.n_dimensions]);
}

static bool
is_plain_choice(const struct tpe *tpe, size_t d)
{
    return tpe->layout.dimensions[d].choice && !tpe->is_fork[d];
}

/* Gives all candidates the same random value of one choice on which no other parameter
 * depends, for the same reason. */
static void
change_choice(struct tpe *tpe, struct assay_random *random)
{
    size_t n = 0, d = 0, before;
    double value;

    for (size_t k = 0; k < tpe->layout.n_dimensions; k++)
        n += is_plain_choice(tpe, k);
    if (n == 0)
        return;
    for (before = (size_t)assay_random_below(random, n); before > 0 || !is_plain_choice(tpe, d); d++)
        before -= is_plain_choice(tpe, d);
    value = (double)assay_random_below(random, tpe->layout.dimensions[d].n_values);
    for (size_t c = 0; c < tpe->n_candidates; c++) {
        double *point = &tpe->points[c * tpe->base.space->n_parameters];
        size_t i = tpe->base.transform.dimensions[d].parameter;

        if (!isnan(point[i])) {
            point[i] = value;
            tpe->coordinates[c * tpe->layout.n_dimensions + d] = (float)value;
        }
    }
}

static void
drop_other_branches(struct tpe *tpe)
{
    for (size_t c = 1; c < tpe->n_candidates; c++) {
        for (size_t d = 0; d < tpe->layout.n_dimensions; d++) {
            float here = tpe->pointers[0][d], there = tpe->pointers[c][d];

            if (tpe->is_fork[d] && !(here == there || (isnan(here) && isnan(there))))
                tpe->good_logs[c] = NAN;
        }
    }
}

static bool
suggest_learned(struct tpe *tpe, int64_t number, const struct assay_batch *batch,
                struct assay_random *random, const struct assay_plugin_suggestion *suggestion)
{
    size_t n_parameters = tpe->base.space->n_parameters, best, n = tpe->n_candidates;
    bool branch = tpe->has_forks && number % CHOICE_EVERY == 0;
    const char *from = branch ? "branch" : "good";

    if (branch)
        draw_branch(tpe, random);
    else
        draw_candidates(tpe, number, random);
    if (number % CHOICE_EVERY == CHOICE_EVERY / 2)
        change_choice(tpe, random);
    weigh(tpe, n);
    if (branch)
        drop_other_branches(tpe);
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
    assay_tpe_density_add(&tpe->bad, tpe->pointers[best],
                          ASSAY_TPE_PENDING_WEIGHT / ((double)tpe->bad_side.n + 1.0),
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
    if (!starting && !tpe->fitted)
        refit(tpe);
    while (found && *ret_count < n) {
        size_t i = (size_t)*ret_count;
        struct assay_batch batch = {.given = suggestions, .n_given = i};
        struct assay_random random;

        assay_random_init(&random, tpe->base.seed, (uint64_t)numbers[i], ASSAY_PURPOSE_TPE);
        found = starting ? suggest_start(tpe, numbers[i], &batch, &random, suggestions[i])
                         : suggest_learned(tpe, numbers[i], &batch, &random, suggestions[i]);
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
            ASSAY_PLUGIN_CAP_CONSTRAINTS | ASSAY_PLUGIN_CAP_PARALLEL,
    .settings_schema = settings_schema,
    .create = tpe_create,
    .update = tpe_update,
    .suggest = tpe_suggest,
    .destroy = tpe_destroy,
};

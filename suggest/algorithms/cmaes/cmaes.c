/* CMA-ES for mixed spaces, with restarts: a normal distribution over the numbers and
 * probabilities of the choices, moved towards the better half of each group of trials.
 *
 * N. Hansen, "The CMA evolution strategy: a tutorial", arXiv 1604.00772; A. Auger and
 * N. Hansen, "A restart CMA evolution strategy with increasing population size", CEC
 * 2005, and N. Hansen, "Benchmarking a BI-population CMA-ES", GECCO 2009; R. Hamano et
 * al., "CMA-ES with margin", GECCO 2022 and "CatCMA", GECCO 2024; M. Nomura et al.,
 * "Warm starting CMA-ES", AAAI 2021; N. Hansen, "Injecting external solutions into
 * CMA-ES", 2011.  README.md here says what is done otherwise and why.
 *
 * The state is a fold over the ended trials in the order of their numbers, so that it
 * does not depend on the order in which they were told; a late one takes the fold back
 * to the last kept state before it. */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/algorithms/cmaes/outlook.h"
#include "suggest/algorithms/numbered.h"
#include "suggest/algorithms/start.h"

/* A source with fewer trials is left out. */
#define SOURCE_TRIALS_MIN 5
/* A source is gone on from when its trials rank so much better, as a share of all. */
#define SOURCE_AHEAD 0.4
/* Draws before a random untried point is taken in a space that is nearly used up. */
#define DRAWS_MAX 32
/* States kept to go back to; past it every second of the older ones goes. */
#define KEPT_MAX 96
/* A warm start looks back on so many trials. */
#define LOOK_BACK_MAX 2000
/* Draws have a mean squared distance of 1; other people's points have more. */
#define DISTANCE_OF_OTHERS 1.1

struct cmaes {
    struct assay_algorithm_base base; /* first */
    struct assay_start start;
    struct assay_cmaes_layout layout;
    size_t n_start;
    struct assay_numbered ended; /* struct assay_cmaes_trial */
    struct assay_cmaes_strategy *kept[KEPT_MAX]; /* the last is in force */
    size_t n_kept;
    /* As if it had begun with what users expect, if anything, and with earlier studies. */
    struct assay_cmaes_strategy **sources;
    size_t n_sources;
    struct assay_expectations expectations;
    size_t n_pending;
    struct assay_cmaes_outlook outlook;
    bool looked; /* the outlook is that of what has been told */
    double *unit, *normals, *coordinates, *point;
};

static const char settings_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"start_trials\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 1000, \"default\": 8,"
    " \"description\": \"Trials that must have ended before the first distribution is made from the"
    " best of them; until then points of the Sobol sequence are tried, the middle first.\"},"
    "\"population\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 1000, \"default\": 0,"
    " \"description\": \"Trials in a generation of the first run; 0: 4 + ln(parameters). Restarts"
    " change it.\"}}}";

static void
free_trial(struct assay_cmaes_trial *trial)
{
    free(trial->coordinates);
    free(trial);
}

/* --- earlier studies --- */

static int
compare_pointers(const void *a, const void *b)
{
    const struct assay_cmaes_trial *const *x = a, *const *y = b;

    return assay_cmaes_compare(*x, *y);
}

/* The trials of a source that have a value; bounds that it did not measure do not count
 * against them.  Returns how many. */
static size_t
trials_of_source(struct cmaes *cmaes, const struct assay_plugin_source *source,
                 struct assay_cmaes_trial **ret_trials)
{
    size_t n = 0;

    for (size_t i = 0; i < source->n_trials; i++) {
        const struct assay_plugin_trial *from = source->trials[i];
        struct assay_cmaes_trial *trial;
        double violation = 0.0;

        if (from->state != ASSAY_PLUGIN_SUCCEEDED || !isfinite(from->values[0]))
            continue;
        for (size_t k = 0; k < cmaes->base.n_constraints; k++)
            violation += fmax(from->constraints[k], 0.0);
        trial = ASSAY_NEW(struct assay_cmaes_trial);
        trial->number = from->number;
        trial->standing = violation > 0.0 ? ASSAY_CMAES_VIOLATING : ASSAY_CMAES_SUCCEEDED;
        trial->first = violation > 0.0 ? violation : from->values[0];
        trial->second = from->values[0];
        assay_cmaes_encode(&cmaes->layout, from->point, cmaes->coordinates);
        trial->coordinates =
            assay_memdup(cmaes->coordinates, (cmaes->layout.n_dimensions + 1) * sizeof(double));
        ret_trials[n++] = trial;
    }
    return n;
}

/* The distribution that the best trials of a source suggest. */
static void
take_source(struct cmaes *cmaes, const struct assay_plugin_source *source)
{
    assay_auto_free struct assay_cmaes_trial **trials =
        assay_alloc((size_t)source->n_trials, sizeof *trials);
    size_t n = trials_of_source(cmaes, source, trials);
    assay_auto_free const struct assay_cmaes_trial **sorted = assay_alloc(n + 1, sizeof *sorted);
    struct assay_cmaes_strategy *strategy;

    if (n >= SOURCE_TRIALS_MIN) {
        for (size_t i = 0; i < n; i++)
            sorted[i] = trials[i];
        qsort(sorted, n, sizeof *sorted, compare_pointers);
        strategy = assay_memdup(cmaes->kept[0], assay_cmaes_strategy_bytes(&cmaes->layout));
        assay_cmaes_strategy_warm(&cmaes->layout, strategy, sorted, n);
        cmaes->sources[cmaes->n_sources++] = strategy;
    }
    for (size_t i = 0; i < n; i++)
        free_trial(trials[i]);
}

static void
take_expectations(struct cmaes *cmaes)
{
    struct assay_cmaes_strategy *strategy;

    assay_expectations_init(&cmaes->expectations, &cmaes->base.transform);
    if (cmaes->expectations.n == 0)
        return;
    strategy = assay_memdup(cmaes->kept[0], assay_cmaes_strategy_bytes(&cmaes->layout));
    assay_cmaes_strategy_expect(&cmaes->layout, strategy, &cmaes->expectations);
    cmaes->sources[cmaes->n_sources++] = strategy;
}

/* Which source the start draws trial `number` from; -1: none. */
static ptrdiff_t
source_of(const struct cmaes *cmaes, int64_t number)
{
    if (cmaes->n_sources == 0 || number % 2 == 0)
        return -1;
    return (ptrdiff_t)((size_t)(number / 2) % cmaes->n_sources);
}

/* The start's point for a trial number: every second from a source, if there is one. */
static const char *
start_point(struct cmaes *cmaes, int64_t number, struct assay_random *random, double *ret_point)
{
    ptrdiff_t source = source_of(cmaes, number);

    if (source < 0) {
        assay_start_point(&cmaes->start, &cmaes->base, number, ret_point);
        return number <= 1 ? "centre" : "sobol";
    }
    if (number <= 1 && cmaes->expectations.n > 0) {
        assay_expectations_mode(&cmaes->expectations, ret_point);
        return "prior";
    }
    assay_cmaes_strategy_draw(&cmaes->layout, cmaes->sources[source], NULL, random,
                              cmaes->normals, cmaes->unit);
    assay_transform_decode(&cmaes->base.transform, cmaes->unit, ret_point);
    return source == 0 && cmaes->expectations.n > 0 ? "prior" : "source";
}

/* --- life --- */

static int32_t
cmaes_create(const struct assay_plugin_study *study, void **ret_instance,
             char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    json_t *settings = assay_algorithm_settings(study);
    struct cmaes *cmaes = ASSAY_NEW(struct cmaes);
    size_t population = (size_t)json_integer_value(json_object_get(settings, "population")), n;

    cmaes->n_start = (size_t)json_integer_value(json_object_get(settings, "start_trials"));
    json_decref(settings);
    assay_algorithm_base_init(&cmaes->base, study);
    assay_start_init(&cmaes->start, &cmaes->base);
    assay_cmaes_layout_init(&cmaes->layout, &cmaes->base.transform, study->seed, population);
    n = cmaes->layout.n_dimensions + 1;
    assay_cmaes_outlook_init(&cmaes->layout, &cmaes->outlook);
    cmaes->unit = assay_zalloc(n, sizeof *cmaes->unit);
    cmaes->normals = assay_zalloc(n, sizeof *cmaes->normals);
    cmaes->coordinates = assay_zalloc(n, sizeof *cmaes->coordinates);
    cmaes->point = assay_zalloc((size_t)study->space->n_parameters + 1, sizeof *cmaes->point);
    cmaes->kept[0] = assay_alloc(1, assay_cmaes_strategy_bytes(&cmaes->layout));
    assay_cmaes_strategy_init(&cmaes->layout, cmaes->kept[0]);
    cmaes->n_kept = 1;
    cmaes->sources = assay_zalloc((size_t)study->n_sources + 2, sizeof *cmaes->sources);
    take_expectations(cmaes);
    for (size_t i = 0; i < study->n_sources; i++)
        take_source(cmaes, study->sources[i]);
    *ret_instance = cmaes;
    return ASSAY_PLUGIN_OK;
}

static void
cmaes_destroy(void *instance)
{
    struct cmaes *cmaes = instance;

    for (size_t i = 0; i < cmaes->ended.n; i++)
        free_trial(cmaes->ended.items[i]);
    assay_numbered_done(&cmaes->ended);
    for (size_t i = 0; i < cmaes->n_kept; i++)
        free(cmaes->kept[i]);
    for (size_t i = 0; i < cmaes->n_sources; i++)
        free(cmaes->sources[i]);
    free(cmaes->sources);
    assay_expectations_done(&cmaes->expectations);
    assay_cmaes_outlook_done(&cmaes->outlook);
    assay_cmaes_layout_done(&cmaes->layout);
    assay_start_done(&cmaes->start);
    assay_algorithm_base_done(&cmaes->base);
    free(cmaes->unit);
    free(cmaes->normals);
    free(cmaes->coordinates);
    free(cmaes->point);
    free(cmaes);
}

/* --- taking trials in --- */

static void
forget_from(struct cmaes *cmaes, size_t place)
{
    while (cmaes->n_kept > 1 && cmaes->kept[cmaes->n_kept - 1]->consumed > place)
        free(cmaes->kept[--cmaes->n_kept]);
}

static void
remove_ended(struct cmaes *cmaes, int64_t number)
{
    size_t at;
    struct assay_cmaes_trial *trial = assay_numbered_take(&cmaes->ended, number, &at);

    if (trial == NULL)
        return;
    forget_from(cmaes, at);
    free_trial(trial);
}

/* All but the coordinates.  Within the bounds comes first, then the least violation (K.
 * Deb, "An efficient constraint handling method for genetic algorithms", 2000). */
static struct assay_cmaes_trial
rank(const struct assay_history_trial *from)
{
    struct assay_cmaes_trial trial = {.number = from->number, .standing = ASSAY_CMAES_USELESS};

    if (from->usable && assay_history_is_whole(from)) {
        trial.standing = ASSAY_CMAES_SUCCEEDED;
        trial.first = from->values[0];
    } else if (from->usable) {
        trial.standing = ASSAY_CMAES_STOPPED;
        trial.first = -(double)from->steps;
        trial.second = from->values[0];
    } else if (from->measured && isfinite(from->violation)) {
        trial.standing = ASSAY_CMAES_VIOLATING;
        trial.first = from->violation;
        trial.second = from->values[0];
    }
    return trial;
}

static void
insert_ended(struct cmaes *cmaes, const struct assay_history_trial *from)
{
    struct assay_cmaes_trial *trial = ASSAY_NEW(struct assay_cmaes_trial);

    *trial = rank(from);
    assay_cmaes_encode(&cmaes->layout, from->point, cmaes->coordinates);
    trial->coordinates =
        assay_memdup(cmaes->coordinates, (cmaes->layout.n_dimensions + 1) * sizeof(double));
    forget_from(cmaes, assay_numbered_insert(&cmaes->ended, trial));
}

static const struct assay_cmaes_trial **
sorted_trials(const struct cmaes *cmaes, size_t first, size_t n)
{
    const struct assay_cmaes_trial **sorted = assay_alloc(n + 1, sizeof *sorted);

    for (size_t i = 0; i < n; i++)
        sorted[i] = cmaes->ended.items[first + i];
    qsort(sorted, n, sizeof *sorted, compare_pointers);
    return sorted;
}

static size_t
group_size(const struct cmaes *cmaes, const struct assay_cmaes_strategy *strategy)
{
    return strategy->consumed == 0 ? cmaes->n_start : strategy->n_group;
}

/* Whether most of the first trials are what the start proposes. */
static bool
is_own_start(struct cmaes *cmaes, size_t n)
{
    size_t n_dimensions = cmaes->layout.n_dimensions, own = 0;

    for (size_t i = 0; i < n; i++) {
        const struct assay_cmaes_trial *trial = cmaes->ended.items[i];
        struct assay_random random;
        bool same = true;

        assay_random_init(&random, cmaes->base.seed, (uint64_t)trial->number, ASSAY_PURPOSE_CMAES);
        start_point(cmaes, trial->number, &random, cmaes->point);
        assay_cmaes_encode(&cmaes->layout, cmaes->point, cmaes->coordinates);
        for (size_t d = 0; d < n_dimensions; d++) {
            double a = trial->coordinates[d], b = cmaes->coordinates[d];

            same = same && (isnan(a) || isnan(b) ? isnan(a) && isnan(b) : fabs(a - b) < 1e-9);
        }
        own += same;
    }
    return 2 * own >= n;
}

/* The distribution anew from the best of what is known. */
static void
warm_start(const struct cmaes *cmaes, struct assay_cmaes_strategy *strategy)
{
    size_t n = ASSAY_MIN(strategy->consumed, (size_t)LOOK_BACK_MAX);
    assay_auto_free const struct assay_cmaes_trial **known =
        sorted_trials(cmaes, strategy->consumed - n, n);

    assay_cmaes_strategy_warm(&cmaes->layout, strategy, known, n);
}

/* The source whose distribution the first group speaks for: its trials rank ahead of
 * the others on average.  NULL: none. */
static const struct assay_cmaes_strategy *
trusted_source(const struct cmaes *cmaes, const struct assay_cmaes_trial *const *sorted, size_t n)
{
    const struct assay_cmaes_strategy *trusted = NULL;
    double most = SOURCE_AHEAD;

    for (size_t source = 0; source < cmaes->n_sources; source++) {
        double own = 0.0, others = 0.0, n_own = 0.0;

        for (size_t i = 0; i < n; i++) {
            bool is_own = source_of(cmaes, sorted[i]->number) == (ptrdiff_t)source;

            *(is_own ? &own : &others) += (double)i / (double)n;
            n_own += is_own;
        }
        if (n_own == 0.0 || n_own == (double)n)
            continue;
        if (others / ((double)n - n_own) - own / n_own > most) {
            most = others / ((double)n - n_own) - own / n_own;
            trusted = cmaes->sources[source];
        }
    }
    return trusted;
}

/* The first distribution: from a source that has shown what it is worth, and the trials
 * count as its first generation; else from the best of the trials. */
static void
begin(const struct cmaes *cmaes, struct assay_cmaes_strategy *strategy,
      const struct assay_cmaes_trial *const *sorted, size_t n)
{
    const struct assay_cmaes_strategy *source = NULL;
    size_t consumed = strategy->consumed;

    if (!strategy->importing)
        source = trusted_source(cmaes, sorted, n);
    if (source == NULL) {
        warm_start(cmaes, strategy);
        return;
    }
    memcpy(strategy, source, assay_cmaes_strategy_bytes(&cmaes->layout));
    strategy->consumed = consumed;
    assay_cmaes_strategy_update(&cmaes->layout, strategy, sorted, n);
}

/* One more group folded in.  A history that begins with trials of others is taken in
 * until the trials look like draws from what was made of those before; the groups grow
 * with it, so that this stays cheap. */
static void
fold(struct cmaes *cmaes, struct assay_cmaes_strategy *strategy)
{
    size_t n = group_size(cmaes, strategy), from = strategy->consumed;
    assay_auto_free const struct assay_cmaes_trial **group = sorted_trials(cmaes, from, n);

    strategy->consumed += n;
    if (from == 0)
        strategy->importing = !is_own_start(cmaes, n);
    else if (strategy->importing)
        strategy->importing = assay_cmaes_strategy_distance(&cmaes->layout, strategy, group, n) >
                              DISTANCE_OF_OTHERS;
    if (from == 0) {
        begin(cmaes, strategy, group, n);
    } else if (strategy->importing) {
        warm_start(cmaes, strategy);
    } else {
        assay_cmaes_strategy_update(&cmaes->layout, strategy, group, n);
        if (assay_cmaes_strategy_ended(&cmaes->layout, strategy))
            assay_cmaes_strategy_restart(&cmaes->layout, strategy);
    }
    strategy->n_group = strategy->n_population;
    if (strategy->importing)
        strategy->n_group = ASSAY_MAX(strategy->n_group, strategy->consumed / 16);
}

static void
thin_out(struct cmaes *cmaes)
{
    size_t n = 1;

    for (size_t i = 1; i < cmaes->n_kept; i++) {
        if (i < KEPT_MAX * 2 / 3 && i % 2 == 1)
            free(cmaes->kept[i]);
        else
            cmaes->kept[n++] = cmaes->kept[i];
    }
    cmaes->n_kept = n;
}

static void
catch_up(struct cmaes *cmaes)
{
    size_t bytes = assay_cmaes_strategy_bytes(&cmaes->layout);

    for (;;) {
        struct assay_cmaes_strategy *last = cmaes->kept[cmaes->n_kept - 1];

        if (cmaes->ended.n - last->consumed < group_size(cmaes, last))
            return;
        if (cmaes->n_kept == KEPT_MAX)
            thin_out(cmaes);
        last = assay_memdup(last, bytes);
        fold(cmaes, last);
        cmaes->kept[cmaes->n_kept++] = last;
    }
}

static int32_t
cmaes_update(void *instance, const struct assay_plugin_trial *const *trials, uint64_t n_trials,
             char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    struct cmaes *cmaes = instance;

    cmaes->looked = false;
    for (uint64_t i = 0; i < n_trials; i++) {
        const struct assay_history_trial *trial =
            assay_history_find(cmaes->base.history, trials[i]->number);

        cmaes->n_pending -= trial != NULL && trial->state == ASSAY_PLUGIN_PENDING;
        assay_history_tell(cmaes->base.history, trials[i]);
        trial = assay_history_find(cmaes->base.history, trials[i]->number);
        cmaes->n_pending += trial->state == ASSAY_PLUGIN_PENDING;
        remove_ended(cmaes, trial->number);
        if (trial->state != ASSAY_PLUGIN_PENDING && trial->state != ASSAY_PLUGIN_CANCELLED)
            insert_ended(cmaes, trial);
    }
    catch_up(cmaes);
    return ASSAY_PLUGIN_OK;
}

/* --- suggesting --- */

/* Where to draw from, by what has been told: while less than a generation is pending, from
 * the strategy as it stands.  What ended in this run alone counts, and what was pending
 * when it began does not. */
static void
look(struct cmaes *cmaes, const struct assay_cmaes_strategy *strategy)
{
    size_t n = strategy->n_population + cmaes->n_pending, own = cmaes->ended.n - strategy->begun;

    if (cmaes->looked)
        return;
    cmaes->looked = true;
    assay_cmaes_outlook_set(&cmaes->layout, strategy, &cmaes->outlook);
    if (strategy->begun == 0)
        n = ASSAY_MIN(n, own);
    else
        own -= ASSAY_MIN(own, cmaes->n_pending);
    if (cmaes->n_pending >= strategy->n_population && n <= own) {
        assay_auto_free const struct assay_cmaes_trial **latest =
            sorted_trials(cmaes, cmaes->ended.n - n, n);

        assay_cmaes_outlook_advance(&cmaes->layout, strategy, latest, n, cmaes->n_pending,
                                    &cmaes->outlook);
    }
}

static int32_t
suggest_one(void *instance, int64_t number, const struct assay_batch *batch,
            const struct assay_plugin_suggestion *suggestion)
{
    struct cmaes *cmaes = instance;
    const struct assay_cmaes_strategy *strategy = cmaes->kept[cmaes->n_kept - 1];
    const struct assay_algorithm_base *base = &cmaes->base;
    struct assay_random random;
    bool found = false;

    assay_random_init(&random, base->seed, (uint64_t)number, ASSAY_PURPOSE_CMAES);
    if (strategy->consumed == 0) {
        snprintf(suggestion->why, suggestion->why_size,
                 "{\"proposed_by\": \"cmaes\", \"phase\": \"start\", \"point\": \"%s\"}",
                 start_point(cmaes, number, &random, suggestion->point));
        found = assay_untried(base->history, batch, base->space, suggestion->point);
    } else {
        look(cmaes, strategy);
        snprintf(suggestion->why, suggestion->why_size,
                 "{\"proposed_by\": \"cmaes\", \"phase\": \"model\", \"run\": %zu, "
                 "\"generation\": %zu, \"population\": %zu, \"sigma\": %.4g}",
                 strategy->restarts + 1, strategy->generation + 1, strategy->n_population,
                 cmaes->outlook.sigma);
        for (int draw = 0; draw < DRAWS_MAX && !found; draw++) {
            assay_cmaes_strategy_draw(&cmaes->layout, strategy, &cmaes->outlook, &random,
                                      cmaes->normals, cmaes->unit);
            assay_transform_decode(&base->transform, cmaes->unit, suggestion->point);
            found = assay_untried(base->history, batch, base->space, suggestion->point);
        }
    }
    return found ? ASSAY_PLUGIN_OK
                 : assay_algorithm_suggest_untried(base, batch, &random, suggestion);
}

static int32_t
cmaes_suggest(void *instance, const int64_t *numbers, uint64_t n,
              const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
              char *error ASSAY_UNUSED, uint64_t error_size ASSAY_UNUSED)
{
    return assay_algorithm_suggest_each(instance, suggest_one, numbers, n, suggestions, ret_count);
}

const struct assay_plugin_algorithm assay_algorithm_cmaes = {
    .struct_size = sizeof assay_algorithm_cmaes,
    .name = "cmaes",
    .description = "CMA-ES with restarts: adapts a normal distribution over the numbers, with a "
                   "margin where they have steps, and probabilities over the choices. For hundreds "
                   "of trials and more, mostly numeric; a suggestion takes microseconds.",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_CONSTRAINTS |
            ASSAY_PLUGIN_CAP_PARALLEL,
    .settings_schema = settings_schema,
    .create = cmaes_create,
    .update = cmaes_update,
    .suggest = cmaes_suggest,
    .destroy = cmaes_destroy,
};

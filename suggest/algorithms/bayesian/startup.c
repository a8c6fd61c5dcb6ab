#include "suggest/algorithms/bayesian/startup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define TRIALS_MIN 5
#define TRIALS_MAX 20
/* With sources that are trusted in full. */
#define TRIALS_LEAST 4
#define VALUES_MIN 2
/* A source's trials that count as its best: a fifth, so many at most. */
#define BEST_SHARE 5
#define BEST_MAX 20
/* Where the sequence goes on when an odd number has nobody to go by. */
#define SEQUENCE_OF_OTHERS 1000

void
assay_gp_startup_init(struct assay_gp_startup *startup, const struct assay_algorithm_base *base,
                      const struct assay_expectations *expectations,
                      struct assay_gp_sources *sources, uint64_t trials)
{
    size_t usual = ASSAY_MIN(ASSAY_MAX(base->transform.n_dimensions + 1, (size_t)TRIALS_MIN),
                             (size_t)TRIALS_MAX);

    *startup = (struct assay_gp_startup){
        .base = base,
        .expectations = expectations,
        .sources = sources,
        .trials = trials > 0 ? trials : usual,
        .fixed = trials > 0,
    };
    assay_start_init(&startup->start, base);
}

void
assay_gp_startup_done(struct assay_gp_startup *startup)
{
    assay_start_done(&startup->start);
}

enum assay_gp_start
assay_gp_startup_judge(struct assay_gp_startup *startup, uint64_t trials, uint64_t valued,
                       struct assay_gp_trend *ret_trend)
{
    double wanted = (double)startup->trials;
    struct assay_gp_data data;

    *ret_trend = (struct assay_gp_trend){0};
    if (valued >= VALUES_MIN && trials >= startup->trials)
        return ASSAY_GP_STARTED;
    if (startup->sources->n == 0)
        return ASSAY_GP_STARTING;
    if (!assay_gp_sources_learn(startup->sources))
        return ASSAY_GP_START_INTERRUPTED;
    ret_trend->sources = startup->sources;
    assay_gp_data_init(&data, startup->sources->features, startup->base->history,
                       startup->base->n_objectives, startup->base->n_constraints);
    assay_gp_trend_judge(ret_trend, &data, assay_gp_data_output(&data, 0), data.n_valued);
    assay_gp_data_done(&data);
    if (!startup->fixed)
        wanted = fmin(wanted, fmax(TRIALS_LEAST, ceil(wanted * (1.0 - ret_trend->trust))));
    return valued >= VALUES_MIN && (double)trials >= wanted ? ASSAY_GP_STARTED : ASSAY_GP_STARTING;
}

/* --- from what is known --- */

static double
squared_distance(const double *a, const double *b, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* From a row to the nearest point tried or given. */
static double
nearest(const struct assay_gp_startup *startup, const struct assay_batch *batch, const double *row)
{
    const struct assay_gp_features *features = startup->sources->features;
    const struct assay_history *history = startup->base->history;
    size_t count = assay_history_count(history);
    assay_auto_free double *other = assay_alloc(features->n_columns + 1, sizeof *other);
    double least = INFINITY;

    for (size_t i = 0; i < count + batch->n_given; i++) {
        const double *point =
            i < count ? assay_history_at(history, i)->point : batch->given[i - count]->point;

        assay_gp_features_of_point(features, point, other);
        least = fmin(least, squared_distance(row, other, features->n_columns));
    }
    return least;
}

static bool
propose_of_source(const struct assay_gp_startup *startup, const struct assay_gp_trend *trend,
                  int64_t number, const struct assay_batch *batch,
                  const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_plugin_space *space = startup->base->space;
    const struct assay_gp_source *source;
    size_t best = 0, n, columns = startup->sources->features->n_columns, rows[BEST_MAX];
    size_t objective = (size_t)(number / 2) % startup->base->n_objectives, found = SIZE_MAX;
    double farthest = -1.0;

    for (size_t s = 1; s < startup->sources->n; s++)
        best = trend->trusts[s] > trend->trusts[best] ? s : best;
    source = &startup->sources->items[best];
    n = assay_gp_data_best(&source->data, objective,
                           ASSAY_MIN(1 + source->data.n_valued / BEST_SHARE, (size_t)BEST_MAX),
                           rows);
    for (size_t i = 0; i < n && farthest < INFINITY; i++) {
        double apart;

        if (!assay_untried(startup->base->history, batch, space,
                           source->data.trials[rows[i]]->point))
            continue;
        /* The best of all goes first. */
        apart = i == 0 ? INFINITY : nearest(startup, batch, &source->data.rows[rows[i] * columns]);
        if (apart > farthest) {
            farthest = apart;
            found = rows[i];
        }
    }
    if (found == SIZE_MAX)
        return false;
    memcpy(suggestion->point, source->data.trials[found]->point,
           space->n_parameters * sizeof *suggestion->point);
    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"bayesian\", \"phase\": \"startup\", \"point\": \"source\", "
             "\"trial\": %lld, \"trust\": %.3f}",
             (long long)source->data.trials[found]->number, trend->trusts[best]);
    return true;
}

static bool
propose_expected(struct assay_gp_startup *startup, int64_t number, const struct assay_batch *batch,
                 const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_algorithm_base *base = startup->base;
    size_t n = base->transform.n_dimensions;
    assay_auto_free double *unit = assay_alloc(n + 1, sizeof *unit);
    struct assay_random random;

    if (number <= 1) {
        assay_expectations_mode(startup->expectations, suggestion->point);
    } else {
        assay_random_init(&random, base->seed, (uint64_t)number, ASSAY_PURPOSE_BAYESIAN);
        for (size_t d = 0; d < n; d++)
            unit[d] = assay_random_unit(&random);
        assay_expectations_bend(startup->expectations, unit);
        assay_transform_decode(&base->transform, unit, suggestion->point);
    }
    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"bayesian\", \"phase\": \"startup\", \"point\": \"prior\"}");
    return assay_untried(base->history, batch, base->space, suggestion->point);
}

/* --- all together --- */

static void
propose_point(struct assay_gp_startup *startup, int64_t number, const char *phase,
              const struct assay_plugin_suggestion *suggestion)
{
    assay_start_point(&startup->start, startup->base, number, suggestion->point);
    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"bayesian\", \"phase\": \"%s\", \"point\": \"%s\"}", phase,
             number > 1 ? "sequence" : "centre");
}

void
assay_gp_startup_spread(struct assay_gp_startup *startup, int64_t number,
                        const struct assay_plugin_suggestion *suggestion)
{
    propose_point(startup, number, "spread", suggestion);
}

void
assay_gp_startup_propose(struct assay_gp_startup *startup, const struct assay_gp_trend *trend,
                         int64_t number, const struct assay_batch *batch,
                         const struct assay_plugin_suggestion *suggestion)
{
    bool expected = startup->expectations->n > 0, found = startup->sources->n > 0;
    bool by_source = found && (!expected || number % 4 == 3);

    if (!expected && !found) {
        propose_point(startup, number, "startup", suggestion);
        return;
    }
    if (number % 2 == 0) {
        propose_point(startup, 1, "startup", suggestion);
        if (!assay_untried(startup->base->history, batch, startup->base->space, suggestion->point))
            propose_point(startup, number / 2 + 1, "startup", suggestion);
        return;
    }
    if (by_source && trend->trust > 0.0 &&
        propose_of_source(startup, trend, number, batch, suggestion))
        return;
    if (expected && !by_source && propose_expected(startup, number, batch, suggestion))
        return;
    propose_point(startup, SEQUENCE_OF_OTHERS + number / 2, "startup", suggestion);
}

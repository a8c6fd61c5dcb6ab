#include "suggest/algorithms/tpe/source.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "suggest/algorithms/tpe/trust.h"

/* So many trials of the study itself count as much as the source did at first. */
#define FADING 20.0
/* A source that nothing is known of is believed to be right in three pairs of four. */
#define BELIEVED 0.75
/* What a source says of one point is held within this, or it would rule alone. */
#define LOG_MOST 4.0
/* Points judged at a time. */
#define BATCH 32

static struct assay_history_trial
history_trial_of(const struct assay_plugin_study *study, const struct assay_plugin_trial *from)
{
    union {
        const double *lent;
        double *kept;
    } point = {.lent = from->point}, values = {.lent = from->values};
    /* Point and values are only read by the ranking, which copies them. */
    struct assay_history_trial trial = {.number = from->number,
                                        .state = from->state,
                                        .steps = from->steps,
                                        .point = point.kept,
                                        .values = values.kept};

    trial.measured =
        from->state == ASSAY_PLUGIN_SUCCEEDED || from->state == ASSAY_PLUGIN_STOPPED;
    for (size_t k = 0; k < study->n_objectives; k++)
        trial.measured = trial.measured && isfinite(from->values[k]);
    /* Bounds that the source did not know of are no fault of its trials. */
    for (size_t k = 0; k < study->n_constraints; k++)
        trial.violation += fmax(from->constraints[k], 0.0);
    trial.usable = trial.measured && trial.violation <= 0.0;
    return trial;
}

static void
fit(struct assay_tpe_density *density, const struct assay_tpe_layout *layout,
    const struct assay_tpe_widths *widths, const struct assay_tpe_side *side)
{
    double total = 0.0;

    for (size_t k = 0; k < side->n; k++)
        total += side->weights[k];
    assay_tpe_density_init(density, layout, widths);
    assay_tpe_density_fit(density, side->points, side->weights, side->n,
                          side->n > 0 ? total / (double)side->n : 1.0);
}

bool
assay_tpe_source_init(struct assay_tpe_source *source, const struct assay_tpe_layout *layout,
                      const struct assay_tpe_widths widths[2], double good_fraction,
                      const struct assay_plugin_study *study,
                      const struct assay_plugin_source *from)
{
    struct assay_tpe_ranking ranking;
    struct assay_tpe_side good, bad;
    assay_auto_free float *coordinates =
        assay_alloc(layout->n_dimensions + 1, sizeof *coordinates);
    bool teaches;

    assay_tpe_ranking_init(&ranking, (size_t)study->n_objectives, layout->n_dimensions,
                           study->seed);
    for (size_t i = 0; i < from->n_trials; i++) {
        struct assay_history_trial trial = history_trial_of(study, from->trials[i]);

        if (trial.state == ASSAY_PLUGIN_PENDING)
            continue;
        assay_tpe_encode(layout, from->trials[i]->point, coordinates);
        assay_tpe_ranking_add(&ranking, &trial, coordinates);
    }
    teaches = ranking.n_learning > 0 && ranking.n_ranked > 1;
    if (teaches) {
        assay_tpe_side_init(&good, ASSAY_TPE_GOOD_MAX);
        assay_tpe_side_init(&bad, ASSAY_TPE_BAD_MAX);
        assay_tpe_ranking_split(&ranking, good_fraction, &good, &bad);
        fit(&source->good, layout, &widths[0], &good);
        fit(&source->bad, layout, &widths[1], &bad);
        assay_tpe_side_done(&good);
        assay_tpe_side_done(&bad);
        source->weight = 2.0 * BELIEVED - 1.0;
    }
    assay_tpe_ranking_done(&ranking);
    return teaches;
}

void
assay_tpe_source_done(struct assay_tpe_source *source)
{
    assay_tpe_density_done(&source->good);
    assay_tpe_density_done(&source->bad);
}

void
assay_tpe_source_judge(const struct assay_tpe_source *source, double weight,
                       const float *const *points, size_t n, float *logs)
{
    float good[BATCH], bad[BATCH];

    for (size_t i = 0; i < n; i += BATCH) {
        size_t count = ASSAY_MIN(n - i, (size_t)BATCH);

        assay_tpe_density_log(&source->good, &points[i], count, good);
        assay_tpe_density_log(&source->bad, &points[i], count, bad);
        for (size_t k = 0; k < count; k++) {
            double log_ratio = fmin(fmax((double)(good[k] - bad[k]), -LOG_MOST), LOG_MOST);

            logs[i + k] += (float)(weight * log_ratio);
        }
    }
}

static void
judge(const void *source, const float *const *points, size_t n, float *ret_verdicts)
{
    memset(ret_verdicts, 0, n * sizeof *ret_verdicts);
    assay_tpe_source_judge(source, 1.0, points, n, ret_verdicts);
}

void
assay_tpe_source_trust(struct assay_tpe_source *source, const struct assay_tpe_side *good,
                       const struct assay_tpe_side *bad, size_t n_trials)
{
    source->weight = assay_tpe_trust(judge, source, good, bad, n_trials, BELIEVED) * FADING /
                     (FADING + (double)n_trials);
}

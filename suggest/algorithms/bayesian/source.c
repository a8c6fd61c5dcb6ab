#include "suggest/algorithms/bayesian/source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/bayesian/fit.h"

#define VALUES_MIN 3
#define ROWS_OF_ONE_MAX 200

static struct assay_history *
history_of(const struct assay_plugin_study *study, const struct assay_plugin_source *from)
{
    struct assay_history *history =
        assay_history_new(study->space, (size_t)study->n_objectives, 0, 0);

    for (uint64_t i = 0; i < from->n_trials; i++)
        assay_history_tell(history, from->trials[i]);
    return history;
}

static void
output_init(struct assay_gp_source_output *output, const struct assay_gp_features *features)
{
    assay_gp_posterior_init(&output->posterior, features);
    output->own = assay_alloc(2 * ASSAY_GP_BATCH * features->n_columns + 1, sizeof *output->own);
    output->gradients = output->own + ASSAY_GP_BATCH * features->n_columns;
}

void
assay_gp_sources_init(struct assay_gp_sources *sources, const struct assay_gp_features *features,
                      const struct assay_plugin_study *study)
{
    *sources = (struct assay_gp_sources){
        .features = features,
        .seed = study->seed,
        .n_objectives = (size_t)study->n_objectives,
        .items = assay_zalloc((size_t)study->n_sources + 1, sizeof *sources->items),
    };
    for (uint64_t i = 0; i < study->n_sources && sources->n < ASSAY_GP_SOURCES_MAX; i++) {
        struct assay_gp_source *source = &sources->items[sources->n];

        source->history = history_of(study, study->sources[i]);
        assay_gp_data_init(&source->data, features, source->history, sources->n_objectives, 0);
        if (source->data.n_valued < VALUES_MIN) {
            assay_gp_data_done(&source->data);
            source->history = assay_history_free(source->history);
            continue;
        }
        source->outputs = assay_zalloc(sources->n_objectives, sizeof *source->outputs);
        for (size_t m = 0; m < sources->n_objectives; m++)
            output_init(&source->outputs[m], features);
        sources->n++;
    }
    if (sources->n > 0)
        sources->rows_max = ASSAY_MIN((size_t)ROWS_OF_ONE_MAX, ASSAY_GP_SOURCE_ROWS / sources->n);
}

void
assay_gp_sources_done(struct assay_gp_sources *sources)
{
    for (size_t i = 0; i < sources->n; i++) {
        struct assay_gp_source *source = &sources->items[i];

        for (size_t m = 0; m < sources->n_objectives; m++) {
            assay_gp_posterior_done(&source->outputs[m].posterior);
            free(source->outputs[m].own);
        }
        free(source->outputs);
        assay_gp_data_done(&source->data);
        assay_history_free(source->history);
    }
    free(sources->items);
    *sources = (struct assay_gp_sources){0};
}

static bool
learn(const struct assay_gp_sources *sources, struct assay_gp_source *source, size_t objective)
{
    const struct assay_gp_features *features = sources->features;
    const double *y = assay_gp_data_output(&source->data, objective);
    size_t columns = features->n_columns, room = sources->rows_max, n;
    assay_auto_free size_t *chosen = assay_alloc(room + 1, sizeof *chosen);
    assay_auto_free double *rows = assay_alloc(room * columns + 1, sizeof *rows);
    assay_auto_free double *values = assay_alloc(2 * room + 1, sizeof *values);
    assay_auto_free double *theta = assay_zalloc(features->n_groups + 2, sizeof *theta);
    double *row_means = values + room, middle;
    struct assay_gp_fit fit = {.theta = theta};
    struct assay_gp_warp warp;

    n = assay_gp_data_sample(&source->data, y, false, source->data.n_valued, room, sources->seed,
                             chosen);
    for (size_t i = 0; i < n; i++) {
        memcpy(&rows[i * columns], &source->data.rows[chosen[i] * columns], columns * sizeof *rows);
        values[i] = y[chosen[i]];
    }
    middle = assay_gp_warp_middle(ASSAY_GP_OBJECTIVE, values, n);
    if (!assay_gp_fit_make(
            &(struct assay_gp_sample){
                .features = features,
                .kind = ASSAY_GP_OBJECTIVE,
                .n = n,
                .rows = rows,
                .y = values,
                .middle = middle,
            },
            NULL, true, &fit))
        return false;
    assay_gp_warp_init(&warp, ASSAY_GP_OBJECTIVE, fit.warp, middle, values, n);
    for (size_t i = 0; i < n; i++)
        values[i] = assay_gp_warp_apply(&warp, values[i]);
    assay_gp_posterior_make(&source->outputs[objective].posterior, theta, rows, n, n);
    assay_gp_posterior_learn(&source->outputs[objective].posterior, values, n, NULL, 0, row_means);
    return true;
}

bool
assay_gp_sources_learn(struct assay_gp_sources *sources)
{
    for (size_t i = 0; i < sources->n; i++) {
        for (size_t m = 0; m < sources->n_objectives; m++) {
            if (sources->items[i].outputs[m].posterior.factor.n == 0 &&
                !learn(sources, &sources->items[i], m))
                return false;
        }
    }
    return true;
}

/* Into the source's own scale, and predicted. */
static void
predict(struct assay_gp_source_output *output, const double *roots, const double *scaled, size_t k,
        enum assay_gp_detail detail)
{
    struct assay_gp_posterior *posterior = &output->posterior;
    size_t columns = posterior->features->n_columns;

    for (size_t c = 0; c < columns; c++) {
        double ratio = posterior->roots[c] / (roots != NULL ? roots[c] : 1.0);

        for (size_t j = 0; j < k; j++)
            output->own[j * columns + c] = scaled[j * columns + c] * ratio;
    }
    assay_gp_posterior_predict(posterior, output->own, k, detail, &output->moments);
}

void
assay_gp_source_predict(const struct assay_gp_source *source, size_t objective, const double *roots,
                        const double *scaled, size_t k, double *ret_means, double *ret_sds)
{
    struct assay_gp_source_output *output = &source->outputs[objective];
    size_t columns = output->posterior.features->n_columns;

    for (size_t from = 0; from < k; from += ASSAY_GP_BATCH) {
        size_t part = ASSAY_MIN(k - from, (size_t)ASSAY_GP_BATCH);

        predict(output, roots, &scaled[from * columns], part,
                ret_sds != NULL ? ASSAY_GP_MOMENTS : ASSAY_GP_MEANS);
        memcpy(&ret_means[from], output->moments.means, part * sizeof *ret_means);
        if (ret_sds != NULL)
            memcpy(&ret_sds[from], output->moments.sds, part * sizeof *ret_sds);
    }
}

void
assay_gp_source_prepare(const struct assay_gp_source *source, size_t objective, const double *roots,
                        const double *scaled, size_t k, double *ret_means, double *ret_sds)
{
    struct assay_gp_source_output *output = &source->outputs[objective];

    predict(output, roots, scaled, k, ASSAY_GP_SLOPES);
    memcpy(ret_means, output->moments.means, k * sizeof *ret_means);
    memcpy(ret_sds, output->moments.sds, k * sizeof *ret_sds);
}

void
assay_gp_source_pull(const struct assay_gp_source *source, size_t objective, const double *roots,
                     size_t k, const double *by_means, const double *by_sds, double *gradients)
{
    struct assay_gp_source_output *output = &source->outputs[objective];
    struct assay_gp_posterior *posterior = &output->posterior;
    size_t columns = posterior->features->n_columns;

    memcpy(output->moments.means, by_means, k * sizeof *by_means);
    memcpy(output->moments.by_sds, by_sds, k * sizeof *by_sds);
    assay_gp_posterior_pull(posterior, output->own, k, true, output->gradients);
    for (size_t c = 0; c < columns; c++) {
        double ratio = posterior->roots[c] / (roots != NULL ? roots[c] : 1.0);

        for (size_t j = 0; j < k; j++)
            gradients[j * columns + c] += ratio * output->gradients[j * columns + c];
    }
}

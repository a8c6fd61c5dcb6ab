#include "suggest/algorithms/bayesian/explain.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/memory.h"

/* Objectives beyond this many are not told of: the text has its size. */
#define PREDICTIONS_MAX 16
/* The best that are looked at for one that was followed to its end. */
#define INCUMBENTS_MAX 16

/* Text that grows in the suggestion's `why`. */
struct writer {
    const struct assay_plugin_suggestion *suggestion;
    size_t used;
};

static void ASSAY_PRINTF(2, 3) put(struct writer *writer, const char *format, ...)
{
    size_t left = (size_t)writer->suggestion->why_size - writer->used;
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(writer->suggestion->why + writer->used, left, format, arguments);
    va_end(arguments);
    writer->used += n > 0 ? ASSAY_MIN((size_t)n, left - 1) : 0;
}

static bool
put_prediction(struct writer *writer, const struct assay_gp_explanation *explanation, size_t i,
               double mean, double sd)
{
    const struct assay_gp_warp *warp = &explanation->model->surfaces[i].warp;
    double middle = assay_gp_warp_invert(warp, mean);
    double apart =
        (assay_gp_warp_invert(warp, mean + sd) - assay_gp_warp_invert(warp, mean - sd)) / 2.0;

    if (!isfinite(middle) || !isfinite(apart))
        return false;
    put(writer, "{\"mean\": %.9g, \"sd\": %.6g}", explanation->signs[i] * middle, apart);
    return true;
}

static bool
put_predictions(struct writer *writer, const struct assay_gp_explanation *explanation)
{
    struct assay_gp_worth *worth = &explanation->model->worth;
    size_t m = worth->n_objectives;
    assay_auto_free double *means = assay_alloc(2 * m, sizeof *means);
    double *sds = means + m, feasible;
    bool fine = true;

    assay_gp_worth_predict(worth, explanation->scaled, means, sds, &feasible);
    put(writer, ", \"predicted\": %s", m > 1 ? "[" : "");
    for (size_t i = 0; i < ASSAY_MIN(m, (size_t)PREDICTIONS_MAX) && fine; i++) {
        put(writer, "%s", i > 0 ? ", " : "");
        fine = put_prediction(writer, explanation, i, means[i], sds[i]);
    }
    put(writer, "%s", m > 1 ? "]" : "");
    if (worth->n_parts > m)
        put(writer, ", \"feasible\": %.6g", feasible);
    return fine;
}

static void
put_incumbent(struct writer *writer, const struct assay_gp_explanation *explanation)
{
    const struct assay_gp_model *model = explanation->model;
    size_t rows[INCUMBENTS_MAX], n = 0;

    if (model->n_objectives == 1)
        n = assay_gp_model_best(model, INCUMBENTS_MAX, NULL, rows);
    for (size_t i = 0; i < n; i++) {
        const struct assay_history_trial *trial = model->data.trials[rows[i]];

        if (!trial->usable || trial->foretold)
            continue;
        put(writer, ", \"incumbent\": {\"number\": %lld, \"value\": %.9g}",
            (long long)trial->number, explanation->signs[0] * trial->values[0]);
        return;
    }
}

void
assay_gp_explain(const struct assay_gp_explanation *explanation,
                 const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_gp_worth *worth = &explanation->model->worth;
    struct writer writer = {.suggestion = suggestion};

    put(&writer, "{\"proposed_by\": \"bayesian\", \"phase\": \"model\"");
    if (!isfinite(explanation->worth) || !put_predictions(&writer, explanation)) {
        writer.used = 0;
        put(&writer, "{\"proposed_by\": \"bayesian\", \"phase\": \"model\"}");
        return;
    }
    put(&writer, ", \"acquisition\": {\"name\": \"%s\", \"value\": %.6g}",
        assay_gp_rule_name(worth->rule), explanation->worth);
    put_incumbent(&writer, explanation);
    if (explanation->model->sources != NULL)
        put(&writer, ", \"trust_in_sources\": %.3f", explanation->model->surfaces[0].trend.trust);
    if (explanation->model->belief.expectations.n > 0)
        put(&writer, ", \"trust_in_priors\": %.3f", explanation->model->trust);
    put(&writer, ", \"learned_from\": %zu, \"pending\": %zu}",
        explanation->model->surfaces[0].n_chosen, explanation->n_pending);
}

#include "suggest/algorithms/fidelity/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "suggest/algorithms/fidelity/parzen.h"
#include "suggest/algorithms/fidelity/surrogate.h"

void
assay_sampler_init(struct assay_sampler *sampler, enum assay_sampler_kind kind, double random_share,
                   const char *name, double sign, const struct assay_algorithm_base *base,
                   const struct assay_ladder *ladder)
{
    *sampler = (struct assay_sampler){
        .kind = kind,
        .random_share = random_share,
        .name = name,
        .sign = sign,
        .base = base,
        .ladder = ladder,
    };
    assay_start_init(&sampler->start, base);
    if (kind == ASSAY_SAMPLER_TPE)
        sampler->parzen = assay_parzen_new(base, ladder);
    if (kind == ASSAY_SAMPLER_MODEL)
        sampler->surrogate = assay_surrogate_new(base, ladder, &sampler->start.sequence);
}

void
assay_sampler_done(struct assay_sampler *sampler)
{
    assay_start_done(&sampler->start);
    sampler->parzen = assay_parzen_free(sampler->parzen);
    sampler->surrogate = assay_surrogate_free(sampler->surrogate);
}

void
assay_sampler_forget(struct assay_sampler *sampler)
{
    if (sampler->parzen != NULL)
        assay_parzen_forget(sampler->parzen);
    if (sampler->surrogate != NULL)
        assay_surrogate_forget(sampler->surrogate);
}

/* --- data --- */

static int
compare_judged(const void *a, const void *b)
{
    const struct assay_judged *x = a, *y = b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->trial->number < y->trial->number ? -1 : x->trial->number > y->trial->number;
}

struct assay_judged *
assay_sampler_judged(const struct assay_ladder *ladder, const struct assay_history *history,
                     size_t rung, size_t *ret_n, size_t *ret_valued)
{
    struct assay_judged *judged;
    size_t n = 0, valued = 0;

    for (size_t b = 0; b < ladder->n_brackets; b++)
        n += ladder->judged[b * ladder->n_rungs + rung].n;
    judged = assay_alloc(n + 1, sizeof *judged);
    n = 0;
    for (size_t b = 0; b < ladder->n_brackets; b++) {
        const struct assay_ladder_list *list = &ladder->judged[b * ladder->n_rungs + rung];

        for (size_t i = 0; i < list->n; i++)
            judged[n++] = (struct assay_judged){
                .trial = assay_history_find(history, list->entries[i].number),
                .value = list->entries[i].value,
            };
    }
    qsort(judged, n, sizeof *judged, compare_judged);
    while (valued < n && isfinite(judged[valued].value))
        valued++;
    *ret_n = n;
    *ret_valued = valued;
    return judged;
}

static int
compare_numbers(const void *a, const void *b)
{
    const struct assay_history_trial *x = *(const struct assay_history_trial *const *)a;
    const struct assay_history_trial *y = *(const struct assay_history_trial *const *)b;

    return x->number < y->number ? -1 : x->number > y->number;
}

const double **
assay_sampler_pending(const struct assay_history *history, size_t max, size_t *ret_n)
{
    size_t count = assay_history_count(history), n = 0, first;
    assay_auto_free const struct assay_history_trial **trials =
        assay_alloc(count + 1, sizeof *trials);
    const double **points = assay_alloc(max + 1, sizeof *points);

    for (size_t i = 0; i < count; i++) {
        const struct assay_history_trial *trial = assay_history_at(history, i);

        if (trial->state == ASSAY_PLUGIN_PENDING)
            trials[n++] = trial;
    }
    qsort(trials, n, sizeof *trials, compare_numbers);
    first = n > max ? n - max : 0;
    for (size_t i = first; i < n; i++)
        points[i - first] = trials[i]->point;
    *ret_n = n - first;
    return points;
}

/* --- proposing --- */

static bool
propose_random(const struct assay_sampler *sampler, const struct assay_batch *batch,
               struct assay_random *random, const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_algorithm_base *base = sampler->base;

    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"%s\", \"phase\": \"random\"}", sampler->name);
    return assay_untried_draw(&base->transform, base->history, batch, random, suggestion->point);
}

/* Before the models can say anything: points that fill the space. */
static bool
propose_start(struct assay_sampler *sampler, int64_t number, const struct assay_batch *batch,
              struct assay_random *random, const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_algorithm_base *base = sampler->base;

    assay_start_point(&sampler->start, base, number, suggestion->point);
    snprintf(suggestion->why, suggestion->why_size,
             "{\"proposed_by\": \"%s\", \"phase\": \"start\", \"point\": \"%s\"}", sampler->name,
             number <= 1 ? "centre" : "sequence");
    return assay_untried(base->history, batch, base->space, suggestion->point) ||
           propose_random(sampler, batch, random, suggestion);
}

int32_t
assay_sampler_propose(struct assay_sampler *sampler, int64_t number,
                      const struct assay_batch *batch,
                      const struct assay_plugin_suggestion *suggestion)
{
    const struct assay_algorithm_base *base = sampler->base;
    enum assay_model_answer answer = ASSAY_MODEL_NOT_READY;
    struct assay_random random;
    bool by_chance, found;

    if (assay_exhausted(base->history, batch, base->space))
        return ASSAY_PLUGIN_EXHAUSTED;
    assay_random_init(&random, base->seed, (uint64_t)number, ASSAY_PURPOSE_FIDELITY);
    by_chance =
        sampler->kind == ASSAY_SAMPLER_RANDOM || assay_random_unit(&random) < sampler->random_share;
    if (!by_chance && sampler->parzen != NULL)
        answer = assay_parzen_propose(sampler->parzen, sampler->name, batch, &random, suggestion);
    if (!by_chance && sampler->surrogate != NULL)
        answer = assay_surrogate_propose(sampler->surrogate, sampler->name, sampler->sign, batch,
                                         &random, suggestion);
    if (answer == ASSAY_MODEL_PROPOSED)
        return ASSAY_PLUGIN_OK;
    if (answer == ASSAY_MODEL_INTERRUPTED)
        return ASSAY_PLUGIN_INTERRUPTED;
    if (sampler->kind != ASSAY_SAMPLER_RANDOM && answer == ASSAY_MODEL_NOT_READY && !by_chance)
        found = propose_start(sampler, number, batch, &random, suggestion);
    else
        found = propose_random(sampler, batch, &random, suggestion);
    return found ? ASSAY_PLUGIN_OK : ASSAY_PLUGIN_EXHAUSTED;
}

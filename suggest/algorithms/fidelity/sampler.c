#include "suggest/algorithms/fidelity/sampler.h"

#include <stdio.h>

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

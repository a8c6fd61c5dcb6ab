/* What is noted of an attempt, for its next look, and told of it before its end. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/memory.h"
#include "controller/kubernetes/internal.h"

struct assay_kube_attempt *
assay__kube_find_named(const struct assay_kube_executor *executor, const char *name)
{
    struct assay_kube_attempt *attempt;

    HASH_FIND_STR(executor->attempts, name, attempt);
    return attempt;
}

void
assay__kube_end_soon(struct assay_kube_attempt *attempt, bool lost, enum assay_trial_reason reason,
                     char *sentence_taken)
{
    assay_kube_pod_status_done(&attempt->end);
    attempt->end = (struct assay_kube_pod_status){
        .phase = ASSAY_KUBE_ENDED,
        .lost = lost,
        .state = ASSAY_TRIAL_FAILED,
        .reason = reason,
        .exit_code = -1,
        .sentence = sentence_taken,
    };
    attempt->ending = true;
    assay__kube_tick_soon(attempt->executor);
}

void
assay__kube_tell_started(struct assay_kube_attempt *attempt)
{
    struct assay_kube_executor *executor = attempt->executor;
    json_t *gpus;

    if (attempt->started)
        return;
    attempt->started = true;
    gpus = json_array();
    for (int64_t i = 0; i < attempt->gpus; i++)
        json_array_append_new(gpus, json_sprintf("%s/%" PRId64, attempt->name, i));
    executor->events.started(executor->events.arg, &attempt->key, 0, gpus);
    json_decref(gpus);
}

void
assay__kube_set_waits(struct assay_kube_attempt *attempt, const char *sentence, bool stuck)
{
    int64_t now_us = assay_monotonic_us();

    if (!stuck)
        attempt->stuck_since_us = 0;
    else if (attempt->stuck_since_us == 0)
        attempt->stuck_since_us = now_us;
    if (sentence == NULL || (attempt->waits != NULL && strcmp(attempt->waits, sentence) == 0))
        return;
    if (attempt->waits == NULL)
        attempt->waits_since_us = now_us;
    free(attempt->waits);
    attempt->waits = assay_strdup(sentence);
    attempt->waits_told = false;
}

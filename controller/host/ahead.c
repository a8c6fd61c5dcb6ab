/* Answers before the question: what a study will ask next is asked for it while its
 * worker has nothing else to do.
 *
 * A prepared answer is handed out only where it is the answer that an ask at that
 * moment would get: for the same numbers, with nothing told in between.  So this
 * changes when a suggestion is there, never what it is.  A study whose prepared
 * answers are not taken is prepared for less and less often; when a trial was handed
 * out and when one ended are counted apart, as a study with one worker never asks
 * after the first. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/memory.h"
#include "controller/host/internal.h"

/* Nothing was told or asked for so long: now it is worth a try. */
#define QUIET_US 5000
/* The worker was busy: look again after this. */
#define BUSY_US 5000
/* An ask that takes longer would be in the way of others. */
#define COST_MAX_US 250000
/* Prepared for again after at most so many chances that were left out. */
#define SKIP_MAX 64
/* Only studies in use are worth opening again before they ask. */
#define IN_USE_US (60 * ASSAY_SECOND_US)
/* A history that could not be read is not read for this before then. */
#define UNREADABLE_US (5 * ASSAY_SECOND_US)

static void due(uv_timer_t *timer);

static void
watch_due(struct assay_suggest_host *host)
{
    const struct assay__hosted *first = TAILQ_FIRST(&host->prepares);
    int64_t delay_us;

    if (first == NULL || host->closing)
        return;
    delay_us = ASSAY_MAX(first->due_us - assay_monotonic_us(), 0);
    uv_timer_start(&host->prepare, due, (uint64_t)((delay_us + 999) / 1000), 0);
}

void
assay__host_ahead_unlist(struct assay__hosted *study)
{
    if (study->listed)
        TAILQ_REMOVE(&study->host->prepares, study, link);
    study->listed = false;
}

void
assay__host_ahead_list(struct assay__hosted *study, int64_t delay_us)
{
    struct assay_suggest_host *host = study->host;
    struct assay__hosted *before;

    if (study->next_count == 0 || study->harmful || host->closing)
        return;
    assay__host_ahead_unlist(study);
    study->due_us = assay_monotonic_us() + delay_us;
    study->listed = true;
    before = TAILQ_LAST(&host->prepares, assay__hosted_list);
    while (before != NULL && before->due_us > study->due_us)
        before = TAILQ_PREV(before, assay__hosted_list, link);
    if (before != NULL)
        TAILQ_INSERT_AFTER(&host->prepares, before, study, link);
    else
        TAILQ_INSERT_HEAD(&host->prepares, study, link);
    if (before == NULL)
        watch_due(host);
}

/* Nobody took it. */
static void
missed(struct assay__hosted *study, const struct assay__host_ask *ask)
{
    int misses = ++study->misses[ask->ended];

    study->skip[ask->ended] = ASSAY_MIN((1 << ASSAY_MIN(misses, 16)) - 1, SKIP_MAX);
    study->host->stats.stale++;
}

static void
drop(struct assay__hosted *study)
{
    struct assay__host_ask *ask = study->ahead;

    if (ask == NULL || ask->trials == NULL)
        return; /* there is none, or the worker is at it */
    if (study->likely)
        missed(study, ask);
    study->ahead = NULL;
    assay__host_ask_free(ask);
}

struct assay__host_ask *
assay__host_ahead_take(struct assay__hosted *study, const int64_t *numbers, size_t n)
{
    struct assay__host_ask *ask = study->ahead;

    if (ask == NULL || ask->told != study->told || ask->n_numbers != n ||
        memcmp(ask->numbers, numbers, n * sizeof *numbers) != 0) {
        drop(study);
        return NULL;
    }
    study->ahead = NULL;
    ask->ahead = false;
    study->misses[ask->ended] = study->skip[ask->ended] = 0;
    study->host->stats.ready++;
    return ask;
}

void
assay__host_ahead_answered(struct assay__host_ask *ask, const json_t *trials, bool exhausted)
{
    struct assay__hosted *study = ask->study;

    /* jansson takes a reference, which is no change that a borrower would see. */
    ask->trials = json_incref((json_t *)(uintptr_t)trials);
    ask->exhausted = exhausted;
    if (ask->told != study->told)
        drop(study);
}

static void
prepare(struct assay__hosted *study, int64_t now_us)
{
    struct assay__host_worker *worker = study->worker;
    struct assay__host_ask *ask;
    int64_t *numbers;

    if (study->ask != NULL || study->cost_us > COST_MAX_US ||
        (!study->opened && now_us - study->used_us > IN_USE_US) ||
        (study->unreadable_us > 0 && now_us - study->unreadable_us < UNREADABLE_US))
        return;
    if (!assay__host_is_idle(worker)) {
        assay__host_ahead_list(study, BUSY_US);
        return;
    }
    study->prepared_told = study->told;
    if (study->likely && study->skip[study->ended] > 0) {
        study->skip[study->ended]--;
        return;
    }
    drop(study);
    numbers = assay_alloc(study->next_count, sizeof *numbers);
    for (size_t i = 0; i < study->next_count; i++)
        numbers[i] = study->next_number + (int64_t)i;
    ask = assay__host_ask_new(study, numbers, study->next_count);
    free(numbers);
    ask->ahead = true;
    ask->ended = study->ended;
    study->ahead = ask;
    TAILQ_INSERT_TAIL(&worker->waiting, ask, link);
    assay__host_pump(worker);
    /* It is sent, or it is not worth waiting for; it may be gone, too. */
    ask = TAILQ_FIRST(&worker->waiting);
    if (ask != NULL && ask->ahead) {
        TAILQ_REMOVE(&worker->waiting, ask, link);
        study->ahead = NULL;
        study->unreadable_us =
            study->opened || !assay__host_is_ready(worker) ? 0 : now_us;
        assay__host_ask_free(ask);
    }
}

static void
due(uv_timer_t *timer)
{
    struct assay_suggest_host *host = timer->data;
    int64_t now_us = assay_monotonic_us();
    struct assay__hosted *study;

    while ((study = TAILQ_FIRST(&host->prepares)) != NULL && study->due_us <= now_us) {
        assay__host_ahead_unlist(study);
        prepare(study, now_us);
    }
    watch_due(host);
}

void
assay_suggest_host_prepare(struct assay_suggest_host *host, int64_t study_id, int64_t first_number,
                           size_t n, bool likely)
{
    struct assay__hosted *study = assay__host_find(host, study_id);

    if (study == NULL || study->ask != NULL || assay__host_is_foreign(study))
        return;
    study->next_number = first_number;
    study->next_count = ASSAY_MIN(n, (size_t)ASSAY_SUGGEST_PREPARE_MAX);
    study->likely = likely;
    if (!likely ? study->opened : study->prepared_told == study->told)
        return;
    if (!study->opened && study->used_us == 0)
        study->used_us = assay_monotonic_us(); /* new here, so in use */
    assay__host_ahead_list(study, likely ? QUIET_US : 0);
}

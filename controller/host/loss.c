/* A worker's process has come, or it is gone: what becomes of what it was asked. */
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/host/internal.h"
#include "suggest/worker_end.h"

/* A place that was away is not worth moving a study to for so long. */
#define AWAY_US (10 * ASSAY_SECOND_US)
#define RENEW_US (1200 * ASSAY_SECOND_US)

/* Every ask that was sent waits again, in its old order and before the others;
 * nobody waits for the prepared ones. */
static void
take_back(struct assay__host_worker *worker)
{
    struct assay__host_ask *ask;

    while ((ask = TAILQ_LAST(&worker->sent, assay__host_asks)) != NULL) {
        TAILQ_REMOVE(&worker->sent, ask, link);
        ask->sent_us = 0;
        if (ask->ahead || ask->study == NULL) {
            if (ask->study != NULL)
                ask->study->ahead = NULL;
            assay__host_ask_free(ask);
        } else {
            TAILQ_INSERT_HEAD(&worker->waiting, ask, link);
        }
    }
}

/* Its worker died or fell silent over the study: it lives apart from now on, so that
 * it harms nobody a second time. */
static void
move_apart(struct assay__hosted *study)
{
    assay__host_move(study, assay__host_worker_apart(study));
    assay_log(ASSAY_LOG_WARNING, "study %lld (algorithm %s) goes on in suggestion worker %d, apart",
              (long long)study->id, assay__host_algorithm(study), study->worker->index);
}

/* Whatever the process knew must be told again; what it was asked waits again. */
static void
forget_process(struct assay__host_worker *worker)
{
    assay__host_drop_process(worker);
    if (worker->host->closing)
        return;
    take_back(worker);
    for (struct assay__hosted *study = worker->host->studies; study != NULL;
         study = study->hh.next) {
        if (study->worker != worker || !study->opened)
            continue;
        study->opened = false;
        assay__host_ahead_list(study, 0); /* ready again before it is asked */
    }
}

/* The process is gone or no use any more.  Only the ask it was busy with counts a try:
 * the others waited in line. */
static void
process_gone(struct assay__host_worker *worker, const char *what)
{
    struct assay_suggest_host *host = worker->host;
    struct assay__host_ask *first = TAILQ_FIRST(&worker->sent);
    struct assay__hosted *culprit = first != NULL ? first->study : NULL;
    bool ahead = first != NULL && first->ahead;

    forget_process(worker);
    if (host->closing)
        return;
    host->stats.respawns++;
    if (culprit != NULL && ahead) {
        culprit->harmful = true;
    } else if (culprit != NULL && ++first->tries >= ASSAY_SUGGEST_TRIES) {
        assay_auto_free char *algorithm = assay__host_describe_algorithm(culprit);
        assay_auto_free char *sentence =
            assay_format("%s failed %d times in a row: %s", algorithm, first->tries, what);

        TAILQ_REMOVE(&worker->waiting, first, link);
        assay__host_fail(host, first, sentence);
        culprit = NULL;
    }
    if (culprit != NULL && !assay__host_is_apart(worker)) {
        move_apart(culprit);
        assay__host_pump(culprit->worker);
    }
    assay__host_pump(worker);
}

/* The worker's place can not be reached, or has ended the conversation, which is no study's
 * doing: what was asked is asked again. */
static void
place_gone(struct assay__host_worker *worker, const char *sentence)
{
    struct assay_suggest_host *host = worker->host;
    bool connected = worker->ready;
    struct assay__host_ask *ask = TAILQ_FIRST(&worker->sent);

    if (ask != NULL && (ask->ahead || ask->study == NULL))
        ask = NULL; /* nobody waits for it */
    forget_process(worker);
    if (host->closing)
        return;
    if (connected) {
        host->stats.respawns++;
        /* Unless it is always the same ask under which the whole place goes. */
        if (ask != NULL && ++ask->cuts >= ASSAY_SUGGEST_CUTS) {
            assay_auto_free char *algorithm = assay__host_describe_algorithm(ask->study);
            assay_auto_free char *why = assay_format("%s lost its worker %d times in a row: %s",
                                                     algorithm, ask->cuts, sentence);

            TAILQ_REMOVE(&worker->waiting, ask, link);
            assay__host_fail(host, ask, why);
        }
        assay__host_pump(worker);
        return;
    }
    host->stats.unreached++;
    worker->away_until_us = assay_monotonic_us() + AWAY_US;
    assay__host_start_later(worker);
    TAILQ_FOREACH(ask, &worker->waiting, link)
        host->options.events.waits(host->options.events.arg, ask->study_id, sentence);
}

void
assay__host_take_exit(struct assay__host_worker *worker, int64_t status, int signal)
{
    assay_auto_free char *what =
        assay_worker_describe_end(status, signal, worker->host->options.memory_bytes);

    worker->process = NULL;
    if (!worker->host->closing)
        assay_log(ASSAY_LOG_WARNING, "suggestion worker %d: %s; starting another", worker->index,
                  what);
    if (worker->ready)
        process_gone(worker, what);
    else
        place_gone(worker, what); /* a relay that could not even say why */
}

void
assay__host_give_up(struct assay__host_worker *worker, const char *what)
{
    assay_log(ASSAY_LOG_WARNING, "suggestion worker %d: %s; killing it", worker->index, what);
    process_gone(worker, what);
}

/* When a connection that is made now is made anew: not all at once. */
static int64_t
renewal(struct assay_suggest_host *host)
{
    int64_t after_us = host->options.renew_us > 0 ? host->options.renew_us : RENEW_US;

    return assay_monotonic_us() + after_us +
           (int64_t)((double)after_us / 2.0 * assay_random_unit(&host->random));
}

void
assay__host_renew(struct assay__host_worker *worker)
{
    if (!assay__host_is_stale(worker) || !TAILQ_EMPTY(&worker->sent))
        return;
    assay_log(ASSAY_LOG_INFO, "suggestion worker %d: its connection is made anew", worker->index);
    forget_process(worker);
    worker->host->stats.renewed++;
}

void
assay__host_take_ready(struct assay__host_worker *worker)
{
    if (worker->ready)
        return;
    worker->ready = true;
    worker->renew_at_us = renewal(worker->host);
    worker->away_until_us = 0;
    uv_timer_stop(&worker->timer);
    for (struct assay__hosted *study = worker->host->studies; study != NULL;
         study = study->hh.next) {
        if (study->worker == worker && study->ask == NULL)
            assay__host_ahead_list(study, 0);
    }
    assay__host_pump(worker);
}

void
assay__host_take_gone(struct assay__host_worker *worker, bool away, const char *sentence)
{
    assay_log(ASSAY_LOG_WARNING, "suggestion worker %d: %s", worker->index, sentence);
    if (away)
        place_gone(worker, sentence);
    else
        process_gone(worker, sentence);
}

void
assay__host_on_time(uv_timer_t *timer)
{
    struct assay__host_worker *worker = timer->data;
    assay_auto_free char *what = NULL;

    if (worker->process == NULL) { /* the delay of a restart is over */
        assay__host_pump(worker);
        return;
    }
    if (!worker->ready) {
        assay__host_take_gone(worker, true, "the place of the suggestion workers does not answer");
        return;
    }
    what = assay_format("no answer within %.3g s",
                        (double)worker->host->options.deadline_us / ASSAY_SECOND_US);
    assay__host_give_up(worker, what);
}

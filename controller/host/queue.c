/* What waits is sent to its worker, when the worker may have more; a study that it does not
 * know is opened there first. */
#include <stdlib.h>

#include "common/clock.h"
#include "controller/host/internal.h"

/* Taken for the cost of a study that was never asked. */
#define UNKNOWN_COST_US 5000
/* A history that could not be read is read again after this. */
#define READ_AGAIN_MS 500

/* --- what it takes --- */

int64_t
assay__host_cost_of(const struct assay__hosted *study)
{
    return study->cost_us >= 0 ? study->cost_us : UNKNOWN_COST_US;
}

/* Whether one more ask may be sent beside those under way. */
static bool
may_send(const struct assay__host_worker *worker, const struct assay__host_ask *ask)
{
    int64_t sum_us = assay__host_cost_of(ask->study);
    const struct assay__host_ask *other;

    if (TAILQ_EMPTY(&worker->sent))
        return true;
    if (assay__host_is_stale(worker))
        return false; /* it must come to an end */
    TAILQ_FOREACH(other, &worker->sent, link)
    {
        if (other->study == NULL)
            return false;
        sum_us += assay__host_cost_of(other->study);
    }
    return sum_us <= ASSAY__HOST_BATCH_US;
}

int64_t
assay__host_busy_for(const struct assay__host_worker *worker, int64_t now_us)
{
    const struct assay__host_ask *ask = TAILQ_FIRST(&worker->sent);
    int64_t cost_us, since_us, left_us;

    if (ask == NULL)
        return 0;
    cost_us = ask->study != NULL ? assay__host_cost_of(ask->study) : UNKNOWN_COST_US;
    since_us = now_us - ASSAY_MAX(ask->sent_us, worker->replied_us);
    left_us = since_us < cost_us ? cost_us - since_us : since_us;
    while ((ask = TAILQ_NEXT(ask, link)) != NULL)
        left_us += ask->study != NULL ? assay__host_cost_of(ask->study) : UNKNOWN_COST_US;
    return left_us;
}

/* --- to the worker --- */

static void
read_again(uv_timer_t *timer)
{
    struct assay_suggest_host *host = timer->data;

    for (int i = 0; i < assay__host_worker_count(host); i++)
        assay__host_pump(&host->workers[i]);
}

void
assay__host_flush_tells(struct assay__hosted *study)
{
    if (json_array_size(study->tells) == 0)
        return;
    assay__host_process_send(study->worker->process, assay_protocol_tell(study->id, study->tells));
    json_array_clear(study->tells);
}

/* Tells the worker all that there is; false when that can not be read now.  An answer
 * from half a history would be another one. */
static bool
open_study(struct assay__hosted *study)
{
    struct assay_suggest_host *host = study->host;
    const struct assay_suggest_host_events *events = &host->options.events;
    int64_t told = study->told;
    bool ended = study->ended;
    json_t *sources = NULL;

    if (!events->sources(events->arg, study->id, &sources)) {
        uv_timer_start(&host->again, read_again, READ_AGAIN_MS, 0);
        return false;
    }
    assay__host_make_room(study->worker);
    assay__host_process_send(study->worker->process, assay_protocol_open(study->id, study->document, sources));
    json_decref(sources);
    json_array_clear(study->tells);
    free(study->trouble);
    study->trouble = NULL;
    study->opened = true;
    study->n_told = 0;
    if (!events->replay(events->arg, study->id)) {
        study->opened = false;
        uv_timer_start(&host->again, read_again, READ_AGAIN_MS, 0);
    }
    study->told = told; /* nothing new */
    study->ended = ended;
    return study->opened;
}

void
assay__host_pump(struct assay__host_worker *worker)
{
    bool busy = !TAILQ_EMPTY(&worker->sent);
    struct assay__host_ask *ask, *next;

    for (ask = TAILQ_FIRST(&worker->waiting); ask != NULL; ask = next) {
        struct assay__hosted *study = ask->study;

        next = TAILQ_NEXT(ask, link);
        if (worker->host->closing || !may_send(worker, ask) ||
            !assay__host_ensure_process(worker))
            break;
        ask->reopened = !study->opened;
        if (!study->opened && !open_study(study))
            continue;
        assay__host_flush_tells(study);
        assay__host_process_send(worker->process,
                                 assay_protocol_ask(study->id, ask->request, ask->numbers,
                                                    ask->n_numbers));
        ask->told = study->told;
        ask->sent_us = assay_monotonic_us();
        TAILQ_REMOVE(&worker->waiting, ask, link);
        TAILQ_INSERT_TAIL(&worker->sent, ask, link);
    }
    if (!busy && !TAILQ_EMPTY(&worker->sent))
        assay__host_watch(worker);
}

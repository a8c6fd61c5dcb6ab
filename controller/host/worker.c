/* A worker: of what sort it is, and whether it has its process. */
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/host/internal.h"

/* A worker that keeps dying, or whose place is away, is started again after this. */
#define START_AGAIN_MS 1000
/* A relay that has neither connected nor said why not by then (it gives up before). */
#define CONNECT_MS 30000

/* --- sorts --- */

int
assay__host_worker_count(const struct assay_suggest_host *host)
{
    int sets = host->relay_arguments != NULL ? 2 : 1;

    return host->options.workers + 1 + sets * ASSAY_SUGGEST_APART;
}

bool
assay__host_is_relayed(const struct assay__host_worker *worker)
{
    const struct assay_suggest_host *host = worker->host;

    return host->relay_arguments != NULL &&
           worker->index < host->options.workers + 1 + ASSAY_SUGGEST_APART;
}

bool
assay__host_is_ready(const struct assay__host_worker *worker)
{
    return worker->process != NULL && worker->ready;
}

bool
assay__host_is_away(const struct assay__host_worker *worker, int64_t now_us)
{
    return now_us < worker->away_until_us && !assay__host_is_ready(worker);
}

bool
assay__host_is_for_short(const struct assay__host_worker *worker)
{
    return worker->index == worker->host->options.workers;
}

bool
assay__host_is_apart(const struct assay__host_worker *worker)
{
    return worker->index > worker->host->options.workers;
}

bool
assay__host_is_idle(const struct assay__host_worker *worker)
{
    return TAILQ_EMPTY(&worker->waiting) && TAILQ_EMPTY(&worker->sent);
}

bool
assay__host_is_stale(const struct assay__host_worker *worker)
{
    return worker->renew_at_us > 0 && worker->renew_at_us <= assay_monotonic_us();
}

/* --- its process --- */

void
assay__host_start_later(struct assay__host_worker *worker)
{
    uv_timer_start(&worker->timer, worker->host->on_time, START_AGAIN_MS, 0);
}

static int
start(struct assay__host_worker *worker)
{
    struct assay_suggest_host *host = worker->host;
    bool relayed = assay__host_is_relayed(worker);
    int rc = assay__host_process_start(
        &(struct assay__host_process_options){
            .loop = host->options.loop,
            .arguments = relayed ? host->relay_arguments : host->arguments,
            .environment = host->environment,
            .heard = host->heard,
            .worker = worker,
        },
        &worker->process);

    if (rc != 0)
        return rc;
    worker->ready = !relayed;
    if (relayed)
        uv_timer_start(&worker->timer, host->on_time, CONNECT_MS, 0);
    worker->starts_in_a_row++;
    return 0;
}

bool
assay__host_ensure_process(struct assay__host_worker *worker)
{
    struct assay__host_ask *ask;
    int rc;

    if (worker->process != NULL)
        return worker->ready;
    if (worker->starts_in_a_row > ASSAY_SUGGEST_TRIES) {
        worker->starts_in_a_row = 1;
        assay__host_start_later(worker);
        return false;
    }
    if (uv_is_active((uv_handle_t *)&worker->timer))
        return false; /* the delay goes on */
    rc = start(worker);
    if (rc == 0)
        return worker->ready;
    assay_log(ASSAY_LOG_ERROR, "suggestion worker %d: starting %s: %s", worker->index,
              worker->host->arguments[0], uv_strerror(rc));
    while ((ask = TAILQ_FIRST(&worker->waiting)) != NULL) {
        assay_auto_free char *sentence =
            assay_format("the suggestion worker %s can not be started: %s",
                         worker->host->arguments[0], uv_strerror(rc));

        TAILQ_REMOVE(&worker->waiting, ask, link);
        assay__host_fail(worker->host, ask, sentence);
    }
    return false;
}

void
assay__host_drop_process(struct assay__host_worker *worker)
{
    if (worker->process != NULL)
        assay__host_process_end(worker->process);
    worker->process = NULL;
    worker->ready = false;
    worker->renew_at_us = 0;
    if (!worker->host->closing)
        uv_timer_stop(&worker->timer);
}

void
assay__host_end_process(struct assay__host_worker *worker)
{
    struct assay__host_ask *ask;

    while ((ask = TAILQ_FIRST(&worker->sent)) != NULL && ask->study == NULL) {
        TAILQ_REMOVE(&worker->sent, ask, link);
        assay__host_ask_free(ask);
    }
    if (worker->process == NULL)
        return;
    assay__host_drop_process(worker);
    worker->starts_in_a_row = 0;
}

void
assay__host_watch(struct assay__host_worker *worker)
{
    if (!TAILQ_EMPTY(&worker->sent))
        uv_timer_start(&worker->timer, worker->host->on_time,
                       (uint64_t)(worker->host->options.deadline_us / 1000), 0);
    else
        uv_timer_stop(&worker->timer);
}

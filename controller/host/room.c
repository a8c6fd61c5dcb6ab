/* What workers keep open. */
#include "common/clock.h"
#include "controller/host/internal.h"

/* Open in one process: studies, and trials of all of them. */
#define OPEN_STUDIES_MAX 256
#define OPEN_TRIALS_MAX 500000
/* A study that was not asked for so long is closed. */
#define IDLE_CLOSE_US (600 * ASSAY_SECOND_US)
#define SWEEP_US (10 * ASSAY_SECOND_US)

void
assay__host_close_study(struct assay__hosted *study)
{
    if (!study->opened)
        return;
    study->opened = false;
    json_array_clear(study->tells);
    if (study->worker->process != NULL)
        assay__host_process_send(study->worker->process, assay_protocol_close(study->id));
}

/* Open, and no work of it under way. */
static bool
may_close(const struct assay__hosted *study)
{
    return study->opened && study->ask == NULL &&
           (study->ahead == NULL || study->ahead->trials != NULL);
}

void
assay__host_make_room(struct assay__host_worker *worker)
{
    for (;;) {
        struct assay__hosted *study, *oldest = NULL;
        int64_t studies = 0, trials = 0;

        for (study = worker->host->studies; study != NULL; study = study->hh.next) {
            if (study->worker != worker || !study->opened)
                continue;
            studies++;
            trials += study->n_told;
            if (may_close(study) && (oldest == NULL || study->used_us < oldest->used_us))
                oldest = study;
        }
        if (oldest == NULL || (studies < OPEN_STUDIES_MAX && trials < OPEN_TRIALS_MAX))
            return;
        assay__host_close_study(oldest);
        worker->host->stats.closed++;
    }
}

void
assay__host_close_idle(struct assay_suggest_host *host)
{
    int64_t now_us = assay_monotonic_us();

    if (now_us - host->swept_us < SWEEP_US)
        return;
    host->swept_us = now_us;
    for (struct assay__hosted *study = host->studies; study != NULL; study = study->hh.next) {
        if (may_close(study) && now_us - study->used_us > IDLE_CLOSE_US) {
            assay__host_close_study(study);
            host->stats.closed++;
        }
    }
}

/* Which study lives with which worker, when it moves, and what workers keep open.
 *
 * A study has one ask at a time, so first come, first served is a round among the
 * studies.  What this file adds: asks that are short are sent several at once; an ask
 * behind a long one moves to a worker that is idle, when that is worth telling its
 * history again; and where all are busy with long ones, short asks get a worker of
 * their own. */
#include "common/clock.h"
#include "common/log.h"
#include "controller/host/internal.h"

/* A short ask; and one that is not short any more. */
#define SHORT_US 10000
#define SHORT_NO_MORE_US 25000
/* Waiting for less is not worth a move. */
#define MOVE_MIN_US 3000
/* Short asks get the worker of their own after this. */
#define SHORT_WAIT_US 20000
/* After this an ask goes to a worker apart, if one is free. */
#define LONG_WAIT_US (2 * ASSAY_SECOND_US)
/* Telling a history again: in all, and for each trial. */
#define REPLAY_US 300
#define REPLAY_TRIAL_US 20
/* Waiting asks are looked at this often. */
#define LOOK_MS 10

/* Of `n` workers from `first` on: with the fewest studies. */
static struct assay__host_worker *
emptiest(struct assay_suggest_host *host, int first, int n)
{
    struct assay__host_worker *best = &host->workers[first];

    for (int i = 1; i < n; i++) {
        if (host->workers[first + i].studies < best->studies)
            best = &host->workers[first + i];
    }
    return best;
}

struct assay__host_worker *
assay__host_worker_apart(const struct assay__hosted *study)
{
    struct assay_suggest_host *host = study->host;
    bool here = host->relay_arguments != NULL && assay__host_is_foreign(study);

    return emptiest(host, host->options.workers + 1 + (here ? ASSAY_SUGGEST_APART : 0),
                    ASSAY_SUGGEST_APART);
}

static void
live_with(struct assay__hosted *study, struct assay__host_worker *worker)
{
    study->worker = worker;
    worker->studies++;
}

void
assay__host_leave(struct assay__hosted *study)
{
    struct assay__host_worker *worker = study->worker;

    assay__host_close_study(study);
    study->worker = NULL;
    /* The process of a worker that is not one of the shared ends with its last study,
     * even if it is at an ask that nobody waits for any more. */
    if (--worker->studies == 0 && worker->index >= worker->host->options.workers)
        assay__host_end_process(worker);
}

void
assay__host_move(struct assay__hosted *study, struct assay__host_worker *to)
{
    struct assay__host_worker *from = study->worker;

    if (to == from)
        return;
    if (study->ask != NULL) {
        TAILQ_REMOVE(&from->waiting, study->ask, link);
        TAILQ_INSERT_TAIL(&to->waiting, study->ask, link);
    }
    if (study->ahead != NULL && study->ahead->trials == NULL) {
        study->ahead->study = NULL; /* the old worker is still at it */
        study->ahead = NULL;
    }
    assay__host_leave(study);
    live_with(study, to);
    study->worker->host->stats.moves++;
}

/* --- moving --- */

/* Opening the study elsewhere; an algorithm that is slow to ask is slow to begin. */
static int64_t
replay_cost(const struct assay__hosted *study)
{
    int64_t begin_us = study->cost_us > ASSAY__HOST_BATCH_US ? 3 * study->cost_us : 0;

    return REPLAY_US + study->n_told * REPLAY_TRIAL_US + begin_us;
}

/* A shared one with nothing to do; `ready`: it has its process, too. */
static struct assay__host_worker *
idle_worker(struct assay_suggest_host *host, bool ready, int64_t now_us)
{
    for (int i = 0; i < host->options.workers; i++) {
        struct assay__host_worker *worker = &host->workers[i];

        if (assay__host_is_idle(worker) && !assay__host_is_away(worker, now_us) &&
            (!ready || assay__host_is_ready(worker)))
            return worker;
    }
    return NULL;
}

/* Where the ask that would wait for `left_us` more had better go; NULL: nowhere. */
static struct assay__host_worker *
better_place(struct assay_suggest_host *host, const struct assay__host_ask *ask, int64_t left_us,
             int64_t now_us)
{
    const struct assay__hosted *study = ask->study;
    struct assay__host_worker *to;

    if (assay__host_is_away(study->worker, now_us))
        return assay__host_is_apart(study->worker) ? NULL : idle_worker(host, true, now_us);
    if (left_us < 2 * replay_cost(study) + MOVE_MIN_US)
        return NULL;
    if (assay__host_is_apart(study->worker)) {
        to = assay__host_worker_apart(study);
        return to->studies == 0 && !assay__host_is_away(to, now_us) ? to : NULL;
    }
    to = idle_worker(host, false, now_us);
    if (to != NULL)
        return to;
    to = &host->workers[host->options.workers];
    if (!assay__host_is_for_short(study->worker) && assay__host_cost_of(study) <= SHORT_US && left_us >= SHORT_WAIT_US &&
        assay__host_busy_for(to, now_us) <= SHORT_WAIT_US && !assay__host_is_away(to, now_us))
        return to;
    to = assay__host_worker_apart(study);
    if (now_us - ask->asked_us >= LONG_WAIT_US && to->studies == 0 && !assay__host_is_away(to, now_us))
        return to;
    return NULL;
}

/* Moves what had better not wait in line here; false when nothing was. */
static bool
relieve(struct assay__host_worker *worker, int64_t now_us)
{
    int64_t left_us = assay__host_busy_for(worker, now_us);
    struct assay__host_ask *ask;

    TAILQ_FOREACH(ask, &worker->waiting, link)
    {
        struct assay__host_worker *to = better_place(worker->host, ask, left_us, now_us);

        if (to != NULL) {
            assay__host_move(ask->study, to);
            assay__host_pump(to);
            return true;
        }
        left_us += assay__host_cost_of(ask->study);
    }
    return false;
}

static void
look(uv_timer_t *timer)
{
    assay__host_balance(timer->data);
}

void
assay__host_balance(struct assay_suggest_host *host)
{
    int64_t now_us = assay_monotonic_us();
    bool waiting = false;

    for (int i = 0; i < assay__host_worker_count(host) && !host->closing; i++) {
        struct assay__host_worker *worker = &host->workers[i];

        while (relieve(worker, now_us))
            continue;
        waiting = waiting || !TAILQ_EMPTY(&worker->waiting);
    }
    if (waiting && !uv_is_active((uv_handle_t *)&host->look))
        uv_timer_start(&host->look, look, LOOK_MS, 0);
}

void
assay__host_settle(struct assay__hosted *study)
{
    struct assay_suggest_host *host = study->host;

    live_with(study, assay__host_is_foreign(study) ? assay__host_worker_apart(study)
                                                   : emptiest(host, 0, host->options.workers));
}

void
assay__host_leave_short(struct assay__hosted *study)
{
    if (assay__host_is_for_short(study->worker) && study->cost_us > SHORT_NO_MORE_US)
        assay__host_move(study, emptiest(study->host, 0, study->host->options.workers));
}


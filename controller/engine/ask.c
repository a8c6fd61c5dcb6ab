/* Asks: what the workers of ask/tell studies are handed, and asking the host for more. */
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "controller/engine/internal.h"

#define ASK_MAX 1000
/* When an ask finds nothing now: come again after this. */
#define RETRY_AFTER_MS 1000

static bool
holds(const struct assay__ask *ask, const struct assay__trial *trial)
{
    return ask->client != NULL && trial->row.client != NULL &&
           trial->row.state == ASSAY_TRIAL_RUNNING && strcmp(trial->row.client, ask->client) == 0;
}

void
assay__ask_finish(struct assay__study *study, struct assay__ask *ask, struct assay__commit *commit)
{
    struct assay__reply *reply = ask->reply;

    TAILQ_REMOVE(&study->asks, ask, link);
    reply->answer.study_state = study->record.state;
    reply->answer.study_reason = study->record.reason;
    if (reply->n_trials == 0 && !assay_study_state_is_final(study->record.state))
        reply->answer.retry_after_ms = RETRY_AFTER_MS;
    assay__commit_key(commit, &ask->key, reply);
    assay__commit_reply(commit, reply);
    assay__commit_send(commit);
    assay__ask_free(ask);
}

int64_t
assay__asks_may_make(const struct assay__study *study)
{
    int64_t parallel = study->spec->limits.parallel;
    int64_t room = assay__study_makes(study);

    if (study->record.state != ASSAY_STUDY_RUNNING || study->exhausted || study->later)
        return 0;
    if (parallel > 0)
        room = ASSAY_MIN(room, parallel - study->slots);
    return ASSAY_MAX(room, 0);
}

/* How many to make beyond those, so that they lie ready. */
static int64_t
to_lie_ready(const struct assay__study *study, int64_t wanted)
{
    int64_t missing = study->spec->limits.ahead - study->trials_in[ASSAY_TRIAL_QUEUED];

    if (study->record.state != ASSAY_STUDY_RUNNING || study->exhausted || study->later)
        return 0;
    return ASSAY_MAX(ASSAY_MIN(missing, assay__study_room(study) - wanted), 0);
}

static void
lease(struct assay__trial *trial, const char *client, struct assay__commit *commit)
{
    free(trial->row.client);
    trial->row.client = assay_strdup(client);
    trial->row.lease_expires_us = assay_now_us() + trial->study->spec->lease_us;
    trial->slot = true;
    trial->study->slots++;
    assay__trial_apply(trial, ASSAY_TRIAL_EVENT_START, ASSAY_TRIAL_REASON_NONE, NULL, commit);
}

void
assay__ask_take_existing(struct assay__study *study, struct assay__ask *ask,
                         struct assay__commit *commit)
{
    struct assay__trial *trial, *next;
    int64_t parallel = study->spec->limits.parallel;

    HASH_ITER(hh, study->trials, trial, next)
    {
        if ((int64_t)ask->reply->n_trials >= ask->count)
            return;
        if (holds(ask, trial)) {
            assay__trial_renew_lease(trial, commit);
            assay__reply_add_trial(ask->reply, &trial->row);
        }
    }
    if (study->record.state != ASSAY_STUDY_RUNNING || study->trials_in[ASSAY_TRIAL_QUEUED] == 0)
        return;
    HASH_ITER(hh, study->trials, trial, next)
    {
        if ((int64_t)ask->reply->n_trials >= ask->count ||
            (parallel > 0 && study->slots >= parallel))
            return;
        if (trial->row.state == ASSAY_TRIAL_QUEUED) {
            lease(trial, ask->client, commit);
            assay__reply_add_trial(ask->reply, &trial->row);
        }
    }
}

void
assay__asks_put_off(struct assay__study *study)
{
    struct assay__ask *ask;

    while ((ask = TAILQ_FIRST(&study->asks)) != NULL) {
        struct assay__commit *commit = assay__commit_new(study);

        assay__ask_take_existing(study, ask, commit);
        assay__ask_finish(study, ask, commit);
    }
}

/* What the ask could be given without a new suggestion. */
static int64_t
existing_for(const struct assay__study *study, const struct assay__ask *ask)
{
    int64_t n = study->trials_in[ASSAY_TRIAL_QUEUED];
    const struct assay__trial *trial;

    for (trial = study->trials; trial != NULL && n < ask->count; trial = trial->hh.next)
        n += holds(ask, trial);
    return n;
}

void
assay__serve_asks(struct assay__study *study)
{
    struct assay__ask *ask, *next;
    int64_t wanted = 0;

    if (study->asked > 0)
        return; /* the answer of the host serves them */
    for (ask = TAILQ_FIRST(&study->asks); ask != NULL; ask = next) {
        int64_t existing = existing_for(study, ask);

        next = TAILQ_NEXT(ask, link);
        if (existing < ask->count && assay__asks_may_make(study) > 0) {
            wanted += ask->count - existing;
        } else {
            struct assay__commit *commit = assay__commit_new(study);

            assay__ask_take_existing(study, ask, commit);
            assay__ask_finish(study, ask, commit);
        }
    }
    wanted = ASSAY_MIN(wanted, assay__asks_may_make(study));
    wanted += to_lie_ready(study, wanted);
    if (wanted > 0)
        assay__ask_host(study, wanted);
    else if (study->trials_in[ASSAY_TRIAL_QUEUED] == 0 && assay__asks_may_make(study) > 0)
        assay_suggest_host_prepare(
            study->engine->host, study->id, study->next_number,
            (size_t)ASSAY_MIN(ASSAY_MAX(study->asked_last, 1), assay__asks_may_make(study)), true);
}

void
assay__ask_host(struct assay__study *study, int64_t count)
{
    int64_t numbers[ASK_MAX];

    count = ASSAY_MIN(count, ASK_MAX);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = study->next_number + i;
    study->asked = study->asked_last = count;
    study->asked_us = assay_monotonic_us();
    assay_suggest_host_ask(study->engine->host, study->id, numbers, (size_t)count);
}

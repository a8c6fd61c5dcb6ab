/* The suggestion host: studies, their asks, the answers. */
#include "controller/host/host.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/host/internal.h"
#include "suggest/registry.h"

/* Tells are sent in one frame with the next ask, or when so many have gathered. */
#define TELLS_PER_FRAME 500


/* --- from the worker --- */

/* An ask was answered with an error: it fails, or is tried once more where that
 * may help. */
static void
take_error(struct assay__host_worker *worker, struct assay__host_ask *ask,
           const struct assay_protocol_reply *reply)
{
    struct assay__hosted *study = ask->study;
    bool unknown = strcmp(reply->code, ASSAY_PROTOCOL_UNKNOWN_STUDY) == 0;
    bool again = unknown || strcmp(reply->code, assay_status_name(ASSAY_E_UNAVAILABLE)) == 0;
    const struct assay_plugin *plugin = assay_registry_plugin_of(assay__host_algorithm(study));

    study->opened = study->opened && !unknown;
    if (ask->ahead) { /* whoever asks will hear of it */
        study->ahead = NULL;
        assay__host_ask_free(ask);
    } else if (again && ++ask->tries < ASSAY_SUGGEST_TRIES) {
        TAILQ_INSERT_TAIL(&worker->waiting, ask, link);
    } else {
        const char *why = unknown && study->trouble != NULL ? study->trouble : reply->message;
        assay_auto_free char *sentence =
            plugin != NULL ? assay_format("plugin %s %s: %s", plugin->name, plugin->version, why)
                           : assay_strdup(why);

        assay__host_fail(worker->host, ask, sentence);
    }
}

static struct assay__host_ask *
take_sent(struct assay__host_worker *worker, const struct assay_protocol_reply *reply)
{
    struct assay__host_ask *ask;

    TAILQ_FOREACH(ask, &worker->sent, link)
    {
        if (ask->study_id == reply->study && ask->request == reply->request) {
            TAILQ_REMOVE(&worker->sent, ask, link);
            return ask;
        }
    }
    return NULL;
}

/* What the ask took, unless a replay was a part of it. */
static void
note_cost(const struct assay__host_ask *ask, int64_t replied_before_us, int64_t now_us)
{
    struct assay__hosted *study = ask->study;

    if (study->cost_us < 0 || !ask->reopened)
        study->cost_us = now_us - ASSAY_MAX(ask->sent_us, replied_before_us);
}

static void
take_answer(struct assay__host_worker *worker, struct assay__host_ask *ask,
            const struct assay_protocol_reply *reply)
{
    const struct assay_suggest_host_events *events = &worker->host->options.events;

    if (ask->study == NULL) {
        assay__host_ask_free(ask);
    } else if (reply->code != NULL) {
        take_error(worker, ask, reply);
    } else if (ask->ahead) {
        assay__host_ahead_answered(ask, reply->trials, reply->exhausted);
    } else {
        ask->study->ask = NULL;
        assay__host_ask_free(ask);
        events->suggested(events->arg, reply->study, reply->trials, reply->exhausted);
    }
}

static void
take_reply(struct assay__host_worker *worker, const struct assay_protocol_reply *reply)
{
    struct assay__hosted *study = assay__host_find(worker->host, reply->study);
    int64_t now_us = assay_monotonic_us(), replied_before_us = worker->replied_us;
    struct assay__host_ask *ask;

    if (reply->kind == ASSAY_PROTOCOL_READY) {
        assay__host_take_ready(worker);
        return;
    }
    if (reply->kind == ASSAY_PROTOCOL_GONE) {
        assay__host_take_gone(worker, reply->away, reply->message);
        return;
    }
    if (reply->request < 0) { /* about an open or tell: kept for the ask that will fail */
        if (study != NULL && study->worker == worker) {
            free(study->trouble);
            study->trouble = assay_strdup(reply->message);
        }
        return;
    }
    ask = take_sent(worker, reply);
    if (ask == NULL)
        return;
    worker->starts_in_a_row = 0;
    worker->replied_us = now_us;
    if (ask->study != NULL)
        note_cost(ask, replied_before_us, now_us);
    assay__host_watch(worker);
    assay__host_renew(worker);
    assay__host_pump(worker); /* its next one while the engine works on this */
    take_answer(worker, ask, reply);
    assay__host_pump(worker);
    assay__host_balance(worker->host);
}

/* Hands out what was there before it was asked for. */
static void
deliver(uv_idle_t *idle)
{
    struct assay_suggest_host *host = idle->data;
    const struct assay_suggest_host_events *events = &host->options.events;
    struct assay__host_ask *ask;

    while ((ask = TAILQ_FIRST(&host->ready)) != NULL) {
        TAILQ_REMOVE(&host->ready, ask, link);
        ask->study->ask = NULL;
        events->suggested(events->arg, ask->study_id, ask->trials, ask->exhausted);
        assay__host_ask_free(ask);
    }
    uv_idle_stop(idle);
}

/* --- the host --- */

static const struct assay__host_hearing heard = {
    .said = take_reply,
    .babbled = assay__host_give_up,
    .exited = assay__host_take_exit,
};

struct assay_suggest_host *
assay_suggest_host_new(const struct assay_suggest_host_options *options)
{
    struct assay_suggest_host *host = ASSAY_NEW(struct assay_suggest_host);
    uv_timer_t *timers[] = {&host->prepare, &host->look, &host->again};

    host->options = *options;
    host->heard = &heard;
    host->on_time = assay__host_on_time;
    assay_random_init(&host->random, assay_random_seed(), 0, 0);
    host->arguments = assay__host_arguments(options);
    host->relay_arguments = assay__host_relay_arguments(options);
    host->environment = assay__host_environment();
    TAILQ_INIT(&host->ready);
    TAILQ_INIT(&host->prepares);
    uv_idle_init(options->loop, &host->deliver);
    host->deliver.data = host;
    for (size_t i = 0; i < ASSAY_COUNT(timers); i++) {
        uv_timer_init(options->loop, timers[i]);
        timers[i]->data = host;
    }
    host->workers = assay_zalloc((size_t)assay__host_worker_count(host), sizeof *host->workers);
    for (int i = 0; i < assay__host_worker_count(host); i++) {
        struct assay__host_worker *worker = &host->workers[i];

        worker->host = host;
        worker->index = i;
        TAILQ_INIT(&worker->waiting);
        TAILQ_INIT(&worker->sent);
        uv_timer_init(options->loop, &worker->timer);
        worker->timer.data = worker;
    }
    return host;
}

void
assay_suggest_host_open(struct assay_suggest_host *host, int64_t study_id, json_t *document)
{
    struct assay__hosted *study = assay__host_find(host, study_id);

    if (study == NULL) {
        study = ASSAY_NEW(struct assay__hosted);
        study->id = study_id;
        study->host = host;
        study->document = json_incref(document);
        study->tells = json_array();
        study->cost_us = study->prepared_told = -1;
        HASH_ADD(hh, host->studies, id, sizeof study->id, study);
        assay__host_settle(study);
        return;
    }
    json_incref(document);
    json_decref(study->document);
    study->document = document;
    study->opened = false;
    study->told++;
}

static void
study_free(struct assay__hosted *study)
{
    HASH_DEL(study->host->studies, study);
    json_decref(study->document);
    json_decref(study->tells);
    free(study->trouble);
    free(study);
}

/* The study is forgotten: its asks end without an answer. */
static void
abandon(struct assay__hosted *study, struct assay__host_ask *ask)
{
    if (ask == NULL)
        return;
    if (ask->trials != NULL && !ask->ahead)
        TAILQ_REMOVE(&study->host->ready, ask, link);
    else if (ask->trials == NULL && ask->sent_us > 0) {
        ask->study = NULL; /* the worker is at it */
        return;
    } else if (ask->trials == NULL) {
        TAILQ_REMOVE(&study->worker->waiting, ask, link);
    }
    assay__host_ask_free(ask);
}

void
assay_suggest_host_forget(struct assay_suggest_host *host, int64_t study_id)
{
    struct assay__hosted *study = assay__host_find(host, study_id);

    if (study == NULL)
        return;
    abandon(study, study->ask);
    abandon(study, study->ahead);
    assay__host_ahead_unlist(study);
    assay__host_leave(study);
    study_free(study);
}

void
assay_suggest_host_tell(struct assay_suggest_host *host, int64_t study_id, json_t *trial)
{
    struct assay__hosted *study = assay__host_find(host, study_id);

    if (study != NULL) {
        const char *state = json_string_value(json_object_get(trial, "state"));

        study->told++;
        study->ended = state == NULL || strcmp(state, "pending") != 0;
    }
    if (study == NULL || !study->opened || study->worker->process == NULL) {
        json_decref(trial);
        return;
    }
    study->n_told++;
    json_array_append_new(study->tells, trial);
    if (json_array_size(study->tells) >= TELLS_PER_FRAME)
        assay__host_flush_tells(study);
}

void
assay_suggest_host_ask(struct assay_suggest_host *host, int64_t study_id, const int64_t *numbers, size_t n)
{
    struct assay__hosted *study = assay__host_find(host, study_id);

    ASSAY_ASSERT(study != NULL && study->ask == NULL);
    study->used_us = assay_monotonic_us();
    assay__host_ahead_unlist(study);
    study->ask = assay__host_ahead_take(study, numbers, n);
    if (study->ask != NULL && study->ask->trials != NULL) {
        TAILQ_INSERT_TAIL(&host->ready, study->ask, link);
        uv_idle_start(&host->deliver, deliver);
    }
    if (study->ask != NULL)
        return; /* it is there, or the worker is at it */
    assay__host_leave_short(study);
    study->ask = assay__host_ask_new(study, numbers, n);
    TAILQ_INSERT_TAIL(&study->worker->waiting, study->ask, link);
    assay__host_pump(study->worker);
    assay__host_balance(host);
}

void
assay_suggest_host_sweep(struct assay_suggest_host *host)
{
    assay__host_close_idle(host);
    for (int i = 0; i < assay__host_worker_count(host); i++)
        assay__host_renew(&host->workers[i]);
}

void
assay_suggest_host_get_stats(const struct assay_suggest_host *host,
                             struct assay_suggest_host_stats *ret_stats)
{
    *ret_stats = host->stats;
}

void
assay_suggest_host_close(struct assay_suggest_host *host)
{
    host->closing = true;
    uv_close((uv_handle_t *)&host->deliver, NULL);
    uv_close((uv_handle_t *)&host->prepare, NULL);
    uv_close((uv_handle_t *)&host->look, NULL);
    uv_close((uv_handle_t *)&host->again, NULL);
    for (int i = 0; i < assay__host_worker_count(host); i++) {
        uv_close((uv_handle_t *)&host->workers[i].timer, NULL);
        assay__host_end_process(&host->workers[i]);
    }
}

static void
free_texts(char **texts)
{
    for (char **text = texts; text != NULL && *text != NULL; text++)
        free(*text);
    free(texts);
}

struct assay_suggest_host *
assay_suggest_host_free(struct assay_suggest_host *host)
{
    struct assay__hosted *study, *next;

    HASH_ITER(hh, host->studies, study, next)
    {
        if (study->ahead != NULL && study->ahead->trials != NULL)
            assay__host_ask_free(study->ahead);
        study_free(study);
    }
    assay__host_asks_free(&host->ready);
    for (int i = 0; i < assay__host_worker_count(host); i++) {
        assay__host_asks_free(&host->workers[i].waiting);
        assay__host_asks_free(&host->workers[i].sent);
    }
    free(host->workers);
    free_texts(host->arguments);
    free_texts(host->relay_arguments);
    free_texts(host->environment);
    free(host);
    return NULL;
}

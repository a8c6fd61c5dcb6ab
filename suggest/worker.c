#include "suggest/worker.h"

#include <stdlib.h>

#include "common/memory.h"
#include "suggest/proposer.h"
#include "suggest/protocol.h"

#define BUCKETS 1024

struct open_study {
    struct open_study *next; /* of the same bucket */
    char *key;               /* the study's ID as JSON text: 7 and "7" differ */
    const struct assay_worker_server *server;
    void *instance;
};

struct assay_worker {
    struct open_study *buckets[BUCKETS];
    const struct assay_worker_server *other; /* may be NULL */
};

/* --- algorithms of this process --- */

static assay_status
open_here(const json_t *spec, const json_t *sources, void **ret_instance, struct assay_error *err)
{
    struct assay_proposer *proposer;
    assay_status status = assay_proposer_new(spec, sources, &proposer, err);

    if (status == ASSAY_OK)
        *ret_instance = proposer;
    return status;
}

static assay_status
tell_here(void *instance, const json_t *trials, struct assay_error *err)
{
    return assay_proposer_tell(instance, trials, err);
}

static assay_status
ask_here(void *instance, const int64_t *numbers, size_t n, json_t **ret_trials,
         bool *ret_exhausted, struct assay_error *err)
{
    return assay_proposer_ask(instance, numbers, n, ret_trials, ret_exhausted, err);
}

static void
free_here(void *instance)
{
    assay_proposer_free(instance);
}

static const struct assay_worker_server here = {
    .open = open_here,
    .tell = tell_here,
    .ask = ask_here,
    .free = free_here,
};

static const struct assay_worker_server *
server_of(const struct assay_worker *worker, const json_t *spec)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(spec, "algorithm"), "name"));

    return worker->other != NULL && name != NULL && strcmp(name, worker->other->algorithm) == 0
               ? worker->other
               : &here;
}

/* --- studies --- */

struct assay_worker *
assay_worker_new(const struct assay_worker_server *other)
{
    struct assay_worker *worker = ASSAY_NEW(struct assay_worker);

    worker->other = other;
    return worker;
}

static void
drop(struct open_study **at)
{
    struct open_study *study = *at;

    if (study == NULL)
        return;
    *at = study->next;
    study->server->free(study->instance);
    free(study->key);
    free(study);
}

struct assay_worker *
assay_worker_free(struct assay_worker *worker)
{
    if (worker == NULL)
        return NULL;
    for (size_t b = 0; b < BUCKETS; b++) {
        while (worker->buckets[b] != NULL)
            drop(&worker->buckets[b]);
    }
    free(worker);
    return NULL;
}

/* Where the study of this key stands or would stand. */
static struct open_study **
find(struct assay_worker *worker, const char *key)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    struct open_study **at;

    for (const char *c = key; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    at = &worker->buckets[hash % BUCKETS];
    while (*at != NULL && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    return at;
}

static assay_status
handle_open(const struct assay_worker *worker, struct open_study **at, const char *key,
            const json_t *message, struct assay_error *err)
{
    const json_t *spec = json_object_get(message, "spec");
    const struct assay_worker_server *server = server_of(worker, spec);
    struct open_study *study;
    void *instance;
    assay_status status;

    drop(at);
    status = server->open(spec, json_object_get(message, "sources"), &instance, err);
    if (status != ASSAY_OK)
        return status;
    study = ASSAY_NEW(struct open_study);
    study->key = assay_strdup(key);
    study->server = server;
    study->instance = instance;
    study->next = *at;
    *at = study;
    return ASSAY_OK;
}

static assay_status
handle_tell(struct open_study **at, const json_t *message, struct assay_error *err)
{
    assay_status status;

    if (*at == NULL)
        return ASSAY_OK; /* its open has failed, or the next ask will say that it is unknown */
    status = (*at)->server->tell((*at)->instance, json_object_get(message, "trials"), err);
    if (status != ASSAY_OK)
        drop(at); /* the history has a hole now */
    return status;
}

static assay_status
handle_ask(const struct open_study *study, json_t *id, json_t *request, const json_t *message,
           json_t **ret_reply, struct assay_error *err)
{
    const json_t *list = json_object_get(message, "numbers");
    int64_t numbers[ASSAY_PROPOSER_ASK_MAX];
    size_t n = json_array_size(list);
    json_t *trials;
    bool exhausted;
    assay_status status;

    if (n > ASSAY_PROPOSER_ASK_MAX)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "%zu trials were asked for, not 1 to %d", n,
                          ASSAY_PROPOSER_ASK_MAX);
    for (size_t i = 0; i < n; i++)
        numbers[i] = json_integer_value(json_array_get(list, i));
    status = study->server->ask(study->instance, numbers, n, &trials, &exhausted, err);
    if (status != ASSAY_OK)
        return status;
    *ret_reply = assay_protocol_suggestions(id, request, trials, exhausted);
    json_decref(trials);
    return ASSAY_OK;
}

json_t *
assay_worker_handle(struct assay_worker *worker, const json_t *message)
{
    const char *op = json_string_value(json_object_get(message, "op"));
    json_t *id = json_object_get(message, "study"), *request = json_object_get(message, "request");
    assay_auto_free char *key = NULL;
    struct assay_error err = {0};
    struct open_study **at;
    json_t *reply = NULL;

    if (!json_is_integer(request))
        request = NULL;
    if (!json_is_integer(id) && json_string_length(id) - 1 >= ASSAY_WORKER_ID_BYTES_MAX)
        id = NULL; /* neither an integer nor a string of a fair length */
    if (op == NULL || id == NULL)
        return assay_protocol_error(id, request, assay_status_name(ASSAY_E_BAD_REQUEST),
                                    "a message lacks op or study");
    key = json_dumps(id, JSON_ENCODE_ANY);
    at = find(worker, key);
    if (strcmp(op, "open") == 0) {
        (void)handle_open(worker, at, key, message, &err);
    } else if (strcmp(op, "tell") == 0) {
        (void)handle_tell(at, message, &err);
    } else if (strcmp(op, "close") == 0) {
        drop(at);
    } else if (strcmp(op, "ask") == 0) {
        if (*at == NULL)
            return assay_protocol_error(id, request, ASSAY_PROTOCOL_UNKNOWN_STUDY,
                                        "the worker does not have this study");
        if (handle_ask(*at, id, request, message, &reply, &err) == ASSAY_E_NOT_FOUND) {
            drop(at);
            return assay_protocol_error(id, request, ASSAY_PROTOCOL_UNKNOWN_STUDY, err.message);
        }
    } else {
        (void)assay_fail(&err, ASSAY_E_BAD_REQUEST, "there is no op \"%.100s\"", op);
    }
    if (err.status != ASSAY_OK)
        reply = assay_protocol_error(id, request, assay_status_name(err.status), err.message);
    return reply;
}

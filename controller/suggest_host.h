/* The suggestion host: keeps the `assay-suggest` workers and the conversation
 * with them (suggest/protocol.h), so that an algorithm that crashes, hangs or
 * eats memory costs a respawn and a replay, never the daemon.
 *
 * A study lives with one worker (by its id).  What a worker knows is a cache:
 * when it is gone, the study is opened again in a fresh one and its history told
 * again.  An ask that is not answered within its deadline, or whose worker dies,
 * is tried ASSAY_SUGGEST_TRIES times; then it fails with a sentence.
 *
 * Studies that may harm those beside them live apart, in up to
 * ASSAY_SUGGEST_APART further workers: those whose algorithm comes from a plugin
 * or is remote, from the start; any other once its worker died or fell silent
 * over it, for as long as it is open.
 *
 * Everything here, callbacks included, is on the engine's libuv loop. */
#ifndef ASSAY_CONTROLLER_SUGGEST_HOST_H
#define ASSAY_CONTROLLER_SUGGEST_HOST_H

#include <jansson.h>
#include <uv.h>

#include "common/error.h"

#define ASSAY_SUGGEST_TRIES 3
/* Workers for studies that live apart; started when needed, ended with their last study. */
#define ASSAY_SUGGEST_APART 8

struct assay_suggest_host;

struct assay_suggest_host_events {
    /* The answer to an ask: `trials` is [{"number","parameters","why"}, …] (borrowed);
     * `exhausted`: fewer than asked because no untried point is left. */
    void (*suggested)(void *arg, int64_t study_id, const json_t *trials, bool exhausted);
    /* The ask can not be answered; the sentence says why and names the algorithm's fault. */
    void (*failed)(void *arg, int64_t study_id, const char *sentence);
    /* The study is about to be opened in a worker: hands out what it took over from earlier
     * ones (a new reference; NULL: nothing).  False: it can not be read now, and the ask
     * waits. */
    bool (*sources)(void *arg, int64_t study_id, json_t **ret_sources);
    /* A fresh worker must hear the study's history: call assay_suggest_host_tell for every
     * trial.  False: it can not be read now, and the ask waits. */
    bool (*replay)(void *arg, int64_t study_id);
    void *arg;
};

struct assay_suggest_host_options {
    uv_loop_t *loop;
    struct assay_suggest_host_events events;
    const char *program; /* absolute path of assay-suggest */
    int workers;         /* >= 1; started when first needed */
    int64_t memory_bytes;
    int64_t deadline_us; /* of one ask */
    /* Further arguments of the program, NULL-terminated (--plugin FILE, ...); NULL = none. */
    const char *const *arguments;
};

struct assay_suggest_host *assay_suggest_host_new(const struct assay_suggest_host_options *options);
/* Ends the workers and closes the handles; the loop must run once more after it. */
void assay_suggest_host_close(struct assay_suggest_host *host);
/* After the loop has run out. */
struct assay_suggest_host *assay_suggest_host_free(struct assay_suggest_host *host);

/* Makes the study known; `document` is its normalised file (kept by reference). */
void assay_suggest_host_open(struct assay_suggest_host *host, int64_t study_id, json_t *document);
void assay_suggest_host_forget(struct assay_suggest_host *host, int64_t study_id);
/* A trial is new or has changed: {"number","state","parameters","values","budget","steps"}
 * as in the protocol (taken).  Told before the next ask; dropped when no worker
 * knows the study yet. */
void assay_suggest_host_tell(struct assay_suggest_host *host, int64_t study_id, json_t *trial);
/* Asks for one suggestion per number.  One ask per study at a time. */
void assay_suggest_host_ask(struct assay_suggest_host *host, int64_t study_id, const int64_t *numbers, size_t n);

int64_t assay_suggest_host_respawns(const struct assay_suggest_host *host);

#endif

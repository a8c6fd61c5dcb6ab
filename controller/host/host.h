/* The suggestion host: keeps the `assay-suggest` workers and the conversation
 * with them (suggest/protocol.h), so that an algorithm that crashes, hangs or
 * eats memory costs a respawn and a replay, never the daemon.
 *
 * What a worker knows is a cache: when it is gone, the study is opened again in a
 * fresh one and its history told again.  An ask that is not answered within its
 * deadline, or whose worker dies, is tried ASSAY_SUGGEST_TRIES times; then it fails
 * with a sentence.
 *
 * A study lives with one worker, and moves when its ask would wait there for longer
 * than its history takes to be told elsewhere.  One more worker is started for short
 * asks when all are busy with long ones.  Studies that may harm those beside them
 * live apart, in up to ASSAY_SUGGEST_APART further workers: those whose algorithm
 * comes from a plugin or is remote, from the start; any other once its worker died
 * or fell silent over it, for as long as it is open.  What was not asked for long is
 * closed in its worker.
 *
 * With `relay_arguments` the workers are elsewhere: the processes here are relays
 * (suggest/relay/relay.h), and all of the above holds of the workers at their other
 * ends.  A place that can't be reached is no study's doing: its asks wait, are told why, and
 * go on when it is back.  Now and then a connection is made anew between two asks, so that
 * places that were added meanwhile get their share.  Studies of plugins and remote algorithms stay on this machine, as
 * they need its files, its loopback and its tokens: their workers apart are a second set.
 *
 * Everything here, callbacks included, is on the engine's libuv loop. */
#ifndef ASSAY_CONTROLLER_HOST_HOST_H
#define ASSAY_CONTROLLER_HOST_HOST_H

#include <jansson.h>
#include <uv.h>

#include "common/error.h"

#define ASSAY_SUGGEST_TRIES 3
/* An ask whose connection is cut under way so often in a row is taken to be the cause. */
#define ASSAY_SUGGEST_CUTS 10
/* Workers for studies that live apart; started when needed, ended with their last study. */
#define ASSAY_SUGGEST_APART 8
/* Suggestions prepared for one study at a time. */
#define ASSAY_SUGGEST_PREPARE_MAX 64

struct assay_suggest_host;

struct assay_suggest_host_events {
    /* The answer to an ask: `trials` is [{"number","parameters","why"}, …] (borrowed);
     * `exhausted`: fewer than asked because no untried point is left. */
    void (*suggested)(void *arg, int64_t study_id, const json_t *trials, bool exhausted);
    /* The ask can not be answered; the sentence says why and names the algorithm's fault. */
    void (*failed)(void *arg, int64_t study_id, const char *sentence);
    /* The ask has to wait, as the place of its worker can't be reached; told again while that
     * lasts.  The host keeps the ask; `suggested` or `failed` comes in the end. */
    void (*waits)(void *arg, int64_t study_id, const char *sentence);
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
    /* Its arguments as a relay (--connect HOST:PORT, ...), NULL-terminated; NULL = the
     * workers are here. */
    const char *const *relay_arguments;
    /* A connection to workers elsewhere is made anew after so long, or up to half as long
     * again; 0 = 20 minutes. */
    int64_t renew_us;
};

struct assay_suggest_host *assay_suggest_host_new(const struct assay_suggest_host_options *options);
/* Ends the workers and closes the handles; the loop must run once more after it. */
void assay_suggest_host_close(struct assay_suggest_host *host);
/* After the loop has run out. */
struct assay_suggest_host *assay_suggest_host_free(struct assay_suggest_host *host);

/* Makes the study known; `document` is its normalised file (kept by reference).  For a
 * study that is known: its file has changed, and its worker must hear of it. */
void assay_suggest_host_open(struct assay_suggest_host *host, int64_t study_id, json_t *document);
void assay_suggest_host_forget(struct assay_suggest_host *host, int64_t study_id);
/* A trial is new or has changed: {"number","state","parameters","values","budget","steps"}
 * as in the protocol (taken).  Told before the next ask; dropped when no worker
 * knows the study yet. */
void assay_suggest_host_tell(struct assay_suggest_host *host, int64_t study_id, json_t *trial);
/* Asks for one suggestion per number.  One ask per study at a time.  The answer comes
 * later, never within this call. */
void assay_suggest_host_ask(struct assay_suggest_host *host, int64_t study_id, const int64_t *numbers, size_t n);
/* The study's next ask, which has not come yet, will be for `n` numbers from
 * `first_number` on.  `likely`: for the history as it is now, so it is worth asking
 * ahead.  Else a study that no worker has open is opened, so that the ask need not
 * wait for that. */
void assay_suggest_host_prepare(struct assay_suggest_host *host, int64_t study_id,
                                int64_t first_number, size_t n, bool likely);
/* Closes studies in their workers that were not asked for ten minutes, and renews what is
 * due; call it now and then. */
void assay_suggest_host_sweep(struct assay_suggest_host *host);

/* Counters since the start. */
struct assay_suggest_host_stats {
    int64_t respawns; /* workers that died or were given up */
    int64_t unreached; /* times a place could not be reached */
    int64_t renewed;  /* connections made anew for no fault of theirs */
    int64_t ready;    /* asks whose answer was there, or under way, already */
    int64_t stale;    /* answers prepared that nobody took */
    int64_t moves;    /* studies that went to another worker */
    int64_t closed;   /* studies closed to make room or as nobody asked */
};
void assay_suggest_host_get_stats(const struct assay_suggest_host *host,
                                  struct assay_suggest_host_stats *ret_stats);

#endif

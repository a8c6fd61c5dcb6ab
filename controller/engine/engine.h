/* The engine: every running study of this daemon, decided on one thread.
 *
 * It holds a cache of each live study (specification, live trials, the stopping
 * rule's state), rebuilt from the store at the start and thrown away whenever a
 * write fails.  A call changes the cache, hands one change set to the writer and
 * answers after the commit: what a caller is told is durable.
 *
 * Threads: calls may come from any thread and never block; the answer comes on
 * the engine's or the writer's thread and must not block either. */
#ifndef ASSAY_CONTROLLER_ENGINE_ENGINE_H
#define ASSAY_CONTROLLER_ENGINE_ENGINE_H

#include "controller/engine/warm_start.h"
#include "controller/executor.h"
#include "controller/notifier.h"
#include "schemas/study.h"
#include "schemas/study_record.h"
#include "schemas/trial.h"
#include "sql/writer.h"

struct assay_engine;

struct assay_engine_options {
    const char *database_url;
    struct assay_writer *writer;     /* borrowed; outlives the engine */
    struct assay_notifier *notifier; /* borrowed; told after every commit */
    const char *data_dir;            /* absolute; folders of trials are made below it */
    const char *program_dir;         /* absolute; holds assay-suggest and assay-runner */
    const char *trial_token_key;     /* see controller/trial_token.h */
    int suggest_workers;             /* processes, >= 1 */
    int64_t suggest_memory_bytes;    /* address space of one worker */
    int64_t suggest_deadline_us;     /* one ask */
    const char *const *suggest_arguments; /* more for the workers, NULL-terminated; NULL = none */
    const char *const *suggest_relay_arguments; /* see controller/host/host.h */
    int pretend_gpus;                /* -1: those of the machine */
    int64_t trial_log_bytes;         /* kept of one attempt's output */
    struct assay_kubernetes_options kubernetes; /* borrowed until the engine ends */
};

/* Loads the live studies, adopts or ends what a former daemon left running,
 * starts the thread. */
ASSAY_MUST_CHECK assay_status assay_engine_start(const struct assay_engine_options *options,
                                                 struct assay_engine **ret_engine,
                                                 struct assay_error *err);
/* First half of an orderly end, while HTTP still answers the runners: no new
 * trial starts, the attempts are asked to end (their trials go back to the queue,
 * at no cost of retries), commits are awaited.  False when some were left after
 * the time; they are adopted at the next start. */
bool assay_engine_drain(struct assay_engine *engine, int64_t timeout_us);
/* Second half: ends the thread and frees.  No call may be under way. */
struct assay_engine *assay_engine_stop(struct assay_engine *engine);

/* What a call answers; everything is borrowed for the time of the callback. */
struct assay_engine_answer {
    const struct assay_trial *trials; /* ask, add: the trials; complete, stop: the one */
    size_t n_trials;
    enum assay_study_state study_state;
    enum assay_study_reason study_reason;
    int64_t retry_after_ms; /* ask without trials: when to come again; 0 = not said */
    bool stop;              /* report: the trial should end */
    enum assay_trial_reason stop_reason;
    const char *stop_message;
    bool later;             /* delete: it goes when its last process has */
    const struct assay_faults *faults; /* NULL = none; else what is wrong */
    const char *text, *text_version; /* read_text */
    const struct assay_study_record *study; /* create: as it is stored, for the key's answer only */
};
typedef void (*assay_engine_fn)(void *arg, assay_status status, const struct assay_error *err,
                                const struct assay_engine_answer *answer);

/* A key to remember the answer under.  `answer` builds the body to remember from
 * what the call is about to answer (called on the engine's thread before the
 * commit; new reference).  NULL pointer: no key. */
struct assay_engine_key {
    const char *key;
    const char *request_hash;
    int http_status;
    json_t *(*answer)(void *arg, const struct assay_engine_answer *answer);
    void *arg; /* borrowed until the call has answered */
};

/* Whether this machine could ever run the study's trials (GPUs, CPUs, memory);
 * faults below `pointer`.  Any thread. */
void assay_engine_check_resources(struct assay_engine *engine, const struct assay_study_spec *spec,
                                  const char *pointer, struct assay_faults *faults);

/* Why this service can not run such studies at all, a sentence; NULL: it can.  Caller frees.
 * Any thread. */
char *assay_engine_unable(struct assay_engine *engine, const struct assay_study_spec *spec);

/* Reads a text that a study file refers to, for somebody of the project.  Faults in the answer
 * with ASSAY_E_INVALID_STUDY and ASSAY_E_UNAVAILABLE.  Answers within seconds; nothing is
 * stored. */
void assay_engine_read_text(struct assay_engine *engine, const char *project,
                            const struct assay_import_source *source, assay_engine_fn done,
                            void *arg);

/* Takes `spec` and what it took over (may be NULL).  Answers with
 * ASSAY_E_STUDY_EXISTS, ASSAY_E_NOT_FOUND (project). */
void assay_engine_study_create(struct assay_engine *engine, struct assay_study_spec *spec,
                               struct assay_warm_start *warm_start, int64_t study_id,
                               const struct assay_engine_key *key, assay_engine_fn done,
                               void *arg);

enum assay_study_verb {
    ASSAY_STUDY_PAUSE, /* what runs goes on */
    ASSAY_STUDY_PAUSE_REQUEUE, /* what the service runs is ended and queued again */
    ASSAY_STUDY_RESUME,
    ASSAY_STUDY_CANCEL,
};
/* Idempotent; ASSAY_E_STUDY_FINISHED when it ended in another way. */
void assay_engine_study_verb(struct assay_engine *engine, int64_t study_id,
                             enum assay_study_verb verb, assay_engine_fn done, void *arg);
/* `patch` is the body of a PATCH (taken); faults in the answer. */
void assay_engine_study_patch(struct assay_engine *engine, int64_t study_id, json_t *patch,
                              assay_engine_fn done, void *arg);
/* ASSAY_E_CONFLICT while it is live or a process of its is there, unless `force`: then
 * it is cancelled, what runs is asked to end, and it is deleted when the last process has
 * (the answer's `later`).  A daemon that ends before that leaves the study, to be deleted
 * again. */
void assay_engine_study_delete(struct assay_engine *engine, int64_t study_id, bool force,
                               assay_engine_fn done, void *arg);

/* Hands out up to `count` trials (1..1000) to `client` (copied; may be NULL):
 * those it already holds first, then queued ones, then new suggestions. */
void assay_engine_ask(struct assay_engine *engine, int64_t study_id, int64_t count,
                      const char *client, const struct assay_engine_key *key, assay_engine_fn done,
                      void *arg);
/* `trials` is the array of the request (taken): points to queue or finished
 * trials to import.  All or nothing; faults in the answer below /trials. */
void assay_engine_add(struct assay_engine *engine, int64_t study_id, json_t *trials,
                      const struct assay_engine_key *key, assay_engine_fn done, void *arg);

/* `measurements` is the array of the request (taken).  `attempt` is the one the
 * caller's token is for, 0 for a token that is not a trial's: an attempt that is
 * not the trial's current one is ASSAY_E_CONFLICT.  Renews the lease. */
void assay_engine_report(struct assay_engine *engine, int64_t study_id, int64_t number,
                         int64_t attempt, json_t *measurements, assay_engine_fn done, void *arg);

struct assay_completion {
    enum assay_trial_state state;   /* succeeded, failed or infeasible */
    enum assay_trial_reason reason; /* NONE: reported_by_client for a failure */
    char *message;                  /* NULL = none */
    json_t *metrics;                /* final values as told, normalised; NULL = the last measured */
    json_t *measurements;           /* array of the request, stored with the result; NULL = none */
    int exit_code;                  /* -1 = none */
    int signal;                     /* 0 = none */
};
void assay_completion_done(struct assay_completion *completion);
/* Takes what `completion` owns.  Safe to repeat: the same result again answers as
 * the first time, another is ASSAY_E_TRIAL_FINISHED. */
void assay_engine_complete(struct assay_engine *engine, int64_t study_id, int64_t number,
                           int64_t attempt, struct assay_completion *completion,
                           assay_engine_fn done, void *arg);
void assay_engine_trial_stop(struct assay_engine *engine, int64_t study_id, int64_t number,
                             assay_engine_fn done, void *arg);

/* How long stopping rules took to judge a measurement: counts by upper bound, the last
 * bucket without one. */
#define ASSAY_DECISION_BUCKETS 16
extern const int64_t assay_decision_bounds_ns[ASSAY_DECISION_BUCKETS - 1];
struct assay_decision_times {
    int64_t buckets[ASSAY_DECISION_BUCKETS];
    int64_t count, total_ns, greatest_ns;
};

/* Gauges and counters for /metrics; any thread. */
struct assay_engine_stats {
    int64_t studies;                /* live ones held */
    int64_t trials_live;            /* queued, running, paused, stopping */
    int64_t attempts_started, attempts_lost;
    int64_t suggestions, suggest_respawns;
    int64_t suggest_unreached;
    int64_t suggest_ready, suggest_stale, suggest_moves; /* see controller/host/host.h */
    int64_t suggest_us_total, reports, stops_decided;
    int64_t turnover_count, turnover_us_total; /* slot free -> next process started */
    struct assay_decision_times decisions;
};
void assay_engine_get_stats(struct assay_engine *engine, struct assay_engine_stats *ret_stats);

#endif

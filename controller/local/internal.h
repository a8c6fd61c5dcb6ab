/* The inside of the local executor: attempts, and what they share.
 *
 * executor.c is what the engine calls and the tick; attempt.c one attempt's life; leftovers.c
 * the processes of runners that were lost.  All on the loop's thread. */
#ifndef ASSAY_CONTROLLER_LOCAL_INTERNAL_H
#define ASSAY_CONTROLLER_LOCAL_INTERNAL_H

#include <uthash.h>

#include "controller/executor.h"
#include "controller/local/gpus.h"
#include "controller/local/process.h"

struct assay__local_executor;

enum assay__local_stage {
    /* Waits for trial.lock: to start, or to learn what an adopted attempt does. */
    ASSAY__LOCAL_LOCK,
    ASSAY__LOCAL_RUN,   /* a runner lives, or has just died */
    ASSAY__LOCAL_CLEAN, /* the runner was lost: its command's processes are being killed */
    ASSAY__LOCAL_END,   /* all is known; `ended` is called at the next tick */
};

struct assay__local_attempt {
    struct assay_attempt_key key;
    struct assay__local_executor *executor;
    UT_hash_handle hh;
    enum assay__local_stage stage;
    bool adopted;  /* by a former daemon's word */
    bool started;  /* `started` was called */
    bool stopping; /* asked to end, with this grace time */
    int64_t grace_us;
    bool released;
    int deliveries;

    char *directory;
    json_t *job;  /* LOCK of a start: what goes to job.json; else NULL */
    json_t *gpus; /* names held; NULL = none */
    double cpus;
    int64_t memory_bytes;

    int lock_fd; /* -1 unless it is ours: LOCK to RUN, CLEAN */
    pid_t pid;   /* the runner's */
    int pidfd;   /* -1 = none */
    bool is_child;
    bool reap_again;
    int exit_code; /* of the runner; -1 = unknown or killed */
    int start_fd;  /* read end; -1 = none */
    uv_poll_t *exit_poll, *start_poll;
    int64_t wait_until_us;  /* LOCK: give up; 0 = never */
    int64_t kill_at_us;     /* RUN: SIGKILL to the runner; 0 = never */
    int64_t clean_since_us; /* CLEAN */
    int clean_passes;       /* in a row that found nothing */
    bool clean_logged;

    bool lost;
    enum assay_trial_state state;
    enum assay_trial_reason reason;
    int result_exit_code, result_signal;
    char *message;
};

struct assay__local_executor {
    struct assay_executor_events events;
    uv_loop_t *loop;
    uv_timer_t tick;
    uv_timer_cb on_tick;
    bool swept;
    bool closing;
    size_t open_handles; /* on the loop; freed when the last is closed */
    size_t removals;     /* folders being removed on libuv's threads */
    char *data_dir, *runner;
    char owner[ASSAY__LOCAL_OWNER_TEXT];
    char **environment;
    int64_t trial_log_bytes;
    struct assay__local_gpus *gpus;
    int cpus;
    int64_t memory_bytes;
    double cpus_used;
    int64_t memory_used;
    struct assay__local_attempt *attempts;
};

/* The next tick comes in the loop's next turn, then every few milliseconds until none is
 * needed. */
void assay__local_tick_soon(struct assay__local_executor *executor);
/* A handle on the loop is closed; the last one of an executor that closes frees it. */
void assay__local_handle_closed(struct assay__local_executor *executor);

/* --- an attempt (attempt.c) */

struct assay__local_attempt *assay__local_attempt_find(struct assay__local_executor *executor,
                                                       const struct assay_attempt_key *key);
struct assay__local_attempt *assay__local_attempt_new(struct assay__local_executor *executor,
                                                      const struct assay_attempt_key *key);
void assay__local_attempt_free(struct assay__local_attempt *attempt);
/* Whether its folder has the file. */
bool assay__local_attempt_has_file(const struct assay__local_attempt *attempt, const char *name);
/* Builds the job of one that is to be started, in stage LOCK; on failure it is at its end. */
void assay__local_attempt_prepare(struct assay__local_attempt *attempt,
                                  const struct assay_launch *launch);
/* Its runner is lost; goes on with the stage. */
void assay__local_attempt_lose(struct assay__local_attempt *attempt, enum assay__local_stage stage,
                               char *message_taken);
/* It has ended, failed. */
void assay__local_attempt_fail(struct assay__local_attempt *attempt, enum assay_trial_reason reason,
                               char *message_taken);
/* Stage RUN: asks the runner to end within the grace time. */
void assay__local_attempt_ask_to_end(struct assay__local_attempt *attempt);
/* Stage LOCK: takes the trial's lock, if it is free, and goes on. */
void assay__local_attempt_look_at_lock(struct assay__local_attempt *attempt);
/* Stage RUN: what the kernel does not announce.  May call `started`. */
void assay__local_attempt_look_at_runner(struct assay__local_attempt *attempt);
/* Whether it needs the next tick. */
bool assay__local_attempt_needs_ticks(const struct assay__local_attempt *attempt);

/* --- what lost runners left (leftovers.c) */

/* Once, in the loop's first turn: kills processes of this data directory whose trial has no
 * runner; they were left by a runner that died while no daemon was there to see it.  An attempt
 * that is adopted later is no obstacle: its runner, if it lives, holds the lock and keeps its
 * processes safe; if not, they had to go anyway. */
void assay__local_sweep(struct assay__local_executor *executor);
/* Kills the marked processes of every lost attempt; when none is left they have ended. */
void assay__local_clean(struct assay__local_executor *executor);

#endif

/* The local executor: attempts as processes of this machine, each under an
 * assay-runner in a session of its own.
 *
 * Runners outlive the daemon.  What ties the two together is on disk and in the
 * kernel: trial.lock, held by the runner for its whole life; result.json, written
 * before the result is told to anyone; the mark in every process's environment.
 * A restarted daemon therefore finds out the truth about an attempt by taking the
 * lock: it can not while the runner lives; when it can, the result is there or
 * the runner was lost.
 *
 * An attempt goes LOCK -> RUN -> (CLEAN ->) END, see enum stage.  Waits that the
 * kernel does not announce (a lock held by a runner that is not our child, the
 * death of leftovers) are looked at every TICK_MS by one timer that runs only
 * while there are any. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uthash.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/number.h"
#include "controller/executor.h"
#include "controller/job.h"
#include "controller/local/gpus.h"
#include "controller/local/machine.h"
#include "controller/local/process.h"

#define TICK_MS 10
/* A runner that was asked to end needs its grace time, then up to two seconds to
 * tell the result; after this much more it is stuck. */
#define RUNNER_MARGIN_US (15 * ASSAY_SECOND_US)
/* How long a start waits for the runner of the attempt before. */
#define LOCK_WAIT_US (60 * ASSAY_SECOND_US)
/* Runners started only to tell a result that their predecessor could not. */
#define DELIVERIES_MAX 2
/* Looks in a row that must find nothing: a process shows no environment for a
 * moment while it executes another program. */
#define CLEAN_PASSES 2
#define RESULT_BYTES_MAX (1 << 20)

enum stage {
    STAGE_LOCK,  /* waits for trial.lock: to start, or to learn what an adopted attempt does */
    STAGE_RUN,   /* a runner lives, or has just died */
    STAGE_CLEAN, /* the runner was lost: its command's processes are being killed */
    STAGE_END,   /* all is known; `ended` is called at the next tick */
};

struct attempt {
    struct assay_attempt_key key;
    struct assay__local_executor *executor;
    UT_hash_handle hh;
    enum stage stage;
    bool adopted;  /* by a former daemon's word */
    bool started;  /* `started` was called */
    bool stopping; /* asked to end, with this grace time */
    int64_t grace_us;
    bool released;
    int deliveries;

    char *directory;
    json_t *job;  /* STAGE_LOCK of a start: what goes to job.json; else NULL */
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
    struct attempt *attempts;
};

/* The public handle is the executor itself. */
static struct assay__local_executor *
local(struct assay_executor *executor)
{
    return (struct assay__local_executor *)(void *)executor;
}

static const struct assay__local_executor *
local_const(const struct assay_executor *executor)
{
    return (const struct assay__local_executor *)(const void *)executor;
}

static void on_tick(uv_timer_t *timer);

/* The next tick comes in the loop's next turn, then every TICK_MS until none is needed. */
static void
start_ticking(struct assay__local_executor *executor)
{
    if (!executor->closing)
        uv_timer_start(&executor->tick, on_tick, 0, TICK_MS);
}

/* --- what attempts hold ------------------------------------------------------------------ */

static void
give_back(struct attempt *attempt)
{
    struct assay__local_executor *executor = attempt->executor;

    if (attempt->released)
        return;
    attempt->released = true;
    assay__local_gpus_put(executor->gpus, attempt->gpus);
    executor->cpus_used -= attempt->cpus;
    executor->memory_used -= attempt->memory_bytes;
}

static void
reserve(struct attempt *attempt, const struct assay_trial_spec *trial)
{
    attempt->cpus = trial->cpus;
    attempt->memory_bytes = trial->memory_bytes;
    attempt->executor->cpus_used += attempt->cpus;
    attempt->executor->memory_used += attempt->memory_bytes;
}

static bool
local_fits(const struct assay_executor *handle, const struct assay_trial_spec *trial,
           const struct assay_promised *promised)
{
    const struct assay__local_executor *executor = local_const(handle);

    /* The sums are of a few decimal fractions: 0.1 + 0.2 fits into 0.3. */
    return promised->gpus + trial->gpus <= (int64_t)assay__local_gpus_idle(executor->gpus) &&
           (trial->cpus <= 0 ||
            executor->cpus_used + promised->cpus + trial->cpus <= executor->cpus + 1e-9) &&
           (trial->memory_bytes <= 0 || promised->memory_bytes + trial->memory_bytes <=
                                            executor->memory_bytes - executor->memory_used);
}

static void
local_check(const struct assay_executor *handle, const char *project ASSAY_UNUSED,
            const struct assay_trial_spec *trial, const char *pointer, struct assay_faults *faults)
{
    const struct assay__local_executor *executor = local_const(handle);
    size_t gpus = assay__local_gpus_total(executor->gpus);
    assay_auto_free char *at_gpus = assay_format("%s/resources/gpus", pointer);
    assay_auto_free char *at_cpus = assay_format("%s/resources/cpus", pointer);
    assay_auto_free char *at_memory = assay_format("%s/resources/memory", pointer);
    json_t *found;

    if (trial->gpus > (int64_t)gpus) {
        const char *trouble = assay__local_gpus_trouble(executor->gpus);
        assay_auto_free char *allowed = assay_format("at most %zu", gpus);

        found = json_integer(trial->gpus);
        assay_fault_add(faults, at_gpus, found, allowed,
                        "this machine has fewer GPUs than a trial asks for%s%s",
                        trouble[0] != '\0' ? ": " : "", trouble);
        json_decref(found);
    }
    if (trial->cpus > executor->cpus) {
        assay_auto_free char *allowed = assay_format("at most %d", executor->cpus);

        found = json_real(trial->cpus);
        assay_fault_add(faults, at_cpus, found, allowed,
                        "this machine has fewer CPUs than a trial asks for");
        json_decref(found);
    }
    if (trial->memory_bytes > executor->memory_bytes) {
        assay_auto_free char *allowed = assay_format("at most %" PRId64, executor->memory_bytes);

        found = json_integer(trial->memory_bytes);
        assay_fault_add(faults, at_memory, found, allowed,
                        "this machine has less memory than a trial asks for");
        json_decref(found);
    }
}

/* --- attempts ---------------------------------------------------------------------------- */

static struct attempt *
find_attempt(struct assay__local_executor *executor, const struct assay_attempt_key *key)
{
    struct attempt *attempt;

    HASH_FIND(hh, executor->attempts, key, sizeof *key, attempt);
    return attempt;
}

static struct attempt *
new_attempt(struct assay__local_executor *executor, const struct assay_attempt_key *key)
{
    struct attempt *attempt = ASSAY_NEW(struct attempt);

    ASSAY_ASSERT(find_attempt(executor, key) == NULL);
    attempt->key = *key;
    attempt->executor = executor;
    attempt->lock_fd = attempt->pidfd = attempt->start_fd = -1;
    attempt->exit_code = attempt->result_exit_code = -1;
    attempt->directory = assay_attempt_directory(executor->data_dir, key);
    HASH_ADD(hh, executor->attempts, key, sizeof attempt->key, attempt);
    return attempt;
}

static void
handle_closed(struct assay__local_executor *executor)
{
    executor->open_handles--;
    if (!executor->closing || executor->open_handles > 0 || executor->removals > 0)
        return;
    assay__local_gpus_free(executor->gpus);
    assay__local_environment_free(executor->environment);
    free(executor->data_dir);
    free(executor->runner);
    free(executor);
}

static void
on_poll_closed(uv_handle_t *handle)
{
    struct assay__local_executor *executor = handle->data;

    free(handle);
    handle_closed(executor);
}

/* The descriptor may be closed as soon as the poll has stopped. */
static void
close_poll(struct assay__local_executor *executor, uv_poll_t **poll)
{
    if (*poll == NULL)
        return;
    uv_poll_stop(*poll);
    (*poll)->data = executor;
    uv_close((uv_handle_t *)*poll, on_poll_closed);
    *poll = NULL;
}

static uv_poll_t *
open_poll(struct attempt *attempt, int fd, uv_poll_cb on_event)
{
    uv_poll_t *poll = ASSAY_NEW(uv_poll_t);
    int rc = uv_poll_init(attempt->executor->loop, poll, fd);

    ASSAY_ASSERT(rc == 0);
    attempt->executor->open_handles++;
    poll->data = attempt;
    uv_poll_start(poll, UV_READABLE, on_event);
    return poll;
}

static void
forget_runner(struct attempt *attempt)
{
    close_poll(attempt->executor, &attempt->exit_poll);
    close_poll(attempt->executor, &attempt->start_poll);
    assay_close(&attempt->pidfd);
    assay_close(&attempt->start_fd);
}

static void
free_attempt(struct attempt *attempt)
{
    HASH_DELETE(hh, attempt->executor->attempts, attempt);
    forget_runner(attempt);
    assay_close(&attempt->lock_fd);
    json_decref(attempt->job);
    json_decref(attempt->gpus);
    free(attempt->directory);
    free(attempt->message);
    free(attempt);
}

static void
end_lost(struct attempt *attempt, enum stage stage, char *message_taken)
{
    free(attempt->message);
    attempt->message = message_taken;
    attempt->lost = true;
    attempt->state = ASSAY_TRIAL_FAILED;
    attempt->reason = ASSAY_TRIAL_REASON_RUNNER_LOST;
    attempt->stage = stage;
    start_ticking(attempt->executor);
}

static void
end_failed(struct attempt *attempt, enum assay_trial_reason reason, char *message_taken)
{
    free(attempt->message);
    attempt->message = message_taken;
    attempt->lost = false;
    attempt->state = ASSAY_TRIAL_FAILED;
    attempt->reason = reason;
    attempt->stage = STAGE_END;
    start_ticking(attempt->executor);
}

/* Reads result.json into the attempt; false when there is none that can be read. */
static bool
read_result(struct attempt *attempt)
{
    assay_auto_free char *path = assay_format("%s/result.json", attempt->directory);
    assay_auto_free char *text = NULL;
    size_t length;
    json_t *result;
    const char *state, *reason, *message;
    json_int_t number;
    bool fine;

    if (assay_file_read(path, RESULT_BYTES_MAX, &text, &length, NULL) < 0)
        return false;
    result = json_loadb(text, length, 0, NULL);
    state = json_string_value(json_object_get(result, "state"));
    fine = state != NULL && assay_trial_state_parse(state, &attempt->state);
    if (fine) {
        reason = json_string_value(json_object_get(result, "reason"));
        if (reason == NULL || !assay_trial_reason_parse(reason, &attempt->reason))
            attempt->reason = ASSAY_TRIAL_REASON_NONE;
        message = json_string_value(json_object_get(result, "message"));
        free(attempt->message);
        attempt->message = assay_strdup(message);
        number = json_integer_value(json_object_get(result, "exit_code"));
        attempt->result_exit_code =
            json_is_integer(json_object_get(result, "exit_code")) ? (int)number : -1;
        attempt->result_signal = (int)json_integer_value(json_object_get(result, "signal"));
    }
    json_decref(result);
    return fine;
}

static bool
has_file(const struct attempt *attempt, const char *name)
{
    assay_auto_free char *path = assay_format("%s/%s", attempt->directory, name);

    return access(path, F_OK) == 0;
}

static void
tell_started(struct attempt *attempt)
{
    struct assay__local_executor *executor = attempt->executor;

    if (!attempt->started) {
        attempt->started = true;
        executor->events.started(executor->events.arg, &attempt->key, attempt->pid, attempt->gpus);
    }
}

/* --- a runner's life --------------------------------------------------------------------- */

/* The runner is gone.  With a result that was delivered, or that nobody waits for
 * any more, the attempt has ended; a result that was not delivered gets another
 * runner to deliver it, with the measurements that were still on their way;
 * without a result the attempt is lost. */
static void
runner_gone(struct attempt *attempt)
{
    forget_runner(attempt);
    if (read_result(attempt)) {
        if (attempt->stopping || attempt->deliveries >= DELIVERIES_MAX ||
            has_file(attempt, "delivered")) {
            attempt->stage = STAGE_END;
        } else {
            attempt->deliveries++;
            attempt->stage = STAGE_LOCK;
            attempt->wait_until_us = assay_monotonic_us() + LOCK_WAIT_US;
        }
        start_ticking(attempt->executor);
        return;
    }
    end_lost(attempt, STAGE_CLEAN,
             attempt->exit_code >= 0
                 ? assay_format("the runner ended with exit code %d and left no result",
                                attempt->exit_code)
                 : assay_strdup("the runner disappeared and left no result"));
}

static void
read_start_line(struct attempt *attempt)
{
    char line[64];
    ssize_t n;

    if (attempt->start_fd < 0)
        return;
    n = read(attempt->start_fd, line, sizeof line);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close_poll(attempt->executor, &attempt->start_poll);
    assay_close(&attempt->start_fd);
    if (n > 0)
        tell_started(attempt);
}

static void
on_start_line(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    read_start_line(poll->data);
}

/* Reaps the runner.  A process that is traced (by a debugger, or by the leak
 * checker of its own sanitizer) shows its end before it can be waited for: then
 * again at the next tick. */
static void
reap_runner(struct attempt *attempt)
{
    siginfo_t info = {0};

    attempt->reap_again = false;
    if (attempt->is_child) {
        if (waitid(P_PIDFD, (id_t)attempt->pidfd, &info, WEXITED | WNOHANG) == 0 &&
            info.si_pid == 0) {
            uv_poll_stop(attempt->exit_poll);
            attempt->reap_again = true;
            start_ticking(attempt->executor);
            return;
        }
        attempt->exit_code = info.si_code == CLD_EXITED ? info.si_status : -1;
    }
    runner_gone(attempt);
}

static void
on_runner_exit(uv_poll_t *poll, int status, int events)
{
    struct attempt *attempt = poll->data;

    (void)status;
    (void)events;
    /* The line may have come in the same turn of the loop as the end. */
    read_start_line(attempt);
    reap_runner(attempt);
}

static void
ask_runner_to_end(struct attempt *attempt)
{
    int64_t kill_at_us = assay_monotonic_us() + ASSAY_MAX(attempt->grace_us, 0) + RUNNER_MARGIN_US;

    assay__local_ask_to_end(attempt->pidfd, attempt->grace_us);
    if (attempt->kill_at_us == 0 || kill_at_us < attempt->kill_at_us)
        attempt->kill_at_us = kill_at_us;
}

static void
watch_runner(struct attempt *attempt, pid_t pid, int pidfd, bool is_child)
{
    attempt->stage = STAGE_RUN;
    attempt->pid = pid;
    attempt->pidfd = pidfd;
    attempt->is_child = is_child;
    attempt->exit_code = -1;
    attempt->exit_poll = open_poll(attempt, pidfd, on_runner_exit);
}

static assay_status
write_job(const struct attempt *attempt, struct assay_error *err)
{
    assay_auto_free char *job_path = assay_format("%s/job.json", attempt->directory);
    assay_auto_free char *job = json_dumps(attempt->job, JSON_COMPACT | JSON_REAL_PRECISION(17));

    if (job == NULL)
        return assay_fail(err, ASSAY_E_INTERNAL, "the job can not be written as JSON");
    return assay__local_write(job_path, job, strlen(job), err);
}

/* Starts a runner that inherits the lock: for the command, or for a result that
 * is there already. */
static assay_status
spawn_runner(struct attempt *attempt, struct assay_error *err)
{
    struct assay__local_executor *executor = attempt->executor;
    assay_auto_free char *job_path = assay_format("%s/job.json", attempt->directory);
    assay_auto_free char *log_path = assay_format("%s/runner.log", attempt->directory);
    assay_auto_close int write_end = -1;
    struct assay__local_spawn spawn = {.runner = executor->runner,
                                       .job_path = job_path,
                                       .log_path = log_path,
                                       .lock_fd = attempt->lock_fd,
                                       .environment = executor->environment};
    int ends[2], pidfd;
    assay_status rc;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return assay_fail_errno(err, errno, "making a pipe");
    write_end = ends[1];
    spawn.start_fd = write_end;
    rc = assay__local_spawn(&spawn, &pid, &pidfd, err);
    assay_close(&attempt->lock_fd);
    if (rc < 0) {
        close(ends[0]);
        return rc;
    }
    attempt->start_fd = ends[0];
    attempt->start_poll = open_poll(attempt, ends[0], on_start_line);
    watch_runner(attempt, pid, pidfd, true);
    return ASSAY_OK;
}

/* With the lock in hand: writes the job (of a start) and starts the runner. */
static void
run_attempt(struct attempt *attempt)
{
    struct assay_error err = {0};
    assay_status rc = ASSAY_OK;

    if (attempt->job != NULL)
        rc = write_job(attempt, &err);
    json_decref(attempt->job);
    attempt->job = NULL;
    if (rc == ASSAY_OK)
        rc = spawn_runner(attempt, &err);
    if (rc == ASSAY_OK)
        return;
    assay_close(&attempt->lock_fd);
    if (attempt->deliveries > 0)
        attempt->stage = STAGE_END; /* the result is known all the same */
    else
        end_lost(attempt, STAGE_END, assay_strdup(err.message));
    start_ticking(attempt->executor);
}

/* --- stages that are looked at every tick ------------------------------------------------- */

/* An adopted attempt whose trial's lock is held: watch the holder.  It may be the
 * runner of the attempt before, on its way out; then the lock is looked at again
 * when that one has gone. */
static void
watch_holder(struct attempt *attempt)
{
    pid_t pid;
    int pidfd = assay__local_lock_holder(attempt->executor->data_dir, attempt->key.study_id,
                                         attempt->key.trial_number, &pid);

    if (pidfd < 0)
        return; /* it has not written its pid yet, or is just ending */
    watch_runner(attempt, pid, pidfd, false);
    if (attempt->stopping)
        ask_runner_to_end(attempt);
}

static void
look_at_lock(struct attempt *attempt)
{
    struct assay_error err = {0};
    assay_status rc = assay__local_lock(attempt->executor->data_dir, attempt->key.study_id,
                                        attempt->key.trial_number, &attempt->lock_fd, &err);

    if (rc < 0) {
        /* An adopted attempt whose folder was removed: nothing of it can be running
         * but what carries its mark. */
        end_lost(attempt, STAGE_CLEAN, assay_strdup(err.message));
    } else if (attempt->lock_fd < 0) {
        if (attempt->adopted && attempt->deliveries == 0 && attempt->job == NULL)
            watch_holder(attempt);
        else if (assay_monotonic_us() >= attempt->wait_until_us)
            end_lost(attempt, STAGE_END,
                     assay_strdup("the runner of the trial's attempt before does not end"));
    } else if (attempt->job != NULL || attempt->deliveries > 0) {
        run_attempt(attempt);
    } else {
        attempt->is_child = false;
        attempt->exit_code = -1;
        assay_close(&attempt->lock_fd);
        runner_gone(attempt);
    }
}

static bool
is_being_cleaned(void *arg, const struct assay_attempt_key *key)
{
    struct attempt *attempt = find_attempt(arg, key);

    return attempt != NULL && attempt->stage == STAGE_CLEAN;
}

/* Kills the marked processes of every lost attempt; when none is left they have
 * ended. */
static void
clean(struct assay__local_executor *executor)
{
    struct attempt *attempt, *next;
    bool any = false;

    for (attempt = executor->attempts; attempt != NULL; attempt = attempt->hh.next)
        any |= attempt->stage == STAGE_CLEAN;
    if (!any)
        return;
    any = assay__local_kill_marked(executor->owner, is_being_cleaned, executor) > 0;
    HASH_ITER(hh, executor->attempts, attempt, next)
    {
        if (attempt->stage != STAGE_CLEAN)
            continue;
        if (attempt->clean_since_us == 0)
            attempt->clean_since_us = assay_monotonic_us();
        attempt->clean_passes = any ? 0 : attempt->clean_passes + 1;
        if (attempt->clean_passes == CLEAN_PASSES) {
            attempt->stage = STAGE_END;
        } else if (!attempt->clean_logged &&
                   assay_monotonic_us() - attempt->clean_since_us > 10 * ASSAY_SECOND_US) {
            attempt->clean_logged = true;
            assay_log(ASSAY_LOG_WARNING,
                      "study_id=%" PRId64 " trial=%" PRId64 " attempt=%" PRId64
                      ": processes of a lost attempt do not die",
                      attempt->key.study_id, attempt->key.trial_number, attempt->key.attempt);
        }
    }
}

static bool
has_no_runner(void *arg, const struct assay_attempt_key *key)
{
    struct assay__local_executor *executor = arg;
    assay_auto_free char *trial =
        assay_trial_directory(executor->data_dir, key->study_id, key->trial_number);
    assay_auto_free char *path = assay_format("%s/trial.lock", trial);
    assay_auto_close int fd = -1;

    if (find_attempt(executor, key) != NULL)
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0;
}

/* Once, in the loop's first turn: processes of this data directory whose trial
 * has no runner were left by a runner that died while no daemon was there to see
 * it.  An attempt that is adopted later is no obstacle: its runner, if it lives,
 * holds the lock and keeps its processes safe; if not, they had to go anyway. */
static void
sweep(struct assay__local_executor *executor)
{
    size_t killed;

    if (executor->swept)
        return;
    executor->swept = true;
    killed = assay__local_kill_marked(executor->owner, has_no_runner, executor);
    if (killed > 0)
        assay_log(ASSAY_LOG_WARNING, "killed %zu processes left by runners that were lost", killed);
}

static void
tell_ended(struct attempt *attempt)
{
    struct assay__local_executor *executor = attempt->executor;
    struct assay_attempt_key key = attempt->key;
    /* Kept for the callback, which may start the trial's next attempt. */
    char *message = attempt->message;
    struct assay_attempt_end end = {.lost = attempt->lost,
                                    .state = attempt->state,
                                    .reason = attempt->reason,
                                    .exit_code = attempt->result_exit_code,
                                    .signal = attempt->result_signal,
                                    .message = message};

    attempt->message = NULL;
    give_back(attempt);
    free_attempt(attempt);
    executor->events.ended(executor->events.arg, &key, &end);
    free(message);
}

/* One attempt at a time: the callbacks may add and change others. */
static void
tell_all_ended(struct assay__local_executor *executor)
{
    for (bool again = true; again;) {
        again = false;
        for (struct attempt *a = executor->attempts; a != NULL; a = a->hh.next) {
            if (a->stage == STAGE_END) {
                tell_ended(a);
                again = true;
                break;
            }
        }
    }
}

/* Whether the attempt needs the next tick. */
static bool
needs_ticks(const struct attempt *attempt)
{
    return attempt->stage != STAGE_RUN || attempt->kill_at_us != 0 || attempt->reap_again ||
           (attempt->adopted && !attempt->started && attempt->deliveries == 0);
}

static void
look_at_runner(struct attempt *attempt)
{
    if (attempt->adopted && !attempt->started && attempt->deliveries == 0 &&
        has_file(attempt, "state.json"))
        tell_started(attempt);
    if (attempt->kill_at_us != 0 && assay_monotonic_us() >= attempt->kill_at_us) {
        attempt->kill_at_us = 0;
        assay__local_kill(attempt->pidfd);
    }
    if (attempt->reap_again)
        reap_runner(attempt);
}

static void
on_tick(uv_timer_t *timer)
{
    struct assay__local_executor *executor = timer->data;
    struct attempt *attempt, *next;
    bool again = false;

    sweep(executor);
    HASH_ITER(hh, executor->attempts, attempt, next)
    {
        if (attempt->stage == STAGE_LOCK)
            look_at_lock(attempt);
    }
    /* `started` may call back into us: look each one up again. */
    for (attempt = executor->attempts; attempt != NULL; attempt = attempt->hh.next) {
        if (attempt->stage == STAGE_RUN)
            look_at_runner(attempt);
    }
    clean(executor);
    tell_all_ended(executor);
    for (attempt = executor->attempts; attempt != NULL; attempt = attempt->hh.next)
        again |= needs_ticks(attempt);
    if (!again)
        uv_timer_stop(&executor->tick);
}

/* --- the executor's functions ------------------------------------------------------------- */

static assay_status
local_open(const struct assay_executor_options *options, struct assay_executor **ret_executor,
           struct assay_error *err)
{
    struct assay__local_executor *executor;
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");

    if (access(options->runner, X_OK) != 0)
        return assay_fail_errno(err, errno, "%s can not be run", options->runner);
    executor = ASSAY_NEW(struct assay__local_executor);
    executor->events = options->events;
    executor->loop = options->loop;
    executor->data_dir = assay_strdup(options->data_dir);
    executor->runner = assay_strdup(options->runner);
    executor->trial_log_bytes = options->trial_log_bytes;
    executor->environment = assay__local_environment();
    executor->cpus = assay__local_machine_cpus();
    executor->memory_bytes = assay__local_machine_memory_bytes();
    executor->gpus = assay__local_gpus_new(options->pretend_gpus, visible);
    assay__local_owner(options->data_dir, executor->owner);
    uv_timer_init(options->loop, &executor->tick);
    executor->tick.data = executor;
    executor->open_handles = 1;
    start_ticking(executor); /* for the sweep */
    *ret_executor = (struct assay_executor *)(void *)executor;
    return ASSAY_OK;
}

/* Builds the job of an attempt that is to be started; on failure the attempt is
 * at its end. */
static void
prepare(struct attempt *attempt, const struct assay_launch *launch)
{
    struct assay__local_executor *executor = attempt->executor;
    assay_auto_free char *marker = assay__local_marker(executor->owner, &attempt->key);
    struct assay_job_options options = {.data_dir = executor->data_dir,
                                               .marker = marker,
                                               .gpus = attempt->gpus,
                                               .log_bytes = executor->trial_log_bytes};
    struct assay_error err = {0};
    assay_status rc;

    attempt->stage = STAGE_LOCK;
    attempt->wait_until_us = assay_monotonic_us() + LOCK_WAIT_US;
    rc = assay__local_make_folders(executor->data_dir, &attempt->key, &err);
    if (rc < 0) {
        end_lost(attempt, STAGE_END, assay_strdup(err.message));
        return;
    }
    rc = assay_job_build(launch, &options, &attempt->job, &err);
    if (rc < 0)
        end_failed(attempt, ASSAY_TRIAL_REASON_START_FAILED, assay_strdup(err.message));
}

static void
local_start(struct assay_executor *handle, const struct assay_launch *launch)
{
    struct assay__local_executor *executor = local(handle);
    const struct assay_trial_spec *trial = launch->spec->trial;
    struct attempt *attempt = new_attempt(executor, &launch->key);

    reserve(attempt, trial);
    if (trial->gpus > (int64_t)assay__local_gpus_idle(executor->gpus)) {
        end_lost(attempt, STAGE_END, assay_strdup("there were not enough free GPUs"));
        return;
    }
    /* On a machine with GPUs a trial that asks for none sees none: it would take
     * memory and time from the trials that were given them.  Without any the
     * variable is left alone. */
    if (assay__local_gpus_total(executor->gpus) > 0)
        attempt->gpus = assay__local_gpus_take(executor->gpus, (size_t)trial->gpus);
    prepare(attempt, launch);
    if (attempt->stage == STAGE_LOCK)
        look_at_lock(attempt);
    if (attempt->stage != STAGE_RUN)
        start_ticking(executor);
}

static void
local_adopt(struct assay_executor *handle, const struct assay_launch *launch, const json_t *gpus)
{
    struct assay__local_executor *executor = local(handle);
    struct attempt *attempt = new_attempt(executor, &launch->key);

    attempt->adopted = true;
    reserve(attempt, launch->spec->trial);
    if (assay__local_gpus_total(executor->gpus) > 0)
        attempt->gpus = assay__local_gpus_take_named(executor->gpus, gpus);
    attempt->stage = STAGE_LOCK;
    /* Without a job.json the former daemon decided the attempt and died before it
     * started anything: start it now, if its GPUs are there. */
    if (!has_file(attempt, "job.json")) {
        if ((int64_t)json_array_size(attempt->gpus) == launch->spec->trial->gpus) {
            prepare(attempt, launch);
        } else {
            end_lost(attempt, STAGE_END,
                     assay_strdup("the daemon ended before the attempt was started"));
        }
    }
    start_ticking(executor);
}

static void
local_stop(struct assay_executor *handle, const struct assay_attempt_key *key, int64_t grace_us)
{
    struct assay__local_executor *executor = local(handle);
    struct attempt *attempt = find_attempt(executor, key);

    if (attempt == NULL)
        return;
    attempt->stopping = true;
    attempt->grace_us = grace_us;
    if (attempt->stage == STAGE_RUN) {
        ask_runner_to_end(attempt);
    } else if (attempt->stage == STAGE_LOCK && attempt->job != NULL) {
        end_failed(attempt, ASSAY_TRIAL_REASON_SIGNAL,
                   assay_strdup("asked to end before it was started"));
    } else if (attempt->stage == STAGE_LOCK && attempt->deliveries > 0) {
        attempt->stage = STAGE_END;
    }
    start_ticking(executor);
}

static void
local_release(struct assay_executor *handle, const struct assay_attempt_key *key)
{
    struct attempt *attempt = find_attempt(local(handle), key);

    if (attempt != NULL)
        give_back(attempt);
}

struct removal {
    uv_work_t work;
    struct assay__local_executor *executor;
    char *path;
};

static void
remove_folder(uv_work_t *work)
{
    struct removal *removal = work->data;
    struct assay_error err = {0};

    if (assay_remove_tree(removal->path, &err) < 0)
        assay_log(ASSAY_LOG_WARNING, "a deleted study's folder stays: %s", err.message);
}

static void
on_removed(uv_work_t *work, int status)
{
    struct removal *removal = work->data;
    struct assay__local_executor *executor = removal->executor;

    (void)status;
    free(removal->path);
    free(removal);
    executor->removals--;
    executor->open_handles++; /* handle_closed takes it back */
    handle_closed(executor);
}

static void
local_forget(struct assay_executor *handle, int64_t study_id)
{
    struct assay__local_executor *executor = local(handle);
    struct removal *removal = ASSAY_NEW(struct removal);

    removal->executor = executor;
    removal->work.data = removal;
    removal->path = assay_format("%s/trials/%" PRId64, executor->data_dir, study_id);
    executor->removals++;
    uv_queue_work(executor->loop, &removal->work, remove_folder, on_removed);
}

static void
on_tick_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void
local_close(struct assay_executor *handle)
{
    struct assay__local_executor *executor = local(handle);
    struct attempt *attempt, *next;

    executor->closing = true;
    HASH_ITER(hh, executor->attempts, attempt, next)
    {
        free_attempt(attempt);
    }
    uv_timer_stop(&executor->tick);
    uv_close((uv_handle_t *)&executor->tick, on_tick_closed);
}

const struct assay_executor_type assay_executor_local = {
    .name = "local",
    .open = local_open,
    .check = local_check,
    .fits = local_fits,
    .start = local_start,
    .adopt = local_adopt,
    .stop = local_stop,
    .release = local_release,
    .forget = local_forget,
    .close = local_close,
};

/* One attempt's life: LOCK -> RUN -> (CLEAN ->) END. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"
#include "controller/job.h"
#include "controller/local/internal.h"

#define TICK_MS 10
/* A runner that was asked to end needs its grace time, then up to two seconds to
 * tell the result; after this much more it is stuck. */
#define RUNNER_MARGIN_US (15 * ASSAY_SECOND_US)
/* How long a start waits for the runner of the attempt before. */
#define LOCK_WAIT_US (60 * ASSAY_SECOND_US)
/* Runners started only to tell a result that their predecessor could not. */
#define DELIVERIES_MAX 2
#define RESULT_BYTES_MAX (1 << 20)

void
assay__local_tick_soon(struct assay__local_executor *executor)
{
    if (!executor->closing)
        uv_timer_start(&executor->tick, executor->on_tick, 0, TICK_MS);
}

struct assay__local_attempt *
assay__local_attempt_find(struct assay__local_executor *executor,
                          const struct assay_attempt_key *key)
{
    struct assay__local_attempt *attempt;

    HASH_FIND(hh, executor->attempts, key, sizeof *key, attempt);
    return attempt;
}

struct assay__local_attempt *
assay__local_attempt_new(struct assay__local_executor *executor,
                         const struct assay_attempt_key *key)
{
    struct assay__local_attempt *attempt = ASSAY_NEW(struct assay__local_attempt);

    ASSAY_ASSERT(assay__local_attempt_find(executor, key) == NULL);
    attempt->key = *key;
    attempt->executor = executor;
    attempt->lock_fd = attempt->pidfd = attempt->start_fd = -1;
    attempt->exit_code = attempt->result_exit_code = -1;
    attempt->directory = assay_attempt_directory(executor->data_dir, key);
    HASH_ADD(hh, executor->attempts, key, sizeof attempt->key, attempt);
    return attempt;
}

void
assay__local_handle_closed(struct assay__local_executor *executor)
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
    assay__local_handle_closed(executor);
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
open_poll(struct assay__local_attempt *attempt, int fd, uv_poll_cb on_event)
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
forget_runner(struct assay__local_attempt *attempt)
{
    close_poll(attempt->executor, &attempt->exit_poll);
    close_poll(attempt->executor, &attempt->start_poll);
    assay_close(&attempt->pidfd);
    assay_close(&attempt->start_fd);
}

void
assay__local_attempt_free(struct assay__local_attempt *attempt)
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

void
assay__local_attempt_lose(struct assay__local_attempt *attempt, enum assay__local_stage stage,
                          char *message_taken)
{
    free(attempt->message);
    attempt->message = message_taken;
    attempt->lost = true;
    attempt->state = ASSAY_TRIAL_FAILED;
    attempt->reason = ASSAY_TRIAL_REASON_RUNNER_LOST;
    attempt->stage = stage;
    assay__local_tick_soon(attempt->executor);
}

void
assay__local_attempt_fail(struct assay__local_attempt *attempt, enum assay_trial_reason reason,
                          char *message_taken)
{
    free(attempt->message);
    attempt->message = message_taken;
    attempt->lost = false;
    attempt->state = ASSAY_TRIAL_FAILED;
    attempt->reason = reason;
    attempt->stage = ASSAY__LOCAL_END;
    assay__local_tick_soon(attempt->executor);
}

/* Reads result.json into the attempt; false when there is none that can be read. */
static bool
read_result(struct assay__local_attempt *attempt)
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

bool
assay__local_attempt_has_file(const struct assay__local_attempt *attempt, const char *name)
{
    assay_auto_free char *path = assay_format("%s/%s", attempt->directory, name);

    return access(path, F_OK) == 0;
}

static void
tell_started(struct assay__local_attempt *attempt)
{
    struct assay__local_executor *executor = attempt->executor;

    if (!attempt->started) {
        attempt->started = true;
        executor->events.started(executor->events.arg, &attempt->key, attempt->pid, attempt->gpus);
    }
}

void
assay__local_attempt_prepare(struct assay__local_attempt *attempt,
                             const struct assay_launch *launch)
{
    struct assay__local_executor *executor = attempt->executor;
    assay_auto_free char *marker = assay__local_marker(executor->owner, &attempt->key);
    struct assay_job_options options = {.data_dir = executor->data_dir,
                                        .marker = marker,
                                        .gpus = attempt->gpus,
                                        .log_bytes = executor->trial_log_bytes};
    struct assay_error err = {0};
    assay_status rc;

    attempt->stage = ASSAY__LOCAL_LOCK;
    attempt->wait_until_us = assay_monotonic_us() + LOCK_WAIT_US;
    rc = assay__local_make_folders(executor->data_dir, &attempt->key, &err);
    if (rc < 0) {
        assay__local_attempt_lose(attempt, ASSAY__LOCAL_END, assay_strdup(err.message));
        return;
    }
    rc = assay_job_build(launch, &options, &attempt->job, &err);
    if (rc < 0)
        assay__local_attempt_fail(attempt, ASSAY_TRIAL_REASON_START_FAILED,
                                  assay_strdup(err.message));
}

/* --- a runner's life --------------------------------------------------------------------- */

/* The runner is gone.  With a result that was delivered, or that nobody waits for
 * any more, the attempt has ended; a result that was not delivered gets another
 * runner to deliver it, with the measurements that were still on their way;
 * without a result the attempt is lost. */
static void
runner_gone(struct assay__local_attempt *attempt)
{
    forget_runner(attempt);
    if (read_result(attempt)) {
        if (attempt->stopping || attempt->deliveries >= DELIVERIES_MAX ||
            assay__local_attempt_has_file(attempt, "delivered")) {
            attempt->stage = ASSAY__LOCAL_END;
        } else {
            attempt->deliveries++;
            attempt->stage = ASSAY__LOCAL_LOCK;
            attempt->wait_until_us = assay_monotonic_us() + LOCK_WAIT_US;
        }
        assay__local_tick_soon(attempt->executor);
        return;
    }
    assay__local_attempt_lose(
        attempt, ASSAY__LOCAL_CLEAN,
        attempt->exit_code >= 0
            ? assay_format("the runner ended with exit code %d and left no result",
                           attempt->exit_code)
            : assay_strdup("the runner disappeared and left no result"));
}

static void
read_start_line(struct assay__local_attempt *attempt)
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
reap_runner(struct assay__local_attempt *attempt)
{
    siginfo_t info = {0};

    attempt->reap_again = false;
    if (attempt->is_child) {
        if (waitid(P_PIDFD, (id_t)attempt->pidfd, &info, WEXITED | WNOHANG) == 0 &&
            info.si_pid == 0) {
            uv_poll_stop(attempt->exit_poll);
            attempt->reap_again = true;
            assay__local_tick_soon(attempt->executor);
            return;
        }
        attempt->exit_code = info.si_code == CLD_EXITED ? info.si_status : -1;
    }
    runner_gone(attempt);
}

static void
on_runner_exit(uv_poll_t *poll, int status, int events)
{
    struct assay__local_attempt *attempt = poll->data;

    (void)status;
    (void)events;
    /* The line may have come in the same turn of the loop as the end. */
    read_start_line(attempt);
    reap_runner(attempt);
}

void
assay__local_attempt_ask_to_end(struct assay__local_attempt *attempt)
{
    int64_t kill_at_us = assay_monotonic_us() + ASSAY_MAX(attempt->grace_us, 0) + RUNNER_MARGIN_US;

    assay__local_ask_to_end(attempt->pidfd, attempt->grace_us);
    if (attempt->kill_at_us == 0 || kill_at_us < attempt->kill_at_us)
        attempt->kill_at_us = kill_at_us;
}

static void
watch_runner(struct assay__local_attempt *attempt, pid_t pid, int pidfd, bool is_child)
{
    attempt->stage = ASSAY__LOCAL_RUN;
    attempt->pid = pid;
    attempt->pidfd = pidfd;
    attempt->is_child = is_child;
    attempt->exit_code = -1;
    attempt->exit_poll = open_poll(attempt, pidfd, on_runner_exit);
}

static assay_status
write_job(const struct assay__local_attempt *attempt, struct assay_error *err)
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
spawn_runner(struct assay__local_attempt *attempt, struct assay_error *err)
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
run_attempt(struct assay__local_attempt *attempt)
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
        attempt->stage = ASSAY__LOCAL_END; /* the result is known all the same */
    else
        assay__local_attempt_lose(attempt, ASSAY__LOCAL_END, assay_strdup(err.message));
    assay__local_tick_soon(attempt->executor);
}

/* An adopted attempt whose trial's lock is held: watch the holder.  It may be the
 * runner of the attempt before, on its way out; then the lock is looked at again
 * when that one has gone. */
static void
watch_holder(struct assay__local_attempt *attempt)
{
    pid_t pid;
    int pidfd = assay__local_lock_holder(attempt->executor->data_dir, attempt->key.study_id,
                                         attempt->key.trial_number, &pid);

    if (pidfd < 0)
        return; /* it has not written its pid yet, or is just ending */
    watch_runner(attempt, pid, pidfd, false);
    if (attempt->stopping)
        assay__local_attempt_ask_to_end(attempt);
}

void
assay__local_attempt_look_at_lock(struct assay__local_attempt *attempt)
{
    struct assay_error err = {0};
    assay_status rc = assay__local_lock(attempt->executor->data_dir, attempt->key.study_id,
                                        attempt->key.trial_number, &attempt->lock_fd, &err);

    if (rc < 0) {
        /* An adopted attempt whose folder was removed: nothing of it can be running
         * but what carries its mark. */
        assay__local_attempt_lose(attempt, ASSAY__LOCAL_CLEAN, assay_strdup(err.message));
    } else if (attempt->lock_fd < 0) {
        if (attempt->adopted && attempt->deliveries == 0 && attempt->job == NULL)
            watch_holder(attempt);
        else if (assay_monotonic_us() >= attempt->wait_until_us)
            assay__local_attempt_lose(
                attempt, ASSAY__LOCAL_END,
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

bool
assay__local_attempt_needs_ticks(const struct assay__local_attempt *attempt)
{
    return attempt->stage != ASSAY__LOCAL_RUN || attempt->kill_at_us != 0 || attempt->reap_again ||
           (attempt->adopted && !attempt->started && attempt->deliveries == 0);
}

void
assay__local_attempt_look_at_runner(struct assay__local_attempt *attempt)
{
    if (attempt->adopted && !attempt->started && attempt->deliveries == 0 &&
        assay__local_attempt_has_file(attempt, "state.json"))
        tell_started(attempt);
    if (attempt->kill_at_us != 0 && assay_monotonic_us() >= attempt->kill_at_us) {
        attempt->kill_at_us = 0;
        assay__local_kill(attempt->pidfd);
    }
    if (attempt->reap_again)
        reap_runner(attempt);
}

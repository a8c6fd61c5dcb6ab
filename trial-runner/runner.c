#include "trial-runner/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/json.h"
#include "common/memory.h"
#include "trial-runner/command.h"
#include "trial-runner/environment.h"
#include "trial-runner/line_feed.h"
#include "trial-runner/metric_intake.h"
#include "trial-runner/metric_source.h"
#include "common/output_log.h"
#include "trial-runner/preparation.h"
#include "trial-runner/process_tree.h"
#include "trial-runner/reporter.h"
#include "trial-runner/result.h"

#define READ_BYTES 65536
/* Reads of one stream before the other things are looked at. */
#define READS_PER_TURN 16
#define MEMORY_CHECK_US ASSAY_SECOND_US
#define TREE_END_US (10 * ASSAY_SECOND_US)
#define EXIT_NOT_STARTED 127 /* in a pod, as shells say it */
/* How long the result is offered to a daemon after we were asked to end: the
 * executor reads result.json when we are gone. */
#define DELIVER_WHEN_ASKED_US (2 * ASSAY_SECOND_US)
/* How often it is looked whether the attempt's folder is still there. */
#define FOLDER_CHECK_US (5 * ASSAY_SECOND_US)

enum phase { PHASE_PREPARATION, PHASE_COMMAND, PHASE_ENDED };

struct runner {
    const struct assay_job *job;
    enum phase phase;
    char *directory; /* of the command */
    char **environment;
    struct assay_output_log *log;
    struct assay_metric_intake *intake; /* NULL: the command was never started */
    struct assay_metric_source *source;
    struct assay_reporter *reporter;

    struct assay_command_process process; /* pid 0 when it was reaped */
    struct assay_line_feed out_feed, err_feed;
    char *block; /* READ_BYTES */

    int signal_fd, wake_fd, start_fd;
    int wait_status, exit_code;
    int64_t oom_kills_before;

    /* Deadlines on the monotonic clock, 0 = none. */
    int64_t timeout_at_us, kill_at_us, memory_at_us, source_at_us, give_up_at_us, folder_at_us;

    bool asked;  /* by a signal or the daemon: SIGTERM was sent */
    bool killed; /* SIGKILL was sent */
    bool stop_seen;
    enum assay_trial_reason cause;
    char *cause_message;
};

static void
on_output_line(void *arg, const char *bytes, size_t length)
{
    struct runner *runner = arg;

    if (runner->phase != PHASE_PREPARATION && runner->job->metrics_from == ASSAY_JOB_METRICS_STDOUT)
        assay_metric_intake_line(runner->intake, bytes, length);
}

/* Passes on what the command printed, as it came. */
static void
echo(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);

        if (n < 0 && errno != EINTR)
            return; /* nobody reads it */
        bytes += ASSAY_MAX(n, 0);
        length -= (size_t)ASSAY_MAX(n, 0);
    }
}

/* --- output ------------------------------------------------------------------------------ */

/* Reads what is there; closes the stream at its end.  `all`: until nothing is left. */
static void
read_stream(struct runner *runner, int *fd, struct assay_line_feed *feed, bool all)
{
    for (int n_reads = 0; *fd >= 0 && (all || n_reads < READS_PER_TURN); n_reads++) {
        ssize_t n = read(*fd, runner->block, READ_BYTES);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            assay_close(fd);
            return;
        }
        if (runner->job->pod)
            echo(fd == &runner->process.err_fd ? 2 : 1, runner->block, (size_t)n);
        assay_output_log_write(runner->log, runner->block, (size_t)n);
        assay_line_feed_add(feed, runner->block, (size_t)n);
    }
}

static void
read_rest(struct runner *runner)
{
    read_stream(runner, &runner->process.out_fd, &runner->out_feed, true);
    read_stream(runner, &runner->process.err_fd, &runner->err_feed, true);
    assay_close(&runner->process.out_fd);
    assay_close(&runner->process.err_fd);
    assay_line_feed_end(&runner->out_feed);
    assay_line_feed_end(&runner->err_feed);
}

/* --- ending the command ------------------------------------------------------------------- */

static void
send_kill(struct runner *runner)
{
    runner->killed = true;
    runner->kill_at_us = 0;
    if (runner->process.pid > 0)
        kill(-runner->process.pid, SIGKILL); /* also where there is no /proc to find them */
    assay_process_tree_signal(SIGKILL);
}

/* SIGTERM to the command's group now, SIGKILL after the grace time.  Again: only
 * the sooner deadline counts. */
static void
end_command(struct runner *runner, int64_t grace_us)
{
    int64_t kill_at_us = assay_monotonic_us() + ASSAY_MAX(grace_us, 0);

    if (runner->process.pid == 0)
        return;
    kill(-runner->process.pid, SIGTERM);
    if (grace_us <= 0)
        send_kill(runner);
    else if (runner->kill_at_us == 0 || kill_at_us < runner->kill_at_us)
        runner->kill_at_us = kill_at_us;
}

static void
set_cause(struct runner *runner, enum assay_trial_reason cause, char *message_taken)
{
    if (runner->cause == ASSAY_TRIAL_REASON_NONE) {
        runner->cause = cause;
        runner->cause_message = message_taken;
    } else {
        free(message_taken);
    }
}

static void
on_asked(struct runner *runner, int64_t grace_us)
{
    if (runner->phase == PHASE_ENDED) {
        runner->give_up_at_us = assay_monotonic_us() + DELIVER_WHEN_ASKED_US;
        return;
    }
    runner->asked = true;
    end_command(runner, grace_us);
}

/* The daemon answered a report with "stop". */
static void
look_at_reporter(struct runner *runner)
{
    const char *reason, *message;
    enum assay_trial_reason cause = ASSAY_TRIAL_REASON_NONE;

    if (runner->stop_seen || runner->phase == PHASE_ENDED ||
        !assay_reporter_get_stop(runner->reporter, &reason, &message))
        return;
    runner->stop_seen = true;
    if (reason != NULL && assay_trial_reason_parse(reason, &cause))
        set_cause(runner, cause, assay_strdup(message));
    on_asked(runner, runner->job->grace_us);
}

/* --- starting ---------------------------------------------------------------------------- */

static void
tell_started(struct runner *runner)
{
    assay_auto_free char *path = assay_job_file(runner->job, "state.json");
    assay_auto_free char *line = assay_format("started %ld\n", (long)runner->process.pid);
    char time[ASSAY_TIME_TEXT];
    json_t *state = json_object();
    struct assay_error err = {0};

    if (runner->start_fd >= 0) {
        ssize_t n = write(runner->start_fd, line, strlen(line));

        (void)n; /* the daemon may be gone; then it finds state.json */
        assay_close(&runner->start_fd);
    }
    assay_print_time(assay_now_us(), time);
    json_object_set_new(state, "pid", json_integer(runner->process.pid));
    json_object_set_new(state, "runner_pid", json_integer(getpid()));
    json_object_set_new(state, "started_at", json_string(time));
    if (assay_result_write(path, state, &err) < 0)
        assay_log(ASSAY_LOG_WARNING, "%s", err.message);
    json_decref(state);
}

static void
write_parameters(const struct runner *runner)
{
    assay_auto_free char *path = assay_job_file(runner->job, "parameters.json");
    assay_auto_buffer struct assay_buffer text = {0};
    assay_auto_close int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    ssize_t n;

    assay_json_print(runner->job->parameters, 0, &text);
    assay_buffer_puts(&text, "\n");
    n = fd >= 0 ? write(fd, text.data, text.length) : -1;
    if (n < 0)
        assay_log(ASSAY_LOG_WARNING, "%s can not be written: %s", path, strerror(errno));
}

static assay_status
start_command(struct runner *runner, struct assay_error *err)
{
    struct assay_command command = {.argv = runner->job->command,
                                    .environment = runner->environment,
                                    .directory = runner->directory};
    assay_status rc;

    runner->oom_kills_before = assay_result_oom_kills();
    rc = assay_command_start(&command, &runner->process, err);
    if (rc < 0)
        return rc;
    runner->phase = PHASE_COMMAND;
    tell_started(runner);
    if (runner->job->timeout_us > 0)
        runner->timeout_at_us = assay_monotonic_us() + runner->job->timeout_us;
    if (runner->job->memory_bytes > 0)
        runner->memory_at_us = assay_monotonic_us() + MEMORY_CHECK_US;
    return ASSAY_OK;
}

static void
write_ca(const struct assay_job *job)
{
    assay_auto_free char *path = assay_job_file(job, ASSAY_JOB_CA_FILE);
    struct assay_error err = {0};

    if (job->ca != NULL && assay_file_replace(path, job->ca, strlen(job->ca), 0644, &err) < 0)
        assay_log(ASSAY_LOG_WARNING, "%s", err.message);
}

/* Where the command runs: its code, the study's folder, else the image's in a pod and the
 * attempt's on a machine.  Caller frees. */
static char *
working_directory(const struct assay_job *job)
{
    char here[4096];

    if (job->git_url != NULL)
        return assay_job_file(job, "code");
    if (job->directory != NULL)
        return assay_strdup(job->directory);
    if (job->pod && getcwd(here, sizeof here) != NULL)
        return assay_strdup(here);
    return assay_strdup(job->pod ? "/" : job->attempt_dir);
}

/* Starts the command, or first what prepares it. */
static assay_status
start(struct runner *runner, struct assay_error *err)
{
    const struct assay_job *job = runner->job;
    assay_auto_free char *url = NULL;

    if (job->pod)
        url = assay_strdup(job->url);
    else if (assay_file_read_line(job->url_file, &url, NULL) < 0)
        url = assay_strdup(getenv("ASSAY_URL"));
    runner->environment = assay_environment_build(job, url);
    write_parameters(runner);
    write_ca(job);
    runner->directory = working_directory(job);
    if (!assay_preparation_needed(job))
        return start_command(runner, err);
    runner->phase = PHASE_PREPARATION;
    return assay_preparation_start(job, runner->directory, &runner->process, err);
}

/* --- ending ------------------------------------------------------------------------------ */

/* The result is on disk before anybody hears of it, and what was not yet told
 * before the result: whoever delivers it later has everything. */
static void
finish(struct runner *runner, json_t *result)
{
    assay_auto_free char *path = assay_job_file(runner->job, "result.json");
    struct assay_error err = {0};

    runner->phase = PHASE_ENDED;
    runner->timeout_at_us = runner->kill_at_us = runner->memory_at_us = runner->source_at_us = 0;
    if (runner->intake != NULL)
        assay_metric_intake_flush(runner->intake);
    assay_close(&runner->start_fd);
    assay_reporter_save(runner->reporter);
    if (assay_result_write(path, result, &err) < 0)
        assay_log(ASSAY_LOG_ERROR, "%s", err.message);
    assay_reporter_finish(runner->reporter, result);
    if (runner->asked && !runner->stop_seen)
        runner->give_up_at_us = assay_monotonic_us() + DELIVER_WHEN_ASKED_US;
}

static void
command_ended(struct runner *runner)
{
    struct assay_ending ending = {.wait_status = runner->wait_status,
                                  .killed_by_us = runner->killed,
                                  .cause = runner->cause,
                                  .cause_message = runner->cause_message,
                                  .asked = runner->asked,
                                  .log = runner->log};

    runner->exit_code = WIFEXITED(runner->wait_status) ? WEXITSTATUS(runner->wait_status)
                                                       : 128 + WTERMSIG(runner->wait_status);
    /* Whoever is left of the command's processes may hold its output open. */
    if (!assay_process_tree_end(TREE_END_US))
        assay_log(ASSAY_LOG_WARNING, "some of the command's processes do not die");
    read_rest(runner);
    if (runner->source != NULL)
        assay_metric_source_poll(runner->source, true);
    ending.oom_killed = assay_result_oom_kills() > runner->oom_kills_before;
    ending.has_objectives = assay_metric_intake_has_objectives(runner->intake);
    if (ending.has_objectives)
        ending.metrics = assay_metric_intake_last(runner->intake);
    finish(runner, assay_result_of_ending(&ending));
    json_decref(ending.metrics);
}

static void
preparation_ended(struct runner *runner)
{
    struct assay_error err = {0};
    assay_auto_free char *last = NULL;
    assay_auto_free char *message = NULL;

    assay_process_tree_end(TREE_END_US);
    read_rest(runner);
    if (runner->asked) {
        finish(runner, assay_result_start_failed("asked to end before its command had started"));
    } else if (WIFEXITED(runner->wait_status) && WEXITSTATUS(runner->wait_status) == 0) {
        if (start_command(runner, &err) < 0)
            finish(runner, assay_result_start_failed(err.message));
    } else {
        last = assay_output_log_last_lines(runner->log, 1);
        message = assay_format("what the trial starts from can not be had (%s%s%s): %s",
                               runner->job->checkpoint_from != NULL ? "checkpoint " : "",
                               runner->job->checkpoint_from != NULL && runner->job->git_url != NULL
                                   ? "and code "
                                   : "",
                               runner->job->git_url != NULL ? runner->job->git_url : "",
                               last[0] != '\0' ? last : "it ended with an error");
        finish(runner, assay_result_start_failed(message));
    }
}

/* Reaps; orphans that became ours too. */
static void
reap(struct runner *runner)
{
    bool ended = false;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == runner->process.pid) {
            runner->wait_status = status;
            runner->process.pid = 0;
            ended = true;
        }
    }
    if (ended && runner->phase == PHASE_PREPARATION)
        preparation_ended(runner);
    else if (ended)
        command_ended(runner);
}

/* --- the loop ---------------------------------------------------------------------------- */

static void
on_signals(struct runner *runner)
{
    struct signalfd_siginfo info;

    while (read(runner->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTERM && info.ssi_code == SI_QUEUE)
            on_asked(runner, (int64_t)info.ssi_int * 1000);
        else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            on_asked(runner, runner->job->grace_us);
    }
    reap(runner);
}

static void
check_memory(struct runner *runner)
{
    int64_t limit = runner->job->memory_bytes, used = assay_process_tree_memory_bytes(false);

    if (used > limit)
        used = assay_process_tree_memory_bytes(true);
    if (used > limit) {
        set_cause(runner, ASSAY_TRIAL_REASON_OUT_OF_MEMORY,
                  assay_format("the trial's processes used %" PRId64
                               " MiB of memory, its limit is %" PRId64 " MiB",
                               used >> 20, limit >> 20));
        send_kill(runner);
    }
}

/* A folder that was removed belonged to a study that was deleted, or to a daemon
 * that is gone for good: nobody waits for us. */
static void
check_folder(struct runner *runner)
{
    if (access(runner->job->attempt_dir, F_OK) == 0)
        return;
    if (runner->phase == PHASE_ENDED)
        runner->give_up_at_us = assay_monotonic_us();
    else
        on_asked(runner, runner->job->grace_us);
}

static bool
is_due(int64_t *deadline_us, int64_t now_us, int64_t again_us)
{
    if (*deadline_us == 0 || now_us < *deadline_us)
        return false;
    *deadline_us = again_us > 0 ? now_us + again_us : 0;
    return true;
}

static void
on_deadlines(struct runner *runner)
{
    int64_t now_us = assay_monotonic_us();

    if (is_due(&runner->timeout_at_us, now_us, 0)) {
        set_cause(runner, ASSAY_TRIAL_REASON_TIMEOUT,
                  assay_format("the command ran longer than its timeout of %.6g s",
                               (double)runner->job->timeout_us / (double)ASSAY_SECOND_US));
        end_command(runner, runner->job->grace_us);
    }
    if (is_due(&runner->kill_at_us, now_us, 0))
        send_kill(runner);
    if (is_due(&runner->memory_at_us, now_us, MEMORY_CHECK_US))
        check_memory(runner);
    if (is_due(&runner->folder_at_us, now_us, FOLDER_CHECK_US))
        check_folder(runner);
    if (is_due(&runner->source_at_us, now_us, ASSAY_METRIC_SOURCE_POLL_US))
        assay_metric_source_poll(runner->source, false);
}

static int
ms_until_next(const struct runner *runner)
{
    const int64_t deadlines[] = {runner->timeout_at_us, runner->kill_at_us,
                                 runner->memory_at_us,  runner->source_at_us,
                                 runner->give_up_at_us, runner->folder_at_us};
    int64_t next_us = 0, left_us;

    for (size_t i = 0; i < ASSAY_COUNT(deadlines); i++) {
        if (deadlines[i] != 0 && (next_us == 0 || deadlines[i] < next_us))
            next_us = deadlines[i];
    }
    if (next_us == 0)
        return -1;
    left_us = next_us - assay_monotonic_us();
    return left_us <= 0 ? 0 : (int)ASSAY_MIN(left_us / 1000 + 1, INT64_C(60000));
}

/* One turn: waits for something, and handles it. */
static void
turn(struct runner *runner)
{
    struct pollfd items[] = {
        {.fd = runner->signal_fd, .events = POLLIN},
        {.fd = runner->wake_fd, .events = POLLIN},
        {.fd = runner->process.out_fd, .events = POLLIN},
        {.fd = runner->process.err_fd, .events = POLLIN},
    };
    uint64_t count;

    if (poll(items, ASSAY_COUNT(items), ms_until_next(runner)) < 0 && errno != EINTR)
        ASSAY_BUG("poll");
    if (items[2].revents != 0)
        read_stream(runner, &runner->process.out_fd, &runner->out_feed, false);
    if (items[3].revents != 0)
        read_stream(runner, &runner->process.err_fd, &runner->err_feed, false);
    if (runner->intake != NULL)
        assay_metric_intake_flush(runner->intake);
    if (items[1].revents != 0 && read(runner->wake_fd, &count, sizeof count) > 0)
        look_at_reporter(runner);
    if (items[0].revents != 0)
        on_signals(runner);
    on_deadlines(runner);
    if (runner->intake != NULL)
        assay_metric_intake_flush(runner->intake);
}

static void
deliver(struct runner *runner)
{
    assay_auto_free char *path = assay_job_file(runner->job, "delivered");
    assay_auto_close int fd = -1;

    while (!assay_reporter_get_delivered(runner->reporter)) {
        if (runner->give_up_at_us != 0 && assay_monotonic_us() >= runner->give_up_at_us) {
            assay_log(ASSAY_LOG_INFO, "nobody takes the result; it stays in result.json");
            return;
        }
        turn(runner);
    }
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        assay_log(ASSAY_LOG_WARNING, "%s: %s", path, strerror(errno));
}

static void
open_signals(struct runner *runner)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    runner->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    runner->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ASSAY_ASSERT(runner->signal_fd >= 0 && runner->wake_fd >= 0);
}

static void
open_metrics(struct runner *runner)
{
    assay_metric_intake_set_reporter(runner->intake, runner->reporter);
    runner->source = assay_metric_intake_source(runner->intake, runner->directory);
    if (runner->source != NULL)
        runner->source_at_us = assay_monotonic_us();
}

static void
run_command(struct runner *runner)
{
    const struct assay_job *job = runner->job;
    struct assay_error err = {0};
    assay_status rc;

    assay_process_tree_adopt();
    runner->out_feed = runner->err_feed =
        (struct assay_line_feed){.on_line = on_output_line, .arg = runner};
    rc = assay_output_log_open(job->attempt_dir, job->log_bytes, &runner->log, &err);
    if (rc == ASSAY_OK)
        rc = assay_metric_intake_new(job, &runner->intake, &err);
    if (rc == ASSAY_OK)
        rc = start(runner, &err);
    /* Only now: the command must not wait for a thread or a connection. */
    runner->reporter = assay_reporter_new(job, runner->wake_fd);
    if (rc < 0)
        finish(runner, assay_result_start_failed(err.message));
    else
        open_metrics(runner);
    while (runner->phase != PHASE_ENDED)
        turn(runner);
}

static void
runner_done(struct runner *runner)
{
    assay_reporter_free(runner->reporter);
    assay_metric_source_free(runner->source);
    assay_metric_intake_free(runner->intake);
    assay_output_log_close(runner->log);
    assay_environment_free(runner->environment);
    assay_line_feed_done(&runner->out_feed);
    assay_line_feed_done(&runner->err_feed);
    assay_close(&runner->signal_fd);
    assay_close(&runner->wake_fd);
    assay_close(&runner->start_fd);
    free(runner->block);
    free(runner->directory);
    free(runner->cause_message);
    free(runner);
}

int
assay_runner_run(const struct assay_job *job, int start_fd)
{
    struct runner *runner = ASSAY_NEW(struct runner);
    assay_auto_free char *path = assay_job_file(job, "result.json");
    json_t *result = assay_result_read(path);
    int exit_code;

    runner->job = job;
    runner->exit_code = EXIT_NOT_STARTED;
    runner->start_fd = start_fd;
    runner->process.out_fd = runner->process.err_fd = -1;
    runner->block = assay_alloc(READ_BYTES, 1);
    runner->folder_at_us = assay_monotonic_us() + FOLDER_CHECK_US;
    open_signals(runner);
    if (result == NULL) {
        run_command(runner);
    } else {
        runner->phase = PHASE_ENDED;
        runner->reporter = assay_reporter_new(job, runner->wake_fd);
        assay_reporter_finish(runner->reporter, result);
    }
    deliver(runner);
    assay_reporter_save(runner->reporter);
    exit_code = job->pod ? runner->exit_code : 0;
    runner_done(runner);
    return exit_code;
}

#include "cli/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"
#include "common/number.h"
#include "schemas/config.h"

/* A first start makes a database, which takes seconds on a slow disk. */
#define START_PATIENCE_US (120 * ASSAY_SECOND_US)
#define LOG_TAIL_BYTES 8192

static void
wait_ms(int64_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

/* --- finding */

/* /proc/PID/NAME, at most 64 KiB; files there have no size.  Caller frees. */
static char *
read_proc(pid_t pid, const char *name, size_t *ret_length)
{
    assay_auto_free char *path = assay_format("/proc/%d/%s", (int)pid, name);
    assay_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct assay_buffer text = {0};
    char piece[4096];
    ssize_t n;

    if (fd < 0)
        return NULL;
    while (text.length < 65536 && (n = read(fd, piece, sizeof piece)) > 0)
        assay_buffer_add(&text, piece, (size_t)n);
    *ret_length = text.length;
    return assay_buffer_steal(&text);
}

static bool
same_directory(pid_t pid, const char *path, const struct stat *wanted)
{
    assay_auto_free char *whole =
        path[0] == '/' ? assay_strdup(path) : assay_format("/proc/%d/cwd/%s", (int)pid, path);
    struct stat found;

    return stat(whole, &found) == 0 && found.st_dev == wanted->st_dev &&
           found.st_ino == wanted->st_ino;
}

/* Whether the process is an assayd with this --data. */
static bool
serves(pid_t pid, const struct stat *data)
{
    size_t length = 0;
    assay_auto_free char *line = read_proc(pid, "cmdline", &length);
    const char *name, *word;
    bool is_next = false;

    if (line == NULL || length == 0)
        return false;
    name = strrchr(line, '/');
    if (strcmp(name != NULL ? name + 1 : line, "assayd") != 0)
        return false;
    for (word = line; word < line + length; word += strlen(word) + 1) {
        if (is_next && same_directory(pid, word, data))
            return true;
        if (strncmp(word, "--data=", 7) == 0 && same_directory(pid, word + 7, data))
            return true;
        is_next = strcmp(word, "--data") == 0;
    }
    return false;
}

static pid_t
parent_of(pid_t pid)
{
    size_t length = 0;
    assay_auto_free char *text = read_proc(pid, "stat", &length);
    const char *end = text != NULL ? strrchr(text, ')') : NULL;
    int parent = 0;

    /* The name in brackets may hold anything; behind it: state, parent. */
    if (end == NULL || sscanf(end + 1, " %*c %d", &parent) != 1)
        return 0;
    return (pid_t)parent;
}

/* The number in the file that a daemon writes when it serves, whoever has it now; 0: none. */
static pid_t
pid_in_file(const char *data)
{
    assay_auto_free char *path = assay_format("%s/pid", data);
    assay_auto_free char *line = NULL;
    int64_t pid;

    return assay_file_read_line(path, &line, NULL) == ASSAY_OK &&
                   assay_parse_int(line, 1, INT32_MAX, &pid)
               ? (pid_t)pid
               : 0;
}

/* One that serves comes before one that waits for it to end. */
pid_t
assay_daemon_find(const char *data)
{
    DIR *proc;
    struct stat wanted;
    pid_t found = pid_in_file(data);
    const struct dirent *entry;

    if (stat(data, &wanted) < 0)
        return 0;
    if (found > 0 && serves(found, &wanted))
        return found;
    found = 0;
    proc = opendir("/proc");
    if (proc == NULL)
        return 0;
    while ((entry = readdir(proc)) != NULL) {
        int64_t pid;

        if (assay_parse_int(entry->d_name, 1, INT32_MAX, &pid) && serves((pid_t)pid, &wanted) &&
            !serves(parent_of((pid_t)pid), &wanted)) {
            found = (pid_t)pid;
            break;
        }
    }
    closedir(proc);
    return found;
}

/* --- starting */

bool
assay_daemon_ready(struct assay_cli *cli)
{
    assay_auto_http_answer struct assay_http_answer answer = {0};
    struct assay_http_request request = {.path = "/readyz", .timeout_ms = 5000};
    struct assay_error ignored = {0};

    return assay_cli_connect(cli, &ignored) == ASSAY_OK &&
           assay_http_send(cli->http, &request, &answer, &ignored) == ASSAY_OK &&
           json_is_string(json_object_get(answer.json, "status"));
}

/* assayd beside this program; else the PATH decides.  Caller frees. */
static char *
daemon_program(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;
    char *path;

    if (n > 0) {
        self[n] = '\0';
        slash = strrchr(self, '/');
        if (slash != NULL) {
            *slash = '\0';
            path = assay_format("%s/assayd", self);
            if (access(path, X_OK) == 0)
                return path;
            free(path);
        }
    }
    return assay_strdup("assayd");
}

/* In the child: leaves the terminal and becomes assayd; returns only errno. */
static int
become_daemon(const char *program, char *const *argv, const char *log)
{
    int in = open("/dev/null", O_RDONLY);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    sigset_t none;

    if (in < 0 || out < 0)
        return errno;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    if (close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0 || chdir("/") < 0 || setsid() < 0 ||
        dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
        return errno;
    execvp(program, argv);
    return errno;
}

static assay_status
spawn(const char *data, const char *const *extra, const char *log, pid_t *ret_pid,
      struct assay_error *err)
{
    assay_auto_free char *program = daemon_program();
    /* execv takes char *const[] for history's sake and writes nothing. */
    const char *argv[64] = {program, "--data", data, "--listen", "127.0.0.1:0"};
    size_t n = 5;
    int report[2], code = 0;
    pid_t pid;

    for (; extra != NULL && *extra != NULL; extra++) {
        if (n + 1 >= ASSAY_COUNT(argv))
            return assay_fail(err, ASSAY_E_BAD_REQUEST, "too many options for assayd");
        argv[n++] = *extra;
    }
    if (pipe2(report, O_CLOEXEC) < 0)
        return assay_fail_errno(err, errno, "assayd can not be started");
    pid = fork();
    if (pid == 0) {
        code = become_daemon(program, (char *const *)(uintptr_t)argv, log);
        if (write(report[1], &code, sizeof code) < 0)
            _exit(126);
        _exit(127);
    }
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        return assay_fail_errno(err, errno, "assayd can not be started");
    }
    /* The pipe closes when the program has been replaced. */
    if (read(report[0], &code, sizeof code) != (ssize_t)sizeof code)
        code = 0;
    close(report[0]);
    if (code == ENOENT)
        return assay_fail(err, ASSAY_E_IO,
                          "assayd is neither beside this program nor in the PATH; is Assay "
                          "installed?");
    if (code != 0)
        return assay_fail_errno(err, code, "%s can not be started", program);
    *ret_pid = pid;
    return ASSAY_OK;
}

static int64_t
size_of(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

/* What the daemon said is wrong: its last error, else its last line, "" when it said nothing.
 * `from`: what is before in the log is of earlier ones.  Caller frees. */
static char *
last_word(const char *log, int64_t from)
{
    static const char *const marks[] = {" error assayd: ", "assayd: "};
    int64_t begin = ASSAY_MAX(from, size_of(log) - LOG_TAIL_BYTES);
    assay_auto_close int fd = open(log, O_RDONLY | O_CLOEXEC);
    char text[LOG_TAIL_BYTES + 1];
    ssize_t n = fd >= 0 ? pread(fd, text, LOG_TAIL_BYTES, begin) : -1;
    const char *found[] = {"", "", ""};
    char *rest = text, *line;

    text[ASSAY_MAX(n, 0)] = '\0';
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (line[0] != '\0')
            found[2] = line;
        for (size_t i = 0; i < ASSAY_COUNT(marks); i++) {
            const char *mark = strstr(line, marks[i]);

            if (mark != NULL)
                found[i] = mark + strlen(marks[i]);
        }
    }
    for (size_t i = 0; i < ASSAY_COUNT(found); i++) {
        if (found[i][0] != '\0')
            return assay_strdup(found[i]);
    }
    return assay_strdup("");
}

/* A daemon's start. */
struct start {
    const char *data, *log;
    int64_t log_from;
    pid_t pid; /* of the one that we have started; 0: none, or it has ended */
};

static assay_status
fail_ended(const struct start *start, int status, struct assay_error *err)
{
    assay_auto_free char *word = last_word(start->log, start->log_from);

    if (WIFSIGNALED(status))
        return assay_fail(err, ASSAY_E_IO,
                          "the daemon ended at once: signal %d (%s) ended it (its log is %s)",
                          WTERMSIG(status), strsignal(WTERMSIG(status)), start->log);
    return assay_fail(err, ASSAY_E_IO, "the daemon ended at once: %s (its log is %s)",
                      word[0] != '\0' ? word : "it said nothing", start->log);
}

static assay_status
fail_slow(const struct start *start, struct assay_error *err)
{
    assay_auto_free char *word = last_word(start->log, start->log_from);

    return assay_fail(err, ASSAY_E_TIMEOUT, "the daemon is not ready after %d s%s%s; its log is %s",
                      (int)(START_PATIENCE_US / ASSAY_SECOND_US), word[0] != '\0' ? ": " : "", word,
                      start->log);
}

/* Whether the one that serves the directory is ours. */
static bool
is_ours(const struct start *start)
{
    return start->pid > 0 && pid_in_file(start->data) == start->pid;
}

/* Starts a daemon when there is none, again when the one that was there, and kept ours from the
 * directory, has gone: it was killed or told to end just before.  Until one is ready. */
static assay_status
start_until_ready(struct assay_cli *cli, const char *const *extra, struct start *start,
                  struct assay_error *err)
{
    int64_t end_us = assay_monotonic_us() + START_PATIENCE_US;

    while (!assay_daemon_ready(cli)) {
        assay_status rc = ASSAY_OK;
        int status;

        if (start->pid > 0 && waitpid(start->pid, &status, WNOHANG) == start->pid) {
            if (!WIFEXITED(status) || WEXITSTATUS(status) != ASSAY_DAEMON_EXIT_TAKEN)
                return fail_ended(start, status, err);
            start->pid = 0;
        }
        if (assay_monotonic_us() > end_us)
            return fail_slow(start, err);
        /* One that is starting just now needs no second. */
        if (start->pid == 0 && assay_daemon_find(start->data) == 0)
            rc = spawn(start->data, extra, start->log, &start->pid, err);
        if (rc < 0)
            return rc;
        wait_ms(50);
    }
    return ASSAY_OK;
}

assay_status
assay_daemon_ensure(struct assay_cli *cli, const char *const *extra, bool *ret_started,
                    struct assay_error *err)
{
    assay_auto_free char *data = NULL;
    assay_auto_free char *log = NULL;
    assay_status rc = assay_cli_find(cli, err);
    struct start start = {0};

    if (rc < 0)
        return rc;
    *ret_started = false;
    if (cli->target.data == NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "a server's address is given; a private daemon has a data directory");
    if (assay_daemon_ready(cli))
        return ASSAY_OK;
    rc = assay_make_directories(cli->target.data, 0700, err);
    if (rc < 0)
        return rc;
    data = realpath(cli->target.data, NULL);
    if (data == NULL)
        return assay_fail_errno(err, errno, "%s", cli->target.data);
    log = assay_format("%s/assayd.log", data);
    start.data = data;
    start.log = log;
    start.log_from = size_of(log);
    rc = start_until_ready(cli, extra, &start, err);
    *ret_started = rc == ASSAY_OK && is_ours(&start);
    return rc;
}

assay_status
assay_daemon_stop(const char *data, int64_t patience_ms, bool *ret_stopped, struct assay_error *err)
{
    pid_t pid = assay_daemon_find(data);
    int64_t end_us = assay_monotonic_us() + patience_ms * 1000;

    *ret_stopped = false;
    if (pid == 0)
        return ASSAY_OK;
    if (kill(pid, SIGTERM) < 0 && errno != ESRCH)
        return assay_fail_errno(err, errno, "process %d can not be ended", (int)pid);
    while (assay_daemon_find(data) == pid) {
        if (assay_monotonic_us() > end_us)
            return assay_fail(err, ASSAY_E_TIMEOUT,
                              "the daemon (process %d) has not ended in "
                              "%lld s",
                              (int)pid, (long long)(patience_ms / 1000));
        wait_ms(50);
    }
    *ret_stopped = true;
    return ASSAY_OK;
}

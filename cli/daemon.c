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

/* A first start makes a database, which takes seconds on a slow disk. */
#define START_PATIENCE_US (120 * ASSAY_SECOND_US)
/* A daemon that ends at once may have lost the race against another that serves. */
#define RACE_PATIENCE_US (10 * ASSAY_SECOND_US)

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

pid_t
assay_daemon_find(const char *data)
{
    DIR *proc = opendir("/proc");
    struct stat wanted;
    pid_t found = 0;
    const struct dirent *entry;

    if (proc == NULL || stat(data, &wanted) < 0) {
        if (proc != NULL)
            closedir(proc);
        return 0;
    }
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

/* The last line of the log, "" when there is none.  Caller frees. */
static char *
last_line(const char *log)
{
    assay_auto_free char *text = NULL;
    size_t length = 0;
    char *line;

    if (assay_file_read(log, (size_t)16 << 20, &text, &length, NULL) < 0)
        return assay_strdup("");
    while (length > 0 && text[length - 1] == '\n')
        text[--length] = '\0';
    line = strrchr(text, '\n');
    return assay_strdup(line != NULL ? line + 1 : text);
}

/* Waits for readiness of the daemon just started as `pid` (0: by someone else). */
static assay_status
await_ready(struct assay_cli *cli, pid_t pid, const char *log, struct assay_error *err)
{
    int64_t end_us = assay_monotonic_us() + START_PATIENCE_US;
    bool ended = false;

    while (assay_monotonic_us() < end_us) {
        int status;

        if (assay_daemon_ready(cli))
            return ASSAY_OK;
        if (!ended && pid > 0 && waitpid(pid, &status, WNOHANG) == pid) {
            ended = true;
            end_us = assay_monotonic_us() +
                     (assay_daemon_find(cli->target.data) > 0 ? RACE_PATIENCE_US : 0);
        }
        wait_ms(50);
    }
    if (ended) {
        assay_auto_free char *line = last_line(log);

        return assay_fail(err, ASSAY_E_IO, "the daemon ended at once: %s (its log is %s)",
                          line[0] != '\0' ? line : "it said nothing", log);
    }
    return assay_fail(err, ASSAY_E_TIMEOUT, "the daemon is not ready after %d s; its log is %s",
                      (int)(START_PATIENCE_US / ASSAY_SECOND_US), log);
}

assay_status
assay_daemon_ensure(struct assay_cli *cli, const char *const *extra, bool *ret_started,
                    struct assay_error *err)
{
    assay_auto_free char *data = NULL;
    assay_auto_free char *log = NULL;
    assay_status rc = assay_cli_find(cli, err);
    pid_t pid = 0;

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
    /* One that is starting just now needs no second. */
    if (assay_daemon_find(data) == 0) {
        rc = spawn(data, extra, log, &pid, err);
        *ret_started = rc == ASSAY_OK;
    }
    if (rc == ASSAY_OK)
        rc = await_ready(cli, pid, log, err);
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

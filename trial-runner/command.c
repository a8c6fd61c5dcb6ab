#include "trial-runner/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"
#include "trial-runner/environment.h"

/* What the child tells when it fails before its program runs. */
enum failed { FAILED_SETUP, FAILED_DIRECTORY, FAILED_EXEC };
struct failure {
    enum failed what;
    int os_errno;
};

struct pipes {
    int out[2], err[2], failure[2], null;
};

/* The kernel kills the trial before the daemon and its database when memory runs
 * out: they can not be started anew for free. */
#define OOM_SCORE "500"

static void
close_pipes(struct pipes *pipes)
{
    int *const fds[] = {&pipes->out[0],     &pipes->out[1],     &pipes->err[0], &pipes->err[1],
                        &pipes->failure[0], &pipes->failure[1], &pipes->null};

    for (size_t i = 0; i < ASSAY_COUNT(fds); i++)
        assay_close(fds[i]);
}

/* Standard input that is at its end; an empty root has no /dev. */
static int
open_null(void)
{
    int ends[2], fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd < 0 && pipe2(ends, O_CLOEXEC) == 0) {
        fd = ends[0];
        close(ends[1]);
    }
    return fd;
}

static assay_status
open_pipes(struct pipes *ret_pipes, struct assay_error *err)
{
    struct pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}, -1};

    pipes.null = open_null();
    if (pipes.null < 0 || pipe2(pipes.out, O_CLOEXEC) != 0 || pipe2(pipes.err, O_CLOEXEC) != 0 ||
        pipe2(pipes.failure, O_CLOEXEC) != 0) {
        int error = errno;

        close_pipes(&pipes);
        return assay_fail_errno(err, error, "making pipes");
    }
    fcntl(pipes.out[0], F_SETFL, O_NONBLOCK);
    fcntl(pipes.err[0], F_SETFL, O_NONBLOCK);
    *ret_pipes = pipes;
    return ASSAY_OK;
}

/* --- in the child: only what is allowed after a fork of a process with threads ------------ */

ASSAY_NORETURN static void
fail_child(int fd, enum failed what, int os_errno)
{
    struct failure failure = {.what = what, .os_errno = os_errno};
    ssize_t n = write(fd, &failure, sizeof failure);

    _exit(n == sizeof failure ? 127 : 126);
}

static void
become_child(struct pipes *pipes, pid_t parent)
{
    sigset_t none;
    int fd;

    sigemptyset(&none);
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL); /* fails for the two that can not be caught */
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(126); /* it died before the line above */
    if (dup2(pipes->null, 0) < 0 || dup2(pipes->out[1], 1) < 0 || dup2(pipes->err[1], 2) < 0)
        fail_child(pipes->failure[1], FAILED_SETUP, errno);
    fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = write(fd, OOM_SCORE, strlen(OOM_SCORE));

        (void)n; /* lowering a given score needs a privilege; as it is, then */
        close(fd);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* As execvp, without its fallback to a shell. */
static int
exec_first(char *const *paths, char *const *argv, char *const *environment)
{
    int error = ENOENT;

    for (size_t i = 0; paths[i] != NULL; i++) {
        execve(paths[i], argv, environment);
        if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
            return errno;
        if (errno == EACCES || paths[1] == NULL)
            error = errno;
    }
    return error;
}

/* --- in the runner ------------------------------------------------------------------------ */

/* Where the program may be, in the order of PATH.  Free with assay_environment_free. */
static char **
candidate_paths(const struct assay_command *command)
{
    const char *program = command->argv[0];
    const char *path = assay_environment_get(command->environment, "PATH");
    char **paths;
    size_t n = 1, i = 0;

    if (path == NULL)
        path = "/usr/local/bin:/usr/bin:/bin";
    for (const char *p = path; *p != '\0'; p++)
        n += *p == ':';
    paths = assay_zalloc(n + 1, sizeof *paths);
    if (strchr(program, '/') != NULL) {
        paths[0] = assay_strdup(program);
        return paths;
    }
    for (const char *p = path;; p++) {
        size_t length = strcspn(p, ":");

        paths[i++] = length > 0 ? assay_format("%.*s/%s", (int)length, p, program)
                                : assay_format("./%s", program);
        p += length;
        if (*p == '\0')
            return paths;
    }
}

static assay_status
explain(const struct assay_command *command, const struct failure *failure, struct assay_error *err)
{
    const char *program = command->argv[0];
    bool has_slash = strchr(program, '/') != NULL;
    const char *why = strerror(failure->os_errno);

    if (failure->what == FAILED_DIRECTORY)
        return assay_fail(err, ASSAY_E_IO, "the working directory %s can not be entered: %s",
                          command->directory, why);
    if (failure->what == FAILED_SETUP)
        return assay_fail(err, ASSAY_E_IO, "the command's process can not be set up: %s", why);
    if (failure->os_errno == ENOENT && !has_slash)
        return assay_fail(err, ASSAY_E_IO, "there is no program \"%s\" in PATH (%s)", program,
                          assay_environment_get(command->environment, "PATH"));
    if (failure->os_errno == ENOENT) {
        assay_auto_free char *full = program[0] == '/'
                                         ? assay_strdup(program)
                                         : assay_format("%s/%s", command->directory, program);

        if (access(full, F_OK) == 0)
            return assay_fail(err, ASSAY_E_IO,
                              "%s can not be started: the interpreter in its first line, or its "
                              "dynamic loader, does not exist",
                              full);
        return assay_fail(err, ASSAY_E_IO, "there is no program %s", full);
    }
    if (failure->os_errno == ENOEXEC)
        return assay_fail(err, ASSAY_E_IO,
                          "%s can not be started: it is no program and has no \"#!\" line",
                          program);
    return assay_fail(err, ASSAY_E_IO, "%s can not be started: %s", program, why);
}

/* Waits for the child's exec (end of the pipe) or its failure. */
static bool
read_failure(int fd, struct failure *ret_failure)
{
    ssize_t n;

    do {
        n = read(fd, ret_failure, sizeof *ret_failure);
    } while (n < 0 && errno == EINTR);
    return n == sizeof *ret_failure;
}

static void
take_process(struct pipes *pipes, pid_t pid, struct assay_command_process *ret_process)
{
    *ret_process = (struct assay_command_process){
        .pid = pid, .out_fd = pipes->out[0], .err_fd = pipes->err[0]};
    pipes->out[0] = pipes->err[0] = -1;
}

assay_status
assay_command_start(const struct assay_command *command, struct assay_command_process *ret_process,
                    struct assay_error *err)
{
    char **paths = candidate_paths(command);
    pid_t parent = getpid(), pid;
    struct failure failure;
    struct pipes pipes;
    assay_status rc = open_pipes(&pipes, err);

    if (rc < 0) {
        assay_environment_free(paths);
        return rc;
    }
    pid = fork();
    if (pid == 0) {
        become_child(&pipes, parent);
        if (chdir(command->directory) != 0)
            fail_child(pipes.failure[1], FAILED_DIRECTORY, errno);
        fail_child(pipes.failure[1], FAILED_EXEC,
                   exec_first(paths, command->argv, command->environment));
    }
    if (pid < 0) {
        rc = assay_fail_errno(err, errno, "starting a process for %s", command->argv[0]);
    } else {
        assay_close(&pipes.failure[1]);
        if (read_failure(pipes.failure[0], &failure)) {
            waitpid(pid, NULL, 0);
            rc = explain(command, &failure, err);
        } else {
            take_process(&pipes, pid, ret_process);
        }
    }
    close_pipes(&pipes);
    assay_environment_free(paths);
    return rc;
}

assay_status
assay_command_fork(int (*function)(void *arg), void *arg, struct assay_command_process *ret_process,
                   struct assay_error *err)
{
    pid_t parent = getpid(), pid;
    struct pipes pipes;
    assay_status rc = open_pipes(&pipes, err);

    if (rc < 0)
        return rc;
    pid = fork();
    if (pid == 0) {
        become_child(&pipes, parent);
        _exit(function(arg));
    }
    if (pid < 0)
        rc = assay_fail_errno(err, errno, "starting a process");
    else
        take_process(&pipes, pid, ret_process);
    close_pipes(&pipes);
    return rc;
}

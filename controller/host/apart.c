#include "controller/host/apart.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"

#define ANSWER_BYTES_MAX (1 << 20)

static assay_status
start(const struct assay_suggest_apart *apart, const char *mode, int in, int out, pid_t *ret_pid,
      struct assay_error *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    const char **arguments;
    size_t n = 0;
    sigset_t none;
    int rc;

    while (apart->arguments != NULL && apart->arguments[n] != NULL)
        n++;
    arguments = assay_zalloc(n + 3, sizeof *arguments);
    arguments[0] = apart->program;
    for (size_t i = 0; i < n; i++)
        arguments[i + 1] = apart->arguments[i];
    arguments[n + 1] = mode;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    /* It takes char *const[] for history's sake and writes nothing. */
    rc = posix_spawn(ret_pid, apart->program, &files, &attributes,
                     (char *const *)(uintptr_t)arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    free(arguments);
    return rc == 0 ? ASSAY_OK : assay_fail_errno(err, rc, "%s can not be started", apart->program);
}

/* Waits for its end, and kills it once the time is over. */
static assay_status
await_end(pid_t pid, int64_t timeout_us, struct assay_error *err)
{
    assay_auto_close int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int64_t end_us = assay_monotonic_us() + timeout_us;
    struct pollfd entry = {.fd = pidfd, .events = POLLIN};
    bool late = false;
    int status;

    for (;;) {
        int64_t left_us = end_us - assay_monotonic_us();
        int ready = poll(&entry, 1, (int)(ASSAY_MAX(left_us, INT64_C(0)) / 1000));

        if (ready > 0)
            break;
        if (ready == 0 || errno != EINTR) {
            late = true;
            kill(pid, SIGKILL);
            break;
        }
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (late)
        return assay_fail(err, ASSAY_E_PLUGIN, "no answer within %.3g s",
                          (double)timeout_us / ASSAY_SECOND_US);
    if (WIFSIGNALED(status))
        return assay_fail(err, ASSAY_E_PLUGIN, "its process was ended by signal %d (%s)",
                          WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        return assay_fail(err, ASSAY_E_PLUGIN, "its process ended with exit code %d",
                          WEXITSTATUS(status));
    return ASSAY_OK;
}

static assay_status
read_answer(int fd, json_t **ret_answer, struct assay_error *err)
{
    assay_auto_free char *text = NULL;
    struct stat found;
    json_t *answer;

    if (fstat(fd, &found) < 0 || found.st_size > ANSWER_BYTES_MAX)
        return assay_fail(err, ASSAY_E_PLUGIN, "its answer is too long");
    text = assay_zalloc((size_t)found.st_size + 1, 1);
    if (pread(fd, text, (size_t)found.st_size, 0) != (ssize_t)found.st_size)
        return assay_fail_errno(err, errno, "reading an answer");
    answer = json_loads(text, 0, NULL);
    if (!json_is_object(answer)) {
        json_decref(answer);
        return assay_fail(err, ASSAY_E_PLUGIN, "its answer makes no sense");
    }
    *ret_answer = answer;
    return ASSAY_OK;
}

assay_status
assay_suggest_apart_ask(const struct assay_suggest_apart *apart, const char *mode,
                        const json_t *input, json_t **ret_answer, struct assay_error *err)
{
    assay_auto_close int in = memfd_create("assay-question", MFD_CLOEXEC);
    assay_auto_close int out = memfd_create("assay-answer", MFD_CLOEXEC);
    assay_status status = ASSAY_OK;
    pid_t pid;

    if (in < 0 || out < 0)
        return assay_fail_errno(err, errno, "files in memory");
    if (input != NULL && (json_dumpfd(input, in, 0) < 0 || lseek(in, 0, SEEK_SET) != 0))
        return assay_fail_errno(err, errno, "writing a question");
    status = start(apart, mode, in, out, &pid, err);
    if (status == ASSAY_OK)
        status = await_end(pid, apart->timeout_us, err);
    if (status == ASSAY_OK)
        status = read_answer(out, ret_answer, err);
    return status;
}

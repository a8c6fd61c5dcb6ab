#include "cli/suggest_program.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/memory.h"

char *
assay_suggest_program(void)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash, *path;

    if (n > 0) {
        self[n] = '\0';
        slash = strrchr(self, '/');
        if (slash != NULL) {
            *slash = '\0';
            path = assay_format("%s/assay-suggest", self);
            if (access(path, X_OK) == 0)
                return path;
            free(path);
        }
    }
    return assay_strdup("assay-suggest");
}

static assay_status
run(const char *mode, int question, int answer, struct assay_error *err)
{
    assay_auto_free char *program = assay_suggest_program();
    const char *const arguments[] = {program, mode, NULL};
    posix_spawn_file_actions_t files;
    int rc, status;
    pid_t pid;

    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, question, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, answer, STDOUT_FILENO);
    /* It takes char *const[] for history's sake and writes nothing. */
    rc = posix_spawnp(&pid, program, &files, NULL, (char *const *)(uintptr_t)arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    if (rc != 0)
        return assay_fail_errno(err, rc, "%s can not be started", program);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return assay_fail_errno(err, errno, "%s", program);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return ASSAY_OK;
    return WIFSIGNALED(status)
               ? assay_fail(err, ASSAY_E_IO, "%s was ended by signal %d", program, WTERMSIG(status))
               : assay_fail(err, ASSAY_E_IO, "%s ended with exit code %d", program,
                            WEXITSTATUS(status));
}

/* Both ways through files in memory: nobody waits for the other. */
assay_status
assay_suggest_ask(const char *mode, const json_t *question, json_t **ret_answer,
                  struct assay_error *err)
{
    int in = memfd_create("question", MFD_CLOEXEC), out = memfd_create("answer", MFD_CLOEXEC);
    assay_status status = ASSAY_OK;
    json_t *answer = NULL;

    if (in < 0 || out < 0)
        status = assay_fail_errno(err, errno, "a file in memory");
    else if (json_dumpfd(question, in, JSON_COMPACT) < 0 || lseek(in, 0, SEEK_SET) < 0)
        status = assay_fail_errno(err, errno, "the question");
    else
        status = run(mode, in, out, err);
    if (status == ASSAY_OK && lseek(out, 0, SEEK_SET) == 0)
        answer = json_loadfd(out, 0, NULL);
    if (status == ASSAY_OK && answer == NULL)
        status = assay_fail(err, ASSAY_E_IO, "assay-suggest gave no answer");
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    if (status == ASSAY_OK)
        *ret_answer = answer;
    return status;
}

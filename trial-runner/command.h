/* Starts the user's command: no shell, a session and process group of its own,
 * SIGKILL when the runner dies, output into two pipes. */
#ifndef ASSAY_TRIAL_RUNNER_COMMAND_H
#define ASSAY_TRIAL_RUNNER_COMMAND_H

#include <sys/types.h>

#include "common/error.h"

struct assay_command {
    char *const *argv;        /* NULL-terminated */
    char *const *environment; /* its PATH is searched for a program without a slash */
    const char *directory;    /* working directory; a program with a slash is relative to it */
};

struct assay_command_process {
    pid_t pid;          /* also its process group and session */
    int out_fd, err_fd; /* read ends, non-blocking */
};

/* ASSAY_E_IO with a sentence for the user (program, directory, why) when it can not
 * be started; then no process is left.  Blocks until the program's exec. */
ASSAY_MUST_CHECK assay_status assay_command_start(const struct assay_command *command,
                                                  struct assay_command_process *ret_process,
                                                  struct assay_error *err);

/* As assay_command_start for a function of ours in a child process (which exits
 * with what it returns) instead of a program. */
ASSAY_MUST_CHECK assay_status assay_command_fork(int (*function)(void *arg), void *arg,
                                                 struct assay_command_process *ret_process,
                                                 struct assay_error *err);

#endif

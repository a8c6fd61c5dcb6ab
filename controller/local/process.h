/* Processes of the local executor: the folders of an attempt, the lock that
 * makes a trial's runner the only one, starting a runner, watching a process
 * that may not be our child, and killing what a dead runner left behind.
 *
 * Not for: deciding anything; controller/local/executor.c does that.  One
 * thread; nothing blocks longer than a small file write or one look at /proc. */
#ifndef ASSAY_CONTROLLER_LOCAL_PROCESS_H
#define ASSAY_CONTROLLER_LOCAL_PROCESS_H

#include <sys/types.h>

#include "controller/executor.h"

/* Every process of an attempt carries ASSAY_ATTEMPT_KEY=<owner>.<study>.<trial>.<attempt>
 * in its environment; the owner is a hash of the data directory's real path, so
 * that daemons with other directories on the same machine leave it alone. */
#define ASSAY__LOCAL_OWNER_TEXT 17
void assay__local_owner(const char *data_dir, char owner[ASSAY__LOCAL_OWNER_TEXT]);
/* The variable's value.  Caller frees. */
char *assay__local_marker(const char *owner, const struct assay_attempt_key *key);

/* Makes trials/<study>/<trial>/{checkpoint,output} and the attempt's folder, all 0700. */
ASSAY_MUST_CHECK assay_status assay__local_make_folders(const char *data_dir,
                                                        const struct assay_attempt_key *key,
                                                        struct assay_error *err);
/* Writes a file of the attempt (0600), not atomically and without waiting for the
 * disk: after a crash of the machine the attempt is gone anyway. */
ASSAY_MUST_CHECK assay_status assay__local_write(const char *path, const void *bytes, size_t length,
                                                 struct assay_error *err);

/* Tries to take the trial's lock (flock on trial.lock).  -1 in `ret_fd` when a
 * runner holds it.  A lock that was taken is handed to the runner that is
 * started, which inherits the open file: there is no moment without a holder. */
ASSAY_MUST_CHECK assay_status assay__local_lock(const char *data_dir, int64_t study_id,
                                                int64_t trial_number, int *ret_fd,
                                                struct assay_error *err);
/* A pidfd of the runner that holds the lock, from the pid it wrote there; -1 when
 * it has written none yet or is gone. */
int assay__local_lock_holder(const char *data_dir, int64_t study_id, int64_t trial_number,
                             pid_t *ret_pid);

struct assay__local_spawn {
    const char *runner;   /* program */
    const char *job_path; /* --job */
    const char *log_path; /* stdout and stderr of the runner itself */
    int lock_fd;          /* inherited as --lock-fd */
    int start_fd;         /* write end of a pipe, inherited as --start-fd; -1 = none */
    char **environment;
};
/* Starts the runner in a session of its own with no other descriptor of ours. */
ASSAY_MUST_CHECK assay_status assay__local_spawn(const struct assay__local_spawn *spawn,
                                                 pid_t *ret_pid, int *ret_pidfd,
                                                 struct assay_error *err);
/* The daemon's environment without its own settings and secrets.  Free with
 * assay__local_environment_free. */
char **assay__local_environment(void);
void assay__local_environment_free(char **environment);

/* SIGTERM with the grace time attached, which the runner reads. */
void assay__local_ask_to_end(int pidfd, int64_t grace_us);
void assay__local_kill(int pidfd);

/* Sends SIGKILL to each process marked with an attempt of this owner for which
 * `doomed` says so; the number found.  They are gone only when a later call finds
 * none: a process may fork while it is looked for. */
size_t assay__local_kill_marked(const char *owner,
                                bool (*doomed)(void *arg, const struct assay_attempt_key *key),
                                void *arg);

#endif

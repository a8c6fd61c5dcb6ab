#include "trial-runner/preparation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"
#include "trial-runner/code_fetch.h"

struct preparation {
    const struct assay_job *job;
    const char *directory;
};

/* cp(1) knows holes, links, times and shared extents; waits for its end. */
static bool
run_cp(const char *from, const char *to)
{
    const char *const argv[] = {"cp", "-a", "--reflink=auto", "-T", "--", from, to, NULL};
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        char **copy = assay_memdup(argv, sizeof argv);

        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        execvp("cp", copy);
        fprintf(stderr, "cp can not be started: %s\n", strerror(errno));
        fflush(stderr);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

/* The copy appears whole or not at all.  A checkpoint the trial has written itself in
 * an earlier attempt stays: an empty folder only can be replaced. */
static bool
copy_checkpoint(const struct assay_job *job)
{
    assay_auto_free char *own = assay_format("%s/checkpoint", job->trial_dir);
    assay_auto_free char *fresh = assay_format("%s/checkpoint.new", job->trial_dir);
    struct assay_error err = {0};

    if (access(job->checkpoint_from, F_OK) != 0) {
        fprintf(stderr, "the checkpoint %s to go on from is gone\n", job->checkpoint_from);
        return false;
    }
    if (rmdir(own) != 0 && (errno == ENOTEMPTY || errno == EEXIST))
        return true;
    if (assay_remove_tree(fresh, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    if (!run_cp(job->checkpoint_from, fresh))
        return false;
    if (rename(fresh, own) != 0) {
        fprintf(stderr, "%s: %s\n", own, strerror(errno));
        return false;
    }
    return true;
}

/* In the child process. */
static int
prepare(void *arg)
{
    const struct preparation *preparation = arg;
    const struct assay_job *job = preparation->job;

    if (job->checkpoint_from != NULL && !copy_checkpoint(job))
        return 1;
    return job->git_url == NULL || assay_code_fetch(job, preparation->directory) ? 0 : 1;
}

bool
assay_preparation_needed(const struct assay_job *job)
{
    return job->checkpoint_from != NULL || job->git_url != NULL;
}

assay_status
assay_preparation_start(const struct assay_job *job, const char *directory,
                        struct assay_command_process *ret_process, struct assay_error *err)
{
    struct preparation preparation = {.job = job, .directory = directory};

    return assay_command_fork(prepare, &preparation, ret_process, err);
}

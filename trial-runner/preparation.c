#include "trial-runner/preparation.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"
#include "trial-runner/code_fetch.h"
#include "trial-runner/copy_tree.h"

struct preparation {
    const struct assay_job *job;
    const char *directory;
};

/* In the checkpoint's folder: the copy while it is made, and when it is whole. */
#define INCOMING ".assay-incoming"
#define ARRIVED ".assay-arrived"

static bool
complain(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return false;
}

/* Whether the folder holds anything.  One that is not there is made. */
static bool
look_into(const char *path, bool *ret_empty)
{
    DIR *folder;

    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return complain(path);
    folder = opendir(path);
    if (folder == NULL)
        return complain(path);
    *ret_empty = true;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        *ret_empty = *ret_empty && (strcmp(entry->d_name, ".") == 0 ||
                                    strcmp(entry->d_name, "..") == 0);
    closedir(folder);
    return true;
}

/* Moves what the folder holds to the one above it. */
static bool
move_up(const char *path, const char *above)
{
    DIR *folder = opendir(path);
    bool fine = true;

    if (folder == NULL)
        return complain(path);
    for (struct dirent *entry; fine && (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            assay_auto_free char *from = assay_format("%s/%s", path, entry->d_name);
            assay_auto_free char *to = assay_format("%s/%s", above, entry->d_name);

            fine = rename(from, to) == 0 || complain(to);
        }
    }
    closedir(folder);
    return fine && (rmdir(path) == 0 || complain(path));
}

/* The copy counts whole or not at all, whenever we are killed; a checkpoint the trial has
 * written itself in an earlier attempt stays.  The folder itself may be a mount, which
 * can not be replaced. */
bool
assay_preparation_bring(const char *from, const char *own)
{
    assay_auto_free char *incoming = assay_format("%s/" INCOMING, own);
    assay_auto_free char *arrived = assay_format("%s/" ARRIVED, own);
    struct assay_error err = {0};
    bool empty = false;

    if (access(from, F_OK) != 0) {
        fprintf(stderr, "the checkpoint %s to go on from is gone\n", from);
        return false;
    }
    if (access(arrived, F_OK) == 0)
        return move_up(arrived, own);
    if (assay_remove_tree(incoming, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    if (!look_into(own, &empty))
        return false;
    if (!empty)
        return true;
    if (assay_copy_tree(from, incoming, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    if (rename(incoming, arrived) != 0)
        return complain(arrived);
    return move_up(arrived, own);
}

/* In a pod the code is there already (assay-runner --install). */
static bool
fetches_code(const struct assay_job *job)
{
    return job->git_url != NULL && !job->pod;
}

/* In the child process. */
static int
prepare(void *arg)
{
    const struct preparation *preparation = arg;
    const struct assay_job *job = preparation->job;

    if (job->checkpoint_from != NULL &&
        !assay_preparation_bring(job->checkpoint_from, job->checkpoint_dir))
        return 1;
    return !fetches_code(job) || assay_code_fetch(job, preparation->directory) ? 0 : 1;
}

bool
assay_preparation_needed(const struct assay_job *job)
{
    return job->checkpoint_from != NULL || fetches_code(job);
}

assay_status
assay_preparation_start(const struct assay_job *job, const char *directory,
                        struct assay_command_process *ret_process, struct assay_error *err)
{
    struct preparation preparation = {.job = job, .directory = directory};

    return assay_command_fork(prepare, &preparation, ret_process, err);
}

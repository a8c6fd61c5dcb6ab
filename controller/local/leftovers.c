/* Processes that runners left which were lost. */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/job.h"
#include "controller/local/internal.h"

/* Looks in a row that must find nothing: a process shows no environment for a
 * moment while it executes another program. */
#define CLEAN_PASSES 2

static bool
is_being_cleaned(void *arg, const struct assay_attempt_key *key)
{
    struct assay__local_attempt *attempt = assay__local_attempt_find(arg, key);

    return attempt != NULL && attempt->stage == ASSAY__LOCAL_CLEAN;
}

void
assay__local_clean(struct assay__local_executor *executor)
{
    struct assay__local_attempt *attempt, *next;
    bool any = false;

    for (attempt = executor->attempts; attempt != NULL; attempt = attempt->hh.next)
        any |= attempt->stage == ASSAY__LOCAL_CLEAN;
    if (!any)
        return;
    any = assay__local_kill_marked(executor->owner, is_being_cleaned, executor) > 0;
    HASH_ITER(hh, executor->attempts, attempt, next)
    {
        if (attempt->stage != ASSAY__LOCAL_CLEAN)
            continue;
        if (attempt->clean_since_us == 0)
            attempt->clean_since_us = assay_monotonic_us();
        attempt->clean_passes = any ? 0 : attempt->clean_passes + 1;
        if (attempt->clean_passes == CLEAN_PASSES) {
            attempt->stage = ASSAY__LOCAL_END;
        } else if (!attempt->clean_logged &&
                   assay_monotonic_us() - attempt->clean_since_us > 10 * ASSAY_SECOND_US) {
            attempt->clean_logged = true;
            assay_log(ASSAY_LOG_WARNING,
                      "study_id=%" PRId64 " trial=%" PRId64 " attempt=%" PRId64
                      ": processes of a lost attempt do not die",
                      attempt->key.study_id, attempt->key.trial_number, attempt->key.attempt);
        }
    }
}

static bool
has_no_runner(void *arg, const struct assay_attempt_key *key)
{
    struct assay__local_executor *executor = arg;
    assay_auto_free char *trial =
        assay_trial_directory(executor->data_dir, key->study_id, key->trial_number);
    assay_auto_free char *path = assay_format("%s/trial.lock", trial);
    assay_auto_close int fd = -1;

    if (assay__local_attempt_find(executor, key) != NULL)
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0;
}

void
assay__local_sweep(struct assay__local_executor *executor)
{
    size_t killed;

    if (executor->swept)
        return;
    executor->swept = true;
    killed = assay__local_kill_marked(executor->owner, has_no_runner, executor);
    if (killed > 0)
        assay_log(ASSAY_LOG_WARNING, "killed %zu processes left by runners that were lost", killed);
}

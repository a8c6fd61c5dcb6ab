/* The local executor: attempts as processes of this machine, each under an
 * assay-runner in a session of its own.
 *
 * Runners outlive the daemon.  What ties the two together is on disk and in the
 * kernel: trial.lock, held by the runner for its whole life; result.json, written
 * before the result is told to anyone; the mark in every process's environment.
 * A restarted daemon therefore finds out the truth about an attempt by taking the
 * lock: it can not while the runner lives; when it can, the result is there or
 * the runner was lost.
 *
 * An attempt goes LOCK -> RUN -> (CLEAN ->) END, see enum assay__local_stage.  Waits that the
 * kernel does not announce (a lock held by a runner that is not our child, the
 * death of leftovers) are looked at every few milliseconds by one timer that runs only
 * while there are any. */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/local/internal.h"
#include "controller/local/machine.h"

/* The public handle is the executor itself. */
static struct assay__local_executor *
local(struct assay_executor *executor)
{
    return (struct assay__local_executor *)(void *)executor;
}

static const struct assay__local_executor *
local_const(const struct assay_executor *executor)
{
    return (const struct assay__local_executor *)(const void *)executor;
}

/* --- what attempts hold ------------------------------------------------------------------ */

static void
give_back(struct assay__local_attempt *attempt)
{
    struct assay__local_executor *executor = attempt->executor;

    if (attempt->released)
        return;
    attempt->released = true;
    assay__local_gpus_put(executor->gpus, attempt->gpus);
    executor->cpus_used -= attempt->cpus;
    executor->memory_used -= attempt->memory_bytes;
}

static void
reserve(struct assay__local_attempt *attempt, const struct assay_trial_spec *trial)
{
    attempt->cpus = trial->cpus;
    attempt->memory_bytes = trial->memory_bytes;
    attempt->executor->cpus_used += attempt->cpus;
    attempt->executor->memory_used += attempt->memory_bytes;
}

static bool
local_fits(const struct assay_executor *handle, const struct assay_trial_spec *trial,
           const struct assay_promised *promised)
{
    const struct assay__local_executor *executor = local_const(handle);

    /* The sums are of a few decimal fractions: 0.1 + 0.2 fits into 0.3. */
    return promised->gpus + trial->gpus <= (int64_t)assay__local_gpus_idle(executor->gpus) &&
           (trial->cpus <= 0 ||
            executor->cpus_used + promised->cpus + trial->cpus <= executor->cpus + 1e-9) &&
           (trial->memory_bytes <= 0 || promised->memory_bytes + trial->memory_bytes <=
                                            executor->memory_bytes - executor->memory_used);
}

static void
local_check(const struct assay_executor *handle, const char *project ASSAY_UNUSED,
            const struct assay_trial_spec *trial, const char *pointer, struct assay_faults *faults)
{
    const struct assay__local_executor *executor = local_const(handle);
    size_t gpus = assay__local_gpus_total(executor->gpus);
    assay_auto_free char *at_gpus = assay_format("%s/resources/gpus", pointer);
    assay_auto_free char *at_cpus = assay_format("%s/resources/cpus", pointer);
    assay_auto_free char *at_memory = assay_format("%s/resources/memory", pointer);
    json_t *found;

    if (trial->gpus > (int64_t)gpus) {
        const char *trouble = assay__local_gpus_trouble(executor->gpus);
        assay_auto_free char *allowed = assay_format("at most %zu", gpus);

        found = json_integer(trial->gpus);
        assay_fault_add(faults, at_gpus, found, allowed,
                        "this machine has fewer GPUs than a trial asks for%s%s",
                        trouble[0] != '\0' ? ": " : "", trouble);
        json_decref(found);
    }
    if (trial->cpus > executor->cpus) {
        assay_auto_free char *allowed = assay_format("at most %d", executor->cpus);

        found = json_real(trial->cpus);
        assay_fault_add(faults, at_cpus, found, allowed,
                        "this machine has fewer CPUs than a trial asks for");
        json_decref(found);
    }
    if (trial->memory_bytes > executor->memory_bytes) {
        assay_auto_free char *allowed = assay_format("at most %" PRId64, executor->memory_bytes);

        found = json_integer(trial->memory_bytes);
        assay_fault_add(faults, at_memory, found, allowed,
                        "this machine has less memory than a trial asks for");
        json_decref(found);
    }
}

static void
tell_ended(struct assay__local_attempt *attempt)
{
    struct assay__local_executor *executor = attempt->executor;
    struct assay_attempt_key key = attempt->key;
    /* Kept for the callback, which may start the trial's next attempt. */
    char *message = attempt->message;
    struct assay_attempt_end end = {.lost = attempt->lost,
                                    .state = attempt->state,
                                    .reason = attempt->reason,
                                    .exit_code = attempt->result_exit_code,
                                    .signal = attempt->result_signal,
                                    .message = message};

    attempt->message = NULL;
    give_back(attempt);
    assay__local_attempt_free(attempt);
    executor->events.ended(executor->events.arg, &key, &end);
    free(message);
}

/* One attempt at a time: the callbacks may add and change others. */
static void
tell_all_ended(struct assay__local_executor *executor)
{
    for (bool again = true; again;) {
        again = false;
        for (struct assay__local_attempt *a = executor->attempts; a != NULL; a = a->hh.next) {
            if (a->stage == ASSAY__LOCAL_END) {
                tell_ended(a);
                again = true;
                break;
            }
        }
    }
}

static void
on_tick(uv_timer_t *timer)
{
    struct assay__local_executor *executor = timer->data;
    struct assay__local_attempt *attempt, *next;
    bool again = false;

    assay__local_sweep(executor);
    HASH_ITER(hh, executor->attempts, attempt, next)
    {
        if (attempt->stage == ASSAY__LOCAL_LOCK)
            assay__local_attempt_look_at_lock(attempt);
    }
    /* `started` may call back into us: look each one up again. */
    for (attempt = executor->attempts; attempt != NULL; attempt = attempt->hh.next) {
        if (attempt->stage == ASSAY__LOCAL_RUN)
            assay__local_attempt_look_at_runner(attempt);
    }
    assay__local_clean(executor);
    tell_all_ended(executor);
    for (attempt = executor->attempts; attempt != NULL; attempt = attempt->hh.next)
        again |= assay__local_attempt_needs_ticks(attempt);
    if (!again)
        uv_timer_stop(&executor->tick);
}

/* --- the executor's functions ------------------------------------------------------------- */

static assay_status
local_open(const struct assay_executor_options *options, struct assay_executor **ret_executor,
           struct assay_error *err)
{
    struct assay__local_executor *executor;
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");

    if (access(options->runner, X_OK) != 0)
        return assay_fail_errno(err, errno, "%s can not be run", options->runner);
    executor = ASSAY_NEW(struct assay__local_executor);
    executor->events = options->events;
    executor->loop = options->loop;
    executor->data_dir = assay_strdup(options->data_dir);
    executor->runner = assay_strdup(options->runner);
    executor->trial_log_bytes = options->trial_log_bytes;
    executor->environment = assay__local_environment();
    executor->cpus = assay__local_machine_cpus();
    executor->memory_bytes = assay__local_machine_memory_bytes();
    executor->gpus = assay__local_gpus_new(options->pretend_gpus, visible);
    assay__local_owner(options->data_dir, executor->owner);
    uv_timer_init(options->loop, &executor->tick);
    executor->tick.data = executor;
    executor->on_tick = on_tick;
    executor->open_handles = 1;
    assay__local_tick_soon(executor); /* for the sweep */
    *ret_executor = (struct assay_executor *)(void *)executor;
    return ASSAY_OK;
}

static void
local_start(struct assay_executor *handle, const struct assay_launch *launch)
{
    struct assay__local_executor *executor = local(handle);
    const struct assay_trial_spec *trial = launch->spec->trial;
    struct assay__local_attempt *attempt = assay__local_attempt_new(executor, &launch->key);

    reserve(attempt, trial);
    if (trial->gpus > (int64_t)assay__local_gpus_idle(executor->gpus)) {
        assay__local_attempt_lose(attempt, ASSAY__LOCAL_END,
                                  assay_strdup("there were not enough free GPUs"));
        return;
    }
    /* On a machine with GPUs a trial that asks for none sees none: it would take
     * memory and time from the trials that were given them.  Without any the
     * variable is left alone. */
    if (assay__local_gpus_total(executor->gpus) > 0)
        attempt->gpus = assay__local_gpus_take(executor->gpus, (size_t)trial->gpus);
    assay__local_attempt_prepare(attempt, launch);
    if (attempt->stage == ASSAY__LOCAL_LOCK)
        assay__local_attempt_look_at_lock(attempt);
    if (attempt->stage != ASSAY__LOCAL_RUN)
        assay__local_tick_soon(executor);
}

static void
local_adopt(struct assay_executor *handle, const struct assay_launch *launch, const json_t *gpus)
{
    struct assay__local_executor *executor = local(handle);
    struct assay__local_attempt *attempt = assay__local_attempt_find(executor, &launch->key);

    if (attempt != NULL) { /* the engine loaded its study afresh */
        attempt->adopted = true;
        attempt->started = false; /* is told again */
        assay__local_tick_soon(executor);
        return;
    }
    attempt = assay__local_attempt_new(executor, &launch->key);
    attempt->adopted = true;
    reserve(attempt, launch->spec->trial);
    if (assay__local_gpus_total(executor->gpus) > 0)
        attempt->gpus = assay__local_gpus_take_named(executor->gpus, gpus);
    attempt->stage = ASSAY__LOCAL_LOCK;
    /* Without a job.json the former daemon decided the attempt and died before it
     * started anything: start it now, if its GPUs are there. */
    if (!assay__local_attempt_has_file(attempt, "job.json")) {
        if ((int64_t)json_array_size(attempt->gpus) == launch->spec->trial->gpus) {
            assay__local_attempt_prepare(attempt, launch);
        } else {
            assay__local_attempt_lose(
                attempt, ASSAY__LOCAL_END,
                assay_strdup("the daemon ended before the attempt was started"));
        }
    }
    assay__local_tick_soon(executor);
}

static void
local_stop(struct assay_executor *handle, const struct assay_attempt_key *key, int64_t grace_us)
{
    struct assay__local_executor *executor = local(handle);
    struct assay__local_attempt *attempt = assay__local_attempt_find(executor, key);

    if (attempt == NULL)
        return;
    attempt->stopping = true;
    attempt->grace_us = grace_us;
    if (attempt->stage == ASSAY__LOCAL_RUN) {
        assay__local_attempt_ask_to_end(attempt);
    } else if (attempt->stage == ASSAY__LOCAL_LOCK && attempt->job != NULL) {
        assay__local_attempt_fail(attempt, ASSAY_TRIAL_REASON_SIGNAL,
                                  assay_strdup("asked to end before it was started"));
    } else if (attempt->stage == ASSAY__LOCAL_LOCK && attempt->deliveries > 0) {
        attempt->stage = ASSAY__LOCAL_END;
    }
    assay__local_tick_soon(executor);
}

static void
local_release(struct assay_executor *handle, const struct assay_attempt_key *key)
{
    struct assay__local_attempt *attempt = assay__local_attempt_find(local(handle), key);

    if (attempt != NULL)
        give_back(attempt);
}

struct removal {
    uv_work_t work;
    struct assay__local_executor *executor;
    char *path;
};

static void
remove_folder(uv_work_t *work)
{
    struct removal *removal = work->data;
    struct assay_error err = {0};

    if (assay_remove_tree(removal->path, &err) < 0)
        assay_log(ASSAY_LOG_WARNING, "a deleted study's folder stays: %s", err.message);
}

static void
on_removed(uv_work_t *work, int status)
{
    struct removal *removal = work->data;
    struct assay__local_executor *executor = removal->executor;

    (void)status;
    free(removal->path);
    free(removal);
    executor->removals--;
    executor->open_handles++; /* handle_closed takes it back */
    assay__local_handle_closed(executor);
}

static void
local_forget(struct assay_executor *handle, int64_t study_id)
{
    struct assay__local_executor *executor = local(handle);
    struct removal *removal = ASSAY_NEW(struct removal);

    removal->executor = executor;
    removal->work.data = removal;
    removal->path = assay_format("%s/trials/%" PRId64, executor->data_dir, study_id);
    executor->removals++;
    uv_queue_work(executor->loop, &removal->work, remove_folder, on_removed);
}

static void
on_tick_closed(uv_handle_t *handle)
{
    assay__local_handle_closed(handle->data);
}

static void
local_close(struct assay_executor *handle)
{
    struct assay__local_executor *executor = local(handle);
    struct assay__local_attempt *attempt, *next;

    executor->closing = true;
    HASH_ITER(hh, executor->attempts, attempt, next)
    {
        assay__local_attempt_free(attempt);
    }
    uv_timer_stop(&executor->tick);
    uv_close((uv_handle_t *)&executor->tick, on_tick_closed);
}

const struct assay_executor_type assay_executor_local = {
    .name = "local",
    .open = local_open,
    .check = local_check,
    .fits = local_fits,
    .start = local_start,
    .adopt = local_adopt,
    .stop = local_stop,
    .release = local_release,
    .forget = local_forget,
    .close = local_close,
};

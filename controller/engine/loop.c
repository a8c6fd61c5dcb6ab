/* The engine's life: its thread, its inbox, start and end. */
#include <stdlib.h>

#include "common/memory.h"
#include "controller/engine/internal.h"

/* Leases, delays and time limits are looked at this often. */
#define TICK_MS 200

/* Nothing that is due waits for anything else: after every command, and before the loop
 * sleeps, what it leads to is done. */
static void
reconcile_due(struct assay_engine *engine)
{
    struct assay__study *study;

    while ((study = assay__due_take(engine)) != NULL)
        assay__reconcile(study);
}

static void
before_sleep(uv_prepare_t *prepare)
{
    reconcile_due(prepare->data);
}

static void
on_wake(uv_async_t *wake)
{
    struct assay_engine *engine = wake->data;
    struct assay__command *command;

    while ((command = assay__inbox_take(engine)) != NULL) {
        command->run(engine, command);
        reconcile_due(engine);
    }
}

static void *
run_loop(void *arg)
{
    struct assay_engine *engine = arg;

    uv_run(&engine->loop, UV_RUN_DEFAULT);
    return NULL;
}

static struct assay_engine *
engine_new(const struct assay_engine_options *options)
{
    struct assay_engine *engine = ASSAY_NEW(struct assay_engine);

    engine->options = *options;
    engine->data_dir = assay_strdup(options->data_dir);
    engine->program_dir = assay_strdup(options->program_dir);
    engine->trial_token_key = assay_strdup(options->trial_token_key);
    engine->store = assay_store_new(options->database_url, "assayd engine");
    pthread_mutex_init(&engine->lock, NULL);
    STAILQ_INIT(&engine->inbox);
    TAILQ_INIT(&engine->due);
    engine->settle = assay__settle;
    uv_loop_init(&engine->loop);
    uv_async_init(&engine->loop, &engine->wake, on_wake);
    uv_timer_init(&engine->loop, &engine->tick);
    uv_prepare_init(&engine->loop, &engine->before_sleep);
    engine->wake.data = engine->tick.data = engine->before_sleep.data = engine;
    return engine;
}

static assay_status
open_parts(struct assay_engine *engine, struct assay_error *err)
{
    assay_auto_free char *suggest = assay_format("%s/assay-suggest", engine->program_dir);
    assay_auto_free char *runner = assay_format("%s/assay-runner", engine->program_dir);
    struct assay_suggest_host_options host = {
        .loop = &engine->loop,
        .events = assay__host_events,
        .program = suggest,
        .workers = engine->options.suggest_workers,
        .memory_bytes = engine->options.suggest_memory_bytes,
        .deadline_us = engine->options.suggest_deadline_us,
        .arguments = engine->options.suggest_arguments,
        .relay_arguments = engine->options.suggest_relay_arguments,
    };
    struct assay_executor_options executor = {
        .loop = &engine->loop,
        .events = assay__executor_events,
        .data_dir = engine->data_dir,
        .runner = runner,
        .pretend_gpus = engine->options.pretend_gpus,
        .trial_log_bytes = engine->options.trial_log_bytes,
        .kubernetes = engine->options.kubernetes,
    };
    static const struct assay_executor_type *const types[ASSAY__EXECUTORS] = {
        &assay_executor_local, &assay_executor_kubernetes};
    assay_status status = ASSAY_OK;

    host.events.arg = engine;
    executor.events.arg = engine;
    engine->host = assay_suggest_host_new(&host);
    for (size_t i = 0; status == ASSAY_OK && i < ASSAY__EXECUTORS; i++) {
        engine->executors[i].type = types[i];
        status = types[i]->open(&executor, &engine->executors[i].handle, err);
    }
    return status;
}

/* What makes commits. */
static void
close_sources(struct assay_engine *engine)
{
    for (size_t i = 0; i < ASSAY__EXECUTORS; i++) {
        if (engine->executors[i].handle != NULL)
            engine->executors[i].type->close(engine->executors[i].handle);
    }
    assay_suggest_host_close(engine->host);
    uv_close((uv_handle_t *)&engine->tick, NULL);
}

static void
close_rest(struct assay_engine *engine)
{
    uv_close((uv_handle_t *)&engine->before_sleep, NULL);
    uv_close((uv_handle_t *)&engine->wake, NULL);
}

static struct assay_engine *
engine_free(struct assay_engine *engine)
{
    uv_run(&engine->loop, UV_RUN_DEFAULT);
    ASSAY_ASSERT(uv_loop_close(&engine->loop) == 0);
    assay__absent_free(engine);
    assay_suggest_host_free(engine->host);
    assay_store_free(engine->store);
    pthread_mutex_destroy(&engine->lock);
    free(engine->data_dir);
    free(engine->program_dir);
    free(engine->trial_token_key);
    free(engine);
    return NULL;
}

assay_status
assay_engine_start(const struct assay_engine_options *options, struct assay_engine **ret_engine,
                   struct assay_error *err)
{
    struct assay_engine *engine;
    struct assay__study *study, *next;
    assay_status status = assay_machine_check(&assay_study_machine, ASSAY_STUDY_RUNNING, err);

    if (status == ASSAY_OK)
        status = assay_machine_check(&assay_trial_machine, ASSAY_TRIAL_QUEUED, err);
    if (status != ASSAY_OK)
        return status;
    engine = engine_new(options);
    status = open_parts(engine, err);
    if (status == ASSAY_OK)
        status = assay__studies_load(engine, err);
    if (status != ASSAY_OK) {
        HASH_ITER(hh, engine->studies, study, next)
            assay__study_drop(study, "the engine did not start");
        close_sources(engine);
        close_rest(engine);
        engine_free(engine);
        return status;
    }
    HASH_ITER(hh, engine->studies, study, next)
        assay__study_due(study);
    uv_prepare_start(&engine->before_sleep, before_sleep);
    uv_timer_start(&engine->tick, assay__tick, TICK_MS, TICK_MS);
    ASSAY_ASSERT(pthread_create(&engine->thread, NULL, run_loop, engine) == 0);
    *ret_engine = engine;
    return ASSAY_OK;
}

/* --- end */

struct stop_command {
    struct assay__command command;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t busy; /* processes and commits left; -1 = not counted yet */
};

/* Whether its attempt runs on without the daemon. */
static bool
goes_on(const struct assay__trial *trial)
{
    return assay__executor_for(trial->study->engine, trial->study->spec->trial)->type->goes_on;
}

static int64_t
count_busy(const struct assay_engine *engine)
{
    int64_t busy = engine->commits;
    const struct assay__study *study;
    const struct assay__trial *trial;

    for (study = engine->studies; study != NULL; study = study->hh.next) {
        for (trial = study->trials; trial != NULL; trial = trial->hh.next)
            busy += trial->executing && !goes_on(trial);
    }
    return busy;
}

static void
answer_busy(struct assay_engine *engine, struct assay__command *command)
{
    struct stop_command *stop = (struct stop_command *)command;

    pthread_mutex_lock(&stop->lock);
    stop->busy = count_busy(engine);
    pthread_cond_signal(&stop->changed);
    pthread_mutex_unlock(&stop->lock);
}

/* Ends every attempt; their trials go back to the queue as they end. */
static void
begin_drain(struct assay_engine *engine, struct assay__command *command)
{
    struct assay__study *study, *next;
    struct assay__trial *trial, *next_trial;

    engine->stopping = true;
    for (size_t i = 0; i < ASSAY__EXECUTORS; i++) {
        if (engine->executors[i].type->stop_reading != NULL)
            engine->executors[i].type->stop_reading(engine->executors[i].handle);
    }
    HASH_ITER(hh, engine->studies, study, next)
    {
        HASH_ITER(hh, study->trials, trial, next_trial)
        {
            if (trial->executing && !goes_on(trial))
                assay__attempt_stop(trial);
        }
    }
    answer_busy(engine, command);
}

/* Pods go on and tell of themselves until here. */
static void
finish_sources(struct assay_engine *engine, struct assay__command *command)
{
    struct assay__study *study, *next;

    HASH_ITER(hh, engine->studies, study, next)
        assay__study_drop(study, "the daemon is stopping");
    close_sources(engine);
    answer_busy(engine, command);
}

static void
finish_loop(struct assay_engine *engine, struct assay__command *command)
{
    close_rest(engine);
    answer_busy(engine, command);
}

static int64_t
ask_engine(struct assay_engine *engine,
           void (*run)(struct assay_engine *, struct assay__command *))
{
    struct stop_command stop = {.command.run = run, .busy = -1};

    pthread_mutex_init(&stop.lock, NULL);
    pthread_cond_init(&stop.changed, NULL);
    assay__post(engine, &stop.command);
    pthread_mutex_lock(&stop.lock);
    while (stop.busy < 0)
        pthread_cond_wait(&stop.changed, &stop.lock);
    pthread_mutex_unlock(&stop.lock);
    pthread_mutex_destroy(&stop.lock);
    pthread_cond_destroy(&stop.changed);
    return stop.busy;
}

bool
assay_engine_drain(struct assay_engine *engine, int64_t timeout_us)
{
    int64_t deadline_us = assay_monotonic_us() + timeout_us;
    int64_t busy = ask_engine(engine, begin_drain);

    while (busy > 0 && assay_monotonic_us() < deadline_us) {
        struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

        nanosleep(&pause, NULL);
        busy = ask_engine(engine, answer_busy);
    }
    return busy == 0;
}

struct assay_engine *
assay_engine_stop(struct assay_engine *engine)
{
    if (engine == NULL)
        return NULL;
    /* The writer answers every commit, and the answer needs the engine. */
    for (int64_t busy = ask_engine(engine, finish_sources); busy > 0;
         busy = ask_engine(engine, answer_busy)) {
        struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};

        nanosleep(&pause, NULL);
    }
    ask_engine(engine, finish_loop);
    pthread_join(engine->thread, NULL);
    return engine_free(engine);
}

void
assay_engine_check_resources(struct assay_engine *engine, const struct assay_study_spec *spec,
                             const char *pointer, struct assay_faults *faults)
{
    struct assay__executor *executor;

    if (spec->trial == NULL)
        return;
    executor = assay__executor_for(engine, spec->trial);
    executor->type->check(executor->handle, spec->project, spec->trial, pointer, faults);
}

char *
assay_engine_unable(struct assay_engine *engine, const struct assay_study_spec *spec)
{
    struct assay__executor *executor;

    if (spec->trial == NULL)
        return NULL;
    executor = assay__executor_for(engine, spec->trial);
    return executor->type->unable != NULL ? executor->type->unable(executor->handle, spec->trial)
                                          : NULL;
}

void
assay_engine_get_stats(struct assay_engine *engine, struct assay_engine_stats *ret_stats)
{
    pthread_mutex_lock(&engine->lock);
    *ret_stats = engine->stats;
    pthread_mutex_unlock(&engine->lock);
}

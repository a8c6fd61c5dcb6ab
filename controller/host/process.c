/* The host's processes: start, end, bytes in both directions. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/host/internal.h"
#include "suggest/registry.h"
#include "suggest/worker_end.h"

/* A worker that keeps dying, or whose place is away, is started again after this. */
#define START_AGAIN_MS 1000
/* A relay that has neither connected nor said why not by then (it gives up before). */
#define CONNECT_MS 30000
/* A place that was away is not worth moving a study to for so long. */
#define AWAY_US (10 * ASSAY_SECOND_US)

static void
handle_closed(uv_handle_t *handle)
{
    struct assay__host_process *process = handle->data;

    if (--process->open_handles > 0)
        return;
    assay_buffer_done(&process->received);
    free(process);
}

/* Ends the conversation.  The process's own handle stays until its exit was
 * seen, so that it is reaped. */
static void
process_close(struct assay__host_process *process)
{
    process->worker->process = NULL;
    process->worker = NULL;
    uv_close((uv_handle_t *)&process->in, handle_closed);
    uv_close((uv_handle_t *)&process->out, handle_closed);
}

void
assay__host_end_process(struct assay__host_worker *worker)
{
    struct assay__host_ask *ask;

    while ((ask = TAILQ_FIRST(&worker->sent)) != NULL && ask->study == NULL) {
        TAILQ_REMOVE(&worker->sent, ask, link);
        assay__host_ask_free(ask);
    }
    if (worker->process == NULL)
        return;
    if (!worker->host->closing)
        uv_timer_stop(&worker->timer);
    uv_process_kill(&worker->process->handle, SIGKILL);
    process_close(worker->process);
    worker->starts_in_a_row = 0;
}

/* "the algorithm x", with the plugin it comes from.  Caller frees. */
static char *
describe_algorithm(const struct assay__hosted *study)
{
    const char *name = assay__host_algorithm(study);
    const struct assay_plugin *plugin = assay_registry_plugin_of(name);

    if (plugin == NULL)
        return assay_format("the algorithm %s", name);
    return assay_format("the algorithm %s of the plugin %s %s", name, plugin->name,
                        plugin->version);
}

/* Every ask that was sent waits again, in its old order and before the others;
 * nobody waits for the prepared ones. */
static void
take_back(struct assay__host_worker *worker)
{
    struct assay__host_ask *ask;

    while ((ask = TAILQ_LAST(&worker->sent, assay__host_asks)) != NULL) {
        TAILQ_REMOVE(&worker->sent, ask, link);
        ask->sent_us = 0;
        if (ask->ahead || ask->study == NULL) {
            if (ask->study != NULL)
                ask->study->ahead = NULL;
            assay__host_ask_free(ask);
        } else {
            TAILQ_INSERT_HEAD(&worker->waiting, ask, link);
        }
    }
}

/* Its worker died or fell silent over the study: it lives apart from now on, so that
 * it harms nobody a second time. */
static void
move_apart(struct assay__hosted *study)
{
    assay__host_move(study, assay__host_worker_apart(study));
    assay_log(ASSAY_LOG_WARNING, "study %lld (algorithm %s) goes on in suggestion worker %d, apart",
              (long long)study->id, assay__host_algorithm(study), study->worker->index);
}

/* Whatever the process knew must be told again; what it was asked waits again. */
static void
forget_process(struct assay__host_worker *worker)
{
    process_close(worker->process);
    uv_timer_stop(&worker->timer);
    if (worker->host->closing)
        return;
    take_back(worker);
    for (struct assay__hosted *study = worker->host->studies; study != NULL;
         study = study->hh.next) {
        if (study->worker != worker || !study->opened)
            continue;
        study->opened = false;
        assay__host_ahead_list(study, 0); /* ready again before it is asked */
    }
}

/* The process is gone or no use any more.  Only the ask it was busy with counts a try:
 * the others waited in line. */
static void
process_gone(struct assay__host_worker *worker, const char *what)
{
    struct assay_suggest_host *host = worker->host;
    struct assay__host_ask *first = TAILQ_FIRST(&worker->sent);
    struct assay__hosted *culprit = first != NULL ? first->study : NULL;
    bool ahead = first != NULL && first->ahead;

    forget_process(worker);
    if (host->closing)
        return;
    host->stats.respawns++;
    if (culprit != NULL && ahead) {
        culprit->harmful = true;
    } else if (culprit != NULL && ++first->tries >= ASSAY_SUGGEST_TRIES) {
        assay_auto_free char *algorithm = describe_algorithm(culprit);
        assay_auto_free char *sentence =
            assay_format("%s failed %d times in a row: %s", algorithm, first->tries, what);

        TAILQ_REMOVE(&worker->waiting, first, link);
        assay__host_fail(host, first, sentence);
        culprit = NULL;
    }
    if (culprit != NULL && !assay__host_is_apart(worker)) {
        move_apart(culprit);
        assay__host_pump(culprit->worker);
    }
    assay__host_pump(worker);
}

static void place_gone(struct assay__host_worker *worker, const char *sentence);

static void
process_exited(uv_process_t *handle, int64_t status, int signal)
{
    struct assay__host_process *process = handle->data;
    struct assay__host_worker *worker = process->worker;
    assay_auto_free char *what = NULL;

    uv_close((uv_handle_t *)handle, handle_closed);
    if (worker == NULL)
        return;
    what = assay_worker_describe_end(status, signal, worker->host->options.memory_bytes);
    if (!worker->host->closing)
        assay_log(ASSAY_LOG_WARNING, "suggestion worker %d: %s; starting another", worker->index,
                  what);
    if (process->ready)
        process_gone(worker, what);
    else
        place_gone(worker, what); /* a relay that could not even say why */
}

static void deadline_passed(uv_timer_t *timer);

/* Nothing will be answered any more. */
static void
give_process_up(struct assay__host_worker *worker, const char *what)
{
    assay_log(ASSAY_LOG_WARNING, "suggestion worker %d: %s; killing it", worker->index, what);
    uv_process_kill(&worker->process->handle, SIGKILL);
    process_gone(worker, what);
}

/* The worker's place can not be reached, or has ended the conversation, which is no study's
 * doing: what was asked is asked again. */
static void
place_gone(struct assay__host_worker *worker, const char *sentence)
{
    struct assay_suggest_host *host = worker->host;
    bool connected = worker->process->ready;
    struct assay__host_ask *ask = TAILQ_FIRST(&worker->sent);

    if (ask != NULL && (ask->ahead || ask->study == NULL))
        ask = NULL; /* nobody waits for it */
    forget_process(worker);
    if (host->closing)
        return;
    if (connected) {
        host->stats.respawns++;
        /* Unless it is always the same ask under which the whole place goes. */
        if (ask != NULL && ++ask->cuts >= ASSAY_SUGGEST_CUTS) {
            assay_auto_free char *algorithm = describe_algorithm(ask->study);
            assay_auto_free char *why = assay_format("%s lost its worker %d times in a row: %s",
                                                     algorithm, ask->cuts, sentence);

            TAILQ_REMOVE(&worker->waiting, ask, link);
            assay__host_fail(host, ask, why);
        }
        assay__host_pump(worker);
        return;
    }
    host->stats.unreached++;
    worker->away_until_us = assay_monotonic_us() + AWAY_US;
    uv_timer_start(&worker->timer, deadline_passed, START_AGAIN_MS, 0);
    TAILQ_FOREACH(ask, &worker->waiting, link)
        host->options.events.waits(host->options.events.arg, ask->study_id, sentence);
}

void
assay__host_take_ready(struct assay__host_worker *worker)
{
    struct assay__host_process *process = worker->process;

    if (process->ready)
        return;
    process->ready = true;
    worker->away_until_us = 0;
    uv_timer_stop(&worker->timer);
    for (struct assay__hosted *study = worker->host->studies; study != NULL;
         study = study->hh.next) {
        if (study->worker == worker && study->ask == NULL)
            assay__host_ahead_list(study, 0);
    }
    assay__host_pump(worker);
}

void
assay__host_take_gone(struct assay__host_worker *worker, bool away, const char *sentence)
{
    assay_log(ASSAY_LOG_WARNING, "suggestion worker %d: %s", worker->index, sentence);
    uv_process_kill(&worker->process->handle, SIGKILL);
    if (away)
        place_gone(worker, sentence);
    else
        process_gone(worker, sentence);
}

static void
deadline_passed(uv_timer_t *timer)
{
    struct assay__host_worker *worker = timer->data;
    assay_auto_free char *what = NULL;

    if (worker->process == NULL) { /* the delay of a restart is over */
        assay__host_pump(worker);
        return;
    }
    if (!worker->process->ready) {
        assay__host_take_gone(worker, true, "the place of the suggestion workers does not answer");
        return;
    }
    what = assay_format("no answer within %.3g s",
                        (double)worker->host->options.deadline_us / ASSAY_SECOND_US);
    give_process_up(worker, what);
}

void
assay__host_watch(struct assay__host_worker *worker)
{
    if (!TAILQ_EMPTY(&worker->sent))
        uv_timer_start(&worker->timer, deadline_passed,
                       (uint64_t)(worker->host->options.deadline_us / 1000), 0);
    else
        uv_timer_stop(&worker->timer);
}

static void
allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    *buffer = uv_buf_init(assay_alloc(suggested, 1), (unsigned)suggested);
}

static void
received(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct assay__host_process *process = stream->data;

    if (n > 0 && process->worker != NULL)
        assay_buffer_add(&process->received, bytes->base, (size_t)n);
    free(bytes->base);
    if (n < 0) {
        uv_read_stop(stream); /* its exit is told separately */
        return;
    }
    while (process->worker != NULL) {
        struct assay_error err = {0};
        struct assay_protocol_reply reply;
        json_t *message = NULL;
        assay_status status = assay_protocol_frame_take(&process->received, &message, &err);

        if (status == ASSAY_OK && message == NULL)
            return;
        if (status == ASSAY_OK)
            status = assay_protocol_reply_decode(message, &reply, &err);
        if (status == ASSAY_OK)
            assay__host_take_reply(process->worker, &reply);
        else
            give_process_up(process->worker, err.message);
        json_decref(message);
    }
}

struct sending {
    uv_write_t request;
    struct assay_buffer bytes;
};

static void
sent(uv_write_t *request, int status)
{
    struct sending *sending = request->data;

    (void)status; /* a broken pipe is followed by the process's exit */
    assay_buffer_done(&sending->bytes);
    free(sending);
}

void
assay__host_send(struct assay__host_worker *worker, json_t *message)
{
    struct sending *sending = ASSAY_NEW(struct sending);
    struct assay_error err = {0};
    uv_buf_t bytes;

    if (assay_protocol_frame_add(&sending->bytes, message, &err) != ASSAY_OK)
        assay_log(ASSAY_LOG_ERROR, "suggestion worker %d: a message was not sent: %s",
                  worker->index, err.message);
    json_decref(message);
    bytes = uv_buf_init(sending->bytes.data, (unsigned)sending->bytes.length);
    sending->request.data = sending;
    if (uv_write(&sending->request, (uv_stream_t *)&worker->process->in, &bytes, 1, sent) != 0)
        sent(&sending->request, UV_EPIPE);
}

static int
process_start(struct assay__host_worker *worker)
{
    struct assay_suggest_host *host = worker->host;
    bool relayed = assay__host_is_relayed(worker);
    char **arguments = relayed ? host->relay_arguments : host->arguments;
    struct assay__host_process *process = ASSAY_NEW(struct assay__host_process);
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&process->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&process->out},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    uv_process_options_t options = {
        .file = arguments[0],
        .args = arguments,
        .env = host->environment,
        .stdio = stdio,
        .stdio_count = 3,
        .exit_cb = process_exited,
    };
    int rc;

    uv_pipe_init(host->options.loop, &process->in, 0);
    uv_pipe_init(host->options.loop, &process->out, 0);
    process->in.data = process->out.data = process->handle.data = process;
    process->open_handles = 3;
    process->worker = worker;
    worker->process = process;
    rc = uv_spawn(host->options.loop, &process->handle, &options);
    if (rc != 0) {
        process_close(process);
        uv_close((uv_handle_t *)&process->handle, handle_closed);
        return rc;
    }
    process->ready = !relayed;
    if (relayed)
        uv_timer_start(&worker->timer, deadline_passed, CONNECT_MS, 0);
    worker->starts_in_a_row++;
    uv_read_start((uv_stream_t *)&process->out, allocate, received);
    return 0;
}

bool
assay__host_ensure_process(struct assay__host_worker *worker)
{
    struct assay__host_ask *ask;
    int rc;

    if (worker->process != NULL)
        return worker->process->ready;
    if (worker->starts_in_a_row > ASSAY_SUGGEST_TRIES) {
        worker->starts_in_a_row = 1;
        uv_timer_start(&worker->timer, deadline_passed, START_AGAIN_MS, 0);
        return false;
    }
    if (uv_is_active((uv_handle_t *)&worker->timer))
        return false; /* the delay goes on */
    rc = process_start(worker);
    if (rc == 0)
        return worker->process->ready;
    assay_log(ASSAY_LOG_ERROR, "suggestion worker %d: starting %s: %s", worker->index,
              worker->host->arguments[0], uv_strerror(rc));
    while ((ask = TAILQ_FIRST(&worker->waiting)) != NULL) {
        assay_auto_free char *sentence =
            assay_format("the suggestion worker %s can not be started: %s",
                         worker->host->arguments[0], uv_strerror(rc));

        TAILQ_REMOVE(&worker->waiting, ask, link);
        assay__host_fail(worker->host, ask, sentence);
    }
    return false;
}

char **
assay__host_environment(void)
{
    size_t n = 0;
    char **copy;

    while (environ[n] != NULL)
        n++;
    copy = assay_zalloc(n + 2, sizeof *copy);
    copy[0] = assay_strdup("OPENBLAS_NUM_THREADS=1"); /* the first of a name holds */
    for (size_t i = 0; i < n; i++)
        copy[i + 1] = assay_strdup(environ[i]);
    return copy;
}

char **
assay__host_arguments(const struct assay_suggest_host_options *options)
{
    size_t n = 0, k = 0;
    char **copy;

    while (options->arguments != NULL && options->arguments[n] != NULL)
        n++;
    copy = assay_zalloc(n + 6, sizeof *copy);
    copy[k++] = assay_strdup(options->program);
    copy[k++] = assay_strdup("--memory-limit");
    copy[k++] = assay_format("%lld", (long long)options->memory_bytes);
    copy[k++] = assay_strdup("--deadline");
    copy[k++] = assay_format("%lldms", (long long)(options->deadline_us / 1000));
    for (size_t i = 0; i < n; i++)
        copy[k++] = assay_strdup(options->arguments[i]);
    return copy;
}

char **
assay__host_relay_arguments(const struct assay_suggest_host_options *options)
{
    size_t n = 0;
    char **copy;

    if (options->relay_arguments == NULL)
        return NULL;
    while (options->relay_arguments[n] != NULL)
        n++;
    copy = assay_zalloc(n + 2, sizeof *copy);
    copy[0] = assay_strdup(options->program);
    for (size_t i = 0; i < n; i++)
        copy[i + 1] = assay_strdup(options->relay_arguments[i]);
    return copy;
}

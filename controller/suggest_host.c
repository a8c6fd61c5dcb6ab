#include "controller/suggest_host.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>
#include <uthash.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "schemas/decode.h"
#include "suggest/protocol.h"
#include "suggest/registry.h"
#include "suggest/worker.h"

/* Tells are sent in one frame with the next ask, or when so many have gathered. */
#define TELLS_PER_FRAME 500
/* A history that could not be read is read again after this. */
#define READ_AGAIN_MS 500

struct ask {
    struct hosted *study;
    int64_t request;
    int64_t *numbers;
    size_t n_numbers;
    int tries; /* times its worker died or was killed over it */
    bool sent;
    TAILQ_ENTRY(ask) link;
};
TAILQ_HEAD(ask_list, ask);

struct hosted {
    int64_t id;
    struct worker *worker;
    json_t *document;
    json_t *tells;  /* array, not sent yet */
    bool opened;    /* the worker's process knows it */
    char *trouble;  /* why its last open or tell failed; NULL: it did not */
    struct ask *ask;
    int64_t last_request;
    UT_hash_handle hh;
};

/* One process; replaced by a fresh one in the same slot when it ends. */
struct process {
    uv_process_t handle;
    uv_pipe_t in, out;
    struct worker *worker; /* NULL once it was given up */
    struct assay_buffer received;
    int open_handles;
};

struct worker {
    struct assay_suggest_host *host;
    int index;
    struct process *process;  /* NULL: none runs */
    struct ask_list asks;     /* in the order the process will answer */
    int studies;              /* that live with it */
    uv_timer_t timer;         /* deadline of the first ask; delay of the next start */
    int starts_in_a_row;      /* without an answer in between: backs off */
};

struct assay_suggest_host {
    struct assay_suggest_host_options options;
    char **arguments;   /* the program, its limits, what the options add */
    char **environment; /* ours, and one BLAS thread: the same sums on every machine */
    struct worker *workers; /* options.workers shared ones, then those for studies apart */
    struct hosted *studies;
    uv_timer_t again; /* some history could not be read */
    int64_t respawns;
    bool closing;
};

static void pump(struct worker *worker);

static int
worker_count(const struct assay_suggest_host *host)
{
    return host->options.workers + ASSAY_SUGGEST_APART;
}

static void
process_handle_closed(uv_handle_t *handle)
{
    struct process *process = handle->data;

    if (--process->open_handles > 0)
        return;
    assay_buffer_done(&process->received);
    free(process);
}

/* Ends the conversation.  The process's own handle stays until its exit was
 * seen, so that it is reaped. */
static void
process_close(struct process *process)
{
    process->worker = NULL;
    uv_close((uv_handle_t *)&process->in, process_handle_closed);
    uv_close((uv_handle_t *)&process->out, process_handle_closed);
}

static void
ask_free(struct ask *ask)
{
    free(ask->numbers);
    free(ask);
}

/* Takes the ask out of its lists; the study may ask again. */
static void
ask_finish(struct ask *ask)
{
    TAILQ_REMOVE(&ask->study->worker->asks, ask, link);
    ask->study->ask = NULL;
    ask_free(ask);
}

static void
fail_ask(struct assay_suggest_host *host, struct ask *ask, const char *sentence)
{
    int64_t id = ask->study->id;

    ask_finish(ask);
    host->options.events.failed(host->options.events.arg, id, sentence);
}

/* --- where studies live --- */

static bool
is_apart(const struct worker *worker)
{
    return worker->index >= worker->host->options.workers;
}

static const char *
algorithm_of(const struct hosted *study)
{
    const char *name = json_string_value(
        json_object_get(json_object_get(study->document, "algorithm"), "name"));

    return name != NULL ? name : "auto";
}

/* The one with the fewest studies, which is mostly none. */
static struct worker *
worker_apart(struct assay_suggest_host *host)
{
    struct worker *best = &host->workers[host->options.workers];

    for (int i = 1; i < ASSAY_SUGGEST_APART; i++) {
        struct worker *other = &host->workers[host->options.workers + i];

        if (other->studies < best->studies)
            best = other;
    }
    return best;
}

static void
settle(struct hosted *study, struct worker *worker)
{
    study->worker = worker;
    worker->studies++;
}

/* Its process ends with the last study of a worker apart. */
static void
leave(struct hosted *study)
{
    struct worker *worker = study->worker;

    if (--worker->studies == 0 && is_apart(worker) && worker->process != NULL) {
        uv_process_kill(&worker->process->handle, SIGKILL);
        process_close(worker->process);
        worker->process = NULL;
        worker->starts_in_a_row = 0;
    }
}

/* Takes the study and its ask to a worker of its own, so that it harms nobody a
 * second time. */
static void
move_apart(struct hosted *study)
{
    struct worker *to = worker_apart(study->worker->host);

    if (study->ask != NULL) {
        TAILQ_REMOVE(&study->worker->asks, study->ask, link);
        TAILQ_INSERT_TAIL(&to->asks, study->ask, link);
    }
    leave(study);
    settle(study, to);
    study->opened = false;
    assay_log(ASSAY_LOG_WARNING, "study %lld (algorithm %s) goes on in suggestion worker %d, apart",
              (long long)study->id, algorithm_of(study), to->index);
}

/* "the algorithm x", with the plugin it comes from.  Caller frees. */
static char *
describe_algorithm(const struct hosted *study)
{
    const char *name = algorithm_of(study);
    const struct assay_plugin *plugin = assay_registry_plugin_of(name);

    if (plugin == NULL)
        return assay_format("the algorithm %s", name);
    return assay_format("the algorithm %s of the plugin %s %s", name, plugin->name,
                        plugin->version);
}

/* The process is gone or no use any more: whatever it knew must be told again.
 * Only the ask it was busy with counts a try: the others waited in line. */
static void
process_gone(struct worker *worker, const char *what)
{
    struct assay_suggest_host *host = worker->host;
    struct ask *first = TAILQ_FIRST(&worker->asks), *ask;

    process_close(worker->process);
    worker->process = NULL;
    uv_timer_stop(&worker->timer);
    if (host->closing)
        return;
    host->respawns++;
    for (struct hosted *study = host->studies; study != NULL; study = study->hh.next) {
        if (study->worker == worker)
            study->opened = false;
    }
    TAILQ_FOREACH(ask, &worker->asks, link)
        ask->sent = false;
    if (first != NULL && ++first->tries >= ASSAY_SUGGEST_TRIES) {
        assay_auto_free char *algorithm = describe_algorithm(first->study);
        assay_auto_free char *sentence =
            assay_format("%s failed %d times in a row: %s", algorithm, first->tries, what);

        fail_ask(host, first, sentence);
    } else if (first != NULL && !is_apart(worker)) {
        move_apart(first->study);
        pump(first->study->worker);
    }
    pump(worker);
}

/* Caller frees. */
static char *
describe_end(const struct worker *worker, int64_t status, int signal)
{
    if (signal == 0 && status == ASSAY_WORKER_EXIT_MEMORY) {
        json_auto_t *limit = assay_json_bytes(worker->host->options.memory_bytes);

        return assay_format("it needed more memory than its limit of %s",
                            json_string_value(limit));
    }
    if (signal == SIGKILL)
        return assay_format("its process was killed (signal 9), by hand or because the machine "
                            "ran out of memory");
    if (signal != 0)
        return assay_format("its process was ended by signal %d (%s)", signal, strsignal(signal));
    return assay_format("its process ended with exit code %d", (int)status);
}

static void
process_exited(uv_process_t *handle, int64_t status, int signal)
{
    struct process *process = handle->data;
    struct worker *worker = process->worker;
    assay_auto_free char *what = NULL;

    uv_close((uv_handle_t *)handle, process_handle_closed);
    if (worker == NULL)
        return;
    what = describe_end(worker, status, signal);
    if (!worker->host->closing)
        assay_log(ASSAY_LOG_WARNING, "suggestion worker %d: %s; starting another", worker->index,
                  what);
    process_gone(worker, what);
}

/* Nothing will be answered any more. */
static void
give_process_up(struct worker *worker, const char *what)
{
    assay_log(ASSAY_LOG_WARNING, "suggestion worker %d: %s; killing it", worker->index, what);
    uv_process_kill(&worker->process->handle, SIGKILL);
    process_gone(worker, what);
}

static void
deadline_passed(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    assay_auto_free char *what = NULL;

    if (worker->process == NULL) { /* the delay of a restart is over */
        pump(worker);
        return;
    }
    what = assay_format("no answer within %.3g s",
                        (double)worker->host->options.deadline_us / ASSAY_SECOND_US);
    give_process_up(worker, what);
}

/* Runs the deadline of the ask the process is busy with. */
static void
watch_first(struct worker *worker)
{
    struct ask *first = TAILQ_FIRST(&worker->asks);

    if (first != NULL && first->sent)
        uv_timer_start(&worker->timer, deadline_passed,
                       (uint64_t)(worker->host->options.deadline_us / 1000), 0);
    else
        uv_timer_stop(&worker->timer);
}

static struct hosted *
find_study(struct assay_suggest_host *host, int64_t id)
{
    struct hosted *study;

    HASH_FIND(hh, host->studies, &id, sizeof id, study);
    return study;
}

/* An ask was answered with an error: it fails, or is tried once more where that
 * may help. */
static void
take_error(struct worker *worker, struct ask *ask, const struct assay_protocol_reply *reply)
{
    struct hosted *study = ask->study;
    bool unknown = strcmp(reply->code, ASSAY_PROTOCOL_UNKNOWN_STUDY) == 0;
    bool again = unknown || strcmp(reply->code, assay_status_name(ASSAY_E_UNAVAILABLE)) == 0;
    const struct assay_plugin *plugin = assay_registry_plugin_of(algorithm_of(study));

    if (again && ++ask->tries < ASSAY_SUGGEST_TRIES) {
        study->opened = study->opened && !unknown;
        ask->sent = false;
        /* Behind those that have been sent: answers come in the order of the asks. */
        TAILQ_REMOVE(&worker->asks, ask, link);
        TAILQ_INSERT_TAIL(&worker->asks, ask, link);
        pump(worker);
    } else {
        const char *why = unknown && study->trouble != NULL ? study->trouble : reply->message;
        assay_auto_free char *sentence =
            plugin != NULL
                ? assay_format("plugin %s %s: %s", plugin->name, plugin->version, why)
                : assay_strdup(why);

        fail_ask(worker->host, ask, sentence);
    }
    watch_first(worker);
}

/* One reply.  What answers an ask that was given up is passed over; what is about
 * an open or tell is kept for the ask that follows and will fail. */
static void
take_reply(struct worker *worker, const struct assay_protocol_reply *reply)
{
    struct assay_suggest_host *host = worker->host;
    struct hosted *study = find_study(host, reply->study);
    struct ask *ask = study != NULL ? study->ask : NULL;

    if (study != NULL && study->worker == worker && reply->request < 0) {
        free(study->trouble);
        study->trouble = assay_strdup(reply->message);
    }
    if (ask == NULL || !ask->sent || reply->request != ask->request)
        return;
    worker->starts_in_a_row = 0;
    if (reply->code != NULL) {
        take_error(worker, ask, reply);
        return;
    }
    ask_finish(ask);
    watch_first(worker);
    host->options.events.suggested(host->options.events.arg, reply->study, reply->trials,
                                   reply->exhausted);
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
    struct process *process = stream->data;

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
            take_reply(process->worker, &reply);
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

/* Takes the message. */
static void
send_message(struct process *process, json_t *message)
{
    struct sending *sending = ASSAY_NEW(struct sending);
    struct assay_error err = {0};
    uv_buf_t bytes;

    if (assay_protocol_frame_add(&sending->bytes, message, &err) != ASSAY_OK)
        assay_log(ASSAY_LOG_ERROR, "suggestion worker %d: a message was not sent: %s",
                  process->worker->index, err.message);
    json_decref(message);
    bytes = uv_buf_init(sending->bytes.data, (unsigned)sending->bytes.length);
    sending->request.data = sending;
    if (uv_write(&sending->request, (uv_stream_t *)&process->in, &bytes, 1, sent) != 0)
        sent(&sending->request, UV_EPIPE);
}

static int
process_start(struct worker *worker)
{
    struct assay_suggest_host *host = worker->host;
    struct process *process = ASSAY_NEW(struct process);
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&process->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&process->out},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    uv_process_options_t options = {
        .file = host->arguments[0],
        .args = host->arguments,
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
    rc = uv_spawn(host->options.loop, &process->handle, &options);
    if (rc != 0) {
        process_close(process);
        uv_close((uv_handle_t *)&process->handle, process_handle_closed);
        return rc;
    }
    process->worker = worker;
    worker->process = process;
    worker->starts_in_a_row++;
    uv_read_start((uv_stream_t *)&process->out, allocate, received);
    return 0;
}

/* Starts the worker's process, or waits a little when it keeps dying. */
static bool
ensure_process(struct worker *worker)
{
    int rc;

    if (worker->process != NULL)
        return true;
    if (worker->starts_in_a_row > ASSAY_SUGGEST_TRIES) {
        worker->starts_in_a_row = 1;
        uv_timer_start(&worker->timer, deadline_passed, 1000, 0);
        return false;
    }
    rc = process_start(worker);
    if (rc == 0)
        return true;
    assay_log(ASSAY_LOG_ERROR, "suggestion worker %d: starting %s: %s", worker->index,
              worker->host->arguments[0], uv_strerror(rc));
    while (!TAILQ_EMPTY(&worker->asks)) {
        assay_auto_free char *sentence =
            assay_format("the suggestion worker %s can not be started: %s", worker->host->arguments[0],
                         uv_strerror(rc));

        fail_ask(worker->host, TAILQ_FIRST(&worker->asks), sentence);
    }
    return false;
}

static void
flush_tells(struct hosted *study)
{
    if (json_array_size(study->tells) == 0)
        return;
    send_message(study->worker->process, assay_protocol_tell(study->id, study->tells));
    json_array_clear(study->tells);
}

static void
read_again(uv_timer_t *timer)
{
    struct assay_suggest_host *host = timer->data;

    for (int i = 0; i < worker_count(host); i++)
        pump(&host->workers[i]);
}

/* Tells the worker all that there is; false when that can not be read now.  An answer
 * from half a history would be another one. */
static bool
open_study(struct hosted *study)
{
    struct assay_suggest_host *host = study->worker->host;
    const struct assay_suggest_host_events *events = &host->options.events;
    json_t *sources = NULL;

    if (!events->sources(events->arg, study->id, &sources)) {
        uv_timer_start(&host->again, read_again, READ_AGAIN_MS, 0);
        return false;
    }
    send_message(study->worker->process, assay_protocol_open(study->id, study->document, sources));
    json_decref(sources);
    json_array_clear(study->tells);
    free(study->trouble);
    study->trouble = NULL;
    study->opened = true;
    if (events->replay(events->arg, study->id))
        return true;
    study->opened = false;
    uv_timer_start(&host->again, read_again, READ_AGAIN_MS, 0);
    return false;
}

/* Sends every ask that was not sent yet to the worker's present process. */
static void
pump(struct worker *worker)
{
    struct ask *ask;

    if (TAILQ_EMPTY(&worker->asks) || worker->host->closing || !ensure_process(worker))
        return;
    TAILQ_FOREACH(ask, &worker->asks, link)
    {
        if (ask->sent)
            continue;
        if (!ask->study->opened && !open_study(ask->study))
            continue;
        flush_tells(ask->study);
        send_message(worker->process, assay_protocol_ask(ask->study->id, ask->request,
                                                         ask->numbers, ask->n_numbers));
        ask->sent = true;
    }
    watch_first(worker);
}

static char **
worker_environment(void)
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

static char **
worker_arguments(const struct assay_suggest_host_options *options)
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

static void
free_texts(char **texts)
{
    for (char **text = texts; *text != NULL; text++)
        free(*text);
    free(texts);
}

struct assay_suggest_host *
assay_suggest_host_new(const struct assay_suggest_host_options *options)
{
    struct assay_suggest_host *host = ASSAY_NEW(struct assay_suggest_host);

    host->options = *options;
    host->arguments = worker_arguments(options);
    host->environment = worker_environment();
    uv_timer_init(options->loop, &host->again);
    host->again.data = host;
    host->workers = assay_zalloc((size_t)worker_count(host), sizeof *host->workers);
    for (int i = 0; i < worker_count(host); i++) {
        struct worker *worker = &host->workers[i];

        worker->host = host;
        worker->index = i;
        TAILQ_INIT(&worker->asks);
        uv_timer_init(options->loop, &worker->timer);
        worker->timer.data = worker;
    }
    return host;
}

void
assay_suggest_host_open(struct assay_suggest_host *host, int64_t study_id, json_t *document)
{
    struct hosted *study = find_study(host, study_id);

    if (study == NULL) {
        study = ASSAY_NEW(struct hosted);
        study->id = study_id;
        study->document = json_incref(document);
        settle(study, assay_registry_is_foreign(algorithm_of(study))
                          ? worker_apart(host)
                          : &host->workers[study_id % host->options.workers]);
        study->tells = json_array();
        HASH_ADD(hh, host->studies, id, sizeof study->id, study);
    }
    json_incref(document);
    json_decref(study->document);
    study->document = document;
    study->opened = false;
}

static void
study_free(struct assay_suggest_host *host, struct hosted *study)
{
    HASH_DEL(host->studies, study);
    json_decref(study->document);
    json_decref(study->tells);
    free(study->trouble);
    free(study);
}

void
assay_suggest_host_forget(struct assay_suggest_host *host, int64_t study_id)
{
    struct hosted *study = find_study(host, study_id);

    if (study == NULL)
        return;
    if (study->opened && study->worker->process != NULL)
        send_message(study->worker->process, assay_protocol_close(study->id));
    if (study->ask != NULL) {
        struct worker *worker = study->worker;

        ask_finish(study->ask);
        watch_first(worker);
    }
    leave(study);
    study_free(host, study);
}

void
assay_suggest_host_tell(struct assay_suggest_host *host, int64_t study_id, json_t *trial)
{
    struct hosted *study = find_study(host, study_id);

    if (study == NULL || !study->opened || study->worker->process == NULL) {
        json_decref(trial);
        return;
    }
    json_array_append_new(study->tells, trial);
    if (json_array_size(study->tells) >= TELLS_PER_FRAME)
        flush_tells(study);
}

void
assay_suggest_host_ask(struct assay_suggest_host *host, int64_t study_id, const int64_t *numbers, size_t n)
{
    struct hosted *study = find_study(host, study_id);
    struct ask *ask = ASSAY_NEW(struct ask);

    ASSAY_ASSERT(study != NULL && study->ask == NULL);
    ask->study = study;
    ask->request = ++study->last_request;
    ask->numbers = assay_memdup(numbers, n * sizeof *numbers);
    ask->n_numbers = n;
    study->ask = ask;
    TAILQ_INSERT_TAIL(&study->worker->asks, ask, link);
    pump(study->worker);
}

int64_t
assay_suggest_host_respawns(const struct assay_suggest_host *host)
{
    return host->respawns;
}

void
assay_suggest_host_close(struct assay_suggest_host *host)
{
    host->closing = true;
    uv_close((uv_handle_t *)&host->again, NULL);
    for (int i = 0; i < worker_count(host); i++) {
        struct worker *worker = &host->workers[i];

        uv_close((uv_handle_t *)&worker->timer, NULL);
        if (worker->process != NULL) {
            uv_process_kill(&worker->process->handle, SIGKILL);
            process_close(worker->process);
            worker->process = NULL;
        }
    }
}

struct assay_suggest_host *
assay_suggest_host_free(struct assay_suggest_host *host)
{
    struct hosted *study, *next;

    HASH_ITER(hh, host->studies, study, next)
    {
        if (study->ask != NULL)
            ask_finish(study->ask);
        study_free(host, study);
    }
    free(host->workers);
    free_texts(host->arguments);
    free_texts(host->environment);
    free(host);
    return NULL;
}

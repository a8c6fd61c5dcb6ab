/* One child, and what is said to it and by it. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "controller/host/internal.h"

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
hang_up(struct assay__host_process *process)
{
    process->worker = NULL;
    uv_close((uv_handle_t *)&process->in, handle_closed);
    uv_close((uv_handle_t *)&process->out, handle_closed);
}

static void
exited(uv_process_t *handle, int64_t status, int signal)
{
    struct assay__host_process *process = handle->data;
    struct assay__host_worker *worker = process->worker;

    uv_close((uv_handle_t *)handle, handle_closed);
    if (worker == NULL)
        return;
    hang_up(process);
    process->heard->exited(worker, status, signal);
}

void
assay__host_process_end(struct assay__host_process *process)
{
    uv_process_kill(&process->handle, SIGKILL);
    hang_up(process);
}

/* --- bytes --- */

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
            process->heard->said(process->worker, &reply);
        else
            process->heard->babbled(process->worker, err.message);
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
assay__host_process_send(struct assay__host_process *process, json_t *message)
{
    struct sending *sending = ASSAY_NEW(struct sending);
    struct assay_error err = {0};
    uv_buf_t bytes;

    if (assay_protocol_frame_add(&sending->bytes, message, &err) != ASSAY_OK)
        assay_log(ASSAY_LOG_ERROR, "a message to a suggestion worker was not sent: %s",
                  err.message);
    json_decref(message);
    bytes = uv_buf_init(sending->bytes.data, (unsigned)sending->bytes.length);
    sending->request.data = sending;
    if (uv_write(&sending->request, (uv_stream_t *)&process->in, &bytes, 1, sent) != 0)
        sent(&sending->request, UV_EPIPE);
}

/* --- its start --- */

int
assay__host_process_start(const struct assay__host_process_options *options,
                          struct assay__host_process **ret_process)
{
    struct assay__host_process *process = ASSAY_NEW(struct assay__host_process);
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&process->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&process->out},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    uv_process_options_t child = {
        .file = options->arguments[0],
        .args = options->arguments,
        .env = options->environment,
        .stdio = stdio,
        .stdio_count = 3,
        .exit_cb = exited,
    };
    int rc;

    uv_pipe_init(options->loop, &process->in, 0);
    uv_pipe_init(options->loop, &process->out, 0);
    process->in.data = process->out.data = process->handle.data = process;
    process->open_handles = 3;
    process->worker = options->worker;
    process->heard = options->heard;
    rc = uv_spawn(options->loop, &process->handle, &child);
    if (rc != 0) {
        hang_up(process);
        uv_close((uv_handle_t *)&process->handle, handle_closed);
        return rc;
    }
    uv_read_start((uv_stream_t *)&process->out, allocate, received);
    *ret_process = process;
    return 0;
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

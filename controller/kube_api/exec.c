#include "controller/kube_api/exec.h"

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"

#define OUTPUT_BYTES_MAX (1u << 20)
#define RUN_MS 60000
/* Renewed so long before they expire. */
#define AHEAD_US (30 * ASSAY_SECOND_US)
/* Used for so long whatever they say: clocks differ, and nothing is gained by asking at once. */
#define AT_LEAST_US ASSAY_SECOND_US

struct assay_kube_exec {
    uv_loop_t *loop;
    const struct assay_kube_config *config;
    void (*ended)(void *arg, const char *fault);
    void *arg;
    struct assay_kube_credentials *credentials;
    int64_t good_until_us; /* clock time */
    struct run *run;       /* NULL: none */
    bool closed;
};

/* One run of the program; frees itself when its handles are closed. */
struct run {
    uv_process_t process;
    uv_pipe_t out, err;
    uv_timer_t timer;
    struct assay_kube_exec *exec; /* NULL: nobody waits any more */
    struct assay_buffer output, complaint;
    int64_t exit_code;
    int signal, waiting; /* for the exit and the ends of both streams */
    int open_handles;
    bool late;
};

static void
credentials_free(struct assay_kube_credentials *credentials)
{
    if (credentials == NULL)
        return;
    free(credentials->token);
    free(credentials->client_cert);
    free(credentials->client_key);
    free(credentials);
}

/* A sentence when the output is no ExecCredential; caller frees it. */
static char *
take_output(struct assay_kube_exec *exec, const struct assay_buffer *output)
{
    json_t *json = json_loadb(output->data != NULL ? output->data : "", output->length, 0, NULL);
    const json_t *status = json_object_get(json, "status");
    const char *token = assay_json_text_given(status, "token");
    const char *until = assay_json_text_given(status, "expirationTimestamp");
    const char *cert = assay_json_text_given(status, "clientCertificateData");
    const char *key = assay_json_text_given(status, "clientKeyData");
    struct assay_kube_credentials *credentials;
    int64_t expires_us;

    if (token == NULL && (cert == NULL || key == NULL)) {
        json_decref(json);
        return assay_format("%s printed no ExecCredential with a token or a certificate",
                            exec->config->exec[0]);
    }
    credentials = ASSAY_NEW(struct assay_kube_credentials);
    credentials->token = assay_strdup(token);
    credentials->client_cert = assay_strdup(cert);
    credentials->client_key = assay_strdup(key);
    if (until == NULL || !assay_parse_time(until, &expires_us))
        expires_us = INT64_MAX;
    credentials_free(exec->credentials);
    exec->credentials = credentials;
    exec->good_until_us = ASSAY_MAX(expires_us - AHEAD_US, assay_now_us() + AT_LEAST_US);
    json_decref(json);
    return NULL;
}

static void
handle_closed(uv_handle_t *handle)
{
    struct run *run = handle->data;

    if (--run->open_handles > 0)
        return;
    assay_buffer_done(&run->output);
    assay_buffer_done(&run->complaint);
    free(run);
}

static void
close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, handle_closed);
}

static char *
fault_of(struct assay_kube_exec *exec, struct run *run)
{
    const char *program = exec->config->exec[0];
    size_t length = run->complaint.length;

    while (length > 0 && run->complaint.data[length - 1] == '\n')
        length--;
    if (run->late)
        return assay_format("%s gave no credentials within %d s", program, RUN_MS / 1000);
    if (run->signal != 0)
        return assay_format("%s was ended by signal %d", program, run->signal);
    if (run->exit_code != 0)
        return assay_format("%s ended with exit code %d: %.*s", program, (int)run->exit_code,
                            (int)ASSAY_MIN(length, (size_t)300),
                            length > 0 ? run->complaint.data : "it said nothing");
    return take_output(exec, &run->output);
}

static void
one_less(struct run *run)
{
    struct assay_kube_exec *exec = run->exec;
    assay_auto_free char *fault = NULL;

    if (--run->waiting > 0)
        return;
    close_handle((uv_handle_t *)&run->timer);
    if (exec == NULL)
        return;
    exec->run = NULL;
    fault = fault_of(exec, run);
    exec->ended(exec->arg, fault);
}

static void
exited(uv_process_t *process, int64_t exit_code, int signal)
{
    struct run *run = process->data;

    run->exit_code = exit_code;
    run->signal = signal;
    close_handle((uv_handle_t *)process);
    one_less(run);
}

static void
too_late(uv_timer_t *timer)
{
    struct run *run = timer->data;

    run->late = true;
    uv_process_kill(&run->process, SIGKILL);
}

static void
allocate(uv_handle_t *handle ASSAY_UNUSED, size_t suggested, uv_buf_t *buffer)
{
    *buffer = uv_buf_init(assay_alloc(suggested, 1), (unsigned)suggested);
}

static void
received(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct run *run = stream->data;
    struct assay_buffer *buffer =
        stream == (uv_stream_t *)&run->out ? &run->output : &run->complaint;

    if (n > 0 && buffer->length + (size_t)n <= OUTPUT_BYTES_MAX)
        assay_buffer_add(buffer, bytes->base, (size_t)n);
    free(bytes->base);
    if (n < 0) {
        close_handle((uv_handle_t *)stream);
        one_less(run);
    }
}

/* Ours, the kubeconfig's, and what the plug-in API asks for. */
static char **
make_environment(const struct assay_kube_config *config)
{
    size_t n_own = 0, n_more = 0, n = 0;
    char **list;

    while (environ[n_own] != NULL)
        n_own++;
    while (config->exec_environment[n_more] != NULL)
        n_more++;
    list = assay_zalloc(n_own + n_more + 2, sizeof *list);
    /* The first of a name holds. */
    list[n++] = assay_format("KUBERNETES_EXEC_INFO={\"apiVersion\":\"%s\","
                             "\"kind\":\"ExecCredential\",\"spec\":{\"interactive\":false}}",
                             config->exec_version);
    for (size_t i = 0; i < n_more; i++)
        list[n++] = assay_strdup(config->exec_environment[i]);
    for (size_t i = 0; i < n_own; i++)
        list[n++] = assay_strdup(environ[i]);
    return list;
}

void
assay_kube_exec_run(struct assay_kube_exec *exec)
{
    struct run *run;
    char **environment;
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}};
    uv_process_options_t options = {.exit_cb = exited, .stdio_count = 3, .stdio = stdio};
    int result;

    if (exec->run != NULL || exec->closed)
        return;
    run = ASSAY_NEW(struct run);
    environment = make_environment(exec->config);
    run->exec = exec;
    exec->run = run;
    run->open_handles = 4;
    run->waiting = 3;
    uv_pipe_init(exec->loop, &run->out, 0);
    uv_pipe_init(exec->loop, &run->err, 0);
    uv_timer_init(exec->loop, &run->timer);
    run->out.data = run->err.data = run->timer.data = run->process.data = run;
    stdio[1].flags = stdio[2].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
    stdio[1].data.stream = (uv_stream_t *)&run->out;
    stdio[2].data.stream = (uv_stream_t *)&run->err;
    options.file = exec->config->exec[0];
    options.args = exec->config->exec;
    options.env = environment;
    result = uv_spawn(exec->loop, &run->process, &options);
    for (char **entry = environment; *entry != NULL; entry++)
        free(*entry);
    free(environment);
    if (result != 0) {
        assay_auto_free char *fault =
            assay_format("%s can not be started: %s", exec->config->exec[0], uv_strerror(result));

        exec->run = NULL;
        run->exec = NULL;
        close_handle((uv_handle_t *)&run->process);
        close_handle((uv_handle_t *)&run->out);
        close_handle((uv_handle_t *)&run->err);
        close_handle((uv_handle_t *)&run->timer);
        exec->ended(exec->arg, fault);
        return;
    }
    uv_timer_start(&run->timer, too_late, RUN_MS, 0);
    uv_read_start((uv_stream_t *)&run->out, allocate, received);
    uv_read_start((uv_stream_t *)&run->err, allocate, received);
}

struct assay_kube_exec *
assay_kube_exec_new(uv_loop_t *loop, const struct assay_kube_config *config,
                    void (*ended)(void *arg, const char *fault), void *arg)
{
    struct assay_kube_exec *exec = ASSAY_NEW(struct assay_kube_exec);

    exec->loop = loop;
    exec->config = config;
    exec->ended = ended;
    exec->arg = arg;
    return exec;
}

const struct assay_kube_credentials *
assay_kube_exec_credentials(const struct assay_kube_exec *exec)
{
    return exec->credentials;
}

bool
assay_kube_exec_ready(const struct assay_kube_exec *exec)
{
    return exec->credentials != NULL && exec->good_until_us > assay_now_us();
}

void
assay_kube_exec_expire(struct assay_kube_exec *exec)
{
    exec->good_until_us = 0;
}

void
assay_kube_exec_close(struct assay_kube_exec *exec)
{
    exec->closed = true;
    if (exec->run == NULL)
        return;
    exec->run->exec = NULL;
    uv_process_kill(&exec->run->process, SIGKILL);
    exec->run = NULL;
}

struct assay_kube_exec *
assay_kube_exec_free(struct assay_kube_exec *exec)
{
    if (exec == NULL)
        return NULL;
    credentials_free(exec->credentials);
    free(exec);
    return NULL;
}

#include "controller/kube_api/client.h"

#include <curl/curl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/random.h"
#include "controller/kube_api/exec.h"
#include "controller/kube_api/transfers.h"
#include "controller/kube_api/trust.h"

#define ANSWER_BYTES_MAX ((size_t)64 << 20)
#define CONNECT_MS 10000L
/* Of a text that stands for a Status. */
#define SAID_BYTES_MAX 200
/* Requests under way, streams apart: each costs memory here and a place in the server's
 * queues, and more at a time would not be answered sooner. */
#define AT_ONCE_MAX 64
/* Streams that can wait; over HTTP/1.1 each holds a connection. */
#define STREAMS_MAX 6000
#define CONNECTIONS_MAX (STREAMS_MAX + AT_ONCE_MAX + 100L)
/* Of a stream: 1,000 of them must be small. */
#define STREAM_BUFFER_BYTES 4096L
/* A stream that says nothing, not even a keep-alive, ends by TCP's own count. */
#define KEEPALIVE_S 30L
#define BACKOFF_FIRST_US (100 * INT64_C(1000))
#define BACKOFF_MAX_US (10 * ASSAY_SECOND_US)
/* How often streams that have not begun are looked at. */
#define BEGIN_LOOK_MS 1000

struct call_list;

struct assay_kube_call {
    struct assay_kube_client *client;
    char *method, *url, *content_type, *body;
    size_t body_length, bytes_max;
    bool stream, background;
    bool too_long; /* the answer */
    bool begun; /* a stream that answers */
    int64_t timeout_us, deadline_us;
    int64_t not_before_us; /* of the next try */
    int64_t retry_after_us;
    int tries;
    bool renewed;   /* the credentials, after a 401 */
    bool cancelled; /* from inside a callback of curl's, which must not lose its handle */
    CURL *easy;     /* NULL: it waits */
    struct curl_slist *headers;
    struct assay_buffer answer;
    char fault[ASSAY_ERROR_MESSAGE_BYTES]; /* at least CURL_ERROR_SIZE */
    void (*data)(void *arg, const char *bytes, size_t length);
    void (*done)(void *arg, const struct assay_kube_answer *answer);
    void *arg;
    struct call_list *list; /* it is in */
    TAILQ_ENTRY(assay_kube_call) link;
};
TAILQ_HEAD(call_list, assay_kube_call);

struct assay_kube_client {
    struct assay_kube_client_options options;
    struct assay_kube_trust *trust;
    struct assay_kube_transfers transfers;
    uv_timer_t queue_timer; /* when the first waiting call may go */
    uv_timer_t begin_timer; /* streams that do not begin */
    struct assay_kube_exec *exec;
    /* In the order they go: what is urgent, what can wait; and what failed and rests. */
    struct call_list waiting, background, resting, active;
    int64_t rested_us; /* when the first of those may go; INT64_MAX = there is none */
    double tokens;
    int64_t refilled_us;
    struct assay_random random;
    uint64_t sent;
    size_t open;
    size_t at_once, streams; /* under way; streams: those that can wait */
    /* What the server speaks, as the last answer said.  Until one has come, one request goes
     * alone: over HTTP/2 the others need no connection of their own, and over HTTP/1.1 they
     * must not wait for each other's. */
    enum { SPEAKS_UNKNOWN, SPEAKS_HTTP1, SPEAKS_HTTP2 } speaks;
    bool pumping, pump_again, closed;
    bool cancelled; /* some call was, while curl called back */
};

static void pump(struct assay_kube_client *client);

/* --- calls --- */

static void
call_free(struct assay_kube_call *call)
{
    if (call->easy != NULL) {
        curl_multi_remove_handle(call->client->transfers.multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->headers);
    assay_buffer_done(&call->answer);
    free(call->method);
    free(call->url);
    free(call->content_type);
    free(call->body);
    call->client->open--;
    free(call);
}

static void
enter(struct call_list *list, struct assay_kube_call *call)
{
    call->list = list;
    TAILQ_INSERT_TAIL(list, call, link);
}

static void
leave(struct assay_kube_call *call)
{
    struct assay_kube_client *client = call->client;

    TAILQ_REMOVE(call->list, call, link);
    if (call->list == &client->active) {
        client->at_once -= !call->stream;
        client->streams -= call->stream && call->background;
    }
    call->list = NULL;
}

static void
end_transfer(struct assay_kube_call *call)
{
    curl_multi_remove_handle(call->client->transfers.multi, call->easy);
    curl_easy_cleanup(call->easy);
    call->easy = NULL;
    curl_slist_free_all(call->headers);
    call->headers = NULL;
}

/* What somebody says who speaks in no Status: the API server in a line of text where it serves
 * nothing, or whatever stands before it.  Caller frees. */
static char *
say_status(const struct assay_kube_call *call, long code)
{
    size_t length = 0;

    while (length < call->answer.length && length < SAID_BYTES_MAX &&
           call->answer.data[length] >= ' ' && call->answer.data[length] < 0x7f)
        length++;
    if (length > 0 && call->answer.data[0] != '<' && call->answer.data[0] != '{')
        return assay_strndup(call->answer.data, length);
    return assay_format("%s answered with the status %ld", call->client->options.config->server,
                        code);
}

/* Tells the answer and frees.  The list it is in has been left. */
static void
call_done(struct assay_kube_call *call, long code, const char *fault)
{
    struct assay_kube_answer answer = {.code = code, .reason = "", .message = ""};
    assay_auto_free char *text = NULL;
    json_t *json = NULL;

    if (call->answer.length > 0)
        json = json_loadb(call->answer.data, call->answer.length, 0, NULL);
    answer.json = json;
    answer.retry_after_us = call->retry_after_us;
    if (code < 200 || code >= 300) {
        const char *reason = json_string_value(json_object_get(json, "reason"));
        const char *message = json_string_value(json_object_get(json, "message"));

        answer.reason = reason != NULL ? reason : "";
        if (message == NULL) {
            text = code == 0 ? assay_format("%s: %s", call->client->options.config->server,
                                            fault != NULL && *fault != '\0' ? fault : "no answer")
                             : say_status(call, code);
            message = text;
        }
        answer.message = message;
    } else if (fault != NULL) {
        answer.message = fault; /* a stream that began well and broke */
    }
    call->done(call->arg, &answer);
    json_decref(json);
    call_free(call);
}

static size_t
on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct assay_kube_call *call = arg;
    long code = 0;

    n *= size;
    if (call->cancelled)
        return 0; /* ends the transfer */
    call->begun = true;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &code);
    if (call->stream && code == 200) {
        call->data(call->arg, bytes, n);
        return n;
    }
    if (call->answer.length + n > call->bytes_max) {
        call->too_long = true;
        return 0;
    }
    assay_buffer_add(&call->answer, bytes, n);
    return n;
}

static size_t
on_header(char *bytes, size_t size, size_t n, void *arg)
{
    static const char name[] = "retry-after:";
    struct assay_kube_call *call = arg;
    double seconds;
    long version = 0;

    n *= size;
    if (!call->begun) {
        call->begun = true;
        curl_easy_getinfo(call->easy, CURLINFO_HTTP_VERSION, &version);
        call->client->speaks = version == CURL_HTTP_VERSION_2_0 ? SPEAKS_HTTP2 : SPEAKS_HTTP1;
    }
    if (n > sizeof name && strncasecmp(bytes, name, sizeof name - 1) == 0) {
        assay_auto_free char *text = assay_strndup(bytes + sizeof name - 1, n - sizeof name + 1);

        seconds = strtod(text, NULL);
        if (seconds > 0.0 && seconds < 3600.0)
            call->retry_after_us = (int64_t)(seconds * ASSAY_SECOND_US);
    }
    return n;
}

static void
set_request(struct assay_kube_call *call)
{
    assay_auto_free char *type = assay_format("Content-Type: %s", call->content_type);
    int64_t left_ms = (call->deadline_us - assay_monotonic_us()) / 1000;

    curl_easy_setopt(call->easy, CURLOPT_URL, call->url);
    curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, call->method);
    if (call->body != NULL) {
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->body);
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_length);
        call->headers = curl_slist_append(call->headers, type);
    }
    call->headers = curl_slist_append(call->headers, "Accept: application/json");
    call->headers = curl_slist_append(call->headers, "Expect:");
    if (call->stream)
        curl_easy_setopt(call->easy, CURLOPT_BUFFERSIZE, STREAM_BUFFER_BYTES);
    else
        curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)ASSAY_MAX(left_ms, 1));
}

/* Streams have no time-out of curl's, which would end them in the middle. */
static void
on_begin_timer(uv_timer_t *timer)
{
    struct assay_kube_client *client = timer->data;
    struct assay_kube_call *call, *next;
    int64_t now_us = assay_monotonic_us();
    bool some = false;

    for (call = TAILQ_FIRST(&client->active); call != NULL; call = next) {
        next = TAILQ_NEXT(call, link);
        if (!call->stream || call->begun)
            continue;
        some = true;
        if (call->deadline_us > now_us)
            continue;
        leave(call);
        end_transfer(call);
        call_done(call, 0, "no answer in time");
        if (client->closed)
            return;
        next = TAILQ_FIRST(&client->active); /* whoever heard of it may have changed the list */
    }
    if (!some)
        uv_timer_stop(timer);
}

/* One try. */
static void
begin(struct assay_kube_call *call)
{
    struct assay_kube_client *client = call->client;
    CURL *easy = curl_easy_init();
    struct assay_error err = {0};

    call->easy = easy;
    call->tries++;
    call->begun = false;
    call->retry_after_us = 0;
    call->fault[0] = '\0';
    assay_buffer_clear(&call->answer);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "assayd");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    /* Rather one more stream than a connection. */
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, client->speaks == SPEAKS_HTTP1 ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S / 3);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->fault);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    set_request(call);
    leave(call);
    if (call->renewed) /* a connection knows the certificate it began with */
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    if (assay_kube_trust_apply(
            client->trust, client->exec != NULL ? assay_kube_exec_credentials(client->exec) : NULL,
            easy, &call->headers, &err) != ASSAY_OK) {
        snprintf(call->fault, sizeof call->fault, "%s", err.message);
        end_transfer(call);
        call_done(call, 0, call->fault);
        return;
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    enter(&client->active, call);
    client->sent++;
    client->at_once += !call->stream;
    client->streams += call->stream && call->background;
    if (call->stream) /* its turn may have come late */
        call->deadline_us = assay_monotonic_us() + call->timeout_us;
    if (call->stream && !uv_is_active((uv_handle_t *)&client->begin_timer))
        uv_timer_start(&client->begin_timer, on_begin_timer, BEGIN_LOOK_MS, BEGIN_LOOK_MS);
    curl_multi_add_handle(client->transfers.multi, easy);
}

/* --- the queue: rate limit and back-off --- */

static void
on_queue_timer(uv_timer_t *timer)
{
    pump(timer->data);
}

static void
refill(struct assay_kube_client *client)
{
    int64_t now_us = assay_monotonic_us();

    client->tokens =
        fmin(client->options.burst, client->tokens + (double)(now_us - client->refilled_us) *
                                                         client->options.qps / ASSAY_SECOND_US);
    client->refilled_us = now_us;
}

static void
enqueue(struct assay_kube_call *call)
{
    enter(call->background ? &call->client->background : &call->client->waiting, call);
}

/* What has rested joins the queue. */
static void
wake_rested(struct assay_kube_client *client, int64_t now_us)
{
    struct assay_kube_call *call, *next;

    if (now_us < client->rested_us)
        return;
    client->rested_us = INT64_MAX;
    for (call = TAILQ_FIRST(&client->resting); call != NULL; call = next) {
        int64_t until_us = ASSAY_MIN(call->not_before_us, call->deadline_us);

        next = TAILQ_NEXT(call, link);
        if (until_us <= now_us) {
            leave(call);
            enqueue(call);
        } else {
            client->rested_us = ASSAY_MIN(client->rested_us, until_us);
        }
    }
}

/* Whether the call must wait for the beginning or the end of another, which pumps again. */
static bool
is_held(const struct assay_kube_client *client, const struct assay_kube_call *call)
{
    if (client->speaks == SPEAKS_UNKNOWN && !TAILQ_EMPTY(&client->active))
        return true;
    return call->stream ? call->background && client->streams >= STREAMS_MAX
                        : client->at_once >= AT_ONCE_MAX;
}

/* Sends what may go of a queue; false: nothing else may go now. */
static bool
pump_list(struct assay_kube_client *client, struct call_list *list, int64_t now_us,
          int64_t *wake_us)
{
    struct assay_kube_call *call;

    while (!client->closed && (call = TAILQ_FIRST(list)) != NULL) {
        if (!call->stream && call->deadline_us <= now_us) {
            leave(call);
            call_done(call, 0, call->fault[0] != '\0' ? call->fault : "no answer in time");
            continue;
        }
        if (is_held(client, call))
            return true;
        if (client->exec != NULL && !assay_kube_exec_ready(client->exec)) {
            assay_kube_exec_run(client->exec);
            return false; /* its end pumps again */
        }
        if (client->options.qps > 0.0 && client->tokens < 1.0) {
            *wake_us =
                now_us + (int64_t)((1.0 - client->tokens) / client->options.qps * ASSAY_SECOND_US);
            return false;
        }
        client->tokens -= 1.0;
        begin(call);
    }
    return true;
}

/* Sends what may go, and comes back when the next may.  Calls that end here tell it
 * from the loop, not from inside the caller. */
static void
pump(struct assay_kube_client *client)
{
    int64_t now_us = assay_monotonic_us(), wake_us = INT64_MAX;

    if (client->closed || client->pumping)
        return;
    client->pumping = true;
    refill(client);
    wake_rested(client, now_us);
    if (pump_list(client, &client->waiting, now_us, &wake_us))
        pump_list(client, &client->background, now_us, &wake_us);
    client->pumping = false;
    wake_us = client->pump_again ? now_us : ASSAY_MIN(wake_us, client->rested_us);
    client->pump_again = false;
    if (wake_us < INT64_MAX && !client->closed)
        uv_timer_start(&client->queue_timer, on_queue_timer,
                       (uint64_t)(ASSAY_MAX(wake_us - now_us, 0) / 1000 + 1), 0);
}

static void
wait_again(struct assay_kube_call *call, int64_t wait_us)
{
    struct assay_kube_client *client = call->client;

    call->not_before_us = assay_monotonic_us() + wait_us;
    client->rested_us =
        ASSAY_MIN(client->rested_us, ASSAY_MIN(call->not_before_us, call->deadline_us));
    enter(&client->resting, call);
}

static int64_t
backoff_us(struct assay_kube_call *call)
{
    int shift = ASSAY_MIN(call->tries - 1, 16);
    double cap = (double)ASSAY_MIN(BACKOFF_FIRST_US << shift, BACKOFF_MAX_US);
    int64_t drawn = (int64_t)(cap * (0.5 + 0.5 * assay_random_unit(&call->client->random)));

    return ASSAY_MAX(drawn, call->retry_after_us);
}

/* --- transfers that ended --- */

static bool
is_trouble(CURLcode result, long code)
{
    return code == 429 || code == 500 || code == 502 || code == 503 || code == 504 ||
           (result != CURLE_OK && result != CURLE_WRITE_ERROR &&
            result != CURLE_PEER_FAILED_VERIFICATION && result != CURLE_URL_MALFORMAT &&
            result != CURLE_UNSUPPORTED_PROTOCOL);
}

/* Whether the next try may have other credentials. */
static bool
can_renew(const struct assay_kube_client *client)
{
    return client->exec != NULL || client->options.config->token_file != NULL;
}

static void
transfer_ended(struct assay_kube_call *call, CURLcode result)
{
    struct assay_kube_client *client = call->client;
    const char *fault = NULL;
    long code = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &code);
    if (result != CURLE_OK) {
        if (call->too_long)
            snprintf(call->fault, sizeof call->fault, "the answer is longer than %zu bytes",
                     call->bytes_max);
        else if (call->fault[0] == '\0')
            snprintf(call->fault, sizeof call->fault, "%s", curl_easy_strerror(result));
        fault = call->fault;
        if (!call->stream)
            code = 0; /* half an answer is none */
    }
    leave(call);
    end_transfer(call);
    if (code == 401 && !call->renewed && can_renew(client)) {
        call->renewed = true;
        if (client->exec != NULL)
            assay_kube_exec_expire(client->exec);
        wait_again(call, 0);
    } else if (!call->stream && is_trouble(result, code) &&
               assay_monotonic_us() + call->retry_after_us < call->deadline_us) {
        if (code != 0)
            snprintf(call->fault, sizeof call->fault, "answered with the status %ld", code);
        wait_again(call, backoff_us(call));
    } else {
        call_done(call, code, fault);
    }
}

/* Curl has worked: what ended is told. */
static void
on_worked(void *arg)
{
    struct assay_kube_client *client = arg;
    struct assay_kube_call *call = client->cancelled ? TAILQ_FIRST(&client->active) : NULL, *next;
    CURLcode result;
    CURL *easy;

    client->cancelled = false;
    for (; call != NULL; call = next) {
        next = TAILQ_NEXT(call, link);
        if (call->cancelled)
            assay_kube_cancel(call);
    }
    while (!client->closed && (easy = assay_kube_transfers_take(&client->transfers, &result))) {
        call = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
        transfer_ended(call, result);
    }
    pump(client);
}

/* --- the client --- */

/* Credentials came, or can not be had: then nobody who waits gets any. */
static void
on_exec_ended(void *arg, const char *fault)
{
    struct assay_kube_client *client = arg;
    struct assay_kube_call *call;

    while (fault != NULL && !client->closed &&
           ((call = TAILQ_FIRST(&client->waiting)) != NULL ||
            (call = TAILQ_FIRST(&client->background)) != NULL)) {
        leave(call);
        call_done(call, 0, fault);
    }
    pump(client);
}

assay_status
assay_kube_client_new(const struct assay_kube_client_options *options,
                      struct assay_kube_client **ret_client, struct assay_error *err)
{
    struct assay_kube_client *client;
    assay_status status;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return assay_fail(err, ASSAY_E_INTERNAL, "libcurl can not be initialised");
    client = ASSAY_NEW(struct assay_kube_client);
    client->options = *options;
    client->options.burst = fmax(options->burst, 1.0);
    status = assay_kube_trust_new(options->config, &client->trust, err);
    if (status != ASSAY_OK) {
        free(client);
        return status;
    }
    client->tokens = client->options.burst;
    client->refilled_us = assay_monotonic_us();
    TAILQ_INIT(&client->waiting);
    TAILQ_INIT(&client->background);
    TAILQ_INIT(&client->resting);
    TAILQ_INIT(&client->active);
    client->rested_us = INT64_MAX;
    assay_random_init(&client->random, assay_random_seed(), 0, 0);
    if (options->config->exec != NULL)
        client->exec = assay_kube_exec_new(options->loop, options->config, on_exec_ended, client);
    assay_kube_transfers_init(&client->transfers, options->loop, CONNECTIONS_MAX, on_worked, client);
    uv_timer_init(options->loop, &client->queue_timer);
    client->queue_timer.data = client;
    uv_timer_init(options->loop, &client->begin_timer);
    client->begin_timer.data = client;
    *ret_client = client;
    return ASSAY_OK;
}

void
assay_kube_client_close(struct assay_kube_client *client)
{
    struct assay_kube_call *call;

    while ((call = TAILQ_FIRST(&client->active)) != NULL ||
           (call = TAILQ_FIRST(&client->waiting)) != NULL ||
           (call = TAILQ_FIRST(&client->background)) != NULL ||
           (call = TAILQ_FIRST(&client->resting)) != NULL)
        assay_kube_cancel(call);
    client->closed = true;
    assay_kube_transfers_close(&client->transfers);
    if (client->exec != NULL)
        assay_kube_exec_close(client->exec);
    uv_close((uv_handle_t *)&client->queue_timer, NULL);
    uv_close((uv_handle_t *)&client->begin_timer, NULL);
}

struct assay_kube_client *
assay_kube_client_free(struct assay_kube_client *client)
{
    if (client == NULL)
        return NULL;
    assay_kube_exec_free(client->exec);
    assay_kube_trust_free(client->trust);
    free(client);
    return NULL;
}

struct assay_kube_call *
assay_kube_send(struct assay_kube_client *client, const struct assay_kube_request *request)
{
    struct assay_kube_call *call = ASSAY_NEW(struct assay_kube_call);

    call->client = client;
    call->method = assay_strdup(request->method != NULL ? request->method : "GET");
    call->url = assay_format("%s%s", assay_kube_trust_base(client->trust), request->path);
    call->content_type =
        assay_strdup(request->content_type != NULL ? request->content_type : "application/json");
    if (request->body != NULL) {
        call->body = json_dumps(request->body, JSON_COMPACT);
        call->body_length = strlen(call->body);
        json_decref(request->body);
    }
    call->bytes_max = request->bytes_max > 0 ? request->bytes_max : ANSWER_BYTES_MAX;
    call->stream = request->data != NULL;
    call->background = request->background;
    call->timeout_us = request->timeout_us;
    call->deadline_us = assay_monotonic_us() + request->timeout_us;
    call->data = request->data;
    call->done = request->done;
    call->arg = request->arg;
    client->open++;
    enqueue(call);
    client->pump_again = client->pumping;
    /* From the loop, so that `done` can not come before this returns. */
    uv_timer_start(&client->queue_timer, on_queue_timer, 0, 0);
    return call;
}

void
assay_kube_cancel(struct assay_kube_call *call)
{
    if (call == NULL)
        return;
    if (call->easy != NULL && call->client->transfers.inside) {
        call->cancelled = true;
        call->client->cancelled = true;
        return;
    }
    leave(call);
    call_free(call);
}

char *
assay_kube_answer_text(const struct assay_kube_answer *answer)
{
    return answer->code != 0 ? assay_format("%s (%ld)", answer->message, answer->code)
                             : assay_strdup(answer->message);
}

uint64_t
assay_kube_client_sent(const struct assay_kube_client *client)
{
    return client->sent;
}

size_t
assay_kube_client_open(const struct assay_kube_client *client)
{
    return client->open;
}

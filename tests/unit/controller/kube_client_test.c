/* The client for the Kubernetes API against a server that follows a script: trust and
 * credentials, what is tried again, the rate limit, streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "common/file.h"
#include "controller/kube_api/client.h"
#include "tests/unit/controller/kube_server.h"

#define FINE "{\"kind\":\"Fine\"}"
#define HOST "api.cluster.internal"

static char folder[] = "/tmp/kube-client-XXXXXX";
static struct kube_tls tls;

/* One client and its server. */
struct stage {
    uv_loop_t loop;
    struct kube_server *server;
    struct assay_kube_config config;
    struct assay_kube_client *client;
    size_t told, wanted;
    long codes[32];
    char message[512], reason[64];
    char kind[64]; /* of the body */
    struct assay_buffer data;
    struct assay_kube_call *stream;
    bool cancel_on_data;
};

static void
stage_open(struct stage *stage, const struct kube_step *steps, size_t n,
           const struct kube_tls *with)
{
    *stage = (struct stage){0};
    uv_loop_init(&stage->loop);
    stage->server = kube_server_start(steps, n, with);
    stage->config.origin = assay_strdup("a test");
    stage->config.server =
        assay_format("http%s://%s:%d", with != NULL ? "s" : "", "127.0.0.1", stage->server->port);
    if (with != NULL)
        stage->config.ca = assay_strdup(with->ca);
}

static void
stage_begin(struct stage *stage, double qps, double burst)
{
    struct assay_error err = {0};

    assert_int_equal(assay_kube_client_new(
                         &(struct assay_kube_client_options){
                             .loop = &stage->loop,
                             .config = &stage->config,
                             .qps = qps,
                             .burst = burst,
                         },
                         &stage->client, &err),
                     ASSAY_OK);
}

/* Everything is let go: the loop has no handle left. */
static void
stage_close(struct stage *stage)
{
    assay_kube_client_close(stage->client);
    uv_run(&stage->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&stage->loop), 0);
    assay_kube_client_free(stage->client);
    kube_server_stop(stage->server);
    free(stage->config.origin);
    free(stage->config.server);
    free(stage->config.ca);
    assay_buffer_done(&stage->data);
}

static void
on_done(void *arg, const struct assay_kube_answer *answer)
{
    struct stage *stage = arg;
    const char *kind = json_string_value(json_object_get(answer->json, "kind"));

    stage->codes[stage->told++] = answer->code;
    snprintf(stage->message, sizeof stage->message, "%s", answer->message);
    snprintf(stage->reason, sizeof stage->reason, "%s", answer->reason);
    snprintf(stage->kind, sizeof stage->kind, "%s", kind != NULL ? kind : "");
    stage->stream = NULL;
}

static void
on_data(void *arg, const char *bytes, size_t length)
{
    struct stage *stage = arg;

    assay_buffer_add(&stage->data, bytes, length);
    if (stage->cancel_on_data) {
        assay_kube_cancel(stage->stream);
        stage->stream = NULL;
        stage->told++;
    }
}

static bool
all_told(void *arg)
{
    const struct stage *stage = arg;

    return stage->told >= stage->wanted;
}

static void
ask(struct stage *stage, const char *path, int64_t timeout_us, bool background)
{
    stage->wanted++;
    assay_kube_send(stage->client, &(struct assay_kube_request){.path = path,
                                                                .timeout_us = timeout_us,
                                                                .background = background,
                                                                .done = on_done,
                                                                .arg = stage});
}

/* One GET to its end; its status. */
static long
get(struct stage *stage, const char *path)
{
    ask(stage, path, 20 * ASSAY_SECOND_US, false);
    assert_true(kube_run_until(&stage->loop, all_told, stage));
    return stage->codes[stage->told - 1];
}

static long
stream(struct stage *stage, const char *path, int64_t timeout_us)
{
    stage->wanted++;
    stage->stream =
        assay_kube_send(stage->client, &(struct assay_kube_request){.path = path,
                                                                    .timeout_us = timeout_us,
                                                                    .data = on_data,
                                                                    .done = on_done,
                                                                    .arg = stage});
    assert_true(kube_run_until(&stage->loop, all_told, stage));
    return stage->codes[stage->told - 1];
}

static char *
path_of(const char *name)
{
    return assay_format("%s/%s", folder, name);
}

static void
write_file(const char *path, const char *text)
{
    struct assay_error err = {0};

    assert_int_equal(assay_file_write(path, text, strlen(text), 0700, &err), ASSAY_OK);
}

/* --- answers --- */

static void
answers(void **state)
{
    struct kube_step steps[] = {
        {.match = "GET /api/v1/x ", .body = FINE},
        {.match = "GET /api/v1/long ", .body = FINE},
        {.match = "GET /api/v1/y ",
         .code = 404,
         .body = "{\"kind\":\"Status\",\"reason\":\"NotFound\","
                 "\"message\":\"pods \\\"y\\\" not found\"}"},
        {.match = "GET /api/v1/z ", .code = 418, .body = "<html>a proxy's</html>"},
        {.match = "GET /apis/x/v1 ", .code = 404, .body = "404 page not found\n"},
        {.match = "POST /api/v1/x ", .code = 201, .body = FINE},
    };
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps), NULL);
    stage_begin(&stage, 0, 0);
    assert_int_equal(get(&stage, "/api/v1/x"), 200);
    assert_string_equal(stage.kind, "Fine");
    assert_int_equal(get(&stage, "/api/v1/y"), 404);
    assert_string_equal(stage.reason, "NotFound");
    assert_string_equal(stage.message, "pods \"y\" not found");
    assert_int_equal(get(&stage, "/api/v1/z"), 418);
    assert_non_null(strstr(stage.message, "answered with the status 418"));
    assert_int_equal(get(&stage, "/apis/x/v1"), 404);
    assert_string_equal(stage.message, "404 page not found");
    stage.wanted++;
    assay_kube_send(stage.client, &(struct assay_kube_request){
                                      .method = "POST",
                                      .path = "/api/v1/x",
                                      .body = json_pack("{s:s}", "kind", "Pod"),
                                      .timeout_us = 20 * ASSAY_SECOND_US,
                                      .done = on_done,
                                      .arg = &stage,
                                  });
    assert_true(kube_run_until(&stage.loop, all_told, &stage));
    assert_int_equal(stage.codes[4], 201);
    assert_int_equal(kube_asked(stage.server, "{\"kind\":\"Pod\"}"), 1);
    assert_int_equal(kube_asked(stage.server, "Content-Type: application/json"), 1);
    assert_int_equal(assay_kube_client_open(stage.client), 0);

    stage.wanted++; /* one that is longer than wanted is none, and not asked for again */
    assay_kube_send(stage.client, &(struct assay_kube_request){.path = "/api/v1/long",
                                                               .timeout_us = 20 * ASSAY_SECOND_US,
                                                               .bytes_max = strlen(FINE) - 1,
                                                               .done = on_done,
                                                               .arg = &stage});
    assert_true(kube_run_until(&stage.loop, all_told, &stage));
    assert_int_equal(stage.codes[stage.told - 1], 0);
    assert_non_null(strstr(stage.message, "the answer is longer than 14 bytes"));
    stage_close(&stage);
}

/* --- trust --- */

static void
certificates(void **state)
{
    struct kube_step steps[] = {{.body = FINE}, {.body = FINE}};
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps), &tls);
    stage.config.tls_server_name = assay_strdup(HOST);
    stage.config.client_cert = tls.client_cert;
    stage.config.client_key = tls.client_key;
    stage_begin(&stage, 0, 0);
    assert_int_equal(get(&stage, "/a"), 200);
    assert_int_equal(get(&stage, "/b"), 200);
    assert_int_equal(kube_asked(stage.server, "Client: assayd"), 2);
    assert_int_equal(kube_asked(stage.server, "SNI: " HOST), 2);
    /* The address in the request is the server's own. */
    assert_int_equal(kube_asked(stage.server, "Host: 127.0.0.1:"), 2);
    stage_close(&stage);
    free(stage.config.tls_server_name);
}

static void
wrong_name(void **state)
{
    struct stage stage;

    (void)state;
    stage_open(&stage, NULL, 0, &tls);
    stage_begin(&stage, 0, 0);
    assert_int_equal(get(&stage, "/a"), 0);
    assert_non_null(strstr(stage.message, stage.config.server));
    assert_int_equal(kube_asked(stage.server, "GET"), 0);
    stage_close(&stage);
}

static void
wrong_authority(void **state)
{
    struct kube_tls other;
    struct stage stage;

    (void)state;
    kube_tls_make(HOST, "assayd", &other);
    stage_open(&stage, NULL, 0, &tls);
    stage.config.tls_server_name = assay_strdup(HOST);
    free(stage.config.ca);
    stage.config.ca = assay_strdup(other.ca);
    stage_begin(&stage, 0, 0);
    assert_int_equal(get(&stage, "/a"), 0);
    assert_int_equal(kube_asked(stage.server, "GET"), 0);
    stage_close(&stage);
    free(stage.config.tls_server_name);
    kube_tls_done(&other);
}

static void
unchecked(void **state)
{
    struct kube_step steps[] = {{.body = FINE}};
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps), &tls);
    free(stage.config.ca);
    stage.config.ca = NULL;
    stage.config.insecure = true;
    stage_begin(&stage, 0, 0);
    assert_int_equal(get(&stage, "/a"), 200);
    stage_close(&stage);
}

/* --- credentials --- */

static void
token_rotates(void **state)
{
    struct kube_step steps[] = {
        {.match = "Bearer one", .body = FINE},
        {.match = "Bearer two", .body = FINE},
        {.match = "Bearer two", .code = 401, .body = "{}"},
        {.match = "Bearer two", .body = FINE},
        {.match = "Bearer two", .code = 401, .body = "{}"},
        {.match = "Bearer two", .code = 401, .body = "{\"message\":\"Unauthorized\"}"}};
    assay_auto_free char *path = path_of("token");
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps), NULL);
    stage.config.token_file = path;
    write_file(path, "one\n");
    stage_begin(&stage, 0, 0);
    assert_int_equal(get(&stage, "/a"), 200);
    write_file(path, "two\n");
    assert_int_equal(get(&stage, "/a"), 200);
    assert_int_equal(get(&stage, "/a"), 200); /* refused once, as when it was just rotated */
    assert_int_equal(get(&stage, "/a"), 401); /* refused for good */
    assert_string_equal(stage.message, "Unauthorized");
    assert_int_equal(kube_asked(stage.server, "Bearer two"), 5);
    unlink(path);
    assert_int_equal(get(&stage, "/a"), 0);
    assert_non_null(strstr(stage.message, path));
    assert_int_equal(kube_unexpected(stage.server), 0);
    stage_close(&stage);
}

/* A plug-in that counts its runs and prints `credential` (RUN stands for the number). */
static char *
make_plugin(const char *name, const char *credential)
{
    char *path = path_of(name);
    assay_auto_free char *text =
        assay_format("#!/bin/sh\necho run >> %s/runs\nRUN=$(wc -l < %s/runs)\n"
                     "cat <<END\n%s\nEND\n",
                     folder, folder, credential);
    assay_auto_free char *runs = path_of("runs");

    unlink(runs);
    write_file(path, text);
    return path;
}

static size_t
runs_so_far(void)
{
    assay_auto_free char *path = path_of("runs"), *text = NULL;
    struct assay_error err = {0};
    size_t length;

    assert_int_equal(assay_file_read(path, 1000, &text, &length, &err), ASSAY_OK);
    return length / strlen("run\n");
}

static void
plugin_tokens(void **state)
{
    struct kube_step steps[] = {{.match = "Bearer t1", .body = FINE},
                                {.match = "Bearer t1", .body = FINE},
                                {.match = "Bearer t1", .code = 401, .body = "{}"},
                                {.match = "Bearer t2", .body = FINE},
                                {.match = "Bearer t2", .code = 401, .body = "{}"},
                                {.match = "Bearer t3", .code = 401, .body = "{}"}};
    assay_auto_free char *plugin =
        make_plugin("plugin", "{\"status\":{\"token\":\"t$RUN\","
                              "\"expirationTimestamp\":\"2999-01-01T00:00:00Z\"}}");
    char *argv[] = {plugin, NULL}, *environment[] = {NULL};
    char version[] = "client.authentication.k8s.io/v1";
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps), NULL);
    stage.config.exec = argv;
    stage.config.exec_environment = environment;
    stage.config.exec_version = version;
    stage_begin(&stage, 0, 0);
    assert_int_equal(get(&stage, "/a"), 200);
    assert_int_equal(get(&stage, "/a"), 200);
    assert_int_equal(runs_so_far(), 1);
    assert_int_equal(get(&stage, "/a"), 200); /* refused: renewed, once */
    assert_int_equal(runs_so_far(), 2);
    assert_int_equal(get(&stage, "/a"), 401);
    assert_int_equal(runs_so_far(), 3);
    assert_int_equal(kube_unexpected(stage.server), 0);
    stage_close(&stage);
}

static void
plugin_token_expires(void **state)
{
    struct kube_step steps[] = {{.match = "Bearer t1", .body = FINE},
                                {.match = "Bearer t2", .body = FINE}};
    assay_auto_free char *plugin =
        make_plugin("plugin", "{\"status\":{\"token\":\"t$RUN\","
                              "\"expirationTimestamp\":\"2001-01-01T00:00:00Z\"}}");
    char *argv[] = {plugin, NULL}, *environment[] = {NULL};
    char version[] = "client.authentication.k8s.io/v1";
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps), NULL);
    stage.config.exec = argv;
    stage.config.exec_environment = environment;
    stage.config.exec_version = version;
    stage_begin(&stage, 0, 0);
    assert_int_equal(get(&stage, "/a"), 200);
    usleep(1100 * 1000); /* used for a second, whatever they say */
    assert_int_equal(get(&stage, "/a"), 200);
    assert_int_equal(runs_so_far(), 2);
    stage_close(&stage);
}

static void
plugin_certificate(void **state)
{
    struct kube_step steps[] = {{.body = FINE}};
    json_t *credential = json_pack("{s:{s:s, s:s}}", "status", "clientCertificateData",
                                   tls.client_cert, "clientKeyData", tls.client_key);
    assay_auto_free char *text = json_dumps(credential, JSON_COMPACT), *escaped = NULL;
    assay_auto_free char *plugin = path_of("plugin");
    char *argv[] = {plugin, NULL}, *environment[] = {NULL};
    char version[] = "client.authentication.k8s.io/v1";
    struct stage stage;

    (void)state;
    json_decref(credential);
    escaped = assay_format("#!/bin/sh\ncat <<'END'\n%s\nEND\n", text);
    write_file(plugin, escaped);
    stage_open(&stage, steps, ASSAY_COUNT(steps), &tls);
    stage.config.tls_server_name = assay_strdup(HOST);
    stage.config.exec = argv;
    stage.config.exec_environment = environment;
    stage.config.exec_version = version;
    stage_begin(&stage, 0, 0);
    assert_int_equal(get(&stage, "/a"), 200);
    assert_int_equal(kube_asked(stage.server, "Client: assayd"), 1);
    stage_close(&stage);
    free(stage.config.tls_server_name);
}

/* No credentials: everything that waits for them hears why. */
static void
plugin_faults(void **state)
{
    static const struct {
        const char *script, *says;
    } cases[] = {
        {"#!/bin/sh\necho 'please log in first' >&2\nexit 3\n",
         "plugin ended with exit code 3: please log in first"},
        {"#!/bin/sh\necho not json\n", "printed no ExecCredential"},
        {"#!/bin/sh\necho '{\"status\":{\"clientCertificateData\":\"x\"}}'\n",
         "printed no ExecCredential"},
        {"#!/bin/sh\nkill -9 $$\n", "was ended by signal 9"},
        {NULL, "can not be started: no such file or directory"},
    };
    assay_auto_free char *plugin = path_of("plugin");
    char *argv[] = {plugin, NULL}, *environment[] = {NULL};
    char version[] = "client.authentication.k8s.io/v1beta1";

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct stage stage;

        unlink(plugin);
        if (cases[i].script != NULL)
            write_file(plugin, cases[i].script);
        stage_open(&stage, NULL, 0, NULL);
        stage.config.exec = argv;
        stage.config.exec_environment = environment;
        stage.config.exec_version = version;
        stage_begin(&stage, 0, 0);
        ask(&stage, "/a", 20 * ASSAY_SECOND_US, false);
        ask(&stage, "/b", 20 * ASSAY_SECOND_US, false);
        assert_true(kube_run_until(&stage.loop, all_told, &stage));
        assert_int_equal(stage.codes[0], 0);
        assert_int_equal(stage.codes[1], 0);
        if (strstr(stage.message, cases[i].says) == NULL)
            fail_msg("%s does not say: %s", stage.message, cases[i].says);
        assert_int_equal(kube_asked(stage.server, "GET"), 0);
        stage_close(&stage);
    }
}

/* The client ends while its plug-in runs. */
static void
plugin_outlives(void **state)
{
    assay_auto_free char *plugin = path_of("plugin");
    char *argv[] = {plugin, NULL}, *environment[] = {NULL};
    char version[] = "client.authentication.k8s.io/v1";
    struct stage stage;

    (void)state;
    write_file(plugin, "#!/bin/sh\nexec sleep 60\n");
    stage_open(&stage, NULL, 0, NULL);
    stage.config.exec = argv;
    stage.config.exec_environment = environment;
    stage.config.exec_version = version;
    stage_begin(&stage, 0, 0);
    ask(&stage, "/a", 20 * ASSAY_SECOND_US, false);
    for (int i = 0; i < 5; i++)
        uv_run(&stage.loop, UV_RUN_NOWAIT);
    stage_close(&stage);
    assert_int_equal(stage.told, 0);
}

/* --- trouble --- */

static void
tried_again(void **state)
{
    struct kube_step steps[] = {
        {.match = "GET /a ", .code = 503, .body = "{}"},
        {.match = "GET /a ", .code = 500, .body = "<html>"},
        {.match = "GET /a ", .body = "{\"half\":", .then = KUBE_CUT},
        {.match = "GET /a ", .body = FINE},
        {.match = "GET /b ", .code = 429, .headers = "Retry-After: 1\r\n", .body = "{}"},
        {.match = "GET /b ", .body = FINE},
        {.match = "GET /c ", .code = 403, .body = "{\"message\":\"forbidden\"}"},
    };
    struct stage stage;
    int64_t before_us;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps), NULL);
    stage_begin(&stage, 0, 0);
    assert_int_equal(get(&stage, "/a"), 200);
    assert_int_equal(kube_asked(stage.server, "GET /a "), 4);
    before_us = assay_monotonic_us();
    assert_int_equal(get(&stage, "/b"), 200);
    assert_true(assay_monotonic_us() - before_us >= ASSAY_SECOND_US);
    assert_int_equal(get(&stage, "/c"), 403); /* no second try makes it right */
    assert_int_equal(kube_asked(stage.server, "GET /c "), 1);
    assert_int_equal(kube_unexpected(stage.server), 0);
    stage_close(&stage);
}

static void
given_up(void **state)
{
    struct kube_step steps[40];
    struct stage stage;

    (void)state;
    for (size_t i = 0; i < 39; i++)
        steps[i] = (struct kube_step){
            .match = "GET /a ", .code = 503, .body = "{\"message\":\"etcd has no leader\"}"};
    steps[39] = (struct kube_step){.match = "GET /b ",
                                   .code = 429,
                                   .headers = "Retry-After: 600\r\n",
                                   .body = "{\"message\":\"too many requests\"}"};
    stage_open(&stage, steps, 40, NULL);
    stage_begin(&stage, 0, 0);
    ask(&stage, "/a", 3 * ASSAY_SECOND_US, false);
    assert_true(kube_run_until(&stage.loop, all_told, &stage));
    assert_true(stage.codes[0] == 503 || stage.codes[0] == 0);
    assert_true(kube_asked(stage.server, "GET /a ") > 1);
    /* It would have to wait for longer than it has. */
    assert_int_equal(get(&stage, "/b"), 429);
    assert_string_equal(stage.message, "too many requests");
    stage_close(&stage);
}

static void
nobody_there(void **state)
{
    struct stage stage;

    (void)state;
    stage_open(&stage, NULL, 0, NULL);
    free(stage.config.server);
    stage.config.server = assay_strdup("http://127.0.0.1:1");
    stage_begin(&stage, 0, 0);
    ask(&stage, "/a", ASSAY_SECOND_US / 2, false);
    assert_true(kube_run_until(&stage.loop, all_told, &stage));
    assert_int_equal(stage.codes[0], 0);
    assert_non_null(strstr(stage.message, "http://127.0.0.1:1: "));
    stage_close(&stage);
}

static void
rate(void **state)
{
    struct kube_step steps[8];
    struct stage stage;
    int64_t before_us;
    const char *urgent;

    (void)state;
    for (size_t i = 0; i < 8; i++)
        steps[i] = (struct kube_step){.body = FINE};
    stage_open(&stage, steps, 8, NULL);
    stage_begin(&stage, 10, 2);
    before_us = assay_monotonic_us();
    for (int i = 0; i < 7; i++)
        ask(&stage, "/log", 20 * ASSAY_SECOND_US, true);
    ask(&stage, "/urgent", 20 * ASSAY_SECOND_US, false);
    assert_true(kube_run_until(&stage.loop, all_told, &stage));
    /* Two at once, then ten a second. */
    assert_true(assay_monotonic_us() - before_us >= 590 * INT64_C(1000));
    assert_int_equal(assay_kube_client_sent(stage.client), 8);
    urgent = strstr(stage.server->heads.data, "GET /urgent");
    assert_non_null(urgent);
    assert_true(strstr(urgent, "GET /log") != NULL); /* it did not wait for all of them */
    stage_close(&stage);
}

/* --- streams --- */

static void
streams(void **state)
{
    struct kube_step steps[] = {
        {.match = "GET /whole ", .body = "one\ntwo\n", .stream = true},
        {.match = "GET /cut ", .body = "three\n", .stream = true, .then = KUBE_CUT},
        {.match = "GET /busy ",
         .code = 429,
         .headers = "Retry-After: 7\r\n",
         .body = "{\"message\":\"too many requests\"}"},
        {.match = "GET /open ", .body = "four\n", .stream = true, .then = KUBE_HOLD},
    };
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps), NULL);
    stage_begin(&stage, 0, 0);
    assert_int_equal(stream(&stage, "/whole", 20 * ASSAY_SECOND_US), 200);
    assert_string_equal(stage.message, "");
    assert_int_equal(stream(&stage, "/cut", 20 * ASSAY_SECOND_US), 200);
    assert_string_not_equal(stage.message, "");
    assert_int_equal(stream(&stage, "/busy", 20 * ASSAY_SECOND_US), 429); /* its owner waits */
    assert_string_equal(stage.message, "too many requests");
    assert_string_equal(stage.data.data, "one\ntwo\nthree\n");
    stage.cancel_on_data = true;
    stream(&stage, "/open", 20 * ASSAY_SECOND_US);
    assert_string_equal(stage.data.data, "one\ntwo\nthree\nfour\n");
    assert_int_equal(assay_kube_client_open(stage.client), 0);
    stage_close(&stage);
}

static void
stream_that_does_not_begin(void **state)
{
    struct kube_step steps[] = {
        {.match = "GET /a ", .then = KUBE_MUTE},
        {.match = "GET /b ", .body = "late\n", .stream = true, .then = KUBE_HOLD}};
    struct stage stage;

    (void)state;
    stage_open(&stage, steps, ASSAY_COUNT(steps), NULL);
    stage_begin(&stage, 0, 0);
    assert_int_equal(stream(&stage, "/a", ASSAY_SECOND_US / 2), 0);
    assert_non_null(strstr(stage.message, "no answer in time"));
    /* One that began may be silent for longer. */
    stage.wanted++;
    assay_kube_send(stage.client, &(struct assay_kube_request){.path = "/b",
                                                               .timeout_us = 4 * ASSAY_SECOND_US,
                                                               .data = on_data,
                                                               .done = on_done,
                                                               .arg = &stage});
    for (int64_t until_us = assay_monotonic_us() + 6 * ASSAY_SECOND_US;
         assay_monotonic_us() < until_us;) {
        uv_run(&stage.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(stage.told, 1);
    assert_string_equal(stage.data.data, "late\n");
    stage_close(&stage); /* with the stream open */
    assert_int_equal(stage.told, 1);
}

static int
setup(void **state)
{
    (void)state;
    kube_tls_make(HOST, "assayd", &tls);
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
    struct assay_error err = {0};

    (void)state;
    kube_tls_done(&tls);
    return assay_remove_tree(folder, &err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(certificates),
        cmocka_unit_test(wrong_name),
        cmocka_unit_test(wrong_authority),
        cmocka_unit_test(unchecked),
        cmocka_unit_test(token_rotates),
        cmocka_unit_test(plugin_tokens),
        cmocka_unit_test(plugin_token_expires),
        cmocka_unit_test(plugin_certificate),
        cmocka_unit_test(plugin_faults),
        cmocka_unit_test(plugin_outlives),
        cmocka_unit_test(tried_again),
        cmocka_unit_test(given_up),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(rate),
        cmocka_unit_test(streams),
        cmocka_unit_test(stream_that_does_not_begin),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

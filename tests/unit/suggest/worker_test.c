/* The protocol's frames, and the worker as a real process: what it answers, that
 * the answers do not depend on how they came about, and what it does with rubbish
 * and when it is killed. */
#include "tests/unit/suggest/support.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suggest/protocol.h"

/* --- frames --- */

static void
test_frames_in_pieces(void **state ASSAY_UNUSED)
{
    struct assay_buffer whole = {0}, in = {0};
    json_t *first = json_of("{'op':'close','study':7}");
    json_t *second = json_of("{'text':'\\u00e9 \\u2028 \\\\','list':[1,2.5,null]}");
    json_t *message;
    size_t taken = 0;

    assert_int_equal(assay_protocol_frame_add(&whole, first, NULL), ASSAY_OK);
    assert_int_equal(whole.data[0], 24);
    assert_int_equal(whole.length, 28);
    assert_int_equal(assay_protocol_frame_add(&whole, second, NULL), ASSAY_OK);
    for (size_t i = 0; i < whole.length; i++) {
        assay_buffer_add(&in, whole.data + i, 1);
        assert_int_equal(assay_protocol_frame_take(&in, &message, NULL), ASSAY_OK);
        if (message == NULL)
            continue;
        assert_true(json_equal(message, taken == 0 ? first : second));
        taken++;
        json_decref(message);
    }
    assert_int_equal(taken, 2);
    assert_int_equal(in.length, 0);
    assay_buffer_done(&whole);
    assay_buffer_done(&in);
    json_decref(first);
    json_decref(second);
}

static void
test_bad_frames(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *bytes;
        size_t length;
        assay_status status;
    } cases[] = {
        {"\xff\xff\xff\xff", 4, ASSAY_E_TOO_LARGE},
        {"\x01\x00\x00\x04", 4, ASSAY_E_TOO_LARGE},
        {"\x00\x00\x00\x04", 4, ASSAY_OK}, /* exactly 64 MiB, still to come */
        {"\x00\x00\x00\x00", 4, ASSAY_E_INVALID_JSON},
        {"\x02\x00\x00\x00[]", 6, ASSAY_E_INVALID_JSON},
        {"\x01\x00\x00\x00{", 5, ASSAY_E_INVALID_JSON},
        {"\x04\x00\x00\x00{}{}", 8, ASSAY_E_INVALID_JSON},
        {"\x0d\x00\x00\x00{\"a\":1,\"a\":2}", 17, ASSAY_E_INVALID_JSON},
        {"\x07\x00\x00\x00{\"\xff\":1}", 11, ASSAY_E_INVALID_JSON},
        {"\x02\x00", 2, ASSAY_OK},
    };

    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct assay_buffer in = {0};
        struct assay_error err = {0};
        json_t *message;

        assay_buffer_add(&in, cases[i].bytes, cases[i].length);
        assert_int_equal(assay_protocol_frame_take(&in, &message, &err), cases[i].status);
        assert_null(message);
        assay_buffer_done(&in);
    }
}

static void
test_replies(void **state ASSAY_UNUSED)
{
    static const char *const bad[] = {
        "{}",
        "{'op':'ask'}",
        "{'op':'suggestions','study':1,'request':2}",
        "{'op':'suggestions','study':1,'trials':[]}",
        "{'op':'error','study':1,'code':'x'}",
    };
    struct assay_protocol_reply reply;
    json_t *message = json_of("{'op':'error','study':3,'request':null,'code':'c','message':'m'}");

    assert_int_equal(assay_protocol_reply_decode(message, &reply, NULL), ASSAY_OK);
    assert_true(reply.study == 3 && reply.request == -1 && reply.trials == NULL);
    assert_string_equal(reply.code, "c");
    json_decref(message);
    for (size_t i = 0; i < ASSAY_COUNT(bad); i++) {
        message = json_of(bad[i]);
        assert_int_equal(assay_protocol_reply_decode(message, &reply, NULL), ASSAY_E_BAD_REQUEST);
        json_decref(message);
    }
}

/* --- the process --- */

struct process {
    pid_t pid;
    int to, from; /* the same for a socket */
    struct assay_buffer received;
};

static char *
built(const char *name)
{
    char self[PATH_MAX] = "";

    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    return assay_format("%s/../../%s", dirname(self), name);
}

static struct process
start(char *option, char *value)
{
    assay_auto_free char *program = built("bin/assay-suggest");
    char *arguments[] = {program, option, value, NULL};
    struct process process = {0};
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    process.pid = fork();
    if (process.pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execv(program, arguments);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    process.to = in[1];
    process.from = out[0];
    return process;
}

static int
end(struct process *process)
{
    int status;

    close(process->to);
    if (process->from != process->to)
        close(process->from);
    assay_buffer_done(&process->received);
    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    return status;
}

static void
send_bytes(const struct process *process, const void *bytes, size_t length)
{
    for (size_t sent = 0; sent < length;) {
        ssize_t n = write(process->to, (const char *)bytes + sent, length - sent);

        if (n < 0 && errno == EPIPE)
            return;
        assert_true(n > 0);
        sent += (size_t)n;
    }
}

/* Takes the message. */
static void
send_message(const struct process *process, json_t *message)
{
    struct assay_buffer out = {0};

    assert_int_equal(assay_protocol_frame_add(&out, message, NULL), ASSAY_OK);
    send_bytes(process, out.data, out.length);
    assay_buffer_done(&out);
    json_decref(message);
}

/* The next message, or NULL when the worker has gone. */
static json_t *
receive(struct process *process)
{
    struct pollfd entry = {.fd = process->from, .events = POLLIN};
    char chunk[4096];
    json_t *message;
    ssize_t n;

    for (;;) {
        assert_int_equal(assay_protocol_frame_take(&process->received, &message, NULL), ASSAY_OK);
        if (message != NULL)
            return message;
        if (poll(&entry, 1, 120000) != 1)
            fail_msg("no answer within two minutes");
        n = read(process->from, chunk, sizeof chunk);
        if (n <= 0)
            return NULL;
        assay_buffer_add(&process->received, chunk, (size_t)n);
    }
}

static json_t *
spec_of(const char *algorithm, int seed)
{
    json_t *spec =
        json_of("{'objectives':[{'metric':'acc','goal':'maximize'}],'parameters':["
                "{'name':'lr','type':'double','min':0.00001,'max':1,'scale':'log'},"
                "{'name':'n','type':'int','min':1,'max':50},"
                "{'name':'o','type':'categorical','values':['sgd','adam']},"
                "{'name':'m','type':'double','min':0,'max':0.9,'step':0.1,'when':{'o':['sgd']}}]}");

    json_object_set_new(spec, "algorithm", json_pack("{s:s,s:{}}", "name", algorithm, "settings"));
    json_object_set_new(spec, "seed", json_integer(seed));
    return spec;
}

static void
open_study(const struct process *process, int64_t study, const char *algorithm, int seed)
{
    json_t *spec = spec_of(algorithm, seed);

    send_message(process, assay_protocol_open(study, spec, NULL));
    json_decref(spec);
}

/* One number asked for: the trial, to be told as it is. */
static json_t *
ask_one(struct process *process, int64_t study, int64_t number)
{
    struct assay_protocol_reply reply;
    json_t *message, *trial;

    send_message(process, assay_protocol_ask(study, 1000 + number, &number, 1));
    message = receive(process);
    assert_non_null(message);
    assert_int_equal(assay_protocol_reply_decode(message, &reply, NULL), ASSAY_OK);
    if (reply.trials == NULL)
        fail_msg("%s: %s", reply.code, reply.message);
    assert_int_equal(reply.study, study);
    assert_int_equal(reply.request, 1000 + number);
    assert_int_equal(json_array_size(reply.trials), 1);
    trial = json_incref(json_array_get(reply.trials, 0));
    json_decref(message);
    json_object_set_new(trial, "state", json_string("succeeded"));
    json_object_set_new(trial, "values", json_pack("[f]", (double)number));
    return trial;
}

static void
tell_all(const struct process *process, int64_t study, const json_t *trials)
{
    send_message(process, assay_protocol_tell(study, trials));
}

static void
tell_one(const struct process *process, int64_t study, json_t *trial)
{
    json_t *list = json_array();

    json_array_append(list, trial);
    tell_all(process, study, list);
    json_decref(list);
}

static void
expect_error(struct process *process, const char *code)
{
    struct assay_protocol_reply reply;
    json_t *message = receive(process);

    assert_non_null(message);
    assert_int_equal(assay_protocol_reply_decode(message, &reply, NULL), ASSAY_OK);
    assert_non_null(reply.code);
    assert_string_equal(reply.code, code);
    json_decref(message);
}

static const char *const algorithms[] = {"grid",   "nsga2", "tpe",      "cmaes",
                                         "random", "sobol", "bayesian", "auto"};
#define STUDIES 4
#define NUMBERS 60

/* Each study by itself in its own process; then all of them interleaved in one that
 * is killed every now and then and told everything again. */
static void
test_same_answers_after_kills(void **state ASSAY_UNUSED)
{
    json_t *expected[STUDIES], *told[STUDIES];
    struct assay_random random = test_random(31);
    struct process process;
    bool is_open[STUDIES] = {false};
    int kills = 0;

    for (int s = 0; s < STUDIES; s++) {
        expected[s] = json_array();
        told[s] = json_array();
        process = start(NULL, NULL);
        open_study(&process, s + 1, algorithms[s], s + 10);
        for (int64_t number = 1; number <= NUMBERS; number++) {
            json_t *trial = ask_one(&process, s + 1, number);

            tell_one(&process, s + 1, trial);
            json_array_append_new(expected[s], trial);
        }
        assert_int_equal(end(&process), 0);
    }
    process = start(NULL, NULL);
    for (;;) {
        int s = (int)assay_random_below(&random, STUDIES);
        size_t done = json_array_size(told[s]);
        json_t *trial;

        if (json_array_size(told[0]) + json_array_size(told[1]) + json_array_size(told[2]) +
                json_array_size(told[3]) ==
            STUDIES * NUMBERS)
            break;
        if (done == NUMBERS)
            continue;
        if (assay_random_below(&random, 20) == 0) {
            int status;

            kill(process.pid, SIGKILL);
            status = end(&process);
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
            process = start(NULL, NULL);
            memset(is_open, 0, sizeof is_open);
            kills++;
        }
        if (!is_open[s]) { /* replay, only what is asked for next */
            int64_t number = (int64_t)done + 1;

            send_message(&process, assay_protocol_ask(s + 1, 5, &number, 1));
            expect_error(&process, ASSAY_PROTOCOL_UNKNOWN_STUDY);
            open_study(&process, s + 1, algorithms[s], s + 10);
            tell_all(&process, s + 1, told[s]);
            is_open[s] = true;
        }
        trial = ask_one(&process, s + 1, (int64_t)done + 1);
        assert_true(json_equal(trial, json_array_get(expected[s], done)));
        tell_one(&process, s + 1, trial);
        json_array_append_new(told[s], trial);
    }
    assert_true(kills >= 3);
    assert_int_equal(end(&process), 0);
    for (int s = 0; s < STUDIES; s++) {
        json_decref(expected[s]);
        json_decref(told[s]);
    }
}

static void
test_errors_leave_the_rest_alone(void **state ASSAY_UNUSED)
{
    struct process process = start(NULL, NULL);
    json_t *trial, *bad;
    int64_t zero = 0, one = 1;

    open_study(&process, 1, "sobol", 1);
    open_study(&process, 2, "no such algorithm", 1);
    expect_error(&process, "invalid_study");
    send_message(&process, assay_protocol_ask(2, 1, &one, 1));
    expect_error(&process, ASSAY_PROTOCOL_UNKNOWN_STUDY);
    send_message(&process, assay_protocol_ask(1, 1, &zero, 1));
    expect_error(&process, "invalid_value");
    send_message(&process, assay_protocol_ask(1, 1, &one, 0));
    expect_error(&process, "invalid_value");
    send_message(&process, json_of("{'op':'dance','study':1}"));
    expect_error(&process, "bad_request");
    send_message(&process, json_of("{'op':'ask'}"));
    expect_error(&process, "bad_request");
    send_message(&process, json_of("{'study':[1],'op':'ask','request':{}}"));
    expect_error(&process, "bad_request");
    send_message(&process, json_of("{}"));
    expect_error(&process, "bad_request");
    trial = ask_one(&process, 1, 1);
    /* A tell that can't be taken in closes the study: its history has a hole. */
    bad = json_of("[{'number':1,'state':'succeeded','parameters':{'lr':7},'values':[1]}]");
    tell_all(&process, 1, bad);
    expect_error(&process, "invalid_value");
    send_message(&process, assay_protocol_ask(1, 1, &one, 1));
    expect_error(&process, ASSAY_PROTOCOL_UNKNOWN_STUDY);
    json_decref(bad);
    json_decref(trial);
    /* An ID may be text; closing what is not open is nothing. */
    send_message(&process, assay_protocol_close(77));
    send_message(&process, json_of("{'op':'ask','study':'77','request':3,'numbers':[1]}"));
    expect_error(&process, ASSAY_PROTOCOL_UNKNOWN_STUDY);
    assert_int_equal(end(&process), 0);
}

static void
test_exhausted(void **state ASSAY_UNUSED)
{
    struct process process = start(NULL, NULL);
    int64_t numbers[] = {1, 2, 3};
    struct assay_protocol_reply reply;
    json_t *message;

    send_message(&process, json_of("{'op':'open','study':4,'spec':{'objective':{'goal':'minimize'},"
                                   "'parameters':[{'name':'b','type':'bool'}],"
                                   "'algorithm':{'name':'random'}}}"));
    send_message(&process, assay_protocol_ask(4, 1, numbers, 3));
    message = receive(&process);
    assert_int_equal(assay_protocol_reply_decode(message, &reply, NULL), ASSAY_OK);
    assert_true(reply.exhausted && json_array_size(reply.trials) == 2);
    json_decref(message);
    assert_int_equal(end(&process), 0);
}

/* Bytes that make no sense end the worker with a line in its log and nothing worse. */
static void
test_garbage(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *bytes;
        size_t length;
        int status;
    } cases[] = {
        {"\xff\xff\xff\xff{}", 6, 1},        /* a giant length */
        {"\x01\x00\x00\x04", 4, 1},          /* one byte too long */
        {"GET / HTTP/1.1\r\n\r\n", 18, 1},   /* another protocol */
        {"\x05\x00\x00\x00hello", 9, 1},     /* not JSON */
        {"\x02\x00\x00\x00[]", 6, 1},        /* not an object */
        {"\x10\x00\x00\x00{\"op\":", 10, 0}, /* cut off, then the end */
        {"\x02\x00", 2, 0},
        {"", 0, 0},
    };
    struct assay_random random = test_random(17);

    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct process process = start(NULL, NULL);
        int status;

        send_bytes(&process, cases[i].bytes, cases[i].length);
        status = end(&process);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), cases[i].status);
    }
    for (int i = 0; i < 30; i++) {
        struct process process = start(NULL, NULL);
        unsigned char bytes[200];
        int status;

        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (unsigned char)assay_random_u32(&random);
        bytes[1] = i % 2 == 0 ? 0 : bytes[1];
        bytes[2] = bytes[3] = 0;
        send_bytes(&process, bytes, sizeof bytes);
        status = end(&process);
        assert_true(WIFEXITED(status));
    }
}

/* Valid JSON in every wrong shape: answered or passed over, never a crash. */
static void
test_wrong_shapes(void **state ASSAY_UNUSED)
{
    static const char *const values[] = {"null", "7",    "-1",   "1e300", "'x'",    "[]",
                                         "{}",   "[[]]", "[{}]", "true",  "[null]", "{'name':[]}"};
    static const char *const shapes[] = {
        "{'op':'open','study':1,'spec':%s}",
        "{'op':'open','study':1,'spec':{'objectives':%s,'parameters':[{'name':'b','type':'bool'}]}"
        "}",
        "{'op':'open','study':1,'spec':{'objectives':[{'goal':'minimize'}],'parameters':%s}}",
        "{'op':'open','study':1,'spec':{'objectives':[{'goal':'minimize'}],'algorithm':%s,"
        "'parameters':[{'name':'b','type':'bool'}]}}",
        "{'op':'open','study':1,'spec':{'objectives':[{'goal':'minimize'}],'seed':%s,"
        "'budget':[1],'limits':7,'parameters':[{'name':'b','type':'bool'}]}}",
        "{'op':'tell','study':1,'trials':%s}",
        "{'op':'tell','study':1,'trials':[{'number':1,'state':'pending','parameters':%s}]}",
        "{'op':'ask','study':1,'request':1,'numbers':%s}",
        "{'op':'ask','study':%s,'request':1,'numbers':[1]}",
        "{'op':%s,'study':1}",
    };
    struct process process = start(NULL, NULL);
    json_t *trial;

    for (size_t s = 0; s < ASSAY_COUNT(shapes); s++) {
        for (size_t v = 0; v < ASSAY_COUNT(values); v++) {
            struct assay_buffer text = {0};
            const char *hole = strstr(shapes[s], "%s");

            assay_buffer_add(&text, shapes[s], (size_t)(hole - shapes[s]));
            assay_buffer_puts(&text, values[v]);
            assay_buffer_puts(&text, hole + 2);
            open_study(&process, 1, "random", 1);
            send_message(&process, json_of(text.data));
            assay_buffer_done(&text);
        }
    }
    open_study(&process, 99, "sobol", 1);
    /* Whatever was answered before comes first. */
    send_message(&process, json_of("{'op':'ask','study':99,'request':1,'numbers':[1]}"));
    for (;;) {
        bool last;

        trial = receive(&process);
        assert_non_null(trial);
        last = json_integer_value(json_object_get(trial, "study")) == 99;
        json_decref(trial);
        if (last)
            break;
    }
    assert_int_equal(end(&process), 0);
}

/* A socket that is non-blocking on both sides, as --fd; and SIGTERM, SIGINT. */
static void
test_socket_and_signals(void **state ASSAY_UNUSED)
{
    assay_auto_free char *program = built("bin/assay-suggest");
    struct process process = {0};
    int pair[2], status;
    json_t *trial;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
    process.pid = fork();
    if (process.pid == 0) {
        assay_auto_free char *number = assay_format("%d", pair[1]);
        char *arguments[] = {program, (char[]){"--fd"}, number, NULL};

        close(pair[0]);
        execv(program, arguments);
        _exit(127);
    }
    close(pair[1]);
    process.to = process.from = pair[0];
    open_study(&process, 1, "sobol", 1);
    for (int64_t number = 1; number <= 200; number++) {
        trial = ask_one(&process, 1, number);
        tell_one(&process, 1, trial);
        json_decref(trial);
    }
    kill(process.pid, SIGINT); /* meant for the daemon */
    trial = ask_one(&process, 1, 300);
    json_decref(trial);
    kill(process.pid, SIGTERM);
    assert_null(receive(&process));
    status = end(&process);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
test_options(void **state ASSAY_UNUSED)
{
    static const char *const bad[][2] = {
        {"--memory-limit", "lots"}, {"--fd", "-1"},     {"--plugin", "relative.so"},
        {"--nonsense", NULL},       {"argument", NULL},
    };

    for (size_t i = 0; i < ASSAY_COUNT(bad); i++) {
        assay_auto_free char *option = assay_strdup(bad[i][0]), *value = assay_strdup(bad[i][1]);
        struct process process = start(option, value);
        int status = end(&process);

        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    }
}

/* A worker over its limit ends by itself; the daemon would start another. */
static void
test_memory_limit(void **state ASSAY_UNUSED)
{
#if ASSAY_SANITIZED
    skip(); /* the sanitizer's shadow memory is larger than any limit */
#endif
    struct process process = start((char[]){"--memory-limit"}, (char[]){"48Mi"});
    assay_auto_free char *bytes = assay_zalloc(60, 1 << 20);
    int status;

    send_bytes(&process, "\x00\x00\xc0\x03", 4); /* announces 60 MiB */
    send_bytes(&process, bytes, 60 << 20);
    status = end(&process);
    assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

/* A plugin that crashes takes one worker with it. */
static void
test_plugin_in_the_worker(void **state ASSAY_UNUSED)
{
    assay_auto_free char *good = built("examples/plugin-random.so");
    assay_auto_free char *crashing = built("tests/suggest/bad_plugin_11.so");
    struct process process = start((char[]){"--plugin"}, good);
    int64_t one = 1;
    int status;
    json_t *trial;

    open_study(&process, 1, "example-random", 1);
    trial = ask_one(&process, 1, 1);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(trial, "why"), "proposed_by")),
        "example-random");
    json_decref(trial);
    assert_int_equal(end(&process), 0);

    process = start((char[]){"--plugin"}, crashing);
    open_study(&process, 1, "bad", 1);
    send_message(&process, assay_protocol_ask(1, 1, &one, 1));
    assert_null(receive(&process));
    status = end(&process);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
test_round_trip_cost(void **state ASSAY_UNUSED)
{
    struct process process = start(NULL, NULL);
    json_t *history = json_array(), *copy;
    int64_t started, slowest = 0, told_us;

    open_study(&process, 1, "sobol", 1);
    for (int64_t number = 1; number <= 10000; number++) {
        json_t *trial = json_pack("{s:I,s:s,s:[f],s:{s:f,s:i,s:s}}", "number", number, "state",
                                  "succeeded", "values", (double)number, "parameters", "lr",
                                  (double)number * 1e-5, "n", (int)(number % 50) + 1, "o", "adam");

        json_array_append_new(history, trial);
    }
    started = assay_monotonic_us();
    tell_all(&process, 1, history);
    copy = ask_one(&process, 1, 10001);
    told_us = assay_monotonic_us() - started;
    json_decref(copy);
    started = assay_monotonic_us();
    for (int64_t number = 10002; number <= 10501; number++) {
        int64_t before = assay_monotonic_us();
        json_t *trial = ask_one(&process, 1, number);

        tell_one(&process, 1, trial);
        json_decref(trial);
        slowest = ASSAY_MAX(slowest, assay_monotonic_us() - before);
    }
    print_message(
        "replay of 10,000 trials %.1f ms; then %.1f us per ask and tell, slowest %lld us\n",
        (double)told_us / 1000.0, (double)(assay_monotonic_us() - started) / 500.0,
        (long long)slowest);
    assert_int_equal(end(&process), 0);
    json_decref(history);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_in_pieces),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_same_answers_after_kills),
        cmocka_unit_test(test_errors_leave_the_rest_alone),
        cmocka_unit_test(test_exhausted),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_socket_and_signals),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_plugin_in_the_worker),
        cmocka_unit_test(test_round_trip_cost),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

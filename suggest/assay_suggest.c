/* assay-suggest: serves suggestions to one daemon over a pipe or socket
 * (suggest/protocol.h), or listens for daemons elsewhere and stands in for such workers
 * there (suggest/relay/).
 *
 * Holds nothing that can't be thrown away: the daemon kills it at will, starts
 * another and replays.  It ends when the daemon does, and leaves Ctrl-C at the
 * daemon's terminal to the daemon. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/number.h"
#include "suggest/host.h"
#include "suggest/plugin_check.h"
#include "suggest/protocol.h"
#include "suggest/questions.h"
#include "suggest/registry.h"
#include "suggest/relay/listener.h"
#include "suggest/relay/relay.h"
#include "suggest/remote/remote.h"
#include "suggest/remote_policy.h"
#include "suggest/simulate/request.h"
#include "suggest/worker.h"

#define READ_BYTES 65536
/* One conformance check; those of a slow algorithm cut themselves short before. */
#define CHECK_US (90 * ASSAY_SECOND_US)
/* Of a listener and a relay: until the token is there; without a sign of life. */
#define HANDSHAKE_US (10 * ASSAY_SECOND_US)
#define SILENCE_US (20 * ASSAY_SECOND_US)

struct connection {
    int in, out;
    struct assay_buffer received, to_send;
    char chunk[READ_BYTES];
};

static volatile sig_atomic_t terminated;
static int64_t deadline_us = 30 * ASSAY_SECOND_US; /* of the daemon for one ask */

static void
on_terminate(int signal_number ASSAY_UNUSED)
{
    terminated = 1;
    assay_host_set_stop(true); /* an algorithm at work gives up */
}

static void
set_signals(void)
{
    struct sigaction terminate = {.sa_handler = on_terminate};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigaction(SIGTERM, &terminate, NULL);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    /* The kernel sends it when the thread that started this process ends; a daemon
     * that died before this line is noticed by the end of the stream. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Waits until the descriptor can go on; false once told to terminate, or when poll
 * fails for good.  The signal
 * is let in only while waiting, so none is missed just before. */
static bool
wait_for(int fd, short events)
{
    struct pollfd entry = {.fd = fd, .events = events};
    sigset_t terminate, before;
    int ready = 0;

    sigemptyset(&terminate);
    sigaddset(&terminate, SIGTERM);
    sigprocmask(SIG_BLOCK, &terminate, &before);
    while (!terminated && ready == 0) {
        ready = ppoll(&entry, 1, NULL, &before);
        if (ready < 0 && errno == EINTR)
            ready = 0;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ready > 0;
}

/* False when the peer has gone or the process was told to end. */
static bool
send_all(struct connection *connection)
{
    size_t sent = 0;

    while (sent < connection->to_send.length) {
        ssize_t n = write(connection->out, connection->to_send.data + sent,
                          connection->to_send.length - sent);

        if (n >= 0)
            sent += (size_t)n;
        else if (errno == EAGAIN && !wait_for(connection->out, POLLOUT))
            return false;
        else if (errno != EAGAIN && errno != EINTR)
            return false;
    }
    assay_buffer_clear(&connection->to_send);
    return true;
}

static bool
receive_some(struct connection *connection)
{
    while (wait_for(connection->in, POLLIN)) {
        ssize_t n = read(connection->in, connection->chunk, sizeof connection->chunk);

        if (n > 0) {
            assay_buffer_add(&connection->received, connection->chunk, (size_t)n);
            return true;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return false;
    }
    return false;
}

static void
reply_with(struct connection *connection, json_t *reply)
{
    struct assay_error err = {0};

    if (assay_protocol_frame_add(&connection->to_send, reply, &err) != ASSAY_OK) {
        json_t *instead =
            assay_protocol_error(json_object_get(reply, "study"), json_object_get(reply, "request"),
                                 assay_status_name(err.status), err.message);

        /* Short: the worker takes no ID longer than ASSAY_WORKER_ID_BYTES_MAX. */
        ASSAY_ASSERT(assay_protocol_frame_add(&connection->to_send, instead, NULL) == ASSAY_OK);
        json_decref(instead);
    }
}

/* Answers every complete frame received; not OK when the stream makes no sense. */
static assay_status
answer_frames(struct connection *connection, struct assay_worker *worker, struct assay_error *err)
{
    for (;;) {
        json_t *message, *reply;
        assay_status status = assay_protocol_frame_take(&connection->received, &message, err);

        if (status != ASSAY_OK || message == NULL)
            return status;
        reply = assay_worker_handle(worker, message);
        json_decref(message);
        if (reply != NULL)
            reply_with(connection, reply);
        json_decref(reply);
    }
}

static int
serve(struct connection *connection)
{
    struct assay_worker *worker = assay_worker_new(
        assay_remote_policy() != ASSAY_REMOTE_NONE ? assay_remote_server(deadline_us) : NULL);
    struct assay_error err = {0};
    assay_status status = ASSAY_OK;

    while (status == ASSAY_OK && receive_some(connection)) {
        status = answer_frames(connection, worker, &err);
        if (!send_all(connection))
            break;
    }
    if (status != ASSAY_OK)
        assay_log(ASSAY_LOG_ERROR, "the connection is given up: %s", err.message);
    assay_worker_free(worker);
    return status == ASSAY_OK ? 0 : 1;
}

/* Standard output is the wire: whatever else is written to it (by a plugin, say)
 * goes to standard error instead. */
static int
take_standard_output(void)
{
    int wire = dup(STDOUT_FILENO);

    if (wire >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return -1;
    return wire;
}

/* --- memory --- */

static int64_t memory_limit_bytes;

/* The address space in use, from a signal handler; 0 when it can't be told. */
static int64_t
address_space_bytes(void)
{
    char text[32] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    int64_t pages = 0;

    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        pages = pages * 10 + (text[i] - '0');
    return pages * sysconf(_SC_PAGESIZE);
}

/* Code that does not look whether it got memory crashes without: the exit code
 * tells the daemon so where little of the limit was left. */
static void
on_crash(int signal_number)
{
    int64_t spare = ASSAY_MAX(memory_limit_bytes / 8, INT64_C(64) << 20);

    if (address_space_bytes() + spare >= memory_limit_bytes)
        _exit(ASSAY_WORKER_EXIT_MEMORY);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void
watch_crashes(void)
{
    static char stack[16384]; /* that of the crash may be used up */
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
    const stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};

    sigaltstack(&alternative, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGABRT, &action, NULL);
}

static bool
limit_memory(const char *text)
{
    int64_t bytes;
    struct rlimit limit;

    if (!assay_parse_bytes(text, &bytes) || bytes < 1) {
        fprintf(stderr, "assay-suggest: --memory-limit %s is not a number of bytes\n", text);
        return false;
    }
    if (ASSAY_SANITIZED)
        return true; /* its shadow takes more address space than any limit leaves */
    limit.rlim_cur = limit.rlim_max = (rlim_t)bytes;
    if (setrlimit(RLIMIT_AS, &limit) == 0) {
        memory_limit_bytes = bytes;
        watch_crashes();
        return true;
    }
    fprintf(stderr, "assay-suggest: --memory-limit %s: %s\n", text, strerror(errno));
    return false;
}

/* A machine without memory ends this process rather than the daemon. */
static void
offer_to_oom_killer(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (write(fd, "500", 3) < 0)
        assay_log(ASSAY_LOG_DEBUG, "oom_score_adj: %s", strerror(errno));
    close(fd);
}

static bool
use_descriptor(const char *text, struct connection *connection)
{
    int64_t fd;

    if (!assay_parse_int(text, 0, INT32_MAX, &fd)) {
        fprintf(stderr, "assay-suggest: --fd %s is not a file descriptor\n", text);
        return false;
    }
    connection->in = connection->out = (int)fd;
    return true;
}

/* --- what is asked for --- */

enum mode { SERVE, DESCRIBE, CHECK_STUDY, CHECK_PLUGIN, SIMULATE, LISTEN, CONNECT };

struct arguments {
    enum mode mode;
    const char *memory_limit;
    const char **plugins;
    size_t n_plugins, plugins_capacity;
    struct assay_listener_options listener;
    struct assay_relay_options relay;
};

static bool
set_time(const char *name, const char *text, int64_t *ret_us)
{
    if (assay_parse_duration(text, ret_us) && *ret_us > 0)
        return true;
    fprintf(stderr, "assay-suggest: --%s %s is not a time\n", name, text);
    return false;
}

static bool
set_connections(const char *text, int *ret_connections)
{
    int64_t n;

    if (assay_parse_int(text, 1, ASSAY_LISTENER_CONNECTIONS_MAX, &n)) {
        *ret_connections = (int)n;
        return true;
    }
    fprintf(stderr, "assay-suggest: --connections %s is not a number from 1 to %d\n", text,
            ASSAY_LISTENER_CONNECTIONS_MAX);
    return false;
}

static bool
set_remote(const char *text)
{
    enum assay_remote_policy policy;

    if (assay_remote_policy_parse(text, &policy)) {
        assay_remote_set_policy(policy);
        return true;
    }
    fprintf(stderr, "assay-suggest: --remote-algorithms %s is not none, loopback or any\n", text);
    return false;
}

static void
add_plugin(struct arguments *arguments, const char *path)
{
    ASSAY_GROW(arguments->plugins, arguments->n_plugins, arguments->plugins_capacity);
    arguments->plugins[arguments->n_plugins++] = path;
}

static const char usage[] =
    "usage: assay-suggest [OPTIONS]\n"
    "Proposes trials to assayd, which starts it; not meant to be run by hand, but for --listen.\n"
    "  --fd N                 talk over descriptor N instead of standard input and output\n"
    "  --memory-limit BYTES   address space allowed (512Mi, 2Gi)\n"
    "  --deadline TIME        after which the daemon gives an ask up (30s)\n"
    "  --plugin FILE          load algorithms and rules from a shared object; may be repeated\n"
    "  --remote-algorithms none|loopback|any\n"
    "                         where the algorithm remote may call HTTP services\n"
    "  --describe             print what the plugins bring, as JSON, and end\n"
    "  --check-study          print whether the algorithm can serve the study file (JSON) on\n"
    "                         standard input, and end\n"
    "  --check-plugin         run the conformance checks on what the plugins bring; one JSON\n"
    "                         object a line; exit code 1 when one failed\n"
    "  --simulate             run the study of the request (JSON) on standard input in simulated\n"
    "                         time, print what became of it as JSON, and end\n"
    "Workers on other machines than assayd's (docs/operations.md):\n"
    "  --listen HOST:PORT     run a worker for each connection of a relay; ends on SIGTERM\n"
    "  --tls-cert FILE, --tls-key FILE\n"
    "                         its certificate and key (PEM); without them HOST must be of this\n"
    "                         machine alone\n"
    "  --connections N        workers it runs at most (16)\n"
    "  --handshake TIME       in which a connection must show its token (10s)\n"
    "  --connect HOST:PORT    be such a relay; assayd --suggest-connect starts it\n"
    "  --ca FILE              authorities it trusts (PEM); the system's when left out\n"
    "  --token-file FILE      of both: the token, 16 characters or more\n"
    "  --silence TIME         of both: a connection is dead when nothing comes for this (20s)\n"
    "  --help\n";

/* What a listener or a relay needs besides. */
static bool
check_together(const struct arguments *arguments)
{
    const struct assay_listener_options *listener = &arguments->listener;
    const char *fault = NULL;
    int64_t bytes;

    if (arguments->mode != LISTEN && arguments->mode != CONNECT)
        return true;
    if (listener->token_file == NULL)
        fault = "--token-file is needed";
    else if (arguments->n_plugins > 0)
        fault = "plugins run beside the daemon, not here";
    else if ((listener->cert_file == NULL) != (listener->key_file == NULL))
        fault = "--tls-cert and --tls-key need each other";
    else if (arguments->memory_limit != NULL &&
             (!assay_parse_bytes(arguments->memory_limit, &bytes) || bytes < 1))
        fault = "--memory-limit is not a number of bytes";
    if (fault != NULL)
        fprintf(stderr, "assay-suggest: %s\n", fault);
    return fault == NULL;
}

static bool
parse(int argc, char **argv, struct connection *connection, struct arguments *ret_arguments,
      bool *ret_help)
{
    static const struct option options[] = {
        {"fd", required_argument, NULL, 'f'},
        {"memory-limit", required_argument, NULL, 'm'},
        {"deadline", required_argument, NULL, 'd'},
        {"plugin", required_argument, NULL, 'p'},
        {"remote-algorithms", required_argument, NULL, 'r'},
        {"describe", no_argument, NULL, 'D'},
        {"check-study", no_argument, NULL, 'S'},
        {"check-plugin", no_argument, NULL, 'P'},
        {"simulate", no_argument, NULL, 'M'},
        {"listen", required_argument, NULL, 'l'},
        {"tls-cert", required_argument, NULL, 'c'},
        {"tls-key", required_argument, NULL, 'k'},
        {"connections", required_argument, NULL, 'n'},
        {"handshake", required_argument, NULL, 'g'},
        {"connect", required_argument, NULL, 'C'},
        {"ca", required_argument, NULL, 'a'},
        {"token-file", required_argument, NULL, 't'},
        {"silence", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool ok = true;
    int option;

    while (ok && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'f':
            ok = use_descriptor(optarg, connection);
            break;
        case 'm':
            ret_arguments->memory_limit = optarg;
            break;
        case 'd':
            ok = set_time("deadline", optarg, &deadline_us);
            break;
        case 'r':
            ok = set_remote(optarg);
            break;
        case 'p':
            add_plugin(ret_arguments, optarg);
            break;
        case 'D':
            ret_arguments->mode = DESCRIBE;
            break;
        case 'S':
            ret_arguments->mode = CHECK_STUDY;
            break;
        case 'P':
            ret_arguments->mode = CHECK_PLUGIN;
            break;
        case 'M':
            ret_arguments->mode = SIMULATE;
            break;
        case 'l':
            ret_arguments->mode = LISTEN;
            ret_arguments->listener.listen = optarg;
            break;
        case 'c':
            ret_arguments->listener.cert_file = optarg;
            break;
        case 'k':
            ret_arguments->listener.key_file = optarg;
            break;
        case 'n':
            ok = set_connections(optarg, &ret_arguments->listener.connections);
            break;
        case 'g':
            ok = set_time("handshake", optarg, &ret_arguments->listener.handshake_us);
            break;
        case 'C':
            ret_arguments->mode = CONNECT;
            ret_arguments->relay.connect = optarg;
            break;
        case 'a':
            ret_arguments->relay.ca_file = optarg;
            break;
        case 't':
            ret_arguments->listener.token_file = ret_arguments->relay.token_file = optarg;
            break;
        case 's':
            ok = set_time("silence", optarg, &ret_arguments->relay.silence_us);
            ret_arguments->listener.silence_us = ret_arguments->relay.silence_us;
            break;
        case 'h':
            *ret_help = true;
            return true;
        default:
            ok = false;
        }
    }
    return ok && optind >= argc && check_together(ret_arguments);
}

static assay_status
load_plugins(const struct arguments *arguments, struct assay_error *err)
{
    assay_status status = ASSAY_OK;

    for (size_t i = 0; i < arguments->n_plugins && status == ASSAY_OK; i++)
        status = assay_registry_load(arguments->plugins[i], err);
    return status;
}

/* One answer, and the end. */
static int
answer_once(const struct arguments *arguments, int wire)
{
    struct assay_error err = {0};
    json_t *answer, *question;

    if (load_plugins(arguments, &err) != ASSAY_OK) {
        answer = json_pack("{s:s}", "error", err.message);
    } else if (arguments->mode == DESCRIBE) {
        answer = assay_question_describe();
    } else {
        question = json_loadfd(STDIN_FILENO, 0, NULL);
        answer = arguments->mode == SIMULATE ? assay_simulate_answer(question)
                                             : assay_question_study(question);
        json_decref(question);
    }
    if (json_dumpfd(answer, wire, 0) < 0)
        fprintf(stderr, "assay-suggest: the answer was not taken: %s\n", strerror(errno));
    json_decref(answer);
    return 0;
}

static int
run(const struct arguments *arguments, struct connection *connection)
{
    struct assay_error err = {0};
    int result;

    if (arguments->mode == LISTEN)
        return assay_listener_run(&arguments->listener);
    if (arguments->mode != CONNECT && arguments->memory_limit != NULL &&
        !limit_memory(arguments->memory_limit))
        return 2;
    offer_to_oom_killer();
    if (connection->out < 0)
        connection->out = take_standard_output();
    if (connection->out < 0) {
        fprintf(stderr, "assay-suggest: standard output: %s\n", strerror(errno));
        return 1;
    }
    if (arguments->mode == DESCRIBE || arguments->mode == CHECK_STUDY ||
        arguments->mode == SIMULATE)
        return answer_once(arguments, connection->out);
    if (load_plugins(arguments, &err) != ASSAY_OK) {
        fprintf(stderr, "assay-suggest: %s\n", err.message);
        return 2;
    }
    if (arguments->mode == CHECK_PLUGIN)
        return assay_plugin_check(connection->out, CHECK_US) ? 0 : 1;
    set_signals();
    if (arguments->mode == CONNECT) {
        signal(SIGTERM, SIG_DFL); /* no algorithm has to give up first */
        return assay_relay_run(&arguments->relay, connection->in, connection->out);
    }
    result = serve(connection);
    assay_buffer_done(&connection->received);
    assay_buffer_done(&connection->to_send);
    return result;
}

int
main(int argc, char **argv)
{
    static struct connection connection = {.in = STDIN_FILENO, .out = -1};
    struct arguments arguments = {
        .listener = {.connections = ASSAY_LISTENER_CONNECTIONS,
                     .handshake_us = HANDSHAKE_US,
                     .silence_us = SILENCE_US},
        .relay = {.silence_us = SILENCE_US},
    };
    bool help = false;
    int result;

    assay_log_init("assay-suggest", ASSAY_LOG_INFO, false);
    if (!parse(argc, argv, &connection, &arguments, &help)) {
        fputs(usage, stderr);
        result = 2;
    } else if (help) {
        fputs(usage, stdout);
        result = 0;
    } else {
        arguments.listener.memory_limit = arguments.memory_limit;
        result = run(&arguments, &connection);
    }
    free(arguments.plugins);
    return result;
}

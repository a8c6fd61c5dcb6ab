#include "suggest/relay/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/number.h"
#include "suggest/relay/copy.h"
#include "suggest/relay/record.h"
#include "suggest/worker_end.h"

#define TOKENS_BYTES_MAX ((size_t)1 << 16)
/* A worker that has closed its socket is gone after this, or is killed. */
#define EXIT_US (5 * ASSAY_SECOND_US)
/* The last record is taken by then, or is not. */
#define FINISH_US (3 * ASSAY_SECOND_US)
#define WORKER_FD 3

/* --- who is there --- */

static enum assay_welcome
ask_for_place(const struct assay_gate *gate)
{
    char byte = ASSAY_GATE_ASKS;
    ssize_t n = write(gate->admission, &byte, 1);

    if (n == 1)
        n = read(gate->admission, &byte, 1);
    if (n != 1)
        return ASSAY_WELCOME_FAULT;
    return byte == ASSAY_GATE_ADMITTED ? ASSAY_WELCOME_YES : ASSAY_WELCOME_FULL;
}

static enum assay_welcome
check_token(const struct assay_gate *gate, const unsigned char greeting[ASSAY_GREETING_BYTES])
{
    assay_auto_free char *tokens = NULL;
    struct assay_error err = {0};

    if (assay_file_read(gate->token_file, TOKENS_BYTES_MAX, &tokens, NULL, &err) != ASSAY_OK ||
        assay_tokens_check(tokens, &err) != ASSAY_OK) {
        assay_log(ASSAY_LOG_ERROR, "%s: %s", gate->token_file, err.message);
        return ASSAY_WELCOME_FAULT;
    }
    return assay_greeting_check(greeting, tokens);
}

static void
log_refusal(const struct assay_gate *gate, enum assay_welcome welcome)
{
    const char *why = welcome == ASSAY_WELCOME_TOKEN      ? "its token is not the one"
                      : welcome == ASSAY_WELCOME_PROTOCOL ? "it is no relay of this version"
                      : welcome == ASSAY_WELCOME_FULL     ? "every place is taken"
                                                          : "a fault of this place";

    assay_log(ASSAY_LOG_WARNING, "%s is refused: %s", gate->peer, why);
}

/* Whether the peer may have a worker; it is told when it may not. */
static bool
let_in(const struct assay_gate *gate, struct assay_link *link)
{
    int64_t deadline_us = assay_monotonic_us() + gate->handshake_us;
    unsigned char greeting[ASSAY_GREETING_BYTES], answer;
    struct assay_error err = {0};
    enum assay_welcome welcome;
    assay_status status = ASSAY_OK;

    if (gate->credentials != NULL)
        status = assay_link_shake_hands(link, gate->credentials, NULL, deadline_us, &err);
    if (status == ASSAY_OK)
        status = assay_link_receive_all(link, greeting, sizeof greeting, deadline_us, &err);
    if (status != ASSAY_OK) { /* also a probe that looks whether somebody listens */
        assay_log(ASSAY_LOG_DEBUG, "%s did not come in: %s", gate->peer, err.message);
        return false;
    }
    welcome = check_token(gate, greeting);
    if (welcome == ASSAY_WELCOME_YES)
        welcome = ask_for_place(gate);
    answer = (unsigned char)welcome;
    assay_buffer_add(&link->out, &answer, 1);
    if (welcome == ASSAY_WELCOME_YES)
        return true;
    log_refusal(gate, welcome);
    assay_link_finish(link, ASSAY_MIN(deadline_us, assay_monotonic_us() + FINISH_US));
    return false;
}

/* --- the worker --- */

static assay_status
start_worker(const struct assay_gate *gate, int socket_fd, pid_t *ret_pid, struct assay_error *err)
{
    char descriptor[] = {'0' + WORKER_FD, '\0'};
    const char *arguments[] = {gate->program,
                               "--fd",
                               descriptor,
                               gate->memory_limit != NULL ? "--memory-limit" : NULL,
                               gate->memory_limit,
                               NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    int rc;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, socket_fd, WORKER_FD);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    /* It takes char *const[] for history's sake and writes nothing. */
    rc = posix_spawn(ret_pid, gate->program, &files, &attributes,
                     (char *const *)(uintptr_t)arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return rc == 0 ? ASSAY_OK : assay_fail_errno(err, rc, "%s can not be started", gate->program);
}

/* How it ended; killed if it does not soon.  Caller frees. */
static char *
await_end(const struct assay_gate *gate, pid_t pid, int64_t patience_us)
{
    assay_auto_close int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd entry = {.fd = pidfd, .events = POLLIN};
    int64_t memory_bytes = 0;
    int status = 0;

    if (poll(&entry, 1, (int)(patience_us / 1000)) <= 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (gate->memory_limit != NULL && !assay_parse_bytes(gate->memory_limit, &memory_bytes))
        memory_bytes = 0;
    return assay_worker_describe_end(WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                                     WIFSIGNALED(status) ? WTERMSIG(status) : 0, memory_bytes);
}

static int
stop_descriptor(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Between the peer and a worker that runs. */
static void
converse(const struct assay_gate *gate, struct assay_link *link, int worker_fd, pid_t pid)
{
    assay_auto_close int stop_fd = stop_descriptor();
    struct assay_copy copy = {
        .link = link,
        .in = worker_fd,
        .out = worker_fd,
        .stop_fd = stop_fd,
        .silence_us = gate->silence_us,
        .ends_with_link = true,
    };
    struct assay_error err = {0};
    enum assay_copy_end end = assay_copy_run(&copy, &err);
    assay_auto_free char *what = NULL;
    const char *sentence = "it is being stopped";

    what = await_end(gate, pid, end == ASSAY_COPY_LOCAL ? EXIT_US : 0);
    if (end == ASSAY_COPY_LOCAL)
        sentence = what;
    if (end == ASSAY_COPY_LINK) {
        assay_log(ASSAY_LOG_INFO, "%s: the conversation ends: %s", gate->peer, err.message);
    } else {
        assay_log(ASSAY_LOG_INFO, "%s: the conversation ends: %s", gate->peer, sentence);
        assay_record_add(&link->out,
                         end == ASSAY_COPY_LOCAL ? ASSAY_RECORD_ENDED : ASSAY_RECORD_LEAVES,
                         sentence, strlen(sentence));
        assay_link_finish(link, assay_monotonic_us() + FINISH_US);
    }
    assay_copy_done(&copy);
}

static void
serve(const struct assay_gate *gate, struct assay_link *link)
{
    struct assay_error err = {0};
    int pair[2] = {-1, -1};
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ||
        fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0) {
        assay_log(ASSAY_LOG_ERROR, "%s: no socket for a worker: %s", gate->peer, strerror(errno));
        return;
    }
    if (start_worker(gate, pair[1], &pid, &err) != ASSAY_OK) {
        assay_log(ASSAY_LOG_ERROR, "%s: %s", gate->peer, err.message);
        assay_close(&pair[1]);
    } else {
        assay_close(&pair[1]);
        assay_log(ASSAY_LOG_INFO, "%s has a worker, process %ld", gate->peer, (long)pid);
        converse(gate, link, pair[0], pid);
    }
    assay_close(&pair[0]);
}

void
assay_gate_run(const struct assay_gate *gate)
{
    struct assay_link link;

    assay_link_init(&link, gate->fd);
    if (let_in(gate, &link))
        serve(gate, &link);
    assay_link_done(&link);
}

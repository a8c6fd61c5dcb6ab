#include "suggest/relay/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"
#include "suggest/relay/gate.h"
#include "suggest/relay/record.h"
#include "suggest/relay/tls.h"

#define BACKLOG 256
/* Connections that have not shown their token; when there are more, one that is older than
 * a moment goes. */
#define STRANGERS_MAX 64
#define MOMENT_US ASSAY_SECOND_US
/* No descriptors, no memory: look again after this. */
#define TROUBLE_MS 200
#define DRAIN_US (5 * ASSAY_SECOND_US)
#define TOKENS_BYTES_MAX ((size_t)1 << 16)
#define PEER_BYTES (NI_MAXHOST + 16)

/* A process that serves a connection. */
struct place {
    pid_t pid; /* 0: free */
    int admission;
    bool admitted;
    int64_t since_us;
};

struct listener {
    const struct assay_listener_options *options;
    struct assay_tls_identity *identity; /* NULL: plain */
    char *program;
    int fd, signals;
    struct place *places;
    size_t n_places;
    struct pollfd *waits; /* the socket, the signals, the places */
    bool trouble; /* the last connection could not be taken */
    bool stopping;
};

/* --- preparations --- */

static assay_status
open_socket(const struct addrinfo *to, bool plain, int *ret_fd, struct assay_error *err)
{
    assay_auto_close int fd =
        socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (plain && !assay_address_is_loopback(to->ai_addr))
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "it can be reached by other machines: give --tls-cert and --tls-key");
    /* Accepted sockets inherit both. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(fd, to->ai_addr, to->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
        return assay_fail(err, ASSAY_E_IO, "%s", strerror(errno));
    *ret_fd = fd;
    fd = -1;
    return ASSAY_OK;
}

static void
print_peer(const struct sockaddr *address, socklen_t length, char text[PEER_BYTES])
{
    char host[NI_MAXHOST], port[8];
    bool six = address->sa_family == AF_INET6;

    if (getnameinfo(address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(text, PEER_BYTES, "somebody");
    else
        snprintf(text, PEER_BYTES, "%s%s%s:%s", six ? "[" : "", host, six ? "]" : "", port);
}

static assay_status
open_address(struct listener *listener, struct assay_error *err)
{
    struct assay_address address = {0};
    struct addrinfo *list = NULL;
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof bound;
    char text[PEER_BYTES];
    assay_status status = assay_address_parse(listener->options->listen, &address, err);

    if (status == ASSAY_OK)
        status = assay_address_resolve(&address, true, &list, err);
    if (status == ASSAY_OK) {
        status = open_socket(list, listener->identity == NULL, &listener->fd, err);
        freeaddrinfo(list);
    }
    assay_address_done(&address);
    if (status != ASSAY_OK)
        return assay_wrap(err, "--listen %s", listener->options->listen);
    getsockname(listener->fd, (struct sockaddr *)&bound, &length);
    print_peer((struct sockaddr *)&bound, length, text);
    assay_log(ASSAY_LOG_INFO, "listening on %s (%s), %d workers at most", text,
              listener->identity != NULL ? "TLS" : "plain", listener->options->connections);
    return ASSAY_OK;
}

static assay_status
check_tokens(const char *path, struct assay_error *err)
{
    assay_auto_free char *tokens = NULL;

    if (assay_file_read(path, TOKENS_BYTES_MAX, &tokens, NULL, err) == ASSAY_OK &&
        assay_tokens_check(tokens, err) == ASSAY_OK)
        return ASSAY_OK;
    return assay_wrap(err, "--token-file %s", path);
}

static assay_status
catch_signals(struct listener *listener, struct assay_error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    listener->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return listener->signals >= 0 ? ASSAY_OK : assay_fail_errno(err, errno, "signals");
}

static assay_status
prepare(struct listener *listener, struct assay_error *err)
{
    const struct assay_listener_options *options = listener->options;
    assay_status status = check_tokens(options->token_file, err);

    listener->program = realpath("/proc/self/exe", NULL);
    if (status == ASSAY_OK && listener->program == NULL)
        status = assay_fail_errno(err, errno, "the path of this program");
    if (status == ASSAY_OK && options->cert_file != NULL)
        status = assay_tls_identity_new(options->cert_file, options->key_file,
                                        &listener->identity, err);
    if (status == ASSAY_OK)
        status = catch_signals(listener, err);
    if (status == ASSAY_OK)
        status = open_address(listener, err);
    return status;
}

/* --- places --- */

static size_t
count(const struct listener *listener, bool admitted)
{
    size_t n = 0;

    for (size_t i = 0; i < listener->n_places; i++)
        n += listener->places[i].pid != 0 && listener->places[i].admitted == admitted;
    return n;
}

/* Ends the stranger who came first, unless that was just now. */
static void
make_room(struct listener *listener)
{
    const struct place *oldest = NULL;

    for (size_t i = 0; i < listener->n_places; i++) {
        const struct place *place = &listener->places[i];

        if (place->pid != 0 && !place->admitted &&
            (oldest == NULL || place->since_us < oldest->since_us))
            oldest = place;
    }
    if (oldest != NULL && assay_monotonic_us() - oldest->since_us > MOMENT_US)
        kill(oldest->pid, SIGKILL);
}

/* In the new process: nothing of the listener's is of use but what the gate is given. */
ASSAY_NORETURN static void
become_gate(struct listener *listener, int fd, int admission, const char *peer, pid_t parent,
            gnutls_certificate_credentials_t credentials)
{
    const struct assay_listener_options *options = listener->options;
    struct assay_gate gate = {
        .fd = fd,
        .admission = admission,
        .peer = peer,
        .credentials = credentials,
        .token_file = options->token_file,
        .program = listener->program,
        .memory_limit = options->memory_limit,
        .handshake_us = options->handshake_us,
        .silence_us = options->silence_us,
    };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    assay_close(&listener->fd);
    assay_close(&listener->signals);
    for (size_t i = 0; i < listener->n_places; i++) {
        if (listener->places[i].pid != 0)
            assay_close(&listener->places[i].admission);
    }
    assay_gate_run(&gate);
    _exit(0);
}

static void
open_place(struct listener *listener, int fd, const char *peer)
{
    gnutls_certificate_credentials_t credentials =
        listener->identity != NULL ? assay_tls_identity_get(listener->identity) : NULL;
    struct place *place = listener->places;
    pid_t parent = getpid();
    int pair[2];

    while (place->pid != 0)
        place++;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        assay_log(ASSAY_LOG_ERROR, "%s: no socket: %s", peer, strerror(errno));
        return;
    }
    place->pid = fork();
    if (place->pid == 0) {
        assay_close(&pair[0]);
        become_gate(listener, fd, pair[1], peer, parent, credentials);
    }
    assay_close(&pair[1]);
    if (place->pid < 0) {
        assay_log(ASSAY_LOG_ERROR, "%s: no process: %s", peer, strerror(errno));
        assay_close(&pair[0]);
        place->pid = 0;
        return;
    }
    place->admission = pair[0];
    place->admitted = false;
    place->since_us = assay_monotonic_us();
}

/* Takes one connection; false when that can not be done now. */
static bool
take_connection(struct listener *listener)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char peer[PEER_BYTES];
    assay_auto_close int fd = accept4(listener->fd, (struct sockaddr *)&address, &length,
                                      SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
            return true;
        assay_log(ASSAY_LOG_ERROR, "no connection can be taken: %s", strerror(errno));
        return false;
    }
    print_peer((struct sockaddr *)&address, length, peer);
    open_place(listener, fd, peer);
    return true;
}

static void
answer_gate(struct listener *listener, struct place *place)
{
    char byte;
    ssize_t n = recv(place->admission, &byte, 1, MSG_DONTWAIT);

    if (n != 1 || byte != ASSAY_GATE_ASKS) {
        if (n == 0 || errno != EAGAIN)
            assay_close(&place->admission); /* it has gone; SIGCHLD frees the place */
        return;
    }
    place->admitted = count(listener, true) < (size_t)listener->options->connections;
    byte = place->admitted ? ASSAY_GATE_ADMITTED : ASSAY_GATE_FULL;
    if (send(place->admission, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
        kill(place->pid, SIGKILL);
}

static void
reap(struct listener *listener)
{
    pid_t pid;

    /* Also workers whose gate was killed, where this is the first process. */
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        for (size_t i = 0; i < listener->n_places; i++) {
            if (listener->places[i].pid == pid) {
                assay_close(&listener->places[i].admission);
                listener->places[i].pid = 0;
            }
        }
    }
}

static void
take_signals(struct listener *listener)
{
    struct signalfd_siginfo info;

    while (read(listener->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGCHLD)
            listener->stopping = true;
    }
    reap(listener);
}

/* --- life --- */

/* Waits for a connection, a signal or a gate. */
static void
serve_once(struct listener *listener)
{
    bool crowded = count(listener, false) >= STRANGERS_MAX;
    struct pollfd *waits = listener->waits;

    if (crowded)
        make_room(listener);
    waits[0] = (struct pollfd){.fd = crowded || listener->trouble ? -1 : listener->fd, .events = POLLIN};
    waits[1] = (struct pollfd){.fd = listener->signals, .events = POLLIN};
    for (size_t i = 0; i < listener->n_places; i++) {
        const struct place *place = &listener->places[i];

        waits[2 + i] = (struct pollfd){.fd = place->pid != 0 ? place->admission : -1,
                                       .events = POLLIN};
    }
    if (poll(waits, 2 + listener->n_places, crowded || listener->trouble ? TROUBLE_MS : -1) < 0)
        return;
    listener->trouble = waits[0].revents != 0 && !take_connection(listener);
    for (size_t i = 0; i < listener->n_places; i++) {
        if (waits[2 + i].revents != 0 && waits[2 + i].fd == listener->places[i].admission)
            answer_gate(listener, &listener->places[i]);
    }
    if (waits[1].revents != 0)
        take_signals(listener);
}

static void
signal_places(const struct listener *listener, bool all)
{
    for (size_t i = 0; i < listener->n_places; i++) {
        const struct place *place = &listener->places[i];

        if (place->pid != 0)
            kill(place->pid, all || !place->admitted ? SIGKILL : SIGTERM);
    }
}

/* Conversations are told that they end, so that the daemon goes elsewhere at once. */
static void
drain(struct listener *listener)
{
    int64_t end_us = assay_monotonic_us() + DRAIN_US;

    assay_log(ASSAY_LOG_INFO, "ending %zu conversations", count(listener, true));
    assay_close(&listener->fd);
    signal_places(listener, false);
    while (count(listener, true) + count(listener, false) > 0) {
        struct pollfd entry = {.fd = listener->signals, .events = POLLIN};

        if (assay_monotonic_us() > end_us)
            signal_places(listener, true);
        poll(&entry, 1, 100);
        take_signals(listener);
    }
}

int
assay_listener_run(const struct assay_listener_options *options)
{
    struct listener listener = {
        .options = options,
        .fd = -1,
        .signals = -1,
        .n_places = (size_t)options->connections + STRANGERS_MAX,
    };
    struct assay_error err = {0};
    assay_status status = prepare(&listener, &err);

    if (status == ASSAY_OK) {
        listener.places = assay_zalloc(listener.n_places, sizeof *listener.places);
        listener.waits = assay_zalloc(listener.n_places + 2, sizeof *listener.waits);
        while (!listener.stopping)
            serve_once(&listener);
        drain(&listener);
    } else {
        fprintf(stderr, "assay-suggest: %s\n", err.message);
    }
    assay_close(&listener.fd);
    assay_close(&listener.signals);
    assay_tls_identity_free(listener.identity);
    free(listener.program);
    free(listener.places);
    free(listener.waits);
    return status == ASSAY_OK ? 0 : 2;
}

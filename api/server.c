#include "api/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/server_internal.h"
#include "common/address.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/number.h"
#include "common/random.h"

/* Head of a request and of its answer share this. */
#define CONNECTION_BYTES ((size_t)16 << 10)
#define THREAD_STACK_BYTES ((size_t)512 << 10)
#define READ_QUEUE_MAX 2048
#define BACKLOG 1024u
/* Of the port for trials on this machine, which has few clients. */
#define TRIALS_THREADS 2
#define TRIALS_LISTEN "127.0.0.1:0"
/* At the end answers have so long to be taken once all are there; in looks, so that a machine
 * that is held up takes nothing from it. */
#define ANSWERS_LOOKS 500
#define LOOK_NS 2000000
/* A request that came whole before its client closed is answered within this. */
#define GONE_US (2 * ASSAY_SECOND_US)

/* --- listening */

static assay_status
open_socket(const struct addrinfo *address, const char *listen_at, int *ret_fd,
            struct assay_error *err)
{
    assay_auto_close int fd =
        socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0)
        return assay_fail_errno(err, errno, "opening a socket for %s", listen_at);
    /* Accepted sockets inherit both: a daemon started again finds its port free, and
     * no answer waits for the acknowledgement of the one before. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
        return assay_fail_errno(err, errno, "preparing the socket for %s", listen_at);
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0)
        return assay_fail_errno(err, errno, "listening on %s", listen_at);
    if (listen(fd, (int)BACKLOG) != 0)
        return assay_fail_errno(err, errno, "listening on %s", listen_at);
    *ret_fd = fd;
    fd = -1;
    return ASSAY_OK;
}

static char *
socket_url(int fd, bool tls)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof(bound);
    char host[INET6_ADDRSTRLEN], port[8];

    if (getsockname(fd, (struct sockaddr *)&bound, &length) != 0 ||
        getnameinfo((struct sockaddr *)&bound, length, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return assay_strdup("");
    /* "Every address" is none to connect to. */
    if (strcmp(host, "0.0.0.0") == 0)
        snprintf(host, sizeof(host), "127.0.0.1");
    else if (strcmp(host, "::") == 0)
        snprintf(host, sizeof(host), "::1");
    return assay_format("%s://%s%s%s:%s", tls ? "https" : "http",
                        bound.ss_family == AF_INET6 ? "[" : "", host,
                        bound.ss_family == AF_INET6 ? "]" : "", port);
}

static assay_status
listen_on(const char *listen_at, int *ret_fd, struct assay_error *err)
{
    struct addrinfo *addresses = NULL;
    struct assay_address address;
    struct assay_error why = {0};
    assay_status status;

    if (assay_address_parse(listen_at, &address, NULL) != ASSAY_OK)
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "the address to listen on is HOST:PORT, as in 127.0.0.1:8470, not "
                          "\"%s\"",
                          listen_at);
    status = assay_address_resolve(&address, true, &addresses, &why);
    assay_address_done(&address);
    if (status != ASSAY_OK)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "the address %s can not be used: %s",
                          listen_at, why.message);
    status = open_socket(addresses, listen_at, ret_fd, err);
    freeaddrinfo(addresses);
    return status;
}

/* --- connections */

static void
notify_connection(void *arg, struct MHD_Connection *connection, void **state,
                  enum MHD_ConnectionNotificationCode code)
{
    struct assay_server *server = arg;
    struct assay__client *client;

    pthread_mutex_lock(&server->lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        client = ASSAY_NEW(struct assay__client);
        client->fd =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        client->quiet_since_us = assay_monotonic_us();
        TAILQ_INSERT_TAIL(&server->clients, client, link);
        server->n_clients++;
        *state = client;
    } else {
        client = *state;
        TAILQ_REMOVE(&server->clients, client, link);
        server->n_clients--;
        free(client);
        *state = NULL;
    }
    pthread_mutex_unlock(&server->lock);
}

static void
notify_connection_of_trial(void *arg, struct MHD_Connection *connection, void **state,
                           enum MHD_ConnectionNotificationCode code)
{
    notify_connection(arg, connection, state, code);
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        ((struct assay__client *)*state)->of_trials = true;
}

/* Whether the client has closed its side. */
static bool
has_gone(const struct assay__client *client)
{
    struct pollfd entry = {.fd = client->fd, .events = POLLRDHUP};

    return poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void
assay_server_sweep(struct assay_server *server)
{
    int64_t now_us = assay_monotonic_us();
    struct assay__client *client;

    /* MHD closes a connection that is silent; here end those that send a byte now and
     * then, and those whose end MHD did not notice because it came together with half
     * a request.  The descriptor is MHD's and open as long as the client is listed. */
    pthread_mutex_lock(&server->lock);
    TAILQ_FOREACH (client, &server->clients, link) {
        int64_t quiet_us = client->quiet_since_us != 0 ? now_us - client->quiet_since_us : 0;

        if (quiet_us > server->idle_us || (quiet_us > GONE_US && has_gone(client)))
            shutdown(client->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&server->lock);
}

/* MHD complains about what clients do; that is theirs to know. */
ASSAY_PRINTF(2, 0)
static void
log_mhd(void *arg, const char *format, va_list args)
{
    assay_auto_free char *text = NULL;

    (void)arg;
    text = assay_vformat(format, args);
    assay_log(ASSAY_LOG_DEBUG, "http: %s", text);
}

/* Targets are decoded by api/uri.c, strictly. */
static size_t
leave_escaped(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}

/* --- life */

static struct MHD_Daemon *
start_mhd(struct assay_server *server, const struct assay_server_options *options, int fd,
          bool of_trials)
{
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, NULL},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    union {
        const char *given;
        void *taken;
    } key = {.given = options->key_pem}, certificate = {.given = options->certificate_pem};

    if (server->tls && !of_trials) {
        flags |= MHD_USE_TLS;
        tls[0].ptr_value = key.taken;
        tls[1].ptr_value = certificate.taken;
    } else {
        tls[0].option = MHD_OPTION_END;
    }
    return MHD_start_daemon(
        flags, 0, NULL, NULL, assay__exchange, server,
        MHD_OPTION_EXTERNAL_LOGGER, log_mhd, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_LISTEN_BACKLOG_SIZE, BACKLOG,
        MHD_OPTION_THREAD_POOL_SIZE,
        of_trials ? (unsigned)TRIALS_THREADS : (unsigned)options->threads,
        MHD_OPTION_THREAD_STACK_SIZE, THREAD_STACK_BYTES,
        MHD_OPTION_CONNECTION_LIMIT, options->connections_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, options->idle_s,
        MHD_OPTION_URI_LOG_CALLBACK, assay__exchange_begin, server,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, assay__exchange_end, server,
        MHD_OPTION_NOTIFY_CONNECTION, of_trials ? notify_connection_of_trial : notify_connection,
        server,
        MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

static struct assay_server *
free_server(struct assay_server *server)
{
    assay_read_pool_free(server->pool);
    assay_auth_free(server->auth);
    assay_study_names_free(server->names);
    assay_analysis_cache_free(server->analyses);
    assay_http_metrics_free(server->metrics);
    assay_keys_free(server->keys);
    assay_dashboard_free(server->dashboard);
    pthread_mutex_destroy(&server->lock);
    free(server->cause);
    free(server->url);
    free(server->trials_url);
    free(server);
    return NULL;
}

/* Trials on this machine speak to a server with TLS over a port of their own: the certificate
 * need not name loopback, nor its authority be known to them. */
static assay_status
start_for_trials(struct assay_server *server, const struct assay_server_options *options,
                 struct assay_error *err)
{
    assay_auto_close int fd = -1;
    assay_status status;

    if (!server->tls) {
        server->trials_url = assay_strdup(server->url);
        return ASSAY_OK;
    }
    status = listen_on(TRIALS_LISTEN, &fd, err);
    if (status != ASSAY_OK)
        return status;
    server->trials_url = socket_url(fd, false);
    server->trials = start_mhd(server, options, fd, true);
    if (server->trials == NULL)
        return assay_fail(err, ASSAY_E_IO, "the HTTP server can not be started on %s",
                          server->trials_url);
    fd = -1;
    return ASSAY_OK;
}

assay_status
assay_server_start(const struct assay_server_options *options, struct assay_server **ret_server,
                   struct assay_error *err)
{
    struct assay_server *server;
    assay_auto_close int fd = -1;
    assay_status status = listen_on(options->listen, &fd, err);

    if (status != ASSAY_OK)
        return status;
    server = ASSAY_NEW(struct assay_server);
    pthread_mutex_init(&server->lock, NULL);
    TAILQ_INIT(&server->clients);
    server->started_us = assay_monotonic_us();
    server->tls = options->certificate_pem != NULL;
    server->url = socket_url(fd, server->tls);
    server->body_bytes_max = options->body_bytes_max;
    server->read_threads = options->read_threads;
    server->idle_us = (int64_t)options->idle_s * ASSAY_SECOND_US;
    server->cause = assay_strdup("the daemon is starting");
    server->auth = assay_auth_new(options->admin_token);
    server->names = assay_study_names_new();
    server->analyses = assay_analysis_cache_new();
    server->metrics = assay_http_metrics_new();
    server->keys = assay_keys_new();
    server->dashboard = assay_dashboard_read(options->dashboard_dir);
    atomic_store(&server->request_ids, assay_random_seed());
    server->daemon = start_mhd(server, options, fd, false);
    if (server->daemon == NULL) {
        free_server(server);
        return assay_fail(err, ASSAY_E_IO, "the HTTP server can not be started on %s%s",
                          options->listen,
                          options->certificate_pem != NULL
                              ? " (do certificate and key belong together?)"
                              : "");
    }
    fd = -1;
    status = start_for_trials(server, options, err);
    if (status != ASSAY_OK) {
        assay_server_stop(server);
        return status;
    }
    *ret_server = server;
    return ASSAY_OK;
}

const char *
assay_server_url(const struct assay_server *server)
{
    return server->url;
}

const char *
assay_server_trials_url(const struct assay_server *server)
{
    return server->trials_url;
}

void
assay_server_set_cause(struct assay_server *server, const char *cause)
{
    pthread_mutex_lock(&server->lock);
    free(server->cause);
    server->cause = assay_strdup(cause);
    pthread_mutex_unlock(&server->lock);
}

void
assay_server_hold(struct assay_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->holding = true;
    pthread_mutex_unlock(&server->lock);
}

/* Lets those go on that wait for the service, or hear that there will be none. */
static void
release_held(struct assay_server *server)
{
    struct assay_request *held;

    pthread_mutex_lock(&server->lock);
    held = server->held;
    server->held = NULL;
    server->holding = false;
    pthread_mutex_unlock(&server->lock);
    while (held != NULL) {
        struct assay_request *request = held;

        held = request->held_next;
        assay__resume(server, request->connection);
    }
}

void
assay_server_serve(struct assay_server *server, const struct assay_service *service)
{
    server->pool = assay_read_pool_new(service->database_url, server->read_threads,
                                       READ_QUEUE_MAX);
    atomic_store(&server->service, service);
    release_held(server);
}

static void
stop_listening(struct MHD_Daemon *daemon)
{
    MHD_socket fd = daemon != NULL ? MHD_quiesce_daemon(daemon) : MHD_INVALID_SOCKET;

    if (fd != MHD_INVALID_SOCKET)
        close(fd);
}

void
assay_server_drain(struct assay_server *server)
{
    const struct assay_service *service = atomic_load(&server->service);
    struct timespec pause = {.tv_nsec = LOOK_NS};
    int looks = 0;

    atomic_store(&server->stopping, true);
    release_held(server);
    stop_listening(server->daemon);
    stop_listening(server->trials);
    /* From now on no request begins anything.  A wait may begin after the call that
     * ends all, hence again and again; each round trip of the engine ends by itself.  What
     * was answered is sent before the connections go; who does not read is not waited for. */
    while (atomic_load(&server->suspended) > 0 ||
           (atomic_load(&server->requests) > 0 && looks++ < ANSWERS_LOOKS)) {
        if (service != NULL)
            assay_notifier_wake_all(service->notifier);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
}

struct assay_server *
assay_server_stop(struct assay_server *server)
{
    if (server == NULL)
        return NULL;
    MHD_stop_daemon(server->daemon);
    if (server->trials != NULL)
        MHD_stop_daemon(server->trials);
    return free_server(server);
}

/* An API server for tests of the Kubernetes client: answers as a script says, in a thread
 * for each connection; plain or TLS, with certificates made on the spot.
 *
 * A request takes the first unused step whose `match` stands in its head.  What no step
 * fits is answered 404 and counted as unexpected. */
#ifndef ASSAY_TESTS_KUBE_SERVER_H
#define ASSAY_TESTS_KUBE_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <uv.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/memory.h"

#define KUBE_THREADS_MAX 64
#define KUBE_STEPS_MAX 64
#define KUBE_WAIT_US (60 * ASSAY_SECOND_US) /* a test that waits longer has failed */

enum kube_then {
    KUBE_KEEP, /* the answer is whole, the connection stays */
    KUBE_CUT,  /* the answer breaks off: its end never comes */
    KUBE_HOLD, /* a stream stays open and silent until the server stops */
    KUBE_MUTE, /* not even a beginning */
};

struct kube_step {
    const char *match;   /* "GET /api/v1/…"; NULL = any request */
    int code;            /* 0 = 200 */
    const char *headers; /* whole lines with their ends; NULL = none */
    const char *body;    /* NULL = empty */
    bool stream;         /* chunked */
    enum kube_then then;
    bool used;
};

struct kube_tls {
    char *ca, *server_cert, *server_key, *client_cert, *client_key; /* PEM */
};

struct kube_server {
    struct kube_step steps[KUBE_STEPS_MAX];
    size_t n_steps;
    const struct kube_tls *tls; /* NULL = plain */
    gnutls_certificate_credentials_t credentials;
    int listen_fd, port, wake[2];
    pthread_t thread, workers[KUBE_THREADS_MAX];
    size_t n_workers;
    pthread_mutex_t mutex;
    struct assay_buffer heads; /* of every request, with body and, of TLS, who asked */
    size_t n_requests, unexpected;
};

/* --- certificates --- */

ASSAY_UNUSED static char *
kube_export(gnutls_x509_crt_t cert, gnutls_x509_privkey_t key)
{
    gnutls_datum_t out = {0};
    char *text;

    if (cert != NULL)
        gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &out);
    else
        gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &out);
    text = assay_strndup((const char *)out.data, out.size);
    gnutls_free(out.data);
    return text;
}

/* A certificate signed by `issuer` (NULL: by itself, an authority's). */
ASSAY_UNUSED static void
kube_sign(const char *name, const char *host, gnutls_x509_crt_t issuer,
          gnutls_x509_privkey_t issuer_key, gnutls_x509_crt_t *ret_cert,
          gnutls_x509_privkey_t *ret_key)
{
    static unsigned char serial = 1;
    gnutls_x509_crt_t cert;
    gnutls_x509_privkey_t key;
    time_t now = time(NULL);

    gnutls_x509_privkey_init(&key);
    gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    gnutls_x509_crt_init(&cert);
    gnutls_x509_crt_set_version(cert, 3);
    serial++;
    gnutls_x509_crt_set_serial(cert, &serial, 1);
    gnutls_x509_crt_set_activation_time(cert, now - 60);
    gnutls_x509_crt_set_expiration_time(cert, now + 3600);
    gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                  (unsigned)strlen(name));
    gnutls_x509_crt_set_key(cert, key);
    if (issuer == NULL) {
        gnutls_x509_crt_set_basic_constraints(cert, 1, -1);
        gnutls_x509_crt_set_key_usage(cert, GNUTLS_KEY_KEY_CERT_SIGN);
    } else {
        gnutls_x509_crt_set_key_usage(cert, GNUTLS_KEY_DIGITAL_SIGNATURE);
        gnutls_x509_crt_set_key_purpose_oid(
            cert, host != NULL ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT, 0);
    }
    if (host != NULL)
        gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, host, (unsigned)strlen(host),
                                             GNUTLS_FSAN_SET);
    gnutls_x509_crt_sign2(cert, issuer != NULL ? issuer : cert, issuer != NULL ? issuer_key : key,
                          GNUTLS_DIG_SHA256, 0);
    *ret_cert = cert;
    *ret_key = key;
}

/* An authority, a server's certificate for the host name, and a client's. */
ASSAY_UNUSED static void
kube_tls_make(const char *host, const char *client, struct kube_tls *tls)
{
    gnutls_x509_crt_t ca, cert;
    gnutls_x509_privkey_t ca_key, key;

    kube_sign("test-ca", NULL, NULL, NULL, &ca, &ca_key);
    tls->ca = kube_export(ca, NULL);
    for (int i = 0; i < 2; i++) {
        kube_sign(i == 0 ? "api" : client, i == 0 ? host : NULL, ca, ca_key, &cert, &key);
        *(i == 0 ? &tls->server_cert : &tls->client_cert) = kube_export(cert, NULL);
        *(i == 0 ? &tls->server_key : &tls->client_key) = kube_export(NULL, key);
        gnutls_x509_crt_deinit(cert);
        gnutls_x509_privkey_deinit(key);
    }
    gnutls_x509_crt_deinit(ca);
    gnutls_x509_privkey_deinit(ca_key);
}

ASSAY_UNUSED static void
kube_tls_done(struct kube_tls *tls)
{
    free(tls->ca);
    free(tls->server_cert);
    free(tls->server_key);
    free(tls->client_cert);
    free(tls->client_key);
}

/* --- one connection --- */

struct kube_connection {
    struct kube_server *server;
    int fd;
    gnutls_session_t session; /* NULL = plain */
};

/* Readable before the server stops?  The wait is what the stop interrupts. */
static bool
kube_readable(const struct kube_connection *connection)
{
    struct pollfd items[2] = {{.fd = connection->server->wake[0], .events = POLLIN},
                              {.fd = connection->fd, .events = POLLIN}};

    if (connection->session != NULL && gnutls_record_check_pending(connection->session) > 0)
        return true;
    while (poll(items, 2, -1) < 0 && errno == EINTR) {
    }
    return items[0].revents == 0;
}

static ssize_t
kube_receive(const struct kube_connection *connection, char *bytes, size_t size)
{
    ssize_t n;

    if (!kube_readable(connection))
        return -1;
    if (connection->session == NULL)
        return recv(connection->fd, bytes, size, 0);
    do
        n = gnutls_record_recv(connection->session, bytes, size);
    while (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED);
    return n;
}

static void
kube_send_all(const struct kube_connection *connection, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = connection->session != NULL
                        ? gnutls_record_send(connection->session, bytes, length)
                        : send(connection->fd, bytes, length, MSG_NOSIGNAL);

        if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
            continue;
        if (n <= 0)
            return;
        bytes += n;
        length -= (size_t)n;
    }
}

/* Keeps the request and says what to answer. */
static struct kube_step
kube_choose(struct kube_connection *connection, const char *head)
{
    struct kube_server *server = connection->server;
    struct kube_step step = {.code = 404,
                             .body = "{\"kind\":\"Status\",\"message\":\"not in the script\"}"};
    bool found = false;

    pthread_mutex_lock(&server->mutex);
    assay_buffer_puts(&server->heads, head);
    if (connection->session != NULL) {
        const gnutls_datum_t *peer = gnutls_certificate_get_peers(connection->session, NULL);
        char name[128] = "";
        size_t size = sizeof name;
        unsigned type;

        if (gnutls_server_name_get(connection->session, name, &size, &type, 0) == 0)
            assay_buffer_printf(&server->heads, "\nSNI: %s", name);
        if (peer != NULL) {
            gnutls_x509_crt_t cert;

            size = sizeof name;
            gnutls_x509_crt_init(&cert);
            gnutls_x509_crt_import(cert, peer, GNUTLS_X509_FMT_DER);
            gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size);
            gnutls_x509_crt_deinit(cert);
            assay_buffer_printf(&server->heads, "\nClient: %s", name);
        }
    }
    assay_buffer_puts(&server->heads, "\n----\n");
    server->n_requests++;
    for (size_t i = 0; i < server->n_steps && !found; i++) {
        if (server->steps[i].used ||
            (server->steps[i].match != NULL && strstr(head, server->steps[i].match) == NULL))
            continue;
        server->steps[i].used = found = true;
        step = server->steps[i];
    }
    server->unexpected += !found;
    pthread_mutex_unlock(&server->mutex);
    return step;
}

/* False: the connection is to be closed. */
static bool
kube_answer(struct kube_connection *connection, const struct kube_step *step)
{
    const char *body = step->body != NULL ? step->body : "";
    size_t length = strlen(body);
    struct assay_buffer out = {0};
    char byte;

    assay_buffer_printf(&out, "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%s",
                        step->code != 0 ? step->code : 200,
                        step->headers != NULL ? step->headers : "");
    if (step->stream) {
        assay_buffer_puts(&out, "Transfer-Encoding: chunked\r\n\r\n");
        if (length > 0)
            assay_buffer_printf(&out, "%zx\r\n", length);
        assay_buffer_add(&out, body, length);
        assay_buffer_puts(&out, length > 0 ? "\r\n" : "");
        if (step->then == KUBE_KEEP)
            assay_buffer_puts(&out, "0\r\n\r\n");
    } else {
        assay_buffer_printf(&out, "Content-Length: %zu\r\n\r\n",
                            length + (step->then == KUBE_CUT ? 10 : 0));
        assay_buffer_add(&out, body, length);
    }
    kube_send_all(connection, out.data, out.length);
    assay_buffer_done(&out);
    if (step->then == KUBE_HOLD)
        (void)kube_receive(connection, &byte, 1); /* the client lets go, or the server ends */
    return step->then == KUBE_KEEP;
}

static bool
kube_serve(struct kube_connection *connection)
{
    struct assay_buffer in = {0};
    const char *end = NULL, *length_text;
    struct kube_step step;
    size_t length = 0;
    char block[4096];

    while (end == NULL || in.length < (size_t)(end + 4 - in.data) + length) {
        ssize_t n = kube_receive(connection, block, sizeof block);

        if (n <= 0) {
            assay_buffer_done(&in);
            return false;
        }
        assay_buffer_add(&in, block, (size_t)n);
        end = strstr(in.data, "\r\n\r\n");
        length_text = end != NULL ? strcasestr(in.data, "Content-Length:") : NULL;
        length = length_text != NULL && length_text < end ? strtoul(length_text + 15, NULL, 10) : 0;
    }
    step = kube_choose(connection, in.data);
    assay_buffer_done(&in);
    if (step.then == KUBE_MUTE) {
        (void)kube_receive(connection, block, 1);
        return false;
    }
    return kube_answer(connection, &step);
}

static void *
kube_work(void *arg)
{
    struct kube_connection *connection = arg;
    bool goes_on = true;

    if (connection->server->tls != NULL) {
        int rc;

        gnutls_init(&connection->session, GNUTLS_SERVER | GNUTLS_NO_SIGNAL);
        gnutls_set_default_priority(connection->session);
        gnutls_credentials_set(connection->session, GNUTLS_CRD_CERTIFICATE,
                               connection->server->credentials);
        gnutls_certificate_server_set_request(connection->session, GNUTLS_CERT_REQUEST);
        gnutls_transport_set_int(connection->session, connection->fd);
        do
            rc = gnutls_handshake(connection->session);
        while (rc < 0 && gnutls_error_is_fatal(rc) == 0);
        goes_on = rc == 0;
    }
    while (goes_on)
        goes_on = kube_serve(connection);
    if (connection->session != NULL)
        gnutls_deinit(connection->session);
    close(connection->fd);
    free(connection);
    return NULL;
}

/* --- the server --- */

static void *
kube_accept(void *arg)
{
    struct kube_server *server = arg;
    struct pollfd items[2] = {{.fd = server->wake[0], .events = POLLIN},
                              {.fd = server->listen_fd, .events = POLLIN}};

    while ((poll(items, 2, -1) >= 0 || errno == EINTR) && items[0].revents == 0) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC), one = 1;
        struct kube_connection *connection;

        if (fd < 0)
            continue;
        ASSAY_ASSERT(server->n_workers < KUBE_THREADS_MAX);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connection = ASSAY_NEW(struct kube_connection);
        connection->server = server;
        connection->fd = fd;
        pthread_create(&server->workers[server->n_workers++], NULL, kube_work, connection);
    }
    return NULL;
}

ASSAY_UNUSED static struct kube_server *
kube_server_start(const struct kube_step *steps, size_t n, const struct kube_tls *tls)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct kube_server *server = ASSAY_NEW(struct kube_server);
    socklen_t size = sizeof address;
    int fine;

    ASSAY_ASSERT(n <= KUBE_STEPS_MAX);
    if (n > 0)
        memcpy(server->steps, steps, n * sizeof *steps);
    server->n_steps = n;
    server->tls = tls;
    if (tls != NULL) {
        gnutls_datum_t cert = {(unsigned char *)tls->server_cert,
                               (unsigned)strlen(tls->server_cert)};
        gnutls_datum_t key = {(unsigned char *)tls->server_key, (unsigned)strlen(tls->server_key)};
        gnutls_datum_t ca = {(unsigned char *)tls->ca, (unsigned)strlen(tls->ca)};

        gnutls_certificate_allocate_credentials(&server->credentials);
        gnutls_certificate_set_x509_key_mem(server->credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
        gnutls_certificate_set_x509_trust_mem(server->credentials, &ca, GNUTLS_X509_FMT_PEM);
    }
    server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    fine = bind(server->listen_fd, (struct sockaddr *)&address, sizeof address) == 0 &&
           listen(server->listen_fd, 64) == 0 &&
           getsockname(server->listen_fd, (struct sockaddr *)&address, &size) == 0 &&
           pipe2(server->wake, O_CLOEXEC) == 0;
    ASSAY_ASSERT(fine);
    server->port = ntohs(address.sin_port);
    pthread_mutex_init(&server->mutex, NULL);
    pthread_create(&server->thread, NULL, kube_accept, server);
    return server;
}

ASSAY_UNUSED static void
kube_server_stop(struct kube_server *server)
{
    close(server->wake[1]);
    pthread_join(server->thread, NULL);
    for (size_t i = 0; i < server->n_workers; i++)
        pthread_join(server->workers[i], NULL);
    close(server->wake[0]);
    close(server->listen_fd);
    if (server->credentials != NULL)
        gnutls_certificate_free_credentials(server->credentials);
    pthread_mutex_destroy(&server->mutex);
    assay_buffer_done(&server->heads);
    free(server);
}

/* How often the text stands in what was asked so far. */
ASSAY_UNUSED static size_t
kube_asked(struct kube_server *server, const char *text)
{
    size_t n = 0;

    pthread_mutex_lock(&server->mutex);
    for (const char *at = server->heads.data; at != NULL && (at = strstr(at, text)) != NULL; at++)
        n++;
    pthread_mutex_unlock(&server->mutex);
    return n;
}

ASSAY_UNUSED static size_t
kube_unexpected(struct kube_server *server)
{
    size_t n;

    pthread_mutex_lock(&server->mutex);
    n = server->unexpected;
    pthread_mutex_unlock(&server->mutex);
    return n;
}

/* --- the loop of the side under test --- */

static void
kube_tick(uv_timer_t *timer)
{
    (void)timer; /* a turn of the loop must not wait for long: its timers run first */
}

/* Runs the loop until the condition holds; false when that takes too long. */
ASSAY_UNUSED static bool
kube_run_until(uv_loop_t *loop, bool (*holds)(void *arg), void *arg)
{
    uv_timer_t *timer = ASSAY_NEW(uv_timer_t);
    int64_t until_us = assay_monotonic_us() + KUBE_WAIT_US;

    uv_timer_init(loop, timer);
    uv_timer_start(timer, kube_tick, 5, 5);
    while (!holds(arg) && assay_monotonic_us() < until_us)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)timer, (uv_close_cb)free);
    uv_run(loop, UV_RUN_NOWAIT);
    return holds(arg);
}

#endif

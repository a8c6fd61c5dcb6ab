#include "trial-runner/plain_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"
#include "common/number.h"

#define HEAD_BYTES_MAX 65536

struct assay_plain_http {
    char *host, *port, *prefix, *token;
    const struct assay_plain_http_reach *reach; /* NULL = loopback only */
    bool secure;
    int fd;    /* -1 = not connected */
    void *tls; /* NULL = none, or not connected */
    struct assay_buffer in; /* bytes received and not yet used */
    int64_t deadline_us;
};

/* What an address is made of. */
struct parts {
    char *host, *port, *prefix;
    bool secure;
};

static void
parts_done(struct parts *parts)
{
    free(parts->host);
    free(parts->port);
    free(parts->prefix);
}

/* Splits "http://host:port/prefix". */
static bool
split_url(const char *url, struct parts *ret_parts)
{
    bool secure = strncasecmp(url, "https://", 8) == 0;
    const char *host, *end, *colon;

    if (!secure && strncasecmp(url, "http://", 7) != 0)
        return false;
    host = url + (secure ? 8 : 7);
    end = host + strcspn(host, "/?#");
    if (memchr(host, '@', (size_t)(end - host)) != NULL || end == host)
        return false;
    *ret_parts = (struct parts){.secure = secure};
    if (*host == '[') {
        const char *close = memchr(host, ']', (size_t)(end - host));

        if (close == NULL)
            return false;
        ret_parts->host = assay_strndup(host + 1, (size_t)(close - host - 1));
        colon = close[1] == ':' ? close + 1 : NULL;
    } else {
        colon = memchr(host, ':', (size_t)(end - host));
        ret_parts->host = assay_strndup(host, (size_t)((colon != NULL ? colon : end) - host));
    }
    ret_parts->port = colon != NULL ? assay_strndup(colon + 1, (size_t)(end - colon - 1))
                                    : assay_strdup(secure ? "443" : "80");
    ret_parts->prefix = assay_strndup(end, strcspn(end, "?#"));
    for (size_t n = strlen(ret_parts->prefix); n > 0 && ret_parts->prefix[n - 1] == '/';)
        ret_parts->prefix[--n] = '\0';
    return true;
}

bool
assay_plain_http_can(const char *url)
{
    struct parts parts;
    bool can;

    if (!split_url(url, &parts))
        return false;
    can = !parts.secure && assay_address_host_is_loopback(parts.host);
    parts_done(&parts);
    return can;
}

struct assay_plain_http *
assay_plain_http_open(const char *url, const char *token,
                      const struct assay_plain_http_reach *reach)
{
    struct assay_plain_http *http;
    struct parts parts;

    if (!split_url(url, &parts))
        return NULL;
    http = ASSAY_NEW(struct assay_plain_http);
    http->host = parts.host;
    http->port = parts.port;
    http->prefix = parts.prefix;
    http->secure = parts.secure;
    http->reach = reach;
    http->token = assay_strdup(token);
    http->fd = -1;
    return http;
}

static void
disconnect(struct assay_plain_http *http)
{
    if (http->tls != NULL)
        http->reach->tls_free(http->tls);
    http->tls = NULL;
    assay_close(&http->fd);
    assay_buffer_clear(&http->in);
}

struct assay_plain_http *
assay_plain_http_close(struct assay_plain_http *http)
{
    if (http != NULL) {
        disconnect(http);
        assay_buffer_done(&http->in);
        if (http->token != NULL)
            explicit_bzero(http->token, strlen(http->token));
        free(http->host);
        free(http->port);
        free(http->prefix);
        free(http->token);
        free(http);
    }
    return NULL;
}

/* Waits for the socket; ASSAY_E_TIMEOUT at the deadline. */
static assay_status
wait_for(struct assay_plain_http *http, short events, struct assay_error *err)
{
    for (;;) {
        struct pollfd item = {.fd = http->fd, .events = events};
        int64_t left_us = http->deadline_us - assay_monotonic_us();
        int n;

        if (left_us <= 0)
            return assay_fail(err, ASSAY_E_TIMEOUT, "%s:%s does not answer", http->host,
                              http->port);
        n = poll(&item, 1, (int)ASSAY_MIN(left_us / 1000 + 1, INT64_C(60000)));
        if (n > 0)
            return ASSAY_OK;
        if (n < 0 && errno != EINTR)
            return assay_fail_errno(err, errno, "waiting for %s:%s", http->host, http->port);
    }
}

static assay_status
lost(const struct assay_plain_http *http, const char *why, struct assay_error *err)
{
    return assay_fail(err, ASSAY_E_UNAVAILABLE, "the connection to %s:%s was lost: %s", http->host,
                      http->port, why);
}

static assay_status
connect_to(struct assay_plain_http *http, struct assay_plain_http_address *address,
           struct assay_error *err)
{
    int one = 1, error = 0;
    socklen_t size = sizeof error;
    int64_t port;

    if (!assay_parse_int(http->port, 1, 65535, &port))
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s is no port", http->port);
    if (address->bytes.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)&address->bytes)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)(void *)&address->bytes)->sin_port = htons((uint16_t)port);
    http->fd = socket(address->bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (http->fd < 0)
        return assay_fail_errno(err, errno, "making a socket");
    setsockopt(http->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(http->fd, (const struct sockaddr *)(const void *)&address->bytes,
                address->length) != 0) {
        if (errno == EINPROGRESS) {
            assay_status rc = wait_for(http, POLLOUT, err);

            if (rc < 0)
                return rc;
            getsockopt(http->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        } else {
            error = errno;
        }
    }
    if (error != 0) {
        assay_fail_errno(err, error, "connecting to %s:%s", http->host, http->port);
        if (err != NULL)
            err->status = ASSAY_E_UNAVAILABLE;
        return ASSAY_E_UNAVAILABLE;
    }
    return ASSAY_OK;
}

static bool
add_literal(const char *text, struct assay_plain_http_address *addresses, size_t *count)
{
    struct assay_plain_http_address *address = &addresses[*count];
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&address->bytes;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&address->bytes;

    *address = (struct assay_plain_http_address){0};
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        address->length = sizeof *four;
    } else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        address->length = sizeof *six;
    } else {
        return false;
    }
    ++*count;
    return true;
}

static assay_status
find_addresses(const struct assay_plain_http *http, struct assay_plain_http_address *addresses,
               size_t *ret_count, struct assay_error *err)
{
    *ret_count = 0;
    if (strcasecmp(http->host, "localhost") == 0) {
        add_literal("127.0.0.1", addresses, ret_count);
        add_literal("::1", addresses, ret_count);
    } else if (!add_literal(http->host, addresses, ret_count)) {
        if (http->reach == NULL)
            return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s is not an address", http->host);
        return http->reach->resolve(http->host, addresses, ret_count, err);
    }
    return ASSAY_OK;
}

static assay_status
begin_tls(struct assay_plain_http *http, struct assay_error *err)
{
    if (http->reach == NULL)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "this program speaks no TLS");
    http->tls = http->reach->tls_new(http->reach->arg, http->host, http->fd, err);
    if (http->tls == NULL)
        return ASSAY_E_IO;
    for (;;) {
        int n = http->reach->tls_handshake(http->tls);
        assay_status rc;

        if (n > 0)
            return ASSAY_OK;
        if (n == ASSAY_PLAIN_HTTP_FAILED)
            return assay_fail(err, ASSAY_E_IO, "no TLS connection to %s:%s: %s", http->host,
                              http->port, http->reach->tls_trouble(http->tls));
        rc = wait_for(http, n == ASSAY_PLAIN_HTTP_WANTS_READ ? POLLIN : POLLOUT, err);
        if (rc < 0)
            return rc;
    }
}

static assay_status
ensure_connected(struct assay_plain_http *http, struct assay_error *err)
{
    struct assay_plain_http_address addresses[ASSAY_PLAIN_HTTP_ADDRESSES_MAX];
    size_t count;
    assay_status rc;

    if (http->fd >= 0)
        return ASSAY_OK;
    rc = find_addresses(http, addresses, &count, err);
    if (rc < 0)
        return rc;
    rc = ASSAY_E_UNAVAILABLE;
    for (size_t i = 0; i < count && rc < 0; i++) {
        disconnect(http);
        rc = connect_to(http, &addresses[i], err);
    }
    if (rc == ASSAY_OK && http->secure)
        rc = begin_tls(http, err);
    if (rc < 0)
        disconnect(http);
    return rc;
}

/* As the functions of a reach, with or without TLS. */
static int
send_some(struct assay_plain_http *http, const char *bytes, size_t length)
{
    ssize_t n;

    if (http->tls != NULL)
        return http->reach->tls_send(http->tls, bytes, length);
    do {
        n = send(http->fd, bytes, ASSAY_MIN(length, (size_t)INT32_MAX), MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? ASSAY_PLAIN_HTTP_WANTS_WRITE : ASSAY_PLAIN_HTTP_FAILED;
    return (int)n;
}

static int
receive_some(struct assay_plain_http *http, char *bytes, size_t size)
{
    ssize_t n;

    if (http->tls != NULL)
        return http->reach->tls_receive(http->tls, bytes, size);
    do {
        n = recv(http->fd, bytes, size, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? ASSAY_PLAIN_HTTP_WANTS_READ : ASSAY_PLAIN_HTTP_FAILED;
    return (int)n;
}

/* Waits for what a call wants before it can go on, or says that it failed. */
static assay_status
wait_or_lost(struct assay_plain_http *http, int wants, struct assay_error *err)
{
    if (wants == ASSAY_PLAIN_HTTP_FAILED)
        return lost(http,
                    http->tls != NULL ? http->reach->tls_trouble(http->tls) : strerror(errno),
                    err);
    return wait_for(http, wants == ASSAY_PLAIN_HTTP_WANTS_READ ? POLLIN : POLLOUT, err);
}

static assay_status
send_all(struct assay_plain_http *http, const struct assay_buffer *bytes, struct assay_error *err)
{
    for (size_t at = 0; at < bytes->length;) {
        int n = send_some(http, bytes->data + at, bytes->length - at);
        assay_status rc = n >= 0 ? ASSAY_OK : wait_or_lost(http, n, err);

        if (rc < 0)
            return rc;
        at += (size_t)ASSAY_MAX(n, 0);
    }
    return ASSAY_OK;
}

/* Receives some more into `in`. */
static assay_status
receive(struct assay_plain_http *http, struct assay_error *err)
{
    char block[8192];

    for (;;) {
        int n = receive_some(http, block, sizeof block);
        assay_status rc;

        if (n > 0) {
            assay_buffer_add(&http->in, block, (size_t)n);
            return ASSAY_OK;
        }
        if (n == 0)
            return lost(http, "closed by the daemon", err);
        rc = wait_or_lost(http, n, err);
        if (rc < 0)
            return rc;
    }
}

static assay_status
broken(const struct assay_plain_http *http, struct assay_error *err)
{
    return assay_fail(err, ASSAY_E_IO, "%s:%s does not speak HTTP/1.1", http->host, http->port);
}

/* Takes one line without its end from `in`.  Caller frees. */
static assay_status
receive_line(struct assay_plain_http *http, char **ret_line, struct assay_error *err)
{
    for (;;) {
        char *end = http->in.length > 0 ? memchr(http->in.data, '\n', http->in.length) : NULL;

        if (end != NULL) {
            size_t length = (size_t)(end - http->in.data), kept = length;

            if (kept > 0 && http->in.data[kept - 1] == '\r')
                kept--;
            *ret_line = assay_strndup(http->in.data, kept);
            assay_buffer_consume(&http->in, length + 1);
            return ASSAY_OK;
        }
        if (http->in.length > HEAD_BYTES_MAX)
            return broken(http, err);
        assay_status rc = receive(http, err);
        if (rc < 0)
            return rc;
    }
}

static assay_status
receive_bytes(struct assay_plain_http *http, size_t length, struct assay_buffer *body,
              struct assay_error *err)
{
    if (length > ASSAY_PLAIN_HTTP_ANSWER_BYTES_MAX - body->length)
        return assay_fail(err, ASSAY_E_IO, "the answer of %s:%s is too long", http->host,
                          http->port);
    while (http->in.length < length) {
        assay_status rc = receive(http, err);

        if (rc < 0)
            return rc;
    }
    if (length > 0)
        assay_buffer_add(body, http->in.data, length);
    assay_buffer_consume(&http->in, length);
    return ASSAY_OK;
}

struct head {
    int code;
    int64_t length; /* -1 = not said */
    bool chunked, close;
};

static void
read_header(const char *line, struct head *head)
{
    const char *value = strchr(line, ':');
    size_t name = value != NULL ? (size_t)(value - line) : 0;

    if (value == NULL)
        return;
    value++;
    value += strspn(value, " \t");
    if (name == 14 && strncasecmp(line, "Content-Length", name) == 0) {
        if (!assay_parse_int(value, 0, INT64_MAX, &head->length))
            head->length = -1;
    } else if (name == 17 && strncasecmp(line, "Transfer-Encoding", name) == 0) {
        head->chunked = strcasecmp(value, "chunked") == 0;
    } else if (name == 10 && strncasecmp(line, "Connection", name) == 0) {
        head->close = strcasecmp(value, "close") == 0;
    }
}

static assay_status
receive_head(struct assay_plain_http *http, struct head *ret_head, struct assay_error *err)
{
    assay_auto_free char *first = NULL;
    struct head head = {.length = -1};
    assay_status rc = receive_line(http, &first, err);
    int64_t code;

    if (rc < 0)
        return rc;
    if (strncmp(first, "HTTP/1.", 7) != 0 || strlen(first) < 12)
        return broken(http, err);
    head.close = first[7] == '0';
    first[12] = '\0';
    if (!assay_parse_int(first + 9, 100, 599, &code))
        return broken(http, err);
    head.code = (int)code;
    for (int n = 0; n < 200; n++) {
        assay_auto_free char *line = NULL;

        rc = receive_line(http, &line, err);
        if (rc < 0)
            return rc;
        if (line[0] == '\0') {
            *ret_head = head;
            return ASSAY_OK;
        }
        read_header(line, &head);
    }
    return broken(http, err);
}

static assay_status
receive_chunks(struct assay_plain_http *http, struct assay_buffer *body, struct assay_error *err)
{
    for (;;) {
        assay_auto_free char *line = NULL;
        assay_auto_free char *after = NULL;
        unsigned long length;
        char *end;
        assay_status rc = receive_line(http, &line, err);

        if (rc < 0)
            return rc;
        errno = 0;
        length = strtoul(line, &end, 16);
        if (end == line || errno != 0 || (*end != '\0' && *end != ';'))
            return broken(http, err);
        rc = receive_bytes(http, length, body, err);
        if (rc == ASSAY_OK)
            rc = receive_line(http, &after, err); /* of the chunk, or of the (empty) trailer */
        if (rc < 0 || length == 0)
            return rc;
    }
}

static assay_status
receive_answer(struct assay_plain_http *http, int *ret_code, struct assay_buffer *body,
               struct assay_error *err)
{
    struct head head;
    assay_status rc;

    do {
        rc = receive_head(http, &head, err);
        if (rc < 0)
            return rc;
    } while (head.code < 200);
    if (head.code == 204 || head.code == 304) {
        rc = ASSAY_OK;
    } else if (head.chunked) {
        rc = receive_chunks(http, body, err);
    } else if (head.length >= 0) {
        rc = receive_bytes(http, (size_t)head.length, body, err);
    } else {
        /* The body ends with the connection; nothing of ours is that long. */
        head.close = true;
        do
            rc = receive(http, err);
        while (rc == ASSAY_OK && http->in.length <= ASSAY_PLAIN_HTTP_ANSWER_BYTES_MAX);
        if (rc != ASSAY_E_TIMEOUT) /* then there is more of it to come */
            rc = receive_bytes(http, http->in.length, body, err);
    }
    if (rc < 0)
        return rc;
    if (head.close)
        disconnect(http);
    *ret_code = head.code;
    return ASSAY_OK;
}

static void
build_request(const struct assay_plain_http *http, const char *method, const char *path,
              const struct assay_buffer *json, struct assay_buffer *request)
{
    bool ipv6 = strchr(http->host, ':') != NULL;

    assay_buffer_printf(request,
                        "%s %s%s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUser-Agent: assay-runner\r\n"
                        "Accept: %s\r\n",
                        method, http->prefix, path, ipv6 ? "[" : "", http->host, ipv6 ? "]" : "",
                        http->port, http->token != NULL ? "application/json" : "*/*");
    if (http->token != NULL)
        assay_buffer_printf(request, "Authorization: Bearer %s\r\n", http->token);
    if (json != NULL)
        assay_buffer_printf(request, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                            json->length);
    assay_buffer_puts(request, "\r\n");
    if (json != NULL)
        assay_buffer_add(request, json->data, json->length);
}

assay_status
assay_plain_http_send(struct assay_plain_http *http, const char *method, const char *path,
                      const struct assay_buffer *json, int64_t timeout_us, int *ret_code,
                      struct assay_buffer *body, struct assay_error *err)
{
    assay_auto_buffer struct assay_buffer request = {0};
    assay_status rc;

    build_request(http, method, path, json, &request);
    http->deadline_us = assay_monotonic_us() + timeout_us;
    /* A kept connection may have been closed in the meantime: then once more on a
     * new one. */
    for (;;) {
        bool kept = http->fd >= 0;

        assay_buffer_clear(body);
        rc = ensure_connected(http, err);
        if (rc == ASSAY_OK)
            rc = send_all(http, &request, err);
        if (rc == ASSAY_OK)
            rc = receive_answer(http, ret_code, body, err);
        if (rc < 0)
            disconnect(http);
        if (rc != ASSAY_E_UNAVAILABLE || !kept)
            return rc;
    }
}

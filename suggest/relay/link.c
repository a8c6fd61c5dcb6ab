#include "suggest/relay/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gnutls/x509.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"

#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3"

void
assay_link_init(struct assay_link *link, int fd)
{
    *link = (struct assay_link){.fd = fd};
}

void
assay_link_done(struct assay_link *link)
{
    if (link->tls != NULL)
        gnutls_deinit(link->tls);
    link->tls = NULL;
    assay_buffer_done(&link->out);
    assay_close(&link->fd);
}

static assay_status
wait_for(const struct assay_link *link, short events, int64_t deadline_us, struct assay_error *err)
{
    struct pollfd entry = {.fd = link->fd, .events = events};

    for (;;) {
        int64_t left_us = ASSAY_MAX(deadline_us - assay_monotonic_us(), 0);
        int ready = poll(&entry, 1, (int)ASSAY_MIN((left_us + 999) / 1000, INT32_MAX));

        if (ready > 0)
            return ASSAY_OK;
        if (ready == 0 && left_us == 0)
            return assay_fail(err, ASSAY_E_TIMEOUT, "it does not answer in time");
        if (ready < 0 && errno != EINTR)
            return assay_fail_errno(err, errno, "waiting");
    }
}

/* --- TLS --- */

static assay_status
fail_tls(int rc, const char *what, struct assay_error *err)
{
    return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s: %s", what, gnutls_strerror(rc));
}

/* Why the certificate of the other side is not taken. */
static assay_status
fail_certificate(const struct assay_link *link, const char *host, struct assay_error *err)
{
    static const struct {
        unsigned flag;
        const char *text;
    } faults[] = {
        {GNUTLS_CERT_UNEXPECTED_OWNER, "is for another name"},
        {GNUTLS_CERT_EXPIRED, "has expired"},
        {GNUTLS_CERT_NOT_ACTIVATED, "is not valid yet"},
        {GNUTLS_CERT_SIGNER_NOT_FOUND, "is of an authority that is not trusted here"},
        {GNUTLS_CERT_SIGNER_NOT_CA, "was signed by one that is no authority"},
        {GNUTLS_CERT_INSECURE_ALGORITHM, "is signed in a way that is not secure"},
        {GNUTLS_CERT_PURPOSE_MISMATCH, "is not for servers"},
    };
    unsigned status = gnutls_session_get_verify_cert_status(link->tls);

    for (size_t i = 0; i < ASSAY_COUNT(faults); i++) {
        if ((status & faults[i].flag) != 0)
            return assay_fail(err, ASSAY_E_UNAUTHORIZED, "its certificate %s (wanted: %s)",
                              faults[i].text, host);
    }
    return assay_fail(err, ASSAY_E_UNAUTHORIZED, "its certificate is not valid");
}

static bool
is_name(const char *host)
{
    struct in6_addr address;

    return inet_pton(AF_INET, host, &address) != 1 && inet_pton(AF_INET6, host, &address) != 1;
}

static int
prepare_tls(struct assay_link *link, gnutls_certificate_credentials_t credentials,
            const char *host)
{
    unsigned flags = (host != NULL ? GNUTLS_CLIENT : GNUTLS_SERVER | GNUTLS_NO_TICKETS) |
                     GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;
    int rc = gnutls_init(&link->tls, flags);

    if (rc == 0)
        rc = gnutls_priority_set_direct(link->tls, PRIORITIES, NULL);
    if (rc == 0)
        rc = gnutls_credentials_set(link->tls, GNUTLS_CRD_CERTIFICATE, credentials);
    if (rc == 0 && host != NULL && is_name(host))
        rc = gnutls_server_name_set(link->tls, GNUTLS_NAME_DNS, host, strlen(host));
    if (rc != 0)
        return rc;
    if (host != NULL)
        gnutls_session_set_verify_cert(link->tls, host, 0);
    gnutls_transport_set_int(link->tls, link->fd);
    return 0;
}

assay_status
assay_link_shake_hands(struct assay_link *link, gnutls_certificate_credentials_t credentials,
                       const char *host, int64_t deadline_us, struct assay_error *err)
{
    int rc = prepare_tls(link, credentials, host);

    if (rc != 0)
        return fail_tls(rc, "preparing TLS", err);
    while ((rc = gnutls_handshake(link->tls)) < 0) {
        short events = gnutls_record_get_direction(link->tls) == 0 ? POLLIN : POLLOUT;

        if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
            return fail_certificate(link, host, err);
        if (gnutls_error_is_fatal(rc))
            return fail_tls(rc, "the TLS handshake failed", err);
        if (rc == GNUTLS_E_AGAIN && wait_for(link, events, deadline_us, err) != ASSAY_OK)
            return assay_wrap(err, "the TLS handshake");
    }
    return ASSAY_OK;
}

/* --- bytes --- */

static assay_status
receive_plain(const struct assay_link *link, void *bytes, size_t size, size_t *ret_received,
              struct assay_error *err)
{
    ssize_t n = recv(link->fd, bytes, size, 0);

    if (n == 0)
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "it was closed");
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "receiving: %s", strerror(errno));
    *ret_received = n > 0 ? (size_t)n : 0;
    return ASSAY_OK;
}

assay_status
assay_link_receive(struct assay_link *link, void *bytes, size_t size, size_t *ret_received,
                   struct assay_error *err)
{
    ssize_t n;

    if (link->tls == NULL)
        return receive_plain(link, bytes, size, ret_received, err);
    n = gnutls_record_recv(link->tls, bytes, size);
    if (n == 0 || n == GNUTLS_E_PREMATURE_TERMINATION)
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "it was closed");
    if (n < 0 && gnutls_error_is_fatal((int)n))
        return fail_tls((int)n, "receiving", err);
    *ret_received = n > 0 ? (size_t)n : 0;
    return ASSAY_OK;
}

bool
assay_link_has_more(const struct assay_link *link)
{
    return link->tls != NULL && gnutls_record_check_pending(link->tls) > 0;
}

/* Bytes taken; 0 when none go now, negative when none will. */
static ssize_t
send_some(struct assay_link *link, struct assay_error *err)
{
    ssize_t n;

    if (link->tls == NULL) {
        n = send(link->fd, link->out.data, link->out.length, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            (void)assay_fail_errno(err, errno, "sending");
            return -1;
        }
        return ASSAY_MAX(n, 0);
    }
    /* A send that was cut short goes on with the bytes that TLS has kept. */
    n = link->resumes ? gnutls_record_send(link->tls, NULL, 0)
                      : gnutls_record_send(link->tls, link->out.data, link->out.length);
    link->resumes = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
    if (n < 0 && gnutls_error_is_fatal((int)n)) {
        (void)fail_tls((int)n, "sending", err);
        return -1;
    }
    return ASSAY_MAX(n, 0);
}

assay_status
assay_link_flush(struct assay_link *link, struct assay_error *err)
{
    while (link->out.length > 0) {
        ssize_t n = send_some(link, err);

        if (n < 0)
            return ASSAY_E_UNAVAILABLE;
        if (n == 0)
            break;
        assay_buffer_consume(&link->out, (size_t)n);
    }
    return ASSAY_OK;
}

assay_status
assay_link_receive_all(struct assay_link *link, void *bytes, size_t length, int64_t deadline_us,
                       struct assay_error *err)
{
    unsigned char *to = bytes;
    assay_status status = ASSAY_OK;

    while (length > 0 && status == ASSAY_OK) {
        size_t n = 0;

        status = assay_link_receive(link, to, length, &n, err);
        if (status == ASSAY_OK && n == 0)
            status = wait_for(link, POLLIN, deadline_us, err);
        to += n;
        length -= n;
    }
    return status;
}

assay_status
assay_link_flush_all(struct assay_link *link, int64_t deadline_us, struct assay_error *err)
{
    assay_status status = assay_link_flush(link, err);

    while (status == ASSAY_OK && link->out.length > 0) {
        status = wait_for(link, POLLOUT, deadline_us, err);
        if (status == ASSAY_OK)
            status = assay_link_flush(link, err);
    }
    return status;
}

void
assay_link_finish(struct assay_link *link, int64_t deadline_us)
{
    char rest[4096];

    if (assay_link_flush_all(link, deadline_us, NULL) != ASSAY_OK)
        return;
    if (link->tls != NULL)
        (void)gnutls_bye(link->tls, GNUTLS_SHUT_WR);
    shutdown(link->fd, SHUT_WR);
    /* Closing with bytes unread would reset the connection and drop what was sent. */
    while (wait_for(link, POLLIN, deadline_us, NULL) == ASSAY_OK) {
        ssize_t n = recv(link->fd, rest, sizeof rest, 0);

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
    }
}

#include "trial-runner/bundle/tls.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include "common/file.h"
#include "common/memory.h"

#define CA_BYTES_MAX ((size_t)4 << 20)

struct assay_bundle_trust {
    char *ca_file;
    bool loaded;
    mbedtls_x509_crt authorities;
    mbedtls_ctr_drbg_context random;
    mbedtls_ssl_config config;
};

struct tls {
    mbedtls_ssl_context ssl;
    int fd;
    char trouble[256];
};

static int
draw_entropy(void *arg, unsigned char *bytes, size_t length)
{
    (void)arg;
    return getrandom(bytes, length, 0) == (ssize_t)length ? 0
                                                           : MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
}

struct assay_bundle_trust *
assay_bundle_trust_new(const char *ca_file)
{
    struct assay_bundle_trust *trust = ASSAY_NEW(struct assay_bundle_trust);

    trust->ca_file = assay_strdup(ca_file);
    mbedtls_x509_crt_init(&trust->authorities);
    mbedtls_ctr_drbg_init(&trust->random);
    mbedtls_ssl_config_init(&trust->config);
    return trust;
}

struct assay_bundle_trust *
assay_bundle_trust_free(struct assay_bundle_trust *trust)
{
    if (trust != NULL) {
        mbedtls_ssl_config_free(&trust->config);
        mbedtls_ctr_drbg_free(&trust->random);
        mbedtls_x509_crt_free(&trust->authorities);
        free(trust->ca_file);
        free(trust);
    }
    return NULL;
}

static const char *
usual_ca_file(void)
{
    static const char *const usual[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
                                        "/etc/ssl/ca-bundle.pem"};
    const char *said = getenv("SSL_CERT_FILE");

    if (said != NULL)
        return said;
    for (size_t i = 0; i < ASSAY_COUNT(usual); i++) {
        if (access(usual[i], R_OK) == 0)
            return usual[i];
    }
    return NULL;
}

static assay_status
load_authorities(struct assay_bundle_trust *trust, struct assay_error *err)
{
    const char *path = trust->ca_file != NULL ? trust->ca_file : usual_ca_file();
    assay_auto_free char *text = NULL;
    size_t length;
    assay_status rc;

    if (path == NULL)
        return assay_fail(err, ASSAY_E_NOT_FOUND,
                          "there are no authorities to trust on this machine");
    rc = assay_file_read(path, CA_BYTES_MAX, &text, &length, err);
    if (rc < 0)
        return rc;
    /* Those of a bundle that it can not read are skipped; the length counts the NUL. */
    if (mbedtls_x509_crt_parse(&trust->authorities, (const unsigned char *)text, length + 1) < 0 ||
        trust->authorities.version == 0)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "%s holds no certificate", path);
    return ASSAY_OK;
}

static assay_status
load(struct assay_bundle_trust *trust, struct assay_error *err)
{
    assay_status rc = load_authorities(trust, err);

    if (rc < 0)
        return rc;
    if (mbedtls_ctr_drbg_seed(&trust->random, draw_entropy, NULL, NULL, 0) != 0 ||
        mbedtls_ssl_config_defaults(&trust->config, MBEDTLS_SSL_IS_CLIENT,
                                    MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        return assay_fail(err, ASSAY_E_INTERNAL, "TLS can not be set up");
    mbedtls_ssl_conf_min_version(&trust->config, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_authmode(&trust->config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&trust->config, &trust->authorities, NULL);
    mbedtls_ssl_conf_rng(&trust->config, mbedtls_ctr_drbg_random, &trust->random);
    trust->loaded = true;
    return ASSAY_OK;
}

static int
send_raw(void *arg, const unsigned char *bytes, size_t length)
{
    ssize_t n = send(((struct tls *)arg)->fd, bytes, length, MSG_NOSIGNAL);

    if (n >= 0)
        return (int)n;
    return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_WRITE
                                             : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int
receive_raw(void *arg, unsigned char *bytes, size_t size)
{
    ssize_t n = recv(((struct tls *)arg)->fd, bytes, size, 0);

    if (n >= 0)
        return (int)n;
    return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_READ
                                             : MBEDTLS_ERR_SSL_CONN_EOF;
}

static void
tls_free(void *arg)
{
    struct tls *tls = arg;

    mbedtls_ssl_close_notify(&tls->ssl);
    mbedtls_ssl_free(&tls->ssl);
    free(tls);
}

static void *
tls_new(void *arg, const char *host, int fd, struct assay_error *err)
{
    struct assay_bundle_trust *trust = arg;
    struct tls *tls;

    if (!trust->loaded && load(trust, err) < 0)
        return NULL;
    tls = ASSAY_NEW(struct tls);
    tls->fd = fd;
    mbedtls_ssl_init(&tls->ssl);
    if (mbedtls_ssl_setup(&tls->ssl, &trust->config) != 0 ||
        mbedtls_ssl_set_hostname(&tls->ssl, host) != 0) {
        mbedtls_ssl_free(&tls->ssl);
        free(tls);
        assay_fail(err, ASSAY_E_INTERNAL, "TLS can not be set up");
        return NULL;
    }
    mbedtls_ssl_set_bio(&tls->ssl, tls, send_raw, receive_raw, NULL);
    return tls;
}

/* The code of a call in this client's words. */
static int
outcome(struct tls *tls, int code)
{
    uint32_t flags;

    switch (code) {
    case MBEDTLS_ERR_SSL_WANT_READ:
        return ASSAY_PLAIN_HTTP_WANTS_READ;
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return ASSAY_PLAIN_HTTP_WANTS_WRITE;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return 0;
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
        flags = mbedtls_ssl_get_verify_result(&tls->ssl);
        mbedtls_x509_crt_verify_info(tls->trouble, sizeof tls->trouble, "", flags);
        for (char *p = tls->trouble; *p != '\0'; p++)
            *p = *p == '\n' ? (p[1] != '\0' ? ';' : '\0') : *p;
        return ASSAY_PLAIN_HTTP_FAILED;
    default:
        mbedtls_strerror(code, tls->trouble, sizeof tls->trouble);
        return ASSAY_PLAIN_HTTP_FAILED;
    }
}

static int
tls_handshake(void *arg)
{
    struct tls *tls = arg;
    int code = mbedtls_ssl_handshake(&tls->ssl);

    return code == 0 ? 1 : outcome(tls, code);
}

static int
tls_send(void *arg, const void *bytes, size_t length)
{
    struct tls *tls = arg;
    int n = mbedtls_ssl_write(&tls->ssl, bytes, length);

    return n >= 0 ? n : outcome(tls, n);
}

static int
tls_receive(void *arg, void *bytes, size_t size)
{
    struct tls *tls = arg;
    int n = mbedtls_ssl_read(&tls->ssl, bytes, size);

    return n >= 0 ? n : outcome(tls, n);
}

static const char *
tls_trouble(void *arg)
{
    return ((struct tls *)arg)->trouble;
}

void
assay_bundle_tls_reach(struct assay_bundle_trust *trust, struct assay_plain_http_reach *reach)
{
    reach->tls_new = tls_new;
    reach->tls_handshake = tls_handshake;
    reach->tls_send = tls_send;
    reach->tls_receive = tls_receive;
    reach->tls_trouble = tls_trouble;
    reach->tls_free = tls_free;
    reach->arg = trust;
}

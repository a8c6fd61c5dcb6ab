#include "suggest/relay/tls.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/memory.h"

/* What tells one state of a file from another. */
struct version {
    struct timespec changed;
    ino_t inode;
    off_t size;
};

struct assay_tls_identity {
    const char *cert_file, *key_file;
    struct version versions[2]; /* of the files when they were read last */
    gnutls_certificate_credentials_t credentials;
};

assay_status
assay_tls_trust(const char *ca_file, gnutls_certificate_credentials_t *ret_credentials,
                struct assay_error *err)
{
    gnutls_certificate_credentials_t credentials;
    int n = gnutls_certificate_allocate_credentials(&credentials);

    if (n == 0)
        n = ca_file != NULL ? gnutls_certificate_set_x509_trust_file(credentials, ca_file,
                                                                     GNUTLS_X509_FMT_PEM)
                            : gnutls_certificate_set_x509_system_trust(credentials);
    if (n > 0) {
        *ret_credentials = credentials;
        return ASSAY_OK;
    }
    gnutls_certificate_free_credentials(credentials);
    return assay_fail(err, ASSAY_E_INVALID_VALUE, "%s: %s",
                      ca_file != NULL ? ca_file : "the system's authorities",
                      n < 0 ? gnutls_strerror(n) : "there is no certificate");
}

static void
look_at(const char *path, struct version *ret_version)
{
    struct stat found = {0};

    (void)stat(path, &found); /* one that is gone is another version */
    *ret_version = (struct version){found.st_mtim, found.st_ino, found.st_size};
}

static bool
is_same(const struct version *a, const struct version *b)
{
    return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
           a->inode == b->inode && a->size == b->size;
}

static assay_status
load(struct assay_tls_identity *identity, struct assay_error *err)
{
    gnutls_certificate_credentials_t credentials;
    int rc = gnutls_certificate_allocate_credentials(&credentials);

    if (rc == 0)
        rc = gnutls_certificate_set_x509_key_file(credentials, identity->cert_file,
                                                  identity->key_file, GNUTLS_X509_FMT_PEM);
    if (rc < 0) {
        gnutls_certificate_free_credentials(credentials);
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "%s with %s: %s", identity->cert_file,
                          identity->key_file, gnutls_strerror(rc));
    }
    gnutls_certificate_free_credentials(identity->credentials);
    identity->credentials = credentials;
    return ASSAY_OK;
}

assay_status
assay_tls_identity_new(const char *cert_file, const char *key_file,
                       struct assay_tls_identity **ret_identity, struct assay_error *err)
{
    struct assay_tls_identity *identity = ASSAY_NEW(struct assay_tls_identity);
    assay_status status;

    identity->cert_file = cert_file;
    identity->key_file = key_file;
    look_at(cert_file, &identity->versions[0]);
    look_at(key_file, &identity->versions[1]);
    status = load(identity, err);
    if (status == ASSAY_OK)
        *ret_identity = identity;
    else
        free(identity);
    return status;
}

struct assay_tls_identity *
assay_tls_identity_free(struct assay_tls_identity *identity)
{
    if (identity != NULL)
        gnutls_certificate_free_credentials(identity->credentials);
    free(identity);
    return NULL;
}

gnutls_certificate_credentials_t
assay_tls_identity_get(struct assay_tls_identity *identity)
{
    struct assay_error err = {0};
    struct version now[2];

    look_at(identity->cert_file, &now[0]);
    look_at(identity->key_file, &now[1]);
    if (is_same(&now[0], &identity->versions[0]) && is_same(&now[1], &identity->versions[1]))
        return identity->credentials;
    identity->versions[0] = now[0];
    identity->versions[1] = now[1];
    if (load(identity, &err) == ASSAY_OK)
        assay_log(ASSAY_LOG_INFO, "the certificate was read again");
    else
        assay_log(ASSAY_LOG_WARNING, "the certificate from before is used: %s", err.message);
    return identity->credentials;
}

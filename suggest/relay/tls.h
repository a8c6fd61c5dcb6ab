/* Certificates of both ends.  One thread. */
#ifndef ASSAY_SUGGEST_RELAY_TLS_H
#define ASSAY_SUGGEST_RELAY_TLS_H

#include <gnutls/gnutls.h>

#include "common/error.h"

/* What the client's end trusts: the authorities in the file (PEM), the system's when NULL.
 * The caller frees it (gnutls_certificate_free_credentials). */
ASSAY_MUST_CHECK assay_status assay_tls_trust(const char *ca_file,
                                              gnutls_certificate_credentials_t *ret_credentials,
                                              struct assay_error *err);

/* A server's certificate and key, read again when their files change. */
struct assay_tls_identity;
/* The paths are borrowed. */
ASSAY_MUST_CHECK assay_status assay_tls_identity_new(const char *cert_file, const char *key_file,
                                                     struct assay_tls_identity **ret_identity,
                                                     struct assay_error *err);
struct assay_tls_identity *assay_tls_identity_free(struct assay_tls_identity *identity); /* NULL */
/* Those in the files now; while they do not fit together, those from before (logged).
 * Borrowed until the next call. */
gnutls_certificate_credentials_t
assay_tls_identity_get(struct assay_tls_identity *identity);

#endif

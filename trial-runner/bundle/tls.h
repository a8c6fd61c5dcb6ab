/* TLS for the bundle: Mbed TLS, version 1.2 and up, the server's certificate checked
 * against given authorities.  It knows names of hosts, not addresses: a certificate for
 * an IP address is refused.  One thread per object. */
#ifndef ASSAY_TRIAL_RUNNER_BUNDLE_TLS_H
#define ASSAY_TRIAL_RUNNER_BUNDLE_TLS_H

#include "trial-runner/plain_http.h"

struct assay_bundle_trust;

/* `ca_file` (PEM) NULL: $SSL_CERT_FILE, or where distributions keep theirs.  Read when the
 * first connection is made. */
struct assay_bundle_trust *assay_bundle_trust_new(const char *ca_file);
struct assay_bundle_trust *assay_bundle_trust_free(struct assay_bundle_trust *trust);

/* Fills the tls_ members; `trust` is borrowed. */
void assay_bundle_tls_reach(struct assay_bundle_trust *trust,
                            struct assay_plain_http_reach *reach);

#endif

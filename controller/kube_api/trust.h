/* How requests reach an API server: the address, whom the connection trusts, and who we are.
 *
 * Certificates and keys become files without a name, which every TLS library behind libcurl
 * can read; with a cluster's own authority the system's are not trusted.
 *
 * One thread. */
#ifndef ASSAY_CONTROLLER_KUBE_API_TRUST_H
#define ASSAY_CONTROLLER_KUBE_API_TRUST_H

#include <curl/curl.h>

#include "controller/kube_api/exec.h"

struct assay_kube_trust;

/* `config` is borrowed for its life.  ASSAY_E_INVALID_VALUE: server and tls-server-name make
 * no address. */
ASSAY_MUST_CHECK assay_status assay_kube_trust_new(const struct assay_kube_config *config,
                                                   struct assay_kube_trust **ret_trust,
                                                   struct assay_error *err);
/* NULL allowed; returns NULL.  After the transfers it was applied to. */
struct assay_kube_trust *assay_kube_trust_free(struct assay_kube_trust *trust);

/* Scheme, host and prefix of every address.  Borrowed. */
const char *assay_kube_trust_base(const struct assay_kube_trust *trust);

/* Sets up one transfer with the credentials of the moment; `plugged`: those of the exec
 * plug-in, NULL = none.  What goes into the request's head is added to `headers`.  Fails when
 * the file of the token can not be read. */
ASSAY_MUST_CHECK assay_status assay_kube_trust_apply(struct assay_kube_trust *trust,
                                                     const struct assay_kube_credentials *plugged,
                                                     CURL *easy, struct curl_slist **headers,
                                                     struct assay_error *err);

#endif

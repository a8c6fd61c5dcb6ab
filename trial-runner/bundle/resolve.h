/* Addresses of a host by its name, without the C library's name service: that loads
 * shared objects of its own at run time, which a static program must not in an image
 * with another C library.  /etc/hosts, then DNS as /etc/resolv.conf says. */
#ifndef ASSAY_TRIAL_RUNNER_BUNDLE_RESOLVE_H
#define ASSAY_TRIAL_RUNNER_BUNDLE_RESOLVE_H

#include "trial-runner/plain_http.h"

/* As `resolve` of struct assay_plain_http_reach.  Blocks for up to some seconds; any
 * thread. */
ASSAY_MUST_CHECK assay_status assay_bundle_resolve(const char *host,
                                                   struct assay_plain_http_address *addresses,
                                                   size_t *ret_count, struct assay_error *err);

/* One line of a hosts file: true when it gives `host` an address. */
bool assay_bundle_hosts_line(const char *line, const char *host,
                             struct assay_plain_http_address *ret_address);

#endif

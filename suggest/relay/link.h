/* One connection between a relay and a gate: TLS 1.3, or plain where nobody but this machine
 * is at the other end.
 *
 * The descriptor never blocks; what waits has a deadline (monotonic time).  One thread. */
#ifndef ASSAY_SUGGEST_RELAY_LINK_H
#define ASSAY_SUGGEST_RELAY_LINK_H

#include <gnutls/gnutls.h>

#include "common/buffer.h"
#include "common/error.h"

struct assay_link {
    int fd;
    gnutls_session_t tls;    /* NULL: plain */
    struct assay_buffer out; /* still to be sent */
    bool resumes;            /* TLS holds back bytes of a send that was cut short */
};

/* Takes the connected descriptor, also when it fails. */
void assay_link_init(struct assay_link *link, int fd);
void assay_link_done(struct assay_link *link);

/* Shakes hands over TLS.  `host` of the client's side: who the certificate must be of; NULL
 * for the server's side.  `credentials` are borrowed for the link's life.
 * ASSAY_E_UNAVAILABLE: it did not come about; ASSAY_E_UNAUTHORIZED: the certificate is not to be
 * trusted; ASSAY_E_TIMEOUT. */
ASSAY_MUST_CHECK assay_status assay_link_shake_hands(struct assay_link *link,
                                                     gnutls_certificate_credentials_t credentials,
                                                     const char *host, int64_t deadline_us,
                                                     struct assay_error *err);

/* What has arrived, up to `size` bytes; 0 when there is nothing now.
 * ASSAY_E_UNAVAILABLE: there will be no more. */
ASSAY_MUST_CHECK assay_status assay_link_receive(struct assay_link *link, void *bytes, size_t size,
                                                 size_t *ret_received, struct assay_error *err);
/* Whether more has arrived than poll() knows of. */
bool assay_link_has_more(const struct assay_link *link);
/* Sends of `out` what goes now. */
ASSAY_MUST_CHECK assay_status assay_link_flush(struct assay_link *link, struct assay_error *err);

/* As the two above, for all of it; ASSAY_E_TIMEOUT. */
ASSAY_MUST_CHECK assay_status assay_link_receive_all(struct assay_link *link, void *bytes,
                                                     size_t length, int64_t deadline_us,
                                                     struct assay_error *err);
ASSAY_MUST_CHECK assay_status assay_link_flush_all(struct assay_link *link, int64_t deadline_us,
                                                   struct assay_error *err);
/* Says that nothing more will be sent and waits until the other side has closed, so that
 * what it was sent is not lost. */
void assay_link_finish(struct assay_link *link, int64_t deadline_us);

#endif

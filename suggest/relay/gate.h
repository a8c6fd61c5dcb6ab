/* The gate: one connection of the listener's, in a process of its own.
 *
 * It shakes hands, compares the token, asks the listener for a place, starts a worker (this
 * program again, speaking over a socket as it would to the daemon) and copies between the two.
 * The worker never sees key, token or network.  It is killed as soon as the connection
 * is closed, whatever it is at; the gate's end kills it, too. */
#ifndef ASSAY_SUGGEST_RELAY_GATE_H
#define ASSAY_SUGGEST_RELAY_GATE_H

#include <gnutls/gnutls.h>

#include "common/error.h"

struct assay_gate {
    int fd;               /* the connection (taken) */
    int admission;        /* a byte there asks the listener for a place, one answers */
    const char *peer;     /* who is at the other end, for the log */
    gnutls_certificate_credentials_t credentials; /* NULL: plain */
    const char *token_file;
    const char *program;  /* assay-suggest */
    const char *memory_limit; /* as the option of that name; NULL = none */
    int64_t handshake_us; /* until the token is there */
    int64_t silence_us;
};

/* What goes over `admission`. */
#define ASSAY_GATE_ASKS 'a'
#define ASSAY_GATE_ADMITTED 'y'
#define ASSAY_GATE_FULL 'n'

/* Serves the connection to its end; SIGTERM, which must be blocked, ends it in good order. */
void assay_gate_run(const struct assay_gate *gate);

#endif

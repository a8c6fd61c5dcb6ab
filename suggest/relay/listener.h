/* assay-suggest --listen: a place where the workers of a daemon elsewhere run.
 *
 * Each connection gets a process (suggest/relay/gate.h), and once its token was seen a worker.
 * At most `connections` workers run; connections that have not shown a token yet are bounded
 * apart, and the oldest of them makes room, so strangers who say nothing keep nobody out for
 * long.  SIGTERM ends all in good order.  Certificate, key and token are read again
 * when their files change. */
#ifndef ASSAY_SUGGEST_RELAY_LISTENER_H
#define ASSAY_SUGGEST_RELAY_LISTENER_H

#include "common/error.h"

#define ASSAY_LISTENER_CONNECTIONS 16
#define ASSAY_LISTENER_CONNECTIONS_MAX 1024

struct assay_listener_options {
    const char *listen;     /* HOST:PORT; port 0: one that is free, which the log says */
    const char *cert_file, *key_file; /* PEM; both NULL: plain TCP, on loopback alone */
    const char *token_file; /* a token in each line; any of them is taken */
    const char *memory_limit; /* of each worker, as its option; NULL = none */
    int connections;        /* workers at a time */
    int64_t handshake_us;   /* a connection shows its token within this */
    int64_t silence_us;     /* and is dead when nothing comes for this */
};

/* Serves until SIGTERM or SIGINT.  The exit code; what is wrong with the options is printed
 * to standard error (2). */
int assay_listener_run(const struct assay_listener_options *options);

#endif

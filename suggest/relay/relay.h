/* The relay: a worker of the daemon that computes nothing itself and speaks for one elsewhere
 * (assay-suggest --listen).
 *
 * It makes the connection, shows the token, tells the daemon that it is ready, and copies.
 * However that ends, the last it says is why (ASSAY_PROTOCOL_GONE): the worker there died,
 * which is the study's doing, or the place was not to be had, which is nobody's. */
#ifndef ASSAY_SUGGEST_RELAY_RELAY_H
#define ASSAY_SUGGEST_RELAY_RELAY_H

#include "common/error.h"

/* Without TLS, to this machine alone: tcp://127.0.0.1:7451. */
#define ASSAY_RELAY_PLAIN "tcp://"

struct assay_relay_options {
    const char *connect; /* HOST:PORT, or ASSAY_RELAY_PLAIN and that */
    const char *ca_file; /* authorities (PEM); NULL = the system's */
    const char *token_file;
    int64_t silence_us;
};

/* Speaks with the daemon over the two descriptors until one side ends.  The exit code. */
int assay_relay_run(const struct assay_relay_options *options, int in, int out);

#endif

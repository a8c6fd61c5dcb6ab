/* Addresses HOST:PORT, as people write them ("suggest.example:7451", "[::1]:7451").
 * Any thread; resolving blocks. */
#ifndef ASSAY_COMMON_ADDRESS_H
#define ASSAY_COMMON_ADDRESS_H

#include <netdb.h>

#include "common/error.h"

struct assay_address {
    char *text; /* as it was given, for sentences */
    char *host; /* without brackets */
    char *port;
};

/* ASSAY_E_INVALID_VALUE when it is not one. */
ASSAY_MUST_CHECK assay_status assay_address_parse(const char *text,
                                                  struct assay_address *ret_address,
                                                  struct assay_error *err);
void assay_address_done(struct assay_address *address);

/* What it stands for; `passive`: to listen on.  The list is the caller's (freeaddrinfo).
 * ASSAY_E_UNAVAILABLE when the name is not known. */
ASSAY_MUST_CHECK assay_status assay_address_resolve(const struct assay_address *address,
                                                    bool passive, struct addrinfo **ret_list,
                                                    struct assay_error *err);
/* Whether nobody but this machine can be behind it. */
bool assay_address_is_loopback(const struct sockaddr *address);
/* Whether a host, as it stands in an address (IPv6 with or without brackets), is that: a
 * loopback address or "localhost".  Any other name is not, whatever it stands for. */
bool assay_address_host_is_loopback(const char *host);

#endif

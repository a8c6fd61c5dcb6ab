/* Apart from address.c: the name service of the C library has no place in a static program. */
#include <sys/socket.h>

#include "common/address.h"

assay_status
assay_address_resolve(const struct assay_address *address, bool passive, struct addrinfo **ret_list,
                      struct assay_error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = passive ? AI_PASSIVE : 0};
    int rc = getaddrinfo(address->host, address->port, &hints, ret_list);

    return rc == 0 ? ASSAY_OK : assay_fail(err, ASSAY_E_UNAVAILABLE, "%s", gai_strerror(rc));
}

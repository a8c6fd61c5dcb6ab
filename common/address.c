#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/memory.h"
#include "common/number.h"

assay_status
assay_address_parse(const char *text, struct assay_address *ret_address, struct assay_error *err)
{
    const char *colon = strrchr(text, ':');
    bool bracketed = text[0] == '[' && colon != NULL && colon > text && colon[-1] == ']';
    const char *host = bracketed ? text + 1 : text;
    size_t length = colon != NULL ? (size_t)(colon - host) - bracketed : 0;
    int64_t port;

    /* An address of IPv6 without brackets: which colon ends it? */
    if (length == 0 || !assay_parse_int(colon + 1, 0, 65535, &port) ||
        (!bracketed && memchr(host, ':', length) != NULL))
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "\"%.200s\" is not HOST:PORT, as in suggest.example:7451 or [::1]:7451",
                          text);
    *ret_address = (struct assay_address){
        .text = assay_strdup(text),
        .host = assay_strndup(host, length),
        .port = assay_strdup(colon + 1),
    };
    return ASSAY_OK;
}

void
assay_address_done(struct assay_address *address)
{
    free(address->text);
    free(address->host);
    free(address->port);
    *address = (struct assay_address){0};
}

bool
assay_address_is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in four;

        memcpy(&four, address, sizeof four);
        return ntohl(four.sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 six;

        memcpy(&six, address, sizeof six);
        return IN6_IS_ADDR_LOOPBACK(&six.sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr) && six.sin6_addr.s6_addr[12] == 127);
    }
    return false;
}

bool
assay_address_host_is_loopback(const char *host)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    size_t length = strlen(host);
    assay_auto_free char *bare = host[0] == '[' && host[length - 1] == ']'
                                     ? assay_strndup(host + 1, length - 2)
                                     : assay_strdup(host);

    if (strcasecmp(host, "localhost") == 0)
        return true;
    /* Also short forms such as 127.1, which resolvers take. */
    if (strspn(host, "0123456789.") == length && inet_aton(host, &four.sin_addr) != 0)
        return assay_address_is_loopback((const struct sockaddr *)&four);
    return inet_pton(AF_INET6, bare, &six.sin6_addr) == 1 &&
           assay_address_is_loopback((const struct sockaddr *)&six);
}

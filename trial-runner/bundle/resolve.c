#include "trial-runner/bundle/resolve.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/memory.h"

/* An answer that is longer comes over TCP, whole. */
#define ANSWER_BYTES_MAX 65536
#define LINE_BYTES_MAX 4096
/* Per name server; the caller asks again for ever. */
#define TRY_SECONDS 2
#define TRIES 2

static void
set_address(int family, const void *bytes, struct assay_plain_http_address *ret_address)
{
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)&ret_address->bytes;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&ret_address->bytes;

    *ret_address = (struct assay_plain_http_address){0};
    if (family == AF_INET) {
        four->sin_family = AF_INET;
        memcpy(&four->sin_addr, bytes, sizeof four->sin_addr);
        ret_address->length = sizeof *four;
    } else {
        six->sin6_family = AF_INET6;
        memcpy(&six->sin6_addr, bytes, sizeof six->sin6_addr);
        ret_address->length = sizeof *six;
    }
}

bool
assay_bundle_hosts_line(const char *line, const char *host,
                        struct assay_plain_http_address *ret_address)
{
    static const char blank[] = " \t\r\n";
    char text[LINE_BYTES_MAX];
    char *rest, *word;
    unsigned char bytes[sizeof(struct in6_addr)];
    int family;

    snprintf(text, sizeof text, "%s", line);
    text[strcspn(text, "#")] = '\0';
    word = strtok_r(text, blank, &rest);
    if (word == NULL)
        return false;
    family = strchr(word, ':') != NULL ? AF_INET6 : AF_INET;
    if (inet_pton(family, word, bytes) != 1)
        return false;
    while ((word = strtok_r(NULL, blank, &rest)) != NULL) {
        if (strcasecmp(word, host) == 0) {
            set_address(family, bytes, ret_address);
            return true;
        }
    }
    return false;
}

static size_t
look_in_hosts(const char *host, struct assay_plain_http_address *addresses)
{
    char line[LINE_BYTES_MAX];
    FILE *file = fopen("/etc/hosts", "re");
    size_t count = 0;

    while (file != NULL && count < ASSAY_PLAIN_HTTP_ADDRESSES_MAX &&
           fgets(line, sizeof line, file) != NULL)
        count += assay_bundle_hosts_line(line, host, &addresses[count]);
    if (file != NULL)
        fclose(file);
    return count;
}

static size_t
read_answer(const unsigned char *answer, int length, int family,
            struct assay_plain_http_address *addresses, size_t count)
{
    ns_msg message;
    ns_rr record;

    if (ns_initparse(answer, length, &message) != 0)
        return count;
    for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
        if (count == ASSAY_PLAIN_HTTP_ADDRESSES_MAX ||
            ns_parserr(&message, ns_s_an, i, &record) != 0)
            break;
        if ((ns_rr_type(record) == ns_t_a && family == AF_INET && ns_rr_rdlen(record) == 4) ||
            (ns_rr_type(record) == ns_t_aaaa && family == AF_INET6 && ns_rr_rdlen(record) == 16))
            set_address(family, ns_rr_rdata(record), &addresses[count++]);
    }
    return count;
}

static size_t
ask_dns(const char *host, struct assay_plain_http_address *addresses)
{
    static const struct {
        int family, type;
    } kinds[] = {{AF_INET, ns_t_a}, {AF_INET6, ns_t_aaaa}};
    struct __res_state state = {0};
    assay_auto_free unsigned char *answer = assay_alloc(ANSWER_BYTES_MAX, 1);
    size_t count = 0;

    if (res_ninit(&state) != 0)
        return 0;
    state.retrans = TRY_SECONDS;
    state.retry = TRIES;
    for (size_t i = 0; i < ASSAY_COUNT(kinds); i++) {
        int length =
            res_nsearch(&state, host, ns_c_in, kinds[i].type, answer, ANSWER_BYTES_MAX);

        if (length > 0)
            count = read_answer(answer, ASSAY_MIN(length, ANSWER_BYTES_MAX), kinds[i].family,
                                addresses, count);
    }
    res_nclose(&state);
    return count;
}

assay_status
assay_bundle_resolve(const char *host, struct assay_plain_http_address *addresses,
                     size_t *ret_count, struct assay_error *err)
{
    size_t count = look_in_hosts(host, addresses);

    if (count == 0)
        count = ask_dns(host, addresses);
    if (count == 0)
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "the name %s has no address", host);
    *ret_count = count;
    return ASSAY_OK;
}

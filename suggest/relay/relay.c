#include "suggest/relay/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"
#include "suggest/protocol.h"
#include "suggest/relay/copy.h"
#include "suggest/relay/record.h"
#include "suggest/relay/tls.h"

/* One address of the name; handshake and greeting. */
#define CONNECT_US (3 * ASSAY_SECOND_US)
#define GREET_US (8 * ASSAY_SECOND_US)
/* The daemon reads the last word and ends us; if not, we end. */
#define LAST_WORD_US (10 * ASSAY_SECOND_US)

struct relay {
    const struct assay_relay_options *options;
    struct assay_address address;
    bool plain;
    gnutls_certificate_credentials_t trust; /* NULL: none needed */
    struct assay_link link;
    int in, out;
};

static bool
is_plain(const char *connect)
{
    return strncmp(connect, ASSAY_RELAY_PLAIN, strlen(ASSAY_RELAY_PLAIN)) == 0;
}

static assay_status
parse_address(const char *connect, struct assay_address *ret_address, struct assay_error *err)
{
    return assay_address_parse(is_plain(connect) ? connect + strlen(ASSAY_RELAY_PLAIN) : connect,
                               ret_address, err);
}

/* --- connecting --- */

static assay_status
connect_to(const struct addrinfo *to, int *ret_fd, struct assay_error *err)
{
    assay_auto_close int fd =
        socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct pollfd entry = {.fd = fd, .events = POLLOUT};
    int fault = 0, on = 1;
    socklen_t length = sizeof fault;

    if (fd < 0)
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s", strerror(errno));
    if (connect(fd, to->ai_addr, to->ai_addrlen) != 0 && errno != EINPROGRESS)
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s", strerror(errno));
    while ((fault = poll(&entry, 1, (int)(CONNECT_US / 1000))) < 0 && errno == EINTR)
        continue;
    if (fault == 0)
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "nobody answers");
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &length) != 0 || fault != 0)
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s", strerror(fault != 0 ? fault : errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *ret_fd = fd;
    fd = -1;
    return ASSAY_OK;
}

static assay_status
connect_link(struct relay *relay, struct assay_error *err)
{
    struct addrinfo *list = NULL;
    assay_status status = assay_address_resolve(&relay->address, false, &list, err);
    int fd = -1;

    for (const struct addrinfo *to = list; to != NULL; to = to->ai_next) {
        status = relay->plain && !assay_address_is_loopback(to->ai_addr)
                     ? assay_fail(err, ASSAY_E_INVALID_VALUE,
                                  ASSAY_RELAY_PLAIN " is for addresses of this machine alone")
                     : connect_to(to, &fd, err);
        if (status == ASSAY_OK)
            break;
    }
    if (list != NULL)
        freeaddrinfo(list);
    if (status == ASSAY_OK)
        assay_link_init(&relay->link, fd);
    return status;
}

static assay_status
read_token(const struct relay *relay, unsigned char ret_greeting[ASSAY_GREETING_BYTES],
           struct assay_error *err)
{
    assay_auto_free char *text = NULL;
    assay_auto_free char *token = NULL;
    assay_status status =
        assay_file_read(relay->options->token_file, 1 << 16, &text, NULL, err);

    if (status == ASSAY_OK && assay_tokens_check(text, err) != ASSAY_OK)
        status = assay_wrap(err, "%s", relay->options->token_file);
    if (status != ASSAY_OK)
        return status;
    token = assay_tokens_first(text);
    assay_greeting_make(token, ret_greeting);
    return ASSAY_OK;
}

static assay_status
refused(const struct relay *relay, unsigned char welcome, struct assay_error *err)
{
    const char *address = relay->address.text;

    switch (welcome) {
    case ASSAY_WELCOME_TOKEN:
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s does not take the token of %s", address,
                          relay->options->token_file);
    case ASSAY_WELCOME_FULL:
        return assay_fail(err, ASSAY_E_UNAVAILABLE,
                          "%s has no place left: all its connections are taken", address);
    case ASSAY_WELCOME_PROTOCOL:
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s is of another version of assay-suggest",
                          address);
    case ASSAY_WELCOME_FAULT:
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s has a fault, its log says which", address);
    default:
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s is no assay-suggest", address);
    }
}

/* From nothing to a worker at the other end; the error is a whole sentence. */
static assay_status
open_conversation(struct relay *relay, struct assay_error *err)
{
    unsigned char greeting[ASSAY_GREETING_BYTES], welcome;
    assay_status status = read_token(relay, greeting, err);
    int64_t deadline_us;

    if (status == ASSAY_OK && !relay->plain)
        status = assay_tls_trust(relay->options->ca_file, &relay->trust, err);
    if (status != ASSAY_OK)
        return status;
    if (connect_link(relay, err) != ASSAY_OK)
        return assay_wrap(err, "%s can not be reached", relay->address.text);
    deadline_us = assay_monotonic_us() + GREET_US;
    if (relay->trust != NULL &&
        assay_link_shake_hands(&relay->link, relay->trust, relay->address.host, deadline_us,
                               err) != ASSAY_OK)
        return assay_wrap(err, err->status == ASSAY_E_UNAUTHORIZED ? "%s is not to be trusted"
                                                                   : "%s can not be reached",
                          relay->address.text);
    assay_buffer_add(&relay->link.out, greeting, sizeof greeting);
    status = assay_link_flush_all(&relay->link, deadline_us, err);
    if (status == ASSAY_OK)
        status = assay_link_receive_all(&relay->link, &welcome, 1, deadline_us, err);
    if (status != ASSAY_OK)
        return assay_wrap(err, "%s does not answer the greeting", relay->address.text);
    return welcome == ASSAY_WELCOME_YES ? ASSAY_OK : refused(relay, welcome, err);
}

/* --- the daemon's side --- */

static void
set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0)
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* Takes the message; false when the daemon has gone. */
static bool
tell_daemon(const struct relay *relay, json_t *message)
{
    struct assay_buffer frame = {0};
    bool taken = assay_protocol_frame_add(&frame, message, NULL) == ASSAY_OK;
    size_t written = 0;

    json_decref(message);
    while (taken && written < frame.length) {
        ssize_t n = write(relay->out, frame.data + written, frame.length - written);

        if (n > 0)
            written += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = relay->out, .events = POLLOUT}, 1, -1);
        else if (n < 0 && errno != EINTR)
            taken = false;
    }
    assay_buffer_done(&frame);
    return taken;
}

/* Ends once the daemon has read it, so that it is not overtaken by the news of our end. */
static void
say_last_word(const struct relay *relay, bool away, const char *sentence)
{
    int64_t end_us = assay_monotonic_us() + LAST_WORD_US;
    char rest[4096];

    assay_log(ASSAY_LOG_INFO, "%s", sentence);
    if (!tell_daemon(relay, assay_protocol_gone(away, sentence)))
        return;
    for (;;) {
        struct pollfd entry = {.fd = relay->in, .events = POLLIN};
        int64_t left_us = end_us - assay_monotonic_us();
        ssize_t n = 1;

        if (left_us <= 0 || poll(&entry, 1, (int)(left_us / 1000) + 1) == 0)
            return;
        n = read(relay->in, rest, sizeof rest);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
    }
}

static void
converse(struct relay *relay)
{
    struct assay_copy copy = {
        .link = &relay->link,
        .in = relay->in,
        .out = relay->out,
        .stop_fd = -1,
        .silence_us = relay->options->silence_us,
        .whole_frames = true,
    };
    struct assay_error err = {0};
    assay_auto_free char *sentence = NULL;
    enum assay_copy_end end = assay_copy_run(&copy, &err);

    if (end == ASSAY_COPY_LINK)
        sentence = assay_format("the connection to %s was cut: %s", relay->address.text,
                                err.message);
    else if (end == ASSAY_COPY_LEAVES)
        sentence = assay_format("%s has ended the connection: %s", relay->address.text,
                                err.message);
    else if (end == ASSAY_COPY_ENDED)
        sentence = assay_format("%s (at %s)", err.message, relay->address.text);
    if (sentence != NULL)
        say_last_word(relay, end != ASSAY_COPY_ENDED, sentence);
    assay_copy_done(&copy);
}

int
assay_relay_run(const struct assay_relay_options *options, int in, int out)
{
    struct relay relay = {.options = options,
                          .plain = is_plain(options->connect),
                          .link = {.fd = -1},
                          .in = in,
                          .out = out};
    struct assay_error err = {0};
    assay_status status = parse_address(options->connect, &relay.address, &err);

    set_nonblocking(in);
    set_nonblocking(out);
    if (status == ASSAY_OK)
        status = open_conversation(&relay, &err);
    if (status != ASSAY_OK)
        say_last_word(&relay, true, err.message);
    else if (tell_daemon(&relay, assay_protocol_ready()))
        converse(&relay);
    assay_link_done(&relay.link);
    if (relay.trust != NULL)
        gnutls_certificate_free_credentials(relay.trust);
    assay_address_done(&relay.address);
    return 0;
}

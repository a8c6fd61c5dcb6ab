#include "suggest/relay/copy.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/memory.h"
#include "suggest/relay/record.h"

/* In hand for one direction; more is not read. */
#define HELD_BYTES_MAX 131072
/* Says that it is there so often within the time after which silence is taken for death. */
#define BEATS 4

enum { LINK, IN, OUT, STOP, DESCRIPTORS };

/* Writes what may be written; false when nobody reads it any more. */
static bool
write_local(struct assay_copy *copy)
{
    while (copy->whole > 0) {
        ssize_t n = write(copy->out, copy->local.data, copy->whole);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        assay_buffer_consume(&copy->local, (size_t)n);
        copy->whole -= (size_t)n;
    }
    return true;
}

static bool
read_local(struct assay_copy *copy)
{
    char chunk[ASSAY_RECORD_BYTES_MAX];

    while (copy->link->out.length < HELD_BYTES_MAX) {
        ssize_t n = read(copy->in, chunk, sizeof chunk);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return false;
        assay_record_add(&copy->link->out, ASSAY_RECORD_DATA, chunk, (size_t)n);
    }
    return true;
}

/* Takes the records that are whole; true when one of them ends the conversation. */
static bool
take_records(struct assay_copy *copy, enum assay_copy_end *ret_end, struct assay_error *err)
{
    struct assay_record_view record;
    bool ended = false;
    assay_status status = ASSAY_OK;

    while (!ended && assay_record_front(&copy->received, &record, &status)) {
        if (record.type == ASSAY_RECORD_DATA)
            assay_buffer_add(&copy->local, record.bytes, record.length);
        ended = record.type == ASSAY_RECORD_ENDED || record.type == ASSAY_RECORD_LEAVES;
        if (ended) {
            *ret_end = record.type == ASSAY_RECORD_ENDED ? ASSAY_COPY_ENDED : ASSAY_COPY_LEAVES;
            (void)assay_fail(err, ASSAY_E_UNAVAILABLE, "%.*s",
                             (int)ASSAY_MIN(record.length, (size_t)ASSAY_ERROR_MESSAGE_BYTES),
                             record.bytes);
        }
        assay_buffer_consume(&copy->received, ASSAY_RECORD_HEADER_BYTES + record.length);
    }
    copy->whole = copy->whole_frames && copy->local.length > 0
                      ? assay_frames_whole(copy->local.data, copy->local.length, copy->whole)
                      : copy->local.length;
    if (status != ASSAY_OK) {
        *ret_end = ASSAY_COPY_LINK;
        (void)assay_fail(err, status, "what comes makes no sense");
    }
    return ended || status != ASSAY_OK;
}

/* True when the conversation has ended. */
static bool
receive_records(struct assay_copy *copy, enum assay_copy_end *ret_end, struct assay_error *err)
{
    char chunk[ASSAY_RECORD_BYTES_MAX + ASSAY_RECORD_HEADER_BYTES];

    while (copy->whole < HELD_BYTES_MAX) {
        size_t n = 0;

        if (assay_link_receive(copy->link, chunk, sizeof chunk, &n, err) != ASSAY_OK) {
            *ret_end = ASSAY_COPY_LINK;
            return true;
        }
        if (n == 0)
            return false;
        copy->heard_us = assay_monotonic_us();
        assay_buffer_add(&copy->received, chunk, n);
        if (take_records(copy, ret_end, err))
            return true;
    }
    return false;
}

/* Until when poll() may wait. */
static int
patience_ms(const struct assay_copy *copy, bool reading, int64_t now_us)
{
    int64_t until_us = copy->sent_us + copy->silence_us / BEATS;

    if (reading)
        until_us = ASSAY_MIN(until_us, copy->heard_us + copy->silence_us);
    return (int)ASSAY_MIN(ASSAY_MAX(until_us - now_us, 0) / 1000 + 1, INT32_MAX);
}

static void
wait_for_events(struct assay_copy *copy, bool reading, struct pollfd found[DESCRIPTORS])
{
    const struct assay_link *link = copy->link;
    bool room = link->out.length < HELD_BYTES_MAX;
    int64_t now_us = assay_monotonic_us();
    int wait_ms = reading && assay_link_has_more(link) ? 0 : patience_ms(copy, reading, now_us);
    short events = (short)((reading ? POLLIN : 0) | (link->out.length > 0 ? POLLOUT : 0) |
                           (copy->ends_with_link ? POLLRDHUP : 0));

    found[LINK] = (struct pollfd){.fd = link->fd, .events = events};
    found[IN] = (struct pollfd){.fd = room ? copy->in : -1, .events = POLLIN};
    found[OUT] = (struct pollfd){.fd = copy->whole > 0 ? copy->out : -1, .events = POLLOUT};
    found[STOP] = (struct pollfd){.fd = copy->stop_fd, .events = POLLIN};
    if (poll(found, DESCRIPTORS, wait_ms) < 0) { /* EINTR: look at everything */
        for (size_t i = 0; i < DESCRIPTORS; i++)
            found[i].revents = 0;
    }
}

static bool
is_silent(struct assay_copy *copy, bool reading, struct assay_error *err)
{
    int64_t now_us = assay_monotonic_us();

    if (!reading)
        copy->heard_us = now_us; /* what waits to be read may well be there */
    if (now_us - copy->heard_us < copy->silence_us)
        return false;
    (void)assay_fail(err, ASSAY_E_TIMEOUT, "nothing came for %.3g s",
                     (double)copy->silence_us / ASSAY_SECOND_US);
    return true;
}

static bool
send_records(struct assay_copy *copy, struct assay_error *err)
{
    int64_t now_us = assay_monotonic_us();

    if (copy->link->out.length == 0 && now_us - copy->sent_us >= copy->silence_us / BEATS)
        assay_record_add(&copy->link->out, ASSAY_RECORD_BEAT, NULL, 0);
    if (copy->link->out.length > 0)
        copy->sent_us = now_us;
    return assay_link_flush(copy->link, err) == ASSAY_OK;
}

enum assay_copy_end
assay_copy_run(struct assay_copy *copy, struct assay_error *err)
{
    enum assay_copy_end end = ASSAY_COPY_LINK;
    struct pollfd found[DESCRIPTORS];

    copy->heard_us = copy->sent_us = assay_monotonic_us();
    for (;;) {
        bool reading = copy->whole < HELD_BYTES_MAX;

        wait_for_events(copy, reading, found);
        if ((found[STOP].revents & POLLIN) != 0)
            return ASSAY_COPY_TOLD;
        if (copy->ends_with_link && (found[LINK].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
            (void)assay_fail(err, ASSAY_E_UNAVAILABLE, "it was closed");
            return ASSAY_COPY_LINK;
        }
        if (reading && receive_records(copy, &end, err)) {
            /* What came whole is handed on, unless nobody takes it. */
            while (write_local(copy) && copy->whole > 0)
                poll(&(struct pollfd){.fd = copy->out, .events = POLLOUT}, 1, -1);
            return end;
        }
        if (is_silent(copy, reading, err))
            return ASSAY_COPY_LINK;
        if (found[IN].revents != 0 && !read_local(copy))
            return ASSAY_COPY_LOCAL;
        if (!write_local(copy)) {
            (void)read_local(copy); /* what it said before it went */
            return ASSAY_COPY_LOCAL;
        }
        if (!send_records(copy, err))
            return ASSAY_COPY_LINK;
    }
}

void
assay_copy_done(struct assay_copy *copy)
{
    assay_buffer_done(&copy->received);
    assay_buffer_done(&copy->local);
}

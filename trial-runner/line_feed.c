#include "trial-runner/line_feed.h"

#include "schemas/metric_line.h"

static size_t
line_length(const char *bytes, size_t length)
{
    const char *newline = memchr(bytes, '\n', length);
    const char *carriage;

    if (newline != NULL)
        length = (size_t)(newline - bytes);
    carriage = memchr(bytes, '\r', length);
    return carriage != NULL ? (size_t)(carriage - bytes) : length;
}

static void
end_line(struct assay_line_feed *feed)
{
    if (feed->partial.length > 0 && !feed->skipping)
        feed->on_line(feed->arg, feed->partial.data, feed->partial.length);
    assay_buffer_clear(&feed->partial);
    feed->skipping = false;
}

static void
add_partial(struct assay_line_feed *feed, const char *bytes, size_t length)
{
    size_t room = ASSAY_METRIC_LINE_BYTES_MAX - feed->partial.length;

    if (feed->skipping)
        return;
    assay_buffer_add(&feed->partial, bytes, ASSAY_MIN(length, room));
    if (length > room) {
        end_line(feed);
        feed->skipping = true;
    }
}

void
assay_line_feed_add(struct assay_line_feed *feed, const char *bytes, size_t length)
{
    while (length > 0) {
        size_t n = line_length(bytes, length);

        if (n == length) {
            add_partial(feed, bytes, n);
            return;
        }
        if (feed->partial.length == 0 && !feed->skipping && n <= ASSAY_METRIC_LINE_BYTES_MAX) {
            if (n > 0)
                feed->on_line(feed->arg, bytes, n);
        } else {
            add_partial(feed, bytes, n);
            end_line(feed);
        }
        bytes += n + 1;
        length -= n + 1;
    }
}

void
assay_line_feed_end(struct assay_line_feed *feed)
{
    end_line(feed);
}

void
assay_line_feed_done(struct assay_line_feed *feed)
{
    assay_buffer_done(&feed->partial);
}

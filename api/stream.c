#include "api/stream.h"

#include "api/server_internal.h"
#include "common/memory.h"

#define BLOCK_BYTES 8192

struct assay_stream {
    struct assay_stream_options options;
    struct assay_buffer buffer;
    uint64_t version; /* of the study, before the last fill */
    bool ended;
};

enum assay_step
assay_answer_stream(struct assay_request *request, const struct assay_stream_options *options)
{
    struct assay_stream *stream = ASSAY_NEW(struct assay_stream);

    stream->options = *options;
    request->answer.status = 200;
    request->answer.content_type = options->content_type;
    request->answer.stream = stream;
    atomic_fetch_add(&request->server->streams, 1);
    return ASSAY_ANSWERED;
}

void
assay_stream_put(struct assay_request *request, struct assay_buffer *text)
{
    assay_buffer_add(&request->answer.stream->buffer, text->data, text->length);
    assay_buffer_done(text);
}

void
assay_stream_set_pause(struct assay_request *request, int64_t pause_us)
{
    request->answer.stream->options.pause_us = pause_us;
}

struct assay_stream *
assay__stream_free(struct assay_stream *stream)
{
    if (stream == NULL)
        return NULL;
    assay_buffer_done(&stream->buffer);
    free(stream);
    return NULL;
}

static enum assay_step fill(struct assay_request *request);

/* The study has changed, or the pause is over. */
static void
woken(void *arg, bool changed)
{
    struct assay_request *request = arg;
    struct assay_stream *stream = request->answer.stream;

    if (!atomic_load(&request->server->stopping) &&
        (changed || stream->options.idle_text == NULL)) {
        assay_request_continue(request, fill);
        return;
    }
    if (stream->options.idle_text != NULL)
        assay_buffer_puts(&stream->buffer, stream->options.idle_text);
    assay__resume(request->server, request->connection);
}

static enum assay_step
fill(struct assay_request *request)
{
    struct assay_stream *stream = request->answer.stream;
    struct assay_notifier *notifier = request->service->notifier;

    stream->version = assay_notifier_version(notifier, request->study_id);
    if (stream->options.fill(request, &stream->buffer) == ASSAY_FILL_END)
        stream->ended = true;
    if (stream->buffer.length > 0 || stream->ended)
        assay__resume(request->server, request->connection);
    else
        assay_notifier_wait(notifier, request->study_id, stream->version,
                            stream->options.pause_us, woken, request);
    return ASSAY_PENDING;
}

/* MHD wants bytes to send. */
static ssize_t
read_stream(void *arg, uint64_t position, char *bytes, size_t max)
{
    struct assay_request *request = arg;
    struct assay_stream *stream = request->answer.stream;
    size_t length = ASSAY_MIN(stream->buffer.length, max);

    (void)position;
    if (length > 0) {
        memcpy(bytes, stream->buffer.data, length);
        assay_buffer_consume(&stream->buffer, length);
        return (ssize_t)length;
    }
    if (stream->ended || atomic_load(&request->server->stopping))
        return MHD_CONTENT_READER_END_OF_STREAM;
    assay__suspend(request->server, request->connection);
    assay_request_continue(request, fill);
    return 0;
}

struct MHD_Response *
assay__stream_response(struct assay_request *request)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, request,
                                             NULL);
}

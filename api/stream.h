/* Answers that come bit by bit: events and growing logs.
 *
 * A fill function, called on a read thread, appends what there is; when there is
 * nothing the stream sleeps until the study changes or its pause is over.  It
 * ends when the fill function says so, when the client goes, or with the server. */
#ifndef ASSAY_API_STREAM_H
#define ASSAY_API_STREAM_H

#include "api/request.h"

enum assay_fill { ASSAY_FILL_OPEN, ASSAY_FILL_END };
typedef enum assay_fill (*assay_fill_fn)(struct assay_request *request,
                                         struct assay_buffer *buffer);

struct assay_stream_options {
    assay_fill_fn fill;
    const char *content_type; /* static */
    /* How long it sleeps at most.  Then `idle_text` is sent, or without one `fill`
     * is called again. */
    int64_t pause_us;
    const char *idle_text; /* static; NULL = none */
};

/* Makes the stream the request's answer, status 200. */
enum assay_step assay_answer_stream(struct assay_request *request,
                                    const struct assay_stream_options *options);
/* Puts text in front of what the fill function will say; takes it. */
void assay_stream_put(struct assay_request *request, struct assay_buffer *text);
/* For the fill function: the pause from now on. */
void assay_stream_set_pause(struct assay_request *request, int64_t pause_us);

/* --- for the sender */
struct MHD_Response *assay__stream_response(struct assay_request *request);
struct assay_stream *assay__stream_free(struct assay_stream *stream);

#endif

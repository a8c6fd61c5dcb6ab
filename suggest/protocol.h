/* The messages between the daemon and an assay-suggest worker, for both sides.
 *
 * A frame is a length (4 bytes, little-endian) and so many bytes of one JSON
 * object.  The host sends
 *   {"op":"open","study":ID,"spec":{…},"sources":[…]}
 *                                                    start (again) with no trials
 *   {"op":"tell","study":ID,"trials":[…]}           no reply unless it fails
 *   {"op":"ask","study":ID,"request":N,"numbers":[17,18]}
 *   {"op":"close","study":ID}
 * and gets, in the order of its messages,
 *   {"op":"suggestions","study":ID,"request":N,"trials":[…],"exhausted":false}
 *   {"op":"error","study":ID,"request":N or null,"code":"…","message":"…"}
 * Exactly one reply answers each ask; an error with "request": null is about an
 * open or tell.  ID is an integer or a string and comes back as it was sent.  The
 * code is that of a status (common/error.h), or "unknown_study": the worker does
 * not have it (it is new, or its open or a tell failed), and the host opens and
 * tells it again.  A worker ends the connection on a frame that is not JSON or is
 * too long: after that the stream can't be trusted.
 *
 * A relay (suggest/relay/relay.h), which stands in for a worker elsewhere, says two things
 * of its own:
 *   {"op":"ready"}                                  first: there is a worker, go on
 *   {"op":"gone","away":true,"message":"…"}         last: there is none (any more)
 * "away": the place can't be reached or has ended the conversation; else the worker
 * there has died.
 *
 * Thread-safe; nothing here blocks or does input and output. */
#ifndef ASSAY_SUGGEST_PROTOCOL_H
#define ASSAY_SUGGEST_PROTOCOL_H

#include <jansson.h>

#include "common/buffer.h"
#include "common/error.h"

#define ASSAY_PROTOCOL_FRAME_BYTES_MAX (64u * 1024 * 1024)
#define ASSAY_PROTOCOL_UNKNOWN_STUDY "unknown_study"

/* Appends the message as a frame.  ASSAY_E_TOO_LARGE leaves the buffer as it was. */
ASSAY_MUST_CHECK assay_status assay_protocol_frame_add(struct assay_buffer *out,
                                                       const json_t *message,
                                                       struct assay_error *err);

/* Takes the first frame from the front of the bytes received so far.  ASSAY_OK with
 * `*ret_message` NULL while it is not complete; else a new reference.
 * ASSAY_E_TOO_LARGE or ASSAY_E_INVALID_JSON (also for what is not an object): give
 * the connection up. */
ASSAY_MUST_CHECK assay_status assay_protocol_frame_take(struct assay_buffer *in,
                                                        json_t **ret_message,
                                                        struct assay_error *err);

/* Messages of the host.  New references.  `spec` and `sources` (as
 * assay_proposer_new takes them; NULL: none) and `trials` (as assay_proposer_tell
 * does) are borrowed. */
json_t *assay_protocol_open(int64_t study, const json_t *spec, const json_t *sources);
json_t *assay_protocol_tell(int64_t study, const json_t *trials);
json_t *assay_protocol_ask(int64_t study, int64_t request, const int64_t *numbers, size_t n);
json_t *assay_protocol_close(int64_t study);

enum assay_protocol_kind { ASSAY_PROTOCOL_ANSWER, ASSAY_PROTOCOL_READY, ASSAY_PROTOCOL_GONE };

/* A reply as the host reads it.  Pointers are borrowed from the message. */
struct assay_protocol_reply {
    enum assay_protocol_kind kind;
    bool away;           /* GONE; of the others `message` alone counts then */
    int64_t study;
    int64_t request;     /* -1: about an open or tell */
    const json_t *trials; /* array; NULL: an error */
    bool exhausted;
    const char *code;    /* NULL unless an error */
    const char *message;
};
/* ASSAY_E_BAD_REQUEST when it is not a reply. */
ASSAY_MUST_CHECK assay_status assay_protocol_reply_decode(const json_t *message,
                                                          struct assay_protocol_reply *ret_reply,
                                                          struct assay_error *err);

/* Replies of the worker.  `study` and `request` are borrowed (NULL: null). */
json_t *assay_protocol_suggestions(json_t *study, json_t *request, json_t *trials, bool exhausted);
json_t *assay_protocol_error(json_t *study, json_t *request, const char *code,
                             const char *message);

/* What a relay says of itself.  New references. */
json_t *assay_protocol_ready(void);
json_t *assay_protocol_gone(bool away, const char *message);

#endif

/* What travels between a relay and the gate it is connected to, as bytes.
 *
 * The relay begins with a greeting, ASSAY_GREETING_BYTES: the name of the protocol and the
 * SHA-256 of the token, so that nothing of a stranger is parsed and everything compared has
 * one length.  The gate answers with one byte (enum assay_welcome).  After that both send
 * records: a type, three bytes of length (little-endian), so many bytes.
 *   ASSAY_RECORD_DATA   bytes of the conversation of suggest/protocol.h
 *   ASSAY_RECORD_BEAT   nothing: who sends nothing else says now and then that it is there
 *   ASSAY_RECORD_ENDED  from the gate, the last: how the worker ended, a sentence
 *   ASSAY_RECORD_LEAVES from the gate, the last: why the place ends the conversation
 *
 * Thread-safe; nothing here does input or output. */
#ifndef ASSAY_SUGGEST_RELAY_RECORD_H
#define ASSAY_SUGGEST_RELAY_RECORD_H

#include "common/buffer.h"
#include "common/error.h"

#define ASSAY_GREETING_BYTES 40
#define ASSAY_TOKEN_BYTES_MIN 16
#define ASSAY_TOKEN_BYTES_MAX 1024
/* A record and its header fit into one of TLS. */
#define ASSAY_RECORD_HEADER_BYTES 4
#define ASSAY_RECORD_BYTES_MAX (16384 - ASSAY_RECORD_HEADER_BYTES)

enum assay_welcome {
    ASSAY_WELCOME_YES = 'y',
    ASSAY_WELCOME_TOKEN = 't',    /* the token is not taken */
    ASSAY_WELCOME_PROTOCOL = 'p', /* another protocol, or another version of this one */
    ASSAY_WELCOME_FULL = 'f',     /* every place is taken */
    ASSAY_WELCOME_FAULT = 'x',    /* the place has a fault; its log says which */
};

enum assay_record {
    ASSAY_RECORD_DATA = 1,
    ASSAY_RECORD_BEAT,
    ASSAY_RECORD_ENDED,
    ASSAY_RECORD_LEAVES,
};

void assay_greeting_make(const char *token, unsigned char ret_greeting[ASSAY_GREETING_BYTES]);
/* Compares with every token of the text (one a line) in a time that does not depend on
 * where they differ. */
enum assay_welcome assay_greeting_check(const unsigned char greeting[ASSAY_GREETING_BYTES],
                                        const char *tokens);
/* Whether the text of a token file can be used: a token of a fair length in each line that
 * is not empty, at least one.  ASSAY_E_INVALID_VALUE else. */
ASSAY_MUST_CHECK assay_status assay_tokens_check(const char *tokens, struct assay_error *err);
/* The first token of such a text; caller frees. */
char *assay_tokens_first(const char *tokens);

/* `length` <= ASSAY_RECORD_BYTES_MAX. */
void assay_record_add(struct assay_buffer *out, enum assay_record type, const void *bytes,
                      size_t length);
/* The record at the front of the bytes; false while it is not complete.  Borrowed; consume
 * header and payload afterwards.  ASSAY_E_BAD_REQUEST of `*ret_status`: the stream makes no
 * sense. */
struct assay_record_view {
    enum assay_record type;
    const char *bytes;
    size_t length;
};
ASSAY_MUST_CHECK bool assay_record_front(const struct assay_buffer *in,
                                         struct assay_record_view *ret_record,
                                         assay_status *ret_status);

/* How many bytes from the front are whole frames (suggest/protocol.h), when the first
 * `known` are.  A length that no frame may have counts as one: who reads it will object. */
size_t assay_frames_whole(const char *bytes, size_t length, size_t known);

#endif

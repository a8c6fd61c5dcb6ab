#include "suggest/relay/record.h"

#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "common/memory.h"
#include "suggest/protocol.h"

#define PROTOCOL "assay-s1"
#define PROTOCOL_BYTES 8
#define DIGEST_BYTES 32
#define FRAME_HEADER_BYTES 4

static void
digest(const char *token, size_t length, unsigned char ret_digest[DIGEST_BYTES])
{
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, token, length, ret_digest) != 0)
        ASSAY_BUG("SHA-256 is not there");
}

void
assay_greeting_make(const char *token, unsigned char ret_greeting[ASSAY_GREETING_BYTES])
{
    memcpy(ret_greeting, PROTOCOL, PROTOCOL_BYTES);
    digest(token, strlen(token), ret_greeting + PROTOCOL_BYTES);
}

/* The next line that is not empty; NULL at the end. */
static const char *
next_token(const char **at, size_t *ret_length)
{
    while (**at != '\0') {
        const char *line = *at;
        size_t length = strcspn(line, "\r\n");

        *at += length;
        *at += strspn(*at, "\r\n");
        if (length > 0) {
            *ret_length = length;
            return line;
        }
    }
    return NULL;
}

enum assay_welcome
assay_greeting_check(const unsigned char greeting[ASSAY_GREETING_BYTES], const char *tokens)
{
    unsigned char wanted[DIGEST_BYTES];
    const char *token;
    size_t length;
    int equal = 0;

    if (memcmp(greeting, PROTOCOL, PROTOCOL_BYTES) != 0)
        return ASSAY_WELCOME_PROTOCOL;
    while ((token = next_token(&tokens, &length)) != NULL) {
        digest(token, length, wanted);
        equal |= gnutls_memcmp(greeting + PROTOCOL_BYTES, wanted, DIGEST_BYTES) == 0;
    }
    return equal ? ASSAY_WELCOME_YES : ASSAY_WELCOME_TOKEN;
}

assay_status
assay_tokens_check(const char *tokens, struct assay_error *err)
{
    const char *token;
    size_t length, n = 0;

    while ((token = next_token(&tokens, &length)) != NULL) {
        if (length < ASSAY_TOKEN_BYTES_MIN || length > ASSAY_TOKEN_BYTES_MAX)
            return assay_fail(err, ASSAY_E_INVALID_VALUE,
                              "a token has %zu characters, %d to %d are allowed", length,
                              ASSAY_TOKEN_BYTES_MIN, ASSAY_TOKEN_BYTES_MAX);
        n++;
    }
    return n > 0 ? ASSAY_OK : assay_fail(err, ASSAY_E_INVALID_VALUE, "there is no token in it");
}

char *
assay_tokens_first(const char *tokens)
{
    size_t length = 0;
    const char *token = next_token(&tokens, &length);

    return assay_strndup(token != NULL ? token : "", length);
}

void
assay_record_add(struct assay_buffer *out, enum assay_record type, const void *bytes,
                 size_t length)
{
    const unsigned char header[ASSAY_RECORD_HEADER_BYTES] = {
        (unsigned char)type, (unsigned char)length, (unsigned char)(length >> 8),
        (unsigned char)(length >> 16)};

    ASSAY_ASSERT(length <= ASSAY_RECORD_BYTES_MAX);
    assay_buffer_add(out, header, sizeof header);
    if (length > 0)
        assay_buffer_add(out, bytes, length);
}

static size_t
little_endian(const char *bytes, size_t n)
{
    size_t value = 0;

    for (size_t i = 0; i < n; i++)
        value |= (size_t)(unsigned char)bytes[i] << 8 * i;
    return value;
}

bool
assay_record_front(const struct assay_buffer *in, struct assay_record_view *ret_record,
                   assay_status *ret_status)
{
    size_t length;

    *ret_status = ASSAY_OK;
    if (in->length < ASSAY_RECORD_HEADER_BYTES)
        return false;
    length = little_endian(in->data + 1, 3);
    if (in->data[0] < ASSAY_RECORD_DATA || in->data[0] > ASSAY_RECORD_LEAVES ||
        length > ASSAY_RECORD_BYTES_MAX) {
        *ret_status = ASSAY_E_BAD_REQUEST;
        return false;
    }
    if (in->length - ASSAY_RECORD_HEADER_BYTES < length)
        return false;
    *ret_record = (struct assay_record_view){
        .type = (enum assay_record)in->data[0],
        .bytes = in->data + ASSAY_RECORD_HEADER_BYTES,
        .length = length,
    };
    return true;
}

size_t
assay_frames_whole(const char *bytes, size_t length, size_t known)
{
    while (length - known >= FRAME_HEADER_BYTES) {
        size_t frame = little_endian(bytes + known, FRAME_HEADER_BYTES);

        if (frame > ASSAY_PROTOCOL_FRAME_BYTES_MAX)
            return length;
        if (length - known - FRAME_HEADER_BYTES < frame)
            break;
        known += FRAME_HEADER_BYTES + frame;
    }
    return known;
}

#include "controller/trial_token.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "common/number.h"

#define PREFIX "assay_trial_"
#define MAC_BYTES 32
/* Prefix, three numbers with their full stops, the code in hex. */
#define TOKEN_BYTES_MAX (sizeof(PREFIX) + (size_t)3 * 20 + (size_t)2 * MAC_BYTES)

char *
assay_trial_token_make(const char *key, const struct assay_trial_subject *subject)
{
    struct assay_buffer token = {0};
    unsigned char mac[MAC_BYTES];

    assay_buffer_printf(&token, PREFIX "%" PRId64 ".%" PRId64 ".%" PRId64, subject->study_id,
                        subject->trial_number, subject->attempt);
    if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, strlen(key), token.data, token.length, mac) != 0)
        ASSAY_BUG("HMAC-SHA256 is not available");
    assay_buffer_puts(&token, ".");
    for (size_t i = 0; i < MAC_BYTES; i++)
        assay_buffer_printf(&token, "%02x", mac[i]);
    return assay_buffer_steal(&token);
}

bool
assay_trial_token_is(const char *token)
{
    return strncmp(token, PREFIX, sizeof(PREFIX) - 1) == 0;
}

/* Reads the number up to the full stop at or after *text and steps over it. */
static bool
read_number(const char **text, int64_t *ret_number)
{
    const char *stop = strchr(*text, '.');
    assay_auto_free char *digits = NULL;

    if (stop == NULL)
        return false;
    digits = assay_strndup(*text, (size_t)(stop - *text));
    *text = stop + 1;
    return assay_parse_int(digits, 0, INT64_MAX, ret_number);
}

bool
assay_trial_token_check(const char *key, const char *token, struct assay_trial_subject *ret_subject)
{
    struct assay_trial_subject subject;
    assay_auto_free char *made = NULL;
    const char *rest;
    size_t length = strnlen(token, TOKEN_BYTES_MAX + 1);

    if (length > TOKEN_BYTES_MAX || !assay_trial_token_is(token))
        return false;
    rest = token + sizeof(PREFIX) - 1;
    if (!read_number(&rest, &subject.study_id) || !read_number(&rest, &subject.trial_number) ||
        !read_number(&rest, &subject.attempt))
        return false;
    /* Comparing the whole text also refuses other spellings of the same numbers. */
    made = assay_trial_token_make(key, &subject);
    if (strlen(made) != length || gnutls_memcmp(made, token, length) != 0)
        return false;
    *ret_subject = subject;
    return true;
}

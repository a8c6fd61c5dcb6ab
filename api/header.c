#include "api/header.h"

#include <ctype.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <strings.h>

#include "common/number.h"
#include "common/memory.h"

const char *
assay_header_bearer(const char *authorization)
{
    size_t length;

    if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    authorization += 7 + strspn(authorization + 7, " ");
    length = strlen(authorization);
    if (length == 0 || length > ASSAY_TOKEN_BYTES_MAX)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        if (!isgraph((unsigned char)authorization[i]))
            return NULL;
    }
    return authorization;
}

/* One element of a comma list: the media type's length and whether q is above 0. */
static const char *
next_element(const char *list, const char **ret_start, size_t *ret_length, bool *ret_wanted)
{
    size_t whole = strcspn(list, ",");
    const char *quality;

    *ret_start = list + strspn(list, " \t");
    *ret_length = strcspn(*ret_start, " \t;,");
    *ret_wanted = true;
    quality = memmem(list, whole, "q=", 2);
    if (quality != NULL) {
        double q = 0;
        const char *text = quality + 2;

        *ret_wanted = !assay_parse_double_n(text, strcspn(text, " \t;,"), &q) || q > 0;
    }
    return list[whole] == ',' ? list + whole + 1 : NULL;
}

static bool
matches(const char *range, size_t length, const char *type)
{
    size_t family = strcspn(type, "/") + 1;

    if (length == 3 && memcmp(range, "*/*", 3) == 0)
        return true;
    if (length == family + 1 && range[family] == '*')
        return strncasecmp(range, type, family) == 0;
    return length == strlen(type) && strncasecmp(range, type, length) == 0;
}

bool
assay_header_accepts(const char *accept, const char *type)
{
    bool any = false;

    if (accept == NULL)
        return true;
    for (const char *rest = accept; rest != NULL;) {
        const char *range;
        size_t length;
        bool wanted;

        rest = next_element(rest, &range, &length, &wanted);
        if (length == 0)
            continue;
        any = true;
        if (wanted && matches(range, length, type))
            return true;
    }
    return !any;
}

bool
assay_header_names(const char *accept, const char *type)
{
    for (const char *rest = accept; rest != NULL;) {
        const char *range;
        size_t length;
        bool wanted;

        rest = next_element(rest, &range, &length, &wanted);
        if (wanted && length == strlen(type) && strncasecmp(range, type, length) == 0)
            return true;
    }
    return false;
}

enum assay_media
assay_header_media(const char *content_type)
{
    static const struct {
        const char *type;
        enum assay_media media;
    } known[] = {
        {"application/json", ASSAY_MEDIA_JSON},   {"application/yaml", ASSAY_MEDIA_YAML},
        {"application/x-yaml", ASSAY_MEDIA_YAML}, {"text/yaml", ASSAY_MEDIA_YAML},
        {"text/x-yaml", ASSAY_MEDIA_YAML},
    };
    const char *charset;
    size_t length;

    if (content_type == NULL)
        return ASSAY_MEDIA_NONE;
    content_type += strspn(content_type, " \t");
    length = strcspn(content_type, " \t;");
    charset = strcasestr(content_type + length, "charset=");
    if (charset != NULL) {
        charset += 8;
        charset += *charset == '"';
        if (strncasecmp(charset, "utf-8", 5) != 0 && strncasecmp(charset, "us-ascii", 8) != 0)
            return ASSAY_MEDIA_OTHER;
    }
    for (size_t i = 0; i < ASSAY_COUNT(known); i++) {
        if (length == strlen(known[i].type) &&
            strncasecmp(content_type, known[i].type, length) == 0)
            return known[i].media;
    }
    return ASSAY_MEDIA_OTHER;
}

bool
assay_header_etag_matches(const char *if_none_match, const char *etag)
{
    size_t length = strlen(etag);

    for (const char *p = if_none_match; *p != '\0';) {
        p += strspn(p, " \t,");
        if (*p == '*')
            return true;
        if (p[0] == 'W' && p[1] == '/')
            p += 2;
        if (strncmp(p, etag, length) == 0 && strchr(" \t,", p[length]) != NULL)
            return true;
        p += strcspn(p, ",");
    }
    return false;
}

void
assay_sha256_hex(const void *bytes, size_t length, char text[ASSAY_SHA256_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[32];

    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, length, hash) != 0)
        ASSAY_BUG("SHA-256 is not available");
    for (size_t i = 0; i < sizeof(hash); i++) {
        text[2 * i] = digits[hash[i] >> 4];
        text[2 * i + 1] = digits[hash[i] & 15];
    }
    text[64] = '\0';
}

void
assay_etag(const void *bytes, size_t length, char text[ASSAY_ETAG_TEXT])
{
    char hash[ASSAY_SHA256_TEXT];

    assay_sha256_hex(bytes, length, hash);
    snprintf(text, ASSAY_ETAG_TEXT, "\"%.32s\"", hash);
}

bool
assay_header_request_id_valid(const char *id)
{
    size_t length = strnlen(id, 129);

    if (length == 0 || length > 128)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isgraph((unsigned char)id[i]) || id[i] == '"')
            return false;
    }
    return true;
}

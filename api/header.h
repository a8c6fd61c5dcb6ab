/* Reading request headers: credentials, media types, entity tags.
 *
 * Pure; any thread.  Header values are the client's bytes: anything may stand
 * in them. */
#ifndef ASSAY_API_HEADER_H
#define ASSAY_API_HEADER_H

#include "common/base.h"

#define ASSAY_TOKEN_BYTES_MAX 512
/* The token of "Bearer TOKEN", borrowed; NULL when the header has another form,
 * or the token is empty, too long or has blanks in it. */
const char *assay_header_bearer(const char *authorization);

/* Whether `accept` (NULL: no header) takes an answer of `type` ("application/json"):
 * by name, by "application" with a star or by two stars, and not with q=0. */
bool assay_header_accepts(const char *accept, const char *type);
/* Whether `accept` names `type` itself. */
bool assay_header_names(const char *accept, const char *type);

enum assay_media { ASSAY_MEDIA_NONE, ASSAY_MEDIA_JSON, ASSAY_MEDIA_YAML, ASSAY_MEDIA_OTHER };
/* What a Content-Type says (NULL: NONE).  A charset other than UTF-8 is OTHER. */
enum assay_media assay_header_media(const char *content_type);

/* Whether If-None-Match holds `etag` (with its quotes) or is "*"; weak tags match
 * as strong ones do. */
bool assay_header_etag_matches(const char *if_none_match, const char *etag);

#define ASSAY_ETAG_TEXT 36
/* Strong tag of the bytes: quotes round 128 bits of SHA-256 in hex. */
void assay_etag(const void *bytes, size_t length, char text[ASSAY_ETAG_TEXT]);

#define ASSAY_SHA256_TEXT 65
void assay_sha256_hex(const void *bytes, size_t length, char text[ASSAY_SHA256_TEXT]);

/* An X-Request-Id worth repeating: 1 to 128 printable ASCII characters without blanks. */
bool assay_header_request_id_valid(const char *id);

#endif

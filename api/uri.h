/* A request target taken apart: path segments and query parameters, decoded.
 *
 * Pure; any thread. */
#ifndef ASSAY_API_URI_H
#define ASSAY_API_URI_H

#include "common/error.h"

#define ASSAY_URI_SEGMENTS_MAX 12
#define ASSAY_URI_PARAMETERS_MAX 32

struct assay_uri_parameter {
    char *key;
    char *value;
};

struct assay_uri {
    char *segments[ASSAY_URI_SEGMENTS_MAX]; /* "/v1/projects" is {"v1", "projects"}; "/" has none */
    size_t n_segments;
    struct assay_uri_parameter parameters[ASSAY_URI_PARAMETERS_MAX];
    size_t n_parameters;
};

/* Takes "/path?query" or "http://host/path?query" apart.  ASSAY_E_BAD_REQUEST for
 * a wrong %-escape, %00, bytes that are not UTF-8 after decoding, control
 * characters or too many parts; ASSAY_E_NOT_FOUND for more segments than any
 * route has. */
ASSAY_MUST_CHECK assay_status assay_uri_parse(const char *target, struct assay_uri *ret_uri,
                                              struct assay_error *err);
void assay_uri_done(struct assay_uri *uri);

#endif

#include "trial-runner/far_http.h"

#include "common/memory.h"
#include "trial-runner/bundle/resolve.h"
#include "trial-runner/bundle/tls.h"
#include "trial-runner/plain_http.h"

struct assay_far_http {
    struct assay_plain_http_reach reach;
    struct assay_bundle_trust *trust;
    struct assay_plain_http *plain;
};

assay_status
assay_far_http_open(const char *url, const char *token, const char *ca_file,
                    struct assay_far_http **ret_http, struct assay_error *err)
{
    struct assay_far_http *http = ASSAY_NEW(struct assay_far_http);

    http->trust = assay_bundle_trust_new(ca_file);
    http->reach.resolve = assay_bundle_resolve;
    assay_bundle_tls_reach(http->trust, &http->reach);
    http->plain = assay_plain_http_open(url, token, &http->reach);
    if (http->plain == NULL) {
        assay_far_http_close(http);
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "\"%s\" is not a server's address", url);
    }
    *ret_http = http;
    return ASSAY_OK;
}

struct assay_far_http *
assay_far_http_close(struct assay_far_http *http)
{
    if (http != NULL) {
        assay_plain_http_close(http->plain);
        assay_bundle_trust_free(http->trust);
        free(http);
    }
    return NULL;
}

assay_status
assay_far_http_send(struct assay_far_http *http, const char *path, const struct assay_buffer *json,
                    int64_t timeout_us, int *ret_code, struct assay_buffer *body,
                    struct assay_error *err)
{
    return assay_plain_http_send(http->plain, json != NULL ? "POST" : "GET", path, json,
                                 timeout_us, ret_code, body, err);
}

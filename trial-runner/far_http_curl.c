#include "client/http.h"
#include "common/json.h"
#include "common/memory.h"
#include "trial-runner/curl_loader.h"
#include "trial-runner/far_http.h"
#include "trial-runner/plain_http.h"

struct assay_far_http {
    struct assay_http *http;
    bool has_token;
};

assay_status
assay_far_http_open(const char *url, const char *token, const char *ca_file,
                    struct assay_far_http **ret_http, struct assay_error *err)
{
    struct assay_http *http;
    assay_status rc = assay_curl_load(err);

    if (rc == ASSAY_OK)
        rc = assay_http_open(url, token, ca_file, &http, err);
    if (rc < 0)
        return rc;
    *ret_http = ASSAY_NEW(struct assay_far_http);
    (*ret_http)->http = http;
    (*ret_http)->has_token = token != NULL;
    return ASSAY_OK;
}

struct assay_far_http *
assay_far_http_close(struct assay_far_http *http)
{
    if (http != NULL) {
        assay_http_close(http->http);
        free(http);
    }
    return NULL;
}

assay_status
assay_far_http_send(struct assay_far_http *http, const char *path, const struct assay_buffer *json,
                    int64_t timeout_us, int *ret_code, struct assay_buffer *body,
                    struct assay_error *err)
{
    assay_auto_http_answer struct assay_http_answer answer = {0};
    assay_auto_free char *escaped = assay_strdup(path);
    char *query = strchr(escaped, '?');
    struct assay_http_request request = {.method = json != NULL ? "POST" : "GET",
                                         .accept = http->has_token ? NULL : "text/plain",
                                         .timeout_ms = timeout_us / 1000,
                                         .max_bytes = ASSAY_PLAIN_HTTP_ANSWER_BYTES_MAX};
    assay_status rc;

    if (query != NULL)
        *query++ = '\0';
    request.path = escaped;
    request.query = query;
    if (json != NULL) {
        request.body = json->data;
        request.length = json->length;
        request.content_type = "application/json";
    }
    rc = assay_http_send(http->http, &request, &answer, err);
    if (answer.status == 0)
        return rc;
    *ret_code = (int)answer.status;
    assay_buffer_clear(body);
    if (answer.json != NULL)
        assay_json_print(answer.json, 0, body);
    else if (answer.body.length > 0)
        assay_buffer_add(body, answer.body.data, answer.body.length);
    return ASSAY_OK;
}

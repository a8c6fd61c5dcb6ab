#include "trial-runner/daemon_link.h"

#include "client/http.h"
#include "common/file.h"
#include "common/memory.h"
#include "trial-runner/curl_loader.h"
#include "trial-runner/plain_http.h"

struct assay_daemon_link {
    char *url_file, *token;
    char *url; /* of the client that is open; NULL = none */
    struct assay_plain_http *plain;
    struct assay_http *http; /* when plain is NULL */
    bool look_again;
};

struct assay_daemon_link *
assay_daemon_link_new(const char *url_file, const char *token)
{
    struct assay_daemon_link *link = ASSAY_NEW(struct assay_daemon_link);

    link->url_file = assay_strdup(url_file);
    link->token = assay_strdup(token);
    link->look_again = true;
    return link;
}

static void
disconnect(struct assay_daemon_link *link)
{
    link->plain = assay_plain_http_close(link->plain);
    if (link->http != NULL)
        link->http = assay_http_close(link->http);
    free(link->url);
    link->url = NULL;
}

struct assay_daemon_link *
assay_daemon_link_free(struct assay_daemon_link *link)
{
    if (link != NULL) {
        disconnect(link);
        explicit_bzero(link->token, strlen(link->token));
        free(link->url_file);
        free(link->token);
        free(link);
    }
    return NULL;
}

/* Opens the client for the address as it is now, unless it is open. */
static assay_status
look(struct assay_daemon_link *link, struct assay_error *err)
{
    assay_auto_free char *url = NULL;
    assay_status rc = assay_file_read_line(link->url_file, &url, err);

    if (rc < 0) {
        const char *given = getenv("ASSAY_URL");

        if (given == NULL)
            return rc;
        url = assay_strdup(given);
    }
    if (link->url != NULL && strcmp(link->url, url) == 0) {
        link->look_again = false;
        return ASSAY_OK;
    }
    disconnect(link);
    if (assay_plain_http_can(url)) {
        link->plain = assay_plain_http_open(url, link->token);
    } else {
        rc = assay_curl_load(err);
        if (rc == ASSAY_OK)
            rc = assay_http_open(url, link->token, getenv("ASSAY_CA_FILE"), &link->http, err);
        if (rc < 0)
            return rc;
    }
    link->url = assay_strdup(url);
    link->look_again = false;
    return ASSAY_OK;
}

static assay_status
send_plain(struct assay_daemon_link *link, const char *path, const struct assay_buffer *json,
           int64_t timeout_us, int *ret_code, json_t **ret_answer, struct assay_error *err)
{
    assay_auto_buffer struct assay_buffer body = {0};
    assay_status rc = assay_plain_http_send(link->plain, json != NULL ? "POST" : "GET", path, json,
                                            timeout_us, ret_code, &body, err);

    if (rc < 0)
        return rc;
    *ret_answer = body.length > 0 ? json_loadb(body.data, body.length, 0, NULL) : NULL;
    return ASSAY_OK;
}

static assay_status
send_with_curl(struct assay_daemon_link *link, const char *path, const struct assay_buffer *json,
               int64_t timeout_us, int *ret_code, json_t **ret_answer, struct assay_error *err)
{
    assay_auto_http_answer struct assay_http_answer answer = {0};
    assay_auto_free char *escaped = assay_strdup(path);
    char *query = strchr(escaped, '?');
    struct assay_http_request request = {.method = json != NULL ? "POST" : "GET",
                                         .timeout_ms = timeout_us / 1000};
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
    rc = assay_http_send(link->http, &request, &answer, err);
    if (answer.status == 0)
        return rc;
    *ret_code = (int)answer.status;
    *ret_answer = json_incref(answer.json);
    return ASSAY_OK;
}

assay_status
assay_daemon_link_send(struct assay_daemon_link *link, const char *path,
                       const struct assay_buffer *json, int64_t timeout_us, int *ret_code,
                       json_t **ret_answer, struct assay_error *err)
{
    assay_status rc = link->look_again ? look(link, err) : ASSAY_OK;

    if (rc == ASSAY_OK)
        rc = link->plain != NULL
                 ? send_plain(link, path, json, timeout_us, ret_code, ret_answer, err)
                 : send_with_curl(link, path, json, timeout_us, ret_code, ret_answer, err);
    /* Whoever listens at an old address may be somebody else. */
    link->look_again = rc < 0 || *ret_code < 200 || *ret_code >= 300;
    return rc;
}

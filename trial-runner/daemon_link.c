#include "trial-runner/daemon_link.h"

#include "common/file.h"
#include "common/memory.h"
#include "trial-runner/far_http.h"
#include "trial-runner/plain_http.h"

struct assay_daemon_link {
    char *url_file, *given_url, *ca_file, *token;
    char *url; /* of the client that is open; NULL = none */
    struct assay_plain_http *plain;
    struct assay_far_http *far; /* when plain is NULL */
    bool look_again;
};

struct assay_daemon_link *
assay_daemon_link_new(const struct assay_daemon_address *address, const char *token)
{
    struct assay_daemon_link *link = ASSAY_NEW(struct assay_daemon_link);

    link->url_file = assay_strdup(address->url_file);
    link->given_url = assay_strdup(address->url != NULL ? address->url : getenv("ASSAY_URL"));
    link->ca_file =
        assay_strdup(address->ca_file != NULL ? address->ca_file : getenv("ASSAY_CA_FILE"));
    link->token = assay_strdup(token);
    link->look_again = true;
    return link;
}

static void
disconnect(struct assay_daemon_link *link)
{
    link->plain = assay_plain_http_close(link->plain);
    link->far = assay_far_http_close(link->far);
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
        free(link->given_url);
        free(link->ca_file);
        free(link->token);
        free(link);
    }
    return NULL;
}

static assay_status
find_url(const struct assay_daemon_link *link, char **ret_url, struct assay_error *err)
{
    assay_status rc = ASSAY_E_NOT_FOUND;

    if (link->url_file != NULL)
        rc = assay_file_read_line(link->url_file, ret_url, err);
    if (rc == ASSAY_OK)
        return rc;
    if (link->given_url == NULL)
        return link->url_file != NULL
                   ? rc
                   : assay_fail(err, ASSAY_E_NOT_FOUND, "the daemon's address is not known");
    *ret_url = assay_strdup(link->given_url);
    return ASSAY_OK;
}

/* Opens the client for the address as it is now, unless it is open. */
static assay_status
look(struct assay_daemon_link *link, struct assay_error *err)
{
    assay_auto_free char *url = NULL;
    assay_status rc = find_url(link, &url, err);

    if (rc < 0)
        return rc;
    if (link->url != NULL && strcmp(link->url, url) == 0) {
        link->look_again = false;
        return ASSAY_OK;
    }
    disconnect(link);
    if (assay_plain_http_can(url)) {
        link->plain = assay_plain_http_open(url, link->token, NULL);
    } else {
        rc = assay_far_http_open(url, link->token, link->ca_file, &link->far, err);
        if (rc < 0)
            return rc;
    }
    link->url = assay_strdup(url);
    link->look_again = false;
    return ASSAY_OK;
}

static assay_status
send_now(struct assay_daemon_link *link, const char *path, const struct assay_buffer *json,
         int64_t timeout_us, int *ret_code, json_t **ret_answer, struct assay_error *err)
{
    assay_auto_buffer struct assay_buffer body = {0};
    assay_status rc =
        link->plain != NULL
            ? assay_plain_http_send(link->plain, json != NULL ? "POST" : "GET", path, json,
                                    timeout_us, ret_code, &body, err)
            : assay_far_http_send(link->far, path, json, timeout_us, ret_code, &body, err);

    if (rc < 0)
        return rc;
    *ret_answer = body.length > 0 ? json_loadb(body.data, body.length, 0, NULL) : NULL;
    return ASSAY_OK;
}

assay_status
assay_daemon_link_send(struct assay_daemon_link *link, const char *path,
                       const struct assay_buffer *json, int64_t timeout_us, int *ret_code,
                       json_t **ret_answer, struct assay_error *err)
{
    assay_status rc = link->look_again ? look(link, err) : ASSAY_OK;

    if (rc == ASSAY_OK)
        rc = send_now(link, path, json, timeout_us, ret_code, ret_answer, err);
    /* Whoever listens at an old address may be somebody else. */
    link->look_again = rc < 0 || *ret_code < 200 || *ret_code >= 300;
    return rc;
}

void
assay_daemon_link_rest(struct assay_daemon_link *link)
{
    disconnect(link);
    link->look_again = true;
}

#include "suggest/remote/http.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/memory.h"
#include "suggest/host.h"
#include "suggest/remote_policy.h"

#define CONNECT_MS 5000L

struct assay_remote_http {
    CURL *curl;
    struct curl_slist *headers;
    char reason[CURL_ERROR_SIZE];
    bool refused; /* the last connection, by the policy */
};

/* What comes of one request. */
struct reading {
    struct assay_buffer body;
    bool too_large;
};

/* --- addresses --- */

static bool
may_connect_4(uint32_t address)
{
    bool link_local = address >> 16 == 0xA9FE; /* 169.254 */

    return !link_local && address >> 24 != 0 && address >> 28 < 14; /* no multicast */
}

static bool
may_connect(const struct sockaddr *address)
{
    if (assay_remote_policy() == ASSAY_REMOTE_LOOPBACK)
        return assay_address_is_loopback(address);
    if (address->sa_family == AF_INET) {
        struct sockaddr_in four;

        memcpy(&four, address, sizeof four);
        return may_connect_4(ntohl(four.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 six;

        memcpy(&six, address, sizeof six);
        if (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr) || IN6_IS_ADDR_V4COMPAT(&six.sin6_addr)) {
            uint32_t four;

            memcpy(&four, &six.sin6_addr.s6_addr[12], sizeof four);
            return may_connect_4(ntohl(four));
        }
        return !IN6_IS_ADDR_LINKLOCAL(&six.sin6_addr) && !IN6_IS_ADDR_MULTICAST(&six.sin6_addr) &&
               !IN6_IS_ADDR_UNSPECIFIED(&six.sin6_addr);
    }
    return false;
}

/* Here, when the name has been looked up: a name that first stands for a fair address
 * and then for another gets no further. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct assay_remote_http *http = arg;

    (void)purpose;
    if (!may_connect(&address->addr)) {
        http->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* --- one request --- */

static size_t
take(char *bytes, size_t size, size_t count, void *arg)
{
    struct reading *reading = arg;

    if (reading->body.length + size * count > ASSAY_REMOTE_ANSWER_BYTES_MAX) {
        reading->too_large = true;
        return 0;
    }
    assay_buffer_add(&reading->body, bytes, size * count);
    return size * count;
}

static int
progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)arg, (void)a, (void)b, (void)c, (void)d;
    return assay_host_table()->should_stop();
}

struct assay_remote_http *
assay_remote_http_new(const char *url, const char *token)
{
    struct assay_remote_http *http = ASSAY_NEW(struct assay_remote_http);
    static bool initialised; /* the worker has one thread */

    if (!initialised)
        ASSAY_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    initialised = true;
    http->curl = curl_easy_init();
    ASSAY_ASSERT(http->curl != NULL);
    http->headers = curl_slist_append(http->headers, "Content-Type: application/json");
    http->headers = curl_slist_append(http->headers, "Accept: application/json");
    http->headers = curl_slist_append(http->headers, "Expect:");
    if (token != NULL) {
        assay_auto_free char *line = assay_format("Authorization: Bearer %s", token);

        http->headers = curl_slist_append(http->headers, line);
    }
    curl_easy_setopt(http->curl, CURLOPT_URL, url);
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, http->headers);
    curl_easy_setopt(http->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(http->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(http->curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(http->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(http->curl, CURLOPT_MAXCONNECTS, 1L);
    curl_easy_setopt(http->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, http->reason);
    curl_easy_setopt(http->curl, CURLOPT_USERAGENT, "assay-suggest");
    curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(http->curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(http->curl, CURLOPT_OPENSOCKETDATA, http);
    curl_easy_setopt(http->curl, CURLOPT_XFERINFOFUNCTION, progress);
    curl_easy_setopt(http->curl, CURLOPT_NOPROGRESS, 0L);
    return http;
}

struct assay_remote_http *
assay_remote_http_free(struct assay_remote_http *http)
{
    if (http == NULL)
        return NULL;
    curl_easy_cleanup(http->curl);
    curl_slist_free_all(http->headers);
    free(http);
    return NULL;
}

/* No answer, or none that is complete. */
static assay_status
transport_failed(const struct assay_remote_http *http, CURLcode code,
                 const struct reading *reading, int64_t timeout_us,
                 struct assay_remote_answer *answer, struct assay_error *err)
{
    if (reading->too_large)
        return assay_fail(err, ASSAY_E_PLUGIN, "answered with more than %u MiB",
                          ASSAY_REMOTE_ANSWER_BYTES_MAX >> 20);
    if (http->refused)
        return assay_fail(err, ASSAY_E_PLUGIN,
                          "may not be called: its name stands for an address that "
                          "--remote-algorithms does not allow");
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return assay_fail(err, ASSAY_E_PLUGIN, "showed a certificate that is not good: %s",
                          http->reason);
    answer->again = true;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "gave no answer within %.3g s",
                          (double)timeout_us / ASSAY_SECOND_US);
    return assay_fail(err, ASSAY_E_UNAVAILABLE, "can not be reached: %s",
                      http->reason[0] != '\0' ? http->reason : curl_easy_strerror(code));
}

/* An answer: what its status and body say. */
static assay_status
judge(struct assay_remote_answer *answer, struct assay_error *err)
{
    const char *message = json_string_value(json_object_get(answer->json, "message"));
    long status = answer->status;

    if (status >= 200 && status < 300 && answer->json != NULL)
        return ASSAY_OK;
    if (status >= 200 && status < 300)
        return assay_fail(err, ASSAY_E_PLUGIN, "answered %ld with a body that is no JSON object",
                          status);
    if (status >= 300 && status < 400)
        return assay_fail(err, ASSAY_E_PLUGIN,
                          "answered with a redirect (%ld), which is not followed", status);
    answer->again = status == 429 || (status >= 502 && status <= 504);
    return assay_fail(err, answer->again ? ASSAY_E_UNAVAILABLE : ASSAY_E_PLUGIN,
                      "answered %ld%s%s", status, message != NULL ? ": " : "",
                      message != NULL ? message : "");
}

assay_status
assay_remote_http_post(struct assay_remote_http *http, const json_t *message, int64_t timeout_us,
                       struct assay_remote_answer *ret_answer, struct assay_error *err)
{
    assay_auto_free char *body = json_dumps(message, JSON_COMPACT);
    struct reading reading = {0};
    assay_status status;
    CURLcode code;

    *ret_answer = (struct assay_remote_answer){0};
    http->reason[0] = '\0';
    http->refused = false;
    curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, &reading);
    curl_easy_setopt(http->curl, CURLOPT_TIMEOUT_MS,
                     (long)ASSAY_MAX(timeout_us / 1000, INT64_C(1)));
    code = curl_easy_perform(http->curl);
    if (code == CURLE_OK) {
        curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &ret_answer->status);
        ret_answer->json = reading.body.length > 0 ? json_loadb(reading.body.data,
                                                                reading.body.length, 0, NULL)
                                                   : NULL;
        if (!json_is_object(ret_answer->json)) {
            json_decref(ret_answer->json);
            ret_answer->json = NULL;
        }
        status = judge(ret_answer, err);
    } else {
        status = transport_failed(http, code, &reading, timeout_us, ret_answer, err);
    }
    assay_buffer_done(&reading.body);
    return status;
}

#include "controller/kube_api/trust.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"

/* A PEM text as a file of no folder: not every TLS library behind libcurl takes texts. */
struct pem {
    int fd; /* -1 = none */
    char *text, *path;
};

struct assay_kube_trust {
    const struct assay_kube_config *config;
    char *base;
    char *host_header;             /* NULL = the address's own */
    struct curl_slist *connect_to; /* where the address's host really is; NULL = there */
    struct pem ca, cert, key;
};

static void
pem_done(struct pem *pem)
{
    assay_close(&pem->fd);
    free(pem->text);
    free(pem->path);
    pem->text = pem->path = NULL;
}

/* A fresh file unless the text is the one there is. */
static void
pem_set(struct pem *pem, const char *text)
{
    size_t length = text != NULL ? strlen(text) : 0;

    if (text == NULL || (pem->text != NULL && strcmp(pem->text, text) == 0))
        return;
    pem_done(pem);
    pem->fd = memfd_create("assay-kube", MFD_CLOEXEC);
    for (size_t at = 0; pem->fd >= 0 && at < length;) {
        ssize_t n = write(pem->fd, text + at, length - at);

        if (n <= 0)
            break; /* TLS will not like it and say so */
        at += (size_t)n;
    }
    pem->text = assay_strdup(text);
    pem->path = assay_format("/proc/self/fd/%d", pem->fd);
}

/* The name to expect in the certificate is that of the address, so the address gets it,
 * and the connection is made to where the server is. */
static assay_status
set_address(struct assay_kube_trust *trust, struct assay_error *err)
{
    const struct assay_kube_config *config = trust->config;
    char *host = NULL, *port = NULL, *base = NULL;
    CURLU *url;

    if (config->tls_server_name == NULL) {
        trust->base = assay_strdup(config->server);
        return ASSAY_OK;
    }
    url = curl_url();
    if (curl_url_set(url, CURLUPART_URL, config->server, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_HOST, config->tls_server_name, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_URL, &base, 0) == CURLUE_OK) {
        assay_auto_free char *there =
            assay_format("%s:%s:%s:%s", config->tls_server_name, port, host, port);
        size_t length = strlen(base);

        while (length > 0 && base[length - 1] == '/')
            length--;
        trust->base = assay_strndup(base, length);
        trust->connect_to = curl_slist_append(NULL, there);
        trust->host_header = assay_format("Host: %s:%s", host, port);
    }
    curl_free(host);
    curl_free(port);
    curl_free(base);
    curl_url_cleanup(url);
    return trust->base != NULL
               ? ASSAY_OK
               : assay_fail(err, ASSAY_E_INVALID_VALUE,
                            "%s: the server %s with the tls-server-name %s is no address",
                            config->origin, config->server, config->tls_server_name);
}

assay_status
assay_kube_trust_new(const struct assay_kube_config *config, struct assay_kube_trust **ret_trust,
                     struct assay_error *err)
{
    struct assay_kube_trust *trust = ASSAY_NEW(struct assay_kube_trust);
    assay_status status;

    trust->config = config;
    trust->ca.fd = trust->cert.fd = trust->key.fd = -1;
    status = set_address(trust, err);
    if (status != ASSAY_OK) {
        assay_kube_trust_free(trust);
        return status;
    }
    pem_set(&trust->ca, config->ca);
    pem_set(&trust->cert, config->client_cert);
    pem_set(&trust->key, config->client_key);
    *ret_trust = trust;
    return ASSAY_OK;
}

struct assay_kube_trust *
assay_kube_trust_free(struct assay_kube_trust *trust)
{
    if (trust == NULL)
        return NULL;
    pem_done(&trust->ca);
    pem_done(&trust->cert);
    pem_done(&trust->key);
    curl_slist_free_all(trust->connect_to);
    free(trust->host_header);
    free(trust->base);
    free(trust);
    return NULL;
}

const char *
assay_kube_trust_base(const struct assay_kube_trust *trust)
{
    return trust->base;
}

static void
set_connection(const struct assay_kube_trust *trust, CURL *easy)
{
    const struct assay_kube_config *config = trust->config;

    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, config->insecure ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, config->insecure ? 0L : 2L);
    if (trust->ca.path != NULL) { /* it alone: the system's authorities are read no more */
        curl_easy_setopt(easy, CURLOPT_CAINFO, trust->ca.path);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (config->proxy_url != NULL)
        curl_easy_setopt(easy, CURLOPT_PROXY, config->proxy_url);
    if (trust->connect_to != NULL)
        curl_easy_setopt(easy, CURLOPT_CONNECT_TO, trust->connect_to);
}

assay_status
assay_kube_trust_apply(struct assay_kube_trust *trust, const struct assay_kube_credentials *plugged,
                       CURL *easy, struct curl_slist **headers, struct assay_error *err)
{
    const struct assay_kube_config *config = trust->config;
    assay_auto_free char *token = NULL;
    assay_status status = assay_kube_config_token(config, &token, err);

    if (status != ASSAY_OK)
        return status;
    set_connection(trust, easy);
    if (trust->host_header != NULL)
        *headers = curl_slist_append(*headers, trust->host_header);
    if (plugged != NULL && plugged->client_cert != NULL && plugged->client_key != NULL) {
        pem_set(&trust->cert, plugged->client_cert);
        pem_set(&trust->key, plugged->client_key);
    }
    if (plugged != NULL && plugged->token != NULL) {
        free(token);
        token = assay_strdup(plugged->token);
    }
    if (trust->cert.path != NULL && trust->key.path != NULL) {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, trust->cert.path);
        curl_easy_setopt(easy, CURLOPT_SSLKEY, trust->key.path);
    }
    if (token != NULL) {
        assay_auto_free char *header = assay_format("Authorization: Bearer %s", token);

        *headers = curl_slist_append(*headers, header);
    } else if (config->username != NULL) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(easy, CURLOPT_USERNAME, config->username);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, config->password != NULL ? config->password : "");
    }
    return ASSAY_OK;
}

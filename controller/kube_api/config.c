#include "controller/kube_api/config.h"

#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"
#include "common/memory.h"
#include "schemas/study.h"

#define FILE_BYTES_MAX (1u << 20)
#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/* --- reading members --- */

/* One file of the list; relative paths in it start at its folder. */
struct source {
    char *path;
    json_t *json;
};

struct merged {
    struct source *sources;
    size_t n_sources;
};

static void
merged_done(struct merged *merged)
{
    for (size_t i = 0; i < merged->n_sources; i++) {
        free(merged->sources[i].path);
        json_decref(merged->sources[i].json);
    }
    free(merged->sources);
}

static assay_status
read_source(const char *path, struct merged *merged, struct assay_error *err)
{
    struct source *source = &merged->sources[merged->n_sources];
    assay_auto_free char *text = NULL;
    size_t length;
    assay_status status = assay_file_read(path, FILE_BYTES_MAX, &text, &length, err);

    if (status == ASSAY_OK)
        status = assay_yaml_read(text, length, &source->json, NULL, err);
    if (status != ASSAY_OK)
        return assay_wrap(err, "kubeconfig %s", path);
    if (!json_is_object(source->json)) {
        json_decref(source->json);
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "kubeconfig %s is not a mapping", path);
    }
    source->path = assay_strdup(path);
    merged->n_sources++;
    return ASSAY_OK;
}

/* Text of a member, NULL when there is none or it is empty. */
/* The entry of this name in the list `key`; the first of all files. */
static const json_t *
find_entry(const struct merged *merged, const char *key, const char *part, const char *name,
           const struct source **ret_source)
{
    for (size_t i = 0; i < merged->n_sources; i++) {
        json_t *entry;
        size_t at;

        json_array_foreach(json_object_get(merged->sources[i].json, key), at, entry)
        {
            const char *found = assay_json_text_given(entry, "name");

            if (found == NULL || strcmp(found, name) != 0)
                continue;
            *ret_source = &merged->sources[i];
            return json_object_get(entry, part);
        }
    }
    return NULL;
}

static char *
beside(const struct source *source, const char *path)
{
    const char *slash = strrchr(source->path, '/');

    if (path[0] == '/' || slash == NULL)
        return assay_strdup(path);
    return assay_format("%.*s/%s", (int)(slash - source->path), source->path, path);
}

static assay_status
decode_base64(const char *text, const char *what, char **ret_bytes, struct assay_error *err)
{
    gnutls_datum_t in = {.data = (unsigned char *)(uintptr_t)text, .size = (unsigned)strlen(text)};
    gnutls_datum_t out = {0};

    if (gnutls_base64_decode2(&in, &out) < 0)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "%s is not base64", what);
    *ret_bytes = assay_strndup((const char *)out.data, out.size);
    gnutls_free(out.data);
    return ASSAY_OK;
}

/* `NAME-data` inline, or the content of the file `NAME`. */
static assay_status
read_pem(const struct source *source, const json_t *object, const char *name, char **ret_pem,
         struct assay_error *err)
{
    assay_auto_free char *inline_key = assay_format("%s-data", name);
    assay_auto_free char *path = NULL;
    const char *text = assay_json_text_given(object, inline_key);
    size_t length;

    if (text != NULL)
        return decode_base64(text, inline_key, ret_pem, err);
    text = assay_json_text_given(object, name);
    if (text == NULL)
        return ASSAY_OK;
    path = beside(source, text);
    return assay_file_read(path, FILE_BYTES_MAX, ret_pem, &length, err) == ASSAY_OK
               ? ASSAY_OK
               : assay_wrap(err, "%s", name);
}

/* --- its sections --- */

static assay_status
take_cluster(const struct source *source, const json_t *cluster, struct assay_kube_config *config,
             struct assay_error *err)
{
    const char *server = assay_json_text_given(cluster, "server");
    size_t length = server != NULL ? strlen(server) : 0;

    if (server == NULL ||
        (strncmp(server, "https://", 8) != 0 && strncmp(server, "http://", 7) != 0))
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "server is %s, not the address of an API server (https://host:port)",
                          server != NULL ? server : "missing");
    while (length > 0 && server[length - 1] == '/')
        length--;
    config->server = assay_strndup(server, length);
    config->insecure = json_is_true(json_object_get(cluster, "insecure-skip-tls-verify"));
    config->tls_server_name = assay_strdup(assay_json_text_given(cluster, "tls-server-name"));
    config->proxy_url = assay_strdup(assay_json_text_given(cluster, "proxy-url"));
    return read_pem(source, cluster, "certificate-authority", &config->ca, err);
}

static assay_status
take_exec(const struct source *source, const json_t *exec, struct assay_kube_config *config,
          struct assay_error *err)
{
    const json_t *args = json_object_get(exec, "args"), *env = json_object_get(exec, "env");
    const char *command = assay_json_text_given(exec, "command");
    const char *version = assay_json_text_given(exec, "apiVersion");
    size_t n = 0;

    if (command == NULL)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "exec has no command");
    if (version == NULL || (strcmp(version, "client.authentication.k8s.io/v1") != 0 &&
                            strcmp(version, "client.authentication.k8s.io/v1beta1") != 0))
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "exec has the apiVersion %s; client.authentication.k8s.io/v1 and "
                          "v1beta1 are known",
                          version != NULL ? version : "(none)");
    config->exec_version = assay_strdup(version);
    config->exec = assay_zalloc(json_array_size(args) + 2, sizeof *config->exec);
    config->exec[n++] =
        strchr(command, '/') != NULL ? beside(source, command) : assay_strdup(command);
    for (size_t i = 0; i < json_array_size(args); i++) {
        const char *text = json_string_value(json_array_get(args, i));

        if (text == NULL)
            return assay_fail(err, ASSAY_E_INVALID_VALUE, "exec argument %zu is not a string", i);
        config->exec[n++] = assay_strdup(text);
    }
    config->exec_environment =
        assay_zalloc(json_array_size(env) + 1, sizeof *config->exec_environment);
    for (size_t i = 0; i < json_array_size(env); i++) {
        const json_t *entry = json_array_get(env, i);
        const char *name = assay_json_text_given(entry, "name");
        const char *value = json_string_value(json_object_get(entry, "value"));

        if (name == NULL || value == NULL)
            return assay_fail(err, ASSAY_E_INVALID_VALUE, "exec env %zu lacks name or value", i);
        config->exec_environment[i] = assay_format("%s=%s", name, value);
    }
    return ASSAY_OK;
}

static assay_status
take_user(const struct source *source, const json_t *user, struct assay_kube_config *config,
          struct assay_error *err)
{
    const json_t *exec = json_object_get(user, "exec");
    const char *token_file = assay_json_text_given(user, "tokenFile");
    assay_status status = read_pem(source, user, "client-certificate", &config->client_cert, err);

    if (status == ASSAY_OK)
        status = read_pem(source, user, "client-key", &config->client_key, err);
    if (status == ASSAY_OK && (config->client_cert == NULL) != (config->client_key == NULL))
        status = assay_fail(err, ASSAY_E_INVALID_VALUE,
                            "client-certificate and client-key go together");
    config->token = assay_strdup(assay_json_text_given(user, "token"));
    if (token_file != NULL)
        config->token_file = beside(source, token_file);
    config->username = assay_strdup(assay_json_text_given(user, "username"));
    config->password = assay_strdup(assay_json_text_given(user, "password"));
    if (status == ASSAY_OK && json_object_get(user, "auth-provider") != NULL && exec == NULL)
        status = assay_fail(err, ASSAY_E_INVALID_VALUE,
                            "auth-provider was removed from Kubernetes; use an exec plug-in");
    if (status == ASSAY_OK && json_is_object(exec))
        status = take_exec(source, exec, config, err);
    return status;
}

static assay_status
take_context(const struct merged *merged, const char *wanted, struct assay_kube_config *config,
             struct assay_error *err)
{
    const struct source *source = &merged->sources[0], *at;
    const json_t *context, *cluster, *user;
    const char *name = wanted, *cluster_name, *user_name;
    assay_status status;

    for (size_t i = 0; i < merged->n_sources && name == NULL; i++)
        name = assay_json_text_given(merged->sources[i].json, "current-context");
    config->origin = assay_strdup(source->path);
    if (name == NULL)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "kubeconfig %s has no current-context",
                          source->path);
    context = find_entry(merged, "contexts", "context", name, &at);
    if (context == NULL)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "kubeconfig %s has no context \"%s\"",
                          source->path, name);
    config->context = assay_strdup(name);
    config->namespace_ = assay_strdup(assay_json_text_given(context, "namespace") != NULL
                                          ? assay_json_text_given(context, "namespace")
                                          : "default");
    cluster_name = assay_json_text_given(context, "cluster");
    cluster = cluster_name != NULL ? find_entry(merged, "clusters", "cluster", cluster_name, &at)
                                   : NULL;
    if (cluster == NULL)
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "kubeconfig %s: context \"%s\" names the cluster \"%s\", which is not "
                          "there",
                          source->path, name, cluster_name != NULL ? cluster_name : "");
    status = take_cluster(at, cluster, config, err);
    if (status != ASSAY_OK)
        return assay_wrap(err, "kubeconfig %s: cluster \"%s\"", at->path, cluster_name);
    user_name = assay_json_text_given(context, "user");
    if (user_name == NULL)
        return ASSAY_OK;
    user = find_entry(merged, "users", "user", user_name, &at);
    if (user == NULL)
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "kubeconfig %s: context \"%s\" names the user \"%s\", who is not there",
                          source->path, name, user_name);
    status = take_user(at, user, config, err);
    return status == ASSAY_OK
               ? ASSAY_OK
               : assay_wrap(err, "kubeconfig %s: user \"%s\"", at->path, user_name);
}

/* --- in a pod --- */

static assay_status
take_service_account(struct assay_kube_config *config, struct assay_error *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    assay_status status;
    size_t length;

    config->origin = assay_strdup("the service account");
    if (host == NULL || port == NULL)
        return assay_fail(err, ASSAY_E_NOT_FOUND,
                          "there is no kubeconfig (KUBECONFIG, ~/.kube/config), and this is no pod");
    config->server = strchr(host, ':') != NULL ? assay_format("https://[%s]:%s", host, port)
                                               : assay_format("https://%s:%s", host, port);
    config->token_file = assay_strdup(SERVICE_ACCOUNT "/token");
    status = assay_file_read(SERVICE_ACCOUNT "/ca.crt", FILE_BYTES_MAX, &config->ca, &length, err);
    if (status == ASSAY_OK &&
        assay_file_read_line(SERVICE_ACCOUNT "/namespace", &config->namespace_, NULL) != ASSAY_OK)
        config->namespace_ = assay_strdup("default");
    return status;
}

/* --- the whole --- */

/* The files to read: caller frees items and list.  NULL-terminated. */
static char **
list_files(const char *path)
{
    const char *variable = getenv("KUBECONFIG"), *home = getenv("HOME");
    assay_auto_free char *text = NULL;
    char **files, *rest = NULL;
    size_t n = 0;

    if (path != NULL)
        text = assay_strdup(path);
    else if (variable != NULL && *variable != '\0')
        text = assay_strdup(variable);
    else if (home != NULL)
        text = assay_format("%s/.kube/config", home);
    else
        text = assay_strdup("");
    files = assay_zalloc(strlen(text) + 2, sizeof *files);
    if (path != NULL) {
        files[0] = assay_strdup(path);
        return files;
    }
    for (char *file = strtok_r(text, ":", &rest); file != NULL; file = strtok_r(NULL, ":", &rest))
        files[n++] = assay_strdup(file);
    return files;
}

assay_status
assay_kube_config_read(const char *path, const char *context, struct assay_kube_config **ret_config,
                       struct assay_error *err)
{
    struct assay_kube_config *config = ASSAY_NEW(struct assay_kube_config);
    struct merged merged = {0};
    char **files = list_files(path);
    assay_status status = ASSAY_OK;
    size_t n = 0;

    while (files[n] != NULL)
        n++;
    merged.sources = assay_zalloc(n + 1, sizeof *merged.sources);
    for (size_t i = 0; i < n && status == ASSAY_OK; i++) {
        struct assay_error one = {0};

        status = read_source(files[i], &merged, &one);
        if (status == ASSAY_E_NOT_FOUND && path == NULL)
            status = ASSAY_OK; /* of a list, those that are there count */
        else if (status != ASSAY_OK && err != NULL)
            *err = one;
    }
    if (status == ASSAY_OK && context != NULL && merged.n_sources == 0)
        status = assay_fail(err, ASSAY_E_NOT_FOUND,
                            "there is no kubeconfig, so there is no context \"%s\"", context);
    else if (status == ASSAY_OK)
        status = merged.n_sources > 0 ? take_context(&merged, context, config, err)
                                      : take_service_account(config, err);
    for (size_t i = 0; i < n; i++)
        free(files[i]);
    free(files);
    merged_done(&merged);
    if (status == ASSAY_OK)
        *ret_config = config;
    else
        assay_kube_config_free(config);
    return status;
}

static void
free_list(char **list)
{
    for (char **item = list; item != NULL && *item != NULL; item++)
        free(*item);
    free(list);
}

struct assay_kube_config *
assay_kube_config_free(struct assay_kube_config *config)
{
    if (config == NULL)
        return NULL;
    free(config->origin);
    free(config->context);
    free(config->server);
    free(config->namespace_);
    free(config->ca);
    free(config->client_cert);
    free(config->client_key);
    free(config->token);
    free(config->token_file);
    free(config->username);
    free(config->password);
    free_list(config->exec);
    free_list(config->exec_environment);
    free(config->exec_version);
    free(config->tls_server_name);
    free(config->proxy_url);
    free(config);
    return NULL;
}

assay_status
assay_kube_config_token(const struct assay_kube_config *config, char **ret_token,
                        struct assay_error *err)
{
    assay_status status;

    *ret_token = NULL;
    if (config->token_file == NULL) {
        *ret_token = assay_strdup(config->token);
        return ASSAY_OK;
    }
    /* Read each time: the file is rotated. */
    status = assay_file_read_line(config->token_file, ret_token, err);
    return status == ASSAY_OK ? ASSAY_OK : assay_wrap(err, "token");
}

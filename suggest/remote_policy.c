#include "suggest/remote_policy.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/address.h"
#include "common/memory.h"
#include "suggest/registry.h"

static enum assay_remote_policy current;

bool
assay_remote_policy_parse(const char *text, enum assay_remote_policy *ret_policy)
{
    static const char *const names[] = {"none", "loopback", "any"};

    for (size_t i = 0; i < ASSAY_COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_policy = (enum assay_remote_policy)i;
            return true;
        }
    }
    return false;
}

enum assay_remote_policy
assay_remote_policy(void)
{
    return current;
}

/* --- addresses --- */

static bool
is_loopback(const char *bytes, size_t length)
{
    assay_auto_free char *host = assay_strndup(bytes, length);

    return assay_address_host_is_loopback(host);
}

assay_status
assay_remote_check_url(const char *url, struct assay_error *err)
{
    const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
                       : strncmp(url, "https://", 8) == 0 ? url + 8
                                                          : NULL;
    size_t authority, length;

    if (strlen(url) > ASSAY_REMOTE_URL_BYTES_MAX)
        return assay_fail(err, ASSAY_E_INVALID_STUDY, "the url is longer than %d bytes",
                          ASSAY_REMOTE_URL_BYTES_MAX);
    for (const char *c = url; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return assay_fail(err, ASSAY_E_INVALID_STUDY,
                              "the url has blanks or control characters in it");
    }
    authority = host != NULL ? strcspn(host, "/?#") : 0;
    if (authority == 0)
        return assay_fail(err, ASSAY_E_INVALID_STUDY,
                          "the url must look like http://127.0.0.1:8000/ or https://host/path, "
                          "not %.100s",
                          url);
    if (memchr(host, '@', authority) != NULL)
        return assay_fail(err, ASSAY_E_INVALID_STUDY,
                          "the url must not hold a user or password; token_variable names where "
                          "a token is");
    if (strchr(host, '#') != NULL)
        return assay_fail(err, ASSAY_E_INVALID_STUDY, "the url must not have a fragment (#)");
    length = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?");
    if (current == ASSAY_REMOTE_LOOPBACK && !is_loopback(host, ASSAY_MIN(length, authority)))
        return assay_fail(err, ASSAY_E_INVALID_STUDY,
                          "the url must name this machine (127.0.0.1, localhost): this service "
                          "was not started with --remote-algorithms any");
    return ASSAY_OK;
}

assay_status
assay_remote_check_variable(const char *name, struct assay_error *err)
{
    size_t prefix = strlen(ASSAY_REMOTE_TOKEN_PREFIX);

    if (strncmp(name, ASSAY_REMOTE_TOKEN_PREFIX, prefix) == 0 &&
        strspn(name + prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(name) - prefix)
        return ASSAY_OK;
    return assay_fail(err, ASSAY_E_INVALID_STUDY,
                      "token_variable must be a name of capitals that begins with %s, not %.100s",
                      ASSAY_REMOTE_TOKEN_PREFIX, name);
}

/* --- the entry --- */

static int32_t
refuse(char *error, uint64_t error_size, const char *sentence)
{
    snprintf(error, error_size, "%s", sentence);
    return ASSAY_PLUGIN_ERROR;
}

static int32_t
remote_check(const struct assay_plugin_study *study, char *error, uint64_t error_size)
{
    json_auto_t *settings = json_loads(study->settings, 0, NULL);
    const char *url = json_string_value(json_object_get(settings, "url"));
    const char *variable = json_string_value(json_object_get(settings, "token_variable"));
    struct assay_error err = {0};

    if (url == NULL)
        return refuse(error, error_size, "the algorithm remote needs settings: {url: http://…}");
    if (assay_remote_check_url(url, &err) != ASSAY_OK ||
        (variable != NULL && assay_remote_check_variable(variable, &err) != ASSAY_OK))
        return refuse(error, error_size, err.message);
    return ASSAY_PLUGIN_OK;
}

/* Only a worker can speak HTTP, and does not come here (suggest/worker.h). */
static int32_t
remote_create(const struct assay_plugin_study *study, void **ret_instance, char *error,
              uint64_t error_size)
{
    (void)study, (void)ret_instance;
    return refuse(error, error_size, "remote algorithms are served by assay-suggest alone");
}

static int32_t
remote_update(void *instance, const struct assay_plugin_trial *const *trials, uint64_t n_trials,
              char *error, uint64_t error_size)
{
    (void)instance, (void)trials, (void)n_trials;
    return refuse(error, error_size, "remote algorithms are served by assay-suggest alone");
}

static int32_t
remote_suggest(void *instance, const int64_t *numbers, uint64_t n,
               const struct assay_plugin_suggestion *const *suggestions, uint64_t *ret_count,
               char *error, uint64_t error_size)
{
    (void)instance, (void)numbers, (void)n, (void)suggestions, (void)ret_count;
    return refuse(error, error_size, "remote algorithms are served by assay-suggest alone");
}

static void
remote_destroy(void *instance)
{
    (void)instance;
}

static const struct assay_plugin_algorithm remote = {
    .struct_size = sizeof remote,
    .name = ASSAY_REMOTE_NAME,
    .description = "An algorithm of your own, in any language, behind an HTTP address "
                   "(docs/plugin-abi.md, \"Remote algorithms\").",
    .caps = ASSAY_PLUGIN_CAP_CONDITIONS | ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE |
            ASSAY_PLUGIN_CAP_BUDGET | ASSAY_PLUGIN_CAP_CONSTRAINTS | ASSAY_PLUGIN_CAP_PARALLEL,
    .settings_schema =
        "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
        "\"url\": {\"type\": \"string\", \"description\": \"Address of the service; http or "
        "https.\"},"
        "\"options\": {\"type\": \"object\", \"description\": \"Handed to the service as it "
        "is.\", \"default\": {}},"
        "\"timeout\": {\"type\": \"number\", \"minimum\": 0.1, \"maximum\": 3600, "
        "\"default\": 10, \"description\": \"Seconds that one request may take.\"},"
        "\"token_variable\": {\"type\": \"string\", \"description\": \"Variable of the daemon's "
        "environment that holds the service's bearer token; begins with "
        ASSAY_REMOTE_TOKEN_PREFIX ".\"}}}",
    .check = remote_check,
    .create = remote_create,
    .update = remote_update,
    .suggest = remote_suggest,
    .destroy = remote_destroy,
};

void
assay_remote_set_policy(enum assay_remote_policy policy)
{
    current = policy;
    if (policy != ASSAY_REMOTE_NONE)
        assay_registry_add(&remote);
}

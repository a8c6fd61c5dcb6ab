#include "schemas/config.h"

#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/buffer.h"
#include "common/file.h"
#include "common/memory.h"
#include "common/number.h"
#include "schemas/decode.h"
#include "schemas/study.h"

#define CONFIG_FILE_BYTES_MAX (1 << 20)

static const struct assay_config_option *
find_in_file(const char *key)
{
    for (size_t i = 0; i < assay_config_options_count; i++) {
        if (strcmp(assay_config_options[i].file, key) == 0)
            return &assay_config_options[i];
    }
    return NULL;
}

static const struct assay_config_option *
find_option(const char *name, size_t length)
{
    for (size_t i = 0; i < assay_config_options_count; i++) {
        if (strlen(assay_config_options[i].name) == length &&
            strncmp(assay_config_options[i].name, name, length) == 0)
            return &assay_config_options[i];
    }
    return NULL;
}

/* --- one value --- */

static bool
parse_integer(const struct assay_config_option *option, const char *text, int64_t *ret_value)
{
    bool good = option->kind == ASSAY_CONFIG_INT     ? assay_parse_int(text, INT64_MIN, INT64_MAX, ret_value)
                : option->kind == ASSAY_CONFIG_BYTES ? assay_parse_bytes(text, ret_value)
                                                     : assay_parse_duration(text, ret_value);

    return good && *ret_value >= option->min && *ret_value <= option->max;
}

static bool
parse_bool(const char *text, bool *ret_value)
{
    *ret_value = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *ret_value || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

static bool
parse_choice(const struct assay_config_option *option, const char *text, int *ret_value)
{
    for (int i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            *ret_value = i;
            return true;
        }
    }
    return false;
}

static assay_status
refuse_value(const struct assay_config_option *option, const char *text, const char *source,
             struct assay_error *err)
{
    assay_auto_free char *what = NULL;

    switch (option->kind) {
    case ASSAY_CONFIG_INT:
        what = assay_format("an integer from %lld to %lld", (long long)option->min,
                            (long long)option->max);
        break;
    case ASSAY_CONFIG_BYTES:
    case ASSAY_CONFIG_DURATION: {
        bool bytes = option->kind == ASSAY_CONFIG_BYTES;
        json_auto_t *min = bytes ? assay_json_bytes(option->min) : assay_json_duration(option->min);
        json_auto_t *max = bytes ? assay_json_bytes(option->max) : assay_json_duration(option->max);

        what = assay_format("a %s from %s to %s", bytes ? "size" : "duration",
                            json_string_value(min), json_string_value(max));
        break;
    }
    case ASSAY_CONFIG_BOOL:
        what = assay_strdup("true or false");
        break;
    case ASSAY_CONFIG_CHOICE:
        what = assay_format("one of %s", option->value);
        break;
    case ASSAY_CONFIG_TEXT:
    case ASSAY_CONFIG_LIST:
        what = assay_strdup("a text that is not empty");
        break;
    }
    return assay_fail(err, ASSAY_E_BAD_REQUEST, "%s: --%s must be %s, not \"%.100s\"", source,
                      option->name, what, text);
}

static void
list_done(struct assay_config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct assay_config_list){0};
}

/* Adds to what the same source gave, in place of what a weaker one did. */
static bool
add_item(struct assay_config_list *list, const char *text, const char *source)
{
    if (*text == '\0')
        return false;
    if (list->source != NULL && strcmp(list->source, source) != 0)
        list_done(list);
    list->source = source;
    list->items = assay_realloc(list->items, list->count + 2, sizeof *list->items);
    list->items[list->count++] = assay_strdup(text);
    list->items[list->count] = NULL;
    return true;
}

static assay_status
set_option(const struct assay_config_option *option, const char *text, const char *source,
           struct assay_config *config, struct assay_error *err)
{
    void *place = (char *)config + option->offset;
    bool good = false;

    switch (option->kind) {
    case ASSAY_CONFIG_TEXT:
        good = *text != '\0';
        if (good) {
            char **string = place;

            free(*string);
            *string = assay_strdup(text);
        }
        break;
    case ASSAY_CONFIG_INT:
    case ASSAY_CONFIG_BYTES:
    case ASSAY_CONFIG_DURATION:
        good = parse_integer(option, text, place);
        break;
    case ASSAY_CONFIG_BOOL:
        good = parse_bool(text, place);
        break;
    case ASSAY_CONFIG_CHOICE:
        good = parse_choice(option, text, place);
        break;
    case ASSAY_CONFIG_LIST:
        good = add_item(place, text, source);
        break;
    }
    return good ? ASSAY_OK : refuse_value(option, text, source, err);
}

/* --- sources --- */

static assay_status
set_defaults(struct assay_config *config, struct assay_error *err)
{
    for (size_t i = 0; i < assay_config_options_count; i++) {
        const struct assay_config_option *option = &assay_config_options[i];
        assay_status rc = option->default_text == NULL
                              ? ASSAY_OK
                              : set_option(option, option->default_text, "default", config, err);

        if (rc < 0)
            return rc;
    }
    return ASSAY_OK;
}

/* The texts between the colons. */
static assay_status
set_items(const struct assay_config_option *option, const char *text, const char *source,
          struct assay_config *config, struct assay_error *err)
{
    for (;;) {
        size_t length = strcspn(text, ":");
        assay_auto_free char *item = assay_strndup(text, length);
        assay_status rc = set_option(option, item, source, config, err);

        if (rc < 0 || text[length] == '\0')
            return rc;
        text += length + 1;
    }
}

static assay_status
read_environment(struct assay_config *config, struct assay_error *err)
{
    for (size_t i = 0; i < assay_config_options_count; i++) {
        const struct assay_config_option *option = &assay_config_options[i];
        const char *text = getenv(option->environment);
        assay_status rc = ASSAY_OK;

        if (text == NULL || *text == '\0')
            continue;
        if (option->kind == ASSAY_CONFIG_LIST)
            rc = set_items(option, text, option->environment, config, err);
        else
            rc = set_option(option, text, option->environment, config, err);

        if (rc < 0)
            return rc;
    }
    return ASSAY_OK;
}

static assay_status
read_member(const char *key, const json_t *value, const char *path, struct assay_config *config,
            struct assay_error *err)
{
    assay_auto_free char *text = assay_json_scalar_text(value);
    const struct assay_config_option *option = find_in_file(key);

    if (option == NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "%s: unknown option \"%.60s\"", path, key);
    if (json_is_null(value))
        return ASSAY_OK;
    if (option->kind == ASSAY_CONFIG_LIST && json_is_array(value)) {
        const json_t *item;
        size_t i;

        json_array_foreach(value, i, item)
        {
            assay_status rc =
                json_is_string(item)
                    ? set_option(option, json_string_value(item), path, config, err)
                    : assay_fail(err, ASSAY_E_BAD_REQUEST, "%s: %s must be texts", path, key);

            if (rc < 0)
                return rc;
        }
        return ASSAY_OK;
    }
    if (text == NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "%s: %s must be a single value", path, key);
    return set_option(option, text, path, config, err);
}

static assay_status
read_file(const char *path, struct assay_config *config, struct assay_error *err)
{
    assay_auto_free char *text = NULL;
    json_auto_t *json = NULL;
    const char *key;
    json_t *value;
    size_t length;

    if (assay_file_read(path, CONFIG_FILE_BYTES_MAX, &text, &length, err) < 0)
        return assay_wrap(err, "--config");
    if (assay_yaml_read(text, length, &json, NULL, err) < 0)
        return assay_wrap(err, "%s", path);
    if (!json_is_object(json))
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "%s: not a list of options and values", path);
    assay_json_each (json, key, value) {
        assay_status rc = read_member(key, value, path, config, err);

        if (rc < 0)
            return rc;
    }
    return ASSAY_OK;
}

/* One word of the command line that begins with two dashes; *at goes on to the
 * value when that is a word of its own. */
static assay_status
read_word(int argc, char *const *argv, int *at, struct assay_config *config, const char **ret_file,
          struct assay_error *err)
{
    const char *word = argv[*at] + 2, *equals = strchr(word, '=');
    size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    bool is_file = length == 6 && strncmp(word, "config", 6) == 0;
    const struct assay_config_option *option = find_option(word, length);
    const char *text = equals != NULL ? equals + 1 : NULL;

    if (option == NULL && !is_file)
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "unknown option \"%.60s\"; assayd --help lists them", argv[*at]);
    if (text == NULL && !is_file && option->kind == ASSAY_CONFIG_BOOL)
        text = "true";
    if (text == NULL && *at + 1 < argc)
        text = argv[++*at];
    if (text == NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "--%s needs a value",
                          is_file ? "config" : option->name);
    if (is_file) {
        *ret_file = text;
        return ASSAY_OK;
    }
    return set_option(option, text, "command line", config, err);
}

static assay_status
read_words(int argc, char *const *argv, struct assay_config *config, const char **ret_file,
           enum assay_config_request *ret_request, struct assay_error *err)
{
    *ret_request = ASSAY_CONFIG_START;
    for (int i = 1; i < argc; i++) {
        assay_status rc;

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *ret_request = ASSAY_CONFIG_HELP;
            return ASSAY_OK;
        }
        if (strcmp(argv[i], "--version") == 0) {
            *ret_request = ASSAY_CONFIG_VERSION;
            return ASSAY_OK;
        }
        if (strncmp(argv[i], "--", 2) != 0 || argv[i][2] == '\0')
            return assay_fail(err, ASSAY_E_BAD_REQUEST, "\"%.60s\" is not an option", argv[i]);
        rc = read_word(argc, argv, &i, config, ret_file, err);
        if (rc < 0)
            return rc;
    }
    return ASSAY_OK;
}

bool
assay_config_is_loopback(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    assay_auto_free char *host =
        colon != NULL ? assay_strndup(listen, (size_t)(colon - listen)) : assay_strdup(listen);

    return assay_address_host_is_loopback(host);
}

static assay_status
check_together(const struct assay_config *config, struct assay_error *err)
{
    if ((config->tls_cert == NULL) != (config->tls_key == NULL))
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "--%s needs --%s",
                          config->tls_cert != NULL ? "tls-cert" : "tls-key",
                          config->tls_cert != NULL ? "tls-key" : "tls-cert");
    if (config->suggest_connect != NULL && config->suggest_token_file == NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "--suggest-connect needs --suggest-token-file");
    if (config->suggest_connect != NULL && strrchr(config->suggest_connect, ':') == NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "--suggest-connect %s: HOST:PORT is needed",
                          config->suggest_connect);
    if (config->suggest_connect == NULL &&
        (config->suggest_token_file != NULL || config->suggest_ca != NULL))
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "--%s needs --suggest-connect",
                          config->suggest_ca != NULL ? "suggest-ca" : "suggest-token-file");
    if (strrchr(config->listen, ':') == NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "--listen %s: ADDRESS:PORT is needed",
                          config->listen);
    if (!assay_config_is_loopback(config->listen) && config->tls_cert == NULL &&
        !config->insecure_listen)
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "--listen %s can be reached by other machines: give --tls-cert and "
                          "--tls-key, or --insecure-listen",
                          config->listen);
    return ASSAY_OK;
}

assay_status
assay_config_load(int argc, char *const *argv, struct assay_config *ret_config,
                  enum assay_config_request *ret_request, struct assay_error *err)
{
    /* The words are read twice: first for --config, then once the weaker sources
     * are in place. */
    struct assay_config config = {0};
    const char *file = getenv("ASSAYD_CONFIG");
    enum assay_config_request request;
    assay_status rc = set_defaults(&config, err);

    if (rc == ASSAY_OK)
        rc = read_words(argc, argv, &config, &file, &request, err);
    if (rc == ASSAY_OK && request == ASSAY_CONFIG_START) {
        assay_config_done(&config);
        rc = set_defaults(&config, err);
        if (rc == ASSAY_OK && file != NULL && *file != '\0')
            rc = read_file(file, &config, err);
        if (rc == ASSAY_OK)
            rc = read_environment(&config, err);
        if (rc == ASSAY_OK)
            rc = read_words(argc, argv, &config, &file, &request, err);
        if (rc == ASSAY_OK)
            rc = check_together(&config, err);
    }
    if (rc < 0) {
        assay_config_done(&config);
        return rc;
    }
    *ret_config = config;
    *ret_request = request;
    return ASSAY_OK;
}

void
assay_config_done(struct assay_config *config)
{
    for (size_t i = 0; i < assay_config_options_count; i++) {
        void *place = (char *)config + assay_config_options[i].offset;

        if (assay_config_options[i].kind == ASSAY_CONFIG_TEXT)
            free(*(char **)place);
        else if (assay_config_options[i].kind == ASSAY_CONFIG_LIST)
            list_done(place);
    }
    *config = (struct assay_config){0};
}

/* --- help --- */

/* The sentence in lines of at most 78 columns, indented. */
static void
add_wrapped(struct assay_buffer *out, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t length = strcspn(text, " ");

        if (column == 0 || column + 1 + length > 78) {
            assay_buffer_puts(out, column == 0 ? "      " : "\n      ");
            column = 6;
        } else {
            assay_buffer_puts(out, " ");
            column++;
        }
        assay_buffer_add(out, text, length);
        column += length;
        text += length + (text[length] == ' ');
    }
    assay_buffer_puts(out, "\n");
}

char *
assay_config_help(void)
{
    struct assay_buffer out = {0};

    assay_buffer_puts(&out, "Usage: assayd [OPTION]...\n\n"
                            "The Assay service: API, dashboard and engine in one process.\n"
                            "Each option can also be set in the environment (the name behind it) "
                            "or in the\nfile of --config, there with '_' for '-'.\n\n"
                            "  --config FILE  (ASSAYD_CONFIG)\n      Read options from this YAML file.\n");
    for (size_t i = 0; i < assay_config_options_count; i++) {
        const struct assay_config_option *option = &assay_config_options[i];

        assay_buffer_printf(&out, "  --%s%s%s  (%s)", option->name,
                            option->value != NULL ? " " : "",
                            option->value != NULL ? option->value : "", option->environment);
        if (option->default_text != NULL)
            assay_buffer_printf(&out, "  [%s]", option->default_text);
        assay_buffer_puts(&out, "\n");
        add_wrapped(&out, option->text);
    }
    assay_buffer_puts(&out, "  --help\n      Print this.\n  --version\n      Print the version.\n");
    return assay_buffer_steal(&out);
}

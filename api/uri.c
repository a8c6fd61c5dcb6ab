#include "api/uri.h"

#include "common/memory.h"

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
text_is_clean(const char *text)
{
    json_t *checked = json_string(text); /* NULL when it is not UTF-8 */
    bool clean = checked != NULL;

    json_decref(checked);
    for (const char *p = text; *p != '\0' && clean; p++)
        clean = (unsigned char)*p >= 0x20 && *p != 0x7f;
    return clean;
}

static assay_status
decode(const char *text, size_t length, bool plus_is_space, char **ret_text,
       struct assay_error *err)
{
    assay_auto_free char *decoded = assay_alloc(length + 1, 1);
    size_t used = 0;

    for (size_t i = 0; i < length; i++) {
        char c = text[i];

        if (c == '%') {
            int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < length ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return assay_fail(err, ASSAY_E_BAD_REQUEST,
                                  "the address holds a %% that is not followed by two hex digits");
            c = (char)(high << 4 | low);
            if (c == '\0')
                return assay_fail(err, ASSAY_E_BAD_REQUEST, "the address holds a zero byte");
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        decoded[used++] = c;
    }
    decoded[used] = '\0';
    if (!text_is_clean(decoded))
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "the address holds bytes that are not printable UTF-8");
    *ret_text = decoded;
    decoded = NULL;
    return ASSAY_OK;
}

static assay_status
parse_path(const char *path, size_t length, struct assay_uri *uri, struct assay_error *err)
{
    const char *end = path + length;

    if (length == 0 || *path != '/')
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "the address does not start with a slash");
    if (length == 1)
        return ASSAY_OK;
    for (const char *p = path + 1;;) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        const char *stop = slash != NULL ? slash : end;
        assay_status status;

        if (uri->n_segments == ASSAY_URI_SEGMENTS_MAX)
            return assay_fail(err, ASSAY_E_NOT_FOUND, "no path has that many parts");
        status = decode(p, (size_t)(stop - p), false, &uri->segments[uri->n_segments], err);
        if (status != ASSAY_OK)
            return status;
        uri->n_segments++;
        if (slash == NULL)
            return ASSAY_OK;
        p = slash + 1;
    }
}

static assay_status
parse_query(const char *query, struct assay_uri *uri, struct assay_error *err)
{
    while (*query != '\0') {
        size_t length = strcspn(query, "&");
        size_t key_length = strcspn(query, "=&");
        struct assay_uri_parameter *parameter = &uri->parameters[uri->n_parameters];
        assay_status status;

        if (length > 0) {
            if (uri->n_parameters == ASSAY_URI_PARAMETERS_MAX)
                return assay_fail(err, ASSAY_E_BAD_REQUEST,
                                  "the address has more than %d query parameters",
                                  ASSAY_URI_PARAMETERS_MAX);
            status = decode(query, key_length, true, &parameter->key, err);
            if (status != ASSAY_OK)
                return status;
            uri->n_parameters++;
            if (key_length < length)
                status = decode(query + key_length + 1, length - key_length - 1, true,
                                &parameter->value, err);
            else
                parameter->value = assay_strdup("");
            if (status != ASSAY_OK)
                return status;
        }
        query += length;
        if (*query == '&')
            query++;
    }
    return ASSAY_OK;
}

assay_status
assay_uri_parse(const char *target, struct assay_uri *ret_uri, struct assay_error *err)
{
    struct assay_uri uri = {0};
    const char *query;
    size_t path_length;
    assay_status status;

    if (strncmp(target, "http://", 7) == 0 || strncmp(target, "https://", 8) == 0) {
        const char *authority = strstr(target, "//") + 2;

        target = authority + strcspn(authority, "/?");
        if (*target != '/')
            target = "/";
    }
    path_length = strcspn(target, "?");
    query = target[path_length] == '?' ? target + path_length + 1 : "";
    status = parse_path(target, path_length, &uri, err);
    if (status == ASSAY_OK)
        status = parse_query(query, &uri, err);
    if (status != ASSAY_OK) {
        assay_uri_done(&uri);
        return status;
    }
    *ret_uri = uri;
    return ASSAY_OK;
}

void
assay_uri_done(struct assay_uri *uri)
{
    for (size_t i = 0; i < uri->n_segments; i++)
        free(uri->segments[i]);
    for (size_t i = 0; i < uri->n_parameters; i++) {
        free(uri->parameters[i].key);
        free(uri->parameters[i].value);
    }
    *uri = (struct assay_uri){0};
}

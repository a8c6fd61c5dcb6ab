#include "api/body.h"

#include <string.h>

/* Whether brackets outside of strings nest deeper than allowed. */
static bool
too_deep(const char *text, size_t length)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < length; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > ASSAY_BODY_DEPTH_MAX)
                return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

assay_status
assay_body_json(const char *text, size_t length, json_t **ret_json, struct assay_error *err)
{
    json_error_t error;
    json_t *json;

    if (length == 0)
        return assay_fail(err, ASSAY_E_INVALID_JSON, "the body is empty");
    if (too_deep(text, length))
        return assay_fail(err, ASSAY_E_INVALID_JSON, "the body is nested deeper than %d levels",
                          ASSAY_BODY_DEPTH_MAX);
    json = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (json == NULL) {
        /* The parser repeats the client's text, which need not be printable. */
        for (char *p = error.text; *p != '\0'; p++) {
            if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
                *p = '?';
        }
        return assay_fail(err, ASSAY_E_INVALID_JSON, "line %d, column %d: %s", error.line,
                          error.column, error.text);
    }
    *ret_json = json;
    return ASSAY_OK;
}

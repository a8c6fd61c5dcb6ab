/* ${name} in commands, environments and templates. */

#include <string.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "schemas/study_internal.h"

/* Finds the next "${" that is not escaped from *at on; literal text up to there
 * goes to `literal` (may be NULL) with "$${" as "${".  Returns the name or NULL at
 * the end of the text; *ret_length is SIZE_MAX when there is no '}'. */
static const char *
next_reference(const char **at, struct assay_buffer *literal, size_t *ret_length)
{
    for (;;) {
        const char *dollar = strchr(*at, '$'), *end;

        if (dollar == NULL)
            break;
        if (literal != NULL)
            assay_buffer_add(literal, *at, (size_t)(dollar - *at));
        if (strncmp(dollar, "$${", 3) == 0) {
            if (literal != NULL)
                assay_buffer_puts(literal, "${");
            *at = dollar + 3;
        } else if (dollar[1] == '{') {
            end = strchr(dollar, '}');
            *ret_length = end != NULL ? (size_t)(end - dollar - 2) : SIZE_MAX;
            *at = end != NULL ? end + 1 : dollar + strlen(dollar);
            return dollar + 2;
        } else {
            if (literal != NULL)
                assay_buffer_puts(literal, "$");
            *at = dollar + 1;
        }
    }
    if (literal != NULL)
        assay_buffer_puts(literal, *at);
    return NULL;
}

bool
assay__each_reference(const char *text,
                      void (*visit)(void *arg, const char *name, size_t length), void *arg)
{
    const char *name;
    size_t length;

    while ((name = next_reference(&text, NULL, &length)) != NULL) {
        if (length == SIZE_MAX)
            return false;
        visit(arg, name, length);
    }
    return true;
}

assay_status
assay_substitute(const char *text, const json_t *values, char **ret_text, struct assay_error *err)
{
    assay_auto_buffer struct assay_buffer out = {0};
    const char *name;
    size_t length;

    while ((name = next_reference(&text, &out, &length)) != NULL) {
        assay_auto_free char *key = NULL;
        const char *value;

        if (length == SIZE_MAX)
            return assay_fail(err, ASSAY_E_INVALID_VALUE, "\"${\" without \"}\"");
        key = assay_strndup(name, length);
        value = json_string_value(json_object_get(values, key));
        if (value == NULL)
            return assay_fail(err, ASSAY_E_INVALID_VALUE, "${%.100s} is not declared", key);
        assay_buffer_puts(&out, value);
    }
    *ret_text = assay_buffer_steal(&out);
    return ASSAY_OK;
}

char *
assay_bare_reference(const char *text)
{
    size_t length = strlen(text);

    if (length < 6 || strncmp(text, "${{", 3) != 0 || strcspn(text + 3, "{}") != length - 5 ||
        strcmp(text + length - 2, "}}") != 0)
        return NULL;
    return assay_strndup(text + 3, length - 5);
}

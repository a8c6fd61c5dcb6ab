/* Page tokens: "kind|number|key" in hex, so that nobody builds on their content. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "sql/store_internal.h"

#define TOKEN_BYTES_MAX 1024

char *
assay__page_make(const char *kind, const char *key, int64_t number)
{
    static const char digits[] = "0123456789abcdef";
    assay_auto_free char *text = assay_format("%s|%lld|%s", kind, (long long)number, key);
    size_t length = strlen(text);
    char *token = assay_alloc(2 * length + 1, 1);

    for (size_t i = 0; i < length; i++) {
        token[2 * i] = digits[(unsigned char)text[i] >> 4];
        token[2 * i + 1] = digits[(unsigned char)text[i] & 15];
    }
    token[2 * length] = '\0';
    return token;
}

static int
nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *
from_hex(const char *token)
{
    size_t length = strlen(token);
    char *text;

    if (length % 2 != 0 || length > TOKEN_BYTES_MAX)
        return NULL;
    text = assay_alloc(length / 2 + 1, 1);
    for (size_t i = 0; i < length; i += 2) {
        int high = nibble(token[i]), low = nibble(token[i + 1]);

        if (high < 0 || low < 0 || (high == 0 && low == 0)) {
            free(text);
            return NULL;
        }
        text[i / 2] = (char)(high << 4 | low);
    }
    text[length / 2] = '\0';
    return text;
}

assay_status
assay__page_read(const char *token, const char *kind, char **ret_key, int64_t *ret_number,
                 struct assay_error *err)
{
    assay_auto_free char *text = from_hex(token);
    char *number = text != NULL ? strchr(text, '|') : NULL;
    char *key = number != NULL ? strchr(number + 1, '|') : NULL;

    if (key == NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "the page token is malformed");
    *number++ = '\0';
    *key++ = '\0';
    if (strcmp(text, kind) != 0)
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "the page token belongs to another list or another order");
    if (!assay_parse_int(number, INT64_MIN, INT64_MAX, ret_number))
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "the page token is malformed");
    *ret_key = assay_strdup(key);
    return ASSAY_OK;
}

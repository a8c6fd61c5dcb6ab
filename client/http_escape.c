/* Apart from http.c, so that a program without libcurl can have them. */
#include "client/http.h"
#include "common/memory.h"

char *
assay_http_escape(const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    struct assay_buffer buffer = {0};

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        char hex[3] = {'%', digits[c >> 4], digits[c & 15]};
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c) != NULL;

        if (plain)
            assay_buffer_add(&buffer, text, 1);
        else
            assay_buffer_add(&buffer, hex, sizeof hex);
    }
    return assay_buffer_steal(&buffer);
}

void
assay_http_query_add(struct assay_buffer *query, const char *key, const char *value)
{
    assay_auto_free char *k = assay_http_escape(key);
    assay_auto_free char *v = assay_http_escape(value);

    assay_buffer_printf(query, "%s%s=%s", query->length > 0 ? "&" : "", k, v);
}

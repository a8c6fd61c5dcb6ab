#include "api/route.h"

#include "common/buffer.h"
#include "common/number.h"

static bool
match_segment(const char *template, size_t length, const char *segment,
              struct assay_route_values *values)
{
    if (template[0] != '{')
        return strlen(segment) == length && memcmp(template, segment, length) == 0;
    if (*segment == '\0')
        return false;
    switch (template[1]) {
    case 'p':
        values->project = segment;
        return true;
    case 's':
        values->study = segment;
        return true;
    case 'i':
        values->id = segment;
        return true;
    case 'n':
        return segment[0] >= '1' && segment[0] <= '9' &&
               assay_parse_int(segment, 1, INT64_MAX, &values->number);
    default:
        ASSAY_BUG("a route with an unknown placeholder");
    }
}

static bool
match_path(const char *template, const struct assay_uri *uri, struct assay_route_values *values)
{
    size_t i = 0;

    *values = (struct assay_route_values){0};
    if (template[1] == '\0')
        return uri->n_segments == 0;
    for (const char *p = template; *p != '\0'; i++) {
        size_t length = strcspn(p + 1, "/");

        if (i == uri->n_segments || !match_segment(p + 1, length, uri->segments[i], values))
            return false;
        p += 1 + length;
    }
    return i == uri->n_segments;
}

enum assay_route_match
assay_route_find(const char *method, const struct assay_uri *uri,
                 const struct assay_route **ret_route, struct assay_route_values *ret_values)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    bool path_found = false;

    for (size_t i = 0; i < assay_n_routes; i++) {
        struct assay_route_values values;

        if (!match_path(assay_routes[i].path, uri, &values))
            continue;
        path_found = true;
        if (strcmp(assay_routes[i].method, wanted) == 0) {
            *ret_route = &assay_routes[i];
            *ret_values = values;
            return ASSAY_ROUTE_FOUND;
        }
    }
    return path_found ? ASSAY_ROUTE_NO_METHOD : ASSAY_ROUTE_NO_PATH;
}

char *
assay_route_allow(const struct assay_uri *uri)
{
    struct assay_buffer allow = {0};
    struct assay_route_values values;

    for (size_t i = 0; i < assay_n_routes; i++) {
        if (match_path(assay_routes[i].path, uri, &values))
            assay_buffer_printf(&allow, "%s, %s", assay_routes[i].method,
                                strcmp(assay_routes[i].method, "GET") == 0 ? "HEAD, " : "");
    }
    assay_buffer_puts(&allow, "OPTIONS");
    return assay_buffer_steal(&allow);
}

#include "api/route.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/memory.h"

static enum assay_route_match
find(const char *method, const char *path, const struct assay_route **ret_route,
     struct assay_route_values *ret_values, struct assay_uri *uri)
{
    assert_int_equal(assay_uri_parse(path, uri, NULL), ASSAY_OK);
    return assay_route_find(method, uri, ret_route, ret_values);
}

static void
test_every_route_finds_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < assay_n_routes; i++) {
        const struct assay_route *route = NULL;
        struct assay_route_values values;
        assay_auto_free char *path = assay_strdup(assay_routes[i].path);
        struct assay_uri uri;
        char *number = strstr(path, "{number}");

        if (number != NULL) { /* a number where one must be */
            *number = '7';
            memmove(number + 1, number + 8, strlen(number + 8) + 1);
        }
        assert_int_equal(find(assay_routes[i].method, path, &route, &values, &uri),
                         ASSAY_ROUTE_FOUND);
        assert_ptr_equal(route, &assay_routes[i]);
        assert_int_equal(values.study != NULL, strstr(path, "{study}") != NULL);
        assert_int_equal(values.number, number != NULL ? 7 : 0);
        assay_uri_done(&uri);
    }
}

static void
test_rows_make_sense(void **state)
{
    (void)state;
    for (size_t i = 0; i < assay_n_routes; i++) {
        const struct assay_route *route = &assay_routes[i];

        assert_non_null(route->handler);
        assert_true(route->path[0] == '/');
        if ((route->flags & ASSAY_ROUTE_TRIAL_TOKEN) != 0)
            assert_non_null(strstr(route->path, "{number}"));
        if ((route->flags & ASSAY_ROUTE_BODY) != 0)
            assert_true(route->role >= ASSAY_ROLE_EDITOR && strcmp(route->method, "GET") != 0);
        if (strcmp(route->method, "GET") != 0)
            assert_true(route->role >= ASSAY_ROLE_EDITOR);
        if (strncmp(route->path, "/v1/", 4) == 0)
            assert_true(route->role >= ASSAY_ROLE_VIEWER);
        for (size_t k = 0; k < i; k++)
            assert_false(strcmp(route->path, assay_routes[k].path) == 0 &&
                         strcmp(route->method, assay_routes[k].method) == 0);
    }
}

static void
test_no_match(void **state)
{
    static const char *const absent[] = {
        "/v1",
        "/v1/projects/",
        "/v1/projects//studies",
        "/v1/projects/p/studies/s/",
        "/v1/projects/p/studies/s/trials/0",
        "/v1/projects/p/studies/s/trials/01",
        "/v1/projects/p/studies/s/trials/+1",
        "/v1/projects/p/studies/s/trials/9223372036854775808",
        "/v1/projects/p/studies/s/trials/1/logs/x",
    };
    const struct assay_route *route;
    struct assay_route_values values;
    struct assay_uri uri;

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(absent); i++) {
        assert_int_equal(find("GET", absent[i], &route, &values, &uri), ASSAY_ROUTE_NO_PATH);
        assay_uri_done(&uri);
    }
}

static void
test_methods(void **state)
{
    const struct assay_route *route;
    struct assay_route_values values;
    struct assay_uri uri;
    assay_auto_free char *allow = NULL;

    (void)state;
    assert_int_equal(find("PUT", "/v1/projects/p/studies/s", &route, &values, &uri),
                     ASSAY_ROUTE_NO_METHOD);
    allow = assay_route_allow(&uri);
    assert_string_equal(allow, "GET, HEAD, PATCH, DELETE, OPTIONS");
    assay_uri_done(&uri);
    assert_int_equal(find("HEAD", "/v1/projects/p/studies/s", &route, &values, &uri),
                     ASSAY_ROUTE_FOUND);
    assert_string_equal(route->method, "GET");
    assert_string_equal(values.project, "p");
    assert_string_equal(values.study, "s");
    assay_uri_done(&uri);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_finds_itself),
        cmocka_unit_test(test_rows_make_sense),
        cmocka_unit_test(test_no_match),
        cmocka_unit_test(test_methods),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

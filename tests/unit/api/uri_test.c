#include "api/uri.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/random.h"
#include "common/memory.h"

static void
test_parts(void **state)
{
    struct assay_uri uri;

    (void)state;
    assert_int_equal(assay_uri_parse("/v1/projects/a%2Fb?x=1&y=a+b%2B&z&=q&&x=2", &uri, NULL), 0);
    assert_int_equal(uri.n_segments, 3);
    assert_string_equal(uri.segments[0], "v1");
    assert_string_equal(uri.segments[2], "a/b");
    assert_int_equal(uri.n_parameters, 5);
    assert_string_equal(uri.parameters[1].key, "y");
    assert_string_equal(uri.parameters[1].value, "a b+");
    assert_string_equal(uri.parameters[2].value, "");
    assert_string_equal(uri.parameters[3].key, "");
    assert_string_equal(uri.parameters[4].value, "2");
    assay_uri_done(&uri);
}

static void
test_edges(void **state)
{
    struct assay_uri uri;

    (void)state;
    assert_int_equal(assay_uri_parse("/", &uri, NULL), 0);
    assert_int_equal(uri.n_segments, 0);
    assay_uri_done(&uri);
    assert_int_equal(assay_uri_parse("/a/", &uri, NULL), 0);
    assert_int_equal(uri.n_segments, 2);
    assert_string_equal(uri.segments[1], "");
    assay_uri_done(&uri);
    assert_int_equal(assay_uri_parse("http://host:1/a?b", &uri, NULL), 0);
    assert_string_equal(uri.segments[0], "a");
    assert_string_equal(uri.parameters[0].key, "b");
    assay_uri_done(&uri);
    assert_int_equal(assay_uri_parse("https://host", &uri, NULL), 0);
    assert_int_equal(uri.n_segments, 0);
    assay_uri_done(&uri);
}

static void
test_refused(void **state)
{
    static const char *const bad[] = {"",     "a",        "?",      "/%",       "/%4",     "/%zz",
                                      "/%00", "/a%ff",    "/%c3%28", "/a%0a",   "/\x7f",   "/?a=%",
                                      "/?%0", "/?a=%00",  "/\xff",  "/?\xc0\xaf"};
    struct assay_uri uri = {.n_segments = 77};

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(bad); i++)
        assert_int_equal(assay_uri_parse(bad[i], &uri, NULL), ASSAY_E_BAD_REQUEST);
    assert_int_equal(assay_uri_parse("/1/2/3/4/5/6/7/8/9/10/11/12/13", &uri, NULL),
                     ASSAY_E_NOT_FOUND);
    assert_int_equal(uri.n_segments, 77);
}

static void
test_too_many_parameters(void **state)
{
    struct assay_uri uri;
    char text[200] = "/?";

    (void)state;
    for (size_t i = 0; i < ASSAY_URI_PARAMETERS_MAX; i++)
        memcpy(text + 2 + 2 * i, "a&", 3);
    assert_int_equal(assay_uri_parse(text, &uri, NULL), 0);
    assert_int_equal(uri.n_parameters, ASSAY_URI_PARAMETERS_MAX);
    assay_uri_done(&uri);
    memcpy(text + 2 + 2 * ASSAY_URI_PARAMETERS_MAX, "a", 2);
    assert_int_equal(assay_uri_parse(text, &uri, NULL), ASSAY_E_BAD_REQUEST);
}

/* Whatever the bytes: no crash, and all that is given out is clean text. */
static void
test_any_bytes(void **state)
{
    static const char alphabet[] = "/%?&=+aZ09f.\xc3\xa9\xff\x01";
    struct assay_random random;

    (void)state;
    assay_random_init(&random, 1, 2, 3);
    for (int round = 0; round < 20000; round++) {
        char text[64] = "/";
        size_t length = 1 + assay_random_below(&random, 60);
        struct assay_uri uri;

        for (size_t i = 1; i < length; i++)
            text[i] = alphabet[assay_random_below(&random, sizeof(alphabet) - 1)];
        if (assay_uri_parse(text, &uri, NULL) != ASSAY_OK)
            continue;
        for (size_t i = 0; i < uri.n_segments; i++) {
            json_t *json = json_string(uri.segments[i]);

            assert_non_null(json);
            json_decref(json);
        }
        assay_uri_done(&uri);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),   cmocka_unit_test(test_edges),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_too_many_parameters),
        cmocka_unit_test(test_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

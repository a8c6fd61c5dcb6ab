#include "api/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"

static void
test_bearer(void **state)
{
    assay_auto_free char *longest = assay_zalloc(ASSAY_TOKEN_BYTES_MAX + 10, 1);

    (void)state;
    assert_string_equal(assay_header_bearer("Bearer abc"), "abc");
    assert_string_equal(assay_header_bearer("bEARER   a.b-c_d=="), "a.b-c_d==");
    assert_null(assay_header_bearer(NULL));
    assert_null(assay_header_bearer(""));
    assert_null(assay_header_bearer("Bearer"));
    assert_null(assay_header_bearer("Bearer "));
    assert_null(assay_header_bearer("Bearer a b"));
    assert_null(assay_header_bearer("Bearer a\xc3\xa9"));
    assert_null(assay_header_bearer("Bearerabc"));
    assert_null(assay_header_bearer("Basic abc"));
    memcpy(longest, "Bearer ", 7);
    memset(longest + 7, 'x', ASSAY_TOKEN_BYTES_MAX);
    assert_non_null(assay_header_bearer(longest));
    longest[7 + ASSAY_TOKEN_BYTES_MAX] = 'x';
    assert_null(assay_header_bearer(longest));
}

static void
test_accepts(void **state)
{
    static const struct {
        const char *accept;
        bool json;
    } table[] = {
        {NULL, true},
        {"", true},
        {",", true},
        {"*/*", true},
        {"application/*", true},
        {"application/json", true},
        {"Application/JSON", true},
        {"text/html, application/json;q=0.2", true},
        {"text/html;level=1 , */* ; q=0.1", true},
        {"application/json;q=bad", true},
        {"application/json;q=0", false},
        {"application/json;q=0.000", false},
        {"application/jsonx", false},
        {"application/jso", false},
        {"application", false},
        {"text/*", false},
        {"*", false},
        {"text/html", false},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(table); i++)
        assert_int_equal(assay_header_accepts(table[i].accept, "application/json"), table[i].json);
    assert_true(assay_header_names("text/event-stream", "text/event-stream"));
    assert_true(assay_header_names("a/b, text/event-stream;q=0.5", "text/event-stream"));
    assert_false(assay_header_names("*/*", "text/event-stream"));
    assert_false(assay_header_names("text/event-stream;q=0", "text/event-stream"));
    assert_false(assay_header_names(NULL, "text/event-stream"));
}

static void
test_media(void **state)
{
    (void)state;
    assert_int_equal(assay_header_media(NULL), ASSAY_MEDIA_NONE);
    assert_int_equal(assay_header_media("application/json"), ASSAY_MEDIA_JSON);
    assert_int_equal(assay_header_media(" Application/Json ; charset=\"UTF-8\""), ASSAY_MEDIA_JSON);
    assert_int_equal(assay_header_media("application/json;charset=us-ascii"), ASSAY_MEDIA_JSON);
    assert_int_equal(assay_header_media("application/json; charset=latin-1"), ASSAY_MEDIA_OTHER);
    assert_int_equal(assay_header_media("text/yaml"), ASSAY_MEDIA_YAML);
    assert_int_equal(assay_header_media("application/yaml;x=y"), ASSAY_MEDIA_YAML);
    assert_int_equal(assay_header_media("application/jsonp"), ASSAY_MEDIA_OTHER);
    assert_int_equal(assay_header_media(""), ASSAY_MEDIA_OTHER);
}

static void
test_etags(void **state)
{
    char tag[ASSAY_ETAG_TEXT], other[ASSAY_ETAG_TEXT];
    assay_auto_free char *list = NULL;

    (void)state;
    assay_etag("abc", 3, tag);
    assay_etag("abd", 3, other);
    /* The first half of SHA-256("abc"), FIPS 180-2. */
    assert_string_equal(tag, "\"ba7816bf8f01cfea414140de5dae2223\"");
    list = assay_format("%s , W/%s", other, tag);
    assert_true(assay_header_etag_matches(tag, tag));
    assert_true(assay_header_etag_matches(list, tag));
    assert_true(assay_header_etag_matches("*", tag));
    assert_false(assay_header_etag_matches(other, tag));
    assert_false(assay_header_etag_matches("", tag));
    assert_false(assay_header_etag_matches("\"ba78", tag));
    assert_false(assay_header_etag_matches("\"ba7816bf8f01cfea414140de5dae2223\"x", tag));
}

static void
test_request_ids(void **state)
{
    (void)state;
    assert_true(assay_header_request_id_valid("a"));
    assert_true(assay_header_request_id_valid("0af7651916cd43dd8448eb211c80319c-1"));
    assert_false(assay_header_request_id_valid(""));
    assert_false(assay_header_request_id_valid("a b"));
    assert_false(assay_header_request_id_valid("a\n"));
    assert_false(assay_header_request_id_valid("\""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bearer), cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_media),  cmocka_unit_test(test_etags),
        cmocka_unit_test(test_request_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

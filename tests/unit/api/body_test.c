#include "api/body.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/json.h"
#include "common/memory.h"

static assay_status
parse(const char *text, json_t **ret_json)
{
    return assay_body_json(text, strlen(text), ret_json, NULL);
}

static void
test_round_trip(void **state)
{
    static const char *const same[] = {
        "{}", "[]", "[1,-7,9223372036854775807]", "{\"a\":{\"b\":[true,false,null]}}",
        "[0.1,1.0,-2.5e-08,1e+22,2.2250738585072014e-308,1.7976931348623157e+308]",
        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\xc3\xa9\xf0\x9f\x98\x80\"",
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(same); i++) {
        assay_auto_buffer struct assay_buffer text = {0};
        json_t *json;

        assert_int_equal(parse(same[i], &json), ASSAY_OK);
        assay_json_print(json, 0, &text);
        assert_string_equal(text.data, same[i]);
        json_decref(json);
    }
}

static void
test_refused(void **state)
{
    static const char *const bad[] = {"",        " ",       "{",          "[1,]",      "{\"a\":1,\"a\":2}",
                                      "{'a':1}", "nul",     "\"\xff\"",   "[1] [2]",   "\"\\ud800\"",
                                      "01",      "NaN",     "\"\\u0000\"", "\xef\xbb\xbf{}"};
    json_t *json = NULL;

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(bad); i++)
        assert_int_equal(parse(bad[i], &json), ASSAY_E_INVALID_JSON);
    assert_null(json);
    assert_int_equal(assay_body_json("[\0]", 3, &json, NULL), ASSAY_E_INVALID_JSON);
}

static void
test_depth(void **state)
{
    char text[3 * ASSAY_BODY_DEPTH_MAX];
    size_t depth = ASSAY_BODY_DEPTH_MAX;
    json_t *json;

    (void)state;
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    assert_int_equal(assay_body_json(text, 2 * depth, &json, NULL), ASSAY_OK);
    json_decref(json);
    depth++;
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    assert_int_equal(assay_body_json(text, 2 * depth, &json, NULL), ASSAY_E_INVALID_JSON);
    /* Brackets in strings are none. */
    memset(text, '[', sizeof(text));
    text[0] = text[sizeof(text) - 1] = '"';
    assert_int_equal(assay_body_json(text, sizeof(text), &json, NULL), ASSAY_OK);
    json_decref(json);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
